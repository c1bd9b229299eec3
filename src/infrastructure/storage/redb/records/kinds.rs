//! Which kind of record lies in which table, for whoever walks all of them.

use super::{Chunk, Head, Number, Quarantined, Record, Reference};
use crate::application::ports::changes::Remembered;
use crate::domain::agent::Agent;
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::vitals::{Ended, Vitals};
use crate::domain::attention::AttentionItem;
use crate::domain::audit::StoredAudit;
use crate::domain::context::Context;
use crate::domain::context::merge::PendingMerge;
use crate::domain::context::write::Group;
use crate::domain::decompose::template::OwnTemplate;
use crate::domain::event::StoredEvent;
use crate::domain::session::Session;
use crate::domain::session::attempt::Attempt;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::task::Task;
use crate::domain::task::book::Book;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::ApiKey;
use crate::domain::tenant::user::User;
use crate::domain::usage::month::LimitsTold;
use crate::domain::usage::price::PriceTable;
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::DayUsage;
use crate::domain::version::Versioned;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::Delivery;
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::waiting::Waiting;
use crate::infrastructure::storage::redb::tables::Table;

/// What is done with a row, by what its table holds.
pub(in super::super) trait Visit {
    /// What comes of it.
    type Out;

    /// The table holds records of this kind.
    fn record<T: Record>(self) -> Self::Out;

    /// The table holds keys alone.
    fn mark(self) -> Self::Out;

    /// The table holds facts about the file.
    fn other(self) -> Self::Out;
}

/// Does what fits to the table.
pub(in super::super) fn visit<V: Visit>(table: Table, visit: V) -> V::Out {
    match table {
        Table::Sessions => visit.record::<Versioned<Session>>(),
        Table::Attempts => visit.record::<Versioned<Attempt>>(),
        Table::Checkpoints => visit.record::<Checkpoint>(),
        Table::Attention => visit.record::<Versioned<AttentionItem>>(),
        Table::Agents => visit.record::<Versioned<Agent>>(),
        Table::Tenants => visit.record::<Versioned<Tenant>>(),
        Table::ApiKeys => visit.record::<Versioned<ApiKey>>(),
        Table::Events => visit.record::<StoredEvent>(),
        Table::Audit => visit.record::<StoredAudit>(),
        Table::Heads => visit.record::<Head>(),
        Table::IdempotencyByExpiry => visit.record::<Remembered>(),
        Table::Journal => visit.record::<Chunk>(),
        Table::Quarantine => visit.record::<Quarantined>(),
        Table::Webhooks => visit.record::<Versioned<Webhook>>(),
        Table::WebhookProgress => visit.record::<Versioned<Progress>>(),
        Table::Deliveries => visit.record::<Versioned<Delivery>>(),
        Table::PendingDeliveries => visit.record::<Waiting>(),
        Table::Usage => visit.record::<UsageRecord>(),
        Table::UsageDays => visit.record::<Versioned<DayUsage>>(),
        Table::Prices => visit.record::<Versioned<PriceTable>>(),
        Table::LimitsTold => visit.record::<Versioned<LimitsTold>>(),
        Table::Users => visit.record::<Versioned<User>>(),
        Table::EndedWork => visit.record::<Ended>(),
        Table::Vitals => visit.record::<Versioned<Vitals>>(),
        Table::Heartbeats => visit.record::<Heartbeat>(),
        Table::Contexts => visit.record::<Versioned<Context>>(),
        Table::ContextHistory => visit.record::<Group>(),
        Table::ContextMerges => visit.record::<PendingMerge>(),
        Table::Tasks => visit.record::<Versioned<Task>>(),
        Table::TaskBooks => visit.record::<Versioned<Book>>(),
        Table::Templates => visit.record::<Versioned<OwnTemplate>>(),
        Table::SessionCodes
        | Table::TasksById
        | Table::AgentsByName
        | Table::TenantsBySlug
        | Table::UsersByEmail
        | Table::UsersByIdentity => visit.record::<Reference>(),
        Table::Idempotency
        | Table::Counters
        | Table::JournalHeads
        | Table::KeyUses
        | Table::ContextsByOwner => visit.record::<Number>(),
        Table::SessionsByStatus
        | Table::SessionsByParent
        | Table::SessionsByTag
        | Table::DueSessions
        | Table::AttentionBySession
        | Table::AttentionDue
        | Table::EventsBySession
        | Table::OwedChildren
        | Table::SessionsByAwaited
        | Table::ApiKeysBySecret
        | Table::KeysByHolder
        | Table::ContextsByAge
        | Table::EndedOwners
        | Table::TaskRuns => visit.mark(),
        Table::Meta => visit.other(),
    }
}
