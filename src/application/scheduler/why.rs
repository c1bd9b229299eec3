//! Why a waiting session was not given out yet, in words for people.

use super::needs::Needs;
use super::refusal::Refusal;
use super::tick::State;
use crate::application::agent::cooldown::Cooldown;
use crate::application::session::explain::Blocker;
use crate::domain::agent::gate::{Gate, NoAgent};
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::schedule::hold::{Held, Hold};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;

/// Names told before the rest is only counted.
const TOLD: usize = 3;

impl State {
    /// Why a waiting session was not given to an agent yet; also when it is just about to be.
    #[must_use]
    pub fn why(&self, session: &Session) -> Blocker {
        let needs = Needs::of(session);
        let lines = self.tenants.get(&session.tenant_id);
        if let Some(hold) = self.hold.as_ref().or(lines.and_then(|lines| lines.hold.as_ref())) {
            return held(hold, None);
        }
        if let Some(until) = self.resting.get(&session.id).filter(|until| **until > self.now()) {
            return resting(*until, session);
        }
        let placed = lines.and_then(|lines| lines.roster.place(&needs, None));
        let mut blocker = match (placed, lines) {
            (Some(_), _) if self.executing() >= self.max_running => self.full(),
            (Some(agent), _) => about_to_be(agent),
            (None, Some(lines)) => self.refused(lines.roster.refusal(&needs), &needs, session),
            (None, None) => self.refused(Refusal::NoAgent, &needs, session),
        };
        blocker.since.get_or_insert(session.status_updated_at());
        blocker
    }

    fn full(&self) -> Blocker {
        let most = self.max_running;
        let text = if most == 1 {
            "the only slot of this server is taken".to_owned()
        } else {
            format!("all {most} slots of this server are taken")
        };
        let remedy = "wait for a session to end, or raise scheduler.max_running_sessions";
        let command = "orchestrator session list --status running";
        blocker(BlockerCode::SlotsFull, text, remedy, command)
    }

    fn refused(&self, refusal: Refusal<'_>, needs: &Needs, session: &Session) -> Blocker {
        let doctor = "orchestrator doctor";
        match refusal {
            Refusal::NoAgent => {
                let text = needs.agent.as_ref().map_or_else(
                    || "no agent is registered".to_owned(),
                    |name| format!("no agent is called {name}"),
                );
                let remedy = "see which agents there are, and create the session for one of them";
                blocker(BlockerCode::AgentUnavailable, text, remedy, doctor)
            }
            Refusal::Incapable(nearest) => {
                let wanted = needs.request.required.join(", ");
                let near: Vec<String> = nearest
                    .iter()
                    .map(|(agent, lacking)| format!("{} lacks {}", agent.name, lacking.join(", ")))
                    .collect();
                let text = format!("no agent has {wanted}: {}", near.join("; "));
                let remedy = "create the session with capabilities that an agent has";
                let nearest = nearest.first().map(|(agent, _)| *agent);
                of(nearest, blocker(BlockerCode::NoAgentCapability, text, remedy, doctor))
            }
            Refusal::Unfit(reason, agent, gate) => of(Some(agent), unfit(reason, agent, gate)),
            Refusal::Looking(agent) => {
                let text = format!("{} is still being looked at", agent.name);
                let remedy = "wait a moment, or see which agents there are";
                of(Some(agent), blocker(BlockerCode::AgentUnavailable, text, remedy, doctor))
            }
            Refusal::Down(agent, reason) => {
                let text = format!("{} cannot work: {reason}", agent.name);
                let remedy = match agent.kind {
                    AgentKind::Eap => "start the agent again, or look why it says so",
                    AgentKind::Opencode => {
                        "install the agent (npm install -g opencode-ai), or set \
                         agents.opencode.command; `orchestrator doctor` tells more"
                    }
                    AgentKind::Acp | AgentKind::Command | AgentKind::Simulated => {
                        "install its program; `orchestrator agent detect` tells what is there"
                    }
                };
                of(Some(agent), blocker(BlockerCode::NoAgentAlive, text, remedy, doctor))
            }
            Refusal::Held(agent, hold) => of(Some(agent), held(hold, Some(agent))),
            Refusal::Cooling(agent, cooldown) => cooling(agent, cooldown, session),
            Refusal::Busy(agents) => self.busy(&agents),
        }
    }

    fn busy(&self, agents: &[&Agent]) -> Blocker {
        let told: Vec<String> = agents.iter().take(TOLD).map(|agent| self.work_of(agent)).collect();
        let rest = agents.len() - told.len();
        let more =
            if rest > 0 { format!("; and {rest} more agents are busy") } else { String::new() };
        let text = format!("{}{more}", told.join("; "));
        let remedy = "wait for a session to end, or stop one";
        let command = "orchestrator session list --status running";
        let one = agents.first().copied().filter(|_| agents.len() == 1);
        of(one, blocker(BlockerCode::NoAgentCapacity, text, remedy, command))
    }

    /// `AGENT-A works on IND-000001 and IND-000002 and takes no more`.
    fn work_of(&self, agent: &Agent) -> String {
        let mut codes: Vec<String> = self
            .executing
            .values()
            .filter(|executing| executing.agent == agent.id)
            .map(|executing| executing.code.to_string())
            .collect();
        codes.sort_unstable();
        let most = agent.profile.max_concurrent_capacity;
        let rest = codes.len().saturating_sub(TOLD);
        codes.truncate(TOLD);
        let mut work = codes.join(", ");
        if rest > 0 {
            work = format!("{work} and {rest} more");
        }
        let name = &agent.name;
        if work.is_empty() {
            return format!("{name} works on as many sessions as it takes ({most})");
        }
        format!("{name} works on {work} and takes no more than {most} at once")
    }
}

/// Nobody who has the capabilities may be given it, for what people decided or how good they are.
fn unfit(reason: NoAgent, agent: &Agent, gate: Gate) -> Blocker {
    let name = &agent.name;
    let (code, text, remedy) = match reason {
        NoAgent::Tier => (
            BlockerCode::NoAgentTier,
            "no agent that could do it is of the tier that it asks for".to_owned(),
            "create the session with a lower min_performance_tier",
        ),
        NoAgent::Degraded => (
            BlockerCode::AllAgentsDegraded,
            format!("{name} fails too often and is given one piece at a time"),
            "wait, it is tried again by itself; or look at why its last sessions failed",
        ),
        NoAgent::Capability | NoAgent::Alive | NoAgent::Capacity | NoAgent::Other => {
            let text = match gate {
                Gate::Technology => format!("{name} avoids a technology of it"),
                Gate::Draining => format!("{name} is draining or in maintenance"),
                Gate::Tenant
                | Gate::Active
                | Gate::Alive
                | Gate::Capability
                | Gate::Capacity
                | Gate::Tier
                | Gate::Breaker => format!("{name} is not active"),
            };
            let remedy = "take the agent up again, or create the session for another one";
            (BlockerCode::AgentUnavailable, text, remedy)
        }
    };
    blocker(code, text, remedy, &format!("orchestrator agent show {name}"))
}

/// The last try to give it out failed.
fn resting(until: Timestamp, session: &Session) -> Blocker {
    let text = format!("it could not be given to an agent just now; it is tried again at {until}");
    let remedy = "wait a moment; the log of the server tells what went wrong";
    let command = "orchestrator doctor";
    let since = Some(session.status_updated_at());
    Blocker { since, ..blocker(BlockerCode::AgentUnavailable, text, remedy, command) }
}

/// Somebody holds admissions; `agent` names the agent of such a hold.
fn held(hold: &Hold, agent: Option<&Agent>) -> Blocker {
    let Hold { held, reason, since, by } = hold;
    let name = agent.map_or("", |agent| agent.name.as_str());
    let (what, whose) = match held {
        Held::Instance => ("the whole server".to_owned(), "--scope instance".to_owned()),
        Held::Tenant => ("this tenant".to_owned(), "--scope tenant".to_owned()),
        Held::Agent(_) => (name.to_owned(), format!("--agent {name}")),
    };
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let text = format!("{by} holds admissions of {what}{reason}");
    let remedy = "release them, or wait until somebody does";
    let command = format!("orchestrator admissions release {whose}");
    let since = Some(*since);
    Blocker { since, ..blocker(BlockerCode::AdmissionsHeld, text, remedy, &command) }
}

/// The provider of its model wants to be left alone.
fn cooling(agent: &Agent, cooldown: &Cooldown, session: &Session) -> Blocker {
    let Cooldown { provider, since, until, said } = cooldown;
    let whose = provider.as_ref().map_or_else(
        || "the model provider".to_owned(),
        |name| format!("the model provider {name}"),
    );
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let text = format!("{whose} wants {} to leave it alone until {until}{said}", agent.name);
    let remedy = "wait, it goes on by itself; or go on with a model of another provider";
    let command = format!("orchestrator session fork {} --model PROVIDER/MODEL", session.code);
    let since = Some(*since);
    let told = Blocker { since, ..blocker(BlockerCode::ProviderCooldown, text, remedy, &command) };
    of(Some(agent), told)
}

/// The next look of the scheduler gives it out, unless others come first.
fn about_to_be(agent: &Agent) -> Blocker {
    let text =
        format!("nobody works on it yet; {} has room and is given it in its turn", agent.name);
    let command = "orchestrator session list --status queued";
    of(Some(agent), blocker(BlockerCode::AgentUnavailable, text, "wait a moment", command))
}

fn of(agent: Option<&Agent>, blocker: Blocker) -> Blocker {
    Blocker { object: agent.map(|agent| agent.id.to_string()), ..blocker }
}

fn blocker(code: BlockerCode, text: String, remedy: &str, command: &str) -> Blocker {
    Blocker {
        code,
        text,
        object: None,
        since: None,
        remedy: remedy.to_owned(),
        command: Some(command.to_owned()),
    }
}
