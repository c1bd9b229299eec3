//! What supervisors report of the run that they watch.
//!
//! Invariant: a report counts only with the current fencing token. Anything else is refused and
//! changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::SessionService;
use super::change::{By, Change};
use super::checkpoint::state_of;
use super::control::apply;
use super::limits::bounds_in;
use super::next::{go_on, take_prompt, what_stands};
use super::told;
use super::usage::{self, Obstacle};
use crate::application::error::AppError;
use crate::application::ports::driver::{DriverError, Prompt, Told, TurnEnd};
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::StoreError;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::attempt::{ErrorType, SessionError};
use crate::domain::session::checkpoint::CheckpointTrigger;
use crate::domain::session::metrics::Warning;
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{DegradedReason, Phase, Session};
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;
use crate::domain::version::Versioned;
use crate::domain::workspace::Workspace;

/// Whose report it is.
#[derive(Debug, Clone, Copy)]
pub struct Holder {
    /// Whose session.
    pub tenant: TenantId,
    /// Which session.
    pub session: SessionId,
    /// The right to report.
    pub fencing_token: u64,
}

/// A turn that is over.
#[derive(Debug, Clone)]
pub struct TurnOver {
    /// How it ended.
    pub end: TurnEnd,
    /// The agent's last words.
    pub text: String,
    /// Newest complete message.
    pub message_ref: Option<String>,
    /// Commit that the working tree was saved as.
    pub saved: Option<String>,
    /// Whether the supervisor had ended it, for a pause, a prompt or a budget.
    pub broken_off: bool,
    /// What the agent told of its work beside words.
    pub told: Option<Told>,
}

/// What comes after a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The agent is told this.
    Prompt(Prompt),
    /// The agent is done; the gates decide.
    Judge,
    /// The run is over.
    Over,
}

/// One model call's usage.
#[derive(Debug, Clone)]
pub struct CallUsage {
    /// Identity of the call.
    pub key: String,
    /// What it used.
    pub usage: Usage,
    /// `provider/model`.
    pub model: Option<String>,
}

/// What passes by itself is tried again after this.
pub(in crate::application) const AGAIN: Duration = Duration::from_secs(1);

pub(in crate::application) const SUPERVISOR: &str = "supervisor";

impl SessionService {
    /// A change by the holder of the lease. What passes by itself is waited out: meanwhile nobody
    /// else can change anything either, and the agent, to whom nobody listens, comes to rest. A
    /// commit that was made although the store said that it failed is not made again.
    pub(super) async fn report<T>(
        &self,
        holder: Holder,
        action: &str,
        mut decide: impl FnMut(&mut Change) -> Result<T, AppError> + Send,
    ) -> Result<(Versioned<Session>, T), AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let mut doubt = None;
        loop {
            let done = self.change_after(&mut doubt, by, holder.session, action, None, |change| {
                if !change.session.is_held_by(holder.fencing_token) {
                    return Err(AppError::StaleResult);
                }
                decide(change)
            });
            match done.await {
                Err(error) if error.passes() => self.clock.sleep(AGAIN).await,
                done => return done,
            }
        }
    }

    /// What there is to read, as soon as it can be read.
    pub(in crate::application) async fn readable(
        &self,
        tenant: TenantId,
    ) -> Result<Box<dyn Snapshot>, AppError> {
        loop {
            match self.snapshot(tenant).await {
                Err(error) if error.passes() => self.clock.sleep(AGAIN).await,
                found => return found,
            }
        }
    }

    /// The workspace was made.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn workspace_ready(
        &self,
        holder: Holder,
        workspace: &Workspace,
    ) -> Result<(), AppError> {
        let decide = |change: &mut Change| {
            change.session.run.workspace = Some(workspace.clone());
            change.updated(&["workspace"], self.clock.now());
            Ok(())
        };
        self.report(holder, "workspace", decide).await.map(drop)
    }

    /// The conversation has an identity; from now on it can be found again.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn handshake(&self, holder: Holder, handle: &Value) -> Result<(), AppError> {
        let decide = |change: &mut Change| {
            let run = &mut change.session.run;
            run.handle = Some(handle.clone());
            run.resume_from = None;
            change.updated(&["conversation"], self.clock.now());
            change.tell(acknowledged(&change.session, self.clock.now()));
            Ok(())
        };
        self.report(holder, "handshake", decide).await.map(drop)
    }

    /// A step of the agent is complete: what its calls used, and the newest complete message.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn step(
        &self,
        holder: Holder,
        calls: &[CallUsage],
        message_ref: Option<&str>,
    ) -> Result<(), AppError> {
        let uuid = self.ids.uuid();
        // What was used counts, whatever became of the prices.
        let prices = match self.readable(holder.tenant).await?.prices().await {
            Err(StoreError::Quarantined) => None,
            prices => prices?,
        };
        let prices = prices.map(|found| found.value).unwrap_or_default();
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            if let Some(message) = message_ref {
                change.session.run.message_ref = Some(message.to_owned());
            }
            change.session.stamps.updated_at = now;
            for call in calls {
                usage::count(change, call, &prices, self.ids.uuid(), now);
            }
            usage::watch(change, uuid, now);
            Ok(())
        };
        self.report(holder, "step", decide).await.map(drop)
    }

    /// A checkpoint between turns; skipped when nothing changed since the newest one.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn periodic_checkpoint(
        &self,
        holder: Holder,
        saved: Option<&str>,
    ) -> Result<(), AppError> {
        let snapshot = self.snapshot(holder.tenant).await?;
        let session = snapshot.session(holder.session).await?.ok_or(AppError::SessionNotFound)?;
        let newest = session.value.run.last_checkpoint;
        let newest = snapshot.checkpoint(holder.session, newest).await?;
        drop(snapshot);
        let decide = |change: &mut Change| {
            let state = state_of(change, saved.map(str::to_owned));
            if newest.as_ref().is_some_and(|known| known.state_hash == state.hash()) {
                return Ok(());
            }
            let trigger = CheckpointTrigger::Periodic;
            change.checkpoint(self.ids.uuid(), trigger, state, self.clock.now());
            Ok(())
        };
        self.report(holder, "checkpoint", decide).await.map(drop)
    }

    /// What the agent says it is doing.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn phase(&self, holder: Holder, phase: Phase) -> Result<(), AppError> {
        let decide = |change: &mut Change| {
            let (now, old) = (self.clock.now(), change.session.phase);
            if old != Some(phase) {
                change.session.phase = Some(phase);
                change.session.stamps.updated_at = now;
                let payload = json!({ "old_phase": old, "new_phase": phase });
                let event = change.session.event(EventType::SessionPhaseChanged, now, payload);
                change.tell([event]);
            }
            Ok(())
        };
        self.report(holder, "phase", decide).await.map(drop)
    }

    /// A reason for reduced capacity appeared, or went away.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn capacity(
        &self,
        holder: Holder,
        reason: DegradedReason,
        reduced: bool,
    ) -> Result<(), AppError> {
        let decide = |change: &mut Change| {
            let cause = By::Part(holder.tenant, SUPERVISOR).cause(self.clock.now());
            apply(change, |session| {
                if reduced {
                    session.degrade(reason, cause)
                } else {
                    session.recover(reason, cause)
                }
            })
        };
        self.report(holder, "capacity", decide).await.map(drop)
    }

    /// A turn is over: what comes next is decided and made durable.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn turn_over(&self, holder: Holder, turn: &TurnOver) -> Result<Next, AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let uuid = self.ids.uuid();
        let snapshot = self.readable(holder.tenant).await?;
        let bounds = bounds_in(&*snapshot, self.clock.now()).await?;
        drop(snapshot);
        let mut over = None;
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let told = change.session.run.prompt.as_ref().map(|prompt| prompt.id);
            if *over.get_or_insert(told) != told {
                // The commit that seemed to fail was made, and somebody changed the session since.
                return Ok(what_stands(&change.session));
            }
            if turn.message_ref.is_some() {
                change.session.run.message_ref.clone_from(&turn.message_ref);
            }
            if let Some(told) = &turn.told {
                told::note(change, told, now);
                if let Some((message, retryable)) = &told.failure {
                    let mut error = SessionError::of(ErrorType::AgentError, message, now);
                    error.retryable = *retryable;
                    self.fail_with(change, error, turn.saved.clone(), by)?;
                    return Ok(Next::Over);
                }
            }
            // With nothing else to be told, an agent that gave up has failed, pause or no pause.
            let gave_up = turn.end == TurnEnd::Rejected && change.session.run.prompts.is_empty();
            // Work that is done needs no more of a budget.
            let obstacle = usage::obstacle(&change.session, &bounds);
            let done = obstacle == Some(Obstacle::Spent)
                && matches!(turn.end, TurnEnd::Done | TurnEnd::Cut)
                && change.session.run.prompts.is_empty();
            let pauses = change.session.run.pause_wanted.is_some() || obstacle.is_some();
            if pauses && !gave_up && !done {
                let told = change.session.run.prompt.take();
                change.session.run.prompt = match turn.end {
                    TurnEnd::Aborted => Some(go_on(told, uuid, now)),
                    TurnEnd::Done | TurnEnd::Cut | TurnEnd::Rejected => {
                        take_prompt(&mut change.session)
                    }
                };
                note_cut(change, turn, now);
                told::keep(change, turn);
                self.mark(change, CheckpointTrigger::Pause, turn);
                let cause = by.cause(now);
                let cause = match obstacle {
                    Some(obstacle) => cause.because(obstacle.reason()),
                    None => cause,
                };
                apply(change, |session| session.pause(cause))?;
                return Ok(Next::Over);
            }
            if let Some(next) = take_prompt(&mut change.session) {
                let prompt = Prompt { id: next.id, text: next.text.clone() };
                change.session.run.prompt = Some(next);
                self.mark(change, CheckpointTrigger::Turn, turn);
                // Whoever took over has shown that it can.
                let (reason, cause) = (DegradedReason::FallbackAgent, by.cause(now));
                apply(change, |session| session.recover(reason, cause))?;
                return Ok(Next::Prompt(prompt));
            }
            if turn.end == TurnEnd::Aborted && turn.broken_off {
                // What it was broken off for is no longer wanted: it goes on when there is a slot.
                let told = change.session.run.prompt.take();
                change.session.run.prompt = Some(go_on(told, uuid, now));
                self.mark(change, CheckpointTrigger::Pause, turn);
                let cause = by.cause(now).because("what its turn was ended for is over");
                apply(change, |session| session.pause(cause))?;
                change.session.run.resume_wanted = true;
                return Ok(Next::Over);
            }
            self.conclude(change, turn, by)
        };
        Ok(self.report(holder, "turn", decide).await?.1)
    }

    /// Nothing is left to be told: a resumed session whose last turn was over ends with it.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn nothing_left(&self, holder: Holder) -> Result<(), AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let decide = |change: &mut Change| {
            let (outcome, cause) = (told::kept(&change.session), by.cause(self.clock.now()));
            if change.session.run.is_partial {
                return apply(change, |session| session.partially_complete(outcome, cause));
            }
            apply(change, |session| session.complete(outcome, cause))
        };
        self.report(holder, "complete", decide).await.map(drop)
    }

    fn conclude(&self, change: &mut Change, turn: &TurnOver, by: By<'_>) -> Result<Next, AppError> {
        let now = self.clock.now();
        let failed = |error_type, message: &str| SessionError::of(error_type, message, now);
        let saved = turn.saved.clone();
        match turn.end {
            TurnEnd::Done | TurnEnd::Cut => {
                note_cut(change, turn, now);
                self.mark(change, CheckpointTrigger::Turn, turn);
                let outcome = told::outcome_of(turn);
                if turn.told.as_ref().is_some_and(|told| told.is_partial) {
                    let cause = by.cause(now);
                    apply(change, |session| session.partially_complete(outcome, cause))?;
                    return Ok(Next::Over);
                }
                if change.session.must_pass_gates() {
                    // With nothing left to be told, the gates are what is left to be done.
                    change.session.run.prompt = None;
                    change.session.metrics.result = Some(outcome.result);
                    return Ok(Next::Judge);
                }
                apply(change, |session| session.complete(outcome, by.cause(now)))?;
            }
            TurnEnd::Rejected => {
                let message = "a call was rejected and the agent gave up";
                self.fail_with(change, failed(ErrorType::PermissionDenied, message), saved, by)?;
            }
            TurnEnd::Aborted => {
                let message = "the turn was aborted at the agent";
                self.fail_with(change, failed(ErrorType::AgentError, message), saved, by)?;
            }
        }
        Ok(Next::Over)
    }

    fn mark(&self, change: &mut Change, trigger: CheckpointTrigger, turn: &TurnOver) {
        let state = state_of(change, turn.saved.clone());
        change.checkpoint(self.ids.uuid(), trigger, state, self.clock.now());
    }

    /// The agent takes no further run just now: the session waits for a slot again, as one that is
    /// to go on. No retry is spent on it.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn put_back(&self, holder: Holder, why: &str) -> Result<(), AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let decide = |change: &mut Change| {
            let cause = by.cause(self.clock.now());
            apply(change, |session| session.pause(cause.because(why)))?;
            change.session.run.resume_wanted = true;
            Ok(())
        };
        self.report(holder, "put_back", decide).await.map(drop)
    }

    /// The run cannot go on.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn run_failed(
        &self,
        holder: Holder,
        error: &DriverError,
        saved: Option<String>,
    ) -> Result<(), AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let decide = |change: &mut Change| {
            let mut told = SessionError::of(error.error_type, &error.message, self.clock.now());
            told.retryable = error.retryable;
            self.fail_with(change, told, saved.clone(), by)
        };
        self.report(holder, "fail", decide).await.map(drop)
    }

    /// Fails the session; an executing one is first marked where it stood.
    pub(super) fn fail_with(
        &self,
        change: &mut Change,
        error: SessionError,
        saved: Option<String>,
        by: By<'_>,
    ) -> Result<(), AppError> {
        let now = self.clock.now();
        self.mark_failure(change, saved);
        let luck = self.ids.chance();
        apply(change, |session| session.fail(error, luck, by.cause(now)))
    }

    pub(super) fn mark_failure(&self, change: &mut Change, saved: Option<String>) {
        let status = change.session.status();
        if status.is_executing() || status == SessionStatus::Paused {
            let state = state_of(change, saved);
            let trigger = CheckpointTrigger::Failure;
            change.checkpoint(self.ids.uuid(), trigger, state, self.clock.now());
        }
    }

    /// A report came too late: it is kept as a count on its attempt and told, and changes nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn reject_stale(&self, holder: Holder) -> Result<(), AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let decide = |change: &mut Change| {
            if let Some(attempt) = &mut change.attempt {
                attempt.stale_reports += 1;
            }
            let current = change.session.run.lease.as_ref().map(|lease| lease.fencing_token);
            let payload =
                json!({ "fencing_token": holder.fencing_token, "current_token": current });
            let event_type = EventType::AgentStaleResultRejected;
            let event = change.session.event(event_type, self.clock.now(), payload);
            change.tell([event]);
            Ok(())
        };
        self.change(by, holder.session, "stale", None, decide).await.map(drop)
    }
}

fn note_cut(change: &mut Change, turn: &TurnOver, now: Timestamp) {
    if turn.end == TurnEnd::Cut {
        change.session.metrics.warn(Warning {
            warning_type: "answer_cut".to_owned(),
            message: "the model's last answer was cut at its length limit".to_owned(),
            timestamp: now,
            context: Value::Null,
        });
    }
}

/// Tells that an agent took what it was given.
fn acknowledged(session: &Session, now: Timestamp) -> Option<DomainEvent> {
    let lease = session.run.lease.as_ref()?;
    let subject = Subject { kind: SubjectKind::Agent, id: lease.agent_id.uuid() };
    let payload = json!({
        "session_id": session.id, "task_id": session.id, "attempt": session.run.attempt,
        "fencing_token": lease.fencing_token,
    });
    Some(DomainEvent::new(EventType::AgentTaskAcknowledged, subject, now, payload))
}
