//! What leads to a record: the rows that stand beside it in other tables, made from it alone.
//!
//! Invariant: these are the rows that the planner writes with the record; a store that is made from
//! an export has them from here.

use super::contexts;
use super::keys::{self, Key};
use super::people;
use super::plan::{attention_entries, indexes};
use super::records::{self, Number, Record, Reference, Unreadable};
use super::tables::Table;
use crate::domain::agent::Agent;
use crate::domain::attention::AttentionItem;
use crate::domain::audit::StoredAudit;
use crate::domain::context::Context;
use crate::domain::context::merge::PendingMerge;
use crate::domain::context::write::Group;
use crate::domain::decompose::template::OwnTemplate;
use crate::domain::event::StoredEvent;
use crate::domain::ids::TenantId;
use crate::domain::session::Session;
use crate::domain::session::attempt::Attempt;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::task::Task;
use crate::domain::task::book::Book;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::ApiKey;
use crate::domain::tenant::user::User;
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::DayUsage;
use crate::domain::version::Versioned;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Delivery, DeliveryState};
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::waiting::Waiting;
use crate::infrastructure::storage::shared::sessions_of;

/// A row beside a record.
pub(super) type Entry = (Table, Key, Vec<u8>);

/// Why a record does not stand where it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misplaced {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It belongs under another key.
    #[error("the record belongs under another key")]
    Key,
    /// What leads to it cannot be written.
    #[error(transparent)]
    Unstorable(#[from] records::Unstorable),
}

/// The rows beside the record under this key of an exported table, which must be its own.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing leads to the records of other tables")]
pub(super) fn entries(table: Table, key: &[u8], bytes: &[u8]) -> Result<Vec<Entry>, Misplaced> {
    let tenant = keys::tenant_of(key).ok_or(Misplaced::Key)?;
    let (own, beside) = match table {
        Table::Sessions => {
            let Versioned { value, .. }: Versioned<Session> = records::open(key, bytes)?;
            let code = keys::code(value.tenant_id, value.code);
            let mut beside = marks(indexes(&value));
            beside.push(leads(Table::SessionCodes, code, *value.id.as_bytes())?);
            (keys::session(value.tenant_id, value.id), beside)
        }
        Table::Attention => {
            let Versioned { value, .. }: Versioned<AttentionItem> = records::open(key, bytes)?;
            let own = keys::attention(value.tenant_id, value.id);
            (own, marks(attention_entries(value.tenant_id, &value)))
        }
        Table::Agents => {
            let Versioned { value, .. }: Versioned<Agent> = records::open(key, bytes)?;
            let name = keys::agent_name(value.tenant_id, &value.name);
            let by_name = || leads(Table::AgentsByName, name, *value.id.as_bytes());
            let beside = value.deleted_at.is_none().then(by_name).transpose()?;
            (keys::agent(value.tenant_id, value.id), beside.into_iter().collect())
        }
        Table::Tenants => {
            let Versioned { value, .. }: Versioned<Tenant> = records::open(key, bytes)?;
            let slug = keys::tenant_slug(&value.slug);
            let beside = leads(Table::TenantsBySlug, slug, *value.id.as_bytes())?;
            (keys::tenant(value.id), vec![beside])
        }
        Table::ApiKeys => {
            let Versioned { value, .. }: Versioned<ApiKey> = records::open(key, bytes)?;
            let by_secret = value.secrets.iter().map(|secret| {
                let key = keys::api_key_by_secret(&secret.hash, value.tenant_id, value.id);
                (Table::ApiKeysBySecret, key)
            });
            let by_holder = people::holder(&value).map(|key| (Table::KeysByHolder, key));
            let beside = marks(by_secret.chain(by_holder).collect());
            (keys::api_key(value.tenant_id, value.id), beside)
        }
        Table::Users => {
            let Versioned { value, .. }: Versioned<User> = records::open(key, bytes)?;
            let email = keys::user_email(value.tenant_id, &value.folded_email());
            let mut beside = vec![leads(Table::UsersByEmail, email, *value.id.as_bytes())?];
            if let Some(identity) = &value.identity {
                let key = keys::user_identity(value.tenant_id, identity);
                beside.push(leads(Table::UsersByIdentity, key, *value.id.as_bytes())?);
            }
            (keys::user(value.tenant_id, value.id), beside)
        }
        Table::Events => {
            let event: StoredEvent = records::open(key, bytes)?;
            let by_session = sessions_of(&event.event).into_iter().map(|session| {
                let key = keys::event_by_session(event.tenant_id, session, event.seq);
                (Table::EventsBySession, key)
            });
            (keys::numbered(event.tenant_id, event.seq), marks(by_session.collect()))
        }
        Table::Deliveries => {
            let Versioned { value, .. }: Versioned<Delivery> = records::open(key, bytes)?;
            let own = keys::delivery(tenant, value.webhook_id, value.id);
            let pending = value.state == DeliveryState::Pending;
            let waiting = || sealed(Table::PendingDeliveries, own.clone(), &Waiting::of(&value));
            let beside = pending.then(waiting).transpose()?;
            (own, beside.into_iter().collect())
        }
        Table::Contexts => {
            let Versioned { value, version }: Versioned<Context> = records::open(key, bytes)?;
            let version = Number(i64::try_from(version.get()).unwrap_or(i64::MAX));
            let mut beside = marks(vec![(Table::ContextsByAge, contexts::age(&value))]);
            for owner in contexts::owners(&value) {
                beside.push(sealed(Table::ContextsByOwner, owner, &version)?);
            }
            (keys::context(value.tenant_id, value.id), beside)
        }
        Table::Tasks => {
            let Versioned { value, .. }: Versioned<Task> = records::open(key, bytes)?;
            let by_id = keys::task_by_id(value.tenant_id, value.id);
            let named = || leads(Table::TasksById, by_id, *value.session_id.as_bytes());
            let beside = value.deleted_at.is_none().then(named).transpose()?;
            (keys::task(tenant, value.session_id, value.id), beside.into_iter().collect())
        }
        Table::TaskBooks => {
            let Versioned { value, .. }: Versioned<Book> = records::open(key, bytes)?;
            let own = keys::session(value.tenant_id, value.session_id);
            let run = value.is_running().then(|| (Table::TaskRuns, own.clone()));
            (own, marks(run.into_iter().collect()))
        }
        other => return alone(other, tenant, key, bytes).map(|()| Vec::new()),
    };
    if own == key { Ok(beside) } else { Err(Misplaced::Key) }
}

/// Looks at a record that nothing leads to but its key.
#[expect(clippy::wildcard_enum_match_arm, reason = "keys of other tables are all that tells")]
fn alone(table: Table, tenant: TenantId, key: &[u8], bytes: &[u8]) -> Result<(), Misplaced> {
    let own = match table {
        Table::Attempts => {
            let Versioned { value, .. }: Versioned<Attempt> = records::open(key, bytes)?;
            keys::attempt(tenant, value.session_id, value.number)
        }
        Table::Checkpoints => {
            let checkpoint: Checkpoint = records::open(key, bytes)?;
            keys::checkpoint(tenant, checkpoint.session_id, checkpoint.sequence)
        }
        Table::Audit => {
            let entry: StoredAudit = records::open(key, bytes)?;
            keys::numbered(entry.place.tenant_id, entry.place.seq)
        }
        Table::Webhooks => {
            let Versioned { value, .. }: Versioned<Webhook> = records::open(key, bytes)?;
            keys::webhook(value.tenant_id, value.id)
        }
        Table::WebhookProgress => {
            let Versioned { value, .. }: Versioned<Progress> = records::open(key, bytes)?;
            keys::webhook(value.tenant_id, value.webhook_id)
        }
        Table::Usage => {
            let record: UsageRecord = records::open(key, bytes)?;
            keys::due(record.tenant_id, record.recorded_at, *record.id.as_bytes())
        }
        Table::UsageDays => {
            let Versioned { value, .. }: Versioned<DayUsage> = records::open(key, bytes)?;
            keys::day(tenant, value.day)
        }
        Table::ContextHistory => {
            let group: Group = records::open(key, bytes)?;
            keys::context_group(group.tenant_id, group.context_id, group.version)
        }
        Table::ContextMerges => {
            let merge: PendingMerge = records::open(key, bytes)?;
            keys::context(merge.tenant_id, merge.id)
        }
        Table::Templates => {
            let Versioned { value, .. }: Versioned<OwnTemplate> = records::open(key, bytes)?;
            keys::template(value.tenant_id, &value.template.key)
        }
        // Their keys say more than they do.
        _ => return Ok(()),
    };
    if own == key { Ok(()) } else { Err(Misplaced::Key) }
}

fn marks(keys: Vec<(Table, Key)>) -> Vec<Entry> {
    keys.into_iter().map(|(table, key)| (table, key, Vec::new())).collect()
}

fn leads(table: Table, key: Key, id: [u8; 16]) -> Result<Entry, Misplaced> {
    sealed(table, key, &Reference(id))
}

fn sealed<T: Record>(table: Table, key: Key, record: &T) -> Result<Entry, Misplaced> {
    let value = records::seal(&key, record)?;
    Ok((table, key, value))
}
