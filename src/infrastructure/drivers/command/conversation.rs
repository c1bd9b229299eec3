//! What is remembered of conversations: by which name the agent knows each, and its newest prompt.
//!
//! Invariant: a prompt whose turn ended well is never given to a process again: its end is told from here.
//! Invariant: what stands here is durable before the next thing happens.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tracing::debug;
use uuid::Uuid;

use crate::application::ports::driver::{Continuation, DriverError};
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::private_file;

/// Conversations that are remembered; the oldest are forgotten, which only means that they begin anew.
const KEPT: usize = 2_000;
/// A note is never larger.
const NOTE_BYTES: u64 = 256 * 1024;

/// How far the newest prompt came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    /// It was given to a process.
    Begun,
    /// Its turn ended well, with these words.
    Done(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    /// The agent's own name for the conversation.
    agent: Option<String>,
    newest: Option<(Uuid, Progress)>,
}

/// One conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    id: Uuid,
    file: PathBuf,
    note: Note,
}

impl Conversation {
    /// The conversation that a run takes up, or a new one. A command cannot cut a conversation: what goes on
    /// from a checkpoint begins a new one, in a workspace that was put back.
    pub(super) async fn open(
        folder: &Path,
        from: &Continuation,
        fresh: Uuid,
    ) -> Result<Self, DriverError> {
        let id = match from {
            Continuation::Fresh | Continuation::CutAfter { handle: _, message_ref: _ } => fresh,
            Continuation::Same { handle } => read_handle(handle).ok_or_else(|| {
                DriverError::new(
                    ErrorType::AgentLost,
                    "this is no handle of a command's conversation",
                )
            })?,
        };
        let (folder, file) = (folder.to_owned(), folder.join(format!("{id}.json")));
        let place = file.clone();
        let note = blocking(move || {
            make_private(&folder)?;
            tidy(&folder);
            read(&place)
        });
        Ok(Self { id, file, note: note.await? })
    }

    /// What finds it again.
    pub(super) fn handle(&self) -> Value {
        json!({ "conversation": self.id })
    }

    /// Our own name for it.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// The agent's own name for it.
    pub(super) fn agent(&self) -> Option<&str> {
        self.note.agent.as_deref()
    }

    /// Whether it has had a prompt.
    pub(super) fn is_fresh(&self) -> bool {
        self.note.newest.is_none()
    }

    /// The end of a prompt whose turn ended well.
    pub(super) fn done(&self, prompt: Uuid) -> Option<&str> {
        match &self.note.newest {
            Some((newest, Progress::Done(text))) if *newest == prompt => Some(text),
            _ => None,
        }
    }

    /// Whether the prompt was given to a process that did not come to its end.
    pub(super) fn was_begun(&self, prompt: Uuid) -> bool {
        self.note.newest == Some((prompt, Progress::Begun))
    }

    pub(super) async fn begin(&mut self, prompt: Uuid) -> Result<(), DriverError> {
        self.note.newest = Some((prompt, Progress::Begun));
        self.keep().await
    }

    pub(super) async fn end(&mut self, prompt: Uuid, text: &str) -> Result<(), DriverError> {
        self.note.newest = Some((prompt, Progress::Done(text.to_owned())));
        self.keep().await
    }

    /// Notes by which name the agent knows it.
    pub(super) async fn named(&mut self, name: &str) -> Result<(), DriverError> {
        if self.note.agent.as_deref() == Some(name) {
            return Ok(());
        }
        self.note.agent = Some(name.to_owned());
        self.keep().await
    }

    async fn keep(&self) -> Result<(), DriverError> {
        let (file, bytes) = (self.file.clone(), json!(self.note).to_string());
        blocking(move || private_file::write(&file, bytes.as_bytes())).await
    }
}

fn read_handle(handle: &Value) -> Option<Uuid> {
    Uuid::try_parse(handle.get("conversation")?.as_str()?).ok()
}

/// One that is not there is a new one, and so is one that is damaged.
fn read(file: &Path) -> io::Result<Note> {
    let length = match std::fs::metadata(file) {
        Ok(about) => about.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Note::default()),
        Err(error) => return Err(error),
    };
    if length > NOTE_BYTES {
        return Ok(Note::default());
    }
    Ok(serde_json::from_slice(&std::fs::read(file)?).unwrap_or_default())
}

/// Forgets the oldest when there are too many.
fn tidy(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    if found.len() <= KEPT {
        return;
    }
    found.sort();
    // Some more than need be, so that this is not done each time.
    for (_, path) in found.iter().take(found.len() - KEPT + KEPT / 10) {
        if let Err(error) = std::fs::remove_file(path) {
            debug!(%error, "{} could not be removed", path.display());
        }
    }
}

/// Makes a folder that only its owner may look into.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Does something with files.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, DriverError> {
    let done = spawn_blocking(work).await.map_err(io::Error::other).flatten();
    done.map_err(|error| {
        let message = format!("what is kept of conversations with commands is not usable: {error}");
        DriverError::new(ErrorType::DispatchFailed, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(folder: &Path, from: &Continuation) -> Conversation {
        Conversation::open(folder, from, Uuid::from_u128(9)).await.expect("opened")
    }

    fn same(conversation: &Conversation) -> Continuation {
        Continuation::Same { handle: conversation.handle() }
    }

    #[tokio::test]
    async fn what_is_noted_is_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("notes");
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut made = open(&place, &Continuation::Fresh).await;
        assert!(made.is_fresh() && made.done(first).is_none() && !made.was_begun(first));
        made.begin(first).await.expect("noted");
        made.named("agents-own").await.expect("noted");
        let mut again = open(&place, &same(&made)).await;
        assert!(again.was_begun(first) && !again.was_begun(second) && !again.is_fresh());
        assert_eq!((again.agent(), again.done(first)), (Some("agents-own"), None));
        again.end(first, "over").await.expect("noted");
        let again = open(&place, &same(&made)).await;
        assert_eq!((again.done(first), again.done(second)), (Some("over"), None));
        assert!(!again.was_begun(first));
    }

    #[tokio::test]
    async fn a_cut_begins_anew_and_what_is_no_handle_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut made = open(folder.path(), &Continuation::Fresh).await;
        made.begin(Uuid::from_u128(1)).await.expect("noted");
        let cut = Continuation::CutAfter { handle: made.handle(), message_ref: None };
        let cut =
            Conversation::open(folder.path(), &cut, Uuid::from_u128(10)).await.expect("opened");
        assert!(cut.is_fresh() && cut.id() != made.id());
        for handle in
            [json!({ "session": "ses_1" }), json!({ "conversation": "../x" }), Value::Null]
        {
            let from = Continuation::Same { handle };
            let lost = Conversation::open(folder.path(), &from, Uuid::nil()).await;
            assert_eq!(lost.expect_err("lost").error_type, ErrorType::AgentLost);
        }
    }

    #[tokio::test]
    async fn a_damaged_note_is_a_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut made = open(folder.path(), &Continuation::Fresh).await;
        made.begin(Uuid::from_u128(1)).await.expect("noted");
        std::fs::write(&made.file, "{\"newest\": 7").expect("written");
        assert!(open(folder.path(), &same(&made)).await.is_fresh());
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..=KEPT {
            std::fs::write(folder.path().join(format!("{number}.json")), "").expect("written");
        }
        let oldest = std::fs::File::options().write(true).open(folder.path().join("7.json"));
        let oldest = oldest.expect("open");
        oldest.set_modified(SystemTime::UNIX_EPOCH).expect("dated");
        tidy(folder.path());
        let left = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert!(left <= KEPT && left > KEPT / 2 && !folder.path().join("7.json").exists());
    }
}
