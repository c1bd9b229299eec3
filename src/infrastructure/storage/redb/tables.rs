//! Every table on one screen. Keys are fixed-width bytes, tenant first; values are enveloped
//! records, or empty where the key says everything.
//!
//! Invariant: a key layout never changes. A new layout is a new table (`.k2`) and a migration.
//! Every table has plain byte keys and values, because redb writes type names into the file and
//! ours will change.

use redb::TableDefinition;

/// The one type of every table.
pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

macro_rules! tables {
    ($($(#[$meta:meta])* $table:ident = $name:literal),+ $(,)?) => {
        /// A table of the store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Table { $($(#[$meta])* $table),+ }

        impl Table {
            /// Every table.
            pub(super) const ALL: &'static [Self] = &[$(Self::$table),+];

            /// Its name in the file.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$table => $name),+ }
            }
        }
    };
}

tables! {
    /// tenant(16) ‖ session(16) → session
    Sessions = "sessions.k1",
    /// tenant(16) ‖ status(1) ‖ session(16) → (): in order of creation within a status
    SessionsByStatus = "sessions_by_status.k1",
    /// tenant(16) ‖ code(8) → session id
    SessionCodes = "session_codes.k1",
    /// tenant(16) ‖ parent(16) ‖ session(16) → ()
    SessionsByParent = "sessions_by_parent.k1",
    /// tenant(16) ‖ SHA-256 of the tag, cut(16) ‖ session(16) → ()
    SessionsByTag = "sessions_by_tag.k1",
    /// tenant(16) ‖ due at, ms(8) ‖ session(16) → ()
    DueSessions = "due_sessions.k1",
    /// tenant(16) ‖ session(16) ‖ number(4) → attempt
    Attempts = "attempts.k1",
    /// tenant(16) ‖ session(16) ‖ sequence(8) → checkpoint
    Checkpoints = "checkpoints.k1",
    /// tenant(16) ‖ item(16) → attention item
    Attention = "attention.k1",
    /// tenant(16) ‖ session(16) ‖ item(16) → ()
    AttentionBySession = "attention_by_session.k1",
    /// tenant(16) ‖ deadline, ms(8) ‖ item(16) → (), while the item is open
    AttentionDue = "attention_due.k1",
    /// tenant(16) ‖ agent(16) → agent
    Agents = "agents.k1",
    /// tenant(16) ‖ SHA-256 of the name(32) → agent id
    AgentsByName = "agents_by_name.k1",
    /// tenant(16) → tenant
    Tenants = "tenants.k1",
    /// tenant(16) ‖ key(16) → API key
    ApiKeys = "api_keys.k1",
    /// tenant(16) ‖ seq(8) → event; gap-free per tenant, numbered at commit
    Events = "events.k1",
    /// tenant(16) ‖ session(16) ‖ seq(8) → ()
    EventsBySession = "events_by_session.k1",
    /// tenant(16) ‖ seq(8) → audit entry with its hashes
    Audit = "audit.k1",
    /// tenant(16) → newest numbers of events and audit, newest hash of the audit
    Heads = "heads.k1",
    /// tenant(16) ‖ key(32) → when it may be forgotten; in no order, so it is kept small
    Idempotency = "idempotency.k1",
    /// tenant(16) ‖ expires at, ms(8) ‖ key(32) → remembered answer
    IdempotencyByExpiry = "idempotency_by_expiry.k1",
    /// tenant(16) ‖ counter(1) ‖ status(1) → number; tenant(16) ‖ counter(1) ‖ month(4) → number
    Counters = "counters.k1",
    /// tenant(16) ‖ session(16) ‖ stream(1) ‖ first seq(8) → chunk of entries
    Journal = "journal.k1",
    /// tenant(16) ‖ session(16) ‖ stream(1) → newest number of the stream
    JournalHeads = "journal_heads.k1",
    /// table(1) ‖ key → the damaged bytes and why they were set aside
    Quarantine = "quarantine.k1",
    /// name → facts about the file itself
    Meta = "meta.k1",
    /// tenant(16) ‖ webhook(16) → webhook
    Webhooks = "webhooks.k1",
    /// tenant(16) ‖ webhook(16) → how far it was told
    WebhookProgress = "webhook_progress.k1",
    /// tenant(16) ‖ webhook(16) ‖ delivery(16) → delivery
    Deliveries = "deliveries.k1",
    /// tenant(16) ‖ webhook(16) ‖ delivery(16) → what decides its turn, while the delivery is pending
    PendingDeliveries = "pending_deliveries.k1",
    /// tenant(16) ‖ ended at, ms(8) ‖ session(16) → (), until its children are treated
    OwedChildren = "owed_children.k1",
    /// tenant(16) ‖ recorded at, ms(8) ‖ record(16) → record of use
    Usage = "usage.k1",
    /// tenant(16) ‖ day(4) → roll-up of the day
    UsageDays = "usage_days.k1",
    /// tenant(16) → prices
    Prices = "prices.k1",
    /// tenant(16) → what it was told of the bounds of its month
    LimitsTold = "limits_told.k1",
    /// tenant(16) ‖ awaited session(16) ‖ session that comes after it(16) → ()
    SessionsByAwaited = "sessions_by_awaited.k1",
    /// SHA-256 of a secret(32) ‖ tenant(16) ‖ key(16) → (); asked before a tenant is known
    ApiKeysBySecret = "api_keys_by_secret.k1",
    /// slug → tenant
    TenantsBySlug = "tenants_by_slug.k1",
    /// tenant(16) ‖ user(16) → user
    Users = "users.k1",
    /// tenant(16) ‖ SHA-256 of the e-mail address without case(32) → user id
    UsersByEmail = "users_by_email.k1",
    /// tenant(16) ‖ user(16), zeros for invitations ‖ key(16) → (), while the key is not revoked
    KeysByHolder = "keys_by_holder.k1",
    /// tenant(16) ‖ key(16) → when it was last used, in milliseconds
    KeyUses = "key_uses.k1",
    /// tenant(16) ‖ SHA-256 of an identity provider's name for somebody(32) → user id
    UsersByIdentity = "users_by_identity.k1",
    /// tenant(16) ‖ agent(16) ‖ session(16) ‖ number(4) → work that ended and is not counted yet
    EndedWork = "ended_work.k1",
    /// tenant(16) ‖ agent(16) → how it does
    Vitals = "vitals.k1",
    /// tenant(16) ‖ agent(16) → its newest heartbeat
    Heartbeats = "heartbeats.k1",
    /// tenant(16) ‖ context(16) → context
    Contexts = "contexts.k1",
    /// tenant(16) ‖ kind of owner(1) ‖ owner(16), zeros for the tenant ‖ context(16) → its version
    ContextsByOwner = "contexts_by_owner.k1",
    /// tenant(16) ‖ scope(1) ‖ last written, ms(8) ‖ context(16) → ()
    ContextsByAge = "contexts_by_age.k1",
    /// tenant(16) ‖ context(16) ‖ version(8) → what that version changed
    ContextHistory = "context_history.k1",
    /// tenant(16) ‖ context to be(16) → merge that waits
    ContextMerges = "context_merges.k1",
    /// tenant(16) ‖ session(16) → (), since its end, until its contexts were looked at
    EndedOwners = "ended_owners.k1",
    /// tenant(16) ‖ session(16) ‖ task(16) → task
    Tasks = "tasks.k1",
    /// tenant(16) ‖ task(16) → its session, while it is not deleted
    TasksById = "tasks_by_id.k1",
    /// tenant(16) ‖ session(16) → how its tasks are executed
    TaskBooks = "task_books.k1",
    /// tenant(16) ‖ session(16) → (), while its tasks are given out
    TaskRuns = "task_runs.k1",
    /// tenant(16) ‖ SHA-256 of the key(32) → template of the tenant's own
    Templates = "templates.k1",
}

impl Table {
    /// How redb is told of it.
    pub(super) const fn definition(self) -> Definition {
        TableDefinition::new(self.name())
    }

    /// Its place in `ALL`.
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}
