//! The hidden refs of a session: its checkpoints, what was rescued, and what it is about.
//!
//! Layout below `refs/orchestrator/<session id>/`: `about` → blob of JSON; `<n>` → checkpoint
//! commit, n from 1; `latest` → the newest of them; `rescue-<n>` → work kept before it was undone.

use serde::{Deserialize, Serialize};

use super::git::{Call, failed};
use super::place::Place;
use crate::application::ports::workspaces::WorkspaceError;
use crate::domain::ids::SessionId;

/// Line of a checkpoint's message that names the commit the branch stood at.
const HEAD_TRAILER: &str = "Branch-Head: ";

/// What a session's worktree was made from. Stored in the repository itself, so that it is found
/// again whatever was lost outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub branch: String,
    pub base_commit: String,
    pub base_branch: Option<String>,
}

/// The refs of one session in one repository.
pub(super) struct Refs<'a> {
    place: &'a Place,
    prefix: String,
}

impl<'a> Refs<'a> {
    pub(super) fn new(place: &'a Place, session: SessionId) -> Self {
        Self { place, prefix: format!("refs/orchestrator/{session}") }
    }

    /// What the session is about, once it was written.
    pub(super) async fn about(&self) -> Result<Option<About>, WorkspaceError> {
        let name = format!("{}/about", self.prefix);
        let Some(blob) = self.place.resolve(&name).await? else { return Ok(None) };
        let text = self.place.run(Call::new(["cat-file", "blob", &blob])).await?.stdout;
        let about = serde_json::from_slice(&text)
            .map_err(|error| failed(format!("the ref {name} is damaged: {error}")))?;
        Ok(Some(about))
    }

    /// Writes what the session is about.
    pub(super) async fn write_about(&self, about: &About) -> Result<(), WorkspaceError> {
        let text = serde_json::to_vec(about)
            .map_err(|error| failed(format!("a workspace cannot be described: {error}")))?;
        let call = Call::new(["hash-object", "-w", "-t", "blob", "--stdin"]).stdin(text);
        let blob = self.place.run(call).await?.line();
        let name = format!("{}/about", self.prefix);
        self.place.run(Call::new(["update-ref", "--end-of-options", &name, &blob])).await?;
        Ok(())
    }

    /// The newest checkpoint.
    pub(super) async fn latest(&self) -> Result<Option<String>, WorkspaceError> {
        self.place.resolve(&format!("{}/latest^{{commit}}", self.prefix)).await
    }

    /// Every ref of the session that is a commit: (name, commit).
    pub(super) async fn commits(&self) -> Result<Vec<(String, String)>, WorkspaceError> {
        let format = "--format=%(objecttype) %(objectname) %(refname)";
        let output = self.place.run(Call::new(["for-each-ref", format, &self.prefix])).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let commits = text.lines().filter_map(|line| line.strip_prefix("commit "));
        let pairs = commits.filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(commit, name)| (name.to_owned(), commit.to_owned())).collect())
    }

    /// Gives a checkpoint its number; the number and `latest` move together.
    pub(super) async fn add_checkpoint(&self, commit: &str) -> Result<(), WorkspaceError> {
        let number = self.next("").await?;
        let prefix = &self.prefix;
        let script = format!(
            "start\ncreate {prefix}/{number} {commit}\nupdate {prefix}/latest {commit}\ncommit\n"
        );
        self.place.run(Call::new(["update-ref", "--stdin"]).stdin(script.into_bytes())).await?;
        Ok(())
    }

    /// Keeps a commit under the next free rescue ref and returns its name.
    pub(super) async fn add_rescue(&self, commit: &str) -> Result<String, WorkspaceError> {
        let name = format!("{}/rescue-{}", self.prefix, self.next("rescue-").await?);
        let script = format!("start\ncreate {name} {commit}\ncommit\n");
        self.place.run(Call::new(["update-ref", "--stdin"]).stdin(script.into_bytes())).await?;
        Ok(name)
    }

    async fn next(&self, kind: &str) -> Result<u64, WorkspaceError> {
        let commits = self.commits().await?;
        let numbers = commits.iter().filter_map(|(name, _)| {
            name.rsplit_once('/')?.1.strip_prefix(kind)?.parse::<u64>().ok()
        });
        Ok(numbers.max().unwrap_or(0) + 1)
    }
}

/// The message of a checkpoint.
pub(super) fn checkpoint_message(message: &str, head: &str) -> String {
    format!("{}\n\n{HEAD_TRAILER}{head}\n", message.trim())
}

/// The commit that the branch stood at when a checkpoint was taken.
pub(super) async fn head_of(place: &Place, commit: &str) -> Result<Option<String>, WorkspaceError> {
    let output = place.run(Call::new(["cat-file", "commit", commit])).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let head = text.lines().rev().find_map(|line| line.strip_prefix(HEAD_TRAILER));
    match head {
        Some(head) if super::git::is_object_id(head) => {
            place.resolve(&format!("{head}^{{commit}}")).await
        }
        _ => Ok(None),
    }
}
