//! Looking at agents: what was registered, and how it is now.

use std::cmp::Ordering;

use super::outlook::vitals_in;
use super::{AgentService, Endpoint, Liveness};
use crate::application::error::AppError;
use crate::application::ports::reads::Snapshot;
use crate::application::principal::RequestContext;
use crate::application::scheduler::roster::LOOKING;
use crate::domain::agent::gate::Gate;
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::load::Load;
use crate::domain::agent::performance::{Performance, Tier};
use crate::domain::agent::routing::{Candidate, Request};
use crate::domain::agent::status::{AgentState, HeartbeatStatus, Standing};
use crate::domain::agent::vitals::{Condition, Vitals};
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// An agent, and how it is.
#[derive(Debug, Clone)]
pub struct AgentView {
    /// The agent.
    pub agent: Versioned<Agent>,
    /// It comes from the settings of the server.
    pub is_built_in: bool,
    /// How it stands.
    pub standing: Standing,
    /// Sessions that wait for it and nobody else.
    pub queue_length: usize,
    /// What the newest probe gave; nothing before the first one.
    pub probed: Option<Liveness>,
    /// What it said of itself last; nothing of agents that are asked instead.
    pub heartbeat: Option<Heartbeat>,
    /// What came of its work; nothing where nobody asked for that.
    pub performance: Option<Box<Performance>>,
    /// When this was seen.
    pub at: Timestamp,
}

/// Which agents.
#[derive(Debug, Clone, Default)]
pub struct AgentQuery {
    /// Of this type.
    pub agent_type: Option<AgentType>,
    /// Spoken to by this driver.
    pub kind: Option<AgentKind>,
    /// With all of these capabilities.
    pub capabilities: Vec<String>,
    /// In one of these states; in any when there is none.
    pub states: Vec<AgentState>,
    /// Of this tier.
    pub tier: Option<Tier>,
    /// Only those that have room for more, and may be given it.
    pub available_only: bool,
    /// Only those behind this one.
    pub after: Option<AgentId>,
    /// At most this many.
    pub limit: usize,
}

/// One page of agents.
#[derive(Debug, Default)]
pub struct AgentPage {
    /// The agents in the order of the query.
    pub items: Vec<AgentView>,
    /// Where the next page begins.
    pub next: Option<AgentId>,
    /// All that match.
    pub total: u64,
}

impl AgentView {
    /// One word for how it is.
    #[must_use]
    pub fn state(&self) -> AgentState {
        match self.agent.value.deleted_at {
            Some(_) => AgentState::Inactive,
            None => self.standing.state(),
        }
    }

    /// Whether there is room for more work that it may be given.
    #[must_use]
    pub fn is_available(&self) -> bool {
        let anything = Request::any(self.agent.value.tenant_id);
        let candidate = self.candidate();
        let mut gates = [Gate::Active, Gate::Draining, Gate::Alive, Gate::Breaker].into_iter();
        self.standing.is_available()
            && self.standing.heartbeat != Some(HeartbeatStatus::Busy)
            && gates.all(|gate| gate.lets_through(&anything, &candidate))
    }

    fn candidate(&self) -> Candidate<'_> {
        let Agent { id, tenant_id, name, profile, .. } = &self.agent.value;
        let standing = self.standing;
        Candidate { id: *id, tenant_id: *tenant_id, name, profile, standing }
    }
}

impl AgentQuery {
    fn wants(&self, view: &AgentView) -> bool {
        let agent = &view.agent.value;
        self.agent_type.is_none_or(|wanted| wanted == agent.profile.agent_type)
            && self.kind.is_none_or(|wanted| wanted == agent.kind)
            && agent.has_all(&self.capabilities)
            && (self.states.is_empty() || self.states.contains(&view.state()))
            && self.tier.is_none_or(|wanted| wanted == view.standing.tier)
            && (!self.available_only || view.is_available())
    }

    /// The order of the listing. Who is asked for by what it can do comes by how good it is and how much
    /// it has to do; who is available by the latter; who is of a tier by name; else the oldest first.
    fn order(&self, one: &AgentView, other: &AgentView) -> Ordering {
        let used = |view: &AgentView| view.standing.burden.utilization();
        let by_use = used(one).total_cmp(&used(other));
        let by_name = one.agent.value.name.cmp(&other.agent.value.name);
        if !self.capabilities.is_empty() {
            let by_tier = one.standing.tier.cmp(&other.standing.tier);
            by_tier.then(by_use).then(by_name)
        } else if self.available_only {
            by_use.then(by_name)
        } else if self.tier.is_some() {
            by_name
        } else {
            one.agent.value.id.cmp(&other.agent.value.id)
        }
    }
}

impl AgentService {
    /// One page of a tenant's agents.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        ctx: &RequestContext,
        query: &AgentQuery,
    ) -> Result<AgentPage, AppError> {
        let agents = self.store.snapshot(ctx.tenant).await?.agents().await?;
        let mut items: Vec<AgentView> = agents
            .into_iter()
            .map(|agent| self.view(agent))
            .filter(|view| query.wants(view))
            .collect();
        items.sort_by(|one, other| query.order(one, other));
        let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if let Some(after) = query.after {
            let seen = items.iter().position(|view| view.agent.value.id == after);
            match seen {
                Some(seen) => drop(items.drain(..=seen)),
                // It was removed, or is none of these any more: those that were registered later.
                None => items.retain(|view| view.agent.value.id > after),
            }
        }
        let has_more = items.len() > query.limit;
        items.truncate(query.limit);
        let next = items.last().filter(|_| has_more).map(|view| view.agent.value.id);
        let mut seen = Vec::with_capacity(items.len());
        for view in items {
            seen.push(self.with_figures(view).await?);
        }
        Ok(AgentPage { items: seen, next, total })
    }

    /// One agent, by id or name.
    ///
    /// # Errors
    /// `AgentNotFound`.
    pub async fn get(&self, ctx: &RequestContext, reference: &str) -> Result<AgentView, AppError> {
        self.with_figures(self.view(self.find(ctx.tenant, reference).await?)).await
    }

    /// The same with what came of its work.
    pub(super) async fn with_figures(&self, view: AgentView) -> Result<AgentView, AppError> {
        let Agent { id, tenant_id, .. } = view.agent.value;
        let snapshot = self.store.snapshot(tenant_id).await?;
        let (vitals, _) = vitals_in(&*snapshot, id, view.at).await?;
        Ok(AgentView { performance: Some(Box::new(vitals.performance)), ..view })
    }

    /// The agent that an id or a name means.
    pub(super) async fn find(
        &self,
        tenant: TenantId,
        reference: &str,
    ) -> Result<Versioned<Agent>, AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        named(&*snapshot, reference).await
    }

    /// How an agent is at this moment.
    pub(super) fn view(&self, agent: Versioned<Agent>) -> AgentView {
        let is_built_in = self.built_in.contains(&agent.value.name);
        let probed = self.seen(&agent.value);
        let is_alive = probed.as_ref().is_none_or(|seen| seen.result.is_ok());
        let stands = self.queue.stands(&agent.value);
        let (standing, queue_length) = match stands {
            Some(stands) => (stands.standing, stands.waiting),
            None => (self.unseen(&agent.value), 0),
        };
        // People see a switch at once, whatever decisions see already.
        let switches = agent.value.switches;
        let standing = Standing { switches, is_alive: is_alive && standing.is_alive, ..standing };
        let heartbeat = self.pulses.newest((agent.value.tenant_id, agent.value.id));
        let (performance, at) = (None, self.clock.now());
        AgentView { agent, is_built_in, standing, queue_length, probed, heartbeat, performance, at }
    }

    /// An agent that is not known to the scheduler yet. Nothing of its work was judged, so that its tier is
    /// provisional.
    fn unseen(&self, agent: &Agent) -> Standing {
        let moment = (self.queue.rules(), self.clock.now());
        let (traits, who) = ((&agent.profile, agent.switches), (agent.tenant_id, agent.id));
        let tells = !agent.kind.is_asked();
        let pulse = tells.then(|| self.pulses.pulse(who, agent.created_at));
        Condition::of(None, pulse).standing(traits, Load::default(), None, moment)
    }

    /// Why an agent cannot be reached, when it cannot.
    pub(super) fn down(&self, agent: &Agent) -> Option<String> {
        match self.seen(agent) {
            Some(seen) => seen.result.err(),
            // Those that tell by themselves how they are are not looked for.
            None => agent.kind.is_asked().then(|| LOOKING.to_owned()),
        }
    }

    /// Lets the scheduler know of a change of an agent before it hears of it.
    pub(super) fn tell(&self, agent: &Agent, vitals: Option<&Vitals>) {
        self.queue.tell(agent, self.down(agent), vitals);
    }

    /// What the newest probe of an agent gave, or why there can be none.
    fn seen(&self, agent: &Agent) -> Option<Liveness> {
        if self.driver(agent.kind).is_none() {
            let reason = format!("this server does not speak to {} agents", agent.kind);
            return Some(Liveness { at: self.clock.now(), result: Err(reason), took_ms: 0 });
        }
        self.probed().get(&Endpoint::of(agent)).cloned().flatten()
    }
}

async fn named(snapshot: &dyn Snapshot, reference: &str) -> Result<Versioned<Agent>, AppError> {
    if let Some(id) = AgentId::parse(reference) {
        return snapshot.agent(id).await?.ok_or(AppError::AgentNotFound);
    }
    let found = snapshot.agents().await?.into_iter().find(|agent| agent.value.is_called(reference));
    found.ok_or(AppError::AgentNotFound)
}
