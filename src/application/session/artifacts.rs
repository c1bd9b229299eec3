//! Files that agents brought back, for whoever may see their session.

use super::SessionService;
use crate::application::error::AppError;
use crate::application::ports::artifacts::ArtifactError;
use crate::application::principal::RequestContext;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::artifact::Artifact;

impl SessionService {
    /// The files of a session, by path.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn artifacts(
        &self,
        ctx: &RequestContext,
        id: SessionId,
    ) -> Result<Vec<Artifact>, AppError> {
        let found = self.snapshot(ctx.tenant).await?.session(id).await?;
        let found = found.filter(|found| found.value.stamps.deleted_at.is_none());
        Ok(found.ok_or(AppError::SessionNotFound)?.value.run.artifacts)
    }

    /// One of them, with its bytes.
    ///
    /// # Errors
    /// `SessionNotFound`, `ArtifactNotFound`.
    pub async fn artifact(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        path: &str,
    ) -> Result<(Artifact, Vec<u8>), AppError> {
        let all = self.artifacts(ctx, id).await?;
        let artifact = all.into_iter().find(|artifact| artifact.path == path);
        let artifact = artifact.ok_or(AppError::ArtifactNotFound)?;
        let files = self.files.as_ref().ok_or(AppError::ArtifactNotFound)?;
        match files.read((ctx.tenant, id), artifact.sha256).await {
            Ok(bytes) => Ok((artifact, bytes)),
            Err(ArtifactError::Gone | ArtifactError::Misspelled) => Err(AppError::ArtifactNotFound),
            Err(error @ ArtifactError::Failed(_)) => Err(AppError::Internal(Box::new(error))),
        }
    }

    /// All of them go.
    pub(super) async fn remove_artifacts(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<(), AppError> {
        let Some(files) = &self.files else { return Ok(()) };
        let removed = files.remove((tenant, id)).await;
        removed.map_err(|error| AppError::Internal(Box::new(error)))
    }
}
