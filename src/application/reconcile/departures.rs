//! Agents that are to be removed, and sessions whose agent was.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::{LEFT_OVER, Reconciler};
use crate::application::error::AppError;
use crate::application::session::leave::{Parting, is_pinned_to};
use crate::domain::event::{EventType, StoredEvent};
use crate::domain::ids::TenantId;
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;

/// Where there may be something to see to.
#[derive(Default)]
struct Watched {
    /// Not all tenants were looked at yet.
    all: bool,
    tenants: BTreeSet<TenantId>,
    /// Where an agent was removed, whose pinned sessions may wait for it.
    bereft: BTreeSet<TenantId>,
}

impl Reconciler {
    /// Looks at tenants whose agents change, and at those where one is to go, until cancelled.
    pub(super) async fn departures(&self, stop: &CancellationToken) {
        let mut feed = self.store.feed();
        let mut watched = Watched { all: true, ..Watched::default() };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.see_off(&mut watched) => {}
            }
            if !self.next_departure(&mut feed, &mut watched, stop).await {
                return;
            }
        }
    }

    async fn see_off(&self, watched: &mut Watched) {
        if watched.all {
            match self.all_tenants().await {
                Ok(all) => *watched = Watched { all: false, bereft: all.clone(), tenants: all },
                Err(error) => {
                    tracing::warn!(%error, "Agents that are to go could not be looked for");
                }
            }
        }
        if !watched.bereft.is_empty() {
            let bereft = std::mem::take(&mut watched.bereft);
            if let Err(error) = self.lose_pinned(&bereft).await {
                tracing::warn!(%error, "Sessions whose pinned agent was removed could not be ended");
                watched.tenants.extend(&bereft);
                watched.bereft.extend(bereft);
            }
        }
        for tenant in std::mem::take(&mut watched.tenants) {
            match self.departures_of(tenant).await {
                Ok(false) => {}
                Ok(true) => drop(watched.tenants.insert(tenant)),
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, %error, "Agents of tenant {tenant} that are to go could not be seen to");
                    watched.tenants.insert(tenant);
                }
            }
        }
    }

    async fn all_tenants(&self) -> Result<BTreeSet<TenantId>, AppError> {
        let tenants = self.store.fleet().await?.tenants().await?;
        Ok(tenants.into_iter().map(|tenant| tenant.value.id).collect())
    }

    /// Removes agents whose time has come, and takes from those that were removed what they worked on;
    /// whether there is more to come.
    async fn departures_of(&self, tenant: TenantId) -> Result<bool, AppError> {
        let mut waits = self.agents.see_off(tenant).await?;
        let there: BTreeSet<_> =
            self.agents.list(tenant).await?.into_iter().map(|agent| agent.id).collect();
        for (session, agent) in self.agents.at_work(tenant).await? {
            if there.contains(&agent) {
                continue;
            }
            // One that needs no agent any more comes to its end by itself.
            match self.sessions.leave_agent(tenant, session, agent, Parting::Removed).await {
                Ok(_) | Err(AppError::SessionNotFound) => {}
                Err(error) => {
                    tracing::warn!(session.id = %session, %error, "Session {session} could not leave its agent");
                    waits = true;
                }
            }
        }
        Ok(waits)
    }

    /// Ends sessions of these tenants that wait for an agent which was removed, and for no other.
    async fn lose_pinned(&self, tenants: &BTreeSet<TenantId>) -> Result<(), AppError> {
        let fleet = self.store.fleet().await?;
        let waiting = fleet.sessions_in(&[SessionStatus::Pending, SessionStatus::Queued]).await?;
        let is_pinned = |session: &Session| {
            tenants.contains(&session.tenant_id) && session.spec.agent.is_some()
        };
        let pinned: Vec<Session> =
            waiting.into_iter().map(|found| found.value).filter(is_pinned).collect();
        if pinned.is_empty() {
            return Ok(());
        }
        let removed = fleet.agents_deleted_by(self.clock.now(), usize::MAX).await?;
        drop(fleet);
        for tenant in tenants {
            let there = self.agents.list(*tenant).await?;
            for session in pinned.iter().filter(|session| session.tenant_id == *tenant) {
                let pin = session.spec.agent.as_deref().unwrap_or_default();
                let gone = removed
                    .iter()
                    .find(|gone| gone.tenant_id == *tenant && is_pinned_to(session, gone));
                if let Some(gone) = gone
                    && !there.iter().any(|agent| agent.is_called(pin))
                {
                    self.sessions.lose_pinned(*tenant, session.id, gone).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits before the next look; `false` when there is to be none.
    async fn next_departure(
        &self,
        feed: &mut Receiver<Arc<Vec<StoredEvent>>>,
        watched: &mut Watched,
        stop: &CancellationToken,
    ) -> bool {
        let mut longest = self.clock.sleep(LEFT_OVER);
        loop {
            let is_waiting = watched.all || !watched.tenants.is_empty();
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                () = &mut longest, if is_waiting => return true,
                news = feed.recv() => match news {
                    Ok(batch) => {
                        let changed = batch.iter().filter(|event| changes_agents(event));
                        let changed: BTreeSet<_> = changed.map(|event| event.tenant_id).collect();
                        let removes = |event: &&StoredEvent| {
                            event.event.event_type == EventType::AgentDeregistered
                        };
                        let removals = batch.iter().filter(removes);
                        watched.bereft.extend(removals.map(|event| event.tenant_id));
                        if !changed.is_empty() {
                            watched.tenants.extend(changed);
                            return true;
                        }
                    }
                    Err(RecvError::Lagged(_)) => {
                        watched.all = true;
                        return true;
                    }
                    Err(RecvError::Closed) => return false,
                },
            }
        }
    }
}

fn changes_agents(event: &StoredEvent) -> bool {
    matches!(event.event.event_type, EventType::AgentUpdated | EventType::AgentDeregistered)
}
