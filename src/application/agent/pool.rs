//! All agents of a tenant together, in figures.

use std::collections::{BTreeMap, HashSet};

use super::AgentService;
use super::query::AgentView;
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::agent::performance::Performance;
use crate::domain::agent::status::AgentState;
use crate::domain::ids::AgentId;
use crate::domain::time::Timestamp;

/// The figures of domain 2.8.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 2.8")]
pub struct PoolStatistics {
    pub total_agents: usize,
    pub available_agents: usize,
    pub busy_agents: usize,
    pub degraded_agents: usize,
    pub agents_by_type: BTreeMap<&'static str, usize>,
    pub agents_by_capability: BTreeMap<String, usize>,
    pub agents_by_tier: BTreeMap<&'static str, usize>,
    pub agents_by_load_level: BTreeMap<&'static str, usize>,
    pub agents_by_state: BTreeMap<&'static str, usize>,
    /// Of all capacity together; nothing without agents.
    pub overall_utilization: Option<f64>,
    /// Mean over the agents that have finished work; nothing before any has.
    pub average_success_rate: Option<f64>,
    pub last_updated: Timestamp,
}

impl AgentService {
    /// All agents of a tenant together, as they are now.
    ///
    /// # Errors
    /// The store's.
    pub async fn statistics(&self, ctx: &RequestContext) -> Result<PoolStatistics, AppError> {
        self.learn(ctx.tenant).await?;
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        let (agents, vitals) = (snapshot.agents().await?, snapshot.all_vitals().await?);
        drop(snapshot);
        let ours: Vec<AgentView> = agents.into_iter().map(|agent| self.view(agent)).collect();
        // What removed agents did is no figure of these.
        let ids: HashSet<AgentId> = ours.iter().map(|view| view.agent.value.id).collect();
        let done: Vec<&Performance> = vitals
            .iter()
            .filter(|vitals| ids.contains(&vitals.agent_id))
            .map(|vitals| &vitals.performance)
            .collect();
        Ok(of(&ours, &done, self.clock.now()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "agents of one tenant")]
fn of(views: &[AgentView], done: &[&Performance], now: Timestamp) -> PoolStatistics {
    let mut statistics = PoolStatistics {
        total_agents: views.len(),
        available_agents: 0,
        busy_agents: 0,
        degraded_agents: 0,
        agents_by_type: BTreeMap::new(),
        agents_by_capability: BTreeMap::new(),
        agents_by_tier: BTreeMap::new(),
        agents_by_load_level: BTreeMap::new(),
        agents_by_state: BTreeMap::new(),
        overall_utilization: None,
        average_success_rate: None,
        last_updated: now,
    };
    let (mut used, mut capacity) = (0.0, 0.0);
    let count = |map: &mut BTreeMap<&'static str, usize>, word| {
        *map.entry(word).or_default() += 1;
    };
    for view in views {
        let (standing, profile) = (&view.standing, &view.agent.value.profile);
        let state = view.state();
        statistics.available_agents += usize::from(view.is_available());
        statistics.busy_agents += usize::from(state == AgentState::Busy);
        statistics.degraded_agents += usize::from(state == AgentState::Degraded);
        count(&mut statistics.agents_by_type, profile.agent_type.as_str());
        count(&mut statistics.agents_by_tier, standing.tier.as_str());
        count(&mut statistics.agents_by_load_level, standing.burden.level().as_str());
        count(&mut statistics.agents_by_state, state.as_str());
        for slug in profile.capabilities() {
            *statistics.agents_by_capability.entry(slug.to_owned()).or_default() += 1;
        }
        let most = f64::from(profile.max_concurrent_capacity);
        used += standing.burden.utilization() * most;
        capacity += most;
    }
    statistics.overall_utilization = (capacity > 0.0).then(|| used / capacity);
    let rates: Vec<f64> = done.iter().filter_map(|one| one.total.rate()).collect();
    statistics.average_success_rate =
        (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64);
    statistics
}
