//! At start-up, and after each run: nothing that was open is forgotten, nothing is left behind.
//!
//! Every running or degraded session is first marked as disconnected, which is durable and told, and
//! then given a supervisor, which takes its run up by handle, starts it again from its checkpoint,
//! or fails it with a reason.

use super::{Supervisors, Tools};
use crate::application::error::AppError;
use crate::application::ports::store::Store;
use crate::application::ports::workspaces::Removal;
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
    /// Workspaces of ended sessions that were put away.
    pub workspaces: usize,
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
            if let Some(fencing_token) = tools.sessions.disconnected(tenant, id).await? {
                supervisors.launch(Holder { tenant, session: id, fencing_token });
                recovered.resumed += 1;
            }
        }
    }
    recovered.workspaces = put_away(tools, store).await?;
    Ok(recovered)
}

/// Puts away the workspaces of sessions that have ended or are gone.
async fn put_away(tools: &Tools, store: &dyn Store) -> Result<usize, AppError> {
    let mut count = 0;
    let tenants = store.fleet().await?.tenants().await?;
    for id in tools.workspaces.list().await? {
        for tenant in &tenants {
            let tenant = tenant.value.id;
            let found = store.snapshot(tenant).await?.session(id).await?;
            if found.is_some_and(|found| found.value.status().is_terminal())
                && clean_up(tools, tenant, id).await
            {
                count += 1;
            }
        }
    }
    Ok(count)
}

/// Puts the workspace of an ended session away; the work stays on its refs. `true` when it is gone.
pub async fn clean_up(tools: &Tools, tenant: TenantId, id: SessionId) -> bool {
    let found = match tools.sessions.store.snapshot(tenant).await {
        Ok(snapshot) => snapshot.session(id).await.ok().flatten(),
        Err(_) => None,
    };
    let Some(session) = found.map(|found| found.value) else { return false };
    if !session.status().is_terminal() {
        return false;
    }
    let Some(workspace) = &session.run.workspace else { return false };
    match tools.workspaces.remove(id, workspace).await {
        Ok(Removal::Nothing | Removal::Removed) => true,
        Ok(Removal::Rescued { reference }) => {
            tracing::info!(session.id = %id, %reference, "Work of session {id} was kept under {reference}");
            true
        }
        Ok(Removal::Kept { reason }) => {
            tracing::warn!(session.id = %id, %reason, "The workspace of session {id} stays: {reason}");
            false
        }
        Err(error) => {
            tracing::warn!(session.id = %id, %error, "The workspace of session {id} could not be put away");
            false
        }
    }
}
