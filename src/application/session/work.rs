//! The work itself: what changed, and how it comes home.

use serde_json::json;

use super::change::{By, Change};
use super::checkpoint::not_now;
use super::create::invalid;
use super::put_away::PutAway;
use super::{SessionService, expect_version};
use crate::application::error::AppError;
use crate::application::ports::workspaces::{Diff, DiffEnd, MergeMode, MergeReport};
use crate::application::principal::RequestContext;
use crate::domain::event::EventType;
use crate::domain::ids::SessionId;
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::workspace::{Workspace, WorkspaceKind};

impl SessionService {
    /// Base of the work against its end, or against one of its checkpoints.
    ///
    /// # Errors
    /// `SessionNotFound`, `CheckpointNotFound`, `Invalid` without git, `Workspace`.
    pub async fn diff(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        checkpoint: Option<u64>,
    ) -> Result<Diff, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        let session = snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?.value;
        let workspace = git_workspace(&session)?;
        let head = match checkpoint {
            Some(sequence) => {
                let taken = snapshot.checkpoint(id, sequence).await?;
                let commit = taken.ok_or(AppError::CheckpointNotFound)?.workspace_ref;
                DiffEnd::Commit(commit.ok_or_else(|| {
                    invalid(
                        "/checkpoint",
                        "invalid",
                        "this checkpoint was taken before there were files",
                    )
                })?)
            }
            None if session.status().is_terminal() => DiffEnd::Commit(
                session
                    .run
                    .workspace_ref
                    .clone()
                    .unwrap_or_else(|| workspace.base_commit.clone().unwrap_or_default()),
            ),
            None => DiffEnd::WorkingTree,
        };
        drop(snapshot);
        Ok(self.workspaces.diff(workspace, head).await?)
    }

    /// Brings the work to its base branch, or exports it as a patch.
    ///
    /// # Errors
    /// `NotNow` while an agent works, `Workspace` with the files in conflict.
    pub async fn merge(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        mode: MergeMode,
        message: Option<&str>,
    ) -> Result<MergeReport, AppError> {
        let _alone = self.turns.alone(id).await;
        let change = Change::read(&*self.snapshot(ctx.tenant).await?, id).await?;
        expect_version(ctx.if_match, &change)?;
        let session = change.session;
        if session.status() != SessionStatus::Paused && !session.status().is_terminal() {
            return Err(not_now(
                &session,
                "pause it, or wait for its end, before its work is merged",
            ));
        }
        let message = message.map_or_else(
            || format!("{}\n\nSession {}", session.spec.title, session.code),
            str::to_owned,
        );
        // The worktree of an ended session was put away; it comes back from its refs for the merge.
        git_workspace(&session)?;
        let spec = &session.spec.workspace;
        let workspace = self.workspaces.prepare(id, session.code, spec, None).await?;
        let merged = self.workspaces.merge(id, &workspace, mode, &message).await;
        // It may have been taken back to run again meanwhile; then the folder is its own.
        if let Some(ended) = self.over(ctx.tenant, id).await? {
            self.tidy(&ended).await;
        }
        let report = merged?;
        let payload = json!({
            "mode": report.mode, "target": report.target, "commit": report.commit,
            "files": report.files, "actor": ctx.actor_name(),
        });
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            change.session.stamps.updated_at = now;
            let event = change.session.event(EventType::SessionMerged, now, payload.clone());
            change.tell([event]);
            Ok(())
        };
        // The version was checked before anything moved; what is done is told in any case. The answer
        // to remember is the report, not the session.
        let ctx = &RequestContext { if_match: None, repeat: None, ..ctx.clone() };
        match self.change(By::Caller(ctx), id, "merge", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(report),
            Err(error) => Err(error),
        }
    }

    /// Removes a folder that came back for a moment; what cannot be removed now is found again.
    async fn tidy(&self, session: &Session) {
        let id = session.id;
        match self.remove_files(session).await {
            Ok(PutAway::Gone | PutAway::Needed | PutAway::InUse) => {}
            Ok(PutAway::Kept(reason)) => {
                tracing::warn!(session.id = %id, %reason, "The workspace of session {id} stays: {reason}");
            }
            Err(error) => {
                tracing::warn!(session.id = %id, %error, "The workspace of session {id} could not be put away");
            }
        }
    }
}

fn git_workspace(session: &Session) -> Result<&Workspace, AppError> {
    match &session.run.workspace {
        Some(workspace) if workspace.kind == WorkspaceKind::Git => Ok(workspace),
        Some(_) => Err(not_now(
            session,
            "it has no git workspace, so that there is nothing to compare or merge",
        )),
        None => Err(not_now(
            session,
            "it has not begun to work, so that there is nothing to compare or merge",
        )),
    }
}
