//! How a run begins: its workspace, what was before, and the start at the agent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Supervisor;
use crate::application::error::AppError;
use crate::application::ports::driver::{
    AgentDriver, Assignment, Continuation, DriverError, Prompt, Running,
};
use crate::application::session::leave::Parting;
use crate::domain::agent::Agent;
use crate::domain::session::Session;
use crate::domain::session::attempt::ErrorType;
use crate::domain::workspace::{Workspace, WorkspaceKind};

/// After this an agent that took no further run is asked again.
const FULL_AGAIN: Duration = Duration::from_secs(1);

/// What became of a start.
pub(super) enum Begun {
    /// The agent works.
    Running(Running),
    /// The agent works on as many runs as it takes.
    Full(String),
    /// The lease ended first.
    Released,
    /// The agent cannot work.
    Failed(DriverError),
}

impl Supervisor {
    /// The workspace as this run must find it.
    pub(super) async fn workspace(&self, session: &Session) -> Result<Workspace, DriverError> {
        let failed = |error: &dyn std::fmt::Display| {
            DriverError::new(
                ErrorType::WorkspaceError,
                format!("the workspace is not usable: {error}"),
            )
        };
        let (id, spec) = (session.id, &session.spec.workspace);
        let from = session.run.workspace_ref.as_deref().filter(|_| session.run.workspace.is_none());
        let workspaces = &self.tools.workspaces;
        let made =
            workspaces.prepare(id, session.code, spec, from).await.map_err(|e| failed(&e))?;
        if let (Some(_), Some(commit)) = (session.run.resume_from, &session.run.workspace_ref) {
            workspaces.restore(id, &made, commit).await.map_err(|e| failed(&e))?;
        }
        if session.run.workspace.as_ref() != Some(&made) {
            let stored = self.tools.sessions.workspace_ready(self.holder, &made).await;
            stored.map_err(|e| failed(&e))?;
        }
        Ok(made)
    }

    /// Starts the run, unless the lease ends before it did.
    pub(super) async fn start(
        &mut self,
        session: &Session,
        workspace: &Workspace,
        prompt: Prompt,
    ) -> Result<Begun, AppError> {
        let Some((driver, agent)) = self.driver(session).await? else {
            return self.without_agent(session).await;
        };
        let model = agent.behavior.model_identifier.clone();
        let assignment = Assignment {
            tenant: self.holder.tenant,
            session: session.id,
            code: session.code.to_string(),
            title: session.spec.title.clone(),
            attempt: session.run.attempt,
            fencing_token: self.holder.fencing_token,
            agent,
            profile: session.spec.profile().map(str::to_owned),
            profile_options: profile_options(session),
            model: session.spec.model_identifier.clone().or(model),
            workdir: workspace.path.clone().into(),
            is_private: workspace.kind != WorkspaceKind::Directory,
            policy: session.spec.permission_policy.clone(),
            prompt,
            continuation: self.continuation(session).await?,
            brief: self.brief(session, workspace).await?,
            doorway: self
                .tools
                .door
                .as_ref()
                .map(|door| door.doorway(self.holder.tenant, session.id, session.run.attempt)),
        };
        let clock = Arc::clone(&self.tools.clock);
        let limit = self.tools.options.start_timeout;
        let mut time_is_up = clock.sleep(limit);
        loop {
            let mut starting = driver.start(assignment.clone());
            let started = loop {
                tokio::select! {
                    biased;
                    started = &mut starting => break started,
                    () = self.bell.rang() => {
                        if self.held_session().await?.is_none() {
                            return Ok(Begun::Released);
                        }
                    }
                    () = &mut time_is_up => {
                        let message =
                            format!("the agent did not start within {} s", limit.as_secs());
                        let error = DriverError::new(ErrorType::DispatchFailed, message);
                        return Ok(Begun::Failed(error));
                    }
                }
            };
            let full = match started {
                Ok(running) => return Ok(Begun::Running(running)),
                Err(error) if error.full => error.message,
                Err(error) => return Ok(Begun::Failed(error)),
            };
            // A run that is just ending makes room in a moment.
            tokio::select! {
                biased;
                () = clock.sleep(FULL_AGAIN) => {}
                () = self.bell.rang() => {}
                () = &mut time_is_up => return Ok(Begun::Full(full)),
            }
            if self.held_session().await?.is_none() {
                return Ok(Begun::Released);
            }
        }
    }

    /// The agent that was given the session, and who speaks to it.
    async fn driver(
        &self,
        session: &Session,
    ) -> Result<Option<(Arc<dyn AgentDriver>, Arc<Agent>)>, AppError> {
        let Some(lease) = &session.run.lease else { return Ok(None) };
        let snapshot = self.tools.sessions.readable(self.holder.tenant).await?;
        let Some(agent) = snapshot.agent(lease.agent_id).await? else { return Ok(None) };
        let agent = Arc::new(agent.value);
        Ok(self.tools.agents.driver(agent.kind).map(|driver| (driver, agent)))
    }

    /// A session whose agent was removed waits for another one.
    async fn without_agent(&self, session: &Session) -> Result<Begun, AppError> {
        let (tenant, sessions) = (self.holder.tenant, &self.tools.sessions);
        if let Some(lease) = &session.run.lease {
            let agent = lease.agent_id;
            let is_there = sessions.readable(tenant).await?.agent(agent).await?.is_some();
            if !is_there
                && sessions.leave_agent(tenant, session.id, agent, Parting::Removed).await?
            {
                return Ok(Begun::Released);
            }
        }
        let message = "this server has no driver for the agent any more";
        Ok(Begun::Failed(DriverError::new(ErrorType::AgentRemoved, message)))
    }

    /// How this run connects to what was before.
    async fn continuation(&self, session: &Session) -> Result<Continuation, AppError> {
        let run = &session.run;
        if let Some(sequence) = run.resume_from {
            let snapshot = self.tools.sessions.readable(self.holder.tenant).await?;
            let taken = snapshot.checkpoint(session.id, sequence).await?;
            let handle = taken.as_ref().and_then(|taken| taken.data.get("handle")).cloned();
            let handle = handle.filter(|handle| !handle.is_null()).or_else(|| run.handle.clone());
            let message_ref = taken.and_then(|taken| taken.agent_message_ref);
            return Ok(match handle {
                Some(handle) => Continuation::CutAfter { handle, message_ref },
                None => Continuation::Fresh,
            });
        }
        let copied =
            session.lineage.forked_from.is_some() && run.attempt == 1 && run.workspace.is_none();
        Ok(match run.handle.clone() {
            Some(handle) if copied => {
                Continuation::CutAfter { handle, message_ref: run.message_ref.clone() }
            }
            Some(handle) => Continuation::Same { handle },
            None => Continuation::Fresh,
        })
    }
}

/// Options of the profile in use, when it has any.
fn profile_options(session: &Session) -> Value {
    let name = session.spec.profile();
    name.and_then(|name| session.spec.agent_config.get(name)).cloned().unwrap_or(Value::Null)
}
