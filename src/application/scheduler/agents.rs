//! What the scheduler knows of tenants and their agents: how tenants stand is read with every look, an
//! agent when something of it changed, and all agents of one tenant after another now and then, so that
//! nothing that was missed stays so. What a look costs does not follow from how many agents there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::roster::{AgentSlot, LOOKING};
use super::{News, Scheduler};
use crate::application::agent::cooldown::Cooldown;
use crate::application::agent::{Endpoint, Liveness};
use crate::application::error::AppError;
use crate::domain::agent::Agent;
use crate::domain::agent::vitals::{Condition, Vitals};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;

/// How long the agents of a tenant may go without all of them being read.
const AGAIN: Duration = Duration::from_mins(5);

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
    /// When all agents of a tenant were read.
    read_at: BTreeMap<TenantId, Timestamp>,
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
        if read.tenants.is_empty() && !read.reached_anew {
            return false;
        }
        let all = self.agents.values().flat_map(BTreeMap::values);
        let all = all.filter_map(|known| asked(&known.agent)).collect();
        std::mem::replace(&mut self.endpoints, all) != self.endpoints
    }

    /// The tenant whose agents were not read for the longest, when that is long enough.
    fn unread(&self, now: Timestamp) -> Option<TenantId> {
        let (tenant, at) = self.read_at.iter().min_by_key(|(_, at)| **at)?;
        (now.since(*at) >= AGAIN).then_some(*tenant)
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
    /// Among them is one that is to be asked whether it can work, or was.
    reached_anew: bool,
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
        let now = self.clock.now();
        if news.everybody {
            let tenants = self.queue.read_tenants(self.store.as_ref(), now).await?;
            let is_new = |tenant: &TenantId| news.all_agents || !seen.agents.contains_key(tenant);
            news.tenants.extend(tenants.into_iter().filter(is_new));
            news.tenants.extend(seen.unread(now));
            (news.everybody, news.all_agents) = (false, false);
        }
        while let Some(tenant) = news.tenants.first().copied() {
            self.read_all_of(tenant, seen).await?;
            news.tenants.remove(&tenant);
            read.tenants.insert(tenant);
        }
        while let Some((tenant, id)) = news.agents.first().copied() {
            if read.tenants.contains(&tenant) {
                let is_there = seen.agents.get(&tenant).is_some_and(|all| all.contains_key(&id));
                if !is_there {
                    self.agents.pulses().forget((tenant, id));
                }
            } else {
                let snapshot = self.store.snapshot(tenant).await?;
                let (agent, vitals) = (snapshot.agent(id).await?, snapshot.vitals(id).await?);
                let all = seen.agents.entry(tenant).or_default();
                let before = match agent {
                    None => {
                        self.agents.pulses().forget((tenant, id));
                        all.remove(&id)
                    }
                    Some(agent) => {
                        read.reached_anew |= agent.value.kind.is_asked();
                        let vitals = vitals.as_ref().map(|vitals| &vitals.value);
                        all.insert(id, self.known(agent.value, vitals))
                    }
                };
                read.reached_anew |= before.is_some_and(|known| known.agent.kind.is_asked());
                read.agents.insert((tenant, id));
            }
            news.agents.remove(&(tenant, id));
        }
        Ok(())
    }

    /// Reads all agents of a tenant.
    async fn read_all_of(&self, tenant: TenantId, seen: &mut Seen) -> Result<(), AppError> {
        let began = self.clock.now();
        let snapshot = self.store.snapshot(tenant).await?;
        let (agents, vitals) = (snapshot.agents().await?, snapshot.all_vitals().await?);
        let vitals: HashMap<AgentId, &Vitals> =
            vitals.iter().map(|vitals| (vitals.agent_id, vitals)).collect();
        let pulses = self.agents.pulses();
        if agents.iter().any(|agent| !agent.value.kind.is_asked()) && seen.learned.insert(tenant) {
            pulses.learn(tenant, snapshot.heartbeats().await?);
        }
        drop(snapshot);
        let known = agents.into_iter().map(|agent| {
            let id = agent.value.id;
            (id, self.known(agent.value, vitals.get(&id).copied()))
        });
        let known: BTreeMap<AgentId, Known> = known.collect();
        pulses.forget_others(tenant, began, |agent| known.contains_key(&agent));
        seen.agents.insert(tenant, known);
        seen.read_at.insert(tenant, began);
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
