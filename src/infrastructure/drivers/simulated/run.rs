//! One run: tells a conversation's steps, one after the other, and takes orders between them.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::conversation::{Conversations, Ended, Turn, handle};
use super::gates::Gates;
use super::script::{Step, steps_for};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::{
    AgentEvent, Answer, DriverError, Prompt, TranscriptItem, TurnEnd,
};
use crate::domain::session::attempt::ErrorType;
use crate::domain::session::spec::PermissionPolicy;

/// What a run is told.
#[derive(Debug)]
pub(super) enum Order {
    Prompt(Prompt),
    Abort,
    /// The answer to the ask with this name and fingerprint.
    Answer((String, String), Answer),
}

/// Why a step did not come to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The run is over.
    Closed,
    /// The turn is over.
    Aborted,
    /// The run failed.
    Failed(DriverError),
}

/// What a run works with.
pub(super) struct Run {
    pub conversation: Uuid,
    pub seed: u64,
    pub conversations: Conversations,
    pub gates: Gates,
    pub clock: Arc<dyn Clock>,
    pub latency: Duration,
    pub workdir: PathBuf,
    pub policy: PermissionPolicy,
    pub model: Option<String>,
    /// Scripts in the order of precedence, behind that of the prompt.
    pub scripts: Vec<serde_json::Value>,
    /// A full channel makes the run wait.
    pub events: mpsc::Sender<AgentEvent>,
    /// A full channel makes those wait who give orders.
    pub orders: mpsc::Receiver<Order>,
    pub closed: CancellationToken,
    pub waiting: VecDeque<Prompt>,
    /// By name and fingerprint of their asks.
    pub answers: HashMap<(String, String), Answer>,
    /// Set by an order to abort, taken by the turn.
    pub aborted: bool,
}

impl Run {
    /// Runs until it is closed, fails, or nobody listens any more.
    pub(super) async fn tell(mut self) {
        let ended = self.work().await;
        if let Err(Stop::Failed(error)) = ended {
            self.send(AgentEvent::Failed(error)).await.ok();
        }
    }

    async fn work(&mut self) -> Result<(), Stop> {
        let (stored, is_stored) = oneshot::channel();
        let handle = handle(self.conversation, self.seed);
        self.send(AgentEvent::Handshake { handle, stored }).await?;
        let closed = self.closed.clone();
        tokio::select! {
            biased;
            () = closed.cancelled() => return Err(Stop::Closed),
            answer = is_stored => answer.map_err(|_| Stop::Closed)?,
        }
        self.notice("Everything in this session is simulated: no model is asked.").await?;
        loop {
            if let Some(prompt) = self.waiting.pop_front() {
                self.turn(&prompt).await?;
            } else {
                self.next_order().await?;
                // Without a turn there is nothing to abort.
                self.aborted = false;
            }
        }
    }

    async fn turn(&mut self, prompt: &Prompt) -> Result<(), Stop> {
        self.begin(prompt)?;
        let text = serde_json::json!({ "text": prompt.text });
        self.transcript(format!("prompt-{}", prompt.id), "user", text).await?;
        let end = loop {
            let turn = self.with_turn(prompt.id, |turn| {
                let step = turn.steps.get(turn.at).cloned();
                (turn.ended.clone(), turn.at, step)
            });
            let (ended, at, step) = turn;
            if let Some(ended) = ended {
                return self.finish(prompt.id, ended).await;
            }
            match step {
                None => break TurnEnd::Done,
                Some(Step::End(end)) => break end,
                Some(step) => match self.step(prompt.id, at, step).await {
                    Ok(()) => self.with_turn(prompt.id, |turn| turn.at = at + 1),
                    Err(Stop::Aborted) => break TurnEnd::Aborted,
                    Err(Stop::Failed(error)) => {
                        // Taken up again, the turn goes on behind the failure.
                        self.with_turn(prompt.id, |turn| turn.at = at + 1);
                        return Err(Stop::Failed(error));
                    }
                    Err(Stop::Closed) => return Err(Stop::Closed),
                },
            }
        };
        self.aborted = false;
        let message_ref = self.conversations.with(self.conversation, |all| all.message_ref());
        let ended = self.with_turn(prompt.id, |turn| {
            let ended = Ended { message_ref, text: turn.said.clone(), end };
            turn.ended = Some(ended.clone());
            if end != TurnEnd::Aborted {
                // Nothing is left to go on with.
                turn.steps = Vec::new();
            }
            ended
        });
        self.finish(prompt.id, ended).await
    }

    /// Notes the turn, unless this prompt was told before.
    fn begin(&self, prompt: &Prompt) -> Result<(), Stop> {
        let is_known =
            |all: &mut super::conversation::Conversation| all.turns.contains_key(&prompt.id);
        if self.conversations.with(self.conversation, is_known) {
            return Ok(());
        }
        let scripts: Vec<_> = self.scripts.iter().collect();
        let steps = steps_for(&prompt.text, &scripts, self.seed).map_err(|message| {
            let mut error = DriverError::new(ErrorType::AgentError, message);
            error.retryable = false;
            Stop::Failed(error)
        })?;
        self.conversations.with(self.conversation, |all| all.begin(prompt.id, steps));
        Ok(())
    }

    async fn finish(&mut self, prompt: Uuid, ended: Ended) -> Result<(), Stop> {
        let Ended { message_ref, text, end } = ended;
        self.send(AgentEvent::TurnEnded { prompt, message_ref, text, end }).await
    }

    /// Works on the turn of a prompt; one that was forgotten meanwhile counts as ended.
    pub(super) fn with_turn<T>(&self, prompt: Uuid, work: impl FnOnce(&mut Turn) -> T) -> T {
        self.conversations.with(self.conversation, |all| {
            if !all.turns.contains_key(&prompt) {
                all.begin(prompt, Vec::new());
            }
            work(all.turns.entry(prompt).or_default())
        })
    }

    /// A message is complete.
    pub(super) async fn message(&mut self, prompt: Uuid) -> Result<(), Stop> {
        let message_ref = self.conversations.with(self.conversation, |all| {
            all.messages += 1;
            if let Some(turn) = all.turns.get_mut(&prompt) {
                turn.newest = all.messages;
            }
            format!("msg_{}", all.messages)
        });
        self.send(AgentEvent::Step { message_ref }).await
    }

    /// Tells an event; nobody listening means that the run is over.
    pub(super) async fn send(&self, event: AgentEvent) -> Result<(), Stop> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Stop::Closed),
            sent = self.events.send(event) => sent.map_err(|_| Stop::Closed),
        }
    }

    pub(super) async fn transcript(
        &self,
        id: String,
        kind: &'static str,
        mut body: serde_json::Value,
    ) -> Result<(), Stop> {
        if let Some(body) = body.as_object_mut() {
            body.insert("simulated".to_owned(), true.into());
        }
        self.send(AgentEvent::Transcript(TranscriptItem { id, kind, body })).await
    }

    async fn notice(&self, text: &str) -> Result<(), Stop> {
        let id = format!("notice-{}", self.conversation);
        self.transcript(id, "notice", serde_json::json!({ "text": text })).await
    }

    /// Lets time pass, taking orders meanwhile.
    pub(super) async fn pause(&mut self, duration: Duration) -> Result<(), Stop> {
        let clock = Arc::clone(&self.clock);
        let mut sleep = clock.sleep(duration);
        loop {
            if self.aborted {
                return Err(Stop::Aborted);
            }
            tokio::select! {
                biased;
                ordered = self.next_order() => ordered?,
                () = &mut sleep => return Ok(()),
            }
        }
    }

    /// Waits for orders until one of them makes this true.
    pub(super) async fn until<T>(
        &mut self,
        mut look: impl FnMut(&mut Self) -> Option<T>,
    ) -> Result<T, Stop> {
        loop {
            if self.aborted {
                return Err(Stop::Aborted);
            }
            if let Some(found) = look(self) {
                return Ok(found);
            }
            self.next_order().await?;
        }
    }

    /// Takes one order.
    pub(super) async fn next_order(&mut self) -> Result<(), Stop> {
        let order = tokio::select! {
            biased;
            () = self.closed.cancelled() => return Err(Stop::Closed),
            () = self.events.closed() => return Err(Stop::Closed),
            order = self.orders.recv() => order.ok_or(Stop::Closed)?,
        };
        match order {
            Order::Prompt(prompt) => {
                if self.waiting.iter().all(|waiting| waiting.id != prompt.id) {
                    self.waiting.push_back(prompt);
                }
            }
            Order::Abort => self.aborted = true,
            Order::Answer(asked, answer) => {
                self.answers.insert(asked, answer);
            }
        }
        Ok(())
    }
}
