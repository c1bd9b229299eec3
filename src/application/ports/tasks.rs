//! What the store keeps of tasks: themselves, how a session's are executed, and a tenant's templates.

use async_trait::async_trait;

use super::changes::Put;
use super::store::StoreError;
use crate::domain::decompose::template::OwnTemplate;
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::task::Task;
use crate::domain::task::book::Book;
use crate::domain::version::{Version, Versioned};

/// One write about tasks.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "tasks are the common case; boxing buys nothing")]
pub enum TaskWrite {
    /// A task; one that is deleted stays until its session is purged.
    Task(Put<Task>),
    /// The book of a session.
    Book(Put<Book>),
    /// A template of the tenant's own.
    Template(Put<OwnTemplate>),
    /// It goes.
    DropTemplate(Version, String),
}

/// What a write about tasks names.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum TaskRecord<'a> {
    /// A task.
    Task(TaskId),
    /// The book of a session.
    Book(SessionId),
    /// A template, by its key.
    Template(&'a str),
}

impl TaskWrite {
    /// The record that it writes: one change set writes each once.
    #[must_use]
    pub fn record(&self) -> TaskRecord<'_> {
        match self {
            Self::Task(put) => TaskRecord::Task(put.value.id),
            Self::Book(put) => TaskRecord::Book(put.value.session_id),
            Self::Template(put) => TaskRecord::Template(&put.value.template.key),
            Self::DropTemplate(_, key) => TaskRecord::Template(key),
        }
    }

    /// The tenant that the value names; `None` when it names none.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Task(put) => Some(put.value.tenant_id),
            Self::Book(put) => Some(put.value.tenant_id),
            Self::Template(put) => Some(put.value.tenant_id),
            Self::DropTemplate(..) => None,
        }
    }

    /// The session that it belongs to.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Task(put) => Some(put.value.session_id),
            Self::Book(put) => Some(put.value.session_id),
            Self::Template(_) | Self::DropTemplate(..) => None,
        }
    }
}

/// Tasks and what belongs to them; deleted ones are there for nobody.
#[async_trait]
pub trait TaskReads: Send + Sync {
    /// One task.
    async fn task(&self, id: TaskId) -> Result<Option<Versioned<Task>>, StoreError>;
    /// All tasks of a session, in order of their ids. A damaged one fails the whole: what is decided
    /// about a graph must know all of it.
    async fn tasks_of(&self, session: SessionId) -> Result<Vec<Versioned<Task>>, StoreError>;
    /// Tasks of every session in order of their ids behind `after`, at most `limit`; damaged ones are left
    /// out.
    async fn tasks(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Task>>, StoreError>;
    /// The book of a session.
    async fn task_book(&self, session: SessionId) -> Result<Option<Versioned<Book>>, StoreError>;
    /// A template of the tenant's own.
    async fn template(&self, key: &str) -> Result<Option<Versioned<OwnTemplate>>, StoreError>;
    /// All templates of the tenant's own, by key; damaged ones are left out.
    async fn templates(&self) -> Result<Vec<Versioned<OwnTemplate>>, StoreError>;
}
