//! What external agents do with their work: they fetch it, tell of it, bring its result, or give it back.
//!
//! Invariant: a report counts only from the agent that holds the work, by its current right. Anything else
//! is refused, kept as a count, and changes nothing. A result is acknowledged once it is durable, and the
//! same one again gets the same answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::ExternalService;
use super::desk::{Desk, Held};
use crate::application::error::AppError;
use crate::application::ports::artifacts::{ArtifactError, ArtifactFiles, Kept};
use crate::application::ports::driver::{AgentEvent, Ask, Told, TurnEnd};
use crate::application::session::report::Holder;
use crate::domain::attention::{AttentionKind, Risk};
use crate::domain::canonical::{canonical, sha256, sha256_hex};
use crate::domain::eap::notice::Notice;
use crate::domain::eap::result::{ResultStatus, TaskResult};
use crate::domain::eap::said::{Report, Said};
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::money::Usd;
use crate::domain::session::artifact::Artifact;
use crate::domain::session::attempt::Lease;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;

/// A run whose supervisor is just starting is waited for this long.
const STARTING: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(100);
/// A result that is not durable by then is brought again.
const SETTLING: Duration = Duration::from_secs(20);
/// Characters of a question that stand in its title.
const TITLE: usize = 120;

/// An external agent that was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub agent: AgentId,
}

/// What an agent is given when it asks for something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// A piece of work.
    Work(Map<String, Value>),
    /// Something to know.
    Notice(Map<String, Value>),
}

/// What an agent is told when it told something.
#[derive(Debug, Clone, PartialEq)]
pub struct Heeded {
    /// It is to end soon.
    pub cancel_requested: bool,
    /// Until then nobody else is given its work.
    pub lease_expires_at: Timestamp,
    /// What else it is to know.
    pub notices: Vec<Map<String, Value>>,
}

impl ExternalService {
    /// The next piece of work of an agent, waited for so long.
    ///
    /// # Errors
    /// The store's.
    pub async fn next(
        &self,
        who: Known,
        wait: Duration,
        takes_notices: bool,
    ) -> Result<Option<Next>, AppError> {
        let until = self.clock.now().after(wait);
        let bell = self.desk.bell(who.agent);
        loop {
            while let Some(handing) = self.desk.begin_to_hand(who.agent, None) {
                if let Some(offer) = handing.hand_over().await {
                    let mut document = offer.document.clone();
                    document.insert("lease_expires_at".to_owned(), json!(self.lease_end()));
                    return Ok(Some(Next::Work(document)));
                }
            }
            if takes_notices && let Some(notice) = self.desk.notice(who.agent) {
                return Ok(Some(Next::Notice(notice.document())));
            }
            let left = until.since(self.clock.now());
            if left.is_zero() || self.stop.is_cancelled() {
                return Ok(None);
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(None),
                () = bell.rang() => {}
                () = self.clock.sleep(left) => {}
            }
        }
    }

    fn lease_end(&self) -> Timestamp {
        self.clock.now().after(self.rules.lease)
    }

    /// What an agent says while it works; it is durable when this returns.
    ///
    /// # Errors
    /// `StaleResult`; `Contended` when it could not be made durable in time.
    pub async fn report(
        &self,
        who: Known,
        session: SessionId,
        report: &Report,
    ) -> Result<Heeded, AppError> {
        let held = self.held(who, session, report.fencing_token).await?;
        for said in &report.events {
            let Some(event) = self.event_of(&held, said) else { continue };
            if held.events.send(event).await.is_err() {
                return Err(self.stale(who, session, report.fencing_token).await?);
            }
        }
        let (kept, keeping) = oneshot::channel();
        let asked = held.events.send(AgentEvent::Keep { kept }).await;
        let is_kept = tokio::select! {
            biased;
            kept = keeping => kept.is_ok(),
            () = held.over.cancelled() => false,
            () = self.stop.cancelled() => return Err(AppError::ShuttingDown),
            () = self.clock.sleep(SETTLING) => false,
        };
        if asked.is_err() || (!is_kept && held.over.is_cancelled()) {
            return Err(self.stale(who, session, report.fencing_token).await?);
        }
        if !is_kept {
            return Err(AppError::Contended);
        }
        let found = self.store.snapshot(who.tenant).await?.session(session).await?;
        let is_to_end = found.is_some_and(|found| found.value.run.pause_wanted.is_some());
        let notices = self.desk.notices(who.agent);
        Ok(Heeded {
            cancel_requested: is_to_end,
            lease_expires_at: self.lease_end(),
            notices: notices.iter().map(Notice::document).collect(),
        })
    }

    /// What its supervisor is told; nothing when it says nothing that is kept.
    fn event_of(&self, held: &Held, said: &Said) -> Option<AgentEvent> {
        Some(match said {
            Said::Progress { percentage, message } => {
                let message = message.as_deref().map(|text| format!(": {text}"));
                let message = format!("{percentage:.0} %{}", message.unwrap_or_default());
                AgentEvent::Log { level: "info", message }
            }
            Said::Log { level, message } => {
                AgentEvent::Log { level: level.as_str(), message: message.clone() }
            }
            Said::Phase(phase) => AgentEvent::Phase(*phase),
            Said::Usage { usage, model, key } => {
                let own = || self.ids.uuid().to_string();
                let key =
                    format!("{}:{}", held.offer.fencing_token, key.clone().unwrap_or_else(own));
                AgentEvent::Usage { key, usage: *usage, model: model.clone() }
            }
            Said::Question(text) => {
                let fingerprint = sha256_hex(text.as_bytes());
                AgentEvent::Ask(Ask {
                    agent_ref: format!("question:{fingerprint}"),
                    kind: AttentionKind::Question,
                    tool: String::new(),
                    patterns: Vec::new(),
                    title: text.lines().next().unwrap_or_default().chars().take(TITLE).collect(),
                    payload: json!({ "question": text }),
                    fingerprint,
                    risk: Risk::Low,
                })
            }
            Said::TurnEnd { message_ref } => {
                let message_ref = message_ref.clone().filter(|name| !name.is_empty())?;
                AgentEvent::Step { message_ref }
            }
        })
    }

    /// Takes a result; where the session stands because of it.
    ///
    /// # Errors
    /// `StaleResult`; `Contended` when it could not be made durable in time.
    pub async fn result(
        &self,
        who: Known,
        session: SessionId,
        result: TaskResult,
        digest: [u8; 32],
    ) -> Result<SessionStatus, AppError> {
        let Some(fencing_token) = result.fencing_token else { return Err(AppError::StaleResult) };
        if result.task_id != session.to_string() {
            return Err(self.stale(who, session, fencing_token).await?);
        }
        if self.desk.held(who.agent, session, fencing_token).is_none()
            && let Some(status) = self.settled(who, session, fencing_token, digest).await?
        {
            return Ok(status);
        }
        let held = self.held(who, session, fencing_token).await?;
        let now = self.clock.now();
        let artifacts = kept(&self.caller.files, (who.tenant, &held), &result, now).await?;
        let used = self.caller.used(who.tenant, &held).await?;
        deliver_result(&self.desk, &held, result, (artifacts, digest, used)).await;
        tokio::select! {
            biased;
            () = held.over.cancelled() => {}
            () = self.clock.sleep(SETTLING) => {}
            () = self.stop.cancelled() => return Err(AppError::ShuttingDown),
        }
        match self.settled(who, session, fencing_token, digest).await? {
            Some(status) => Ok(status),
            None if held.over.is_cancelled() => {
                // Somebody ended the run first.
                Err(self.stale(who, session, fencing_token).await?)
            }
            None => Err(AppError::Contended),
        }
    }

    /// Where a session stands whose lease ended with exactly this result.
    async fn settled(
        &self,
        who: Known,
        session: SessionId,
        fencing_token: u64,
        digest: [u8; 32],
    ) -> Result<Option<SessionStatus>, AppError> {
        let snapshot = self.store.snapshot(who.tenant).await?;
        let attempts = snapshot.attempts(session).await?;
        let is_it = |lease: &Lease| {
            lease.fencing_token == fencing_token
                && lease.agent_id == who.agent
                && lease.settled == Some(digest)
        };
        let attempt = attempts.iter().find(|attempt| attempt.value.leases.iter().any(is_it));
        let Some(attempt) = attempt else { return Ok(None) };
        let ended_as = attempt.value.outcome.as_deref().and_then(SessionStatus::parse);
        if ended_as.is_some() {
            return Ok(ended_as);
        }
        let found = snapshot.session(session).await?;
        Ok(found.map(|found| found.value.status()))
    }

    /// An agent gives work back that it does not want.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn give_back(
        &self,
        who: Known,
        session: SessionId,
        fencing_token: u64,
        reason: &str,
    ) -> Result<(), AppError> {
        let held = self.held(who, session, fencing_token).await?;
        self.desk.end_for_agent(who.agent, session, fencing_token);
        held.events.send(AgentEvent::Declined(reason.to_owned())).await.ok();
        tokio::select! {
            biased;
            () = held.over.cancelled() => Ok(()),
            () = self.clock.sleep(SETTLING) => Err(AppError::Contended),
            () = self.stop.cancelled() => Err(AppError::ShuttingDown),
        }
    }

    /// The work that an agent holds by this right. A run that is just being taken up after a restart is
    /// waited for.
    async fn held(
        &self,
        who: Known,
        session: SessionId,
        fencing_token: u64,
    ) -> Result<Held, AppError> {
        let until = self.clock.now().after(STARTING);
        loop {
            if let Some(held) = self.desk.held(who.agent, session, fencing_token) {
                return Ok(held);
            }
            let found = self.store.snapshot(who.tenant).await?.session(session).await?;
            let lease = found.and_then(|found| found.value.run.lease);
            let is_it =
                |lease: &Lease| lease.fencing_token == fencing_token && lease.agent_id == who.agent;
            if !lease.as_ref().is_some_and(is_it) {
                return Err(self.stale(who, session, fencing_token).await?);
            }
            if self.stop.is_cancelled() {
                return Err(AppError::ShuttingDown);
            }
            if self.clock.now() >= until {
                return Err(AppError::Contended);
            }
            self.clock.sleep(LOOK).await;
        }
    }

    /// The refusal of a report that comes too late; it is kept when the agent ever had a right to the work.
    async fn stale(
        &self,
        who: Known,
        session: SessionId,
        fencing_token: u64,
    ) -> Result<AppError, AppError> {
        let attempts = self.store.snapshot(who.tenant).await?.attempts(session).await?;
        let mut leases = attempts.iter().flat_map(|attempt| &attempt.value.leases);
        let had =
            leases.any(|lease| lease.fencing_token == fencing_token && lease.agent_id == who.agent);
        if had {
            let holder = Holder { tenant: who.tenant, session, fencing_token };
            self.sessions.reject_stale(holder).await?;
        }
        Ok(AppError::StaleResult)
    }
}

/// What a result is recognised by when it comes again.
#[must_use]
pub fn digest_of(sent: &Map<String, Value>) -> [u8; 32] {
    sha256(canonical(&Value::Object(sent.clone())).as_bytes())
}

/// Keeps the files of a result.
///
/// # Errors
/// `Invalid` for one that is not spelled as it says.
pub(super) async fn kept(
    files: &Arc<dyn ArtifactFiles>,
    (tenant, held): (TenantId, &Held),
    result: &TaskResult,
    at: Timestamp,
) -> Result<Vec<Artifact>, AppError> {
    let attempt = held.offer.attempt;
    let mut all = Vec::with_capacity(result.artifacts.len());
    for (index, sent) in result.artifacts.iter().enumerate() {
        let of = (tenant, held.offer.session);
        let kept =
            files.keep(of, &sent.content, sent.encoding).await.map_err(|error| match error {
                ArtifactError::Misspelled | ArtifactError::Gone => {
                    let pointer = format!("/artifacts/{index}/content");
                    let message = error.to_string();
                    AppError::Invalid(vec![FieldError { pointer, code: "invalid", message }])
                }
                error @ ArtifactError::Failed(_) => AppError::StoreReadOnly(error.to_string()),
            })?;
        let (path, mime_type) = (sent.path.clone(), sent.mime_type.clone());
        let Kept { sha256, size } = kept;
        all.push(Artifact { path, sha256, size, mime_type, attempt, at });
    }
    Ok(all)
}

/// Tells the supervisor of a run what its agent brought.
pub(super) async fn deliver_result(
    desk: &Desk,
    held: &Held,
    result: TaskResult,
    (artifacts, digest, used): (Vec<Artifact>, [u8; 32], Usage),
) {
    let (agent, session) = (held.offer.agent, held.offer.session);
    desk.end_for_agent(agent, session, held.offer.fencing_token);
    let mut events = Vec::new();
    // A result tells sums, and some of it may have been told before.
    let tokens = result.tokens_used.saturating_sub(used.tokens_total());
    let cost = result.cost.micros() - used.cost_usd.unwrap_or(Usd::ZERO).micros();
    if tokens > 0 || cost > 0 {
        let usage = Usage {
            tokens_output: tokens,
            cost_usd: (result.cost > Usd::ZERO).then(|| Usd::from_micros(cost.max(0))),
            reported: true,
            ..Usage::default()
        };
        let key = format!("{}:result", held.offer.fencing_token);
        events.push(AgentEvent::Usage { key, usage, model: None });
    }
    let output = result.output_data.map_or(Value::Null, Value::Object);
    let words = ["text", "summary", "message"].iter().find_map(|name| output.get(name)?.as_str());
    let text = words.or(result.error_message.as_deref()).unwrap_or_default().to_owned();
    let failure = (result.status == ResultStatus::Failed).then(|| {
        let said = result.error_message.filter(|message| !message.trim().is_empty());
        (said.unwrap_or_else(|| "the agent says that it failed".to_owned()), result.retryable)
    });
    events.push(AgentEvent::Outcome(Box::new(Told {
        output,
        is_partial: result.partial,
        failure,
        success_rate: result.success_rate,
        quality_score: result.quality_score,
        artifacts,
        digest,
    })));
    let (prompt, end) = (held.offer.prompt, TurnEnd::Done);
    events.push(AgentEvent::TurnEnded { prompt, message_ref: None, text, end });
    for event in events {
        if held.events.send(event).await.is_err() {
            return;
        }
    }
}
