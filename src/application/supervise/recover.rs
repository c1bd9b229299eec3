//! At start-up, and after each run: nothing that was open is forgotten, nothing is left behind.
//!
//! Every running or degraded session is first marked as disconnected, which is durable and told, and
//! then given a supervisor, which takes its run up by handle, starts it again from its checkpoint,
//! or fails it with a reason.

use super::{Supervisors, Tools};
use crate::application::error::AppError;
use crate::application::ports::store::Store;
use crate::application::session::put_away::PutAway;
use crate::application::session::report::Holder;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::status::SessionStatus;

/// What start-up found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recovered {
    /// Runs that were taken up again.
    pub resumed: usize,
    /// Sessions that wait in the queue.
    pub queued: usize,
    /// Sessions that stay paused.
    pub paused: usize,
    /// Agent processes of an earlier server that were ended.
    pub reaped: usize,
}

/// Takes up what an earlier process left open.
///
/// # Errors
/// The store's.
pub async fn recover(supervisors: &Supervisors, store: &dyn Store) -> Result<Recovered, AppError> {
    let tools = &supervisors.tools;
    let mut recovered = Recovered { reaped: tools.agents.reap().await, ..Recovered::default() };
    let statuses = [
        SessionStatus::Running,
        SessionStatus::Degraded,
        SessionStatus::Queued,
        SessionStatus::Paused,
    ];
    for session in store.fleet().await?.sessions_in(&statuses).await? {
        let session = session.value;
        recovered.queued += usize::from(session.status() == SessionStatus::Queued);
        recovered.paused += usize::from(session.status() == SessionStatus::Paused);
        if session.status().is_executing() {
            let (tenant, id) = (session.tenant_id, session.id);
            match tools.sessions.disconnected(tenant, id).await {
                Ok(Some(fencing_token)) => {
                    supervisors.launch(Holder { tenant, session: id, fencing_token });
                    recovered.resumed += 1;
                }
                Ok(None) => {}
                // The scan for sessions without a supervisor tries again.
                Err(error) => {
                    tracing::warn!(session.id = %id, %error, "Session {id} could not be taken up");
                }
            }
        }
    }
    Ok(recovered)
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
