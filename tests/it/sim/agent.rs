//! Agents that do their work, and agents that hang, break, vanish, repeat themselves and do not
//! listen. The driver keeps the promises of its port whatever its agent does.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::driver::{
    Abilities, AgentDriver, AgentEvent, Answer, Assignment, Continuation, DriverError, ProbeReport,
    Prompt, RunControl, Running, TranscriptItem, TurnEnd,
};
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::attention::AttentionKind;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::money::Usd;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::domain::usage::Usage;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::store::Planted;
use super::time::SimClock;
use super::town::{Act, Call, Town, note_call};

/// Events on their way; a full channel makes the agent wait.
const EVENTS: usize = 16;

/// One kind of agent.
pub(crate) struct SimDriver {
    pub(crate) kind: AgentKind,
    pub(crate) town: Arc<Town>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) tracker: TaskTracker,
    pub(crate) planted: Option<Planted>,
}

enum Order {
    Prompt(Prompt),
    Abort,
    Answer(String, Answer),
}

#[async_trait]
impl AgentDriver for SimDriver {
    fn kind(&self) -> AgentKind {
        self.kind
    }

    fn abilities(&self) -> Abilities {
        let able = self.kind == AgentKind::Opencode;
        Abilities {
            resume: able,
            inject: able,
            asks: true,
            usage: true,
            fork: able,
            simulated: false,
            outlives: able,
        }
    }

    async fn probe(&self, _: TenantId, _: &Map<String, Value>) -> Result<ProbeReport, DriverError> {
        self.town.weather.moment().await;
        if self.town.weather.strikes(0.05) {
            return Err(DriverError::new(ErrorType::AgentLost, "it does not answer"));
        }
        Ok(ProbeReport { version: "1".to_owned(), details: Value::Null })
    }

    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError> {
        let weather = &self.town.weather;
        weather.moment().await;
        let session = assignment.session;
        if weather.strikes_at(session, 0.01) {
            pending::<()>().await;
        }
        if weather.strikes(0.02) {
            return Err(DriverError::full("it has enough to do"));
        }
        if weather.strikes_at(session, 0.03) {
            return Err(DriverError::new(ErrorType::DispatchFailed, "it did not start"));
        }
        let number = self.town.begin(&assignment);
        let handle = match &assignment.continuation {
            Continuation::Fresh | Continuation::CutAfter { .. } => None,
            Continuation::Same { handle } => Some(handle),
        };
        let talk = self.town.talk(handle);
        let (stage, events) = mpsc::channel(EVENTS);
        // Orders are few and are taken at once.
        let (desk, orders) = mpsc::unbounded_channel();
        let (closed, ended) = (CancellationToken::new(), CancellationToken::new());
        let run = Run {
            town: Arc::clone(&self.town),
            clock: Arc::clone(&self.clock),
            number,
            session,
            outlives: self.abilities().outlives,
            swallows: self.planted == Some(Planted::LostUsage),
            talk,
            stage,
            orders,
            next: vec![assignment.prompt],
        };
        self.tracker.spawn(run.play(closed.clone(), ended.clone()));
        // A run that nobody watches any more is over; with the planted bug nobody ever says so.
        let closed = (self.planted != Some(Planted::NeverClosed)).then(|| closed.drop_guard());
        Ok(Running {
            control: Box::new(Control {
                orders: desk,
                closed: Mutex::new(closed),
                ended,
                garbles: self.planted == Some(Planted::GarbledAnswer),
            }),
            events,
        })
    }

    async fn reap(&self) -> usize {
        0
    }

    async fn shutdown(&self) {
        self.town.server_is_gone(0);
    }
}

struct Control {
    orders: mpsc::UnboundedSender<Order>,
    closed: Mutex<Option<DropGuard>>,
    ended: CancellationToken,
    garbles: bool,
}

impl Control {
    fn send(&self, order: Order) -> Result<(), DriverError> {
        let gone = |_| DriverError::new(ErrorType::AgentLost, "the run is over");
        self.orders.send(order).map_err(gone)
    }
}

#[async_trait]
impl RunControl for Control {
    async fn prompt(&self, prompt: Prompt) -> Result<(), DriverError> {
        self.send(Order::Prompt(prompt))
    }

    async fn abort(&self) -> Result<(), DriverError> {
        self.send(Order::Abort)
    }

    async fn answer(
        &self,
        agent_ref: &str,
        _fingerprint: &str,
        answer: Answer,
    ) -> Result<(), DriverError> {
        let is_allowed = matches!(answer, Answer::AllowOnce | Answer::AllowAlways);
        let answer = if self.garbles && is_allowed { Answer::Deny(String::new()) } else { answer };
        self.send(Order::Answer(agent_ref.to_owned(), answer))
    }

    async fn close(&self) {
        let closed = self.closed.lock().expect("whole").take();
        if let Some(closed) = closed {
            drop(closed);
            self.ended.cancelled().await;
        }
    }
}

/// A run at work.
struct Run {
    town: Arc<Town>,
    clock: Arc<SimClock>,
    number: u64,
    session: SessionId,
    outlives: bool,
    /// The planted bug: some calls are not told.
    swallows: bool,
    talk: String,
    stage: mpsc::Sender<AgentEvent>,
    orders: mpsc::UnboundedReceiver<Order>,
    next: Vec<Prompt>,
}

/// Why a run does not go on.
#[derive(Debug)]
struct Over;

impl Run {
    async fn play(mut self, closed: CancellationToken, ended: CancellationToken) {
        // However it ends: told to, or gone from the side of the agent, which whoever watches hears.
        tokio::select! {
            biased;
            () = closed.cancelled() => {}
            _ = self.converse() => {}
        }
        self.town.end(self.number);
        ended.cancel();
    }

    async fn converse(&mut self) -> Result<(), Over> {
        let (stored, is_stored) = oneshot::channel();
        let handle = json!({ "talk": self.talk });
        self.tell(AgentEvent::Handshake { handle, stored }).await?;
        is_stored.await.map_err(|_| Over)?;
        loop {
            let Some(prompt) = (!self.next.is_empty()).then(|| self.next.remove(0)) else {
                self.listen(None).await?;
                continue;
            };
            if !self.turn(prompt).await? {
                return Ok(());
            }
        }
    }

    /// One turn; `false` when the agent is gone.
    async fn turn(&mut self, prompt: Prompt) -> Result<bool, Over> {
        let (town, talk) = (Arc::clone(&self.town), self.talk.clone());
        town.told(self.number, &talk, &prompt);
        let prompt = prompt.id;
        town.works(self.number, &talk, prompt, self.outlives);
        if self.outlives {
            // Whatever of it was told before: who can be found again tells everything again.
            for call in town.turn(&talk, prompt, |turn| turn.calls.clone()) {
                self.tell_call(&call).await?;
            }
        }
        loop {
            let (over, act) =
                town.turn(&talk, prompt, |turn| (turn.over, turn.acts.front().cloned()));
            if let Some(end) = over {
                self.tell_end(prompt, end).await?;
                return Ok(true);
            }
            let Some(act) = act else { return Ok(true) };
            match act {
                Act::Work(millis) => self.spend_time(prompt, millis).await?,
                Act::Say => {
                    self.tell(AgentEvent::Log { level: "info", message: "word".to_owned() })
                        .await?;
                }
                Act::Phase(phase) => self.tell(AgentEvent::Phase(phase)).await?,
                Act::Flood(count) => self.flood(count).await?,
                Act::Spend(call, twice) => self.spend(prompt, &call, twice).await?,
                Act::Lie => {
                    let tokens = u64::MAX;
                    let call = Call { key: town.name("call"), tokens, micros: i64::MAX };
                    self.tell_call(&call).await?;
                }
                Act::Ask(kinds, twice) => self.ask(prompt, &kinds, twice, None).await?,
                Act::AskInVain(kind, millis) => {
                    self.ask(prompt, &[kind], false, Some(millis)).await?;
                }
                Act::Echo => {
                    if let Some((earlier, end)) = town.earlier(&talk, prompt) {
                        self.tell_end(earlier, end).await?;
                    }
                }
                Act::LoseStream(millis) => {
                    self.tell(AgentEvent::StreamLost).await?;
                    self.spend_time(prompt, millis).await?;
                    self.tell(AgentEvent::StreamBack).await?;
                    self.tell(AgentEvent::AsksOpen { agent_refs: Vec::new() }).await?;
                }
                Act::LoseProvider(millis) => {
                    let message = "overloaded".to_owned();
                    self.tell(AgentEvent::ProviderRetry { message, next_at: None }).await?;
                    self.spend_time(prompt, millis).await?;
                    self.tell(AgentEvent::ProviderBack).await?;
                }
                Act::Hang => loop {
                    self.hear(prompt, None).await?;
                    if town.turn(&talk, prompt, |turn| turn.over.is_some()) {
                        break;
                    }
                },
                Act::Break(error) => {
                    // Tried again, it does not break at the same place for ever.
                    town.turn(&talk, prompt, |turn| turn.acts.pop_front());
                    let error = DriverError::new(error, "it broke");
                    self.tell(AgentEvent::Failed(error)).await?;
                    return Ok(false);
                }
                Act::Vanish => {
                    town.turn(&talk, prompt, |turn| turn.acts.pop_front());
                    return Ok(false);
                }
                Act::End(end, twice) => {
                    town.turn(&talk, prompt, |turn| turn.over = Some(end));
                    if twice {
                        self.tell_end(prompt, end).await?;
                    }
                    continue;
                }
            }
            town.turn(&talk, prompt, |turn| turn.acts.pop_front());
        }
    }

    async fn tell_end(&mut self, prompt: Uuid, end: TurnEnd) -> Result<(), Over> {
        let message_ref = Some(format!("message-{prompt}"));
        let text = "done".to_owned();
        self.tell(AgentEvent::TurnEnded { prompt, message_ref, text, end }).await
    }

    async fn spend(&mut self, prompt: Uuid, call: &Call, twice: bool) -> Result<(), Over> {
        self.town.spend(self.session, call);
        self.town.turn(&self.talk, prompt, note_call);
        for _ in 0..=u8::from(twice) {
            self.tell_call(call).await?;
        }
        let message_ref = self.town.name("message");
        self.tell(AgentEvent::Step { message_ref }).await
    }

    async fn tell_call(&mut self, call: &Call) -> Result<(), Over> {
        if self.swallows {
            return Ok(());
        }
        let Call { key, tokens, micros } = call.clone();
        let usage = Usage {
            tokens_input: tokens,
            tokens_cache_write: if tokens == u64::MAX { tokens } else { 0 },
            cost_usd: Some(Usd::from_micros(micros)),
            reported: true,
            ..Usage::default()
        };
        let model = Some("sim/model".to_owned());
        self.tell(AgentEvent::Usage { key, usage, model }).await
    }

    /// Asks and waits, for ever or for so many milliseconds; then it wants no answer any more.
    async fn ask(
        &mut self,
        prompt: Uuid,
        kinds: &[AttentionKind],
        twice: bool,
        patience: Option<u64>,
    ) -> Result<(), Over> {
        let (town, talk) = (Arc::clone(&self.town), self.talk.clone());
        let mut asks = town.turn(&talk, prompt, |turn| turn.asks.clone());
        if asks.is_empty() {
            asks = town.ask(self.session, kinds);
            town.turn(&talk, prompt, |turn| turn.asks.clone_from(&asks));
        }
        for _ in 0..=u8::from(twice) {
            for ask in &asks {
                self.tell(AgentEvent::Ask(ask.clone())).await?;
            }
        }
        self.tell_asks(prompt).await?;
        let until = patience.map(|millis| self.clock.now().after(Duration::from_millis(millis)));
        while town.turn(&talk, prompt, |turn| !turn.asks.is_empty() && turn.over.is_none()) {
            let left = until.map(|until| until.since(self.clock.now()));
            if left.is_some_and(|left| left.is_zero()) {
                for ask in town.turn(&talk, prompt, |turn| std::mem::take(&mut turn.asks)) {
                    self.tell(AgentEvent::AskGone { agent_ref: ask.agent_ref }).await?;
                }
                return self.tell_asks(prompt).await;
            }
            self.hear(prompt, left).await?;
        }
        Ok(())
    }

    async fn tell_asks(&mut self, prompt: Uuid) -> Result<(), Over> {
        let agent_refs = self.town.turn(&self.talk, prompt, |turn| {
            turn.asks.iter().map(|ask| ask.agent_ref.clone()).collect()
        });
        self.tell(AgentEvent::AsksOpen { agent_refs }).await
    }

    /// Says much and takes no breath.
    async fn flood(&mut self, count: u64) -> Result<(), Over> {
        let part = self.town.name("part");
        for _ in 0..count {
            let text = "word ".to_owned();
            self.send(AgentEvent::Delta { part: part.clone(), text: text.clone() }).await?;
            let body = json!({ "text": text });
            let item = TranscriptItem { id: part.clone(), kind: "text", body };
            self.send(AgentEvent::Transcript(item)).await?;
        }
        Ok(())
    }

    /// Works for a while and listens meanwhile.
    async fn spend_time(&mut self, prompt: Uuid, millis: u64) -> Result<(), Over> {
        let until = self.clock.now().after(Duration::from_millis(millis));
        loop {
            let left = until.since(self.clock.now());
            let is_over = |turn: &mut super::town::Turn| turn.over.is_some();
            if left.is_zero() || self.town.turn(&self.talk, prompt, is_over) {
                return Ok(());
            }
            self.hear(prompt, Some(left)).await?;
        }
    }

    /// Takes an order within a turn.
    async fn hear(&mut self, prompt: Uuid, within: Option<Duration>) -> Result<(), Over> {
        let order = self.listen(within).await?;
        let town = Arc::clone(&self.town);
        town.turn(&self.talk, prompt, |turn| match order {
            Some(Order::Abort) if !turn.is_deaf => {
                turn.asks.clear();
                turn.over = Some(TurnEnd::Aborted);
            }
            Some(Order::Answer(agent_ref, _)) => {
                turn.asks.retain(|ask| ask.agent_ref != agent_ref);
            }
            Some(Order::Abort | Order::Prompt(_)) | None => {}
        });
        Ok(())
    }

    /// The next order; prompts are kept for later.
    async fn listen(&mut self, within: Option<Duration>) -> Result<Option<Order>, Over> {
        let order = match within {
            Some(limit) => tokio::select! {
                biased;
                order = self.orders.recv() => order,
                () = self.clock.sleep(limit) => return Ok(None),
            },
            None => self.orders.recv().await,
        };
        match order {
            // Nobody can tell it anything any more: it is about to be closed.
            None => pending().await,
            Some(Order::Prompt(prompt)) => {
                self.next.push(prompt);
                Ok(None)
            }
            Some(Order::Answer(agent_ref, answer)) => {
                tracing::debug!("{} hears {agent_ref}: {answer:?}", self.session);
                self.town.answered(&agent_ref, &answer);
                Ok(Some(Order::Answer(agent_ref, answer)))
            }
            Some(order) => Ok(Some(order)),
        }
    }

    async fn tell(&mut self, event: AgentEvent) -> Result<(), Over> {
        self.town.weather.moment().await;
        self.send(event).await
    }

    async fn send(&mut self, event: AgentEvent) -> Result<(), Over> {
        tracing::debug!("{} tells {event:?}", self.session);
        if self.stage.send(event).await.is_ok() {
            return Ok(());
        }
        Err(Over)
    }
}
