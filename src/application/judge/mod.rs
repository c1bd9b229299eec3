//! Judging work by the gates of its session: in a clean checkout of the exact commit, one judgement
//! of a session at a time.
//!
//! Invariant: nothing of a judgement is stored before its end: one that is cut off by a stop, a
//! deadline or the end of the server has happened in no way, and is made again where it is owed.

use std::sync::Arc;

use serde_json::json;

use super::error::AppError;
use super::ports::clock::Clock;
use super::ports::gates::{GateRun, Gates};
use super::ports::journal::{Journal, NewEntry, Stream};
use super::ports::workspaces::Workspaces;
use super::principal::RequestContext;
use super::session::SessionService;
use super::session::alone::Turns;
use super::session::change::{By, Change};
use super::session::checkpoint::not_now;
use super::session::expect_version;
use super::session::report::SUPERVISOR;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::session::gates::Verification;
use crate::domain::session::status::{SessionStatus, Trigger};
use crate::domain::version::Versioned;

/// Runs gates and keeps what they said.
#[derive(Clone)]
pub struct JudgeService {
    sessions: SessionService,
    workspaces: Arc<dyn Workspaces>,
    gates: Arc<dyn Gates>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    /// What the journal of a session may hold; 0 sets no bound.
    journal_bytes: u64,
    turns: Turns,
}

impl JudgeService {
    /// Judgements over these ports; what gates print is kept while the journal of the session holds
    /// fewer bytes than this, 0 sets no bound.
    #[must_use]
    pub fn new(
        sessions: SessionService,
        workspaces: Arc<dyn Workspaces>,
        gates: Arc<dyn Gates>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        journal_bytes: u64,
    ) -> Self {
        let turns = Turns::default();
        Self { sessions, workspaces, gates, journal, clock, journal_bytes, turns }
    }

    /// What the gates of a session say of a commit, or of its directory as it is; `None` when the
    /// files are those of `known`, which then still holds. Dropping the future ends the gates.
    ///
    /// # Errors
    /// `Workspace` when there is nothing to judge.
    pub async fn judge(
        &self,
        session: &Session,
        commit: Option<&str>,
        known: Option<&Verification>,
    ) -> Result<Option<Verification>, AppError> {
        let _one_at_a_time = self.turns.alone(session.id).await;
        let Some(workspace) = &session.run.workspace else {
            return Err(not_now(
                session,
                "it has not begun to work, so that there is nothing to verify",
            ));
        };
        let made = self.workspaces.check_out(session.id, workspace, commit).await?;
        let is_known = known
            .is_some_and(|known| known.tree_hash.is_some() && known.tree_hash == made.tree_hash);
        let mut reports = Vec::with_capacity(session.spec.gates.len());
        for gate in session.spec.gates.iter().filter(|_| !is_known) {
            let run = self.gates.run(gate, &made.folder).await;
            self.note(session, &run).await;
            reports.push(run.report);
        }
        // What cannot be removed now is removed with the workspace, or before the next judgement.
        if let Err(error) = self.workspaces.give_back(session.id, workspace).await {
            tracing::warn!(session.id = %session.id, %error, "A checkout of session {} could not be removed", session.id);
        }
        let now = self.clock.now();
        let verification = Verification::of(reports, made.commit, made.tree_hash, now);
        Ok((!is_known).then_some(verification))
    }

    /// Runs the gates of a session because somebody asks; the same files are judged once, unless
    /// `force` asks for it again.
    ///
    /// # Errors
    /// `NotNow` when there is nothing to run or to run it on, `Workspace`.
    pub async fn verify(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        force: bool,
    ) -> Result<Versioned<Session>, AppError> {
        self.verify_as(By::Caller(ctx), id, force).await
    }

    async fn verify_as(
        &self,
        by: By<'_>,
        id: SessionId,
        force: bool,
    ) -> Result<Versioned<Session>, AppError> {
        // Neither is the folder put away meanwhile, nor is the session given to an agent.
        let _alone = self.sessions.turns.alone(id).await;
        let change = Change::read(&*self.sessions.snapshot(by.tenant()).await?, id).await?;
        if let By::Caller(ctx) = by {
            expect_version(ctx.if_match, &change)?;
        }
        may_verify(&change.session)?;
        let saved = self.sessions.save_before(by, id, Trigger::Pause).await?;
        let session = change.session;
        let commit = saved.or_else(|| session.run.workspace_ref.clone());
        let known = session.run.verification.as_ref().filter(|_| !force);
        let judged = self.judge(&session, commit.as_deref(), known).await?;
        let decide = |change: &mut Change| {
            change.session.run.verify_wanted = None;
            if let Some(verification) = &judged {
                let event = change.session.verified(verification.clone(), self.clock.now());
                change.tell([event]);
            }
            Ok(())
        };
        // What was found is told, whatever changed meanwhile.
        let own;
        let by = match by {
            By::Caller(ctx) => {
                own = RequestContext { if_match: None, ..ctx.clone() };
                By::Caller(&own)
            }
            By::Part(..) => by,
        };
        Ok(self.sessions.change(by, id, "verify", None, decide).await?.0)
    }

    /// Promises what the gates say to somebody who does not wait for it: it is stored, so that a
    /// server that is killed meanwhile leaves it to the next.
    ///
    /// # Errors
    /// The store's, `SessionNotFound`.
    pub async fn promise(
        &self,
        ctx: &RequestContext,
        id: SessionId,
    ) -> Result<Versioned<Session>, AppError> {
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            // Whoever is done meanwhile has told it already.
            let is_under_way = self.turns.is_taken(id) || self.sessions.turns.is_taken(id);
            if is_under_way && change.session.run.verify_wanted.is_none() {
                change.session.run.verify_wanted = Some(now);
                change.updated(&["verify_requested"], now);
            }
            Ok(())
        };
        // The answer to remember is that of the end.
        let ctx = RequestContext { if_match: None, repeat: None, ..ctx.clone() };
        Ok(self.sessions.change(By::Caller(&ctx), id, "verify", None, decide).await?.0)
    }

    /// Whether somebody waits for what the gates of a session say, and nobody is at it.
    ///
    /// # Errors
    /// The store's.
    pub async fn owes(&self, tenant: TenantId, id: SessionId) -> Result<bool, AppError> {
        let found = self.sessions.snapshot(tenant).await?.session(id).await?;
        let wanted = found.is_some_and(|found| found.value.run.verify_wanted.is_some());
        Ok(wanted && !self.turns.is_taken(id) && !self.sessions.turns.is_taken(id))
    }

    /// Runs the gates for whoever was promised it. What cannot be run is given up, and told in the
    /// log.
    pub async fn keep_promise(&self, tenant: TenantId, id: SessionId) {
        let by = By::Part(tenant, SUPERVISOR);
        let Err(error) = self.verify_as(by, id, true).await else { return };
        tracing::warn!(session.id = %id, %error, "The gates of session {id} could not be run");
        let decide = |change: &mut Change| {
            if change.session.run.verify_wanted.take().is_some() {
                change.updated(&["verify_requested"], self.clock.now());
            }
            Ok(())
        };
        if let Err(error) = self.sessions.change(by, id, "verify", None, decide).await {
            tracing::warn!(session.id = %id, %error, "Session {id} still waits for its gates");
        }
    }

    /// The end of what a gate printed goes to the log.
    async fn note(&self, session: &Session, run: &GateRun) {
        let report = &run.report;
        let (level, how) = match (report.passed, report.timed_out, report.exit_code) {
            (true, _, _) => ("info", "passed".to_owned()),
            (false, true, _) => ("warn", "was ended at its time limit".to_owned()),
            (false, false, Some(code)) => ("warn", format!("failed with exit code {code}")),
            (false, false, None) => ("warn", "failed".to_owned()),
        };
        let message = format!("gate {} {how}\n{}", report.name, run.output);
        let body = json!({ "message": message.trim_end() });
        let entry = NewEntry { at: self.clock.now(), kind: level.to_owned(), body };
        let (tenant, id) = (session.tenant_id, session.id);
        let weight = self.journal.weight(tenant, id).await.unwrap_or(0);
        if self.journal_bytes > 0 && weight > self.journal_bytes {
            return;
        }
        if let Err(error) = self.journal.append(tenant, id, Stream::Log, vec![entry]).await {
            tracing::warn!(session.id = %id, %error, "What a gate of session {id} printed could not be kept");
        }
    }
}

fn may_verify(session: &Session) -> Result<(), AppError> {
    if session.spec.gates.is_empty() {
        return Err(not_now(session, "it has no gates, so that there is nothing to run"));
    }
    match session.status() {
        SessionStatus::Pending | SessionStatus::Queued => {
            Err(not_now(session, "it can be verified while it works, is paused or has ended"))
        }
        SessionStatus::Running
        | SessionStatus::Paused
        | SessionStatus::Degraded
        | SessionStatus::Completed
        | SessionStatus::PartiallyCompleted
        | SessionStatus::Failed
        | SessionStatus::Timeout
        | SessionStatus::Stopped
        | SessionStatus::Cancelled
        | SessionStatus::Orphaned => Ok(()),
    }
}
