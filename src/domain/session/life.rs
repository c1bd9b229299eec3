//! The verbs of a session's life: what each needs, what it changes, what it tells.
//!
//! Every method either moves the session and returns its events in order, or leaves it untouched.

use std::time::Duration;

use serde_json::{Value, json};

use super::attempt::{ErrorType, Lease, SessionError};
use super::metrics::RateSource;
use super::status::{InvalidTransition, SessionStatus, Trigger};
use super::{Cause, DegradedReason, QueuedPrompt, Session, millis};
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::time::Timestamp;

/// Why a retry is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryRefused {
    /// The status has no retry.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// No checkpoint to go on from, or no retry left.
    #[error(
        "this session cannot be retried: it has {checkpoints} checkpoints and used {retry_count} of {max_retries} retries"
    )]
    NotRetryable {
        /// Checkpoints kept.
        checkpoints: u64,
        /// Retries used.
        retry_count: u32,
        /// Retries allowed.
        max_retries: u32,
    },
}

/// What an agent or a person says of finished work.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// A JSON object.
    pub result: Value,
    /// 0–1, when measured.
    pub success_rate: Option<f64>,
    /// Who measured it.
    pub source: Option<RateSource>,
    /// 0–1.
    pub confidence_score: Option<f64>,
}

/// What is due for a session at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It waited for a time that has come: queue it.
    Start,
    /// It runs out of time, which is told once.
    AtRisk,
    /// Somebody was promised what its gates say.
    Verify,
    /// It waited too long for a slot.
    QueueTimeout,
    /// Its execution clock ran out.
    ExecutionTimeout,
    /// It was paused too long.
    PauseTimeout,
    /// It was degraded too long.
    GraceOver,
}

impl Session {
    /// pending → queued.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn start(&mut self, cause: Cause<'_>) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let payload = json!({ "position": null, "priority": self.spec.priority.level() });
        self.transition(Trigger::Start, cause, EventType::SessionQueued, payload)
    }

    /// queued → running, by a grant of the scheduler.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn dispatch(
        &mut self,
        lease: Lease,
        from_checkpoint: Option<u64>,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.grant(Trigger::Dispatch, lease, from_checkpoint, cause)
    }

    /// pending → running, in the process of the caller.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn execute(
        &mut self,
        lease: Lease,
        from_checkpoint: Option<u64>,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.grant(Trigger::Execute, lease, from_checkpoint, cause)
    }

    fn grant(
        &mut self,
        verb: Trigger,
        lease: Lease,
        from_checkpoint: Option<u64>,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.status().after(verb)?;
        self.run.attempt = self.metrics.retry_count + 1;
        let payload = json!({
            "agent_id": lease.agent_id, "attempt": self.run.attempt,
            "fencing_token": lease.fencing_token, "resumed_from_checkpoint": from_checkpoint,
        });
        let events = self.transition(verb, cause, EventType::SessionStarted, payload)?;
        self.run.lease = Some(lease);
        Ok(events)
    }

    /// running or degraded → paused.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn pause(&mut self, cause: Cause<'_>) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let payload = told(cause);
        self.transition(Trigger::Pause, cause, EventType::SessionPaused, payload)
    }

    /// paused → running, with a new lease inside the same attempt.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn resume(
        &mut self,
        lease: Lease,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let payload = told(cause);
        let events = self.transition(Trigger::Resume, cause, EventType::SessionResumed, payload)?;
        self.run.lease = Some(lease);
        Ok(events)
    }

    /// running, paused or degraded → stopped.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn stop(&mut self, cause: Cause<'_>) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.transition(Trigger::Stop, cause, EventType::SessionStopped, told(cause))
    }

    /// pending, queued or paused → cancelled.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn cancel(&mut self, cause: Cause<'_>) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.transition(Trigger::Cancel, cause, EventType::SessionCancelled, told(cause))
    }

    /// Any open status → orphaned.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn orphan(&mut self, cause: Cause<'_>) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.transition(Trigger::Orphan, cause, EventType::SessionOrphaned, told(cause))
    }

    /// running or degraded → completed.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn complete(
        &mut self,
        outcome: Outcome,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.end_well(Trigger::Complete, EventType::SessionCompleted, outcome, cause)
    }

    /// running or degraded → `partially_completed`.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn partially_complete(
        &mut self,
        outcome: Outcome,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let event_type = EventType::SessionPartiallyCompleted;
        self.end_well(Trigger::PartiallyComplete, event_type, outcome, cause)
    }

    fn end_well(
        &mut self,
        verb: Trigger,
        event_type: EventType,
        outcome: Outcome,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.status().after(verb)?;
        let Outcome { result, success_rate, source, confidence_score } = outcome;
        let payload = json!({
            "result": result, "success_rate": success_rate, "success_rate_source": source,
            "execution_duration_seconds": seconds(self.run.clock.at(cause.at)),
        });
        self.metrics.result = Some(result);
        self.metrics.success_rate = success_rate;
        self.metrics.success_rate_source = source;
        self.metrics.confidence_score = confidence_score;
        self.transition(verb, cause, event_type, payload)
    }

    /// Any open status → failed; when the retry policy says so, on to pending in the same step.
    ///
    /// `chance` in 0–1 places the delay of an automatic retry within its jitter.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn fail(
        &mut self,
        error: SessionError,
        chance: f64,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.end_badly(Trigger::Fail, EventType::SessionFailed, error, chance, cause)
    }

    /// queued, running, paused or degraded → timeout; retried like a failure when the error allows.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn expire(
        &mut self,
        error_type: ErrorType,
        message: &str,
        chance: f64,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let error = SessionError::of(error_type, message, cause.at);
        self.end_badly(Trigger::Expire, EventType::SessionTimedOut, error, chance, cause)
    }

    fn end_badly(
        &mut self,
        verb: Trigger,
        event_type: EventType,
        error: SessionError,
        chance: f64,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.status().after(verb)?;
        let again = (error.retryable && self.has_retries_left())
            .then(|| cause.at.after(self.spec.retry.delay(self.metrics.retry_count + 1, chance)));
        let payload = json!({
            "error_type": error.error_type, "error_message": error.message,
            "error_context": error.context, "retryable": error.retryable,
            "will_retry": again.is_some(), "next_attempt_at": again,
        });
        let reason = error.error_type.clone();
        self.metrics.error = Some(error);
        let cause = Cause { reason: cause.reason.or(Some(&reason)), ..cause };
        let mut events = self.transition(verb, cause, event_type, payload)?;
        if let Some(at) = again {
            events.extend(self.take_back(Some(at), true, Cause::by("supervisor", cause.at))?);
        }
        Ok(events)
    }

    /// failed or timeout → pending, asked for by a person; the next attempt is wanted at once.
    ///
    /// # Errors
    /// `RetryRefused`.
    pub fn retry(
        &mut self,
        from_checkpoint: Option<u64>,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, RetryRefused> {
        self.status().after(Trigger::Retry)?;
        if !self.has_retries_left() {
            return Err(RetryRefused::NotRetryable {
                checkpoints: self.run.checkpoint_count,
                retry_count: self.metrics.retry_count,
                max_retries: self.spec.retry.max_retries,
            });
        }
        if from_checkpoint.is_some() {
            self.run.resume_from = from_checkpoint;
        }
        Ok(self.take_back(None, false, cause)?)
    }

    fn take_back(
        &mut self,
        at: Option<Timestamp>,
        automatic: bool,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let payload = json!({
            "retry_count": self.metrics.retry_count + 1, "next_attempt_at": at,
            "automatic": automatic,
        });
        let event_type = EventType::SessionRetryScheduled;
        let events = self.transition(Trigger::Retry, cause, event_type, payload)?;
        self.metrics.retry_count += 1;
        self.metrics.shelve_error();
        self.run.next_attempt_at = at;
        self.run.start_wanted = true;
        Ok(events)
    }

    /// Adds a reason; running → degraded with the first one. No event when it is known already.
    ///
    /// # Errors
    /// `InvalidTransition` outside running and degraded.
    pub fn degrade(
        &mut self,
        reason: DegradedReason,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        if self.status() == SessionStatus::Degraded {
            if !self.run.degraded_reasons.contains(&reason) {
                self.run.degraded_reasons.push(reason);
            }
            return Ok(Vec::new());
        }
        let payload = json!({ "reasons": [reason] });
        let cause = cause.because(reason.as_str());
        let events =
            self.transition(Trigger::Degrade, cause, EventType::SessionDegraded, payload)?;
        self.run.degraded_reasons = vec![reason];
        self.run.degraded_since = Some(cause.at);
        Ok(events)
    }

    /// Takes a reason away; degraded → running with the last one. Nothing happens otherwise.
    ///
    /// # Errors
    /// Never in practice: the move is only tried from degraded.
    pub fn recover(
        &mut self,
        reason: DegradedReason,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.run.degraded_reasons.retain(|known| *known != reason);
        if self.status() != SessionStatus::Degraded || !self.run.degraded_reasons.is_empty() {
            return Ok(Vec::new());
        }
        let since = self.run.degraded_since.take();
        let lasted = since.map_or(Duration::ZERO, |since| cause.at.since(since));
        let payload = json!({ "lasted_seconds": seconds(lasted) });
        self.transition(Trigger::Recover, cause, EventType::SessionRecovered, payload)
    }

    /// An item that the agent waits for was raised: the clock stands still from now.
    pub fn block(&mut self, now: Timestamp) {
        self.run.blocking_items += 1;
        self.run.clock.halt(now);
    }

    /// Such an item was settled: with the last one the clock runs again.
    pub fn unblock(&mut self, now: Timestamp) {
        self.run.blocking_items = self.run.blocking_items.saturating_sub(1);
        if self.run.blocking_items == 0 && self.status().is_executing() {
            self.run.clock.run(now);
        }
    }

    /// Keeps a prompt for the end of the turn or for the resume.
    ///
    /// # Errors
    /// `InvalidTransition` towards running when no agent works on the session or will again.
    pub fn inject(
        &mut self,
        prompt: QueuedPrompt,
        actor: &str,
    ) -> Result<DomainEvent, InvalidTransition> {
        if !self.status().is_executing() && self.status() != SessionStatus::Paused {
            let requested = SessionStatus::Running;
            return Err(InvalidTransition { current: self.status(), requested });
        }
        let payload = json!({
            "mode": prompt.mode, "length": prompt.text.chars().count(), "actor": actor,
        });
        self.stamps.updated_at = prompt.at;
        let event = self.event(EventType::SessionPromptInjected, prompt.at, payload);
        self.run.prompts.push(prompt);
        Ok(event)
    }

    /// Whether a person may retry it.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        self.status().after(Trigger::Retry).is_ok() && self.has_retries_left()
    }

    fn has_retries_left(&self) -> bool {
        self.run.checkpoint_count > 0 && self.metrics.retry_count < self.spec.retry.max_retries
    }

    /// When its status ends by itself; `None` when it never does.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let after = |since: Option<Timestamp>, seconds: Option<u32>| {
            Some(since?.after(Duration::from_secs(u64::from(seconds?))))
        };
        match self.status() {
            SessionStatus::Pending if self.run.start_wanted => {
                let times = [self.run.next_attempt_at, self.spec.not_before];
                Some(times.into_iter().flatten().max().unwrap_or(self.stamps.updated_at))
            }
            SessionStatus::Queued => after(self.stamps.queued_at, self.spec.queue_timeout_seconds),
            SessionStatus::Running => self.run.clock.reaches(self.time_limit()),
            SessionStatus::Degraded => {
                let grace = after(self.run.degraded_since, Some(self.spec.degraded_grace_seconds));
                [grace, self.run.clock.reaches(self.time_limit())].into_iter().flatten().min()
            }
            SessionStatus::Paused => after(self.stamps.paused_at, self.spec.pause_timeout_seconds),
            SessionStatus::Pending
            | SessionStatus::Completed
            | SessionStatus::PartiallyCompleted
            | SessionStatus::Failed
            | SessionStatus::Timeout
            | SessionStatus::Stopped
            | SessionStatus::Cancelled
            | SessionStatus::Orphaned => None,
        }
    }

    /// What is due at `now`.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        if self.deadline().is_none_or(|at| at > now) {
            return self.due_besides(now);
        }
        match self.status() {
            SessionStatus::Pending => Some(Due::Start),
            SessionStatus::Queued => Some(Due::QueueTimeout),
            SessionStatus::Paused => Some(Due::PauseTimeout),
            SessionStatus::Running => Some(Due::ExecutionTimeout),
            SessionStatus::Degraded if self.run.clock.at(now) >= self.time_limit() => {
                Some(Due::ExecutionTimeout)
            }
            SessionStatus::Degraded => Some(Due::GraceOver),
            SessionStatus::Completed
            | SessionStatus::PartiallyCompleted
            | SessionStatus::Failed
            | SessionStatus::Timeout
            | SessionStatus::Stopped
            | SessionStatus::Cancelled
            | SessionStatus::Orphaned => None,
        }
    }

    /// Longest time on the execution clock.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.spec.max_duration_seconds))
    }

    /// From creation to the end, once ended.
    #[must_use]
    pub fn total_ms(&self) -> Option<u64> {
        self.stamps.ended_at.map(|ended| millis(ended, self.stamps.created_at))
    }
}

fn told(cause: Cause<'_>) -> Value {
    json!({ "reason": cause.reason, "actor": cause.actor })
}

/// Seconds with millisecond precision.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a session stay far below 2^53")]
pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}
