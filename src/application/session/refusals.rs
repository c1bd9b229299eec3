//! What is told when a request is refused for a quota of its tenant.
//!
//! A client that comes again and again would fill the log of events: of each quota of each tenant one
//! refusal in a minute is told, by the moments that this process remembers. After a restart one more
//! may be told.
//!
//! Invariant: the answer to the request never depends on whether the refusal could be told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::SessionService;
use super::change::By;
use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::TenantId;
use crate::domain::tenant::quotas::QuotaName;
use crate::domain::time::Timestamp;

/// Refusals of one quota that come sooner after the last one that was told are not told.
const QUIET: Duration = Duration::from_mins(1);

/// When refusals were told last; bounded by the tenants and their quotas.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<HashMap<(TenantId, QuotaName), Timestamp>>>);

impl Refusals {
    /// Whether a refusal is to be told now; then it counts as told.
    fn is_due(&self, tenant: TenantId, quota: QuotaName, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told.get(&(tenant, quota)).copied();
        let due = last.is_none_or(|last| now < last || now.since(last) >= QUIET);
        if due {
            told.insert((tenant, quota), now);
        }
        due
    }
}

impl SessionService {
    /// The same error; when it refuses a caller for a quota of the tenant, that is told.
    pub(super) async fn told_of_refusal(&self, by: By<'_>, error: AppError) -> AppError {
        let AppError::QuotaExceeded { quota, limit, used } = &error else { return error };
        let (By::Caller(ctx), Some(quota)) = (by, QuotaName::parse(quota)) else { return error };
        let now = self.clock.now();
        if self.refusals.is_due(ctx.tenant, quota, now) {
            // Apart, since it is rare and the way of every command is narrow.
            Box::pin(self.tell_refusal(ctx.tenant, quota, (*limit, *used), now)).await;
        }
        error
    }

    async fn tell_refusal(
        &self,
        tenant: TenantId,
        quota: QuotaName,
        (limit, used): (u64, u64),
        now: Timestamp,
    ) {
        let payload =
            json!({ "quota": quota, "limit": quota.figure(limit), "used": quota.figure(used) });
        let subject = Subject { kind: SubjectKind::Tenant, id: tenant.uuid() };
        let event = DomainEvent::new(EventType::TenantQuotaExceeded, subject, now, payload);
        if let Err(unsaid) = self.store.commit(ChangeSet::new(tenant).events([event])).await {
            tracing::debug!(error = %unsaid, "A refusal for {quota} could not be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refusal_a_minute_is_told_of_each_quota_of_each_tenant() {
        let refusals = Refusals::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let (ours, theirs) = (TenantId::BOOTSTRAP, TenantId::new(uuid::Uuid::from_u128(7)));
        let (open, depth) = (QuotaName::MaxConcurrentSessions, QuotaName::MaxQueueDepth);
        assert!(refusals.is_due(ours, open, at(100)));
        assert!(!refusals.is_due(ours, open, at(159)));
        assert!(refusals.is_due(ours, depth, at(101)) && refusals.is_due(theirs, open, at(101)));
        assert!(refusals.is_due(ours, open, at(160)));
        // The clock went back: nobody waits until it has come here again.
        assert!(refusals.is_due(ours, open, at(10)));
    }
}
