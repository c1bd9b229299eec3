//! Merges that this process did not live to end: found at the next start and undone.
//!
//! Layout: `<root>/.merges/<id>` lies there from before the files of somebody's checkout are
//! touched until branch and files agree again: the top of the repository, the checkout, the branch,
//! and the commits it goes from and to, each ended by NUL.
//! Invariant: only what the merge itself brought is taken back, and only while the branch stands
//! where it stood before.

use std::path::{Path, PathBuf};

use super::checkout::{self, Move};
use super::git::{Git, failed};
use super::places::Places;
use super::repository::{Repository, os_text};
use super::turns::Turns;
use crate::application::ports::workspaces::WorkspaceError;

/// What says that a merge is under way.
pub(super) struct Note(PathBuf);

impl Note {
    /// Writes it; `file` does not exist yet.
    pub(super) async fn write(
        file: PathBuf,
        top: &Path,
        checkout: &Path,
        base: &Move<'_>,
    ) -> Result<Self, WorkspaceError> {
        let parts = [top.as_os_str().as_encoded_bytes(), checkout.as_os_str().as_encoded_bytes()];
        let rest = [base.full, base.old, base.new].map(str::as_bytes);
        let mut text = parts.into_iter().chain(rest).collect::<Vec<_>>().join(&0);
        text.push(0);
        tokio::fs::write(&file, text)
            .await
            .map_err(|error| failed(format!("the merge cannot be noted: {error}")))?;
        Ok(Self(file))
    }

    /// Branch and files agree.
    pub(super) async fn done(self) {
        if let Err(error) = tokio::fs::remove_file(&self.0).await {
            tracing::warn!(%error, "The note of a merge stays: {}", self.0.display());
        }
    }
}

/// Undoes what an earlier process left half done. What cannot be undone now is said and tried again
/// at the next start.
pub(super) async fn settle(git: &Git, places: &Places, turns: &Turns) {
    let Ok(mut entries) = tokio::fs::read_dir(places.merges()).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let file = entry.path();
        let Ok(text) = tokio::fs::read(&file).await else { continue };
        match undo(git, places, turns, &file, &text).await {
            Ok(()) => Note(file).done().await,
            Err(error) => {
                tracing::warn!(%error, "A merge that was interrupted stays: {error}");
            }
        }
    }
}

async fn undo(
    git: &Git,
    places: &Places,
    turns: &Turns,
    file: &Path,
    text: &[u8],
) -> Result<(), WorkspaceError> {
    let parts: Vec<&[u8]> = text.split(|byte| *byte == 0).collect();
    let texts: Vec<_> = parts.iter().map(|part| str::from_utf8(part).unwrap_or_default()).collect();
    // One that was not written to its end is from before anything was touched.
    let ([top, _, full, old, new, _], Some(folder)) = (texts.as_slice(), parts.get(1)) else {
        return Ok(());
    };
    let Some(repository) = Repository::known(git, places, top).await? else { return Ok(()) };
    let _turn = turns.take(&repository.place.git_dir).await;
    let folder = Path::new(os_text(folder));
    // A merge of this process has ended meanwhile, or the checkout is gone.
    if !tokio::fs::try_exists(file).await.unwrap_or(true) || !folder.is_dir() {
        return Ok(());
    }
    let now = repository.place.resolve(full).await?;
    if now.as_deref() == Some(*old) {
        let checkout = checkout::open(git, &repository, folder).await?;
        checkout::take_back(git, &checkout, &Move { full, old, new }).await?;
        tracing::warn!(
            "A merge into {full} in {} was interrupted; it was undone: merge again",
            folder.display()
        );
    } else if now.as_deref() != Some(*new) {
        tracing::warn!(
            "A merge into {full} in {} was interrupted, and the branch has moved since: what \
             `git diff {old} {new}` shows may be left there",
            folder.display()
        );
    }
    Ok(())
}
