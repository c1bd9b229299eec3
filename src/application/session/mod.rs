//! Use cases of sessions. One file per family of verbs; all of them go through `SessionService::change`.

pub mod after;
pub mod alone;
pub mod artifacts;
pub mod ask;
pub mod change;
pub mod checkpoint;
pub mod control;
pub mod create;
pub mod explain;
pub mod family;
pub mod fork;
pub mod grant;
pub mod graph;
mod judged;
pub mod leave;
pub mod limits;
mod next;
mod not_yet;
pub mod overrun;
pub mod put_away;
pub mod query;
pub mod rate;
mod refusals;
pub mod report;
pub mod spawn;
mod told;
pub mod usage;
pub mod work;

use std::sync::Arc;
use std::time::Duration;

use self::alone::Turns;
use self::change::{By, Change};
use self::refusals::Refusals;
use super::error::AppError;
use super::locks::tokens::FencingTokens;
use super::ports::artifacts::ArtifactFiles;
use super::ports::changes::ChangeSet;
use super::ports::clock::{Clock, Ids};
use super::ports::reads::Snapshot;
use super::ports::store::{CommitError, Store};
use super::ports::workspaces::Workspaces;
use super::principal::Subject;
use super::scheduler::wake::Wake;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::status::InvalidTransition;
use crate::domain::session::{Session, SessionCode};
use crate::domain::version::Versioned;

/// Lost races after which a command gives up.
pub const MAX_COMMIT_ATTEMPTS: usize = 16;

/// Limits of the session use cases.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Longest wait for a checkpoint that a command takes before it acts; a stop must answer in 5 s.
    pub checkpoint_timeout: Duration,
    /// How long `pause` and `resume` wait for their effect before they answer that it will come.
    pub settle_timeout: Duration,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            checkpoint_timeout: Duration::from_secs(4),
            settle_timeout: Duration::from_millis(500),
        }
    }
}

/// The use cases of sessions.
#[derive(Clone)]
pub struct SessionService {
    pub(super) store: Arc<dyn Store>,
    pub(super) workspaces: Arc<dyn Workspaces>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) wake: Wake,
    pub(super) turns: Turns,
    /// Who makes children of which session just now.
    pub(super) spawning: Turns,
    pub(super) tokens: FencingTokens,
    pub(super) options: SessionOptions,
    refusals: Refusals,
    /// Files that agents bring back, where any are kept.
    pub(super) files: Option<Arc<dyn ArtifactFiles>>,
}

impl SessionService {
    /// Use cases over these ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        workspaces: Arc<dyn Workspaces>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        wake: Wake,
        options: SessionOptions,
    ) -> Self {
        let (turns, spawning, refusals) = (Turns::default(), Turns::default(), Refusals::default());
        let tokens = FencingTokens::new(Arc::clone(&store));
        Self {
            store,
            workspaces,
            clock,
            ids,
            wake,
            turns,
            spawning,
            tokens,
            options,
            refusals,
            files: None,
        }
    }

    /// What leases and locks take their fencing tokens from.
    #[must_use]
    pub const fn tokens(&self) -> &FencingTokens {
        &self.tokens
    }

    /// Where files are kept that agents bring back.
    #[must_use]
    pub fn with_artifacts(self, files: Arc<dyn ArtifactFiles>) -> Self {
        Self { files: Some(files), ..self }
    }

    /// The bells that these use cases ring.
    #[must_use]
    pub const fn wake(&self) -> &Wake {
        &self.wake
    }

    pub(super) async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, AppError> {
        Ok(self.store.snapshot(tenant).await?)
    }

    /// The session that an id or a code names.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn find(&self, tenant: TenantId, reference: &str) -> Result<SessionId, AppError> {
        if let Some(id) = SessionId::parse(reference) {
            return Ok(id);
        }
        let code = SessionCode::parse(reference).ok_or(AppError::SessionNotFound)?;
        let found = self.snapshot(tenant).await?.session_by_code(code).await?;
        found.ok_or(AppError::SessionNotFound)
    }

    /// Reads, lets `decide` change the session, commits; decides again when the race was lost.
    ///
    /// # Errors
    /// What `decide` refuses; `VersionMismatch` for a caller who read another version; `Contended`.
    pub async fn change<T>(
        &self,
        by: By<'_>,
        id: SessionId,
        action: &str,
        reason: Option<&str>,
        decide: impl FnMut(&mut Change) -> Result<T, AppError> + Send,
    ) -> Result<(Versioned<Session>, T), AppError> {
        Box::pin(self.change_after(&mut None, by, id, action, reason, decide)).await
    }

    /// The same, for whoever asks again after a commit that failed: it may be on the disk all the
    /// same, and is then not decided twice.
    pub(super) async fn change_after<T>(
        &self,
        doubt: &mut Option<(Versioned<Session>, T)>,
        by: By<'_>,
        id: SessionId,
        action: &str,
        reason: Option<&str>,
        mut decide: impl FnMut(&mut Change) -> Result<T, AppError> + Send,
    ) -> Result<(Versioned<Session>, T), AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let mut change = Change::read(&*self.snapshot(by.tenant()).await?, id).await?;
            if let Some((saved, answer)) = doubt.take_if(|(saved, _)| change.was_read_as(saved)) {
                self.ring(&saved.value);
                return Ok((saved, answer));
            }
            if let By::Caller(ctx) = by {
                expect_version(ctx.if_match, &change)?;
            }
            let answer = match decide(&mut change) {
                Ok(answer) => answer,
                Err(error) => return Err(self.told_of_refusal(by, error).await),
            };
            if change.is_idle() {
                let unchanged = change.unchanged();
                match self.remember(by, &unchanged).await {
                    Ok(()) => return Ok((unchanged, answer)),
                    Err(CommitError::Stale) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            let (set, saved) = change.finish(by, action, reason, self.clock.now());
            match self.store.commit(set).await {
                Ok(_) => {
                    self.ring(&saved.value);
                    return Ok((saved, answer));
                }
                Err(CommitError::Stale | CommitError::Refused) => {}
                Err(error) => {
                    if matches!(error, CommitError::ReadOnly(_)) {
                        *doubt = Some((saved, answer));
                    }
                    return Err(self.told_of_refusal(by, error.into()).await);
                }
            }
        }
        Err(AppError::Contended)
    }

    /// Rings for everybody whom a changed session may concern.
    fn ring(&self, session: &Session) {
        self.wake.session(session.id);
        self.wake.scheduler();
        if session.broke_off_at().is_some() {
            self.wake.family();
        }
    }
}

impl SessionService {
    /// A command that changes nothing is answered once, too: whoever repeats it gets that answer.
    async fn remember(&self, by: By<'_>, session: &Versioned<Session>) -> Result<(), CommitError> {
        let By::Caller(ctx) = by else { return Ok(()) };
        let answer = ctx.remembered(&Subject::Session(session), self.clock.now());
        if answer.is_some() {
            self.store.commit(ChangeSet::new(ctx.tenant).remember(answer)).await?;
        }
        Ok(())
    }
}

pub(super) fn expect_version(if_match: Option<u64>, change: &Change) -> Result<(), AppError> {
    match if_match {
        Some(expected) if expected != change.version().get() => {
            Err(AppError::VersionMismatch { expected, actual: change.version().get() })
        }
        _ => Ok(()),
    }
}

/// The refusal of a move, with the name that people know the session by.
pub(super) fn refused(session: &Session, refused: InvalidTransition) -> AppError {
    AppError::Transition { code: session.code.to_string(), refused }
}
