//! Tasks, waited for.

use async_trait::async_trait;
use orchestrator::application::ports::tasks::TaskReads;
use orchestrator::domain::decompose::template::OwnTemplate;
use orchestrator::domain::ids::{SessionId, TaskId};
use orchestrator::domain::task::Task;
use orchestrator::domain::task::book::Book;
use orchestrator::domain::version::Versioned;

use super::{Read, Shown};

#[async_trait]
impl TaskReads for Shown {
    async fn task(&self, id: TaskId) -> Read<Option<Versioned<Task>>> {
        self.1.read(self.0.task(id))
    }

    async fn tasks_of(&self, session: SessionId) -> Read<Vec<Versioned<Task>>> {
        self.1.read(self.0.tasks_of(session))
    }

    async fn tasks(&self, after: Option<TaskId>, limit: usize) -> Read<Vec<Versioned<Task>>> {
        self.1.read(self.0.tasks(after, limit))
    }

    async fn task_book(&self, session: SessionId) -> Read<Option<Versioned<Book>>> {
        self.1.read(self.0.task_book(session))
    }

    async fn template(&self, key: &str) -> Read<Option<Versioned<OwnTemplate>>> {
        self.1.read(self.0.template(key))
    }

    async fn templates(&self) -> Read<Vec<Versioned<OwnTemplate>>> {
        self.1.read(self.0.templates())
    }
}
