//! Agents that do their work, and agents that hang, break, vanish, repeat themselves and do not
//! listen. The driver keeps the promises of its port whatever its agent does.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::driver::{
    Abilities, AgentDriver, AgentEvent, Answer, Assignment, Continuation, DriverError, ProbeReport,
    Prompt, RunControl, Running, TurnEnd,
};
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::money::Usd;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::domain::usage::Usage;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::time::SimClock;
use super::town::{Act, Town};

/// Events on their way; a full channel makes the agent wait.
const EVENTS: usize = 16;

/// One kind of agent.
pub(crate) struct SimDriver {
    pub(crate) kind: AgentKind,
    pub(crate) town: Arc<Town>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) tracker: TaskTracker,
    /// The planted bug: nobody tells it that a run is over.
    pub(crate) never_closed: bool,
}

enum Order {
    Prompt(Prompt),
    Abort,
    Answer(String),
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

    async fn probe(&self) -> Result<ProbeReport, DriverError> {
        self.town.weather.moment().await;
        if self.town.weather.strikes(0.05) {
            return Err(DriverError::new(ErrorType::AgentLost, "it does not answer"));
        }
        Ok(ProbeReport { version: "1".to_owned(), details: Value::Null })
    }

    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError> {
        let weather = &self.town.weather;
        weather.moment().await;
        if weather.strikes(0.01) {
            pending::<()>().await;
        }
        if weather.strikes(0.02) {
            return Err(DriverError::full("it has enough to do"));
        }
        if weather.strikes(0.03) {
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
            session: assignment.session,
            talk,
            stage,
            orders,
            next: vec![assignment.prompt],
        };
        self.tracker.spawn(run.play(closed.clone(), ended.clone()));
        // A run that nobody watches any more is over; with the planted bug nobody ever says so.
        let closed = (!self.never_closed).then(|| closed.drop_guard());
        Ok(Running {
            control: Box::new(Control { orders: desk, closed: Mutex::new(closed), ended }),
            events,
        })
    }

    async fn reap(&self) -> usize {
        0
    }

    async fn shutdown(&self) {
        self.town.server_is_gone();
    }
}

struct Control {
    orders: mpsc::UnboundedSender<Order>,
    closed: Mutex<Option<DropGuard>>,
    ended: CancellationToken,
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

    async fn answer(&self, agent_ref: &str, answer: Answer) -> Result<(), DriverError> {
        self.send(Order::Answer(format!("{agent_ref}\n{answer:?}")))
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
            if !self.turn(prompt.id).await? {
                return Ok(());
            }
        }
    }

    /// One turn; `false` when the agent is gone.
    async fn turn(&mut self, prompt: Uuid) -> Result<bool, Over> {
        let (town, talk) = (Arc::clone(&self.town), self.talk.clone());
        town.told(&talk, prompt);
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
                Act::Spend(tokens, micros, twice) => self.spend(tokens, micros, twice).await?,
                Act::Ask(kind, twice) => {
                    let ask = town.turn(&talk, prompt, |turn| turn.ask.clone());
                    let ask = ask.unwrap_or_else(|| town.ask(kind));
                    town.turn(&talk, prompt, |turn| turn.ask = Some(ask.clone()));
                    self.tell(AgentEvent::Ask(ask.clone())).await?;
                    if twice {
                        self.tell(AgentEvent::Ask(ask)).await?;
                    }
                    let agent_refs = town.turn(&talk, prompt, |turn| {
                        turn.ask.iter().map(|ask| ask.agent_ref.clone()).collect()
                    });
                    self.tell(AgentEvent::AsksOpen { agent_refs }).await?;
                    while town.turn(&talk, prompt, |turn| turn.ask.is_some() && turn.over.is_none())
                    {
                        self.hear(prompt, None).await?;
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

    async fn spend(&mut self, tokens: u64, micros: i64, twice: bool) -> Result<(), Over> {
        let key = self.town.name("call");
        self.town.spend(self.session, tokens);
        for _ in 0..=u8::from(twice) {
            let usage = Usage {
                tokens_input: tokens,
                tokens_cache_write: if tokens == u64::MAX { tokens } else { 0 },
                cost_usd: Some(Usd::from_micros(micros)),
                reported: true,
                ..Usage::default()
            };
            let (key, model) = (key.clone(), Some("sim/model".to_owned()));
            self.tell(AgentEvent::Usage { key, usage, model }).await?;
        }
        let message_ref = self.town.name("message");
        self.tell(AgentEvent::Step { message_ref }).await
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
                turn.ask = None;
                turn.over = Some(TurnEnd::Aborted);
            }
            Some(Order::Answer(text)) => {
                let asked = turn.ask.as_ref().map(|ask| ask.agent_ref.as_str());
                if text.split('\n').next() == asked {
                    turn.ask = None;
                }
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
            Some(Order::Answer(text)) => {
                let (agent_ref, answer) = text.split_once('\n').expect("made so");
                tracing::debug!("{} hears {agent_ref}: {answer}", self.session);
                self.town.answered(agent_ref, answer);
                Ok(Some(Order::Answer(text)))
            }
            Some(order) => Ok(Some(order)),
        }
    }

    async fn tell(&mut self, event: AgentEvent) -> Result<(), Over> {
        self.town.weather.moment().await;
        tracing::debug!("{} tells {event:?}", self.session);
        if self.stage.send(event).await.is_ok() {
            return Ok(());
        }
        Err(Over)
    }
}
