//! The decision: which waiting sessions run now, on which agents. Pure; every input is in the state.
//!
//! Between tenants their shares decide, within a tenant the order of its sessions. Tenants stand in
//! one order by their shares, so that a decision costs the logarithm of their number, and of the
//! number of sessions that wait.
//!
//! Invariant: what the state holds follows from the sessions that were observed, the agents and the
//! moment, in whatever order they came; only the turns of the tenants and the pace are its memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::lines::Lines;
use super::needs::Needs;
use super::roster::AgentSlot;
use crate::domain::agent::Agent;
use crate::domain::agent::load::Units;
use crate::domain::agent::status::AgentRules;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::schedule::fairness::{Cost, Standing};
use crate::domain::schedule::hold::{Held, Hold};
use crate::domain::schedule::order::Waiting;
use crate::domain::schedule::pace::Pace;
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{Session, SessionCode};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::weight::Weight;
use crate::domain::time::Timestamp;

/// A session that is to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Whose session.
    pub tenant: TenantId,
    /// Which session.
    pub session: SessionId,
    /// On which agent.
    pub agent: Arc<Agent>,
}

/// A session that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) tenant: TenantId,
    pub(super) waiting: Waiting,
    pub(super) cost: Cost,
    needs: Arc<Needs>,
    code: SessionCode,
}

/// A session that an agent works on.
#[derive(Debug)]
pub(super) struct Executing {
    pub(super) tenant: TenantId,
    pub(super) agent: AgentId,
    pub(super) code: SessionCode,
    cost: Cost,
    units: Units,
    since: Timestamp,
}

/// A grant this soon after a session was queued says nothing about how long the others wait.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Everything that the decision looks at.
#[derive(Debug)]
pub struct State {
    /// Sessions that may execute at once in this instance.
    pub(super) max_running: usize,
    /// Nothing new is given out at all.
    pub(super) hold: Option<Hold>,
    pub(super) tenants: BTreeMap<TenantId, Lines>,
    pub(super) waiting: HashMap<SessionId, Waiter>,
    pub(super) executing: HashMap<SessionId, Executing>,
    pub(super) pace: Pace,
    /// Sessions that could not be given out, and until when they are passed over.
    pub(super) resting: HashMap<SessionId, Timestamp>,
    ready: BTreeSet<(Standing, TenantId)>,
    /// When the place of a waiting session changes by waiting alone.
    lifts: BTreeSet<(Timestamp, SessionId)>,
    /// The latest turn that was had: whoever joins begins there.
    turn: u64,
    /// When agents of a tenant will stand otherwise by the passing of time alone.
    agents_turn: BTreeSet<(Timestamp, TenantId)>,
    /// When room that is held at agents of a tenant is given back.
    pub(super) reserves_end: BTreeSet<(Timestamp, TenantId)>,
    /// By which times agents are judged.
    rules: AgentRules,
    now: Timestamp,
}

impl State {
    /// Nobody waits and nobody executes yet.
    #[must_use]
    pub fn new(max_running: usize) -> Self {
        Self {
            max_running,
            hold: None,
            tenants: BTreeMap::new(),
            waiting: HashMap::new(),
            executing: HashMap::new(),
            pace: Pace::default(),
            resting: HashMap::new(),
            ready: BTreeSet::new(),
            lifts: BTreeSet::new(),
            turn: 0,
            agents_turn: BTreeSet::new(),
            reserves_end: BTreeSet::new(),
            rules: AgentRules::default(),
            now: Timestamp::EPOCH,
        }
    }

    /// Agents are judged by these times; said before any is known.
    pub fn judge_by(&mut self, rules: AgentRules) {
        self.rules = rules;
    }

    /// Takes note of a session as it stands, and of how long it can wait without delaying its task
    /// graph, if it has one; forgets it when it neither waits nor executes.
    pub fn observe(&mut self, session: &Session, slack: Option<Duration>) {
        let (id, tenant) = (session.id, session.tenant_id);
        let elsewhere = self.detach(id).filter(|other| *other != tenant);
        if session.stamps.deleted_at.is_none() {
            self.attach(session, slack);
        }
        for changed in elsewhere.into_iter().chain([tenant]) {
            self.settle(changed);
        }
    }

    /// Forgets a session.
    pub fn forget(&mut self, id: SessionId) {
        if let Some(tenant) = self.detach(id) {
            self.settle(tenant);
        }
    }

    /// Whether somebody has held what a grant would begin since it was decided.
    #[must_use]
    pub fn is_held(&self, grant: &Grant) -> bool {
        let lines = self.tenants.get(&grant.tenant);
        self.hold.is_some()
            || lines.is_some_and(|lines| {
                lines.hold.is_some()
                    || lines.spent
                    || lines.roster.held().contains_key(&grant.agent.id)
            })
    }

    /// A session that was just granted could not be given out: its tenant has not had its turn.
    pub fn take_back(&mut self, id: SessionId) {
        if let Some(Executing { tenant, cost, .. }) = self.executing.get(&id)
            && let Some(lines) = self.tenants.get_mut(tenant)
        {
            lines.account.refund(*cost);
        }
        self.forget(id);
    }

    /// A session that could not be given out is passed over until then.
    pub fn rest(&mut self, id: SessionId, until: Timestamp) {
        let now = self.now;
        self.resting.retain(|_, until| *until > now);
        self.resting.insert(id, until);
    }

    /// Forgets all sessions; agents, weights, turns and pace stay.
    pub fn forget_all(&mut self) {
        let ids: Vec<SessionId> =
            self.waiting.keys().chain(self.executing.keys()).copied().collect();
        for id in ids {
            self.forget(id);
        }
    }

    /// These are the agents of a tenant.
    pub fn set_agents(&mut self, tenant: TenantId, slots: Vec<AgentSlot>) {
        let known = self.tenants.get(&tenant);
        if known.map_or(slots.is_empty(), |known| known.roster.is(&slots)) {
            return;
        }
        let now = self.now;
        let roster =
            &mut self.tenants.entry(tenant).or_insert_with(|| Lines::judged_by(self.rules)).roster;
        roster.advance(now);
        roster.replace(slots);
        self.settle(tenant);
    }

    /// This is how one agent of a tenant is; `false` when all of them have to be told anew.
    pub fn set_agent(&mut self, tenant: TenantId, slot: &AgentSlot) -> bool {
        let now = self.now;
        let Some(lines) = self.tenants.get_mut(&tenant) else { return false };
        lines.roster.advance(now);
        let is_done = lines.roster.update(slot);
        if is_done {
            self.settle(tenant);
        }
        is_done
    }

    /// This is the weight of a tenant.
    pub fn set_weight(&mut self, tenant: TenantId, weight: Weight) {
        let known =
            self.tenants.get(&tenant).map_or(Weight::DEFAULT, |known| known.account.weight());
        if known != weight {
            self.tenants
                .entry(tenant)
                .or_insert_with(|| Lines::judged_by(self.rules))
                .account
                .weigh(weight);
            self.settle(tenant);
        }
    }

    /// This is how a tenant stands: its weight, and what of it is held. The bootstrap tenant keeps the
    /// hold of the instance.
    pub fn set_tenant(&mut self, tenant: &Tenant) {
        let hold = |wanted: Held| tenant.holds.iter().find(|hold| hold.held == wanted).cloned();
        if tenant.id == TenantId::BOOTSTRAP {
            self.hold = hold(Held::Instance);
        }
        let agents = tenant.holds.iter().filter_map(|hold| match hold.held {
            Held::Agent(id) => Some((id, hold.clone())),
            Held::Instance | Held::Tenant => None,
        });
        let inactive = || Hold {
            held: Held::Tenant,
            reason: Some("the tenant is inactive".to_owned()),
            since: tenant.inactive_since.unwrap_or(tenant.created_at),
            by: "system".to_owned(),
        };
        let own = hold(Held::Tenant).or_else(|| (!tenant.is_active).then(inactive));
        let agents = agents.collect();
        self.set_weight(tenant.id, tenant.weight);
        let lines = self.tenants.entry(tenant.id).or_insert_with(|| Lines::judged_by(self.rules));
        if lines.hold != own || *lines.roster.held() != agents {
            lines.hold = own;
            lines.roster.hold(agents);
            self.settle(tenant.id);
        }
    }

    /// Whether nothing is left of what a tenant may use this month: nothing new begins then.
    pub fn set_spent(&mut self, tenant: TenantId, spent: bool) {
        let known = self.tenants.get(&tenant).is_some_and(|lines| lines.spent);
        if known != spent {
            self.tenants.entry(tenant).or_insert_with(|| Lines::judged_by(self.rules)).spent =
                spent;
            self.settle(tenant);
        }
    }

    /// Grants until no slot is left or nobody fits; the state already counts what it granted.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Grant> {
        self.advance(now);
        let mut grants = Vec::new();
        while self.hold.is_none() && self.executing.len() < self.max_running {
            let Some(grant) = self.decide() else { break };
            grants.push(grant);
        }
        grants
    }

    /// Sessions that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sessions that execute now.
    #[must_use]
    pub fn executing(&self) -> usize {
        self.executing.len()
    }

    /// The moment up to which time has passed here.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Time passes: whoever waited long enough is lifted.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let before = self.now;
        self.now = before.max(now);
        while let Some(&(at, id)) = self.lifts.first().filter(|(at, _)| *at <= self.now) {
            self.lifts.remove(&(at, id));
            let Some(waiter) = self.waiting.get(&id) else { continue };
            let rank = waiter.waiting.rank(self.now);
            if let Some(lines) = self.tenants.get_mut(&waiter.tenant) {
                lines.lift(&waiter.needs, &waiter.waiting.rank(before), rank);
            }
            self.lifts.extend(waiter.waiting.next_lift(self.now).map(|next| (next, id)));
        }
        self.end_reserves();
        self.advance_agents();
    }

    /// Time passes for agents, too.
    fn advance_agents(&mut self) {
        while let Some(&(at, tenant)) = self.agents_turn.first().filter(|(at, _)| *at <= self.now) {
            self.agents_turn.remove(&(at, tenant));
            if let Some(lines) = self.tenants.get_mut(&tenant) {
                lines.agents_turn = None;
                lines.roster.advance(self.now);
            }
            self.settle(tenant);
        }
    }

    /// The next grant: the first session of the first tenant that has one which somebody takes.
    fn decide(&mut self) -> Option<Grant> {
        while let Some(&(standing, tenant)) = self.ready.first() {
            let lines = self.tenants.get_mut(&tenant)?;
            let Some((rank, agent)) = lines.next(self.now) else {
                // Nothing of it can be given out until something of it changes.
                self.ready.pop_first();
                lines.ready = None;
                continue;
            };
            let (session, agent) = (rank.session(), Arc::clone(agent));
            let waiter = self.waiting.remove(&session)?;
            if let Some(at) = waiter.waiting.next_lift(self.now) {
                self.lifts.remove(&(at, session));
            }
            let Waiter { tenant: _, waiting: _, cost, needs, code } = waiter;
            lines.leave(&needs, &rank, cost);
            self.turn = self.turn.max(lines.account.turn());
            lines.account.charge(cost);
            lines.account.begin(cost);
            let units = needs.request.complexity;
            // Room that was held for it is used, whether it was needed or not.
            lines.roster.give_back(|reserved| reserved.is_for(agent.id, &needs), 1);
            lines.roster.begin(agent.id, units, self.now);
            if self.now.since(rank.queued_at()) >= AT_ONCE {
                lines.pace.granted(self.now);
                self.pace.granted(self.now);
            }
            let since = self.now;
            let executing = Executing { tenant, agent: agent.id, code, cost, units, since };
            self.executing.insert(session, executing);
            self.ready.remove(&(standing, tenant));
            lines.ready = (lines.waiting() > 0).then(|| lines.account.standing());
            self.ready.extend(lines.ready.map(|standing| (standing, tenant)));
            return Some(Grant { tenant, session, agent });
        }
        None
    }

    fn attach(&mut self, session: &Session, slack: Option<Duration>) {
        // No agent works on it: its tasks have sessions of their own.
        if session.is_graph() {
            return;
        }
        let (id, tenant) = (session.id, session.tenant_id);
        let cost = Cost::of(session.spec.estimated_complexity);
        let may = !session.is_exhausted();
        let resumes = session.status() == SessionStatus::Paused && session.run.resume_wanted && may;
        let queued = session.status() == SessionStatus::Queued && may;
        let queued_at = session.stamps.queued_at.filter(|_| queued);
        if let Some(queued_at) = queued_at.or(session.stamps.paused_at.filter(|_| resumes)) {
            let priority = session.spec.priority;
            let waiting = Waiting { session: id, priority, slack, queued_at };
            let lines = self.tenants.entry(tenant).or_insert_with(|| Lines::judged_by(self.rules));
            let needs = lines.join(Needs::of(session), waiting.rank(self.now), cost);
            self.lifts.extend(waiting.next_lift(self.now).map(|at| (at, id)));
            let code = session.code;
            self.waiting.insert(id, Waiter { tenant, waiting, cost, needs, code });
        }
        if let Some(lease) = &session.run.lease {
            let (agent, code) = (lease.agent_id, session.code);
            let lines = self.tenants.entry(tenant).or_insert_with(|| Lines::judged_by(self.rules));
            lines.account.begin(cost);
            let units = Units::of(session.spec.estimated_complexity);
            let since = lease.granted_at;
            lines.roster.begin(agent, units, since);
            self.executing.insert(id, Executing { tenant, agent, code, cost, units, since });
        }
    }

    /// Takes a session out of everything; whose it was.
    fn detach(&mut self, id: SessionId) -> Option<TenantId> {
        let mut whose = None;
        if let Some(Executing { tenant, agent, code: _, cost, units, since }) =
            self.executing.remove(&id)
        {
            if let Some(lines) = self.tenants.get_mut(&tenant) {
                lines.account.end(cost);
                lines.roster.end(agent, units, since);
            }
            whose = Some(tenant);
        }
        if let Some(Waiter { tenant, waiting, cost, needs, code: _ }) = self.waiting.remove(&id) {
            if let Some(at) = waiting.next_lift(self.now) {
                self.lifts.remove(&(at, id));
            }
            if let Some(lines) = self.tenants.get_mut(&tenant) {
                lines.leave(&needs, &waiting.rank(self.now), cost);
            }
            whose = Some(tenant);
        }
        whose
    }

    /// Something of a tenant changed: it stands where it belongs.
    pub(super) fn settle(&mut self, tenant: TenantId) {
        let Some(lines) = self.tenants.get_mut(&tenant) else { return };
        let turn = lines.roster.next_turn();
        if turn != lines.agents_turn {
            let before = std::mem::replace(&mut lines.agents_turn, turn);
            before.map(|at| self.agents_turn.remove(&(at, tenant)));
            self.agents_turn.extend(turn.map(|at| (at, tenant)));
        }
        let before = lines.ready.take();
        if let Some(standing) = before {
            self.ready.remove(&(standing, tenant));
        }
        if lines.waiting() > 0 && lines.hold.is_none() && !lines.spent {
            if before.is_none() {
                lines.account.join(self.turn);
            }
            let standing = lines.account.standing();
            lines.ready = Some(standing);
            self.ready.insert((standing, tenant));
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
