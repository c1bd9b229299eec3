//! How external agents say how they are, and how those are asked that are called.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::{Map, Value, json};

use super::work::Known;
use super::{ExternalService, line_of};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Write};
use crate::application::ports::vitals::VitalsWrite;
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::status::HeartbeatStatus;
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::eap::said;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;

/// How often what was heard is written.
const WRITTEN_EVERY: Duration = Duration::from_secs(1);
/// Heartbeats that are written at once.
const AT_ONCE: usize = 500;
/// Agents that are asked at the same time.
const ASKED_AT_ONCE: usize = 256;

/// What an agent said of how it is, for whoever listens. Never stored; a listener that lags misses some.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 9.4")]
pub struct Beat {
    pub tenant: TenantId,
    pub agent: AgentId,
    pub status: HeartbeatStatus,
    pub current_load: f64,
    pub tasks_in_progress: u32,
    pub at: Timestamp,
}

impl ExternalService {
    /// An agent gave a sign of life by calling; what was sent to it before has arrived.
    pub fn hear(&self, who: Known) {
        self.agents.pulses().hear((who.tenant, who.agent), self.clock.now());
        self.desk.acknowledge(who.agent);
    }

    /// An agent that was recognised says how it is.
    ///
    /// # Errors
    /// `Invalid`.
    pub async fn heartbeat(&self, who: Known, sent: &Map<String, Value>) -> Result<(), AppError> {
        let now = self.clock.now();
        let beat = said::heartbeat(who.agent, sent, now).map_err(AppError::Invalid)?;
        let counts = sent.contains_key("tasks_in_progress");
        self.take_note(who, beat, counts).await;
        Ok(())
    }

    /// What follows from a heartbeat; `counts` when the agent counts its work in it.
    async fn take_note(&self, who: Known, beat: Heartbeat, counts: bool) {
        let Known { tenant, agent } = who;
        // What still waits to be fetched is none of its work yet.
        let given = self.desk.taken(agent);
        let said = beat.tasks_in_progress;
        if self.beats.receiver_count() > 0 {
            let Heartbeat { status, current_load, tasks_in_progress, heard_at: at, .. } = beat;
            let beat = Beat { tenant, agent, status, current_load, tasks_in_progress, at };
            // Whoever listened is gone meanwhile, which is no failure.
            drop(self.beats.send(beat));
        }
        let beaten = self.agents.pulses().beat(tenant, beat, given);
        if beaten.matters {
            self.sessions.wake().scheduler();
        }
        if beaten.misses_work && said < given {
            if let Err(error) = self.alert(who, said, given).await {
                tracing::debug!(%error, "An alert was not stored");
            }
            if counts {
                self.desk.lay_out_again(agent);
            }
        }
    }

    /// An agent may have lost work that it was given.
    async fn alert(&self, who: Known, said: u32, given: u32) -> Result<(), AppError> {
        let agent = self.store.snapshot(who.tenant).await?.agent(who.agent).await?;
        let agent = agent.ok_or(AppError::AgentNotFound)?.value;
        let (name, now) = (&agent.name, self.clock.now());
        tracing::warn!("{name} says that it works on {said} sessions; it was given {given}");
        let subject = Subject { kind: SubjectKind::System, id: TenantId::SYSTEM.uuid() };
        let payload = json!({
            "severity": "warning", "code": "agent_work_missing",
            "message": format!("{name} says that it works on less than it was given"),
            "details": {
                "agent_id": agent.id, "tenant_id": agent.tenant_id,
                "tasks_in_progress": said, "given": given,
            },
        });
        let event = DomainEvent::new(EventType::SystemAlert, subject, now, payload);
        let set = ChangeSet::new(TenantId::SYSTEM).events([event]);
        self.store.commit(set).await?;
        Ok(())
    }

    /// Writes what was heard and asks those that are called, until the server goes down.
    pub async fn run(self) {
        tokio::join!(self.write_now_and_then(), self.ask_now_and_then());
        self.write_pulses().await;
    }

    async fn write_now_and_then(&self) {
        while self.goes_on_after(WRITTEN_EVERY).await {
            self.write_pulses().await;
        }
    }

    /// Asks each agent that is called once per interval. One that takes its time to answer keeps nobody
    /// else from being asked, and is asked again when it has answered.
    async fn ask_now_and_then(&self) {
        let (mut asking, mut waiting) = (FuturesUnordered::new(), VecDeque::new());
        // Those that are asked or wait for it.
        let mut due = BTreeSet::new();
        loop {
            let called = self.called().await;
            waiting.extend(called.into_iter().filter(|agent| due.insert(agent.id)));
            let next_round = self.goes_on_after(self.rules.liveness.interval);
            tokio::pin!(next_round);
            loop {
                while asking.len() < ASKED_AT_ONCE
                    && let Some(agent) = waiting.pop_front()
                {
                    asking.push(async move {
                        self.ask(&agent).await;
                        agent.id
                    });
                }
                tokio::select! {
                    biased;
                    goes_on = &mut next_round => if goes_on { break } else { return },
                    Some(agent) = asking.next() => drop(due.remove(&agent)),
                }
            }
        }
    }

    async fn goes_on_after(&self, time: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = self.clock.sleep(time) => true,
        }
    }

    async fn write_pulses(&self) {
        let pulses = self.agents.pulses();
        for (tenant, beats) in pulses.take_unwritten() {
            for some in beats.chunks(AT_ONCE) {
                let heard = |beat: &Heartbeat| Write::Vitals(VitalsWrite::Heard(beat.clone()));
                let set = ChangeSet {
                    writes: some.iter().map(heard).collect(),
                    ..ChangeSet::new(tenant)
                };
                if let Err(error) = self.store.commit(set).await {
                    tracing::debug!(%error, "Heartbeats were not written");
                    pulses.put_back(tenant, some);
                }
            }
        }
    }

    /// Every agent that is called.
    async fn called(&self) -> Vec<Agent> {
        let mut called: Vec<Agent> = Vec::new();
        for tenant in self.identity.tenants() {
            let agents = self.agents.list(tenant.id).await.unwrap_or_default();
            let is_called =
                |agent: &Agent| agent.kind == AgentKind::Eap && line_of(agent).is_some();
            called.extend(agents.into_iter().filter(is_called));
        }
        called
    }

    /// Asks an agent how it is; one that gives no readable answer is offline.
    pub async fn ask(&self, agent: &Agent) {
        let Ok(Some(line)) = self.caller.line(agent).await else { return };
        let answer = self.caller.agents.ask(&line).await;
        let now = self.clock.now();
        let counts = answer.as_ref().is_ok_and(|said| said.contains_key("tasks_in_progress"));
        let told = |errors: Vec<FieldError>| {
            let each: Vec<String> =
                errors.iter().map(|error| format!("{} {}", error.pointer, error.message)).collect();
            each.join("; ")
        };
        let beat = answer.and_then(|said| said::heartbeat(agent.id, &said, now).map_err(told));
        let beat = beat.unwrap_or_else(|error| Heartbeat {
            agent_id: agent.id,
            heard_at: self
                .agents
                .pulses()
                .pulse((agent.tenant_id, agent.id), agent.created_at)
                .from,
            said_at: None,
            status: HeartbeatStatus::Offline,
            current_load: 0.0,
            tasks_in_progress: 0,
            metrics: json!({ "error": error }).as_object().cloned().unwrap_or_default(),
        });
        let who = Known { tenant: agent.tenant_id, agent: agent.id };
        self.take_note(who, beat, counts).await;
    }
}
