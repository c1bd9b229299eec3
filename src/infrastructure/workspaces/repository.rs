//! A repository that somebody named: found, judged and opened.
//!
//! Invariant: a repository is looked for only where somebody said it is; everything later is opened
//! by its absolute path, so that a changed `.git` in a working tree leads nowhere else.

use std::path::{Path, PathBuf};

use super::git::{Call, Git};
use super::place::Place;
use super::places::{Places, canonical};
use crate::application::ports::workspaces::WorkspaceError;

const REPO: &str = "/workspace/repo";
const BASE: &str = "/workspace/base_ref";
const BRANCH: &str = "/workspace/branch";

/// A repository.
pub(super) struct Repository {
    /// Its git directory, opened.
    pub place: Place,
    /// What finds it again: the top of its main worktree, or the git directory of a bare one.
    pub top: PathBuf,
}

/// Where work begins.
pub(super) struct Base {
    pub commit: String,
    /// The branch that the base names.
    pub branch: Option<String>,
}

impl Repository {
    /// Finds the repository that holds a folder.
    pub(super) async fn find(
        git: &Git,
        places: &Places,
        repo: &str,
    ) -> Result<(Self, Place), WorkspaceError> {
        let folder = places.admitted(REPO, repo).await?;
        let question = [
            "rev-parse",
            "--path-format=absolute",
            "--is-bare-repository",
            "--git-common-dir",
            "--absolute-git-dir",
        ];
        let answer = git.run(Call::new(question).folder(&folder)).await?;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let mut lines = text.lines().skip(1);
        let (Some(common), Some(own), 0) = (lines.next(), lines.next(), answer.code()) else {
            return Err(invalid(REPO, refusal(repo, &answer.complaint())));
        };
        let common = canonical(Path::new(common)).await?;
        places.within_limits(REPO, &common).await?;
        let own = canonical(Path::new(own)).await?;
        places.within_limits(REPO, &own).await?;
        let here = Place::open(git, &own, None).await?;
        Ok((Self::at(git, common).await?, here))
    }

    /// Opens the repository that a workspace belongs to; `None` when it is gone.
    pub(super) async fn known(
        git: &Git,
        places: &Places,
        top: &str,
    ) -> Result<Option<Self>, WorkspaceError> {
        let top = Path::new(top);
        for candidate in [top.join(".git"), top.to_owned()] {
            let is_one = tokio::fs::metadata(candidate.join("objects")).await.is_ok()
                && tokio::fs::metadata(candidate.join("HEAD")).await.is_ok();
            if is_one {
                let common = canonical(&candidate).await?;
                places.within_limits(REPO, &common).await?;
                return Self::at(git, common).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn at(git: &Git, common: PathBuf) -> Result<Self, WorkspaceError> {
        let top = match common.parent() {
            Some(parent) if common.ends_with(".git") => parent.to_owned(),
            _ => common.clone(),
        };
        Ok(Self { place: Place::open(git, &common, None).await?, top })
    }

    /// What the base names, seen from the folder that was given.
    pub(super) async fn base(&self, here: &Place, base: &str) -> Result<Base, WorkspaceError> {
        if here.resolve("HEAD^{commit}").await?.is_none() && base == "HEAD" {
            let message = "the repository has no commit yet: make a first commit there";
            return Err(invalid(BASE, message));
        }
        let Some(commit) = here.resolve(&format!("{base}^{{commit}}")).await? else {
            let message = format!("no branch, tag or commit `{base}` is in the repository");
            return Err(invalid(BASE, message));
        };
        let call = Call::new(["rev-parse", "--verify", "--quiet", "--symbolic-full-name"])
            .arg("--end-of-options")
            .arg(base);
        let name = here.ask(call).await?.line();
        let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
        Ok(Base { commit, branch })
    }

    /// Whether a text can name a branch.
    pub(super) async fn check_branch_name(&self, branch: &str) -> Result<(), WorkspaceError> {
        let full = format!("refs/heads/{branch}");
        let well_formed = !branch.starts_with('-')
            && branch != "HEAD"
            && !branch.contains('\0')
            && self.place.ask(Call::new(["check-ref-format", &full])).await?.code() == 0;
        if well_formed {
            return Ok(());
        }
        Err(invalid(BRANCH, format!("`{branch}` cannot be the name of a branch")))
    }

    /// Whether a branch that exists may be worked on: only when it stands at the base and nobody
    /// else has it checked out.
    pub(super) async fn check_branch_free(
        &self,
        branch: &str,
        base: &str,
    ) -> Result<bool, WorkspaceError> {
        let full = format!("refs/heads/{branch}");
        let Some(head) = self.place.resolve(&full).await? else { return Ok(true) };
        let taken = self.worktree_of(&full).await?.is_some();
        Ok(head == base && !taken)
    }

    /// The folder of the worktree that has a branch checked out.
    pub(super) async fn worktree_of(&self, full: &str) -> Result<Option<PathBuf>, WorkspaceError> {
        Ok(self.worktrees_of(full).await?.into_iter().next())
    }

    /// The same for those whose files are still there.
    pub(super) async fn checkouts_of(&self, full: &str) -> Result<Vec<PathBuf>, WorkspaceError> {
        let mut folders = self.worktrees_of(full).await?;
        folders.retain(|folder| folder.is_dir());
        Ok(folders)
    }

    async fn worktrees_of(&self, full: &str) -> Result<Vec<PathBuf>, WorkspaceError> {
        let listed = self.place.run(Call::new(["worktree", "list", "--porcelain", "-z"])).await?;
        let (mut folder, mut found) = (None, Vec::new());
        for part in listed.parts() {
            if let Some(path) = part.strip_prefix(b"worktree ") {
                folder = Some(PathBuf::from(os_text(path)));
            } else if part.strip_prefix(b"branch ") == Some(full.as_bytes()) {
                found.extend(folder.take());
            }
        }
        Ok(found)
    }

    /// The git directory of the worktree in a folder, if the repository has registered one there.
    pub(super) async fn admin_of(&self, folder: &Path) -> Result<Option<PathBuf>, WorkspaceError> {
        let Ok(mut entries) = tokio::fs::read_dir(self.place.git_dir.join("worktrees")).await
        else {
            return Ok(None);
        };
        let wanted = folder.join(".git");
        while let Ok(Some(entry)) = entries.next_entry().await {
            let Ok(text) = tokio::fs::read(entry.path().join("gitdir")).await else { continue };
            let text = text.strip_suffix(b"\n").unwrap_or(&text);
            if Path::new(os_text(text)) == wanted {
                return Ok(Some(entry.path()));
            }
        }
        Ok(None)
    }
}

/// Bytes of git as the operating system's text.
pub(super) fn os_text(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// The error of a request that cannot be satisfied.
pub(super) fn invalid(pointer: &'static str, message: impl Into<String>) -> WorkspaceError {
    WorkspaceError::Invalid { pointer, message: message.into() }
}

/// What makes a merge impossible as things stand, and what helps.
pub(super) fn obstructed(message: impl Into<String>) -> WorkspaceError {
    WorkspaceError::Obstructed(message.into())
}

/// The error for a branch that belongs to somebody else.
pub(super) fn branch_taken(branch: &str) -> WorkspaceError {
    invalid(
        BRANCH,
        format!(
            "the branch `{branch}` exists already and holds other work: give another name as \
             `branch`, or continue that work with `base_ref` set to `{branch}`"
        ),
    )
}

fn refusal(repo: &str, complaint: &str) -> String {
    if complaint.contains("dubious ownership") {
        return format!(
            "{repo} belongs to another user: allow it with `git config --global --add \
             safe.directory {repo}`"
        );
    }
    if complaint.contains("not a git repository") {
        return format!(
            "{repo} is not a git repository: run `git init` there, or use a directory workspace"
        );
    }
    format!("{repo} cannot be opened: {complaint}")
}
