//! What the scheduler knows of tenants and their agents: read when something of them changed, and
//! all of it now and then, since a change may come without an event.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::roster::{AgentSlot, LOOKING};
use super::{News, Scheduler};
use crate::application::agent::cooldown::Cooldown;
use crate::application::error::AppError;
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::ids::{AgentId, TenantId};

/// Agents and the health of their drivers, as they were seen last.
#[derive(Default)]
pub(super) struct Seen {
    agents: BTreeMap<TenantId, Vec<Arc<Agent>>>,
    /// Why drivers cannot work; `None` for those that can.
    down: BTreeMap<AgentKind, Option<String>>,
    /// Providers that agents leave alone.
    cooling: BTreeMap<AgentId, Vec<Cooldown>>,
}

impl Scheduler {
    /// Looks at what may have changed of tenants and agents; what cannot be read stays as it was
    /// and is read at the next look.
    pub(super) async fn look_at_agents(&self, seen: &mut Seen, news: &mut News) {
        let mut changed = match self.read_agents(seen, news).await {
            Ok(changed) => changed,
            Err(error) => {
                tracing::warn!(%error, "The agents could not be read");
                Vec::new()
            }
        };
        let down = AgentKind::ALL.iter().map(|kind| (*kind, self.down(*kind))).collect();
        let cooling = self.agents.cooldowns().at(self.clock.now());
        if seen.down != down || seen.cooling != cooling {
            (seen.down, seen.cooling) = (down, cooling);
            changed = seen.agents.keys().copied().collect();
        }
        let mut state = self.queue.state();
        for tenant in changed {
            let agents = seen.agents.get(&tenant).map_or(&[][..], Vec::as_slice);
            let slot = |agent: &Arc<Agent>| AgentSlot {
                agent: Arc::clone(agent),
                down: seen.down.get(&agent.kind).cloned().flatten(),
                cooling: seen.cooling.get(&agent.id).cloned().unwrap_or_default(),
            };
            state.set_agents(tenant, agents.iter().map(slot).collect());
        }
    }

    /// Reads the agents of all tenants, or of those that there is news of; whose were read.
    async fn read_agents(
        &self,
        seen: &mut Seen,
        news: &mut News,
    ) -> Result<Vec<TenantId>, AppError> {
        if news.agents {
            let now = self.clock.now();
            news.tenants.extend(self.queue.read_tenants(self.store.as_ref(), now).await?);
        }
        for tenant in &news.tenants {
            let agents = self.agents.list(*tenant).await?;
            seen.agents.insert(*tenant, agents.into_iter().map(Arc::new).collect());
        }
        news.agents = false;
        Ok(std::mem::take(&mut news.tenants).into_iter().collect())
    }

    fn down(&self, kind: AgentKind) -> Option<String> {
        match self.agents.liveness().get(&kind) {
            Some(seen) => seen.result.as_ref().err().cloned(),
            None if self.agents.driver(kind).is_none() => {
                Some(format!("this server does not speak to {kind} agents"))
            }
            None => Some(LOOKING.to_owned()),
        }
    }
}
