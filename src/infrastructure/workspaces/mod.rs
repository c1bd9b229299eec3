//! Folders and git worktrees that agents work in.
//!
//! The map: `places` says which paths may be used; `git` runs the program in a `place`, and `shield` keeps
//! repositories from running theirs; `repository` and `worktree` find and make; `refs` holds the
//! names under which work is kept; `snapshot` turns files into a tree, and `checkpoint`, `restore`,
//! `remove`, `diff`, `merge` (with `checkout`) and `patch` are what is done with it; `trash` gives back.
//! Before a merge, `turns` keeps merges apart, `underway` and `filters` refuse what would do harm, and
//! `interrupted` undoes at a start what an earlier process did not end.
//!
//! Invariant: work is on a ref, or in the trash, before anything that could lose it begins.
//! Invariant: of one session, one operation runs at a time; of one repository, one merge.

mod checkout;
mod checkpoint;
mod diff;
mod filters;
mod gates;
mod git;
mod git_kind;
mod ground;
mod interrupted;
mod merge;
mod patch;
mod place;
mod places;
mod refs;
mod remove;
mod repository;
mod rescue;
mod restore;
mod shield;
mod snapshot;
mod trash;
mod turns;
mod underway;
mod untracked;
mod worktree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use self::git::{Git, failed, is_object_id};
use self::places::{Places, is_real_folder};
use self::repository::{Repository, invalid};
use self::trash::Trash;
use self::turns::Turns;
use self::worktree::{Wanted, Worktree};
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::workspaces::{
    Checkout, Diff, DiffEnd, MergeMode, MergeReport, Removal, WorkspaceError, Workspaces,
};
use crate::domain::ids::SessionId;
use crate::domain::session::SessionCode;
use crate::domain::workspace::{Workspace, WorkspaceKind, WorkspaceSpec};

/// Locks that the sessions share; two sessions of one lock only wait for each other.
const LOCKS: usize = 64;

/// Where workspaces lie and what they may be made of.
#[derive(Debug, Clone)]
pub struct WorkspaceOptions {
    /// Folders of sessions are made here, and nobody else works here.
    pub root: PathBuf,
    /// The data directory, and wherever else the server keeps what is its own: no workspace lies in
    /// such a folder or holds one.
    pub closed: Vec<PathBuf>,
    /// Repositories and directories must lie below one of these; empty means anywhere.
    pub allowed_roots: Vec<PathBuf>,
    /// The git program: a path, or a name on the search path.
    pub git: PathBuf,
}

/// Workspaces on the local disk.
pub struct Folders {
    places: Places,
    git: Git,
    trash: Trash,
    ids: Arc<dyn Ids>,
    locks: Vec<Mutex<()>>,
    merges: Turns,
    /// Whether merges that an earlier process left half done were looked for.
    settled: OnceCell<()>,
}

impl Folders {
    /// Workspaces below the root of the options; nothing is touched yet.
    #[must_use]
    pub fn new(options: WorkspaceOptions, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let places = Places::new(&options);
        let trash = Trash::new(places.trash(), Arc::clone(&clock));
        let git = Git::new(options.git, clock);
        let locks = (0..LOCKS).map(|_| Mutex::new(())).collect();
        Self { places, git, trash, ids, locks, merges: Turns::default(), settled: OnceCell::new() }
    }

    async fn lock(&self, session: SessionId) -> MutexGuard<'_, ()> {
        let last = usize::from(session.as_bytes()[15]);
        self.locks[last % LOCKS].lock().await
    }

    async fn repository(
        &self,
        workspace: &Workspace,
    ) -> Result<Option<Repository>, WorkspaceError> {
        let top =
            workspace.repo.as_deref().ok_or_else(|| failed("a git workspace without repo"))?;
        Repository::known(&self.git, &self.places, top).await
    }

    async fn worktree(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<Worktree, WorkspaceError> {
        let repository = self.repository(workspace).await?;
        let repository = repository.ok_or_else(repository_gone)?;
        let message = "the worktree is gone; it is made again when the session runs";
        Worktree::open(&self.git, &self.places, session, repository)
            .await?
            .ok_or_else(|| invalid("/workspace/path", message))
    }

    async fn prepare_empty(&self, session: SessionId) -> Result<Workspace, WorkspaceError> {
        let folder = self.places.ready().await?.join(session.to_string());
        if !is_real_folder(&folder).await? {
            tokio::fs::create_dir(&folder)
                .await
                .map_err(|error| failed(format!("the folder cannot be made: {error}")))?;
        }
        plain(WorkspaceKind::None, &folder)
    }

    async fn remove_empty(&self, session: SessionId) -> Result<Removal, WorkspaceError> {
        let folder = self.places.of_session(session);
        if !is_real_folder(&folder).await? {
            return Ok(Removal::Nothing);
        }
        self.places.ready().await?;
        self.trash.take(&folder, &session.to_string()).await?;
        Ok(Removal::Removed)
    }
}

#[async_trait]
impl Workspaces for Folders {
    async fn check(&self, spec: &WorkspaceSpec) -> Result<(), WorkspaceError> {
        match spec {
            WorkspaceSpec::None => Ok(()),
            WorkspaceSpec::Directory { path } => {
                self.places.admitted("/workspace/path", path).await.map(drop)
            }
            WorkspaceSpec::Git { repo, base_ref, branch } => {
                self.check_git(repo, base_ref, branch.as_deref()).await
            }
        }
    }

    async fn prepare(
        &self,
        session: SessionId,
        code: SessionCode,
        spec: &WorkspaceSpec,
        from_commit: Option<&str>,
    ) -> Result<Workspace, WorkspaceError> {
        let _one_at_a_time = self.lock(session).await;
        match spec {
            WorkspaceSpec::None => self.prepare_empty(session).await,
            WorkspaceSpec::Directory { path } => {
                let folder = self.places.admitted("/workspace/path", path).await?;
                plain(WorkspaceKind::Directory, &folder)
            }
            WorkspaceSpec::Git { repo, base_ref, branch } => {
                let default_branch = format!("orchestrator/{code}");
                let branch = branch.as_deref();
                let wanted = Wanted { session, branch, default_branch, base_ref, from_commit };
                self.prepare_git(wanted, repo).await
            }
        }
    }

    async fn checkpoint(
        &self,
        session: SessionId,
        workspace: &Workspace,
        message: &str,
    ) -> Result<Option<String>, WorkspaceError> {
        if workspace.kind != WorkspaceKind::Git {
            return Ok(None);
        }
        let _one_at_a_time = self.lock(session).await;
        let worktree = self.worktree(session, workspace).await?;
        checkpoint::checkpoint(&worktree, message).await.map(Some)
    }

    async fn diff(&self, workspace: &Workspace, head: DiffEnd) -> Result<Diff, WorkspaceError> {
        let (session, base) = of_git(workspace)?;
        let repository = self.repository(workspace).await?;
        let repository = repository.ok_or_else(repository_gone)?;
        let (newer, name) = match head {
            DiffEnd::Commit(commit) => {
                let found = repository.place.commit(&commit).await?;
                let found = found.ok_or_else(|| invalid("/checkpoint", "no such commit"))?;
                (found.clone(), found)
            }
            DiffEnd::WorkingTree => {
                let _one_at_a_time = self.lock(session).await;
                if let Ok(worktree) = self.worktree(session, workspace).await {
                    let tree = snapshot::snapshot(&worktree, &[]).await?;
                    (tree, "working_tree".to_owned())
                } else {
                    let left = self.left_behind(session, workspace, &repository).await?;
                    (left.clone(), left)
                }
            }
        };
        diff::diff(&repository.place, base, &newer, name).await
    }

    async fn merge(
        &self,
        session: SessionId,
        workspace: &Workspace,
        mode: MergeMode,
        message: &str,
    ) -> Result<MergeReport, WorkspaceError> {
        let (_, base) = of_git(workspace)?;
        let _one_at_a_time = self.lock(session).await;
        let worktree = self.worktree(session, workspace).await?;
        if mode == MergeMode::Patch {
            let tree = snapshot::snapshot(&worktree, &[]).await?;
            let scratch = self.places.scratch().join(self.ids.uuid().to_string());
            let place = &worktree.repository.place;
            return patch::export(&self.git, place, base, &tree, &scratch).await;
        }
        let branch = workspace.branch.as_deref().unwrap_or_default();
        let base_branch = workspace.base_branch.as_deref();
        let note = self.places.merges().join(self.ids.uuid().to_string());
        let order = merge::Order { mode, branch, base_branch, message, note };
        let _one_merge_at_a_time = self.merges.take(&worktree.repository.place.git_dir).await;
        Box::pin(merge::merge(&self.git, &worktree, &order)).await
    }

    async fn restore(
        &self,
        session: SessionId,
        workspace: &Workspace,
        commit: &str,
    ) -> Result<Option<String>, WorkspaceError> {
        of_git(workspace)?;
        let _one_at_a_time = self.lock(session).await;
        let worktree = self.worktree(session, workspace).await?;
        let branch = workspace.branch.as_deref().unwrap_or_default();
        restore::restore(&worktree, branch, commit).await
    }

    async fn list(&self) -> Result<Vec<SessionId>, WorkspaceError> {
        let root = self.places.ready().await?;
        // Asked for soon after the start, and again and again: only the first time can find any.
        self.settled
            .get_or_init(|| interrupted::settle(&self.git, &self.places, &self.merges))
            .await;
        let unreadable = |error| failed(format!("the workspaces cannot be listed: {error}"));
        let mut entries = tokio::fs::read_dir(root).await.map_err(unreadable)?;
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
            let session = entry.file_name().to_str().and_then(gates::session_of);
            found.extend(session.filter(|session| !found.contains(session)));
        }
        Ok(found)
    }

    async fn purge_trash(&self) -> Result<usize, WorkspaceError> {
        self.trash.purge().await
    }

    async fn check_out(
        &self,
        session: SessionId,
        workspace: &Workspace,
        commit: Option<&str>,
    ) -> Result<Checkout, WorkspaceError> {
        match workspace.kind {
            WorkspaceKind::None => {
                Err(invalid("/workspace/kind", "without a workspace there are no files to judge"))
            }
            WorkspaceKind::Directory => {
                let folder = self.places.admitted("/workspace/path", &workspace.path).await?;
                Ok(Checkout { folder, commit: None, tree_hash: None })
            }
            WorkspaceKind::Git => {
                let _one_at_a_time = self.lock(session).await;
                self.check_out_git(session, workspace, commit).await
            }
        }
    }

    async fn give_back(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<(), WorkspaceError> {
        if workspace.kind != WorkspaceKind::Git {
            return Ok(());
        }
        let _one_at_a_time = self.lock(session).await;
        self.drop_checkout(session, workspace).await
    }

    async fn remove(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<Removal, WorkspaceError> {
        let _one_at_a_time = self.lock(session).await;
        if workspace.kind == WorkspaceKind::Git {
            self.drop_checkout(session, workspace).await?;
        }
        match workspace.kind {
            WorkspaceKind::None => self.remove_empty(session).await,
            WorkspaceKind::Directory => {
                // Somebody's own directory: nothing of it is ours to remove.
                Ok(Removal::Nothing)
            }
            WorkspaceKind::Git => self.remove_git(session, workspace).await,
        }
    }
}

/// The session that a git workspace is named for, and the commit that its work began from.
fn of_git(workspace: &Workspace) -> Result<(SessionId, &str), WorkspaceError> {
    if workspace.kind != WorkspaceKind::Git {
        let message = "only a git workspace can be compared, merged or restored";
        return Err(invalid("/workspace/kind", message));
    }
    let name = Path::new(&workspace.path).file_name().and_then(|name| name.to_str());
    let session = name.and_then(SessionId::parse);
    let base = workspace.base_commit.as_deref().filter(|base| is_object_id(base));
    session.zip(base).ok_or_else(|| failed("this is not a worktree of a session"))
}

fn repository_gone() -> WorkspaceError {
    invalid("/workspace/repo", "the repository is gone: put it back where it was, then try again")
}

fn plain(kind: WorkspaceKind, folder: &Path) -> Result<Workspace, WorkspaceError> {
    let path = text(folder)?;
    Ok(Workspace { kind, path, repo: None, branch: None, base_commit: None, base_branch: None })
}

fn text(path: &Path) -> Result<String, WorkspaceError> {
    path.to_str().map(str::to_owned).ok_or_else(|| failed("a path is not UTF-8"))
}
