//! The decision: which waiting sessions run now, on which agents. Pure; every input is in the state.
//!
//! Sessions with the same needs stand in one line, so that a decision looks at the heads of the
//! lines only: its cost does not grow with the number that wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::agent::Agent;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::schedule::order::Waiting;
use crate::domain::session::Session;
use crate::domain::session::spec::Priority;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// What a session needs of its agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Needs {
    /// Whose session.
    pub tenant: TenantId,
    /// Pinned agent, by id or name.
    pub agent: Option<String>,
    /// Capabilities that it must have.
    pub capabilities: Vec<String>,
}

impl Needs {
    /// The needs of a session.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let mut capabilities = session.spec.required_capabilities.clone();
        capabilities.sort_unstable();
        Self { tenant: session.tenant_id, agent: session.spec.agent.clone(), capabilities }
    }
}

/// An agent as the scheduler sees it.
#[derive(Debug, Clone)]
pub struct AgentSlot {
    /// The agent.
    pub agent: Agent,
    /// Why it cannot work at all, when it cannot.
    pub down: Option<String>,
}

/// Why an agent cannot work before it was looked at for the first time.
pub const LOOKING: &str = "it is still being looked at";

/// Sessions with the same needs, by priority and age.
type Line = BTreeMap<Priority, BTreeSet<(Timestamp, SessionId)>>;

/// A session that is to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Whose session.
    pub tenant: TenantId,
    /// Which session.
    pub session: SessionId,
    /// On which agent.
    pub agent: Agent,
}

/// Everything that the decision looks at.
#[derive(Debug, Default)]
pub struct State {
    /// Sessions that may execute at once in this instance.
    pub max_running: usize,
    /// All agents.
    pub agents: Vec<AgentSlot>,
    lines: BTreeMap<Needs, Line>,
    waiting: HashMap<SessionId, (Needs, Waiting)>,
    executing: HashMap<SessionId, AgentId>,
}

impl State {
    /// Nobody waits and nobody executes yet.
    #[must_use]
    pub fn new(max_running: usize, agents: Vec<AgentSlot>) -> Self {
        Self { max_running, agents, ..Self::default() }
    }

    /// Takes note of a session as it stands; forgets it when it neither waits nor executes.
    pub fn observe(&mut self, session: &Session) {
        self.forget(session.id);
        if session.stamps.deleted_at.is_some() {
            return;
        }
        let resumes = session.status() == SessionStatus::Paused && session.run.resume_wanted;
        let queued = session.status() == SessionStatus::Queued;
        let queued_at = session.stamps.queued_at.filter(|_| queued);
        let since = queued_at.or(session.stamps.paused_at.filter(|_| resumes));
        if let Some(queued_at) = since {
            let waiting = Waiting {
                tenant: session.tenant_id,
                session: session.id,
                priority: session.spec.priority,
                queued_at,
            };
            let needs = Needs::of(session);
            let line = self.lines.entry(needs.clone()).or_default();
            line.entry(waiting.priority).or_default().insert((queued_at, session.id));
            self.waiting.insert(session.id, (needs, waiting));
        }
        if let Some(lease) = &session.run.lease {
            self.executing.insert(session.id, lease.agent_id);
        }
    }

    /// Forgets a session.
    pub fn forget(&mut self, id: SessionId) {
        self.executing.remove(&id);
        let Some((needs, waiting)) = self.waiting.remove(&id) else { return };
        let Some(line) = self.lines.get_mut(&needs) else { return };
        if let Some(class) = line.get_mut(&waiting.priority) {
            class.remove(&(waiting.queued_at, id));
            if class.is_empty() {
                line.remove(&waiting.priority);
            }
        }
        if line.is_empty() {
            self.lines.remove(&needs);
        }
    }

    /// Grants until no slot is left or nobody fits; the state already counts what it granted.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Grant> {
        let mut grants = Vec::new();
        while self.executing.len() < self.max_running {
            let heads = self.lines.iter().filter_map(|(needs, line)| {
                let agent = self.place(needs).ok()?;
                Some((head(needs.tenant, line, now)?, agent.clone()))
            });
            let Some((waiting, agent)) = heads.min_by_key(|(waiting, _)| waiting.rank(now)) else {
                break;
            };
            self.forget(waiting.session);
            self.executing.insert(waiting.session, agent.id);
            grants.push(Grant { tenant: waiting.tenant, session: waiting.session, agent });
        }
        grants
    }

    /// The agent that takes work with these needs: the least busy one, then by name.
    ///
    /// # Errors
    /// Why nobody does, with words for people.
    pub fn place(&self, needs: &Needs) -> Result<&Agent, (BlockerCode, String)> {
        let named = |slot: &&AgentSlot| {
            slot.agent.tenant_id == needs.tenant
                && needs.agent.as_ref().is_none_or(|wanted| slot.agent.is_called(wanted))
        };
        let mine: Vec<&AgentSlot> = self.agents.iter().filter(named).collect();
        let able: Vec<&AgentSlot> =
            mine.iter().copied().filter(|slot| slot.agent.has_all(&needs.capabilities)).collect();
        if able.is_empty() {
            let text = match (&needs.agent, mine.is_empty()) {
                (Some(name), true) => format!("no agent is called {name}"),
                (None, true) => "no agent is registered".to_owned(),
                (_, false) => {
                    format!("no agent has the capabilities {}", needs.capabilities.join(", "))
                }
            };
            let code = if mine.is_empty() {
                BlockerCode::AgentUnavailable
            } else {
                BlockerCode::NoAgentCapability
            };
            return Err((code, text));
        }
        if let Some(down) = able.iter().find_map(|slot| slot.down.as_ref())
            && able.iter().all(|slot| slot.down.is_some())
        {
            let name = &able[0].agent.name;
            if able.iter().any(|slot| slot.down.as_deref() == Some(LOOKING)) {
                return Err((BlockerCode::AgentUnavailable, format!("{name}: {LOOKING}")));
            }
            return Err((BlockerCode::NoAgentAlive, format!("{name} cannot work: {down}")));
        }
        let busy = |slot: &AgentSlot| {
            self.executing.values().filter(|agent| **agent == slot.agent.id).count()
        };
        let free = able.iter().filter(|slot| slot.down.is_none()).filter_map(|slot| {
            let (busy, most) = (busy(slot), slot.agent.max_concurrent_capacity as usize);
            (busy < most).then_some((busy, &slot.agent))
        });
        let chosen = free.min_by(|left, right| {
            left.0.cmp(&right.0).then_with(|| left.1.name.cmp(&right.1.name))
        });
        chosen.map(|(_, agent)| agent).ok_or_else(|| {
            let full: Vec<&str> = able.iter().map(|slot| slot.agent.name.as_str()).collect();
            let text = format!("{} works on as many sessions as it takes", full.join(", "));
            (BlockerCode::NoAgentCapacity, text)
        })
    }

    /// Place of a session among all that wait, from 1.
    #[must_use]
    pub fn position(&self, id: SessionId, now: Timestamp) -> Option<usize> {
        let rank = self.waiting.get(&id)?.1.rank(now);
        let before = self.waiting.values().filter(|(_, waiting)| waiting.rank(now) < rank);
        Some(before.count() + 1)
    }

    /// Sessions that execute now.
    #[must_use]
    pub fn executing(&self) -> usize {
        self.executing.len()
    }
}

/// The session of a line that comes first. Within a class that is the oldest one at every moment,
/// since ageing lifts the older ones first.
fn head(tenant: TenantId, line: &Line, now: Timestamp) -> Option<Waiting> {
    let heads = line.iter().filter_map(|(priority, class)| {
        let (queued_at, session) = *class.first()?;
        Some(Waiting { tenant, session, priority: *priority, queued_at })
    });
    heads.min_by_key(|waiting| waiting.rank(now))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
