//! External agents that are called: their work is brought to them, and they are asked how they are.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::desk::{Held, Offer};
use super::driver::Run;
use super::line_of;
use super::tokens::DispatchTokens;
use super::work::{deliver_result, digest_of, kept};
use crate::application::error::AppError;
use crate::application::ports::artifacts::ArtifactFiles;
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::{AgentEvent, DriverError};
use crate::application::ports::push::{Brought, Line, Parcel, PushAgents};
use crate::application::ports::store::Store;
use crate::domain::agent::Agent;
use crate::domain::eap::result::TaskResult;
use crate::domain::field::FieldError;
use crate::domain::ids::TenantId;
use crate::domain::session::attempt::{Attempt, ErrorType};
use crate::domain::usage::Usage;

/// Tries to bring one assignment.
const TRIES: u32 = 3;
/// Before the second try; each further one is waited for twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Calls external agents.
pub(super) struct Caller {
    pub(super) store: Arc<dyn Store>,
    pub(super) agents: Arc<dyn PushAgents>,
    pub(super) tokens: DispatchTokens,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) files: Arc<dyn ArtifactFiles>,
    /// How long a lease is.
    pub(super) lease: Duration,
}

impl Caller {
    /// How an agent is called; `None` for one that fetches its work.
    pub(super) async fn line(&self, agent: &Agent) -> Result<Option<Line>, AppError> {
        let Some(url) = line_of(agent) else { return Ok(None) };
        let tokens = self.tokens.of(agent.tenant_id, agent.id, self.clock.now()).await?;
        Ok(tokens.map(|(token, before)| Line { url: url.to_owned(), token, before }))
    }

    /// What the holder of a piece of work has told that it used by this right.
    pub(super) async fn used(&self, tenant: TenantId, held: &Held) -> Result<Usage, AppError> {
        let Offer { session, attempt, fencing_token, .. } = *held.offer;
        let attempt = self.store.snapshot(tenant).await?.attempt(session, attempt).await?;
        let attempt = attempt.map(|found| found.value);
        let is_newest = |attempt: &Attempt| {
            attempt.leases.last().is_some_and(|lease| lease.fencing_token == fencing_token)
        };
        let attempt = attempt.filter(is_newest);
        Ok(attempt.map(|attempt| attempt.usage.since(&attempt.used_before)).unwrap_or_default())
    }

    /// Brings a run's work to its agent, and takes what comes back.
    pub(super) async fn bring(&self, run: &Arc<Run>, limit: Duration) {
        let agent = run.agent.id;
        let handing = run.desk.begin_to_hand(agent, Some(run.session));
        if let Some(handing) = handing
            && handing.hand_over().await.is_none()
        {
            return;
        }
        let Some(held) = run.desk.held(agent, run.session, run.fencing_token) else { return };
        let line = match self.line(&run.agent).await {
            Ok(Some(line)) => line,
            Ok(None) => return run.tell(AgentEvent::Declined("it has no token".to_owned())).await,
            Err(error) => {
                let why = format!("it could not be called: {error}");
                return run.tell(AgentEvent::Declined(why)).await;
            }
        };
        let mut document = held.offer.document.clone();
        let end = self.clock.now().after(self.lease);
        document.insert("lease_expires_at".to_owned(), json!(end));
        let parcel = Parcel {
            idempotency_key: format!("{}:{}", run.session, run.fencing_token),
            body: Value::Object(document).to_string().into_bytes(),
            limit: limit.max(FIRST_WAIT),
        };
        let sent = match self.brought(&line, &parcel).await {
            Brought::Accepted => return run.desk.accept(agent, run.session, run.fencing_token),
            Brought::Result(sent) => sent,
            Brought::Refused(why) => {
                run.desk.end_for_agent(agent, run.session, run.fencing_token);
                return run.tell(AgentEvent::Declined(why)).await;
            }
            Brought::Lost(why) => {
                // Nobody can know whether it works on it: its right is void all the same.
                if run.desk.end_for_agent(agent, run.session, run.fencing_token) {
                    run.cancel("it goes to another agent");
                }
                return run.tell(AgentEvent::Declined(why)).await;
            }
            Brought::Unreadable(why) => return run.tell(failed(&why)).await,
        };
        match TaskResult::read(&sent) {
            Ok(result) if result.task_id != run.session.to_string() => {
                let why = format!("it answered with the result of {}", result.task_id);
                run.tell(failed(&why)).await;
            }
            Ok(result) if result.fencing_token.is_some_and(|token| token != run.fencing_token) => {
                run.tell(failed("it answered with the result of an earlier lease")).await;
            }
            Ok(result) => {
                let kept =
                    kept(&self.files, (run.agent.tenant_id, &held), &result, self.clock.now());
                match kept.await {
                    Ok(artifacts) => match self.used(run.agent.tenant_id, &held).await {
                        Ok(used) => {
                            let brought = (artifacts, digest_of(&sent), used);
                            deliver_result(&run.desk, &held, result, brought).await;
                        }
                        Err(error) => {
                            let why = format!("what was used could not be read: {error}");
                            let error = DriverError::new(ErrorType::Internal, why);
                            run.tell(AgentEvent::Failed(error)).await;
                        }
                    },
                    Err(AppError::Invalid(errors)) => run.tell(failed(&told(&errors))).await,
                    Err(error) => {
                        let why = format!("its files could not be kept: {error}");
                        let error = DriverError::new(ErrorType::Internal, why);
                        run.tell(AgentEvent::Failed(error)).await;
                    }
                }
            }
            Err(errors) => run.tell(failed(&told(&errors))).await,
        }
    }

    /// Tries until something is known.
    async fn brought(&self, line: &Line, parcel: &Parcel) -> Brought {
        let mut wait = FIRST_WAIT;
        let mut tries = 1;
        loop {
            match self.agents.bring(line, parcel).await {
                Brought::Lost(_) if tries < TRIES => {}
                Brought::Lost(why) => return Brought::Lost(format!("{why} ({TRIES} tries)")),
                known @ (Brought::Result(_)
                | Brought::Accepted
                | Brought::Refused(_)
                | Brought::Unreadable(_)) => return known,
            }
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            tries += 1;
        }
    }

    /// Tells an agent to end its work on a run.
    pub(super) async fn cancel(&self, run: &Run, reason: &str) {
        let Ok(Some(line)) = self.line(&run.agent).await else { return };
        let body = json!({ "fencing_token": run.fencing_token, "reason": reason });
        let body = body.to_string().into_bytes();
        let told = self.agents.cancel(&line, &run.session.to_string(), body).await;
        if let Err(error) = told {
            tracing::info!(session.id = %run.session, error, "{} was not told to end", run.agent.name);
        }
    }
}

fn failed(why: &str) -> AgentEvent {
    let message = format!("the agent broke its protocol: {why}");
    AgentEvent::Failed(DriverError::new(ErrorType::AgentProtocolError, message))
}

/// Everything that is wrong with a result, in one line.
fn told(errors: &[FieldError]) -> String {
    let rules: Vec<String> =
        errors.iter().take(5).map(|error| format!("{} {}", error.pointer, error.message)).collect();
    format!("its result is not readable: {}", rules.join("; "))
}
