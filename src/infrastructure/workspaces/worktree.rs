//! Worktrees of sessions: made, found again, and made anew after their folder was lost.
//!
//! Invariant: making one can be interrupted anywhere and called again. What is written first is the
//! ref that says what the session is about; everything after it is derived from that.
//! Invariant: whatever stands in the way of a worktree is moved to the trash, never overwritten.

use std::path::{Path, PathBuf};

use super::git::{Call, Git, failed};
use super::place::Place;
use super::places::{Places, is_real_folder};
use super::refs::{About, Refs, head_of};
use super::repository::{Repository, branch_taken, invalid};
use super::rescue::rescue_log;
use super::trash::Trash;
use crate::application::ports::workspaces::WorkspaceError;
use crate::domain::ids::SessionId;

/// Names tried when another session's branch has the default name.
const NAMES: u32 = 100;

/// The worktree of a session, opened.
pub(super) struct Worktree {
    /// The repository that it belongs to.
    pub repository: Repository,
    /// Its own git directory and folder.
    pub place: Place,
    /// Whose it is.
    pub session: SessionId,
    /// The index that snapshots are taken with.
    pub shadow: PathBuf,
}

/// What a worktree is to be.
pub(super) struct Wanted<'a> {
    pub session: SessionId,
    /// The branch that was asked for.
    pub branch: Option<&'a str>,
    /// The branch to take otherwise.
    pub default_branch: String,
    pub base_ref: &'a str,
    pub from_commit: Option<&'a str>,
}

impl Worktree {
    /// Opens the worktree of a session; `None` when it is not there.
    pub(super) async fn open(
        git: &Git,
        places: &Places,
        session: SessionId,
        repository: Repository,
    ) -> Result<Option<Self>, WorkspaceError> {
        let folder = places.ready().await?.join(session.to_string());
        if !is_real_folder(&folder).await? {
            return Ok(None);
        }
        let Some(admin) = repository.admin_of(&folder).await? else { return Ok(None) };
        let place = Place::open(git, &admin, Some(&folder)).await?;
        let shadow = places.shadow_index(session);
        Ok(Some(Self { repository, place, session, shadow }))
    }

    /// The refs of its session.
    pub(super) fn refs(&self) -> Refs<'_> {
        Refs::new(&self.repository.place, self.session)
    }

    /// Its folder.
    pub(super) fn folder(&self) -> Result<&Path, WorkspaceError> {
        self.place.work_tree.as_deref().ok_or_else(|| failed("a worktree without a folder"))
    }

    /// The commit that its HEAD stands at.
    pub(super) async fn head(&self) -> Result<String, WorkspaceError> {
        let head = self.place.resolve("HEAD^{commit}").await?;
        head.ok_or_else(|| failed("the branch of this worktree has no commit any more"))
    }

    /// The tree of a commit.
    pub(super) async fn tree_of(&self, commit: &str) -> Result<String, WorkspaceError> {
        let tree = self.place.resolve(&format!("{commit}^{{tree}}")).await?;
        tree.ok_or_else(|| invalid("/commit", format!("there is no commit {commit}")))
    }
}

/// Decides what a session's worktree is made from, once and for all.
pub(super) async fn settle(
    repository: &Repository,
    here: &Place,
    wanted: &Wanted<'_>,
) -> Result<About, WorkspaceError> {
    let refs = Refs::new(&repository.place, wanted.session);
    if let Some(about) = refs.about().await? {
        if wanted.branch.is_some_and(|branch| branch != about.branch) {
            let message = format!("this session works on the branch `{}` already", about.branch);
            return Err(invalid("/workspace/branch", message));
        }
        return Ok(about);
    }
    let base = repository.base(here, wanted.base_ref).await?;
    let base_commit = match wanted.from_commit {
        None => base.commit,
        Some(commit) => {
            let found = repository.place.commit(commit).await?;
            found.ok_or_else(|| invalid("/from_commit", "the repository has no such commit"))?
        }
    };
    let branch = choose_branch(repository, wanted, &base_commit).await?;
    let base_branch = base.branch.filter(|base| *base != branch);
    let about = About { branch, base_commit, base_branch };
    refs.write_about(&about).await?;
    Ok(about)
}

async fn choose_branch(
    repository: &Repository,
    wanted: &Wanted<'_>,
    base: &str,
) -> Result<String, WorkspaceError> {
    if let Some(branch) = wanted.branch {
        repository.check_branch_name(branch).await?;
        if repository.check_branch_free(branch, base).await? {
            return Ok(branch.to_owned());
        }
        return Err(branch_taken(branch));
    }
    // Another installation, or another tenant, may have used the same code in this repository.
    for number in 1..=NAMES {
        let name = match number {
            1 => wanted.default_branch.clone(),
            number => format!("{}-{number}", wanted.default_branch),
        };
        if repository.place.resolve(&format!("refs/heads/{name}")).await?.is_none() {
            return Ok(name);
        }
    }
    Err(branch_taken(&wanted.default_branch))
}

/// Makes the worktree that a session is about, or finds it.
pub(super) async fn make(
    git: &Git,
    places: &Places,
    trash: &Trash,
    repository: Repository,
    session: SessionId,
) -> Result<About, WorkspaceError> {
    let refs = Refs::new(&repository.place, session);
    let about = refs.about().await?.ok_or_else(|| failed("the session's own ref is gone"))?;
    let folder = places.ready().await?.join(session.to_string());
    if is_complete(git, &repository, &folder).await? {
        mend_link(&repository, trash, session, &folder).await?;
        return Ok(about);
    }
    let latest = refs.latest().await?;
    ensure_branch(&repository, &about, latest.as_deref()).await?;
    if tokio::fs::symlink_metadata(&folder).await.is_ok() {
        trash.take(&folder, &session.to_string()).await?;
    }
    forget(git, &repository, session, &folder).await?;
    let call = Call::new(["worktree", "add", "--no-checkout", "--quiet", "--"])
        .arg(&folder)
        .arg(&about.branch);
    repository.place.run(call).await?;
    let opened = Worktree::open(git, places, session, repository).await?;
    let worktree = opened.ok_or_else(|| failed("git made no worktree"))?;
    fill(&worktree, latest.as_deref()).await?;
    Ok(about)
}

/// Registered, there, and with its files: the index is what is written last.
async fn is_complete(
    git: &Git,
    repository: &Repository,
    folder: &Path,
) -> Result<bool, WorkspaceError> {
    let (true, Some(admin)) = (is_real_folder(folder).await?, repository.admin_of(folder).await?)
    else {
        return Ok(false);
    };
    if tokio::fs::symlink_metadata(admin.join("index")).await.is_err() {
        return Ok(false);
    }
    Ok(Place::open(git, &admin, Some(folder)).await?.resolve("HEAD^{commit}").await?.is_some())
}

/// Puts back the file that leads from the folder to its git directory, for those who look for it.
async fn mend_link(
    repository: &Repository,
    trash: &Trash,
    session: SessionId,
    folder: &Path,
) -> Result<(), WorkspaceError> {
    let Some(admin) = repository.admin_of(folder).await? else { return Ok(()) };
    let link = folder.join(".git");
    let wanted = [b"gitdir: ", admin.as_os_str().as_encoded_bytes(), b"\n"].concat();
    if let Ok(about) = tokio::fs::symlink_metadata(&link).await {
        if about.is_file() && tokio::fs::read(&link).await.is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        trash.take(&link, &format!("{session}-git")).await?;
    }
    tokio::fs::write(&link, wanted)
        .await
        .map_err(|error| failed(format!("the worktree cannot be mended: {error}")))
}

async fn ensure_branch(
    repository: &Repository,
    about: &About,
    latest: Option<&str>,
) -> Result<(), WorkspaceError> {
    let full = format!("refs/heads/{}", about.branch);
    if repository.place.resolve(&full).await?.is_some() {
        return Ok(());
    }
    let recorded = match latest {
        Some(latest) => head_of(&repository.place, latest).await?,
        None => None,
    };
    let start = recorded.as_ref().unwrap_or(&about.base_commit);
    let script = format!("start\ncreate {full} {start}\ncommit\n");
    repository.place.run(Call::new(["update-ref", "--stdin"]).stdin(script.into_bytes())).await?;
    Ok(())
}

/// Ends the registration of a worktree, and its folder if it is there; what only its log or its
/// index remembers is kept under the ref that is returned.
pub(super) async fn forget(
    git: &Git,
    repository: &Repository,
    session: SessionId,
    folder: &Path,
) -> Result<Option<String>, WorkspaceError> {
    let Some(admin) = repository.admin_of(folder).await? else { return Ok(None) };
    let place = Place::open(git, &admin, None).await?;
    let rescued = rescue_log(repository, &place, session).await?;
    let call = Call::new(["worktree", "remove", "--force", "--force", "--"]).arg(folder);
    repository.place.run(call).await?;
    Ok(rescued)
}

/// Fills a new worktree: with the newest checkpoint while the branch stands where it stood then,
/// else with the branch.
async fn fill(worktree: &Worktree, latest: Option<&str>) -> Result<(), WorkspaceError> {
    drop(tokio::fs::remove_file(&worktree.shadow).await);
    let head = worktree.head().await?;
    let tree = match latest {
        Some(latest) if head_of(&worktree.place, latest).await?.as_ref() == Some(&head) => latest,
        _ => head.as_str(),
    };
    let call = Call::new(["read-tree", "--reset", "-u", tree]).index(&worktree.shadow);
    worktree.place.run(call).await?;
    reset_index(worktree, &head).await
}

/// Sets the index that the agent sees to a commit; no file is touched.
pub(super) async fn reset_index(worktree: &Worktree, commit: &str) -> Result<(), WorkspaceError> {
    worktree.place.run(Call::new(["read-tree", "--reset", commit])).await?;
    // Exit code 1 only says that some files differ from the index.
    worktree.place.ask(Call::new(["update-index", "-q", "--refresh"])).await?;
    Ok(())
}
