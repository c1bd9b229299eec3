//! When the agent holds its work for done: the gates run before the session ends.

use std::sync::Arc;

use super::{Ended, Supervisor};
use crate::application::error::AppError;
use crate::application::ports::driver::DriverError;
use crate::application::session::usage::Obstacle;
use crate::domain::session::attempt::ErrorType;
use crate::domain::session::{DegradedReason, Session};

impl Supervisor {
    /// Runs the gates until they have spoken, the lease ends, or somebody wants something else.
    pub(super) async fn judge(&mut self) -> Result<Ended, AppError> {
        let tools = Arc::clone(&self.tools);
        let recovered = DegradedReason::StreamDisconnected;
        tools.sessions.capacity(self.holder, recovered, false).await?;
        self.outbox.log("info", "the agent is done; the gates run", tools.clock.now());
        self.outbox.flush().await;
        let saved = self.save("gates").await;
        let Some(session) = self.held_session().await? else { return Ok(Ended::Released) };
        if self.is_interrupted(&session).await? {
            return Self::released(tools.sessions.leave_gates(self.holder).await);
        }
        let commit = saved.or_else(|| session.run.workspace_ref.clone());
        let mut judging = Box::pin(tools.judge.judge(&session, commit.as_deref(), None));
        let judged = loop {
            tokio::select! {
                biased;
                judged = &mut judging => break judged,
                () = self.bell.rang() => match self.held_session().await? {
                    None => return Ok(Ended::Released),
                    Some(session) if self.is_interrupted(&session).await? => {
                        return Self::released(tools.sessions.leave_gates(self.holder).await);
                    }
                    Some(_) => {}
                },
            }
        };
        drop(judging);
        match judged {
            Ok(Some(verification)) => {
                Self::released(tools.sessions.judged(self.holder, &verification).await)
            }
            Ok(None) => Ok(Ended::Released),
            Err(error) => {
                let message = format!("the gates could not be run: {error}");
                self.fail(DriverError::new(ErrorType::WorkspaceError, message)).await
            }
        }
    }

    /// Whether somebody wants a pause, has more to say to the agent, or switched the tenant off.
    async fn is_interrupted(&self, session: &Session) -> Result<bool, AppError> {
        let obstacle = self.tools.sessions.obstacle(session).await?;
        Ok(session.run.pause_wanted.is_some()
            || !session.run.prompts.is_empty()
            || obstacle == Some(Obstacle::TenantInactive))
    }
}
