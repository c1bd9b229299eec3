//! When an agent is lost, or does not take its work: others get it.

use super::{Ended, Supervisor};
use crate::application::error::AppError;
use crate::application::ports::driver::DriverError;
use crate::application::session::leave::Parting;
use crate::domain::ids::AgentId;
use crate::domain::session::Session;
use crate::domain::session::attempt::{ErrorType, LeaseReason};

/// Times that an attempt moves to another agent because one was lost.
const MOST_FALLBACKS: usize = 2;

impl Supervisor {
    /// No sign of life came for so long that the lease is void. Another agent takes over when there is
    /// one; else this one may still come back, while the grace lasts.
    pub(super) async fn expired(&mut self) -> Result<Option<Ended>, AppError> {
        let Some((session, agent)) = self.held_by().await? else {
            return Ok(Some(Ended::Released));
        };
        if self.fallbacks(&session).await? >= MOST_FALLBACKS
            || !self.tools.agents.others_fit(&session, agent)
        {
            return Ok(None);
        }
        let line = "no sign of life came from the agent; another one takes over";
        self.outbox.log("warn", line, self.tools.clock.now());
        self.leave(&session, agent, Parting::Lost).await.map(Some)
    }

    /// The agent does not take the work, which goes to another one, or fails when there is none.
    pub(super) async fn declined(&mut self, reason: &str) -> Result<Ended, AppError> {
        let Some((session, agent)) = self.held_by().await? else { return Ok(Ended::Released) };
        if !self.tools.agents.others_fit(&session, agent) {
            let message =
                format!("the agent did not take the work ({reason}), and nobody else can");
            return self.fail(DriverError::new(ErrorType::DispatchFailed, message)).await;
        }
        let line = format!("the agent did not take the work: {reason}");
        self.outbox.log("info", &line, self.tools.clock.now());
        self.leave(&session, agent, Parting::Declined(reason)).await
    }

    async fn leave(
        &self,
        session: &Session,
        agent: AgentId,
        parting: Parting<'_>,
    ) -> Result<Ended, AppError> {
        let sessions = &self.tools.sessions;
        sessions.leave_agent(self.holder.tenant, session.id, agent, parting).await?;
        Ok(Ended::Released)
    }

    /// The session and its agent, while this supervisor's lease is the current one.
    async fn held_by(&self) -> Result<Option<(Session, AgentId)>, AppError> {
        let session = self.held_session().await?;
        Ok(session.and_then(|session| {
            let agent = session.run.lease.as_ref()?.agent_id;
            Some((session, agent))
        }))
    }

    async fn fallbacks(&self, session: &Session) -> Result<usize, AppError> {
        let snapshot = self.tools.sessions.readable(self.holder.tenant).await?;
        let attempt = snapshot.attempt(session.id, session.run.attempt).await?;
        let leases = attempt.map(|attempt| attempt.value.leases).unwrap_or_default();
        Ok(leases.iter().filter(|lease| lease.reason == LeaseReason::Fallback).count())
    }
}
