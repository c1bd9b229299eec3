//! What the scheduler, the deadlines and the start-up do to sessions.

use std::time::Duration;

use serde_json::json;

use super::SessionService;
use super::after::{Before, Waits, before};
use super::change::{By, Change};
use super::checkpoint::state_of;
use super::control::apply;
use super::limits::{bounds_in, to_queue};
use super::next::{begin, begin_anew, take_prompt};
use super::report::SUPERVISOR;
use super::usage;
use crate::application::error::AppError;
use crate::application::ports::changes::{Counter, CounterChange, Guard};
use crate::application::ports::store::CommitError;
use crate::domain::agent::Agent;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::attempt::{ErrorType, Lease, LeaseReason, SessionError};
use crate::domain::session::checkpoint::CheckpointTrigger;
use crate::domain::session::life::Due;
use crate::domain::session::status::{SessionStatus, Trigger};
use crate::domain::session::{DegradedReason, Session};

/// Longest wait for the work to be saved before a deadline takes effect, which it does within 5 s.
const DEADLINE_SAVE: Duration = Duration::from_secs(3);

impl SessionService {
    /// Gives a queued session, or a paused one that is to go on, to an agent; `None` when it no
    /// longer waits, or cannot begin just now. The grant is durable before anybody hears of it.
    ///
    /// # Errors
    /// The store's.
    pub async fn grant(
        &self,
        tenant: TenantId,
        id: SessionId,
        agent: &Agent,
    ) -> Result<Option<u64>, AppError> {
        // Its files are being worked on, or its last run is still being ended: later.
        let Some(_alone) = self.turns.alone_now(id) else { return Ok(None) };
        if self.wake.is_supervised(id) {
            return Ok(None);
        }
        let token = self.tokens.next(tenant).await?;
        let by = By::Part(tenant, "scheduler");
        let uuids = [self.ids.uuid(), self.ids.uuid(), self.ids.uuid()];
        let bounds = self.bounds(tenant).await?;
        let granted = self.change_counted(by, id, "grant", token, |change| {
            // A budget may have been lowered or spent, and the tenant switched off, since it was chosen.
            if usage::obstacle(&change.session, &bounds).is_some() {
                return Ok(false);
            }
            let now = self.clock.now();
            let (status, wanted) = (change.session.status(), change.session.run.resume_wanted);
            let reason = if status == SessionStatus::Queued {
                LeaseReason::Start
            } else if status == SessionStatus::Paused && wanted && change.session.run.falls_back {
                LeaseReason::Fallback
            } else if status == SessionStatus::Paused && wanted {
                LeaseReason::Resume
            } else {
                return Ok(false);
            };
            let lease = Lease {
                agent_id: agent.id,
                agent_name: agent.name.clone(),
                fencing_token: token,
                granted_at: now,
                released_at: None,
                settled: None,
                reason,
            };
            change.session.run.falls_back = false;
            if reason == LeaseReason::Start {
                change.session.run.avoid.clear();
                let from = resumed_from(&change.session);
                let first = begin(&change.session, uuids[0], now);
                begin_anew(&mut change.session, first, uuids[2]);
                apply(change, |session| session.dispatch(lease.clone(), from, by.cause(now)))?;
                change.begin_attempt(lease, from, now);
            } else {
                apply(change, |session| session.resume(lease, by.cause(now)))?;
                if change.session.run.prompt.is_none() {
                    change.session.run.prompt = take_prompt(&mut change.session);
                }
                if reason == LeaseReason::Fallback {
                    let fallback = DegradedReason::FallbackAgent;
                    apply(change, |session| session.degrade(fallback, by.cause(now)))?;
                }
            }
            let state = state_of(change, None);
            change.checkpoint(uuids[1], CheckpointTrigger::Start, state, now);
            let payload = json!({
                "session_id": id, "task_id": id, "attempt": change.session.run.attempt,
                "fencing_token": token,
            });
            let subject = Subject { kind: SubjectKind::Agent, id: agent.id.uuid() };
            let assigned = EventType::AgentTaskAssigned;
            change.tell([DomainEvent::new(assigned, subject, now, payload)]);
            change.guard(vec![Guard::AgentOpen(agent.id)]);
            Ok(true)
        });
        Ok(granted.await?.then_some(token))
    }

    /// `change`, with the fencing counter raised in the same commit.
    async fn change_counted(
        &self,
        by: By<'_>,
        id: SessionId,
        action: &str,
        token: u64,
        mut decide: impl FnMut(&mut Change) -> Result<bool, AppError> + Send,
    ) -> Result<bool, AppError> {
        for _ in 0..super::MAX_COMMIT_ATTEMPTS {
            let mut change = Change::read(&*self.snapshot(by.tenant()).await?, id).await?;
            if !decide(&mut change)? {
                return Ok(false);
            }
            let (mut set, _) = change.finish(by, action, None, self.clock.now());
            set.counters.push((Counter::FencingTokens, CounterChange::AtLeast(token)));
            match self.store.commit(set).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Stale) => {}
                // The agent was closed for anything new since it was chosen.
                Err(CommitError::Refused) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Does what a session's own deadline asks for, if it still does; what it waits for when it is to
    /// come after other sessions.
    ///
    /// # Errors
    /// The store's.
    pub async fn do_what_is_due(&self, tenant: TenantId, id: SessionId) -> Result<Waits, AppError> {
        let by = By::Part(tenant, SUPERVISOR);
        let trigger = Trigger::Expire;
        let limit = self.options.checkpoint_timeout.min(DEADLINE_SAVE);
        let snapshot = self.snapshot(tenant).await?;
        let Some(found) = snapshot.session(id).await? else { return Ok(Waits::default()) };
        let due = found.value.due(self.clock.now());
        let before = match due {
            Some(Due::Start) => before(&*snapshot, &found.value).await?,
            Some(_) | None => Before::default(),
        };
        if !before.unmet.is_empty() && before.met.is_empty() {
            return Ok(before.waits());
        }
        let bounds = bounds_in(&*snapshot, self.clock.now()).await?;
        drop(snapshot);
        let saved = match due {
            // Nothing ends: the work need not be saved.
            None | Some(Due::AtRisk | Due::Start | Due::Verify) => None,
            Some(_) => self.save_work(by, id, trigger, limit).await?,
        };
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let Some(due) = change.session.due(now) else { return Ok(()) };
            let (error_type, message) = match due {
                Due::Start => {
                    change.session.meet(&before.met);
                    if change.session.waits_for().next().is_some() {
                        return Ok(());
                    }
                    usage::check(&change.session, &bounds.purse)?;
                    change.guard(to_queue(&bounds.quotas));
                    return apply(change, |session| session.start(by.cause(now)));
                }
                // Gates take their time: whoever runs them looks for it, too.
                Due::Verify => return Ok(()),
                Due::AtRisk => {
                    let event = change.session.tell_at_risk(now);
                    change.tell([event]);
                    return Ok(());
                }
                Due::QueueTimeout => (ErrorType::QueueTimeout, "it waited too long for a slot"),
                Due::PauseTimeout => (ErrorType::PauseTimeout, "it was paused for too long"),
                Due::ExecutionTimeout => (ErrorType::ExecutionTimeout, "its time limit is over"),
                Due::GraceOver => {
                    let message = "its agent could not be reached for too long";
                    let error = SessionError::of(ErrorType::AgentLost, message, now);
                    return self.fail_with(change, error, saved.clone(), by);
                }
            };
            if due == Due::ExecutionTimeout {
                self.mark_failure(change, saved.clone());
            }
            let luck = self.ids.chance();
            apply(change, |session| session.expire(error_type, message, luck, by.cause(now)))
        };
        match self.change(by, id, "due", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(before.waits()),
            Err(error) => Err(error),
        }
    }

    /// After a restart: the session's stream is down until its run is taken up again.
    ///
    /// # Errors
    /// The store's.
    pub async fn disconnected(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<Option<u64>, AppError> {
        let by = By::Part(tenant, "recovery");
        let decide = |change: &mut Change| {
            let Some(lease) = &change.session.run.lease else { return Ok(None) };
            let token = lease.fencing_token;
            let cause = by.cause(self.clock.now());
            apply(change, |session| session.degrade(DegradedReason::StreamDisconnected, cause))?;
            Ok(Some(token))
        };
        Ok(self.change(by, id, "disconnected", None, decide).await?.1)
    }
}

/// The checkpoint that a new attempt goes on from: the named one, else the newest.
fn resumed_from(session: &Session) -> Option<u64> {
    let run = &session.run;
    run.resume_from.or((run.attempt > 0 && run.last_checkpoint > 0).then_some(run.last_checkpoint))
}
