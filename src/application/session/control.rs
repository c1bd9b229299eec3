//! The commands that people move sessions with.

use serde_json::Value;

use super::after::before;
use super::change::{By, Change};
use super::checkpoint::state_of;
use super::limits::{Bounds, bounds_in, to_open, to_queue};
use super::usage;
use super::{SessionService, refused};
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::attempt::SessionError;
use crate::domain::session::checkpoint::CheckpointTrigger;
use crate::domain::session::life::{Outcome, RetryRefused};
use crate::domain::session::metrics::RateSource;
use crate::domain::session::prompts::{NoRoom, check_room};
use crate::domain::session::status::{InvalidTransition, SessionStatus, Trigger};
use crate::domain::session::{Cause, PromptMode, QueuedPrompt, Session};
use crate::domain::tenant::quotas::Quotas;
use crate::domain::version::Versioned;

/// A session after a command, and whether the command's effect is there already.
pub struct Settled {
    /// The session as it stands.
    pub session: Versioned<Session>,
    /// `false` when the effect is still to come.
    pub settled: bool,
}

/// A failure that a person declares.
#[derive(Debug, Clone)]
pub struct DeclaredFailure {
    /// 1–1000 characters.
    pub message: String,
    /// Becomes the error's type; `operator_failure` when omitted.
    pub code: Option<String>,
    /// Further facts.
    pub context: Value,
    /// Whether an automatic retry may follow.
    pub retryable: bool,
}

impl SessionService {
    /// Asks for a pending session to run; takes a failed one back first.
    ///
    /// # Errors
    /// `Transition`, `NotRetryable`, `SessionNotFound`.
    pub async fn start(
        &self,
        ctx: &RequestContext,
        id: SessionId,
    ) -> Result<Versioned<Session>, AppError> {
        self.settle_family(ctx.tenant, id).await?;
        let by = By::Caller(ctx);
        let (bounds, met) = self.before_start(ctx.tenant, id).await?;
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            if change.session.status().after(Trigger::Retry).is_ok() {
                take_back(change, None, by.cause(now))?;
                change.guard(to_open(&bounds.quotas));
            }
            if change.session.status().after(Trigger::Start).is_ok() {
                usage::check(&change.session, &bounds.purse)?;
            }
            start_in_time(change, &met, &bounds.quotas, by.cause(now))
        };
        Ok(self.change(by, id, "start", None, decide).await?.0)
    }

    /// What bounds a session that is to be started, and which of those that it comes after have
    /// completed.
    async fn before_start(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<(Bounds, Vec<SessionId>), AppError> {
        let snapshot = self.snapshot(tenant).await?;
        let bounds = bounds_in(&*snapshot, self.clock.now()).await?;
        let met = match snapshot.session(id).await? {
            Some(session) => before(&*snapshot, &session.value).await?.met,
            None => Vec::new(),
        };
        Ok((bounds, met))
    }

    /// Takes a failed or timed-out session back and queues it at once.
    ///
    /// # Errors
    /// `Transition`, `NotRetryable`, `CheckpointNotFound`.
    pub async fn retry(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        from_checkpoint: Option<u64>,
    ) -> Result<Versioned<Session>, AppError> {
        if let Some(sequence) = from_checkpoint {
            self.checkpoint(ctx, id, sequence).await?;
        }
        self.settle_family(ctx.tenant, id).await?;
        let by = By::Caller(ctx);
        let (bounds, met) = self.before_start(ctx.tenant, id).await?;
        let decide = |change: &mut Change| {
            let cause = by.cause(self.clock.now());
            take_back(change, from_checkpoint, cause)?;
            usage::check(&change.session, &bounds.purse)?;
            change.guard(to_open(&bounds.quotas));
            start_in_time(change, &met, &bounds.quotas, cause)
        };
        Ok(self.change(by, id, "retry", None, decide).await?.0)
    }

    /// Asks for a pause at the end of the turn and waits a moment for it.
    ///
    /// # Errors
    /// `Transition`, `SessionNotFound`.
    pub async fn pause(&self, ctx: &RequestContext, id: SessionId) -> Result<Settled, AppError> {
        let asked = self.ask_to_pause(By::Caller(ctx), id).await?;
        self.settle(asked, |session| !session.status().is_executing()).await
    }

    /// Asks an executing session to pause at the end of its turn.
    ///
    /// # Errors
    /// `Transition`, `SessionNotFound`.
    pub(crate) async fn ask_to_pause(
        &self,
        by: By<'_>,
        id: SessionId,
    ) -> Result<Versioned<Session>, AppError> {
        let decide = |change: &mut Change| {
            let session = &mut change.session;
            session.status().after(Trigger::Pause).map_err(|no| refused(session, no))?;
            let now = self.clock.now();
            if session.run.pause_wanted.is_none() {
                session.run.pause_wanted = Some(now);
                change.updated(&["pause_requested"], now);
            }
            Ok(())
        };
        Ok(self.change(by, id, "pause", None, decide).await?.0)
    }

    /// Asks for a paused session to go on and waits a moment for it.
    ///
    /// # Errors
    /// `Transition`, `SessionNotFound`.
    pub async fn resume(&self, ctx: &RequestContext, id: SessionId) -> Result<Settled, AppError> {
        let bounds = self.bounds(ctx.tenant).await?;
        let decide = |change: &mut Change| {
            let session = &mut change.session;
            session.status().after(Trigger::Resume).map_err(|no| refused(session, no))?;
            usage::check(session, &bounds.purse)?;
            if !session.run.resume_wanted {
                session.run.resume_wanted = true;
                change.updated(&["resume_requested"], self.clock.now());
            }
            Ok(())
        };
        let (asked, ()) = self.change(By::Caller(ctx), id, "resume", None, decide).await?;
        self.settle(asked, |session| session.status() != SessionStatus::Paused).await
    }

    /// Ends a session that works or is paused; its work is saved first.
    ///
    /// # Errors
    /// `Transition`, `SessionNotFound`.
    pub async fn stop(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        reason: Option<&str>,
    ) -> Result<Versioned<Session>, AppError> {
        let by = By::Caller(ctx);
        let saved = self.save_before(by, id, Trigger::Stop).await?;
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let mut cause = by.cause(now);
            cause.reason = reason;
            apply(change, |session| session.stop(cause))?;
            if change.attempt.is_some() {
                let state = state_of(change, saved.clone());
                change.checkpoint(self.ids.uuid(), CheckpointTrigger::Stop, state, now);
            }
            Ok(())
        };
        Ok(self.change(by, id, "stop", reason, decide).await?.0)
    }

    /// Withdraws a session that waits or is paused.
    ///
    /// # Errors
    /// `Transition`, `SessionNotFound`.
    pub async fn cancel(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        reason: Option<&str>,
    ) -> Result<Versioned<Session>, AppError> {
        let by = By::Caller(ctx);
        let decide = |change: &mut Change| {
            let mut cause = by.cause(self.clock.now());
            cause.reason = reason;
            apply(change, |session| session.cancel(cause))
        };
        Ok(self.change(by, id, "cancel", reason, decide).await?.0)
    }

    /// Declares a running session complete.
    ///
    /// # Errors
    /// `Transition`, `SessionNotFound`.
    pub async fn complete(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        outcome: Outcome,
        reason: &str,
    ) -> Result<Versioned<Session>, AppError> {
        let by = By::Caller(ctx);
        let saved = self.save_before(by, id, Trigger::Complete).await?;
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let outcome = Outcome { source: Some(RateSource::Operator), ..outcome.clone() };
            apply(change, |session| session.complete(outcome, by.cause(now).because(reason)))?;
            let state = state_of(change, saved.clone());
            change.checkpoint(self.ids.uuid(), CheckpointTrigger::Stop, state, now);
            Ok(())
        };
        Ok(self.change(by, id, "complete", Some(reason), decide).await?.0)
    }

    /// Declares an open session failed.
    ///
    /// # Errors
    /// `Transition`, `SessionNotFound`.
    pub async fn fail(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        failure: DeclaredFailure,
    ) -> Result<Versioned<Session>, AppError> {
        let by = By::Caller(ctx);
        let saved = self.save_before(by, id, Trigger::Fail).await?;
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let error = SessionError {
                error_type: failure.code.clone().unwrap_or_else(|| "operator_failure".to_owned()),
                message: failure.message.clone(),
                context: failure.context.clone(),
                retryable: failure.retryable,
                occurred_at: now,
            };
            self.fail_with(change, error, saved.clone(), by)
        };
        Ok(self.change(by, id, "fail", Some(&failure.message), decide).await?.0)
    }

    /// Adds a prompt: the next turn, or instead of the current one.
    ///
    /// # Errors
    /// `Transition` when no agent works on it or will again, `QuotaExceeded` when too much waits
    /// already, `SessionNotFound`.
    pub async fn prompt(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        text: &str,
        mode: PromptMode,
    ) -> Result<Versioned<Session>, AppError> {
        let length = text.chars().count();
        if text.trim().is_empty() || length > 100_000 {
            let message = "must have 1 to 100,000 characters and not be blank";
            return Err(super::create::invalid("/text", "out_of_range", message));
        }
        let by = By::Caller(ctx);
        let uuid = self.ids.uuid();
        let decide = |change: &mut Change| {
            let prompt =
                QueuedPrompt { id: uuid, text: text.to_owned(), mode, at: self.clock.now() };
            let session = &mut change.session;
            check_room(&session.run.prompts, text)?;
            let event = session.inject(prompt, by.name()).map_err(|no| refused(session, no))?;
            change.tell([event]);
            Ok(())
        };
        Ok(self.change(by, id, "prompt", None, decide).await?.0)
    }

    /// Waits until the stored session satisfies `done`, or the time for that is over.
    async fn settle(
        &self,
        mut session: Versioned<Session>,
        done: impl Fn(&Session) -> bool + Send,
    ) -> Result<Settled, AppError> {
        let mut feed = self.store.feed();
        let deadline = self.clock.sleep(self.options.settle_timeout);
        tokio::pin!(deadline);
        loop {
            let (tenant, id) = (session.value.tenant_id, session.value.id);
            let now = self.snapshot(tenant).await?.session(id).await?;
            session = now.ok_or(AppError::SessionNotFound)?;
            if done(&session.value) {
                return Ok(Settled { session, settled: true });
            }
            let subject = id.uuid();
            loop {
                let news = tokio::select! {
                    biased;
                    () = &mut deadline => return Ok(Settled { session, settled: false }),
                    news = feed.recv() => news,
                };
                match news {
                    Ok(batch) if batch.iter().any(|event| event.event.subject.id == subject) => {
                        break;
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
    }
}

impl From<NoRoom> for AppError {
    fn from(NoRoom { bound, limit, used }: NoRoom) -> Self {
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        Self::QuotaExceeded { quota: bound, limit: count(limit), used: count(used) }
    }
}

/// Moves the session and tells of it.
pub(super) fn apply(
    change: &mut Change,
    verb: impl FnOnce(&mut Session) -> Result<Vec<crate::domain::event::DomainEvent>, InvalidTransition>,
) -> Result<(), AppError> {
    let events = verb(&mut change.session).map_err(|no| refused(&change.session, no))?;
    change.tell(events);
    Ok(())
}

/// Queues it; or notes that it is to be queued once its time has come and what it comes after has
/// completed.
fn start_in_time(
    change: &mut Change,
    met: &[SessionId],
    quotas: &Quotas,
    cause: Cause<'_>,
) -> Result<(), AppError> {
    let session = &mut change.session;
    session.meet(met);
    let early = session.spec.not_before.is_some_and(|time| time > cause.at);
    let waits = early || session.waits_for().next().is_some();
    if waits && session.status() == SessionStatus::Pending {
        // Asked again, it waits just the same.
        if !session.run.start_wanted {
            session.run.start_wanted = true;
            change.updated(&["start_requested"], cause.at);
        }
        return Ok(());
    }
    change.guard(to_queue(quotas));
    apply(change, |session| session.start(cause))
}

fn take_back(
    change: &mut Change,
    from_checkpoint: Option<u64>,
    cause: Cause<'_>,
) -> Result<(), AppError> {
    let events = change.session.retry(from_checkpoint, cause).map_err(|no| match no {
        RetryRefused::Transition(no) => refused(&change.session, no),
        not_retryable @ RetryRefused::NotRetryable { .. } => AppError::NotRetryable(not_retryable),
    })?;
    change.tell(events);
    Ok(())
}
