//! Locks end with whoever holds them: sessions that end, agents that go, keys that are revoked.
//!
//! What was committed is heard of by the feed; whoever lags behind it looks at every holder again.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::application::error::AppError;
use crate::application::ports::locks::LockService;
use crate::application::ports::store::Store;
use crate::domain::event::{EventType, StoredEvent};
use crate::domain::ids::{AgentId, KeyId, SessionId, TenantId};
use crate::domain::lock::{Departed, LossReason, Owner};
use crate::domain::session::status::SessionStatus;

/// Names that are looked at in one step when the feed was lost.
const PAGE: usize = 500;

/// Ends the locks of whoever is gone, until cancelled. It hears what happens from now on, however late it
/// comes to run.
pub fn watch(
    store: Arc<dyn Store>,
    locks: Arc<dyn LockService>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let feed = store.feed();
    follow(feed, store, locks, stop)
}

async fn follow(
    mut feed: Receiver<Arc<Vec<StoredEvent>>>,
    store: Arc<dyn Store>,
    locks: Arc<dyn LockService>,
    stop: CancellationToken,
) {
    loop {
        let news = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            news = feed.recv() => news,
        };
        let done = match news {
            Ok(batch) => hear(&*locks, &batch).await,
            Err(RecvError::Lagged(_)) => look_again(&*store, &*locks).await,
            Err(RecvError::Closed) => return,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "Locks of somebody who is gone could not be ended");
        }
    }
}

async fn hear(locks: &dyn LockService, batch: &[StoredEvent]) -> Result<(), AppError> {
    for event in batch {
        if let Some((gone, reason)) = departed(event) {
            locks.end(event.tenant_id, gone, reason).await?;
        }
    }
    Ok(())
}

/// Who is gone by what this event says.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events are the end of nobody")]
fn departed(event: &StoredEvent) -> Option<(Departed, LossReason)> {
    let id = event.event.subject.id;
    match event.event.event_type {
        EventType::SessionStatusChanged => {
            let status = event.event.payload.get("new_status")?.as_str()?;
            let has_ended = SessionStatus::parse(status).is_some_and(SessionStatus::is_terminal);
            has_ended.then(|| (Departed::Session(SessionId::new(id)), LossReason::SessionEnded))
        }
        EventType::SessionDeleted => {
            Some((Departed::Session(SessionId::new(id)), LossReason::SessionEnded))
        }
        EventType::AgentDeregistered => {
            let owner = Owner::Agent(AgentId::new(id));
            Some((Departed::Owner(owner), LossReason::AgentGone))
        }
        EventType::TenantKeyRevoked => {
            let owner = Owner::Key(KeyId::new(id));
            Some((Departed::Owner(owner), LossReason::KeyRevoked))
        }
        _ => None,
    }
}

/// Looks at everybody who holds or waits for a lock.
async fn look_again(store: &dyn Store, locks: &dyn LockService) -> Result<(), AppError> {
    for tenant in store.fleet().await?.tenants().await? {
        let tenant = tenant.value.id;
        let mut after = None;
        loop {
            let page = locks.overview(tenant, after.as_ref(), PAGE).await?;
            let mut held: BTreeSet<(Owner, Option<SessionId>)> = BTreeSet::new();
            for look in &page.locks {
                held.extend(look.holds.iter().map(|hold| (hold.owner, hold.session)));
                held.extend(look.queue.iter().map(|waiter| (waiter.owner, None)));
            }
            for (owner, session) in held {
                end_if_gone(store, locks, tenant, owner, session).await?;
            }
            after = page.locks.last().map(|look| look.name.clone());
            if !page.has_more || after.is_none() {
                break;
            }
        }
    }
    Ok(())
}

async fn end_if_gone(
    store: &dyn Store,
    locks: &dyn LockService,
    tenant: TenantId,
    owner: Owner,
    session: Option<SessionId>,
) -> Result<(), AppError> {
    let snapshot = store.snapshot(tenant).await?;
    let (of_owner, reason) = match owner {
        Owner::Key(id) => {
            let found = snapshot.api_key(id).await?;
            // Without a key in the store somebody acts who needs none.
            let is_gone = found.is_some_and(|key| key.value.revoked_at.is_some());
            (is_gone, LossReason::KeyRevoked)
        }
        Owner::Agent(id) => (snapshot.agent(id).await?.is_none(), LossReason::AgentGone),
        Owner::Session(_) => (false, LossReason::SessionEnded),
    };
    if of_owner {
        locks.end(tenant, Departed::Owner(owner), reason).await?;
    }
    let own = if let Owner::Session(id) = owner { Some(id) } else { None };
    for id in own.into_iter().chain(session) {
        let found = snapshot.session(id).await?.map(|found| found.value);
        let is_gone = found.is_none_or(|session| {
            session.stamps.deleted_at.is_some() || session.status().is_terminal()
        });
        if is_gone {
            locks.end(tenant, Departed::Session(id), LossReason::SessionEnded).await?;
        }
    }
    Ok(())
}
