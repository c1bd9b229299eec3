//! What `Folders` does for workspaces of the kind `git`.

use super::places::is_real_folder;
use super::refs::Refs;
use super::repository::{Repository, branch_taken, invalid};
use super::worktree::{self, Wanted, Worktree};
use super::{Folders, remove, text};
use crate::application::ports::workspaces::{Removal, WorkspaceError};
use crate::domain::ids::SessionId;
use crate::domain::workspace::{Workspace, WorkspaceKind};

impl Folders {
    pub(super) async fn prepare_git(
        &self,
        wanted: Wanted<'_>,
        repo: &str,
    ) -> Result<Workspace, WorkspaceError> {
        let session = wanted.session;
        let (repository, here) = Repository::find(&self.git, &self.places, repo).await?;
        worktree::settle(&repository, &here, &wanted).await?;
        let top = text(&repository.top)?;
        let made =
            worktree::make(&self.git, &self.places, &self.trash, repository, session).await?;
        Ok(Workspace {
            kind: WorkspaceKind::Git,
            path: text(&self.places.ready().await?.join(session.to_string()))?,
            repo: Some(top),
            branch: Some(made.branch),
            base_commit: Some(made.base_commit),
            base_branch: made.base_branch,
        })
    }

    pub(super) async fn check_git(
        &self,
        repo: &str,
        base_ref: &str,
        branch: Option<&str>,
    ) -> Result<(), WorkspaceError> {
        let (repository, here) = Repository::find(&self.git, &self.places, repo).await?;
        let base = repository.base(&here, base_ref).await?;
        let Some(branch) = branch else { return Ok(()) };
        repository.check_branch_name(branch).await?;
        if repository.check_branch_free(branch, &base.commit).await? {
            return Ok(());
        }
        Err(branch_taken(branch))
    }

    /// The newest state of work whose folder was removed.
    pub(super) async fn left_behind(
        &self,
        session: SessionId,
        workspace: &Workspace,
        repository: &Repository,
    ) -> Result<String, WorkspaceError> {
        if let Some(latest) = Refs::new(&repository.place, session).latest().await? {
            return Ok(latest);
        }
        let branch = workspace.branch.as_deref().unwrap_or_default();
        let head = repository.place.resolve(&format!("refs/heads/{branch}^{{commit}}")).await?;
        let message = "neither the worktree nor its branch is there any more";
        head.ok_or_else(|| invalid("/workspace/branch", message))
    }

    pub(super) async fn remove_git(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<Removal, WorkspaceError> {
        let folder = self.places.ready().await?.join(session.to_string());
        let is_there = is_real_folder(&folder).await?;
        let repository = match self.repository(workspace).await? {
            // The definition alone may name a folder inside the repository.
            None if workspace.base_commit.is_none() => {
                let repo = workspace.repo.as_deref().unwrap_or_default();
                let found = Repository::find(&self.git, &self.places, repo).await;
                found.ok().map(|(repository, _)| repository)
            }
            known => known,
        };
        let Some(repository) = repository else {
            let reason = "its repository is gone, so nobody can say whether its work is saved";
            return Ok(if is_there {
                Removal::Kept { reason: reason.to_owned() }
            } else {
                Removal::Nothing
            });
        };
        if !is_there {
            let was_registered = repository.admin_of(&folder).await?.is_some();
            let rescued = worktree::forget(&self.git, &repository, session, &folder).await?;
            return Ok(match rescued {
                Some(reference) => Removal::Rescued { reference },
                None if was_registered => Removal::Removed,
                None => Removal::Nothing,
            });
        }
        let opened = Worktree::open(&self.git, &self.places, session, repository).await?;
        if let Some(worktree) = opened {
            return remove::remove(&self.git, &worktree, &self.trash).await;
        }
        // No worktree of the repository: whatever it is, it can be had back.
        self.trash.take(&folder, &session.to_string()).await?;
        Ok(Removal::Removed)
    }
}
