//! Children of sessions that ended abnormally: each is ended as it wants to be, once.
//!
//! Invariant: the commit of such an end also says that the children are owed theirs, and only what
//! has treated all of them takes that back; whoever dies in between leaves it to be found.

use futures_util::StreamExt as _;
use futures_util::stream;

use super::SessionService;
use super::change::{By, Change};
use super::checkpoint::state_of;
use super::control::apply;
use super::report::SUPERVISOR;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Write};
use crate::application::ports::reads::{Order, SessionFilter, SessionQuery, Snapshot};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::session::checkpoint::CheckpointTrigger;
use crate::domain::session::status::{SessionStatus, Trigger};
use crate::domain::time::Timestamp;

/// Children that are ended beside each other; git may take its time with the work of each.
const AT_ONCE: usize = 16;
/// Children of one page.
const PAGE: usize = 200;

impl SessionService {
    /// Treats the children of a session that ended abnormally at this time, which it then owes them
    /// no more.
    ///
    /// # Errors
    /// The store's; what was done by then need not be done again.
    pub async fn treat_children(
        &self,
        tenant: TenantId,
        parent: SessionId,
        at: Timestamp,
    ) -> Result<(), AppError> {
        self.end_children(tenant, parent, at).await?;
        let done = ChangeSet::new(tenant).write(Write::ChildrenDone { parent, at });
        self.store.commit(done).await?;
        Ok(())
    }

    /// Before a session is taken back: whatever its end owes the children comes first, so that
    /// those who come later are not mistaken for them.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn settle_family(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<(), AppError> {
        let found = self.snapshot(tenant).await?.session(id).await?;
        let failed = found.filter(|found| found.value.status().after(Trigger::Retry).is_ok());
        match failed.and_then(|failed| failed.value.broke_off_at()) {
            Some(at) => self.treat_children(tenant, id, at).await,
            None => Ok(()),
        }
    }

    /// Ends the open children of a session that ended at this time and was not taken back since;
    /// their own children follow by themselves.
    pub(super) async fn end_children(
        &self,
        tenant: TenantId,
        parent: SessionId,
        at: Timestamp,
    ) -> Result<(), AppError> {
        let (mut after, mut failed) = (None, None);
        loop {
            // Children of a later life are told apart: those of this moment were there at its end.
            let snapshot = self.snapshot(tenant).await?;
            let ended = end_of(&*snapshot, parent).await?;
            if ended.as_ref().is_some_and(|ended| ended.broke_off_at() != Some(at)) {
                return failed.map_or(Ok(()), Err);
            }
            let reason =
                ended.map_or_else(|| "its parent was deleted".to_owned(), |ended| ended.farewell());
            let filter = SessionFilter {
                parent_id: Some(parent),
                statuses: SessionStatus::OPEN.to_vec(),
                ..SessionFilter::default()
            };
            let order = Order::OldestFirst;
            let query = SessionQuery { filter, order, after, limit: PAGE, count: false };
            let page = snapshot.sessions(query).await?;
            drop(snapshot);
            let followers = page.items.iter().filter(|child| child.value.follows_its_parent());
            let followers: Vec<SessionId> = followers.map(|child| child.value.id).collect();
            let mut ended = stream::iter(followers)
                .map(|id| {
                    let reason = reason.as_str();
                    async move { (id, self.end_child(tenant, id, reason).await) }
                })
                .buffer_unordered(AT_ONCE);
            while let Some((id, done)) = ended.next().await {
                if let Err(error) = done {
                    tracing::warn!(session.id = %id, %error, "Session {id} could not follow its parent; it is tried again");
                    failed = Some(error);
                }
            }
            after = page.next;
            if after.is_none() {
                return failed.map_or(Ok(()), Err);
            }
        }
    }

    pub(super) async fn end_child(
        &self,
        tenant: TenantId,
        id: SessionId,
        reason: &str,
    ) -> Result<(), AppError> {
        let by = By::Part(tenant, SUPERVISOR);
        let saved = match self.save_before(by, id, Trigger::Orphan).await {
            Err(AppError::SessionNotFound) => return Ok(()),
            saved => saved?,
        };
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let status = change.session.status();
            apply(change, |session| session.follow_its_parent(by.cause(now).because(reason)))?;
            let ended = change.session.status() != status;
            if ended && (status.is_executing() || status == SessionStatus::Paused) {
                let state = state_of(change, saved.clone());
                change.checkpoint(self.ids.uuid(), CheckpointTrigger::Stop, state, now);
            }
            Ok(())
        };
        match self.change(by, id, "follow", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A session as it stands, deleted or not; `None` once it was purged.
async fn end_of(snapshot: &dyn Snapshot, id: SessionId) -> Result<Option<Session>, AppError> {
    let found = match snapshot.session(id).await? {
        Some(found) => Some(found),
        None => snapshot.deleted_session(id).await?,
    };
    Ok(found.map(|found| found.value))
}
