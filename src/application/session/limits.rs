//! The bounds of a tenant, at the moves that count against them.
//!
//! Invariant: a bound is a guard of the commit that would pass it, so that no race gets past it.

use super::SessionService;
use crate::application::error::AppError;
use crate::application::ports::changes::{Counter, Guard};
use crate::application::ports::reads::Snapshot;
use crate::application::session::explain::Blocker;
use crate::domain::ids::TenantId;
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::tenant::quotas::{QuotaName, Quotas};

/// The counter behind a quota.
#[must_use]
pub const fn counter_of(quota: QuotaName) -> Counter {
    match quota {
        QuotaName::MaxConcurrentSessions => Counter::OpenSessions,
        QuotaName::MaxQueueDepth => Counter::SessionsIn(SessionStatus::Queued),
    }
}

/// The quota that a counter is bounded by.
#[must_use]
pub fn quota_of(counter: Counter) -> Option<QuotaName> {
    QuotaName::ALL.iter().copied().find(|quota| counter_of(*quota) == counter)
}

/// What has to hold after a session was opened.
pub(super) fn to_open(quotas: &Quotas) -> Vec<Guard> {
    guards(quotas, &[QuotaName::MaxConcurrentSessions])
}

/// What has to hold after a session was queued.
pub(super) fn to_queue(quotas: &Quotas) -> Vec<Guard> {
    guards(quotas, &[QuotaName::MaxConcurrentSessions, QuotaName::MaxQueueDepth])
}

fn guards(quotas: &Quotas, names: &[QuotaName]) -> Vec<Guard> {
    let bounded = names.iter().filter_map(|name| Some((*name, quotas.get(*name)?)));
    bounded.map(|(name, limit)| Guard::CounterAtMost { counter: counter_of(name), limit }).collect()
}

/// The quotas of the tenant that is looked at.
async fn quotas_in(snapshot: &dyn Snapshot) -> Result<Quotas, AppError> {
    Ok(snapshot.tenant().await?.map(|found| found.value.quotas).unwrap_or_default())
}

impl SessionService {
    /// The quotas of a tenant.
    pub(super) async fn quotas(&self, tenant: TenantId) -> Result<Quotas, AppError> {
        quotas_in(&*self.snapshot(tenant).await?).await
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
        let used = snapshot.counter(counter_of(name)).await?;
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
