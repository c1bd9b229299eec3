//! Runs the `git` program as a tool for objects, refs and trees, and as nothing else.
//!
//! Invariant: a repository cannot make git run a program: hooks, monitors, filters, drivers,
//! transports and prompts are off for every call (`shield`), and the environment is an allow-list.
//! Invariant: no call outlives its time limit or this process's interest in it: each has a process
//! group of its own, which is killed when the call is dropped.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::shield;
use crate::application::ports::clock::Clock;
use crate::application::ports::workspaces::WorkspaceError;

/// Longest time of one call; trees of millions of files take minutes.
const TIME_LIMIT: Duration = Duration::from_mins(10);
/// How long another git program is given before a step that it stood in the way of is tried again.
const PAUSE: Duration = Duration::from_millis(150);
/// Largest answer that is kept in memory.
pub(super) const OUTPUT_LIMIT: usize = 64 << 20;
/// What of the caller's environment reaches git: where programs and the user's own settings lie.
const INHERITED: [&str; 5] = ["PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "SystemRoot"];
const IDENTITY: (&str, &str) = ("Industrial Orchestrator", "orchestrator@localhost");

/// The program, and what each call of it needs.
#[derive(Clone)]
pub(super) struct Git {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    clock: Arc<dyn Clock>,
}

/// What a call printed.
#[derive(Debug)]
pub(super) struct Output {
    status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    stderr: String,
    /// Whether standard output was cut at the limit.
    pub truncated: bool,
}

/// One call in the making.
#[derive(Default)]
pub(super) struct Call {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    stdin: Vec<u8>,
    limit: Option<usize>,
}

impl Call {
    /// A call with these arguments.
    pub(super) fn new<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let arguments = arguments.into_iter().map(|part| part.as_ref().to_owned()).collect();
        Self { arguments, ..Self::default() }
    }

    /// The subcommand.
    pub(super) fn name(&self) -> String {
        self.arguments.first().map_or_else(String::new, |part| part.to_string_lossy().into_owned())
    }

    /// Variables that are there already as git wants them.
    pub(super) fn envs(mut self, variables: &[(OsString, OsString)]) -> Self {
        self.environment.extend(variables.iter().cloned());
        self
    }

    /// The folder to work in, when none was given.
    pub(super) fn folder_if_none(mut self, folder: &Path) -> Self {
        self.folder.get_or_insert_with(|| folder.to_owned());
        self
    }

    /// One more argument.
    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Bytes for standard input.
    pub(super) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    /// A variable.
    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The index to work on instead of the worktree's own.
    pub(super) fn index(self, index: &Path) -> Self {
        self.env("GIT_INDEX_FILE", index)
    }

    /// The folder to work in.
    pub(super) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Keeps no more than this many bytes of the answer and ends the call there.
    pub(super) const fn limit(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self
    }
}

impl Output {
    /// The exit code; 128 and more for a call that did not work at all.
    pub(super) fn code(&self) -> i32 {
        self.status.code().unwrap_or(255)
    }

    /// What git complained about, shortened for people.
    pub(super) fn complaint(&self) -> String {
        let text = self.stderr.trim();
        let text = text.strip_prefix("fatal: ").or(text.strip_prefix("error: ")).unwrap_or(text);
        text.chars().take(500).collect()
    }

    /// Whether the call found that another git program is at work at the same place, or was.
    pub(super) fn lost_a_race(&self) -> bool {
        let text = &self.stderr;
        text.contains(".lock': File exists") || text.contains("cannot lock ref")
    }

    /// The first line of the answer.
    pub(super) fn line(&self) -> String {
        String::from_utf8_lossy(&self.stdout).lines().next().unwrap_or_default().to_owned()
    }

    /// The parts of an answer that separates them by NUL.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.stdout.split(|byte| *byte == 0).filter(|part| !part.is_empty())
    }
}

impl Git {
    /// The program at this path, or of this name on the search path.
    pub(super) fn new(program: PathBuf, clock: Arc<dyn Clock>) -> Self {
        let environment = std::env::vars_os()
            .filter(|(name, _)| INHERITED.iter().any(|allowed| name == allowed))
            .collect();
        Self { program, environment, clock }
    }

    /// Runs a call; an exit code is an answer, everything else an error.
    pub(super) async fn run(&self, call: Call) -> Result<Output, WorkspaceError> {
        let name = call.name();
        let limit = call.limit.unwrap_or(OUTPUT_LIMIT);
        let mut child =
            self.command(&call).spawn().map_err(|error| failed(unable(&call, &error)))?;
        let group = Group::of(&child);
        let talk = converse(&mut child, call.stdin, limit);
        let output = tokio::select! {
            output = talk => output,
            () = self.clock.sleep(TIME_LIMIT) => {
                Err(std::io::Error::other("it took too long and was ended"))
            }
        };
        if output.is_ok() {
            group.release();
        }
        output.map_err(|error| failed(format!("git {name}: {error}")))
    }

    /// Waits a moment for another git program to end.
    pub(super) async fn pause(&self) {
        self.clock.sleep(PAUSE).await;
    }

    fn command(&self, call: &Call) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--no-pager").arg("--literal-pathspecs");
        for (key, value) in shield::SETTINGS {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        command.args(&call.arguments).envs(shield::ENVIRONMENT);
        let date = format!("@{} +0000", self.clock.now().millis() / 1000);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), IDENTITY.0);
            command.env(format!("GIT_{role}_EMAIL"), IDENTITY.1);
            command.env(format!("GIT_{role}_DATE"), &date);
        }
        command.envs(call.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(call.folder.as_deref().unwrap_or(Path::new("/")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// Why the program did not start: the operating system names neither the program nor the folder.
fn unable(call: &Call, error: &std::io::Error) -> String {
    match call.folder.as_deref() {
        Some(folder) if !folder.is_dir() => format!("the folder {} is gone", folder.display()),
        _ => format!("git cannot be run: {error}; is it installed?"),
    }
}

/// Talks to the child until it ends: all three pipes at once, so that none can block another.
async fn converse(child: &mut Child, input: Vec<u8>, limit: usize) -> std::io::Result<Output> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut pipe) = stdin {
            // A child that ends without reading everything says why in its exit code.
            drop(pipe.write_all(&input).await);
        }
    };
    let group = Group::of(child);
    let read = async {
        let answer = read_up_to(stdout, limit).await;
        if matches!(&answer, Ok((_, true))) {
            drop(group);
        } else {
            group.release();
        }
        answer
    };
    let ((), stdout, stderr) = tokio::join!(write, read, read_up_to(stderr, 64 << 10));
    let status = child.wait().await?;
    let ((stdout, truncated), (stderr, _)) = (stdout?, stderr?);
    Ok(Output { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned(), truncated })
}

async fn read_up_to(
    pipe: Option<impl AsyncRead + Unpin>,
    limit: usize,
) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let Some(pipe) = pipe else { return Ok((bytes, false)) };
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    pipe.take(most).read_to_end(&mut bytes).await?;
    let truncated = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((bytes, truncated))
}

/// A process group that ends when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // A group that is gone already is what is wanted.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// Whether a text is a whole object id: nothing that git could read as anything else.
pub(super) fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The error of a step that git or the file system could not do.
pub(super) fn failed(message: impl Into<String>) -> WorkspaceError {
    WorkspaceError::Failed(message.into())
}
