//! Sessions whose agent was removed or lost while it worked on them, or does not take them.
//!
//! Invariant: no work and no retry is lost by it: what is done is saved, and the session waits for
//! another agent as one that is to go on.

use serde_json::json;

use super::SessionService;
use super::change::{By, Change};
use super::checkpoint::state_of;
use super::control::apply;
use super::next::{begin_anew, begin_elsewhere};
use super::report::SUPERVISOR;
use crate::application::error::AppError;
use crate::domain::agent::Agent;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::session::attempt::{ErrorType, SessionError};
use crate::domain::session::checkpoint::CheckpointTrigger;
use crate::domain::session::status::{SessionStatus, Trigger};
use crate::domain::time::Timestamp;

/// Why a session leaves its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting<'a> {
    /// It was removed.
    Removed,
    /// No sign of life came from it any more.
    Lost,
    /// It has more than it can do, or is to go, and has not begun with it.
    Moved,
    /// It does not take the session, for this reason, and has not begun with it.
    Declined(&'a str),
}

impl Parting<'_> {
    /// For people.
    fn reason(self) -> String {
        match self {
            Self::Removed => "its agent was removed".to_owned(),
            Self::Lost => "its agent was lost".to_owned(),
            Self::Moved => "it moves to another agent".to_owned(),
            Self::Declined(reason) => format!("its agent did not take it: {reason}"),
        }
    }

    /// Whether the agent may have worked on it.
    const fn is_of_work(self) -> bool {
        matches!(self, Self::Removed | Self::Lost)
    }
}

impl SessionService {
    /// Fails a session that nobody works on and that only this agent was to work on, which was removed;
    /// nothing when it stands elsewhere by now or came later.
    ///
    /// # Errors
    /// The store's.
    pub async fn lose_pinned(
        &self,
        tenant: TenantId,
        id: SessionId,
        gone: &Agent,
    ) -> Result<(), AppError> {
        let by = By::Part(tenant, SUPERVISOR);
        let decide = |change: &mut Change| {
            let (now, session) = (self.clock.now(), &change.session);
            let waits = matches!(session.status(), SessionStatus::Pending | SessionStatus::Queued);
            if !waits || !is_pinned_to(session, gone) {
                return Ok(());
            }
            let message = format!("{}, which alone was to work on it, was removed", gone.name);
            let error = SessionError::of(ErrorType::AgentRemoved, &message, now);
            self.fail_with(change, error, None, by)
        };
        match self.change(by, id, "agent_removed", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a session away from an agent; `false` when that agent has nothing more to do for it. The
    /// conversation ends with the agent: the next one is told the task, and what people added to it.
    ///
    /// # Errors
    /// The store's.
    pub async fn leave_agent(
        &self,
        tenant: TenantId,
        id: SessionId,
        agent: AgentId,
        parting: Parting<'_>,
    ) -> Result<bool, AppError> {
        let by = By::Part(tenant, SUPERVISOR);
        let works = |session: &Session| {
            let lease = session.run.lease.as_ref();
            session.status().is_executing()
                && session.run.prompt.is_some()
                && lease.is_some_and(|lease| lease.agent_id == agent)
        };
        let found = self.snapshot(tenant).await?.session(id).await?;
        if !found.is_some_and(|found| works(&found.value)) {
            return Ok(false);
        }
        let limit = self.options.checkpoint_timeout;
        let saved = self.save_work(by, id, Trigger::Pause, limit).await?;
        let uuids = [self.ids.uuid(), self.ids.uuid(), self.ids.uuid()];
        let decide = |change: &mut Change| {
            if !works(&change.session) {
                return Ok(false);
            }
            let now = self.clock.now();
            for item in &mut change.items {
                item.expire(SUPERVISOR, now);
                item.agent_ref.clear();
                if item.kind.blocks() {
                    change.session.unblock(now);
                }
            }
            let state = state_of(change, saved.clone());
            change.checkpoint(uuids[0], CheckpointTrigger::Pause, state, now);
            if parting == Parting::Lost {
                let told = lease_expired(change, now);
                change.tell(told);
            }
            let session = &mut change.session;
            if parting.is_of_work() {
                let first = begin_elsewhere(&session.spec.initial_prompt, uuids[1], now);
                begin_anew(session, first, uuids[2]);
                session.run.falls_back = true;
            }
            if parting != Parting::Removed {
                session.run.avoid.push(agent);
            }
            (session.run.handle, session.run.message_ref) = (None, None);
            let (goes_on, reason) = (session.run.pause_wanted.is_none(), parting.reason());
            let cause = by.cause(now).because(&reason);
            apply(change, |session| session.pause(cause))?;
            change.session.run.resume_wanted = goes_on;
            Ok(true)
        };
        Ok(self.change(by, id, "leave", None, decide).await?.1)
    }
}

/// Tells that an agent has no right to a session any more.
fn lease_expired(change: &Change, now: Timestamp) -> Option<DomainEvent> {
    let lease = change.session.run.lease.as_ref()?;
    let subject = Subject { kind: SubjectKind::Agent, id: lease.agent_id.uuid() };
    let payload = json!({ "session_id": change.session.id, "fencing_token": lease.fencing_token });
    Some(DomainEvent::new(EventType::AgentLeaseExpired, subject, now, payload))
}

/// Whether only this agent was to work on a session, which it was given before the agent was removed: one of
/// a later time waits for another agent of that name.
#[must_use]
pub fn is_pinned_to(session: &Session, gone: &Agent) -> bool {
    let is_called = session.spec.agent.as_ref().is_some_and(|pin| gone.is_called(pin));
    is_called && gone.deleted_at.is_some_and(|at| session.stamps.created_at <= at)
}
