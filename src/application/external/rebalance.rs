//! Work that waits for an agent which cannot or should not take it is given to another one.
//!
//! Invariant: only what its agent has not begun is moved, and only to somebody who is less busy with it
//! than the agent was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::ExternalService;
use crate::application::agent::{about, audit_of};
use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::application::principal::RequestContext;
use crate::application::session::leave::Parting;
use crate::domain::agent::Agent;
use crate::domain::agent::load::LoadLevel;
use crate::domain::agent::status::Standing;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::ids::{AgentId, SessionId};

/// Longest wait until what was moved has found its new agents.
const SETTLING: Duration = Duration::from_secs(3);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(50);

/// One piece of work that is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub session: SessionId,
    /// Who had it.
    pub from: AgentId,
    /// Who is to have it, or has it by now.
    pub to: AgentId,
}

/// What a rebalancing did, or would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rebalanced {
    /// What was moved, or would be.
    pub moved: Vec<Move>,
    /// Utilisation of the agents that are concerned, by name, before.
    pub before: BTreeMap<String, f64>,
    /// The same afterwards; as expected where nothing was done.
    pub after: BTreeMap<String, f64>,
    /// What could not be moved, and why.
    pub errors: Vec<String>,
}

impl ExternalService {
    /// Moves what waits for agents that are overloaded, offline or draining to others; with `dry_run`
    /// nothing is done.
    ///
    /// # Errors
    /// The store's.
    pub async fn rebalance(
        &self,
        ctx: &RequestContext,
        dry_run: bool,
    ) -> Result<Rebalanced, AppError> {
        let agents = self.agents.list(ctx.tenant).await?;
        let names: BTreeMap<AgentId, &Agent> =
            agents.iter().map(|agent| (agent.id, agent)).collect();
        let mut done = Rebalanced::default();
        // What was planned already counts for what is planned next.
        let mut planned: BTreeMap<AgentId, f64> = BTreeMap::new();
        for agent in &agents {
            let Some(standing) = self.agents.standing(agent).filter(should_give_away) else {
                continue;
            };
            for (session, _) in self.desk.waiting(agent.id) {
                let found = self.store.snapshot(ctx.tenant).await?.session(session).await?;
                let Some(found) = found.map(|found| found.value) else { continue };
                let share = found.spec.estimated_complexity;
                let own = planned.get(&agent.id).copied().unwrap_or_default();
                let used =
                    standing.burden.utilization() + own / f64::from(standing.burden.capacity);
                let Some((to, after)) = self.agents.would_go(&found, agent.id) else { continue };
                let more = planned.get(&to.id).copied().unwrap_or_default();
                let capacity = f64::from(to.profile.max_concurrent_capacity);
                // An agent that is gone is worse than any that is there.
                if standing.is_alive && after + more / capacity >= used {
                    continue;
                }
                for name in [agent, to.as_ref()] {
                    if let Some(standing) = self.agents.standing(name) {
                        let before = standing.burden.utilization();
                        done.before.entry(name.name.clone()).or_insert(before);
                    }
                }
                *planned.entry(agent.id).or_default() -= share;
                *planned.entry(to.id).or_default() += share;
                let step = Move { session, from: agent.id, to: to.id };
                if dry_run {
                    done.moved.push(step);
                    continue;
                }
                let left = self.sessions.leave_agent(ctx.tenant, session, agent.id, Parting::Moved);
                match left.await {
                    Ok(true) => done.moved.push(step),
                    Ok(false) => {}
                    Err(error) => done.errors.push(format!("{}: {error}", found.code)),
                }
            }
        }
        if dry_run {
            for (id, change) in planned {
                let Some(agent) = names.get(&id) else { continue };
                let before = done.before.get(&agent.name).copied().unwrap_or_default();
                let capacity = f64::from(agent.profile.max_concurrent_capacity);
                done.after.insert(agent.name.clone(), (before + change / capacity).max(0.0));
            }
            return Ok(done);
        }
        self.settle_moves(ctx, &mut done).await?;
        for agent in agents.iter().filter(|agent| done.before.contains_key(&agent.name)) {
            let standing = self.agents.standing(agent);
            let used = standing.map_or(0.0, |standing| standing.burden.utilization());
            done.after.insert(agent.name.clone(), used);
        }
        self.tell_moves(ctx, &names, &done).await?;
        Ok(done)
    }

    /// Waits a moment for the new agents, and notes who they are.
    async fn settle_moves(
        &self,
        ctx: &RequestContext,
        done: &mut Rebalanced,
    ) -> Result<(), AppError> {
        let until = self.clock.now().after(SETTLING);
        let mut open: BTreeSet<usize> = (0..done.moved.len()).collect();
        while !open.is_empty() && self.clock.now() < until {
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            for at in open.clone() {
                let step = &mut done.moved[at];
                let found = snapshot.session(step.session).await?;
                let lease = found.and_then(|found| found.value.run.lease);
                if let Some(lease) = lease.filter(|lease| lease.agent_id != step.from) {
                    step.to = lease.agent_id;
                    open.remove(&at);
                }
            }
            drop(snapshot);
            self.clock.sleep(LOOK).await;
        }
        Ok(())
    }

    /// Tells what was moved, per agent that it was taken from.
    async fn tell_moves(
        &self,
        ctx: &RequestContext,
        agents: &BTreeMap<AgentId, &Agent>,
        done: &Rebalanced,
    ) -> Result<(), AppError> {
        let now = self.clock.now();
        let givers: BTreeSet<AgentId> = done.moved.iter().map(|step| step.from).collect();
        for giver in givers.iter().filter_map(|id| agents.get(id)) {
            let moved: Vec<_> = done
                .moved
                .iter()
                .filter(|step| step.from == giver.id)
                .map(|Move { session, from, to }| {
                    json!({ "session_id": session, "from": from, "to": to })
                })
                .collect();
            let payload = json!({ "moved": moved });
            let event = DomainEvent::new(EventType::AgentRebalanced, about(giver), now, payload);
            let audit = audit_of(ctx, giver, "rebalance", now);
            let set = ChangeSet::new(ctx.tenant).events([event]).audit(Some(audit));
            self.store.commit(set).await?;
        }
        Ok(())
    }
}

/// Whether what waits for an agent had better go to another one.
fn should_give_away(standing: &Standing) -> bool {
    standing.burden.level() == LoadLevel::Overloaded
        || !standing.is_alive
        || standing.heartbeat == Some(crate::domain::agent::status::HeartbeatStatus::Offline)
        || standing.switches.is_draining
}
