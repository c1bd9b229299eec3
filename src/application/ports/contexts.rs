//! What the store keeps of contexts: themselves, what their versions changed, and merges that wait.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::changes::Put;
use super::store::StoreError;
use crate::domain::context::merge::PendingMerge;
use crate::domain::context::write::Group;
use crate::domain::context::{Context, ContextScope};
use crate::domain::ids::{AgentId, ContextId, SessionId, TaskId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// One write about a context.
#[derive(Debug, Clone, PartialEq)]
pub enum ContextWrite {
    /// The context; its version is that of the record.
    Context(Put<Context>),
    /// What one version changed; never changed itself.
    Group(Group),
    /// A version's changes are forgotten.
    DropGroup(ContextId, u64),
    /// The context goes, with its history.
    Drop(Version, ContextId),
    /// A merge begins to wait.
    Merge(PendingMerge),
    /// It was resolved, or is forgotten.
    DropMerge(ContextId),
    /// A session ended. Kept only when it has contexts by then; found by `Fleet::ended_owners`.
    OwnerEnded(SessionId),
    /// What its contexts needed at its end was done.
    OwnerDone(SessionId),
}

impl ContextWrite {
    /// The record that it writes: one change set writes each once.
    #[must_use]
    pub const fn record(&self) -> (u8, Uuid, u64) {
        match self {
            Self::Context(put) => (0, put.value.id.uuid(), 0),
            Self::Drop(_, id) => (0, id.uuid(), 0),
            Self::Group(group) => (1, group.context_id.uuid(), group.version),
            Self::DropGroup(id, version) => (1, id.uuid(), *version),
            Self::Merge(merge) => (2, merge.id.uuid(), 0),
            Self::DropMerge(id) => (2, id.uuid(), 0),
            Self::OwnerEnded(session) | Self::OwnerDone(session) => (3, session.uuid(), 0),
        }
    }

    /// The tenant that the value names; `None` when it names none.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Context(put) => Some(put.value.tenant_id),
            Self::Group(group) => Some(group.tenant_id),
            Self::Merge(merge) => Some(merge.tenant_id),
            Self::DropGroup(..)
            | Self::Drop(..)
            | Self::DropMerge(_)
            | Self::OwnerEnded(_)
            | Self::OwnerDone(_) => None,
        }
    }
}

/// Whose contexts a list wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContextsOf {
    /// Anybody's.
    #[default]
    All,
    /// Those of a session.
    Session(SessionId),
    /// Those of a task.
    Task(TaskId),
    /// Those of an agent.
    Agent(AgentId),
    /// The tenant's own.
    Global,
}

impl ContextsOf {
    /// Everybody whose list a context is in, beside that of all.
    #[must_use]
    pub fn owners(context: &Context) -> Vec<Self> {
        let global = (context.scope == ContextScope::Global).then_some(Self::Global);
        let session = context.session_id.map(Self::Session);
        let task = context.task_id.map(Self::Task);
        let agent = context.agent_id.map(Self::Agent);
        [global, session, task, agent].into_iter().flatten().collect()
    }
}

/// One page of contexts, asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContextQuery {
    /// Whose.
    pub of: ContextsOf,
    /// Of which scope.
    pub scope: Option<ContextScope>,
    /// Only those behind this one.
    pub after: Option<ContextId>,
    /// At most this many.
    pub limit: usize,
}

/// Contexts and what belongs to them.
#[async_trait]
pub trait ContextReads: Send + Sync {
    /// One context.
    async fn context(&self, id: ContextId) -> Result<Option<Versioned<Context>>, StoreError>;
    /// Contexts in order of creation; damaged ones are left out.
    async fn contexts(&self, query: ContextQuery) -> Result<Vec<Versioned<Context>>, StoreError>;
    /// Which version each context of a session has, of the first so many, without reading them.
    async fn context_versions(
        &self,
        session: SessionId,
        limit: usize,
    ) -> Result<BTreeMap<ContextId, u64>, StoreError>;
    /// What versions below `before` and above `after` changed, newest first, at most `limit`.
    async fn context_groups(
        &self,
        id: ContextId,
        (after, before): (u64, u64),
        limit: usize,
    ) -> Result<Vec<Group>, StoreError>;
    /// A merge that waits.
    async fn pending_merge(&self, id: ContextId) -> Result<Option<PendingMerge>, StoreError>;
}

/// The contexts of one scope that were not written for long, asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldContexts {
    /// Whose.
    pub tenant: TenantId,
    /// Of which scope.
    pub scope: ContextScope,
    /// Last written then or before.
    pub until: Timestamp,
    /// Only those behind this one.
    pub after: Option<(Timestamp, ContextId)>,
    /// At most this many.
    pub limit: usize,
}
