//! A driver without an agent: it plays scripts, so that everything round it can be seen and tested.
//!
//! Invariant: everything it reports says that it is simulated.
//! Invariant: the same seed, prompts and orders give the same events; time comes from the `Clock`.

mod conversation;
mod files;
mod gates;
mod run;
mod script;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::conversation::{Conversations, read_handle};
use self::gates::Gates;
use self::run::{Order, Run};
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::driver::{
    Abilities, AgentDriver, Answer, Assignment, Continuation, DriverError, ProbeReport, Prompt,
    RunControl, Running,
};
use crate::domain::agent::AgentKind;
use crate::domain::ids::TenantId;
use crate::domain::session::attempt::ErrorType;

/// Events on their way; a full channel makes the run wait.
const EVENTS: usize = 64;
/// Orders on their way; a full channel makes those wait who give them.
const ORDERS: usize = 64;

/// Settings of the driver. A profile's options of the same names come before them.
#[derive(Debug, Clone)]
pub struct SimulatedOptions {
    /// What chance begins with.
    pub seed: u64,
    /// How long a step takes.
    pub latency_ms: u64,
    /// Steps for prompts that bring none; null for a plan made up from the seed.
    pub script: Value,
}

impl Default for SimulatedOptions {
    fn default() -> Self {
        Self { seed: 0, latency_ms: 300, script: Value::Null }
    }
}

/// The driver.
pub struct SimulatedDriver {
    options: SimulatedOptions,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    tracker: TaskTracker,
    conversations: Conversations,
    gates: Gates,
    ended: CancellationToken,
}

impl SimulatedDriver {
    /// A driver whose runs live on the tracker.
    #[must_use]
    pub fn new(
        options: SimulatedOptions,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        tracker: TaskTracker,
    ) -> Self {
        let (conversations, gates) = (Conversations::default(), Gates::new());
        let ended = CancellationToken::new();
        Self { options, clock, ids, tracker, conversations, gates, ended }
    }

    /// Opens a gate, for every script that waits at it or comes to it later.
    pub fn open_gate(&self, name: &str) {
        self.gates.open(name);
    }

    fn conversation(&self, from: &Continuation, seed: u64) -> Result<(Uuid, u64), DriverError> {
        match from {
            Continuation::Fresh => Ok((self.ids.uuid(), seed)),
            Continuation::Same { handle } => read(handle),
            Continuation::CutAfter { handle, message_ref } => {
                let (old, seed) = read(handle)?;
                let new = self.ids.uuid();
                self.conversations.copy(old, new, message_ref.as_deref());
                Ok((new, seed))
            }
        }
    }
}

fn read(handle: &Value) -> Result<(Uuid, u64), DriverError> {
    read_handle(handle).ok_or_else(|| {
        DriverError::new(ErrorType::AgentLost, "this is no handle of a simulated conversation")
    })
}

#[async_trait]
impl AgentDriver for SimulatedDriver {
    fn kind(&self) -> AgentKind {
        AgentKind::Simulated
    }

    fn abilities(&self) -> Abilities {
        let (resume, inject, asks, usage, fork, simulated) = (true, true, true, true, true, true);
        Abilities { resume, inject, asks, usage, fork, simulated, outlives: false }
    }

    async fn probe(&self, _: TenantId, _: &Map<String, Value>) -> Result<ProbeReport, DriverError> {
        let details = json!({ "simulated": true, "seed": self.options.seed });
        Ok(ProbeReport { version: env!("CARGO_PKG_VERSION").to_owned(), details })
    }

    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError> {
        if self.ended.is_cancelled() {
            return Err(DriverError::new(ErrorType::DispatchFailed, "the driver is shut down"));
        }
        let profile = &assignment.profile_options;
        let number = |name: &str| profile.get(name).and_then(Value::as_u64);
        let seed = number("seed").unwrap_or(self.options.seed);
        let (conversation, seed) = self.conversation(&assignment.continuation, seed)?;
        let closed = self.ended.child_token();
        self.conversations.own(conversation, assignment.prompt.id, closed.clone());
        let (send_event, events) = mpsc::channel(EVENTS);
        let (send_order, orders) = mpsc::channel(ORDERS);
        let latency_ms = number("latency_ms").unwrap_or(self.options.latency_ms);
        let script = profile.get("script").cloned().unwrap_or_default();
        let run = Run {
            conversation,
            seed,
            conversations: self.conversations.clone(),
            gates: self.gates.clone(),
            clock: Arc::clone(&self.clock),
            latency: Duration::from_millis(latency_ms.min(60_000)),
            workdir: assignment.workdir,
            policy: assignment.policy,
            model: assignment.model,
            scripts: vec![script, self.options.script.clone()],
            events: send_event,
            orders,
            closed: closed.clone(),
            waiting: VecDeque::from([assignment.prompt]),
            answers: HashMap::new(),
            aborted: false,
        };
        let over = CancellationToken::new();
        let when_over = over.clone().drop_guard();
        self.tracker.spawn(async move {
            run.tell().await;
            drop(when_over);
        });
        Ok(Running { control: Box::new(Control { orders: send_order, closed, over }), events })
    }

    async fn reap(&self) -> usize {
        0
    }

    async fn shutdown(&self) {
        self.ended.cancel();
    }
}

/// Orders to one run.
struct Control {
    orders: mpsc::Sender<Order>,
    closed: CancellationToken,
    /// Set once the run is over.
    over: CancellationToken,
}

impl Control {
    async fn order(&self, order: Order) {
        // After the run is over, orders do nothing.
        self.orders.send(order).await.ok();
    }
}

#[async_trait]
impl RunControl for Control {
    async fn prompt(&self, prompt: Prompt) -> Result<(), DriverError> {
        self.order(Order::Prompt(prompt)).await;
        Ok(())
    }

    async fn abort(&self) -> Result<(), DriverError> {
        self.order(Order::Abort).await;
        Ok(())
    }

    async fn answer(
        &self,
        agent_ref: &str,
        fingerprint: &str,
        answer: Answer,
    ) -> Result<(), DriverError> {
        let asked = (agent_ref.to_owned(), fingerprint.to_owned());
        self.order(Order::Answer(asked, answer)).await;
        Ok(())
    }

    async fn close(&self) {
        self.closed.cancel();
        self.over.cancelled().await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}
