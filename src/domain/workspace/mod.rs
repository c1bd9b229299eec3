//! Where the work of a session happens, as data.

use crate::closed_enum;

closed_enum!(
    /// The three kinds of workspace.
    WorkspaceKind {
        None = "none",
        Directory = "directory",
        Git = "git",
    }
);

/// What the creator of a session asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WorkspaceSpec {
    /// No files; the agent gets an empty folder of its own.
    #[default]
    None,
    /// An existing directory, used as it is; nothing is saved or undone there.
    Directory {
        /// Absolute path.
        path: String,
    },
    /// A worktree of its own, on a branch of its own.
    Git {
        /// Absolute path of a repository or of a folder in its main worktree.
        repo: String,
        /// Branch, tag or commit to begin from; `HEAD` when omitted.
        base_ref: String,
        /// Branch to work on; `orchestrator/<code>` when omitted.
        branch: Option<String>,
    },
}

impl WorkspaceSpec {
    /// The kind alone.
    #[must_use]
    pub const fn kind(&self) -> WorkspaceKind {
        match self {
            Self::None => WorkspaceKind::None,
            Self::Directory { .. } => WorkspaceKind::Directory,
            Self::Git { .. } => WorkspaceKind::Git,
        }
    }
}

/// A workspace that was made: what is needed to find, compare and remove it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The kind.
    pub kind: WorkspaceKind,
    /// Absolute path that the agent works in.
    pub path: String,
    /// Top folder of the repository that the worktree belongs to; git only.
    pub repo: Option<String>,
    /// Branch of the worktree; git only.
    pub branch: Option<String>,
    /// Commit that the work began from; git only.
    pub base_commit: Option<String>,
    /// Branch that `base_ref` named, when it named one: where a merge goes; git only.
    pub base_branch: Option<String>,
}
