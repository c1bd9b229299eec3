//! At start-up, after each run, and when somebody asks for it: nothing that was open is forgotten,
//! nothing is left behind.
//!
//! What there is to do is planned from stored state, and each step of the plan can be done again
//! without harm. A running or degraded session without a supervisor is first marked as disconnected,
//! which is durable and told, and then given a supervisor, which takes its run up by handle, starts it
//! again from its checkpoint, or fails it with a reason.

pub mod plan;
pub mod service;

use futures_util::StreamExt as _;
use futures_util::stream;

use self::plan::{Measure, Step, attempts};
use super::{Supervisors, Tools};
use crate::application::error::AppError;
use crate::application::ports::store::Store;
use crate::application::session::put_away::PutAway;
use crate::application::session::report::Holder;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::status::SessionStatus;

/// Steps that are done beside each other; git may take its time with each.
const AT_ONCE: usize = 16;

/// What start-up found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recovered {
    /// Runs that went on at their agents meanwhile.
    pub adopted: usize,
    /// Runs that were taken up again.
    pub resumed: usize,
    /// Runs that nobody here can take up.
    pub failed: usize,
    /// Runs whose time was over.
    pub expired: usize,
    /// Sessions that wait in the queue.
    pub queued: usize,
    /// Sessions that stay paused.
    pub paused: usize,
    /// Agent processes of an earlier server that were ended.
    pub reaped: usize,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It was done.
    Done,
    /// There was nothing to do any more.
    Nothing,
    /// It could not be done; the scans try again.
    Failed(String),
}

/// Takes up what an earlier process left open.
///
/// # Errors
/// The store's.
pub async fn recover(supervisors: &Supervisors, store: &dyn Store) -> Result<Recovered, AppError> {
    let mut recovered =
        Recovered { reaped: supervisors.tools.agents.reap().await, ..Recovered::default() };
    let waiting = [SessionStatus::Queued, SessionStatus::Paused];
    for session in store.fleet().await?.sessions_in(&waiting).await? {
        let is_queued = session.value.status() == SessionStatus::Queued;
        recovered.queued += usize::from(is_queued);
        recovered.paused += usize::from(!is_queued);
    }
    let steps = attempts(supervisors, store).await?;
    for (step, done) in apply(supervisors, steps).await {
        match (done, step.measure) {
            (Done::Done, Measure::Adopt) => recovered.adopted += 1,
            (Done::Done, Measure::Expire) => recovered.expired += 1,
            (Done::Done, Measure::Fail) => recovered.failed += 1,
            (Done::Done, _) => recovered.resumed += 1,
            (Done::Nothing, _) => {}
            (Done::Failed(error), _) => {
                let id = step.session;
                tracing::warn!(session.id = %id, error, "Session {id} could not be taken up");
            }
        }
    }
    Ok(recovered)
}

/// Does the steps; each is safe to be done again.
pub async fn apply(supervisors: &Supervisors, steps: Vec<Step>) -> Vec<(Step, Done)> {
    let work = stream::iter(steps).map(|step| async move {
        let done = match carry_out(supervisors, &step).await {
            Ok(true) => Done::Done,
            Ok(false) | Err(AppError::SessionNotFound) => Done::Nothing,
            Err(error) => Done::Failed(error.to_string()),
        };
        (step, done)
    });
    work.buffered(AT_ONCE).collect().await
}

/// Does one step; `false` when there is nothing to do any more.
async fn carry_out(supervisors: &Supervisors, step: &Step) -> Result<bool, AppError> {
    let sessions = &supervisors.tools.sessions;
    let (tenant, id) = (step.tenant, step.session);
    match step.measure {
        Measure::Adopt
        | Measure::Resume
        | Measure::Restart
        | Measure::Judge
        | Measure::Finish
        | Measure::Fail => take_up(supervisors, tenant, id).await,
        Measure::Expire => {
            sessions.do_what_is_due(tenant, id).await.map(|waits| waits.on.is_empty())
        }
        Measure::PutAway => match sessions.put_away_now(tenant, id).await? {
            PutAway::Gone => Ok(true),
            PutAway::Needed => Ok(false),
            PutAway::InUse => Err(AppError::Contended),
            PutAway::Kept(reason) => {
                tracing::warn!(session.id = %id, %reason, "The workspace of session {id} stays: {reason}");
                Ok(false)
            }
        },
        Measure::EndChildren(at) => sessions.treat_children(tenant, id, at).await.map(|()| true),
    }
}

/// Gives a session that executes without a supervisor one again; `false` when it has one, or needs
/// none.
///
/// # Errors
/// The store's.
pub async fn take_up(
    supervisors: &Supervisors,
    tenant: TenantId,
    id: SessionId,
) -> Result<bool, AppError> {
    let sessions = &supervisors.tools.sessions;
    if sessions.wake.is_supervised(id) {
        return Ok(false);
    }
    let Some(fencing_token) = sessions.disconnected(tenant, id).await? else { return Ok(false) };
    supervisors.launch(Holder { tenant, session: id, fencing_token });
    Ok(true)
}

/// Puts the workspace of an ended session away; the work stays on its refs. What cannot be put away
/// now is found again by the scan for folders that are left over.
pub async fn clean_up(tools: &Tools, tenant: TenantId, id: SessionId) {
    match tools.sessions.put_away(tenant, id).await {
        Ok(PutAway::Gone | PutAway::Needed | PutAway::InUse) | Err(AppError::SessionNotFound) => {}
        Ok(PutAway::Kept(reason)) => {
            tracing::warn!(session.id = %id, %reason, "The workspace of session {id} stays: {reason}");
        }
        Err(error) => {
            tracing::warn!(session.id = %id, %error, "The workspace of session {id} could not be put away");
        }
    }
}
