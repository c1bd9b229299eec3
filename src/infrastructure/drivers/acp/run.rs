//! One run: a conversation, the prompts that it works on one after the other, and what it tells.
//!
//! Invariant: no prompt is sent before a handle is stored that names it: whoever takes the conversation up
//! later knows that it may have been heard.
//! Invariant: every prompt that was taken ends in `TurnEnded`, in `Failed`, or with the run.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::asks::Asks;
use super::control::{Order, Shared};
use super::failure;
use super::link::{CallError, Link};
use super::spent::Spent;
use super::teller::Teller;
use super::turn::Turn;
use super::wire::Message;
use crate::application::ports::driver::{AgentEvent, DriverError, Prompt, TranscriptItem};
use crate::domain::session::attempt::ErrorType;
use crate::domain::session::policy::PermissionPolicy;
use crate::domain::time::Timestamp;
use crate::infrastructure::drivers::permission::cut;

/// Time between two looks at what nobody tells.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two times that the open asks are told.
const ASKS_EVERY: u32 = 5;
/// How long a cancelled turn may take to end; then its processes are asked to.
const CANCEL_TIME: Duration = Duration::from_secs(3);
/// When they are ended.
const KILL_TIME: Duration = Duration::from_secs(5);
/// How long the end of a run waits for the end of its turn.
const LEAVE_TIME: Duration = Duration::from_secs(2);
/// Longest time for the choice of a mode or a model.
const SETUP_TIME: Duration = Duration::from_secs(20);
/// Longest prompt that is told.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// What a run starts with.
pub(super) struct Begin {
    pub(super) link: Link,
    /// The agent's name of the conversation.
    pub(super) session: String,
    /// Methods and parameters that choose mode and model.
    pub(super) setup: Vec<(&'static str, Value)>,
    pub(super) model: Option<String>,
    pub(super) policy: PermissionPolicy,
    pub(super) place: PathBuf,
    /// What the items of this run begin with.
    pub(super) prefix: String,
    pub(super) spent: Spent,
    pub(super) prompt: Prompt,
    /// The texts that the first prompt is told in.
    pub(super) texts: Vec<String>,
    /// Lines for the log.
    pub(super) remarks: Vec<String>,
}

/// The task behind a run.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    pub(super) session: String,
    pub(super) policy: PermissionPolicy,
    pub(super) place: PathBuf,
    pub(super) teller: Teller,
    pub(super) asks: Asks,
    pub(super) spent: Spent,
    setup: Vec<(&'static str, Value)>,
    pub(super) model: Option<String>,
    pub(super) prefix: String,
    texts: Option<Vec<String>>,
    remarks: Vec<String>,
    waiting: VecDeque<Prompt>,
    pub(super) turn: Option<Turn>,
    /// Why the agent can be told nothing more.
    pub(super) lost: Option<DriverError>,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<AgentEvent>,
    heard_at: Timestamp,
    tick_at: Timestamp,
    ticks: u32,
}

/// The run ends here; with an error that was not told yet, or without.
pub(super) struct Stop(pub(super) Option<DriverError>);

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Self(Some(error))
    }
}

impl Run {
    pub(super) fn new(
        shared: Arc<Shared>,
        begin: Begin,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<AgentEvent>,
    ) -> Self {
        let now = shared.clock.now();
        let Begin { link, session, setup, model, policy, place, prefix, .. } = begin;
        Self {
            shared,
            link,
            session,
            policy,
            place,
            teller: Teller::new(prefix.clone()),
            asks: Asks::default(),
            spent: begin.spent,
            setup,
            model,
            prefix,
            texts: Some(begin.texts),
            remarks: begin.remarks,
            waiting: VecDeque::from([begin.prompt]),
            turn: None,
            lost: None,
            orders,
            events,
            heard_at: now,
            tick_at: now.after(TICK),
            ticks: 0,
        }
    }

    /// The whole life of the run.
    pub(super) async fn live(mut self) {
        let (shared, events) = (Arc::clone(&self.shared), self.events.clone());
        let stop = tokio::select! {
            stop = self.work() => stop,
            () = shared.cancel.cancelled() => Stop(None),
            () = events.closed() => Stop(None),
        };
        if let Some(error) = stop.0 {
            tokio::select! {
                _ = events.send(AgentEvent::Failed(error)) => {}
                () = shared.cancel.cancelled() => {}
            }
        }
        self.leave().await;
        shared.ended.cancel();
    }

    async fn work(&mut self) -> Stop {
        loop {
            if let Err(stop) = self.step().await {
                return stop;
            }
        }
    }

    /// Waits for one thing to happen and deals with it.
    async fn step(&mut self) -> Result<(), Stop> {
        if self.turn.is_none()
            && let Some(prompt) = self.waiting.pop_front()
        {
            return self.begin(prompt).await;
        }
        let shared = Arc::clone(&self.shared);
        let until_tick = self.tick_at.since(shared.clock.now());
        tokio::select! {
            // An agent that never stops talking is no reason not to hear others.
            biased;
            order = self.orders.recv() => match order {
                Some(order) => self.ordered(order).await,
                None => Err(Stop(None)),
            },
            () = shared.clock.sleep(until_tick) => self.tick().await,
            message = self.link.next(), if self.lost.is_none() => match message {
                Ok(Some(message)) => self.heard(message).await,
                Ok(None) => {
                    let error = self.link.ended().await;
                    self.lost(error).await
                }
                Err(error) => self.lost(error).await,
            },
        }
    }

    async fn ordered(&mut self, order: Order) -> Result<(), Stop> {
        match order {
            Order::Prompt(prompt) => {
                let is_turn = self.turn.as_ref().is_some_and(|turn| turn.prompt == prompt.id);
                // Told twice, taken once.
                if !is_turn && self.waiting.iter().all(|waiting| waiting.id != prompt.id) {
                    self.waiting.push_back(prompt);
                }
                Ok(())
            }
            Order::Abort => self.abort().await,
            Order::Answer((agent_ref, fingerprint), answer) => {
                self.decided(&agent_ref, &fingerprint, answer).await
            }
        }
    }

    async fn begin(&mut self, prompt: Prompt) -> Result<(), Stop> {
        if let Some(error) = self.lost.take() {
            return Err(error.into());
        }
        self.shake_hands(prompt.id).await?;
        for message in std::mem::take(&mut self.remarks) {
            self.tell(AgentEvent::Log { level: "warn", message }).await?;
        }
        self.set_up().await?;
        let text = cut(&prompt.text, MAX_TEXT_BYTES);
        let (id, kind) = (format!("prompt-{}", prompt.id), "user");
        let item = TranscriptItem { id, kind, body: json!({ "text": text }) };
        self.tell(AgentEvent::Transcript(item)).await?;
        self.teller.begin();
        let texts = self.texts.take().unwrap_or_else(|| vec![prompt.text]);
        let call = self.send(&texts)?;
        self.heard_at = self.shared.clock.now();
        self.turn = Some(Turn {
            prompt: prompt.id,
            call,
            sent: 1,
            cancelled_at: None,
            is_terminated: false,
            denial: None,
        });
        Ok(())
    }

    /// Waits until it is stored that this prompt may have been heard.
    pub(super) async fn shake_hands(&mut self, prompt: Uuid) -> Result<(), Stop> {
        let (stored, is_stored) = oneshot::channel();
        let handle = json!({
            "sessionId": self.session,
            "prompt": prompt,
            "cost_micros": self.spent.counted_micros(),
        });
        self.tell(AgentEvent::Handshake { handle, stored }).await?;
        is_stored.await.map_err(|_| Stop(None))
    }

    /// Chooses mode and model, once.
    async fn set_up(&mut self) -> Result<(), Stop> {
        for (method, params) in std::mem::take(&mut self.setup) {
            match self.link.call(method, &params, SETUP_TIME, |_, _| {}).await {
                Ok(_) => {}
                Err(CallError::Lost(error)) => return Err(error.into()),
                Err(error) => {
                    return Err(failure::of_start(&format!("take {params}"), error).into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn send(&mut self, texts: &[String]) -> Result<u64, DriverError> {
        let prompt: Vec<Value> =
            texts.iter().map(|text| json!({ "type": "text", "text": text })).collect();
        let params = json!({ "sessionId": self.session, "prompt": prompt });
        self.link.ask("session/prompt", &params)
    }

    async fn heard(&mut self, message: Message) -> Result<(), Stop> {
        self.heard_at = self.shared.clock.now();
        match message {
            Message::Answer { id, result } => {
                // An answer that nobody waits for, or a second one, says nothing.
                if self.turn.as_ref().is_some_and(|turn| turn.call == id) {
                    return self.answered(result).await;
                }
                Ok(())
            }
            Message::Request { id, method, params } if method == "session/request_permission" => {
                self.permission_asked(id, &params).await
            }
            Message::Request { id, method, .. } => Ok(self.link.refuse(&id, &method)?),
            Message::Notice { method, params } => match method.as_str() {
                "session/update" => self.update(&params).await,
                "$/cancel_request" => match params.get("requestId") {
                    Some(name) => self.withdrawn(name).await,
                    None => Ok(()),
                },
                _ => Ok(()),
            },
            Message::Nameless | Message::Garbage => Ok(()),
        }
    }

    async fn tick(&mut self) -> Result<(), Stop> {
        let now = self.shared.clock.now();
        self.ticks = self.ticks.wrapping_add(1);
        self.tick_at = now.after(TICK);
        let Some(turn) = &mut self.turn else { return Ok(()) };
        if let Some(since) = turn.cancelled_at.map(|at| now.since(at)) {
            if since >= KILL_TIME {
                self.link.hang_up();
                let message = "the agent did not stop when its turn was cancelled, and was ended";
                return self.lost(DriverError::new(ErrorType::AgentLost, message)).await;
            }
            if since >= CANCEL_TIME && !std::mem::replace(&mut turn.is_terminated, true) {
                self.link.terminate().await;
            }
            return Ok(());
        }
        let silent = now.since(self.heard_at);
        if self.asks.is_empty() && silent > self.shared.silence {
            let message = format!("silence: no sign of life for {} s", silent.as_secs());
            return Err(DriverError::new(ErrorType::AgentError, message).into());
        }
        if self.ticks.is_multiple_of(ASKS_EVERY) {
            self.tell(AgentEvent::AsksOpen { agent_refs: self.asks.names() }).await?;
        }
        Ok(())
    }

    /// Ends the turn where there is one, then the processes.
    async fn leave(mut self) {
        // When the driver ends there is no time, and the run can be taken up later.
        let is_asked = self.turn.is_some() && self.lost.is_none() && !self.shared.is_shutdown();
        if is_asked && self.link.send(self.cancel()).is_ok() {
            let call = self.turn.as_ref().map(|turn| turn.call);
            let answered = async {
                while let Ok(Some(message)) = self.link.next().await {
                    if matches!(message, Message::Answer { id, .. } if Some(id) == call) {
                        return;
                    }
                }
            };
            tokio::select! {
                () = answered => {}
                () = self.shared.clock.sleep(LEAVE_TIME) => {}
            }
        }
        self.link.end().await;
    }

    /// Tells what was said until now, as it stands.
    pub(super) async fn rest(&mut self) -> Result<(), Stop> {
        match self.teller.rest() {
            Some(event) => self.tell(event).await,
            None => Ok(()),
        }
    }

    /// Tells something, waiting for room.
    pub(super) fn tell(
        &self,
        event: AgentEvent,
    ) -> impl Future<Output = Result<(), Stop>> + Send + use<> {
        let events = self.events.clone();
        async move { events.send(event).await.map_err(|_| Stop(None)) }
    }

    /// Tells how a text grows; `false` when the reader is too slow for that.
    pub(super) fn grow(&self, part: String, text: String) -> bool {
        self.events.try_send(AgentEvent::Delta { part, text }).is_ok()
    }
}
