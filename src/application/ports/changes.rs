//! The unit of work as data: what is to become true, all of it or nothing.
//!
//! Invariant: a change set names everything that its decision was based on; the store checks it
//! inside the transaction. Every arm is closed on purpose: a new aggregate does not compile until
//! every adapter handles it.

use super::contexts::ContextWrite;
use super::people::PeopleWrite;
use super::tasks::TaskWrite;
use super::usage::UsageWrite;
use super::vitals::VitalsWrite;
use super::webhooks::WebhookWrite;
use crate::domain::agent::Agent;
use crate::domain::attention::AttentionItem;
use crate::domain::audit::AuditEntry;
use crate::domain::event::DomainEvent;
use crate::domain::ids::{AgentId, KeyId, SessionId, TenantId, UserId};
use crate::domain::session::Session;
use crate::domain::session::attempt::Attempt;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::session::status::SessionStatus;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::ApiKey;
use crate::domain::time::Timestamp;
use crate::domain::usage::period::Month;
use crate::domain::version::Version;

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing under this key.
    Absent,
    /// The entity exactly as it was read.
    At(Version),
    /// Something that cannot be read any more: it is replaced by a first version. Only for what no
    /// index leads to: prices, roll-ups and marks.
    Damaged,
}

/// One entity to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Put<T> {
    /// What must be there for the write to happen.
    pub expect: Expect,
    /// The entity as it will be; its version becomes the expected one plus one, or 1.
    pub value: T,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "sessions are the common case; boxing buys nothing")]
pub enum Write {
    /// A session.
    Session(Put<Session>),
    /// An attempt of a session.
    Attempt(Put<Attempt>),
    /// A checkpoint; never changed once written, so it always expects absence.
    Checkpoint(Checkpoint),
    /// The oldest checkpoint leaves as a new one comes.
    DropCheckpoint {
        /// Whose.
        session: SessionId,
        /// Which.
        sequence: u64,
    },
    /// An attention item.
    Attention(Put<AttentionItem>),
    /// An agent.
    Agent(Put<Agent>),
    /// A tenant; its id must be the change set's tenant.
    Tenant(Put<Tenant>),
    /// An API key.
    ApiKey(Put<ApiKey>),
    /// A session ended abnormally at this time and owes its children theirs. Kept only when it has
    /// children by then; found by `Fleet::owed_children`.
    ChildrenOwed {
        /// Which session ended.
        parent: SessionId,
        /// When.
        at: Timestamp,
    },
    /// Its children were treated.
    ChildrenDone {
        /// Which session ended.
        parent: SessionId,
        /// When that was.
        at: Timestamp,
    },
    /// Every record, index entry and journal chunk of a session goes, except its events and audit.
    PurgeSession(Version, SessionId),
    /// A webhook, or what belongs to one.
    Webhook(WebhookWrite),
    /// What was used, or what belongs to that.
    Usage(UsageWrite),
    /// Somebody, or when a key was used.
    People(PeopleWrite),
    /// How an agent does.
    Vitals(VitalsWrite),
    /// A context, or what belongs to one.
    Context(ContextWrite),
    /// A task, or what belongs to it.
    Task(TaskWrite),
}

/// A number that the store keeps per tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// Sessions in an open status that are not deleted.
    OpenSessions,
    /// Sessions in this status that are not deleted.
    SessionsIn(SessionStatus),
    /// The highest session code in use.
    SessionCodes,
    /// The highest fencing token in use.
    FencingTokens,
    /// Webhooks that are not deleted.
    Webhooks,
    /// Agents that are not deleted.
    Agents,
    /// Tokens that were charged in this month.
    MonthTokens(Month),
    /// Millionths of a dollar that were charged in this month.
    MonthMicros(Month),
    /// API keys that were not revoked.
    ApiKeys,
    /// When the day's work was last done, in milliseconds; of the server itself, like the next one.
    DaysWorkDone,
    /// Since when the clock is doubted, in milliseconds; 0 while it is not.
    ClockDoubted,
    /// People of the tenant.
    Users,
    /// Bytes of checkpoints, transcripts and logs: the store itself counts them with what it writes.
    StoredBytes,
}

/// How a counter changes. Both kinds commute, so they never make a change set stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterChange {
    /// Adds, or subtracts.
    Add(i64),
    /// Raises to at least this.
    AtLeast(u64),
}

/// A condition over more than one record, checked inside the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// After this change set the counter is at most this.
    CounterAtMost {
        /// Which counter.
        counter: Counter,
        /// Its bound, included.
        limit: u64,
    },
    /// The session's current lease has this token.
    LeaseCurrent {
        /// Which session.
        session: SessionId,
        /// The token.
        fencing_token: u64,
    },
    /// The session stands in one of these statuses.
    SessionIn {
        /// Which session.
        session: SessionId,
        /// Accepted statuses.
        statuses: &'static [SessionStatus],
    },
    /// No agent of the tenant has this name.
    AgentNameFree(String),
    /// The agent is there, and may be given something new.
    AgentOpen(AgentId),
    /// Somebody is there as they were read.
    UserAt(UserId, Version),
    /// Somebody has no other keys that are not revoked than these.
    NoOtherKeys {
        /// Who.
        user: UserId,
        /// The keys that the change set knows of.
        known: Vec<KeyId>,
    },
    /// An e-mail address has no other open invitations than these.
    NoOtherInvites {
        /// The address, without case.
        email: String,
        /// The invitations that the change set knows of.
        known: Vec<KeyId>,
    },
}

/// The answer that a repeated request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// SHA-256 over principal, route and key: what a repetition is recognised by.
    pub key: [u8; 32],
    /// SHA-256 of the request body.
    pub fingerprint: [u8; 32],
    /// HTTP status.
    pub status: u16,
    /// `Location` and `ETag`, when the answer had them.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// A unit of work: all of it becomes true, or none, in one durable step.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeSet {
    /// Whose data it changes; nothing outside this tenant can be named.
    pub tenant: TenantId,
    /// Entities to store.
    pub writes: Vec<Write>,
    /// Conditions beyond single records.
    pub guards: Vec<Guard>,
    /// Changes of counters.
    pub counters: Vec<(Counter, CounterChange)>,
    /// What happened, in order; the store numbers them without gap.
    pub events: Vec<DomainEvent>,
    /// Who did it and why.
    pub audit: Option<AuditEntry>,
    /// The answer to remember.
    pub remembered: Option<Remembered>,
}

impl ChangeSet {
    /// Nothing to change yet.
    #[must_use]
    pub const fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            writes: Vec::new(),
            guards: Vec::new(),
            counters: Vec::new(),
            events: Vec::new(),
            audit: None,
            remembered: None,
        }
    }

    /// Adds a write.
    #[must_use]
    pub fn write(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// Changes a counter.
    #[must_use]
    pub fn count(mut self, counter: Counter, change: CounterChange) -> Self {
        self.counters.push((counter, change));
        self
    }

    /// Adds events in order.
    #[must_use]
    pub fn events(mut self, events: impl IntoIterator<Item = DomainEvent>) -> Self {
        self.events.extend(events);
        self
    }

    /// Says who did it.
    #[must_use]
    pub fn audit(mut self, entry: Option<AuditEntry>) -> Self {
        self.audit = entry;
        self
    }

    /// Remembers the answer.
    #[must_use]
    pub fn remember(mut self, answer: Option<Remembered>) -> Self {
        self.remembered = answer;
        self
    }
}
