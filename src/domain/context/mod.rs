//! Contexts: versioned memory that sessions, tasks and agents share.
//!
//! Invariant: every leaf of the data has the stamp of the write that it comes from, and the vector
//! knows every stamp. The version is that of the record: one more for each accepted write, and nothing
//! but writes changes a context. When it expires follows from it and from its session alone.

pub mod data;
pub mod diff;
pub mod merge;
pub mod patch;
pub mod path;
pub mod stamp;
pub mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use self::stamp::{Author, AuthorKey, Stamp, Stamps, Vector, WriterKey};
use super::field::{FieldError, FieldErrors};
use super::ids::{AgentId, ContextId, SessionId, TaskId, TenantId};
use super::time::Timestamp;
use crate::closed_enum;

closed_enum!(
    /// For whom a context is, from the most passing to the most lasting.
    ContextScope {
        Temporary = "temporary",
        Task = "task",
        Session = "session",
        Agent = "agent",
        Global = "global",
    }
);

/// How long contexts are kept without a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named for the scopes")]
pub struct Lifetimes {
    pub temporary: Duration,
    pub task: Duration,
    pub session: Duration,
    pub agent: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            temporary: Duration::from_hours(1),
            task: Duration::from_hours(24),
            session: Duration::from_hours(24),
            agent: Duration::from_hours(168),
        }
    }
}

impl Lifetimes {
    /// How long a context of this scope is kept; `None` for ever.
    #[must_use]
    pub const fn of(&self, scope: ContextScope) -> Option<Duration> {
        match scope {
            ContextScope::Temporary => Some(self.temporary),
            ContextScope::Task => Some(self.task),
            ContextScope::Session => Some(self.session),
            ContextScope::Agent => Some(self.agent),
            ContextScope::Global => None,
        }
    }
}

/// How the session of a context stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerStands {
    /// There is none, or none any more.
    Nowhere,
    /// It may go on.
    Open,
    /// It ended at this time.
    Ended(Timestamp),
}

/// Shared memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// Its identity.
    pub id: ContextId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// For whom.
    pub scope: ContextScope,
    /// The session that it belongs to.
    pub session_id: Option<SessionId>,
    /// The task that it belongs to.
    pub task_id: Option<TaskId>,
    /// The agent that it belongs to.
    pub agent_id: Option<AgentId>,
    /// The same for a context and its copies.
    pub lineage_id: ContextId,
    /// What is remembered.
    pub data: Map<String, Value>,
    /// Where each leaf comes from.
    pub stamps: Stamps,
    /// Which writes are in it, or were.
    pub vector: Vector,
    /// Who wrote what is in it.
    pub authors: BTreeMap<AuthorKey, Author>,
    /// For people and programs; the product adds where copies come from.
    pub metadata: Map<String, Value>,
    /// Who made it.
    pub created_by: Author,
    /// When.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// What a new context is born with.
#[derive(Debug, Clone, Copy)]
pub struct Birth<'a> {
    /// Its identity.
    pub id: ContextId,
    /// Who makes it.
    pub by: &'a Author,
    /// When.
    pub at: Timestamp,
}

/// Why a context cannot become so.
#[derive(Debug, Clone, PartialEq)]
pub enum Unfit {
    /// Broken rules.
    Invalid(Vec<FieldError>),
    /// More than 1 MiB.
    TooLarge,
}

/// A context as it was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the context")]
pub struct ContextDraft {
    /// `session` when omitted.
    pub scope: Option<ContextScope>,
    pub session_id: Option<SessionId>,
    pub task_id: Option<TaskId>,
    pub agent_id: Option<AgentId>,
    pub initial_data: Map<String, Value>,
    pub metadata: Map<String, Value>,
}

impl ContextDraft {
    /// The scope that is meant.
    #[must_use]
    pub fn scope(&self) -> ContextScope {
        self.scope.unwrap_or(ContextScope::Session)
    }

    /// Whether a context can be made so.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let (is_named, pointer) = match self.scope() {
            ContextScope::Temporary | ContextScope::Global => (true, ""),
            ContextScope::Task => (self.task_id.is_some(), "/task_id"),
            ContextScope::Session => (self.session_id.is_some(), "/session_id"),
            ContextScope::Agent => (self.agent_id.is_some(), "/agent_id"),
        };
        errors.require(is_named, pointer, "required", "is required for this scope");
        for (name, value) in &self.initial_data {
            let is_named = !name.is_empty();
            errors.require(is_named, "/initial_data", "invalid", "has a field without a name");
            data::check("/initial_data", std::slice::from_ref(name), value, &mut errors);
        }
        errors.map("/metadata", &self.metadata);
        errors.into_result(())
    }
}

impl Context {
    /// A new context.
    ///
    /// # Errors
    /// `Unfit`.
    pub fn new(tenant_id: TenantId, draft: ContextDraft, birth: Birth<'_>) -> Result<Self, Unfit> {
        draft.check().map_err(Unfit::Invalid)?;
        let scope = draft.scope();
        let ContextDraft { scope: _, session_id, task_id, agent_id, initial_data, metadata } =
            draft;
        let mut context = Self {
            id: birth.id,
            tenant_id,
            scope,
            session_id,
            task_id,
            agent_id,
            lineage_id: birth.id,
            data: data::clean_map(initial_data),
            stamps: Stamps::new(),
            vector: Vector::default(),
            authors: BTreeMap::new(),
            metadata,
            created_by: birth.by.clone(),
            created_at: birth.at,
            updated_at: birth.at,
        };
        if !data::is_small(&context.data) {
            return Err(Unfit::TooLarge);
        }
        let stamp = context.next_stamp(birth.by, birth.at);
        let leaves: Vec<String> = data::leaves(&context.data).into_keys().collect();
        context.stamps.extend(leaves.into_iter().map(|path| (path, stamp)));
        context.settle_authors(birth.by);
        Ok(context)
    }

    /// Counts a write of somebody; the stamp of what it leaves.
    fn next_stamp(&mut self, by: &Author, at: Timestamp) -> Stamp {
        let writer = WriterKey { context: self.id, principal: by.principal };
        let counter = self.vector.count(writer);
        Stamp { writer, session: by.session_id, counter, updated_at: at }
    }

    /// Keeps the authors of what is there.
    fn settle_authors(&mut self, newest: &Author) {
        self.authors.insert(newest.key(), newest.clone());
        let used: std::collections::BTreeSet<AuthorKey> =
            self.stamps.values().map(Stamp::author).collect();
        self.authors.retain(|key, _| used.contains(key));
    }

    /// A deep copy of it with an identity of its own, which knows all that this one knows.
    #[must_use]
    pub fn copied(&self, birth: Birth<'_>, scope: ContextScope) -> Self {
        Self {
            id: birth.id,
            scope,
            created_by: birth.by.clone(),
            created_at: birth.at,
            updated_at: birth.at,
            ..self.clone()
        }
    }

    /// A copy for another session.
    #[must_use]
    pub fn shared(&self, with: SessionId, birth: Birth<'_>) -> Self {
        let mut copy = self.copied(birth, ContextScope::Session);
        (copy.session_id, copy.task_id, copy.agent_id) = (Some(with), None, None);
        copy.note("cloned_from", json!(self.id));
        copy.note("shared_from", json!(self.session_id));
        copy.note("shared_at", json!(birth.at));
        copy
    }

    /// A copy for the whole tenant.
    ///
    /// # Errors
    /// The scope that it has, which is not for others.
    pub fn promoted(&self, birth: Birth<'_>) -> Result<Self, ContextScope> {
        if self.scope == ContextScope::Temporary {
            return Err(self.scope);
        }
        let mut copy = self.copied(birth, ContextScope::Global);
        (copy.session_id, copy.task_id, copy.agent_id) = (None, None, None);
        copy.note("promoted_from", json!(self.id));
        copy.note("promoted_at", json!(birth.at));
        copy.note("promoted_by", json!(birth.by.name));
        Ok(copy)
    }

    fn note(&mut self, name: &str, value: Value) {
        self.metadata.insert(name.to_owned(), value);
    }

    /// Whether it outlives its session, as its metadata says.
    #[must_use]
    pub fn is_important(&self) -> bool {
        self.metadata.get("important") == Some(&Value::Bool(true))
    }

    /// Whether nothing in it was written by an agent.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.stamps.values().all(|stamp| self.author(stamp).is_none_or(Author::is_trusted))
    }

    /// Who left a stamp.
    #[must_use]
    pub fn author(&self, stamp: &Stamp) -> Option<&Author> {
        self.authors.get(&stamp.author())
    }

    /// Who wrote the newest of what lies at and below a path, and when.
    #[must_use]
    pub fn newest_at(&self, path: &str) -> Option<&Stamp> {
        stamp::below(&self.stamps, path).map(|(_, stamp)| stamp).max_by_key(|it| it.updated_at)
    }

    /// Whether all that lies at and below a path may be taken at its word.
    #[must_use]
    pub fn is_trusted_at(&self, path: &str) -> bool {
        stamp::below(&self.stamps, path)
            .all(|(_, stamp)| self.author(stamp).is_none_or(Author::is_trusted))
    }

    /// When it goes; `None` as long as nobody knows, or for ever.
    #[must_use]
    pub fn expires_at(&self, lifetimes: &Lifetimes, owner: OwnerStands) -> Option<Timestamp> {
        let kept = lifetimes.of(self.scope)?;
        let from = match (self.scope, owner) {
            (ContextScope::Session, OwnerStands::Open) => return None,
            (ContextScope::Session, OwnerStands::Ended(at)) => self.updated_at.max(at),
            (
                ContextScope::Temporary
                | ContextScope::Task
                | ContextScope::Session
                | ContextScope::Agent
                | ContextScope::Global,
                OwnerStands::Nowhere | OwnerStands::Open | OwnerStands::Ended(_),
            ) => self.updated_at,
        };
        Some(from.after(kept))
    }
}

#[cfg(test)]
mod tests;
