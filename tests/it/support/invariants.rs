//! The invariants that hold in every store at every moment, whatever happened to the server: one
//! checker for every test that breaks something. Names are those of the guarantees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orchestrator::application::ports::changes::Counter;
use orchestrator::application::ports::reads::{Order, Recount, SessionQuery, Snapshot};
use orchestrator::application::ports::store::{Store, StoreError};
use orchestrator::domain::attention::{Attention, AttentionItem, AttentionKind, AttentionState};
use orchestrator::domain::event::{EventType, StoredEvent, SubjectKind};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::Session;
use orchestrator::domain::session::attempt::Attempt;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::usage::Usage;
use orchestrator::domain::usage::month::counted;
use orchestrator::domain::usage::record::UsageRecord;

/// Events are kept for so long at least.
const KEPT: Duration = Duration::from_hours(29 * 24);

/// Everything of one tenant that is checked, at one moment.
pub(crate) struct Shown {
    pub(crate) tenant: TenantId,
    /// When the tenant was made.
    pub(crate) began: Timestamp,
    /// With their versions; deleted ones too, as long as events name them.
    pub(crate) sessions: BTreeMap<SessionId, (u64, Session)>,
    pub(crate) attempts: BTreeMap<SessionId, Vec<Attempt>>,
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) items: Vec<AttentionItem>,
    pub(crate) requests: BTreeSet<String>,
    pub(crate) usage: Vec<UsageRecord>,
}

/// What is wrong with a store, and what it shows of each tenant.
pub(crate) async fn broken(store: &dyn Store) -> Result<(Vec<String>, Vec<Shown>), StoreError> {
    let (mut wrong, mut all) = (Vec::new(), Vec::new());
    let tenants = store.fleet().await?.tenants().await?;
    for tenant in tenants {
        let snapshot = store.snapshot(tenant.value.id).await?;
        let shown = show(&*snapshot, &tenant.value, &mut wrong).await?;
        counters(&*snapshot, &shown, &mut wrong).await?;
        storage(store, &shown, &mut wrong).await?;
        quotas(&shown, &tenant.value.quotas, &mut wrong);
        owners(&shown, &mut wrong);
        for (id, (_, session)) in &shown.sessions {
            standing(session, &shown.attempts[id], &mut wrong);
            attention(session, &shown.items, &mut wrong);
            usage(session, &shown, &mut wrong);
        }
        order(&shown, &mut wrong);
        history(&shown, &mut wrong);
        all.push(shown);
    }
    let mut seen = BTreeMap::new();
    for shown in &all {
        for id in shown.sessions.keys() {
            if let Some(other) = seen.insert(*id, shown.tenant) {
                wrong.push(format!("I10: {id} is shown to {other} and to {}", shown.tenant));
            }
        }
    }
    Ok((wrong, all))
}

async fn show(
    snapshot: &dyn Snapshot,
    of: &Tenant,
    wrong: &mut Vec<String>,
) -> Result<Shown, StoreError> {
    let (tenant, began) = (of.id, of.created_at);
    let events = snapshot.events(0, None, usize::MAX).await?;
    let mut sessions = BTreeMap::new();
    let mut query =
        SessionQuery { limit: 200, order: Order::OldestFirst, ..SessionQuery::default() };
    loop {
        let page = snapshot.sessions(query.clone()).await?;
        if page.skipped > 0 {
            wrong.push(format!("{} records are damaged", page.skipped));
        }
        for found in page.items {
            sessions.insert(found.value.id, (found.version.get(), found.value));
        }
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    for event in events.iter().filter(|event| event.event.event_type == EventType::SessionDeleted) {
        let id = SessionId::new(event.event.subject.id);
        if let Some(found) = snapshot.deleted_session(id).await? {
            sessions.insert(id, (found.version.get(), found.value));
        }
    }
    let mut attempts = BTreeMap::new();
    for id in sessions.keys() {
        let found = snapshot.attempts(*id).await?;
        attempts.insert(*id, found.into_iter().map(|found| found.value).collect());
    }
    let items = snapshot.attention_items(None, None, None, usize::MAX).await?;
    let items = items.into_iter().map(|found| found.value).collect();
    let chain = snapshot.audit(0, usize::MAX).await?;
    if let Err(number) = crate::contract::logs::verify_chain(&chain) {
        wrong.push(format!("I11: the audit chain of {tenant} breaks at {number}"));
    }
    let requests = chain.into_iter().filter_map(|entry| entry.entry.request_id).collect();
    let (from, to) = (Timestamp::EPOCH, Timestamp::from_millis(i64::MAX / 2));
    let usage = snapshot.usage_records(from, to, None, usize::MAX).await?;
    Ok(Shown { tenant, began, sessions, attempts, events, items, requests, usage })
}

/// I7: counters are the rows.
async fn counters(
    snapshot: &dyn Snapshot,
    shown: &Shown,
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    let live = shown.sessions.values().map(|(_, session)| session);
    let live = live.filter(|session| session.stamps.deleted_at.is_none());
    let statuses: Vec<SessionStatus> = live.map(Session::status).collect();
    let count = |wanted: &dyn Fn(SessionStatus) -> bool| {
        i64::try_from(statuses.iter().filter(|status| wanted(**status)).count()).expect("few")
    };
    let mut expected = vec![(Counter::OpenSessions, count(&SessionStatus::is_open))];
    for status in SessionStatus::ALL {
        expected.push((Counter::SessionsIn(*status), count(&|known| known == *status)));
    }
    for (month, (tokens, micros)) in counted(&shown.usage) {
        expected.push((Counter::MonthTokens(month), tokens));
        expected.push((Counter::MonthMicros(month), micros));
    }
    for (counter, rows) in expected {
        let counted = snapshot.counter(counter).await?;
        if counted != rows {
            let tenant = shown.tenant;
            wrong.push(format!("I7: {counter:?} of {tenant} is {counted} for {rows} rows"));
        }
    }
    Ok(())
}

/// I7: bytes are counted as they lie there, where a store can tell.
async fn storage(
    store: &dyn Store,
    shown: &Shown,
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    let recount = store.fleet().await?.recount(shown.tenant, Counter::StoredBytes).await?;
    if let Some(Recount { stored, counted }) = recount
        && stored != Some(counted)
    {
        let tenant = shown.tenant;
        wrong.push(format!("I7: {stored:?} bytes of {tenant} are counted, and {counted} stored"));
    }
    Ok(())
}

/// I7: and within their bounds, as long as nobody lowered these.
fn quotas(
    shown: &Shown,
    quotas: &orchestrator::domain::tenant::quotas::Quotas,
    wrong: &mut Vec<String>,
) {
    let live = shown.sessions.values().map(|(_, session)| session);
    let live: Vec<&Session> = live.filter(|session| session.stamps.deleted_at.is_none()).collect();
    let open = live.iter().filter(|session| session.status().is_open()).count() as u64;
    let queued = live.iter().filter(|session| session.status() == SessionStatus::Queued).count();
    if quotas.max_concurrent_sessions.is_some_and(|limit| open > limit) {
        wrong.push(format!("I7: {} has {open} open sessions", shown.tenant));
    }
    if quotas.max_queue_depth.is_some_and(|limit| queued as u64 > limit) {
        wrong.push(format!("I7: {} has {queued} queued sessions", shown.tenant));
    }
}

/// I10: everything that is shown is the tenant's own.
fn owners(shown: &Shown, wrong: &mut Vec<String>) {
    let tenant = shown.tenant;
    let foreign = shown.sessions.values().any(|(_, session)| session.tenant_id != tenant)
        || shown.events.iter().any(|event| event.tenant_id != tenant)
        || shown.items.iter().any(|item| item.tenant_id != tenant);
    if foreign {
        wrong.push(format!("I10: {tenant} is shown what is not its own"));
    }
}

/// I5, I6, I8: attempts, leases and deadlines of a session, as it stands.
fn standing(session: &Session, attempts: &[Attempt], wrong: &mut Vec<String>) {
    let (code, status) = (session.code, session.status());
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    // A retry of a session that waited in vain leaves a number out.
    if !numbers.is_sorted_by(|left, right| left < right) || numbers.first() == Some(&0) {
        wrong.push(format!("I5: the attempts of {code} are numbered {numbers:?}"));
    }
    let leases = attempts.iter().flat_map(|attempt| &attempt.leases);
    let tokens: Vec<u64> = leases.map(|lease| lease.fencing_token).collect();
    if !tokens.is_sorted_by(|left, right| left < right) {
        wrong.push(format!("I5: the tokens of {code} do not rise: {tokens:?}"));
    }
    let held: Vec<u64> = attempts
        .iter()
        .flat_map(|attempt| &attempt.leases)
        .filter(|lease| lease.released_at.is_none())
        .map(|lease| lease.fencing_token)
        .collect();
    let lease = session.run.lease.as_ref().map(|lease| lease.fencing_token);
    if status.is_executing() {
        if lease.is_none() || lease != tokens.last().copied() || held.len() != 1 {
            wrong.push(format!("I6: {code} is {status} under {lease:?}, held are {held:?}"));
        }
    } else if lease.is_some() || !held.is_empty() {
        wrong.push(format!("I6: {code} is {status}, and {lease:?} {held:?} are held"));
    }
    let open = attempts.iter().filter(|attempt| attempt.ended_at.is_none()).count();
    let may_be_open = status.is_executing() || status == SessionStatus::Paused;
    if open > usize::from(may_be_open) {
        wrong.push(format!("I6: {code} is {status} with {open} open attempts"));
    }
    let waits_for_person = session.run.blocking_items > 0;
    let must_end = status.is_executing() && !waits_for_person;
    if must_end && session.deadline().is_none() {
        wrong.push(format!("I8: {code} is {status} without a deadline"));
    }
}

/// What comes after others has not begun before they completed.
fn order(shown: &Shown, wrong: &mut Vec<String>) {
    for (_, session) in shown.sessions.values() {
        let Some(queued) = session.stamps.queued_at else { continue };
        for before in &session.lineage.after {
            // One that was deleted since may be shown no longer.
            let Some((_, before)) = shown.sessions.get(before) else { continue };
            if before.stamps.completed_at.is_none_or(|completed| completed > queued) {
                let (code, other, status) = (session.code, before.code, before.status());
                wrong.push(format!("{code} began at {queued}, and {other} before it is {status}"));
            }
        }
    }
}

/// Items are open only while somebody works on their session, and the session knows of them.
fn attention(session: &Session, items: &[AttentionItem], wrong: &mut Vec<String>) {
    let open: Vec<&AttentionItem> = items
        .iter()
        .filter(|item| item.session_id == session.id && item.state == AttentionState::Open)
        .collect();
    let (code, status) = (session.code, session.status());
    if status.is_terminal() && !open.is_empty() {
        wrong.push(format!("I8: {code} is {status} with {} open items", open.len()));
    }
    let blocking = open.iter().filter(|item| item.kind.blocks()).count();
    if usize::try_from(session.run.blocking_items).ok() != Some(blocking) {
        let known = session.run.blocking_items;
        wrong.push(format!("I2: {code} knows of {known} blocking items of {blocking}"));
    }
    let most = open.iter().map(|item| item.kind).min();
    let shown = most.map_or(Attention::None, AttentionKind::attention);
    if session.attention != shown {
        wrong.push(format!("I2: {code} shows {}, open is {shown}", session.attention));
    }
}

/// I12: what a session used is the sum of its records, which are one for each call.
fn usage(session: &Session, shown: &Shown, wrong: &mut Vec<String>) {
    let (code, metrics) = (session.code, &session.metrics);
    let own: Vec<_> = shown.usage.iter().filter(|it| it.session_id == session.id).collect();
    let sum = own.iter().fold(Usage::default(), |sum, record| sum.plus(&record.usage));
    let (counted, recorded) = (metrics.usage.tokens_total(), sum.tokens_total());
    if counted != recorded || own.len() as u64 != metrics.api_calls_count {
        let (calls, records) = (metrics.api_calls_count, own.len());
        wrong.push(format!(
            "I12: {code} counts {counted} tokens of {calls} calls, recorded are {recorded} of {records}"
        ));
    }
    let calls: Vec<&String> =
        shown.attempts[&session.id].iter().flat_map(|attempt| &attempt.counted_calls).collect();
    let distinct: BTreeSet<_> = calls.iter().collect();
    if distinct.len() != calls.len() || calls.len() != own.len() {
        let (records, calls, distinct) = (own.len(), calls.len(), distinct.len());
        wrong.push(format!(
            "I12: {code} has {records} records of {calls} calls, of which {distinct} are different"
        ));
    }
}

/// I3, I4: events are numbered without gap, and tell how each session came to stand where it does.
fn history(shown: &Shown, wrong: &mut Vec<String>) {
    let (count, oldest) = (shown.events.len() as u64, shown.events.first());
    let (first, newest) = (oldest.map_or(1, |event| event.seq), shown.events.last());
    let lasted = newest.map(|event| event.event.occurred_at.since(shown.began));
    // The oldest go after a while.
    let is_cut = (first > 1 || oldest.is_none()) && lasted.is_none_or(|lasted| lasted >= KEPT);
    let follows = shown.events.iter().map(|event| event.seq).eq(first..first + count);
    if !follows || first > 1 && !is_cut {
        wrong.push(format!("I4: the events of {} are not numbered from 1", shown.tenant));
    }
    let mut told: BTreeMap<SessionId, SessionStatus> = BTreeMap::new();
    for event in &shown.events {
        let (subject, payload) = (event.event.subject, &event.event.payload);
        if subject.kind != SubjectKind::Session {
            continue;
        }
        let (id, seq) = (SessionId::new(subject.id), event.seq);
        if event.event.event_type == EventType::SessionCreated {
            told.insert(id, SessionStatus::Pending);
        }
        if event.event.event_type != EventType::SessionStatusChanged {
            continue;
        }
        let status = |name: &str| {
            payload.get(name).and_then(|value| value.as_str()).and_then(SessionStatus::parse)
        };
        let (old, new) = (status("old_status"), status("new_status"));
        let is_known = told.contains_key(&id) || !is_cut;
        if is_known && told.get(&id).copied() != old {
            wrong.push(format!(
                "I4: event {seq} moves {id} from {old:?}, it was {:?}",
                told.get(&id)
            ));
        }
        if let (Some(old), Some(new)) = (old, new) {
            if !old.targets().contains(&new) {
                wrong.push(format!("I3: event {seq} moves {id} from {old} to {new}"));
            }
            told.insert(id, new);
        }
    }
    for (id, (_, session)) in &shown.sessions {
        let (status, told) = (session.status(), told.get(id));
        if told != Some(&status) && !(is_cut && told.is_none()) {
            wrong.push(format!("I4: {} is {status}, its events say {told:?}", session.code));
        }
    }
}
