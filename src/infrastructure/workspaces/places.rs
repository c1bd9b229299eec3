//! Which places on disk may be used, and where the product's own folders lie.
//!
//! Invariant: a path is compared only after every symbolic link in it was followed.
//! Invariant: nothing of a session lies outside `<root>`, and no session works in the data directory
//! or in a folder that holds it, except in the folder that is its own.

use std::path::{Component, Path, PathBuf};

use super::WorkspaceOptions;
use super::git::failed;
use super::ground::Ground;
use crate::application::ports::workspaces::WorkspaceError;
use crate::domain::ids::SessionId;

/// The folders of one installation.
pub(super) struct Places {
    root: PathBuf,
    allowed: Vec<PathBuf>,
    /// Whose ground is ours alone: the data directory, and the root.
    closed: Vec<PathBuf>,
}

impl Places {
    pub(super) fn new(options: &WorkspaceOptions) -> Self {
        let closed = options.closed.iter().chain([&options.root]).cloned().collect();
        Self { root: options.root.clone(), allowed: options.allowed_roots.clone(), closed }
    }

    /// The folder of a session.
    pub(super) fn of_session(&self, session: SessionId) -> PathBuf {
        self.root.join(session.to_string())
    }

    /// The private index that a session's snapshots are taken with.
    pub(super) fn shadow_index(&self, session: SessionId) -> PathBuf {
        self.root.join(".index").join(session.to_string())
    }

    /// Where removed folders wait to be forgotten.
    pub(super) fn trash(&self) -> PathBuf {
        self.root.join(".trash")
    }

    /// Where merges that are under way are noted.
    pub(super) fn merges(&self) -> PathBuf {
        self.root.join(".merges")
    }

    /// A folder for the needs of one call.
    pub(super) fn scratch(&self) -> PathBuf {
        self.root.join(".scratch")
    }

    /// Makes the product's own folders and returns the root without symbolic links.
    pub(super) async fn ready(&self) -> Result<PathBuf, WorkspaceError> {
        for folder in [".index", ".trash", ".scratch", ".merges"] {
            let folder = self.root.join(folder);
            // For their owner alone, and so is everything in them.
            let mut builder = tokio::fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(&folder).await;
            made.map_err(|error| failed(format!("the workspace folder cannot be made: {error}")))?;
        }
        canonical(&self.root).await
    }

    /// The folder that somebody named, followed to its end, if it may be used.
    pub(super) async fn admitted(
        &self,
        pointer: &'static str,
        path: &str,
    ) -> Result<PathBuf, WorkspaceError> {
        let invalid = |message: String| WorkspaceError::Invalid { pointer, message };
        let given = Path::new(path);
        if !given.is_absolute() {
            return Err(invalid("give an absolute path".to_owned()));
        }
        if path.contains('\0') || given.components().any(|part| part == Component::ParentDir) {
            let message = "give a path without `..` and without NUL".to_owned();
            return Err(WorkspaceError::NotAllowed { pointer, message });
        }
        let found = canonical(given)
            .await
            .map_err(|_| invalid(format!("there is no folder {path} that can be read")))?;
        if !tokio::fs::metadata(&found).await.is_ok_and(|about| about.is_dir()) {
            return Err(invalid(format!("{path} is not a folder")));
        }
        if found.to_str().is_none() {
            return Err(invalid("the path is not UTF-8; rename the folder".to_owned()));
        }
        self.within_limits(pointer, &found).await?;
        Ok(found)
    }

    /// Whether a path without symbolic links may be used.
    pub(super) async fn within_limits(
        &self,
        pointer: &'static str,
        found: &Path,
    ) -> Result<(), WorkspaceError> {
        let refused = |message: String| Err(WorkspaceError::NotAllowed { pointer, message });
        self.ready().await?;
        let (place, closed) = (found.to_owned(), self.closed.clone());
        let judged = tokio::task::spawn_blocking(move || refusal(&place, &closed)).await;
        let judged = judged.map_err(std::io::Error::other).flatten();
        let shown = found.display();
        match judged.map_err(|error| failed(format!("{shown} cannot be judged: {error}")))? {
            Some(reason) => return refused(reason.to_owned()),
            None if self.allowed.is_empty() => return Ok(()),
            None => {}
        }
        for allowed in &self.allowed {
            if canonical(allowed).await.is_ok_and(|allowed| found.starts_with(allowed)) {
                return Ok(());
            }
        }
        let allowed: Vec<_> = self.allowed.iter().map(|path| path.to_string_lossy()).collect();
        refused(format!("{shown} lies outside {}", allowed.join(", ")))
    }
}

/// Why nobody may work in a folder; `None` when they may.
fn refusal(place: &Path, closed: &[PathBuf]) -> std::io::Result<Option<&'static str>> {
    let ground = Ground::open(place)?;
    if ground.is_of_the_kernel(place)? {
        return Ok(Some("devices and the kernel's own files are no place to work in"));
    }
    for closed in closed {
        // What is not there yet cannot be worked in.
        let Ok(closed) = std::fs::canonicalize(closed).and_then(|path| Ground::open(&path)) else {
            continue;
        };
        if ground.lies_in(&closed)? {
            return Ok(Some("this place belongs to the orchestrator; choose another"));
        }
        if closed.lies_in(&ground)? {
            return Ok(Some(
                "the data directory of the orchestrator lies in this folder; choose one that does \
                 not hold it, or move the data directory",
            ));
        }
    }
    Ok(None)
}

/// A path with every symbolic link followed.
pub(super) async fn canonical(path: &Path) -> Result<PathBuf, WorkspaceError> {
    tokio::fs::canonicalize(path)
        .await
        .map_err(|error| failed(format!("{} cannot be opened: {error}", path.display())))
}

/// Whether something lies at this path, and that it is a folder and no link to one.
pub(super) async fn is_real_folder(path: &Path) -> Result<bool, WorkspaceError> {
    match tokio::fs::symlink_metadata(path).await {
        Ok(about) if about.is_dir() => Ok(true),
        Ok(_) => Err(failed(format!("{} is not a folder", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(format!("{} cannot be read: {error}", path.display()))),
    }
}
