//! Tells of the bounds of a month that come near or are reached, once each.
//!
//! The figures are those of the counters; what was told is kept beside the tenant, so that telling it
//! is no change of the tenant. The sessions are told first, so that a crash in between leaves everything to be found again.
//!
//! Invariant: an event of a level is committed with the mark that it was told.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use super::{AT_LEAST_EVERY, UsageService};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::usage::UsageWrite;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::application::session::limits::bounds_in;
use crate::domain::event::{DomainEvent, EventType, StoredEvent, Subject, SubjectKind};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;
use crate::domain::usage::budget::BudgetLevel;
use crate::domain::usage::month::{LimitsTold, News};
use crate::domain::usage::period::Month;

impl UsageService {
    /// Looks at whoever used something or was given another bound, and at everybody now and then.
    pub(super) async fn watch(&self, stop: &CancellationToken) {
        let mut feed = self.store.feed();
        let (mut concerned, mut next_look) = (None, self.clock.now());
        loop {
            if concerned.is_none() || next_look <= self.clock.now() {
                next_look = self.clock.now().after(AT_LEAST_EVERY);
                concerned = None;
            }
            let tenants = match concerned.take() {
                Some(tenants) => tenants,
                None => self.everybody().await,
            };
            for tenant in tenants {
                if let Err(error) = self.look(tenant).await {
                    tracing::warn!(tenant.id = %tenant, %error, "The bounds of tenant {tenant} could not be looked at");
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(next_look.since(self.clock.now())) => {}
                found = next(&mut feed) => match found {
                    Some(found) => concerned = found,
                    None => return,
                },
            }
        }
    }

    async fn everybody(&self) -> BTreeSet<TenantId> {
        match self.tenants().await {
            Ok(tenants) => tenants.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "The tenants could not be read; they are in a minute");
                BTreeSet::new()
            }
        }
    }

    /// Tells what there is to be told of the bounds of a tenant's month.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&self, id: TenantId) -> Result<(), AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let now = self.clock.now();
            let snapshot = self.store.snapshot(id).await?;
            let (expect, before) = match snapshot.limits_told().await {
                Ok(Some(found)) => (Expect::At(found.version), found.value),
                Ok(None) => (Expect::Absent, LimitsTold::default()),
                // Nobody knows what was told: it is told again.
                Err(StoreError::Quarantined) => (Expect::Damaged, LimitsTold::default()),
                Err(other) => return Err(other.into()),
            };
            let purse = bounds_in(&*snapshot, now).await?.purse;
            drop(snapshot);
            let (news, value) = before.compare(&purse);
            if value == before {
                return Ok(());
            }
            let told: Vec<SessionId> =
                if news.is_empty() { Vec::new() } else { self.executing(id).await? };
            self.tell_sessions(id, &told, &news, purse.month).await;
            let put = Put { expect, value };
            let events = news.iter().map(|one| event(id, one, purse.month, now));
            let set =
                ChangeSet::new(id).write(Write::Usage(UsageWrite::LimitsTold(put))).events(events);
            match self.store.commit(set).await {
                Ok(_) => {
                    // Whoever works sees for himself that it is to end.
                    for session in &told {
                        self.sessions.wake().session(*session);
                    }
                    self.sessions.wake().scheduler();
                    return Ok(());
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// The sessions of a tenant that execute.
    async fn executing(&self, tenant: TenantId) -> Result<Vec<SessionId>, AppError> {
        let statuses = [SessionStatus::Running, SessionStatus::Degraded];
        let all = self.store.fleet().await?.sessions_in(&statuses).await?;
        let own = all.iter().map(|found| &found.value).filter(|one| one.tenant_id == tenant);
        Ok(own.map(|session| session.id).collect())
    }

    async fn tell_sessions(
        &self,
        tenant: TenantId,
        sessions: &[SessionId],
        news: &[News],
        month: Month,
    ) {
        for one in news.iter().filter(|one| one.level == BudgetLevel::Soft) {
            for id in sessions {
                let told = self.sessions.tell_of_bound(tenant, *id, &one.budget, month).await;
                if let Err(error) = told {
                    tracing::warn!(session.id = %id, %error, "Session {id} could not be told of a bound");
                }
            }
        }
    }
}

fn event(tenant: TenantId, news: &News, month: Month, now: Timestamp) -> DomainEvent {
    let event_type = match news.level {
        BudgetLevel::Hard => EventType::UsageHardLimitReached,
        BudgetLevel::Free | BudgetLevel::Soft => EventType::UsageSoftLimitReached,
    };
    let (limit, used) = news.budget.figures();
    let payload =
        json!({ "scope": news.budget.scope, "limit": limit, "used": used, "period": month });
    let subject = Subject { kind: SubjectKind::Tenant, id: tenant.uuid() };
    DomainEvent::new(event_type, subject, now, payload)
}

/// Whom the next events concern: `Some(None)` when that is not known, `None` when none will come.
async fn next(feed: &mut Receiver<Arc<Vec<StoredEvent>>>) -> Option<Option<BTreeSet<TenantId>>> {
    let mut concerned = BTreeSet::new();
    while concerned.is_empty() {
        match feed.recv().await {
            Ok(batch) => concerned.extend(named(&batch)),
            Err(RecvError::Lagged(_)) => return Some(None),
            Err(RecvError::Closed) => return None,
        }
    }
    loop {
        match feed.try_recv() {
            Ok(batch) => concerned.extend(named(&batch)),
            Err(TryRecvError::Lagged(_)) => return Some(None),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(Some(concerned)),
        }
    }
}

/// The tenants that used something which is charged, or were given another bound.
fn named(batch: &[StoredEvent]) -> impl Iterator<Item = TenantId> {
    let matters = |stored: &&StoredEvent| {
        let kind = stored.event.event_type;
        let simulated = stored.event.payload.get("simulated") == Some(&Value::Bool(true));
        kind == EventType::TenantQuotaChanged || (kind == EventType::UsageRecorded && !simulated)
    };
    batch.iter().filter(matters).map(|stored| stored.tenant_id)
}
