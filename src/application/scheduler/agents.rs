//! What the scheduler knows of tenants and their agents: read when something of them changed, and
//! all of it now and then, since a change may come without an event.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::roster::{AgentSlot, LOOKING};
use super::{News, Scheduler};
use crate::application::agent::cooldown::Cooldown;
use crate::application::agent::{Endpoint, Liveness};
use crate::application::error::AppError;
use crate::domain::agent::Agent;
use crate::domain::agent::vitals::{Condition, Vitals};
use crate::domain::ids::{AgentId, TenantId};

/// An agent as it was read.
struct Known {
    agent: Arc<Agent>,
    condition: Condition,
}

/// Agents and whether they can be reached, as they were seen last.
#[derive(Default)]
pub(super) struct Seen {
    agents: BTreeMap<TenantId, BTreeMap<AgentId, Known>>,
    /// How they are reached.
    endpoints: BTreeSet<Endpoint>,
    /// Why they cannot be reached; `None` for those that can.
    down: BTreeMap<Endpoint, Option<String>>,
    /// Providers that agents leave alone.
    cooling: BTreeMap<AgentId, Vec<Cooldown>>,
    /// Tenants whose stored heartbeats were read.
    learned: BTreeSet<TenantId>,
}

impl Seen {
    fn slot(&self, known: &Known) -> AgentSlot {
        let Known { agent, condition } = known;
        AgentSlot {
            agent: Arc::clone(agent),
            condition: *condition,
            down: asked(agent).and_then(|endpoint| self.down.get(&endpoint).cloned().flatten()),
            cooling: self.cooling.get(&agent.id).cloned().unwrap_or_default(),
        }
    }

    /// Takes note of how agents are reached that were read; whether there is something new.
    fn look_for_endpoints(&mut self, read: &Read) -> bool {
        let before = self.endpoints.len();
        if !read.tenants.is_empty() {
            let all = self.agents.values().flat_map(BTreeMap::values);
            let all = all.filter_map(|known| asked(&known.agent)).collect();
            return std::mem::replace(&mut self.endpoints, all) != self.endpoints;
        }
        for (tenant, id) in &read.agents {
            let known = self.agents.get(tenant).and_then(|agents| agents.get(id));
            self.endpoints.extend(known.and_then(|known| asked(&known.agent)));
        }
        self.endpoints.len() != before
    }

    fn slots(&self, tenant: TenantId) -> Vec<AgentSlot> {
        let known = self.agents.get(&tenant).into_iter().flat_map(BTreeMap::values);
        known.map(|known| self.slot(known)).collect()
    }
}

/// How an agent is asked whether it can work; those that tell it by themselves are not.
fn asked(agent: &Agent) -> Option<Endpoint> {
    agent.kind.is_asked().then(|| Endpoint::of(agent))
}

/// Of whom something was read.
#[derive(Default)]
struct Read {
    /// All agents of these.
    tenants: BTreeSet<TenantId>,
    /// These agents.
    agents: BTreeSet<(TenantId, AgentId)>,
}

impl Scheduler {
    /// Looks at what may have changed of tenants and agents; what cannot be read stays as it was
    /// and is read at the next look.
    pub(super) async fn look_at_agents(&self, seen: &mut Seen, news: &mut News) {
        let mut read = Read::default();
        if let Err(error) = self.read_agents(seen, news, &mut read).await {
            tracing::warn!(%error, "The agents could not be read");
        }
        if seen.look_for_endpoints(&read) {
            self.agents.watch(seen.endpoints.clone());
        }
        let (down, cooling) = (self.down(seen), self.agents.cooldowns().at(self.clock.now()));
        if seen.down != down || seen.cooling != cooling {
            (seen.down, seen.cooling) = (down, cooling);
            read.tenants = seen.agents.keys().copied().collect();
        }
        self.feel_pulses(seen, &mut read);
        let mut state = self.queue.state();
        for (tenant, id) in read.agents {
            let known = seen.agents.get(&tenant).and_then(|agents| agents.get(&id));
            if !known.is_some_and(|known| state.set_agent(tenant, &seen.slot(known))) {
                read.tenants.insert(tenant);
            }
        }
        for tenant in read.tenants {
            state.set_agents(tenant, seen.slots(tenant));
        }
    }

    /// Takes over what agents told by themselves meanwhile.
    fn feel_pulses(&self, seen: &mut Seen, read: &mut Read) {
        let pulses = self.agents.pulses();
        for (tenant, id) in pulses.take_changed() {
            let known = seen.agents.get_mut(&tenant).and_then(|agents| agents.get_mut(&id));
            let Some(known) = known.filter(|known| !known.agent.kind.is_asked()) else { continue };
            known.condition.pulse = Some(pulses.pulse((tenant, id), known.agent.created_at));
            read.agents.insert((tenant, id));
        }
    }

    /// How decisions see an agent.
    fn known(&self, agent: Agent, vitals: Option<&Vitals>) -> Known {
        let who = (agent.tenant_id, agent.id);
        let tells = (!agent.kind.is_asked()).then_some(agent.created_at);
        let pulse = tells.map(|since| self.agents.pulses().pulse(who, since));
        Known { agent: Arc::new(agent), condition: Condition::of(vitals, pulse) }
    }

    /// Reads the agents of all tenants, or those that there is news of.
    async fn read_agents(
        &self,
        seen: &mut Seen,
        news: &mut News,
        read: &mut Read,
    ) -> Result<(), AppError> {
        if news.everybody {
            let now = self.clock.now();
            news.tenants.extend(self.queue.read_tenants(self.store.as_ref(), now).await?);
            news.everybody = false;
        }
        while let Some(tenant) = news.tenants.first().copied() {
            let snapshot = self.store.snapshot(tenant).await?;
            let agents = snapshot.agents().await?;
            let vitals = snapshot.all_vitals().await?;
            let vitals: HashMap<AgentId, &Vitals> =
                vitals.iter().map(|vitals| (vitals.agent_id, vitals)).collect();
            if agents.iter().any(|agent| !agent.value.kind.is_asked())
                && seen.learned.insert(tenant)
            {
                self.agents.pulses().learn(tenant, snapshot.heartbeats().await?);
            }
            let known = agents.into_iter().map(|agent| {
                let id = agent.value.id;
                (id, self.known(agent.value, vitals.get(&id).copied()))
            });
            seen.agents.insert(tenant, known.collect());
            news.tenants.remove(&tenant);
            read.tenants.insert(tenant);
        }
        while let Some((tenant, id)) = news.agents.first().copied() {
            if !read.tenants.contains(&tenant) {
                let snapshot = self.store.snapshot(tenant).await?;
                let (agent, vitals) = (snapshot.agent(id).await?, snapshot.vitals(id).await?);
                let all = seen.agents.entry(tenant).or_default();
                match agent {
                    None => {
                        all.remove(&id);
                        self.agents.pulses().forget((tenant, id));
                    }
                    Some(agent) => {
                        let vitals = vitals.as_ref().map(|vitals| &vitals.value);
                        all.insert(id, self.known(agent.value, vitals));
                    }
                }
                read.agents.insert((tenant, id));
            }
            news.agents.remove(&(tenant, id));
        }
        Ok(())
    }

    /// Why agents cannot be reached, for each way to reach one.
    fn down(&self, seen: &Seen) -> BTreeMap<Endpoint, Option<String>> {
        let known = self.agents.liveness();
        let reason = |endpoint: &Endpoint| match known.get(endpoint) {
            Some(Liveness { result, .. }) => result.as_ref().err().cloned(),
            None if self.agents.driver(endpoint.kind).is_none() => {
                Some(format!("this server does not speak to {} agents", endpoint.kind))
            }
            None => Some(LOOKING.to_owned()),
        };
        let down = |endpoint: &Endpoint| (endpoint.clone(), reason(endpoint));
        seen.endpoints.iter().map(down).collect()
    }
}
