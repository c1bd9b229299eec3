//! The supervisor of one attempt: turns what a driver tells into changes and journal lines, and what
//! people decide into orders.
//!
//! Invariant: it acts only while its fencing token is current. A bell says only "look again": what
//! there is to do is read from the store, so that nothing is lost with this task.
//! Invariant: whatever ends the lease, the run is closed, the work is saved, the worktree is gone.

mod asks;
mod begin;
mod brief;
mod elsewhere;
mod judge;
mod provider;
mod saving;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::asks::MOST_ASKS;
use self::begin::Begun;
use super::Tools;
use super::outbox::Outbox;
use crate::application::error::AppError;
use crate::application::ports::driver::{AgentEvent, DriverError, Prompt, Running, Told, TurnEnd};
use crate::application::redacted::Words;
use crate::application::scheduler::wake::Bell;
use crate::application::session::report::{CallUsage, Holder, Next, TurnOver};
use crate::application::session::usage::Obstacle;
use crate::domain::attention::AttentionItem;
use crate::domain::ids::AttentionId;
use crate::domain::session::attempt::ErrorType;
use crate::domain::session::{DegradedReason, PromptMode, Session};
use crate::domain::time::Timestamp;

/// How long lines wait for company on their way to the journal.
const GATHER: Duration = Duration::from_millis(40);
/// How long they wait after they could not be written.
const AGAIN: Duration = Duration::from_secs(1);

/// Calls that are counted together, when the agent completes no step.
const MOST_CALLS: usize = 100;

/// Why a run is over for its supervisor.
enum Ended {
    /// The session left this lease: it ended, or waits for a new one.
    Released,
    /// The agent is done; the gates decide.
    Judge,
    /// The process goes down; the next one takes the run up.
    Shutdown,
}

/// The supervisor of one attempt.
pub struct Supervisor {
    tools: Arc<Tools>,
    holder: Holder,
    bell: Bell,
    outbox: Outbox,
    words: Words,
    calls: Vec<CallUsage>,
    message_ref: Option<String>,
    asks: BTreeMap<String, AttentionId>,
    /// How asks of this turn were answered, by the agent's names.
    answered: BTreeMap<String, AttentionItem>,
    /// What the agent told of its work beside words.
    told: Option<Told>,
    /// An answer did not reach the agent: it is told again then.
    told_again_at: Option<Timestamp>,
    /// What waits for the journal is written then.
    flush_at: Option<Timestamp>,
    began: Timestamp,
    abort_at: Option<Timestamp>,
    aborted: bool,
    checkpoint_at: Timestamp,
}

impl Supervisor {
    /// A supervisor of the run behind this lease.
    #[must_use]
    pub fn new(tools: Arc<Tools>, holder: Holder, bell: Bell) -> Self {
        let bound = tools.options.journal_bytes;
        let outbox = Outbox::new(holder, Arc::clone(&tools.journal), bound);
        let words = Words::new(tools.options.redactor.clone());
        let began = tools.clock.now();
        let checkpoint_at = began.after(tools.options.checkpoint_interval);
        Self {
            tools,
            holder,
            bell,
            outbox,
            words,
            calls: Vec::new(),
            message_ref: None,
            asks: BTreeMap::new(),
            answered: BTreeMap::new(),
            told: None,
            told_again_at: None,
            flush_at: None,
            began,
            abort_at: None,
            aborted: false,
            checkpoint_at,
        }
    }

    /// Supervises until the lease ends or the process goes down.
    pub async fn run(mut self, stop: CancellationToken) {
        let id = self.holder.session;
        let ended = tokio::select! {
            biased;
            ended = self.supervise() => ended,
            () = stop.cancelled() => Ok(Ended::Shutdown),
        };
        self.outbox.flush().await;
        match ended {
            Ok(Ended::Released | Ended::Judge) | Err(AppError::StaleResult) => {}
            Ok(Ended::Shutdown) => {
                self.save_before_shutdown().await;
                return;
            }
            Err(error) => {
                tracing::warn!(session.id = %id, %error, "Session {id} lost its supervisor");
            }
        }
        super::recover::clean_up(&self.tools, self.holder.tenant, id).await;
        let Self { tools, bell, .. } = self;
        drop(bell);
        // It may have been asked to go on meanwhile, which had to wait for this end.
        tools.sessions.wake.scheduler();
    }

    async fn supervise(&mut self) -> Result<Ended, AppError> {
        self.outbox.begin().await;
        let Some(session) = self.held_session().await? else { return Ok(Ended::Released) };
        let workspace = match self.workspace(&session).await {
            Ok(workspace) => workspace,
            Err(error) => return self.fail(error).await,
        };
        let Some(session) = self.held_session().await? else { return Ok(Ended::Released) };
        let Some(prompt) = session.run.prompt.clone() else {
            if session.must_pass_gates() && !session.run.is_partial {
                return Box::pin(self.judge()).await;
            }
            return Self::released(self.tools.sessions.nothing_left(self.holder).await);
        };
        let prompt = Prompt { id: prompt.id, text: prompt.text };
        match self.start(&session, &workspace, prompt).await? {
            Begun::Running(running) => match Box::pin(self.watch(running)).await? {
                Ended::Judge => Box::pin(self.judge()).await,
                ended @ (Ended::Released | Ended::Shutdown) => Ok(ended),
            },
            Begun::Full(why) => {
                self.outbox.log("info", &why, self.tools.clock.now());
                Self::released(self.tools.sessions.put_back(self.holder, &why).await)
            }
            Begun::Released => Ok(Ended::Released),
            Begun::Failed(error) => self.fail(error).await,
        }
    }

    /// The session, while this supervisor's lease is the current one.
    async fn held_session(&self) -> Result<Option<Session>, AppError> {
        let snapshot = self.tools.sessions.readable(self.holder.tenant).await?;
        let found = snapshot.session(self.holder.session).await?.map(|found| found.value);
        Ok(found.filter(|session| session.is_held_by(self.holder.fencing_token)))
    }

    /// Watches a run until it is over.
    async fn watch(&mut self, mut running: Running) -> Result<Ended, AppError> {
        // Whatever goes wrong in between, a run that was started is closed.
        let ended = Box::pin(self.watch_events(&mut running)).await;
        running.control.close().await;
        ended
    }

    async fn watch_events(&mut self, running: &mut Running) -> Result<Ended, AppError> {
        let recovered = DegradedReason::StreamDisconnected;
        self.tools.sessions.capacity(self.holder, recovered, false).await?;
        if !self.look_again(running).await? {
            return Ok(Ended::Released);
        }
        let tools = Arc::clone(&self.tools);
        loop {
            let wait = self.next_wait();
            // An agent that never stops talking is no reason not to see that it is time, either.
            if wait.is_zero() {
                if let Some(ended) = self.time_passed(running).await? {
                    return Ok(ended);
                }
                continue;
            }
            let ended = tokio::select! {
                biased;
                // An agent that never stops talking is no reason not to hear the bell.
                () = self.bell.rang() => {
                    (!self.look_again(running).await?).then_some(Ended::Released)
                }
                event = running.events.recv() => {
                    let Some(event) = event else {
                        let message = "the agent's connection ended without a result";
                        return self.fail(DriverError::new(ErrorType::AgentLost, message)).await;
                    };
                    self.heard(running, event).await?
                }
                () = tools.clock.sleep(wait) => self.time_passed(running).await?,
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// How long there is nothing to do but to listen; zero when something is due.
    fn next_wait(&mut self) -> Duration {
        let now = self.tools.clock.now();
        let rest = if self.outbox.is_stuck() { AGAIN } else { GATHER };
        self.flush_at = if self.outbox.is_empty() {
            None
        } else {
            self.flush_at.or_else(|| Some(now.after(rest)))
        };
        let abort_at = self.abort_at.filter(|_| !self.aborted);
        let times = [self.flush_at, abort_at, self.told_again_at, Some(self.checkpoint_at)];
        times.into_iter().flatten().min().map_or(rest, |next| next.since(now))
    }

    async fn time_passed(&mut self, running: &mut Running) -> Result<Option<Ended>, AppError> {
        self.outbox.flush().await;
        self.flush_at = None;
        let now = self.tools.clock.now();
        if self.abort_at.is_some_and(|at| at <= now) && !self.aborted {
            self.aborted = true;
            if let Err(error) = running.control.abort().await {
                return self.fail(error).await.map(Some);
            }
        }
        if self.told_again_at.is_some_and(|at| at <= now) {
            self.deliver_owed(running).await?;
        }
        if self.checkpoint_at <= now {
            self.checkpoint_at = now.after(self.tools.options.checkpoint_interval);
            let saved = self.save("periodic").await;
            self.tools.sessions.periodic_checkpoint(self.holder, saved.as_deref()).await?;
        }
        Ok(None)
    }

    /// Reads what is wanted now and sees to it; `false` when the lease is gone.
    async fn look_again(&mut self, running: &Running) -> Result<bool, AppError> {
        let Some(session) = self.held_session().await? else { return Ok(false) };
        let interrupts =
            session.run.prompts.iter().any(|prompt| prompt.mode == PromptMode::Interrupt);
        if !self.aborted {
            let obstacle = self.tools.sessions.obstacle(&session).await?;
            self.abort_at = self.end_of_patience(&session, interrupts, obstacle);
        }
        self.deliver_owed(running).await?;
        Ok(true)
    }

    /// When a turn is aborted that does not end by itself: at once for a prompt that interrupts, and when
    /// its tenant is switched off; a while after somebody wanted a pause, or after a budget was spent.
    fn end_of_patience(
        &self,
        session: &Session,
        interrupts: bool,
        obstacle: Option<Obstacle>,
    ) -> Option<Timestamp> {
        let now = self.tools.clock.now();
        let since = session.run.pause_wanted.or(obstacle.map(|_| now));
        let later = since.map(|since| since.after(self.tools.options.pause_grace));
        match later {
            _ if interrupts || obstacle == Some(Obstacle::TenantInactive) => Some(now),
            Some(later) => Some(self.abort_at.map_or(later, |known| known.min(later))),
            None => None,
        }
    }

    async fn heard(
        &mut self,
        running: &mut Running,
        event: AgentEvent,
    ) -> Result<Option<Ended>, AppError> {
        let (now, holder) = (self.tools.clock.now(), self.holder);
        let sessions = self.tools.sessions.clone();
        match self.words.clean(event) {
            AgentEvent::Handshake { handle, stored } => {
                sessions.handshake(holder, &handle).await?;
                if stored.send(()).is_err() {
                    // The driver ended its run meanwhile and says so by itself.
                    tracing::debug!(session.id = %holder.session, "Nobody waited for the handshake");
                }
            }
            AgentEvent::Delta { part: _, text } if text.is_empty() => {}
            AgentEvent::Delta { part, text } => {
                self.tools.deltas.tell(holder.tenant, holder.session, part, text, now);
            }
            AgentEvent::Transcript(item) => {
                self.outbox.transcript(item, now);
                if self.outbox.is_due() {
                    self.outbox.flush().await;
                }
            }
            AgentEvent::Log { level, message } => {
                self.outbox.log(level, &message, now);
                if self.outbox.is_due() {
                    self.outbox.flush().await;
                }
            }
            AgentEvent::Keep { kept } => self.keep(kept).await?,
            AgentEvent::Phase(phase) => sessions.phase(holder, phase).await?,
            AgentEvent::Usage { key: _, usage, model: _ } if !usage.is_plausible() => {
                let message = "the agent reports tokens or a cost that no model call can have";
                let error = DriverError::new(ErrorType::AgentProtocolError, message);
                return self.fail(error).await.map(Some);
            }
            AgentEvent::Usage { key, usage, model } => {
                self.calls.push(CallUsage { key, usage, model });
                if self.calls.len() >= MOST_CALLS {
                    self.count().await?;
                }
            }
            AgentEvent::Step { message_ref } => {
                self.message_ref = Some(message_ref);
                self.count().await?;
            }
            AgentEvent::Ask(ask) if self.asks_too_much(&ask) => {
                let message = format!("the agent waits for more than {MOST_ASKS} answers at once");
                let error = DriverError::new(ErrorType::AgentProtocolError, message);
                return self.fail(error).await.map(Some);
            }
            AgentEvent::Ask(ask) => self.asked(running, ask).await?,
            AgentEvent::AskGone { agent_ref } => self.ask_gone(&agent_ref).await?,
            AgentEvent::AsksOpen { agent_refs } => self.asks_are(&agent_refs).await?,
            AgentEvent::ProviderRetry { message, next_at } => {
                let next = next_at.map(|at| format!(", next at {at}")).unwrap_or_default();
                self.outbox.log(
                    "warn",
                    &format!("the provider is tried again: {message}{next}"),
                    now,
                );
                self.leave_provider_alone(&message, next_at).await?;
                sessions.capacity(holder, DegradedReason::ProviderRetrying, true).await?;
            }
            AgentEvent::ProviderBack => {
                self.provider_is_back().await?;
                sessions.capacity(holder, DegradedReason::ProviderRetrying, false).await?;
            }
            AgentEvent::Moving { reason, saved } => {
                Box::pin(self.save_before_a_move(&reason)).await?;
                if saved.send(()).is_err() {
                    tracing::debug!(session.id = %holder.session, "Nobody waited for the save");
                }
            }
            AgentEvent::StreamLost => {
                sessions.capacity(holder, DegradedReason::StreamDisconnected, true).await?;
            }
            AgentEvent::StreamBack => {
                sessions.capacity(holder, DegradedReason::StreamDisconnected, false).await?;
            }
            AgentEvent::TurnEnded { prompt, message_ref, text, end } => {
                if !self.is_told(prompt).await? {
                    let line = format!("the agent ended a turn that is not its own: {prompt}");
                    self.outbox.log("warn", &line, now);
                    return Ok(None);
                }
                return self.turn_ended(running, message_ref, text, end).await;
            }
            AgentEvent::Outcome(told) => self.told = Some(*told),
            AgentEvent::Quiet(is_quiet) => {
                sessions.capacity(holder, DegradedReason::HeartbeatLate, is_quiet).await?;
            }
            AgentEvent::Expired => return Box::pin(self.expired()).await,
            AgentEvent::Declined(reason) => {
                return Box::pin(self.declined(&reason)).await.map(Some);
            }
            AgentEvent::Failed(error) => return self.fail(error).await.map(Some),
        }
        Ok(None)
    }

    /// Whether this is what the agent was told last: an agent that repeats itself, or tells late, has
    /// ended nothing.
    async fn is_told(&self, prompt: Uuid) -> Result<bool, AppError> {
        let session = self.held_session().await?;
        // Without the lease, the report is refused as stale.
        Ok(session.is_none_or(|session| session.run.prompt.is_some_and(|told| told.id == prompt)))
    }

    async fn turn_ended(
        &mut self,
        running: &mut Running,
        message_ref: Option<String>,
        text: String,
        end: TurnEnd,
    ) -> Result<Option<Ended>, AppError> {
        self.no_more_asks().await?;
        self.count().await?;
        self.outbox.flush().await;
        let saved = self.save("turn").await;
        let (broken_off, told) = (self.aborted, self.told.take());
        let turn = TurnOver { end, text, message_ref, saved, broken_off, told };
        self.checkpoint_at = self.tools.clock.now().after(self.tools.options.checkpoint_interval);
        (self.abort_at, self.aborted) = (None, false);
        match self.tools.sessions.turn_over(self.holder, &turn).await {
            Ok(Next::Over) => Ok(Some(Ended::Released)),
            Ok(Next::Judge) => Ok(Some(Ended::Judge)),
            Ok(Next::Prompt(prompt)) => match running.control.prompt(prompt).await {
                Ok(()) => Ok((!self.look_again(running).await?).then_some(Ended::Released)),
                Err(error) if error.full => {
                    Self::released(self.tools.sessions.put_back(self.holder, &error.message).await)
                        .map(Some)
                }
                Err(error) => self.fail(error).await.map(Some),
            },
            Err(AppError::StaleResult) => {
                self.tools.sessions.reject_stale(self.holder).await?;
                Ok(Some(Ended::Released))
            }
            Err(error) => Err(error),
        }
    }

    /// Stores what the calls so far have used.
    async fn count(&mut self) -> Result<(), AppError> {
        let message = self.message_ref.take();
        if !self.calls.is_empty() || message.is_some() {
            self.tools.sessions.step(self.holder, &self.calls, message.as_deref()).await?;
            self.calls.clear();
        }
        Ok(())
    }

    /// Makes durable what was told so far, and says so when it is.
    async fn keep(&mut self, kept: oneshot::Sender<()>) -> Result<(), AppError> {
        self.count().await?;
        self.outbox.flush().await;
        if !self.outbox.is_stuck() && kept.send(()).is_err() {
            tracing::debug!(session.id = %self.holder.session, "Nobody waited for what was kept");
        }
        Ok(())
    }

    async fn fail(&mut self, error: DriverError) -> Result<Ended, AppError> {
        let error = self.words.failed(error);
        let now = self.tools.clock.now();
        self.outbox.log("error", &error.message, now);
        if let Some(overloaded) = error.overloaded {
            // Before the end is stored, so that nobody is given what just failed.
            let until = overloaded.retry_after.map(|alone| now.after(alone));
            self.leave_provider_alone(&error.message, until).await?;
        }
        if let Err(lost) = self.count().await {
            return Self::released(Err(lost));
        }
        let saved = self.save("failure").await;
        Self::released(self.tools.sessions.run_failed(self.holder, &error, saved).await)
    }

    /// A report that came too late means that the lease is gone, which is no error here.
    fn released(reported: Result<(), AppError>) -> Result<Ended, AppError> {
        match reported {
            Ok(()) | Err(AppError::StaleResult | AppError::SessionNotFound) => Ok(Ended::Released),
            Err(error) => Err(error),
        }
    }
}
