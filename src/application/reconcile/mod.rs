//! Idempotent scans of stored state: whatever is due, owed or left over is found here, whoever
//! forgot it.
//!
//! Invariant: a session that cannot be helped, and git that hangs, hold up nobody else.

mod departures;
mod due;
mod families;
mod leftovers;
mod resting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::agent::AgentService;
use super::attention::AttentionService;
use super::context::ContextService;
use super::daily::leap::believes;
use super::error::AppError;
use super::ports::clock::Clock;
use super::ports::store::Store;
use super::scheduler::wake::Wake;
use super::session::SessionService;
use super::supervise::Supervisors;
use super::supervise::recover::take_up;
use crate::domain::event::{EventType, StoredEvent};
use crate::domain::session::status::SessionStatus;

/// Rows that one look takes on.
const BATCH: usize = 500;
/// Time between two probes of an agent.
const PROBE_EVERY: Duration = Duration::from_secs(30);
/// How often deadlines are looked at.
const DEADLINES: Duration = Duration::from_secs(1);
/// How often supervisors that are missing and folders that are left over are looked for.
const LEFT_OVER: Duration = Duration::from_secs(5);
/// How often things are forgotten whose time is over.
const FORGOTTEN: Duration = Duration::from_mins(1);
/// Of those times, every so often the trash is looked at too.
const TRASH_EVERY: u64 = 60;

/// The scans and what they work with.
pub struct Reconciler {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    sessions: SessionService,
    attention: AttentionService,
    agents: AgentService,
    supervisors: Supervisors,
    contexts: ContextService,
}

impl Reconciler {
    /// Scans over these services.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sessions: SessionService,
        attention: AttentionService,
        agents: AgentService,
        supervisors: Supervisors,
    ) -> Self {
        let (known, ids) = (Arc::clone(&store), Arc::clone(&sessions.ids));
        let contexts = ContextService::new(known, Arc::clone(&clock), ids);
        Self { store, clock, sessions, attention, agents, supervisors, contexts }
    }

    /// The same, where contexts are kept for other times.
    #[must_use]
    pub fn with_contexts(self, contexts: ContextService) -> Self {
        Self { contexts, ..self }
    }

    /// Scans until cancelled; no scan waits for another.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            Box::pin(self.deadlines(&stop)),
            Box::pin(self.families(&stop)),
            Box::pin(self.leftovers(&stop)),
            Box::pin(self.departures(&stop)),
            Box::pin(self.supervision(&stop)),
            Box::pin(self.forgetting(&stop)),
        );
    }

    /// Probes the agents now and then, beside the scans, since an agent may take its time.
    pub async fn probe(
        agents: AgentService,
        clock: Arc<dyn Clock>,
        wake: Wake,
        stop: CancellationToken,
    ) {
        let (mut all, mut again) = (true, clock.sleep(PROBE_EVERY));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = agents.probe(all) => wake.scheduler(),
            }
            all = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = agents.unprobed() => false,
                () = &mut again => {
                    again = clock.sleep(PROBE_EVERY);
                    true
                }
            };
        }
    }

    /// Waits before the next look; `false` when there is to be none.
    async fn again(&self, after: Duration, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            () = self.clock.sleep(after) => true,
        }
    }

    /// Sessions that execute without a supervisor get one again.
    /// Whoever has a supervisor is looked at, too: the bell is lost with a change that was made although
    /// the store said that it failed. Those of a tenant that is switched off are looked at at once.
    async fn supervision(&self, stop: &CancellationToken) {
        let mut feed = self.store.feed();
        while self.again_or_switched_off(&mut feed, stop).await {
            self.sessions.wake.all_sessions();
            if let Err(error) = self.unsupervised().await {
                tracing::warn!(%error, "Sessions without a supervisor could not be looked for");
            }
        }
    }

    /// Waits before the next look, or until a tenant is switched off; `false` when there is to be none.
    async fn again_or_switched_off(
        &self,
        feed: &mut Receiver<Arc<Vec<StoredEvent>>>,
        stop: &CancellationToken,
    ) -> bool {
        let mut longest = self.clock.sleep(LEFT_OVER);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                () = &mut longest => return true,
                news = feed.recv() => match news {
                    Ok(batch) if batch.iter().any(is_switched_off) => return true,
                    // What was missed is found by the next look, which is near.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return false,
                },
            }
        }
    }

    async fn unsupervised(&self) -> Result<(), AppError> {
        let statuses = [SessionStatus::Running, SessionStatus::Degraded];
        let executing = self.store.fleet().await?.sessions_in(&statuses).await?;
        for session in executing {
            let (tenant, id) = (session.value.tenant_id, session.value.id);
            if let Err(error) = take_up(&self.supervisors, tenant, id).await {
                tracing::warn!(session.id = %id, %error, "Session {id} could not be given a supervisor");
            }
        }
        Ok(())
    }

    /// Forgets all answers whose time is over, however many came in a minute.
    async fn forget_answers(&self) -> Result<(), AppError> {
        while self.store.forget_expired(self.clock.now(), BATCH).await? == BATCH {}
        Ok(())
    }

    /// Whether nothing says that the clock leapt: what people might want back is removed by it.
    async fn clock_is_believed(&self) -> bool {
        let now = self.clock.now();
        match self.store.fleet().await {
            Ok(fleet) => believes(&*fleet, now).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Remembered answers and removed folders go when their time is over.
    async fn forgetting(&self, stop: &CancellationToken) {
        let mut looks: u64 = 0;
        while self.again(FORGOTTEN, stop).await {
            if let Err(error) = self.forget_answers().await {
                tracing::warn!(%error, "Remembered answers could not be forgotten");
            }
            if self.clock_is_believed().await
                && let Err(error) = self.contexts.look().await
            {
                tracing::warn!(%error, "Contexts whose time is over could not be looked for");
            }
            if looks.is_multiple_of(TRASH_EVERY) && self.clock_is_believed().await {
                match self.sessions.workspaces.purge_trash().await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, "{count} removed folders were forgotten"),
                    Err(error) => tracing::warn!(%error, "The trash could not be emptied"),
                }
            }
            looks += 1;
        }
    }
}

/// Whether an event says that a tenant was switched off.
fn is_switched_off(event: &StoredEvent) -> bool {
    event.event.event_type == EventType::TenantDeactivated
}
