//! How an agent does: its figures, what is wrong with it, and what would help.

use std::time::Duration;

use super::AgentService;
use super::query::AgentView;
use crate::application::error::AppError;
use crate::application::ports::changes::Expect;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::StoreError;
use crate::application::principal::RequestContext;
use crate::domain::agent::health::{Issue, issues, recommendations};
use crate::domain::agent::vitals::Vitals;
use crate::domain::ids::AgentId;
use crate::domain::time::Timestamp;

/// An agent with all that is known of its work.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// The agent, and how it is.
    pub view: AgentView,
    /// What came of its work.
    pub vitals: Vitals,
    /// When it was heard or was given work last.
    pub active_at: Option<Timestamp>,
    /// Silence after which somebody should look.
    pub inactive_after: Duration,
    /// When this was seen.
    pub at: Timestamp,
}

impl Outlook {
    /// What would help it.
    #[must_use]
    pub fn recommendations(&self) -> Vec<&'static str> {
        recommendations(&self.view.standing, &self.vitals.performance)
    }

    /// What is wrong with it. Whoever never did anything is judged from when it was registered.
    #[must_use]
    pub fn issues(&self) -> Vec<Issue> {
        let since = self.active_at.unwrap_or(self.view.agent.value.created_at);
        let performance = &self.vitals.performance;
        issues(&self.view.standing, performance, self.at.since(since), self.inactive_after)
    }
}

impl AgentService {
    /// How an agent does.
    ///
    /// # Errors
    /// `AgentNotFound`, or the store's.
    pub async fn outlook(
        &self,
        ctx: &RequestContext,
        reference: &str,
    ) -> Result<Outlook, AppError> {
        self.learn(ctx.tenant).await?;
        let agent = self.find(ctx.tenant, reference).await?;
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        let id = agent.value.id;
        let (vitals, _) = vitals_in(&*snapshot, id, self.clock.now()).await?;
        let heard = snapshot.heartbeat(id).await?.map(|heartbeat| heartbeat.heard_at);
        drop(snapshot);
        Ok(self.outlook_of(self.view(agent), vitals, heard))
    }

    pub(super) fn outlook_of(
        &self,
        view: AgentView,
        vitals: Vitals,
        heard: Option<Timestamp>,
    ) -> Outlook {
        let active_at = vitals.last_active_at.max(heard).max(view.standing.assigned_at);
        let inactive_after = self.queue.rules().inactive_after;
        Outlook { view, vitals, active_at, inactive_after, at: self.clock.now() }
    }
}

/// The figures of an agent, and what a write of them has to expect. Those that are damaged are begun anew.
pub(super) async fn vitals_in(
    snapshot: &dyn Snapshot,
    id: AgentId,
    now: Timestamp,
) -> Result<(Vitals, Expect), AppError> {
    match snapshot.vitals(id).await {
        Ok(Some(found)) => Ok((found.value, Expect::At(found.version))),
        Ok(None) => Ok((Vitals::new(id, now), Expect::Absent)),
        // What it did before is lost; what it does from now on counts.
        Err(StoreError::Quarantined) => Ok((Vitals::new(id, now), Expect::Damaged)),
        Err(other) => Err(other.into()),
    }
}
