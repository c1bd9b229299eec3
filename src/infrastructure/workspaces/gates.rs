//! Clean checkouts for gates: detached worktrees beside the folder of their session, made and
//! removed through git.
//!
//! Invariant: what a gate leaves in a checkout is never work; the session's own folder, its refs and
//! its index stay as they are.

use std::path::{Path, PathBuf};

use super::Folders;
use super::git::{Call, failed};
use super::place::Place;
use super::repository::{Repository, invalid};
use super::repository_gone;
use crate::application::ports::workspaces::{Checkout, WorkspaceError};
use crate::domain::ids::SessionId;
use crate::domain::workspace::Workspace;

/// What the name of a checkout has behind the session's id.
const SUFFIX: &str = ".gates";

/// The session that a folder here belongs to.
pub(super) fn session_of(name: &str) -> Option<SessionId> {
    SessionId::parse(name.strip_suffix(SUFFIX).unwrap_or(name))
}

impl Folders {
    pub(super) async fn check_out_git(
        &self,
        session: SessionId,
        workspace: &Workspace,
        commit: Option<&str>,
    ) -> Result<Checkout, WorkspaceError> {
        let repository = self.repository(workspace).await?.ok_or_else(repository_gone)?;
        let wanted = commit.or(workspace.base_commit.as_deref()).unwrap_or_default();
        let commit = repository.place.commit(wanted).await?;
        let commit =
            commit.ok_or_else(|| invalid("/commit", "the repository has no such commit"))?;
        let folder = self.checkout_of(session).await?;
        self.clear_checkout(&repository, &folder).await?;
        let add = ["worktree", "add", "--detach", "--no-checkout", "--quiet", "--"];
        repository.place.run(Call::new(add).arg(&folder).arg(&commit)).await?;
        let admin = repository.admin_of(&folder).await?;
        let admin = admin.ok_or_else(|| failed("git made no checkout"))?;
        let place = Place::open(&self.git, &admin, Some(&folder)).await?;
        place.run(Call::new(["read-tree", "--reset", "-u", &commit])).await?;
        let tree_hash = place.resolve(&format!("{commit}^{{tree}}")).await?;
        Ok(Checkout { folder, commit: Some(commit), tree_hash })
    }

    /// Removes the checkout of a session, if there is one.
    pub(super) async fn drop_checkout(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<(), WorkspaceError> {
        let folder = self.checkout_of(session).await?;
        if tokio::fs::symlink_metadata(&folder).await.is_err() {
            return Ok(());
        }
        match self.repository(workspace).await? {
            Some(repository) => self.clear_checkout(&repository, &folder).await,
            None => self.trash.take(&folder, &format!("{session}{SUFFIX}")).await.map(drop),
        }
    }

    async fn clear_checkout(
        &self,
        repository: &Repository,
        folder: &Path,
    ) -> Result<(), WorkspaceError> {
        let end = || Call::new(["worktree", "remove", "--force", "--force", "--"]).arg(folder);
        let is_known = repository.admin_of(folder).await?.is_some();
        if is_known && repository.place.ask(end()).await?.code() == 0 {
            return Ok(());
        }
        // A gate may have left what git does not remove; the trash takes whatever it is.
        if tokio::fs::symlink_metadata(folder).await.is_ok() {
            self.trash.take(folder, "gates").await?;
        }
        if repository.admin_of(folder).await?.is_some() {
            repository.place.run(end()).await?;
        }
        Ok(())
    }

    async fn checkout_of(&self, session: SessionId) -> Result<PathBuf, WorkspaceError> {
        Ok(self.places.ready().await?.join(format!("{session}{SUFFIX}")))
    }
}
