//! A git directory opened by its path: every call of the rooms beside this one goes through here.
//!
//! Invariant: nothing is looked for. Which repository, which worktree and which files a call works
//! on is said by absolute paths, whatever a `.git` in a folder claims.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::git::{Call, Git, Output, failed, is_object_id};
use super::shield;
use crate::application::ports::workspaces::WorkspaceError;

/// A git directory opened for calls, with its own settings disarmed.
#[derive(Clone)]
pub(super) struct Place {
    git: Git,
    /// The git directory: of the repository, or of one worktree.
    pub git_dir: PathBuf,
    /// The folder with the files, for calls that touch them.
    pub work_tree: Option<PathBuf>,
    shields: Vec<(OsString, OsString)>,
}

impl Place {
    /// Opens a git directory; reads the names of its settings and disarms those that run programs.
    pub(super) async fn open(
        git: &Git,
        git_dir: &Path,
        work_tree: Option<&Path>,
    ) -> Result<Self, WorkspaceError> {
        let mut place = Self {
            git: git.clone(),
            git_dir: git_dir.to_owned(),
            work_tree: work_tree.map(Path::to_owned),
            shields: Vec::new(),
        };
        let names = place.run(Call::new(["config", "--list", "--name-only", "-z"])).await?;
        place.shields = shield::against(names.parts());
        Ok(place)
    }

    /// Runs a call here; an exit code is an answer.
    pub(super) async fn ask(&self, call: Call) -> Result<Output, WorkspaceError> {
        let mut call = call.env("GIT_DIR", &self.git_dir);
        let folder = self.work_tree.as_ref().unwrap_or(&self.git_dir);
        if let Some(work_tree) = &self.work_tree {
            call = call.env("GIT_WORK_TREE", work_tree);
        }
        let call = call.envs(&self.shields).folder_if_none(folder);
        self.git.run(call).await
    }

    /// Runs a call here that must work.
    pub(super) async fn run(&self, call: Call) -> Result<Output, WorkspaceError> {
        let name = call.name();
        let output = self.ask(call).await?;
        if output.code() == 0 || output.truncated {
            return Ok(output);
        }
        Err(failed(format!("git {name} failed: {}", output.complaint())))
    }

    /// The first line that a call prints that must work.
    pub(super) async fn line<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, WorkspaceError> {
        Ok(self.run(Call::new(arguments)).await?.line())
    }

    /// The object that an expression names, when it names one.
    pub(super) async fn resolve(&self, expression: &str) -> Result<Option<String>, WorkspaceError> {
        let call = Call::new(["rev-parse", "--verify", "--quiet", "--end-of-options", expression]);
        let output = self.ask(call).await?;
        Ok((output.code() == 0).then(|| output.line()).filter(|id| is_object_id(id)))
    }

    /// The commit with this whole id, when there is one: no name, no abbreviation.
    pub(super) async fn commit(&self, id: &str) -> Result<Option<String>, WorkspaceError> {
        if !is_object_id(id) {
            return Ok(None);
        }
        self.resolve(&format!("{id}^{{commit}}")).await
    }

    /// Whether one commit is the other or comes before it.
    pub(super) async fn is_ancestor(&self, old: &str, new: &str) -> Result<bool, WorkspaceError> {
        Ok(self.ask(Call::new(["merge-base", "--is-ancestor", old, new])).await?.code() == 0)
    }
}
