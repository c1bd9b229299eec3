//! Workspaces: where agents work, and how their work is kept, compared and brought home.
//!
//! Invariant: no work is ever only in a working tree that is about to be changed or removed.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::Serialize;

use crate::closed_enum;
use crate::domain::ids::SessionId;
use crate::domain::session::SessionCode;
use crate::domain::workspace::{Workspace, WorkspaceSpec};

/// Why a workspace operation was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkspaceError {
    /// The request cannot be satisfied; the text names the remedy and is safe to show.
    #[error("{message}")]
    Invalid {
        /// JSON pointer of the field at fault, as in `/workspace/repo`.
        pointer: &'static str,
        /// What is wrong and what helps.
        message: String,
    },
    /// The place is one that nobody may work in; the text names the remedy and is safe to show.
    #[error("{message}")]
    NotAllowed {
        /// JSON pointer of the field at fault.
        pointer: &'static str,
        /// Why not, and what helps.
        message: String,
    },
    /// A merge would conflict; nothing was changed.
    #[error("the merge conflicts in {}", files.join(", "))]
    Conflict {
        /// Paths in conflict.
        files: Vec<String>,
    },
    /// A merge is not possible as the repository stands; nothing was changed. The text names the
    /// remedy and is safe to show.
    #[error("{0}")]
    Obstructed(String),
    /// git or the file system failed.
    #[error("{0}")]
    Failed(String),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffEnd {
    /// The working tree as it is, untracked files included.
    WorkingTree,
    /// A commit.
    Commit(String),
}

closed_enum!(
    /// What became of a file.
    FileChange {
        Added = "added",
        Modified = "modified",
        Deleted = "deleted",
        Renamed = "renamed",
    }
);

/// One file of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDiff {
    /// Path in the repository.
    pub path: String,
    /// Path before a rename.
    pub old_path: Option<String>,
    /// What became of it.
    pub change: FileChange,
    /// Lines added; `None` for a binary file.
    pub additions: Option<u64>,
    /// Lines taken away; `None` for a binary file.
    pub deletions: Option<u64>,
    /// Its part of the unified diff; empty when it was left out for size.
    pub patch: String,
}

/// A comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Commit compared from.
    pub base: String,
    /// Commit compared to, or `working_tree`.
    pub head: String,
    /// By path.
    pub files: Vec<FileDiff>,
    /// Whether patches were left out because the whole is larger than 4 MiB.
    pub truncated: bool,
}

closed_enum!(
    /// How work is brought home.
    MergeMode {
        Merge = "merge",
        Squash = "squash",
        Patch = "patch",
    }
);

/// What a merge did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergeReport {
    /// How.
    pub mode: MergeMode,
    /// Branch that received the work; `None` for a patch.
    pub target: Option<String>,
    /// Commit that the target now points to; `None` for a patch.
    pub commit: Option<String>,
    /// Files that changed.
    pub files: usize,
    /// The patch, as `git apply` reads it; only for `patch`.
    pub patch: Option<String>,
}

/// Files to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Where they lie.
    pub folder: PathBuf,
    /// The commit that was checked out; `None` for a directory.
    pub commit: Option<String>,
    /// Hash of the files; `None` for a directory.
    pub tree_hash: Option<String>,
}

/// What became of a workspace that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// Nothing was there.
    Nothing,
    /// Removed; the work is on its branch or merged.
    Removed,
    /// Removed; work that was nowhere else is kept under this ref.
    Rescued {
        /// Name of the ref.
        reference: String,
    },
    /// Left as it is, with the reason.
    Kept {
        /// Why.
        reason: String,
    },
}

/// Workspaces of sessions.
#[async_trait]
pub trait Workspaces: Send + Sync {
    /// Whether a session with this workspace could begin; called when it is created.
    async fn check(&self, spec: &WorkspaceSpec) -> Result<(), WorkspaceError>;

    /// Makes the workspace, or finds it as an earlier call left it. `from_commit` instead of the
    /// base is where a fork begins.
    async fn prepare(
        &self,
        session: SessionId,
        code: SessionCode,
        spec: &WorkspaceSpec,
        from_commit: Option<&str>,
    ) -> Result<Workspace, WorkspaceError>;

    /// Saves the working tree as a commit on the session's hidden ref and returns the commit; the
    /// branch and the index stay as they are. `None` for a workspace without git.
    async fn checkpoint(
        &self,
        session: SessionId,
        workspace: &Workspace,
        message: &str,
    ) -> Result<Option<String>, WorkspaceError>;

    /// Compares the base of the work with its end.
    async fn diff(&self, workspace: &Workspace, head: DiffEnd) -> Result<Diff, WorkspaceError>;

    /// Brings the work to the base branch, or exports it. Refuses on conflict; loses nothing.
    async fn merge(
        &self,
        session: SessionId,
        workspace: &Workspace,
        mode: MergeMode,
        message: &str,
    ) -> Result<MergeReport, WorkspaceError>;

    /// Sets the working tree to a checkpoint's commit; what was not saved is first kept under a
    /// rescue ref, which is returned.
    async fn restore(
        &self,
        session: SessionId,
        workspace: &Workspace,
        commit: &str,
    ) -> Result<Option<String>, WorkspaceError>;

    /// A clean checkout of a commit beside the workspace, of the base when none is named; for a
    /// directory the directory itself. An earlier one of the session goes first.
    async fn check_out(
        &self,
        session: SessionId,
        workspace: &Workspace,
        commit: Option<&str>,
    ) -> Result<Checkout, WorkspaceError>;

    /// Removes the checkout again.
    async fn give_back(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<(), WorkspaceError>;

    /// Removes the worktree, or says why not.
    async fn remove(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<Removal, WorkspaceError>;

    /// Sessions that have a folder here, whatever became of them.
    async fn list(&self) -> Result<Vec<SessionId>, WorkspaceError>;

    /// Forgets removed folders that could be had back for long enough; returns how many.
    async fn purge_trash(&self) -> Result<usize, WorkspaceError>;
}
