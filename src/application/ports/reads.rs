//! Reading, split by aggregate and summed in `Snapshot`.
//!
//! Invariant: a `Snapshot` shows one tenant at one moment. Deleted sessions are invisible through
//! it, except by `deleted_session`.

use async_trait::async_trait;

use super::changes::{Counter, Remembered};
use super::contexts::{ContextReads, OldContexts};
use super::people::PeopleReads;
use super::store::StoreError;
use super::tasks::TaskReads;
use super::usage::UsageReads;
use super::vitals::VitalsReads;
use super::webhooks::WebhookReads;
use crate::closed_enum;
use crate::domain::agent::Agent;
use crate::domain::agent::vitals::Ended;
use crate::domain::attention::{Attention, AttentionItem, AttentionState};
use crate::domain::audit::StoredAudit;
use crate::domain::event::StoredEvent;
use crate::domain::ids::{
    AgentId, AttentionId, ContextId, KeyId, SessionId, TenantId, UserId, WebhookId,
};
use crate::domain::session::attempt::Attempt;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::session::spec::{Priority, SessionType};
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{Session, SessionCode};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::ApiKey;
use crate::domain::tenant::user::User;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Which sessions a list wants; empty and `None` mean any.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of a session")]
pub struct SessionFilter {
    pub statuses: Vec<SessionStatus>,
    pub session_type: Option<SessionType>,
    pub priority: Option<Priority>,
    /// All of them.
    pub tags: Vec<String>,
    /// Current or pinned agent, by id or name.
    pub agent: Option<String>,
    pub parent_id: Option<SessionId>,
    pub created_by: Option<String>,
    /// Included.
    pub created_after: Option<Timestamp>,
    /// Excluded.
    pub created_before: Option<Timestamp>,
    pub attention: Option<Attention>,
    /// Part of title or code, without case.
    pub text: Option<String>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// One page of sessions, asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionQuery {
    /// Which.
    pub filter: SessionFilter,
    /// In which order, by creation.
    pub order: Order,
    /// Only those behind this one.
    pub after: Option<SessionId>,
    /// At most this many, 1–200.
    pub limit: usize,
    /// Whether to count all that match.
    pub count: bool,
}

/// One page of sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionPage {
    /// The sessions, in order.
    pub items: Vec<Versioned<Session>>,
    /// Where the next page begins; `None` when there is none. A page may be short or empty and
    /// still have a next one: work per request is bounded.
    pub next: Option<SessionId>,
    /// All that match, when asked for.
    pub total: Option<u64>,
    /// Damaged records that were left out.
    pub skipped: u64,
}

impl SessionFilter {
    /// Whether a session is wanted; deleted ones never are.
    #[must_use]
    pub fn matches(&self, session: &Session) -> bool {
        let agent_matches = |wanted: &String| {
            let lease = session.run.lease.as_ref();
            session.spec.agent.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
                || lease.is_some_and(|lease| {
                    lease.agent_name.eq_ignore_ascii_case(wanted)
                        || lease.agent_id.to_string().eq_ignore_ascii_case(wanted)
                })
        };
        let text_matches = |text: &String| {
            let text = text.to_lowercase();
            session.spec.title.to_lowercase().contains(&text)
                || session.code.to_string().to_lowercase().contains(&text)
        };
        session.stamps.deleted_at.is_none()
            && (self.statuses.is_empty() || self.statuses.contains(&session.status()))
            && self.session_type.is_none_or(|wanted| wanted == session.spec.session_type)
            && self.priority.is_none_or(|wanted| wanted == session.spec.priority)
            && self.tags.iter().all(|tag| session.spec.tags.contains(tag))
            && self.agent.as_ref().is_none_or(agent_matches)
            && self.parent_id.is_none_or(|wanted| Some(wanted) == session.lineage.parent_id)
            && self.created_by.as_ref().is_none_or(|wanted| *wanted == session.created_by)
            && self.created_after.is_none_or(|from| session.stamps.created_at >= from)
            && self.created_before.is_none_or(|to| session.stamps.created_at < to)
            && self.attention.is_none_or(|wanted| wanted == session.attention)
            && self.text.as_ref().is_none_or(text_matches)
    }
}

/// Sessions and what belongs to them.
#[async_trait]
pub trait SessionReads: Send + Sync {
    /// One session.
    async fn session(&self, id: SessionId) -> Result<Option<Versioned<Session>>, StoreError>;
    /// A session that was soft-deleted and not yet purged.
    async fn deleted_session(
        &self,
        id: SessionId,
    ) -> Result<Option<Versioned<Session>>, StoreError>;
    /// The session that people call so.
    async fn session_by_code(&self, code: SessionCode) -> Result<Option<SessionId>, StoreError>;
    /// One page.
    async fn sessions(&self, query: SessionQuery) -> Result<SessionPage, StoreError>;
    /// Direct children in order of creation, at most `limit`.
    async fn children(&self, parent: SessionId, limit: usize)
    -> Result<Vec<SessionId>, StoreError>;
    /// Sessions that still come after this one, at most `limit`.
    async fn followers(
        &self,
        awaited: SessionId,
        limit: usize,
    ) -> Result<Vec<SessionId>, StoreError>;
    /// One attempt.
    async fn attempt(
        &self,
        session: SessionId,
        number: u32,
    ) -> Result<Option<Versioned<Attempt>>, StoreError>;
    /// All attempts in order.
    async fn attempts(&self, session: SessionId) -> Result<Vec<Versioned<Attempt>>, StoreError>;
    /// One checkpoint.
    async fn checkpoint(
        &self,
        session: SessionId,
        sequence: u64,
    ) -> Result<Option<Checkpoint>, StoreError>;
    /// Checkpoints kept, oldest first.
    async fn checkpoints(&self, session: SessionId) -> Result<Vec<Checkpoint>, StoreError>;
}

/// Attention items.
#[async_trait]
pub trait AttentionReads: Send + Sync {
    /// One item.
    async fn attention(
        &self,
        id: AttentionId,
    ) -> Result<Option<Versioned<AttentionItem>>, StoreError>;
    /// Items in order of creation behind `after`, of one session or all, in one state or any.
    async fn attention_items(
        &self,
        session: Option<SessionId>,
        state: Option<AttentionState>,
        after: Option<AttentionId>,
        limit: usize,
    ) -> Result<Vec<Versioned<AttentionItem>>, StoreError>;
}

/// What the log holds under one number.
#[derive(Debug, Clone, PartialEq)]
pub enum Logged {
    /// An event.
    Event(StoredEvent),
    /// An event was stored under this number and can no longer be read.
    Unreadable(u64),
}

impl Logged {
    /// Its number.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Event(stored) => stored.seq,
            Self::Unreadable(seq) => *seq,
        }
    }
}

/// The log of what happened.
#[async_trait]
pub trait EventReads: Send + Sync {
    /// Number of the newest event; 0 before the first.
    async fn last_seq(&self) -> Result<u64, StoreError>;
    /// Number of the oldest event kept; 0 when there is none.
    async fn first_seq(&self) -> Result<u64, StoreError>;
    /// Events with a larger number, in order; of one session (as subject or named in the payload)
    /// when given.
    async fn events(
        &self,
        after: u64,
        session: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError>;
    /// The same, and the numbers of those that cannot be read: for readers who must tell what is
    /// missing.
    async fn log(
        &self,
        after: u64,
        session: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Logged>, StoreError>;
    /// Number and hash of the newest audit entry; `None` before the first.
    async fn audit_head(&self) -> Result<Option<(u64, String)>, StoreError>;
    /// Audit entries with a larger number, in order.
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<StoredAudit>, StoreError>;
}

/// Everything of one tenant at one moment.
#[async_trait]
pub trait Snapshot:
    SessionReads
    + AttentionReads
    + EventReads
    + WebhookReads
    + UsageReads
    + PeopleReads
    + VitalsReads
    + ContextReads
    + TaskReads
{
    /// The tenant itself; `None` before it was made.
    async fn tenant(&self) -> Result<Option<Versioned<Tenant>>, StoreError>;
    /// A counter; 0 when it was never changed.
    async fn counter(&self, counter: Counter) -> Result<i64, StoreError>;
    /// The answer remembered under this key.
    async fn remembered(&self, key: [u8; 32]) -> Result<Option<Remembered>, StoreError>;
    /// One agent; those that were removed are there for nobody.
    async fn agent(&self, id: AgentId) -> Result<Option<Versioned<Agent>>, StoreError>;
    /// One API key.
    async fn api_key(&self, id: KeyId) -> Result<Option<Versioned<ApiKey>>, StoreError>;
    /// API keys in order of creation behind `after`, revoked ones too, at most `limit`.
    async fn api_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Versioned<ApiKey>>, StoreError>;
    /// All agents that were not removed, by name.
    async fn agents(&self) -> Result<Vec<Versioned<Agent>>, StoreError>;
}

/// A session that ended abnormally and whose children are not treated yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwedChildren {
    /// Whose it is.
    pub tenant: TenantId,
    /// The session that ended.
    pub parent: SessionId,
    /// When it did.
    pub at: Timestamp,
}

/// A counter, and what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recount {
    /// As it stands; `None` for one that is damaged. `Fleet::counter` and every commit take what the
    /// rows say instead, and the first commit that changes it, be it by nothing, writes that.
    pub stored: Option<i64>,
    /// As the rows say.
    pub counted: i64,
}

closed_enum!(
    /// What the store keeps, in classes.
    StoredClass {
        Sessions = "sessions",
        Attempts = "attempts",
        Checkpoints = "checkpoints",
        Attention = "attention",
        Journals = "journals",
        Events = "events",
        Audit = "audit",
        Usage = "usage",
        Agents = "agents",
        Tenants = "tenants",
        Webhooks = "webhooks",
        Contexts = "contexts",
        Tasks = "tasks",
        Answers = "answers",
        Damaged = "damaged",
        Other = "other",
    }
);

/// What one class takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassUsage {
    /// Which.
    pub class: StoredClass,
    /// Records.
    pub rows: u64,
    /// Bytes of records, keys and what finds them; `None` for a store without a file.
    pub bytes: Option<u64>,
}

/// All tenants at one moment. Only scheduler, reconcilers and authentication may hold one.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// All tenants.
    async fn tenants(&self) -> Result<Vec<Versioned<Tenant>>, StoreError>;
    /// A counter of a tenant; 0 when it was never changed.
    async fn counter(&self, tenant: TenantId, counter: Counter) -> Result<i64, StoreError>;
    /// The API key one of whose secrets has this hash.
    async fn api_key(&self, hash: [u8; 32]) -> Result<Option<Versioned<ApiKey>>, StoreError>;
    /// Who acts with a key of this tenant.
    async fn user(
        &self,
        tenant: TenantId,
        id: UserId,
    ) -> Result<Option<Versioned<User>>, StoreError>;
    /// Whether any API key was ever made.
    async fn has_api_keys(&self) -> Result<bool, StoreError>;
    /// Every session in one of these statuses, in order of tenant and creation.
    async fn sessions_in(
        &self,
        statuses: &[SessionStatus],
    ) -> Result<Vec<Versioned<Session>>, StoreError>;
    /// Sessions for which something is due at `now`, soonest first within a tenant, at most `limit`.
    async fn due_sessions(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, SessionId)>, StoreError>;
    /// Sessions that owe their children an end, longest first within a tenant, at most `limit`.
    async fn owed_children(&self, limit: usize) -> Result<Vec<OwedChildren>, StoreError>;
    /// Work that ended on agents and is not counted yet, by agent, at most `limit`; damaged rows are left
    /// out.
    async fn uncounted(&self, limit: usize) -> Result<Vec<(TenantId, Ended)>, StoreError>;
    /// Agents that were deleted by then, of every tenant, at most `limit`; damaged ones are left out.
    async fn agents_deleted_by(
        &self,
        then: Timestamp,
        limit: usize,
    ) -> Result<Vec<Agent>, StoreError>;
    /// Open attention items whose deadline is over at `now`, at most `limit`.
    async fn due_attention(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, AttentionId)>, StoreError>;
    /// Sessions of a tenant that were made before, deleted ones too, in order of creation behind
    /// `after`, at most `limit`.
    async fn sessions_made_before(
        &self,
        tenant: TenantId,
        before: Timestamp,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Session>>, StoreError>;
    /// A counter beside what the rows say at the same moment; `None` for one that counts no rows.
    async fn recount(
        &self,
        tenant: TenantId,
        counter: Counter,
    ) -> Result<Option<Recount>, StoreError>;
    /// What is stored, by class.
    async fn usage(&self) -> Result<Vec<ClassUsage>, StoreError>;
    /// Contexts of one scope that were not written for long, longest first.
    async fn old_contexts(
        &self,
        asked: OldContexts,
    ) -> Result<Vec<(Timestamp, ContextId)>, StoreError>;
    /// Merges of contexts whose time is over at `now`, at most `limit`.
    async fn old_merges(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, ContextId)>, StoreError>;
    /// Sessions that ended and whose contexts were not looked at since, at most `limit`.
    async fn ended_owners(&self, limit: usize) -> Result<Vec<(TenantId, SessionId)>, StoreError>;
    /// Sessions whose tasks are given out.
    async fn task_runs(&self) -> Result<Vec<(TenantId, SessionId)>, StoreError>;
    /// Every webhook.
    async fn webhooks(&self) -> Result<Vec<(TenantId, WebhookId)>, StoreError>;
}
