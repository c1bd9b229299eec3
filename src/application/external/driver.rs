//! The driver of external agents: lays their work out at the desk, and brings it to those that are called.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::desk::{Desk, Offer, is_handle_of};
use super::push::Caller;
use super::{ExternalRules, line_of};
use crate::application::agent::pulses::Pulses;
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::{
    Abilities, AgentDriver, AgentEvent, Answer, Assignment, Continuation, DriverError, ProbeReport,
    Prompt, RunControl, Running, TurnEnd,
};
use crate::domain::agent::status::HeartbeatStatus;
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::eap::notice::Notice;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::attempt::ErrorType;
use crate::domain::time::Timestamp;

/// Events that wait for their supervisor; an agent that tells more waits with them.
const EVENTS: usize = 64;
/// How often it is looked whether an agent still gives signs of life, at the least.
const LOOK: Duration = Duration::from_secs(5);
/// And at the most.
const SHORTEST_LOOK: Duration = Duration::from_millis(250);

/// The driver.
pub struct ExternalDriver {
    pub(super) desk: Desk,
    pub(super) caller: Arc<Caller>,
    pub(super) pulses: Pulses,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rules: ExternalRules,
    pub(super) tracker: TaskTracker,
    pub(super) ended: CancellationToken,
}

/// The assignment, as domain 9.3 has it, but for the end of its lease.
fn document(assignment: &Assignment) -> Map<String, Value> {
    let Assignment { session, code, title, attempt, fencing_token, prompt, brief, .. } = assignment;
    let mut facts = brief.facts.clone();
    facts.insert("id".to_owned(), json!(session));
    facts.insert("code".to_owned(), json!(code));
    facts.insert("title".to_owned(), json!(title));
    let mut context = Map::new();
    context.insert("session".to_owned(), Value::Object(facts));
    context.insert("shared".to_owned(), Value::Object(brief.shared.clone()));
    for (name, value) in [("workspace", &brief.workspace), ("resume", &brief.resume)] {
        if !value.is_null() {
            context.insert(name.to_owned(), value.clone());
        }
    }
    let document = json!({
        "kind": "task", "task_id": session, "session_id": session,
        "task_type": "session_execution", "context": context, "input_data": prompt.text,
        "requirements": brief.requirements, "timeout_seconds": brief.time_left.as_secs(),
        "attempt": attempt, "fencing_token": fencing_token,
        "idempotency_key": format!("{session}:{fencing_token}"),
    });
    match document {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

#[async_trait]
impl AgentDriver for ExternalDriver {
    fn kind(&self) -> AgentKind {
        AgentKind::Eap
    }

    fn abilities(&self) -> Abilities {
        let (resume, asks, usage, outlives) = (true, true, true, true);
        Abilities { resume, asks, usage, outlives, inject: false, fork: false, simulated: false }
    }

    async fn probe(&self, _: TenantId, _: &Map<String, Value>) -> Result<ProbeReport, DriverError> {
        let version = crate::domain::eap::VERSION.to_owned();
        Ok(ProbeReport { version, details: Value::Null })
    }

    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError> {
        if self.ended.is_cancelled() {
            return Err(DriverError::new(ErrorType::DispatchFailed, "the server is going down"));
        }
        let agent = Arc::clone(&assignment.agent);
        let offer = Offer {
            session: assignment.session,
            agent: agent.id,
            attempt: assignment.attempt,
            fencing_token: assignment.fencing_token,
            is_brought: line_of(&agent).is_some(),
            prompt: assignment.prompt.id,
            document: document(&assignment),
        };
        let has_it = match &assignment.continuation {
            Continuation::Same { handle } => is_handle_of(handle, assignment.fencing_token),
            Continuation::Fresh | Continuation::CutAfter { .. } => false,
        };
        let (send, events) = mpsc::channel(EVENTS);
        let over = self.desk.lay_out(offer, has_it, send.clone());
        let run = Arc::new(Run {
            session: assignment.session,
            fencing_token: assignment.fencing_token,
            prompt: assignment.prompt.id,
            agent,
            desk: self.desk.clone(),
            caller: Arc::clone(&self.caller),
            tracker: self.tracker.clone(),
            events: send,
            over,
        });
        let watch = Watch {
            run: Arc::clone(&run),
            pulses: self.pulses.clone(),
            clock: Arc::clone(&self.clock),
            rules: self.rules,
            since: self.clock.now(),
        };
        let (run_over, ended) = (run.over.clone(), self.ended.clone());
        self.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = run_over.cancelled() => {}
                () = ended.cancelled() => {}
                () = watch.watch() => {}
            }
        });
        if line_of(&run.agent).is_some() {
            let (run, ended) = (Arc::clone(&run), self.ended.clone());
            let limit = assignment.brief.time_left;
            self.tracker.spawn(async move {
                tokio::select! {
                    biased;
                    () = run.over.cancelled() => {}
                    () = ended.cancelled() => {}
                    () = run.caller.bring(&run, limit) => {}
                }
            });
        }
        Ok(Running { control: Box::new(Control(run)), events })
    }

    async fn reap(&self) -> usize {
        0
    }

    async fn shutdown(&self) {
        self.ended.cancel();
    }
}

/// One run, for everybody who has a part in it.
pub(super) struct Run {
    pub(super) session: SessionId,
    pub(super) fencing_token: u64,
    pub(super) prompt: Uuid,
    pub(super) agent: Arc<Agent>,
    pub(super) desk: Desk,
    pub(super) caller: Arc<Caller>,
    tracker: TaskTracker,
    pub(super) events: mpsc::Sender<AgentEvent>,
    pub(super) over: CancellationToken,
}

impl Run {
    fn place(&self) -> (AgentId, SessionId, u64) {
        (self.agent.id, self.session, self.fencing_token)
    }

    /// Tells the supervisor; after the run is over nobody listens.
    pub(super) async fn tell(&self, event: AgentEvent) {
        self.events.send(event).await.ok();
    }

    /// Tells the agent that its right to the work is void.
    pub(super) fn cancel(self: &Arc<Self>, reason: &str) {
        let (agent, task, fencing_token) = self.place();
        if line_of(&self.agent).is_none() {
            let reason = reason.to_owned();
            self.desk.post(agent, Notice::Cancel { task, fencing_token, reason });
            return;
        }
        let (run, reason) = (Arc::clone(self), reason.to_owned());
        self.tracker.spawn(async move { run.caller.cancel(&run, &reason).await });
    }
}

/// Looks whether the agent of a run gives signs of life.
struct Watch {
    run: Arc<Run>,
    pulses: Pulses,
    clock: Arc<dyn Clock>,
    rules: ExternalRules,
    since: Timestamp,
}

impl Watch {
    async fn watch(self) {
        let (agent, session, fencing_token) = self.run.place();
        let who = (self.run.agent.tenant_id, agent);
        let mut is_quiet = false;
        loop {
            let now = self.clock.now();
            let pulse = self.pulses.pulse(who, self.since);
            if pulse.is_late(self.rules.liveness, now) != is_quiet {
                is_quiet = !is_quiet;
                self.run.tell(AgentEvent::Quiet(is_quiet)).await;
            }
            let is_gone = pulse.status == Some(HeartbeatStatus::Offline)
                || !pulse.is_alive(self.rules.liveness, now);
            let is_unclaimed = self.run.desk.waits(agent, session, fencing_token)
                && now >= self.since.after(self.rules.lease);
            if is_gone {
                self.run.tell(AgentEvent::Expired).await;
            } else if is_unclaimed {
                let seconds = self.rules.lease.as_secs();
                let why = format!("it did not fetch the work within {seconds} s");
                return self.run.tell(AgentEvent::Declined(why)).await;
            }
            let look = (self.rules.liveness.interval / 4).clamp(SHORTEST_LOOK, LOOK);
            self.clock.sleep(look).await;
        }
    }
}

/// Orders to a run.
struct Control(Arc<Run>);

#[async_trait]
impl RunControl for Control {
    async fn prompt(&self, _: Prompt) -> Result<(), DriverError> {
        let why = "an external agent is given its next prompt as an assignment of its own";
        Err(DriverError::full(why))
    }

    async fn abort(&self) -> Result<(), DriverError> {
        let (agent, session, fencing_token) = self.0.place();
        if self.0.desk.end_for_agent(agent, session, fencing_token) {
            self.0.cancel("its turn was ended");
        }
        let (prompt, text, end) = (self.0.prompt, String::new(), TurnEnd::Aborted);
        self.0.tell(AgentEvent::TurnEnded { prompt, message_ref: None, text, end }).await;
        Ok(())
    }

    async fn answer(&self, _: &str, _: &str, answer: Answer) -> Result<(), DriverError> {
        let text = match answer {
            Answer::Text(text) | Answer::Deny(text) => text,
            Answer::AllowOnce | Answer::AllowAlways => "yes".to_owned(),
        };
        let (agent, task, fencing_token) = self.0.place();
        self.0.desk.post(agent, Notice::Answer { task, fencing_token, text });
        Ok(())
    }

    async fn close(&self) {
        let (agent, session, fencing_token) = self.0.place();
        if self.0.desk.clear(agent, session, fencing_token) {
            self.0.cancel("its session does not need it any more");
        }
    }
}
