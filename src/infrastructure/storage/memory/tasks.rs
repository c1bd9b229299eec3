//! Tasks in memory: themselves, how a session's are executed, and templates.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::data::versioned;
use super::snapshot::{MemorySnapshot, owned};
use crate::application::ports::changes::Expect;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::tasks::{TaskReads, TaskWrite};
use crate::domain::decompose::template::OwnTemplate;
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::task::Task;
use crate::domain::task::book::Book;
use crate::domain::version::Versioned;
use crate::infrastructure::storage::shared;

/// The tasks of one tenant.
#[derive(Clone, Default)]
pub(super) struct Tasks {
    pub(super) all: BTreeMap<TaskId, Arc<Versioned<Task>>>,
    pub(super) books: BTreeMap<SessionId, Arc<Versioned<Book>>>,
    templates: BTreeMap<String, Arc<Versioned<OwnTemplate>>>,
}

impl Tasks {
    /// Whether a write finds what it expects.
    pub(super) fn expect(&self, write: &TaskWrite) -> Result<(), CommitError> {
        let (found, expect) = match write {
            TaskWrite::Task(put) => {
                (self.all.get(&put.value.id).map(|found| found.version), put.expect)
            }
            TaskWrite::Book(put) => {
                (self.books.get(&put.value.session_id).map(|found| found.version), put.expect)
            }
            TaskWrite::Template(put) => {
                let found = self.templates.get(&put.value.template.key);
                (found.map(|found| found.version), put.expect)
            }
            TaskWrite::DropTemplate(version, key) => {
                (self.templates.get(key).map(|found| found.version), Expect::At(*version))
            }
        };
        shared::next_version(found, expect).map(|_| ())
    }

    /// Makes a write true.
    pub(super) fn apply(&mut self, write: TaskWrite) {
        match write {
            TaskWrite::Task(put) => {
                self.all.insert(put.value.id, Arc::new(versioned(put)));
            }
            TaskWrite::Book(put) => {
                self.books.insert(put.value.session_id, Arc::new(versioned(put)));
            }
            TaskWrite::Template(put) => {
                let key = put.value.template.key.clone();
                self.templates.insert(key, Arc::new(versioned(put)));
            }
            TaskWrite::DropTemplate(_, key) => {
                self.templates.remove(&key);
            }
        }
    }

    /// Nothing is left of the tasks of a session.
    pub(super) fn purge(&mut self, session: SessionId) {
        self.all.retain(|_, found| found.value.session_id != session);
        self.books.remove(&session);
    }

    fn standing(&self) -> impl Iterator<Item = &Arc<Versioned<Task>>> {
        self.all.values().filter(|found| found.value.deleted_at.is_none())
    }
}

#[async_trait]
impl TaskReads for MemorySnapshot {
    async fn task(&self, id: TaskId) -> Result<Option<Versioned<Task>>, StoreError> {
        let found: Option<Versioned<Task>> = owned(self.0.tasks.all.get(&id));
        Ok(found.filter(|found| found.value.deleted_at.is_none()))
    }

    async fn tasks_of(&self, session: SessionId) -> Result<Vec<Versioned<Task>>, StoreError> {
        let all = self.0.tasks.standing();
        let own = all.filter(|found| found.value.session_id == session);
        Ok(own.map(|found| found.as_ref().clone()).collect())
    }

    async fn tasks(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Task>>, StoreError> {
        let all = self.0.tasks.standing();
        let behind = all.filter(|found| after.is_none_or(|after| found.value.id > after));
        Ok(behind.take(limit).map(|found| found.as_ref().clone()).collect())
    }

    async fn task_book(&self, session: SessionId) -> Result<Option<Versioned<Book>>, StoreError> {
        Ok(owned(self.0.tasks.books.get(&session)))
    }

    async fn template(&self, key: &str) -> Result<Option<Versioned<OwnTemplate>>, StoreError> {
        Ok(owned(self.0.tasks.templates.get(key)))
    }

    async fn templates(&self) -> Result<Vec<Versioned<OwnTemplate>>, StoreError> {
        Ok(self.0.tasks.templates.values().map(|found| found.as_ref().clone()).collect())
    }
}
