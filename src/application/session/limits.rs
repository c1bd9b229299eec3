//! The bounds of a tenant, at the moves that count against them.
//!
//! Invariant: a bound of things is a guard of the commit that would pass it, so that no race gets
//! past it. The bounds of a month are looked at before: what is under way then may pass them.

use super::SessionService;
use crate::application::error::AppError;
use crate::application::ports::changes::{Counter, Guard};
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::StoreError;
use crate::application::session::explain::Blocker;
use crate::domain::ids::TenantId;
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::tenant::quotas::{QuotaName, Quotas};
use crate::domain::time::Timestamp;
use crate::domain::usage::budget::{BudgetLevel, BudgetUse, mebibytes};
use crate::domain::usage::month::Purse;
use crate::domain::usage::period::Month;

/// The counter behind a quota, in this month; `None` for what is not counted in the store.
#[must_use]
pub const fn counter_of(quota: QuotaName, month: Month) -> Option<Counter> {
    match quota {
        QuotaName::MaxConcurrentSessions => Some(Counter::OpenSessions),
        QuotaName::MaxQueueDepth => Some(Counter::SessionsIn(SessionStatus::Queued)),
        QuotaName::MaxTokensPerMonth => Some(Counter::MonthTokens(month)),
        QuotaName::MonthlyBudgetUsd => Some(Counter::MonthMicros(month)),
        QuotaName::MaxStorageMb => Some(Counter::StoredBytes),
        QuotaName::MaxAgents => Some(Counter::Agents),
        QuotaName::RequestsPerMinute => None,
    }
}

/// The quota that a counter is bounded by.
#[must_use]
pub fn quota_of(counter: Counter) -> Option<QuotaName> {
    match counter {
        Counter::OpenSessions => Some(QuotaName::MaxConcurrentSessions),
        Counter::SessionsIn(SessionStatus::Queued) => Some(QuotaName::MaxQueueDepth),
        Counter::MonthTokens(_) => Some(QuotaName::MaxTokensPerMonth),
        Counter::MonthMicros(_) => Some(QuotaName::MonthlyBudgetUsd),
        Counter::StoredBytes => Some(QuotaName::MaxStorageMb),
        Counter::Agents => Some(QuotaName::MaxAgents),
        Counter::SessionsIn(_)
        | Counter::SessionCodes
        | Counter::FencingTokens
        | Counter::Webhooks
        | Counter::ApiKeys
        | Counter::DaysWorkDone
        | Counter::ClockDoubted
        | Counter::Users => None,
    }
}

/// What has to hold after a session was opened.
pub(super) fn to_open(quotas: &Quotas) -> Vec<Guard> {
    guards(quotas, &[QuotaName::MaxConcurrentSessions])
}

/// What has to hold after a session was queued.
pub(super) fn to_queue(quotas: &Quotas) -> Vec<Guard> {
    guards(quotas, &[QuotaName::MaxConcurrentSessions, QuotaName::MaxQueueDepth])
}

/// What has to hold after an agent was registered.
#[must_use]
pub fn to_register(quotas: &Quotas) -> Vec<Guard> {
    guards(quotas, &[QuotaName::MaxAgents])
}

fn guards(quotas: &Quotas, names: &[QuotaName]) -> Vec<Guard> {
    let bounded = names.iter().filter_map(|name| Some((counted_by(*name)?, quotas.get(*name)?)));
    bounded.map(|(counter, limit)| Guard::CounterAtMost { counter, limit }).collect()
}

/// The counter of things behind a quota.
const fn counted_by(quota: QuotaName) -> Option<Counter> {
    match quota {
        QuotaName::MaxConcurrentSessions => Some(Counter::OpenSessions),
        QuotaName::MaxQueueDepth => Some(Counter::SessionsIn(SessionStatus::Queued)),
        QuotaName::MaxAgents => Some(Counter::Agents),
        QuotaName::MaxTokensPerMonth
        | QuotaName::MonthlyBudgetUsd
        | QuotaName::MaxStorageMb
        | QuotaName::RequestsPerMinute => None,
    }
}

/// What has to hold when something is to be stored on purpose. The store counts what is written in the
/// same order, so that no two pass the bound together.
pub(in crate::application) fn to_store(purse: &Purse) -> Option<Guard> {
    let BudgetUse { limit, .. } = purse.storage()?;
    Some(Guard::CounterAtMost { counter: Counter::StoredBytes, limit })
}

/// Whether there is room for more.
///
/// # Errors
/// `QuotaExceeded`.
pub(in crate::application) fn has_room(purse: &Purse) -> Result<(), AppError> {
    match purse.storage() {
        Some(storage) if storage.level() == BudgetLevel::Hard => Err(no_room(&storage)),
        Some(_) | None => Ok(()),
    }
}

/// The refusal of a tenant that stores too much.
pub(super) fn no_room(storage: &BudgetUse) -> AppError {
    let (limit, used) = (mebibytes(storage.limit), mebibytes(storage.used));
    AppError::QuotaExceeded { quota: QuotaName::MaxStorageMb.as_str(), limit, used }
}

/// Everything that bounds a tenant.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Its quotas.
    pub quotas: Quotas,
    /// What it used this month, against what it may.
    pub purse: Purse,
    /// Whether it is switched off.
    pub is_off: bool,
}

/// The bounds of the tenant that is looked at.
///
/// # Errors
/// The store's.
pub async fn bounds_in(snapshot: &dyn Snapshot, now: Timestamp) -> Result<Bounds, StoreError> {
    let tenant = snapshot.tenant().await?.map(|found| found.value);
    let is_off = tenant.as_ref().is_some_and(|tenant| !tenant.is_active);
    let quotas = tenant.map(|tenant| tenant.quotas).unwrap_or_default();
    let month = Month::of(now);
    let tokens = snapshot.counter(Counter::MonthTokens(month)).await?;
    let micros = snapshot.counter(Counter::MonthMicros(month)).await?;
    let stored = snapshot.counter(Counter::StoredBytes).await?;
    let purse = Purse::new(&quotas, month, tokens, micros).storing(stored);
    Ok(Bounds { quotas, purse, is_off })
}

/// The quotas of the tenant that is looked at.
///
/// # Errors
/// The store's.
pub async fn quotas_in(snapshot: &dyn Snapshot) -> Result<Quotas, AppError> {
    Ok(snapshot.tenant().await?.map(|found| found.value.quotas).unwrap_or_default())
}

impl SessionService {
    /// Everything that bounds a tenant now.
    pub(super) async fn bounds(&self, tenant: TenantId) -> Result<Bounds, AppError> {
        Ok(bounds_in(&*self.snapshot(tenant).await?, self.clock.now()).await?)
    }
}

/// The bound that keeps a session which is to run out of the queue.
///
/// # Errors
/// The store's.
pub(super) async fn blocked_by_quota(
    snapshot: &dyn Snapshot,
    session: &Session,
) -> Result<Option<Blocker>, AppError> {
    let quotas = quotas_in(snapshot).await?;
    let code = session.code;
    for (name, entering, blocker, what) in [
        (
            QuotaName::MaxConcurrentSessions,
            0,
            BlockerCode::QuotaConcurrentSessions,
            "open sessions are allowed",
        ),
        (
            QuotaName::MaxQueueDepth,
            1,
            BlockerCode::QuotaQueueDepth,
            "sessions may wait in the queue",
        ),
    ] {
        let Some(limit) = quotas.get(name) else { continue };
        let Some(counter) = counted_by(name) else { continue };
        let used = snapshot.counter(counter).await?;
        let used = u64::try_from(used).unwrap_or(0);
        if used + entering > limit {
            return Ok(Some(Blocker {
                code: blocker,
                text: format!(
                    "{limit} {what}, and there are {used}; {code} is queued by itself when there is room"
                ),
                object: Some(name.to_string()),
                since: Some(session.status_updated_at()),
                remedy:
                    "wait, end or delete another session, or let an administrator raise the quota"
                        .to_owned(),
                command: Some(format!("orchestrator tenant quotas --set {name}=NUMBER")),
            }));
        }
    }
    Ok(None)
}
