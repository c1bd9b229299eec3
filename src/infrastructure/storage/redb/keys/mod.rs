//! The only builders of keys. Numbers are big-endian, so that the order of keys is theirs.
//!
//! Invariant: every builder of tenant data takes a `TenantId` and puts it first; the only ranges
//! over all tenants are stepped through tenant by tenant by `Fleet` and the writer.

mod contexts;
mod tasks;

use std::ops::Bound;

use sha2::{Digest, Sha256};

use crate::application::ports::changes::Counter;
use crate::application::ports::journal::Stream;
use crate::application::ports::vitals::WorkKey;
use crate::domain::ids::{
    AgentId, AttentionId, DeliveryId, KeyId, SessionId, TenantId, UserId, WebhookId,
};
use crate::domain::session::SessionCode;
use crate::domain::session::status::SessionStatus;
use crate::domain::tenant::user::ProviderIdentity;
use crate::domain::time::Timestamp;
use crate::domain::usage::period::{Day, Month};

pub(super) use self::contexts::{
    context, context_age, context_aged, context_ages, context_group, context_groups,
    context_histories, context_of, contexts, contexts_of,
};

pub(super) use self::tasks::{task, task_by_id, tasks_by_id, tasks_of, template, templates};

/// Bytes of a key.
pub(super) type Key = Vec<u8>;

/// A range of keys.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) low: Bound<Key>,
    pub(super) high: Bound<Key>,
}

impl Span {
    /// All keys of this width that begin so.
    fn of(prefix: Key, width: usize) -> Self {
        let mut high = prefix.clone();
        high.resize(width, 0xFF);
        let mut low = prefix;
        low.resize(width, 0);
        Self { low: Bound::Included(low), high: Bound::Included(high) }
    }

    /// Only what lies behind this key.
    pub(super) fn above(self, key: Key) -> Self {
        Self { low: Bound::Excluded(key), ..self }
    }

    /// Only what lies before this key.
    pub(super) fn below(self, key: Key) -> Self {
        Self { high: Bound::Excluded(key), ..self }
    }
}

fn join(parts: &[&[u8]]) -> Key {
    parts.concat()
}

/// The tenant that a key belongs to.
pub(super) fn tenant_of(key: &[u8]) -> Option<TenantId> {
    Some(TenantId::from_bytes(key.first_chunk::<16>().copied()?))
}

/// The last sixteen bytes: the id that most keys end with.
pub(super) fn tail_id(key: &[u8]) -> Option<[u8; 16]> {
    key.last_chunk::<16>().copied()
}

/// The last eight bytes as a number.
pub(super) fn tail_number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().copied().map(u64::from_be_bytes)
}

/// Everything from the tenant after this one; `None` behind the last possible.
pub(super) fn behind_tenant(tenant: TenantId) -> Option<Span> {
    let next = u128::from_be_bytes(*tenant.as_bytes()).checked_add(1)?;
    Some(Span { low: Bound::Included(next.to_be_bytes().to_vec()), high: Bound::Unbounded })
}

/// Everything of a table, for administration.
pub(super) fn everything() -> Span {
    Span { low: Bound::Unbounded, high: Bound::Unbounded }
}

/// Numbers of statuses inside keys: never changed, only appended.
const fn status_number(status: SessionStatus) -> u8 {
    match status {
        SessionStatus::Pending => 1,
        SessionStatus::Queued => 2,
        SessionStatus::Running => 3,
        SessionStatus::Paused => 4,
        SessionStatus::Completed => 5,
        SessionStatus::PartiallyCompleted => 6,
        SessionStatus::Failed => 7,
        SessionStatus::Timeout => 8,
        SessionStatus::Stopped => 9,
        SessionStatus::Cancelled => 10,
        SessionStatus::Orphaned => 11,
        SessionStatus::Degraded => 12,
    }
}

const fn stream_number(stream: Stream) -> u8 {
    match stream {
        Stream::Log => 1,
        Stream::Transcript => 2,
    }
}

fn tag_hash(tag: &str) -> [u8; 16] {
    let hash = Sha256::digest(tag.as_bytes());
    let mut cut = [0; 16];
    cut.copy_from_slice(&hash[..16]);
    cut
}

pub(super) fn session(tenant: TenantId, id: SessionId) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes()])
}

pub(super) fn sessions(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 32)
}

/// Sessions made before that one would be, behind another one.
pub(super) fn sessions_before(
    tenant: TenantId,
    first: SessionId,
    after: Option<SessionId>,
) -> Span {
    let span = sessions(tenant).below(session(tenant, first));
    match after {
        Some(after) => span.above(session(tenant, after)),
        None => span,
    }
}

pub(super) fn by_status(tenant: TenantId, status: SessionStatus, id: SessionId) -> Key {
    join(&[tenant.as_bytes(), &[status_number(status)], id.as_bytes()])
}

pub(super) fn in_status(tenant: TenantId, status: SessionStatus) -> Span {
    Span::of(join(&[tenant.as_bytes(), &[status_number(status)]]), 33)
}

pub(super) fn code(tenant: TenantId, code: SessionCode) -> Key {
    join(&[tenant.as_bytes(), &code.number().to_be_bytes()])
}

pub(super) fn by_parent(tenant: TenantId, parent: SessionId, id: SessionId) -> Key {
    join(&[tenant.as_bytes(), parent.as_bytes(), id.as_bytes()])
}

pub(super) fn of_parent(tenant: TenantId, parent: SessionId) -> Span {
    Span::of(join(&[tenant.as_bytes(), parent.as_bytes()]), 48)
}

pub(super) fn by_tag(tenant: TenantId, tag: &str, id: SessionId) -> Key {
    join(&[tenant.as_bytes(), &tag_hash(tag), id.as_bytes()])
}

pub(super) fn with_tag(tenant: TenantId, tag: &str) -> Span {
    Span::of(join(&[tenant.as_bytes(), &tag_hash(tag)]), 48)
}

pub(super) fn due(tenant: TenantId, at: Timestamp, id: [u8; 16]) -> Key {
    join(&[tenant.as_bytes(), &at.key_millis().to_be_bytes(), &id])
}

/// The instant in a key of what is due.
pub(super) fn due_at(key: &[u8]) -> Option<Timestamp> {
    let millis = u64::from_be_bytes(*key.get(16..)?.first_chunk::<8>()?);
    Some(Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
}

/// Everything of a tenant that is due at this instant or was before.
pub(super) fn due_until(tenant: TenantId, at: Timestamp) -> Span {
    Span {
        low: Bound::Included(due(tenant, Timestamp::EPOCH, [0; 16])),
        high: Bound::Included(due(tenant, at, [0xFF; 16])),
    }
}

/// Everything of a tenant from this instant to before that one.
pub(super) fn due_between(tenant: TenantId, from: Timestamp, to: Timestamp) -> Span {
    Span {
        low: Bound::Included(due(tenant, from, [0; 16])),
        high: Bound::Excluded(due(tenant, to, [0; 16])),
    }
}

/// Everything of a tenant that is ever due.
pub(super) fn all_due(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 40)
}

pub(super) fn attempt(tenant: TenantId, session: SessionId, number: u32) -> Key {
    join(&[tenant.as_bytes(), session.as_bytes(), &number.to_be_bytes()])
}

pub(super) fn attempts(tenant: TenantId, session: SessionId) -> Span {
    Span::of(join(&[tenant.as_bytes(), session.as_bytes()]), 36)
}

pub(super) fn checkpoint(tenant: TenantId, session: SessionId, sequence: u64) -> Key {
    join(&[tenant.as_bytes(), session.as_bytes(), &sequence.to_be_bytes()])
}

pub(super) fn checkpoints(tenant: TenantId, session: SessionId) -> Span {
    Span::of(join(&[tenant.as_bytes(), session.as_bytes()]), 40)
}

pub(super) fn attention(tenant: TenantId, id: AttentionId) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes()])
}

pub(super) fn all_attention(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 32)
}

pub(super) fn attention_by_session(tenant: TenantId, session: SessionId, id: AttentionId) -> Key {
    join(&[tenant.as_bytes(), session.as_bytes(), id.as_bytes()])
}

pub(super) fn attention_of(tenant: TenantId, session: SessionId) -> Span {
    Span::of(join(&[tenant.as_bytes(), session.as_bytes()]), 48)
}

pub(super) fn agent(tenant: TenantId, id: AgentId) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes()])
}

pub(super) fn agents(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 32)
}

/// All work of an agent that is not counted yet.
pub(super) fn ended_work_of(tenant: TenantId, agent: AgentId) -> Span {
    Span::of(join(&[tenant.as_bytes(), agent.as_bytes()]), 52)
}

/// Work of an agent that is not counted yet.
pub(super) fn ended_work(tenant: TenantId, (agent, session, number): WorkKey) -> Key {
    join(&[tenant.as_bytes(), agent.as_bytes(), session.as_bytes(), &number.to_be_bytes()])
}

pub(super) fn all_ended_work(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 52)
}

pub(super) fn agent_name(tenant: TenantId, name: &str) -> Key {
    join(&[tenant.as_bytes(), &Sha256::digest(name.as_bytes())])
}

/// The names of all agents of a tenant.
pub(super) fn agent_names(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 48)
}

pub(super) fn tenant(tenant: TenantId) -> Key {
    tenant.as_bytes().to_vec()
}

/// Slugs belong to nobody: each leads to one tenant.
pub(super) fn tenant_slug(slug: &str) -> Key {
    slug.as_bytes().to_vec()
}

pub(super) fn api_key(tenant: TenantId, id: KeyId) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes()])
}

pub(super) fn api_keys(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 32)
}

/// Keys are found by their secret before anybody knows a tenant.
pub(super) fn api_key_by_secret(hash: &[u8; 32], tenant: TenantId, id: KeyId) -> Key {
    join(&[hash, tenant.as_bytes(), id.as_bytes()])
}

pub(super) fn api_keys_by_secret(hash: &[u8; 32]) -> Span {
    Span::of(hash.to_vec(), 64)
}

/// Whose key it is that was found by its secret.
pub(super) fn holder(key: &[u8]) -> Option<(TenantId, KeyId)> {
    let tenant = TenantId::from_bytes(key.get(32..48)?.try_into().ok()?);
    Some((tenant, KeyId::from_bytes(tail_id(key)?)))
}

pub(super) fn user(tenant: TenantId, id: UserId) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes()])
}

pub(super) fn users(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 32)
}

/// By the address without case.
pub(super) fn user_email(tenant: TenantId, folded: &str) -> Key {
    join(&[tenant.as_bytes(), &Sha256::digest(folded.as_bytes())])
}

/// By the identity provider and its name for somebody.
pub(super) fn user_identity(tenant: TenantId, identity: &ProviderIdentity) -> Key {
    let ProviderIdentity { issuer, subject } = identity;
    // The length keeps the two apart, whatever they are made of.
    let length = (issuer.len() as u64).to_be_bytes();
    let both = [&length, issuer.as_bytes(), subject.as_bytes()].concat();
    join(&[tenant.as_bytes(), &Sha256::digest(both)])
}

/// Invitations are held by nobody yet.
pub(super) fn held_key(tenant: TenantId, holder: Option<UserId>, id: KeyId) -> Key {
    let nobody = UserId::from_bytes([0; 16]);
    join(&[tenant.as_bytes(), holder.unwrap_or(nobody).as_bytes(), id.as_bytes()])
}

pub(super) fn held_keys(tenant: TenantId, holder: Option<UserId>) -> Span {
    let nobody = UserId::from_bytes([0; 16]);
    Span::of(join(&[tenant.as_bytes(), holder.unwrap_or(nobody).as_bytes()]), 48)
}

/// For the two logs of a tenant, events and audit.
pub(super) fn numbered(tenant: TenantId, seq: u64) -> Key {
    join(&[tenant.as_bytes(), &seq.to_be_bytes()])
}

pub(super) fn numbers(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 24)
}

pub(super) fn event_by_session(tenant: TenantId, session: SessionId, seq: u64) -> Key {
    join(&[tenant.as_bytes(), session.as_bytes(), &seq.to_be_bytes()])
}

pub(super) fn events_of(tenant: TenantId, session: SessionId) -> Span {
    Span::of(join(&[tenant.as_bytes(), session.as_bytes()]), 40)
}

pub(super) fn remembered(tenant: TenantId, key: &[u8; 32]) -> Key {
    join(&[tenant.as_bytes(), key])
}

pub(super) fn expiry(tenant: TenantId, at: Timestamp, key: &[u8; 32]) -> Key {
    join(&[tenant.as_bytes(), &at.key_millis().to_be_bytes(), key])
}

/// Every remembered answer of a tenant whose time is over at this instant.
pub(super) fn expired(tenant: TenantId, at: Timestamp) -> Span {
    Span {
        low: Bound::Included(expiry(tenant, Timestamp::EPOCH, &[0; 32])),
        high: Bound::Included(expiry(tenant, at, &[0xFF; 32])),
    }
}

pub(super) fn counter(tenant: TenantId, counter: Counter) -> Key {
    let of_month =
        |kind: u8, month: Month| join(&[tenant.as_bytes(), &[kind], &month.number().to_be_bytes()]);
    let (kind, status) = match counter {
        Counter::OpenSessions => (1, 0),
        Counter::SessionsIn(status) => (2, status_number(status)),
        Counter::SessionCodes => (3, 0),
        Counter::FencingTokens => (4, 0),
        Counter::Webhooks => (16, 0),
        Counter::DaysWorkDone => (17, 0),
        Counter::ClockDoubted => (18, 0),
        Counter::ApiKeys => (19, 0),
        Counter::Users => (20, 0),
        Counter::StoredBytes => (21, 0),
        Counter::Agents => (22, 0),
        Counter::MonthTokens(month) => return of_month(32, month),
        Counter::MonthMicros(month) => return of_month(33, month),
    };
    join(&[tenant.as_bytes(), &[kind, status]])
}

pub(super) fn stream(tenant: TenantId, session: SessionId, stream: Stream) -> Key {
    join(&[tenant.as_bytes(), session.as_bytes(), &[stream_number(stream)]])
}

pub(super) fn chunk(tenant: TenantId, session: SessionId, of: Stream, first: u64) -> Key {
    join(&[&stream(tenant, session, of), &first.to_be_bytes()])
}

/// Lies among the heads of the streams, whose numbers begin at 1.
pub(super) fn journal_weight(tenant: TenantId, session: SessionId) -> Key {
    join(&[tenant.as_bytes(), session.as_bytes(), &[0]])
}

/// The heads of all journals of a tenant, weights among them.
pub(super) fn journal_heads(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 33)
}

/// Whether a head is a weight.
pub(super) fn is_journal_weight(key: &[u8]) -> bool {
    key.last() == Some(&0)
}

/// Every checkpoint of a tenant.
pub(super) fn all_checkpoints(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 40)
}

pub(super) fn chunks(tenant: TenantId, session: SessionId, of: Stream) -> Span {
    Span::of(stream(tenant, session, of), 41)
}

pub(super) fn webhook(tenant: TenantId, id: WebhookId) -> Key {
    join(&[tenant.as_bytes(), id.as_bytes()])
}

pub(super) fn webhooks(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 32)
}

pub(super) fn delivery(tenant: TenantId, webhook: WebhookId, id: DeliveryId) -> Key {
    join(&[tenant.as_bytes(), webhook.as_bytes(), id.as_bytes()])
}

pub(super) fn deliveries(tenant: TenantId, webhook: WebhookId) -> Span {
    Span::of(join(&[tenant.as_bytes(), webhook.as_bytes()]), 48)
}

pub(super) fn day(tenant: TenantId, day: Day) -> Key {
    join(&[tenant.as_bytes(), &day.number().to_be_bytes()])
}

pub(super) fn days(tenant: TenantId) -> Span {
    Span::of(tenant.as_bytes().to_vec(), 20)
}

/// The day in a key.
pub(super) fn day_of(key: &[u8]) -> Option<Day> {
    Some(Day::from_number(u32::from_be_bytes(*key.last_chunk::<4>()?)))
}

pub(super) fn quarantine(table: u8, key: &[u8]) -> Key {
    join(&[&[table], key])
}
