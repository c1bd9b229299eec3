//! Sessions that come after others: what each waits for, and why it may wait in vain.
//!
//! Invariant: a session that has completed stays completed, so that a way that was once free stays
//! free; whoever asks too early only asks again.
//! Invariant: a session that has completed is not forgotten before all that come after it know that.

use super::SessionService;
use super::change::{By, Change};
use super::create::invalid;
use super::explain::Blocker;
use crate::application::error::AppError;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::StoreError;
use crate::application::principal::RequestContext;
use crate::domain::field::FieldErrors;
use crate::domain::ids::SessionId;
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// Most sessions that one may come after.
const MAX_AFTER: usize = 10;
/// Sessions that are told of an end in one go.
const FOLLOWERS_AT_ONCE: usize = 100;

/// What stands between a session and one that it comes after.
pub(super) enum Unmet {
    /// It is on its way.
    Underway(Box<Session>),
    /// It ended without completing, and no attempt follows by itself.
    Failed(Box<Session>),
    /// It was deleted before it had completed, or cannot be read.
    Gone(SessionId),
}

impl Unmet {
    /// The session that is waited for.
    pub(super) fn awaited(&self) -> SessionId {
        match self {
            Self::Underway(session) | Self::Failed(session) => session.id,
            Self::Gone(id) => *id,
        }
    }

    /// Since when it stands so.
    fn since(&self) -> Timestamp {
        match self {
            Self::Failed(session) => session.status_updated_at(),
            Self::Underway(_) | Self::Gone(_) => Timestamp::EPOCH,
        }
    }

    /// As a reason for waiting of the session `of`.
    pub(super) fn blocker(&self, of: &Session) -> Blocker {
        let fork = format!("orchestrator session fork {}", of.code);
        let blocker = |code, id: SessionId, text, remedy: &str, command| Blocker {
            code,
            text,
            object: Some(id.to_string()),
            since: Some(of.status_updated_at().max(self.since())),
            remedy: remedy.to_owned(),
            command: Some(command),
        };
        match self {
            Self::Underway(other) => blocker(
                BlockerCode::DependencyUnsatisfied,
                other.id,
                format!("it comes after {}, which is {}", other.code, other.status()),
                "wait until that has completed; or fork this one, and the fork waits for nothing",
                format!("orchestrator why {}", other.code),
            ),
            Self::Failed(other) if other.is_recoverable() => blocker(
                BlockerCode::DependencyFailed,
                other.id,
                format!("it comes after {}, which {}", other.code, other.fate()),
                "retry that; or fork this one, and the fork waits for nothing",
                format!("orchestrator session retry {}", other.code),
            ),
            Self::Failed(other) => blocker(
                BlockerCode::DependencyFailed,
                other.id,
                format!("it comes after {}, which {}", other.code, other.fate()),
                "fork this one, and the fork waits for nothing; or cancel it",
                fork,
            ),
            Self::Gone(id) => blocker(
                BlockerCode::DependencyFailed,
                *id,
                format!("it comes after {id}, which was deleted or cannot be read"),
                "fork this one, and the fork waits for nothing; or cancel it",
                fork,
            ),
        }
    }
}

/// The sessions that one comes after, as they stand.
#[derive(Default)]
pub(super) struct Before {
    /// Have completed; the session is to keep that in mind, since they may be forgotten.
    pub(super) met: Vec<SessionId>,
    /// Have not, in the order of the session's definition.
    pub(super) unmet: Vec<Unmet>,
}

/// What a session waits for that is not to begin yet.
#[derive(Debug, Default)]
pub struct Waits {
    /// For these sessions; none when it waits for nothing.
    pub on: Vec<SessionId>,
    /// None of them comes to its end by itself.
    pub in_vain: bool,
}

impl Before {
    /// As whoever looks again later has to know it.
    pub(super) fn waits(&self) -> Waits {
        let in_vain = !self.unmet.iter().any(|one| matches!(one, Unmet::Underway(_)));
        Waits { on: self.unmet.iter().map(Unmet::awaited).collect(), in_vain }
    }
}

/// Looks at what a session still comes after.
pub(super) async fn before(
    snapshot: &dyn Snapshot,
    session: &Session,
) -> Result<Before, StoreError> {
    let mut before = Before::default();
    for id in session.waits_for() {
        match stands(snapshot, id).await? {
            Some(unmet) => before.unmet.push(unmet),
            None => before.met.push(id),
        }
    }
    Ok(before)
}

/// How one that is waited for stands; `None` once it has completed.
async fn stands(snapshot: &dyn Snapshot, id: SessionId) -> Result<Option<Unmet>, StoreError> {
    let read = match snapshot.session(id).await {
        Ok(None) => snapshot.deleted_session(id).await,
        read => read,
    };
    let other = match read {
        Ok(Some(other)) => other.value,
        Ok(None) | Err(StoreError::Quarantined) => return Ok(Some(Unmet::Gone(id))),
        Err(error) => return Err(error),
    };
    Ok(if other.status() == SessionStatus::Completed {
        None
    } else if other.stamps.deleted_at.is_some() {
        Some(Unmet::Gone(id))
    } else if other.status().is_terminal() {
        Some(Unmet::Failed(Box::new(other)))
    } else {
        Some(Unmet::Underway(Box::new(other)))
    })
}

impl SessionService {
    /// Lets those that come after a session know that it has completed, before it is forgotten.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn release_followers(&self, completed: &Session) -> Result<(), AppError> {
        if completed.status() != SessionStatus::Completed {
            return Ok(());
        }
        let tenant = completed.tenant_id;
        loop {
            let snapshot = self.snapshot(tenant).await?;
            let followers = snapshot.followers(completed.id, FOLLOWERS_AT_ONCE).await?;
            drop(snapshot);
            let mut told = 0;
            for id in followers {
                let by = By::Part(tenant, "dependencies");
                let know = |change: &mut Change| {
                    change.session.meet(&[completed.id]);
                    Ok(())
                };
                match self.change(by, id, "meet", None, know).await {
                    Ok(_) => told += 1,
                    // What cannot be read begins at no time.
                    Err(AppError::SessionNotFound | AppError::RecordQuarantined) => {}
                    Err(error) => return Err(error),
                }
            }
            if told == 0 {
                return Ok(());
            }
        }
    }

    /// The sessions that a new one is to come after, by id or code; doubles count once.
    ///
    /// # Errors
    /// `Invalid` for one that does not exist or can no longer complete, and for too many.
    pub(super) async fn all_of(
        &self,
        ctx: &RequestContext,
        wanted: &[String],
    ) -> Result<Vec<SessionId>, AppError> {
        if wanted.len() > MAX_AFTER {
            return Err(invalid("/after", "too_many", "at most 10 sessions can be waited for"));
        }
        let mut errors = FieldErrors::default();
        let mut found = Vec::with_capacity(wanted.len());
        for (index, reference) in wanted.iter().enumerate() {
            let pointer = format!("/after/{index}");
            let id = match self.find(ctx.tenant, reference).await {
                Ok(id) => id,
                Err(AppError::SessionNotFound) => {
                    errors.add(&pointer, "invalid", "does not exist");
                    continue;
                }
                Err(error) => return Err(error),
            };
            match stands(&*self.snapshot(ctx.tenant).await?, id).await? {
                Some(Unmet::Gone(_)) => errors.add(&pointer, "invalid", "does not exist"),
                Some(Unmet::Failed(other)) => {
                    let helps = if other.is_recoverable() { "retry it first, or " } else { "" };
                    let (code, fate) = (other.code, other.fate());
                    let text = format!(
                        "{code} {fate}, so that this would wait in vain; {helps}leave it out"
                    );
                    errors.add(&pointer, "invalid", text);
                }
                Some(Unmet::Underway(_)) | None if found.contains(&id) => {}
                Some(Unmet::Underway(_)) | None => found.push(id),
            }
        }
        Ok(errors.into_result(found)?)
    }
}
