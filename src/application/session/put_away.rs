//! Workspaces of sessions that need none any more: found by the session, whatever its run recorded.
//!
//! Invariant: a folder goes only while its session is known to have ended or to be deleted, and
//! while nobody else works on it. What it held is on refs or in the trash before.

use super::SessionService;
use crate::application::error::AppError;
use crate::application::ports::workspaces::Removal;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::workspace::{Workspace, WorkspaceSpec};

/// What became of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutAway {
    /// It is gone.
    Gone,
    /// Its session may still need it.
    Needed,
    /// Somebody works on it just now.
    InUse,
    /// It stays, with the reason.
    Kept(String),
}

impl SessionService {
    /// Puts the workspace of a session away that has ended or was deleted.
    ///
    /// # Errors
    /// The store's, `Workspace`.
    pub async fn put_away(&self, tenant: TenantId, id: SessionId) -> Result<PutAway, AppError> {
        if self.over(tenant, id).await?.is_none() {
            return Ok(PutAway::Needed);
        }
        let _alone = self.turns.alone(id).await;
        // Somebody may have taken it back while this waited.
        let Some(session) = self.over(tenant, id).await? else { return Ok(PutAway::Needed) };
        self.remove_files(&session).await
    }

    /// The same without waiting for whoever works on its files.
    ///
    /// # Errors
    /// The store's, `Workspace`.
    pub async fn put_away_now(&self, tenant: TenantId, id: SessionId) -> Result<PutAway, AppError> {
        let Some(_alone) = self.turns.alone_now(id) else { return Ok(PutAway::InUse) };
        let Some(session) = self.over(tenant, id).await? else { return Ok(PutAway::Needed) };
        self.remove_files(&session).await
    }

    /// Removes the folder of a session; the caller works on its files alone.
    pub(super) async fn remove_files(&self, session: &Session) -> Result<PutAway, AppError> {
        let id = session.id;
        Ok(match self.workspaces.remove(id, &workspace_of(session)).await? {
            Removal::Nothing | Removal::Removed => PutAway::Gone,
            Removal::Rescued { reference } => {
                tracing::info!(session.id = %id, %reference, "Work of session {id} was kept under {reference}");
                PutAway::Gone
            }
            Removal::Kept { reason } => PutAway::Kept(reason),
        })
    }

    /// Folders that belong to no session that is still open.
    ///
    /// # Errors
    /// The store's, `Workspace`.
    pub async fn leftovers(&self) -> Result<Vec<(TenantId, SessionId)>, AppError> {
        let tenants = self.store.fleet().await?.tenants().await?;
        let mut found = Vec::new();
        for id in self.workspaces.list().await? {
            // Whoever supervises it puts it away by himself.
            if self.wake.is_supervised(id) {
                continue;
            }
            for tenant in &tenants {
                let tenant = tenant.value.id;
                // A session that cannot be read may still be open.
                if self.over(tenant, id).await.is_ok_and(|over| over.is_some()) {
                    found.push((tenant, id));
                }
            }
        }
        Ok(found)
    }

    /// The session, when it has ended or was deleted.
    pub(super) async fn over(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<Option<Session>, AppError> {
        let snapshot = self.snapshot(tenant).await?;
        let found = match snapshot.session(id).await? {
            Some(found) => Some(found.value).filter(|session| session.status().is_terminal()),
            None => snapshot.deleted_session(id).await?.map(|found| found.value),
        };
        Ok(found)
    }
}

/// The workspace of a session: as it was recorded, else as its definition says it would be.
fn workspace_of(session: &Session) -> Workspace {
    if let Some(workspace) = &session.run.workspace {
        return workspace.clone();
    }
    let spec = &session.spec.workspace;
    let (path, repo) = match spec {
        WorkspaceSpec::None => (String::new(), None),
        WorkspaceSpec::Directory { path } => (path.clone(), None),
        WorkspaceSpec::Git { repo, .. } => (String::new(), Some(repo.clone())),
    };
    let kind = spec.kind();
    Workspace { kind, path, repo, branch: None, base_commit: None, base_branch: None }
}
