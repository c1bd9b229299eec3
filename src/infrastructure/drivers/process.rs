//! A program that we started: behind the guard when there is one, in a process group of its own, with an
//! environment that is complete as it is given.
//!
//! Invariant: after `end` no process carries the marker of this start.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::child::{behind, end, environment as guarded};
use super::guard::{self, Input};
use super::marker::Marker;
use crate::application::ports::clock::Clock;
use crate::infrastructure::sandbox::Confines;

/// Lines of its output that are kept for the reason of its end.
const KEPT_LINES: usize = 8;
/// Longest line of output that is kept whole.
const MAX_LINE_BYTES: u64 = 4096;

type Tail = Arc<Mutex<VecDeque<String>>>;

/// What is to be started.
pub(super) struct Start<'a> {
    /// What people call it.
    pub(super) name: &'static str,
    /// Our own executable and the word `guard`.
    pub(super) guard_command: Option<&'a [String]>,
    /// What it may reach; needs a guard.
    pub(super) confines: Option<&'a Confines>,
    pub(super) marker: Marker,
    /// Program and arguments; not empty.
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) folder: &'a Path,
    /// What is blanked when it is quoted.
    pub(super) secrets: Vec<String>,
    /// Whether it reads what is written to it; else that is kept for the guard alone.
    pub(super) reads: bool,
}

/// A running program and everything that it starts.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    guarded: bool,
    /// Closing it tells the guard to end the program, and the program to end itself.
    input: Option<ChildStdin>,
    marker: Marker,
    tail: Tail,
    /// Those who read what it says.
    ears: TaskTracker,
    secrets: Vec<String>,
}

impl Start<'_> {
    /// Starts it. What it says on standard output and error is to be listened to.
    pub(super) fn spawn(self) -> io::Result<(Process, Option<ChildStdout>, Option<ChildStderr>)> {
        let Self { name, guard_command, confines, marker, command, environment, .. } = self;
        let input = if self.reads { Input::Shared } else { Input::None };
        let words = match guard_command {
            Some(guard) => [behind(guard, &marker, confines, input), command].concat(),
            None => command,
        };
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .env_clear()
            .current_dir(self.folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if guard_command.is_some() {
            command.envs(guarded(environment, &marker));
        } else {
            // A guard must outlive us for the moment that it needs; a bare program must not.
            command.envs(environment).kill_on_drop(true);
        }
        let mut child = command.spawn()?;
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Process {
            name,
            child,
            guarded: guard_command.is_some(),
            input,
            marker,
            tail: Tail::default(),
            ears: TaskTracker::new(),
            secrets: self.secrets.into_iter().filter(|secret| secret.len() >= 6).collect(),
        };
        Ok((process, output, errors))
    }
}

impl Process {
    /// Keeps the last lines of this output; the first ones also go to `copy`.
    pub(super) fn listen(
        &self,
        output: impl AsyncRead + Unpin + Send + 'static,
        tasks: &TaskTracker,
        copy: Option<mpsc::Sender<String>>,
    ) {
        tasks.spawn(self.ears.track_future(drain(output, Arc::clone(&self.tail), copy)));
    }

    /// What is written here, the program reads. Once it is dropped, the program is ended.
    pub(super) fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    pub(super) const fn marker(&self) -> &Marker {
        &self.marker
    }

    /// The process that we started: the guard, or the program itself; `None` once it has ended.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it ends by itself.
    pub(super) async fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.wait().await
    }

    /// Waits for its last words, which may still be on their way; a grandchild that keeps the pipe
    /// is not waited for.
    pub(super) async fn hear_out(&self, clock: &Arc<dyn Clock>) {
        self.ears.close();
        tokio::select! {
            () = self.ears.wait() => {}
            () = clock.sleep(Duration::from_secs(1)) => {}
        }
    }

    /// Its last words, without secrets.
    pub(super) fn said(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.clean(tail.iter().map(String::as_str).collect::<Vec<_>>().join(" | "));
        if text.is_empty() {
            "it said nothing".to_owned()
        } else {
            text.chars().take(600).collect()
        }
    }

    /// A text without its secrets.
    pub(super) fn clean(&self, mut text: String) -> String {
        for secret in &self.secrets {
            text = text.replace(secret, "***");
        }
        text
    }

    /// Asks it and everything that it started to end; the guard stays.
    pub(super) async fn terminate(&self) {
        let (marker, guard) = (self.marker.entry(), self.child.id().filter(|_| self.guarded));
        let guard = guard.map(u32::cast_signed);
        if spawn_blocking(move || guard::terminate(&marker, guard)).await.is_err() {
            debug!("{} could not be asked to end", self.name);
        }
    }

    /// Ends it and everything that it started.
    pub(super) async fn end(mut self, clock: &Arc<dyn Clock>) {
        let (child, input) = (&mut self.child, self.input.take());
        let swept = end(child, input, self.guarded, &self.marker, clock.as_ref()).await;
        if swept > 0 {
            warn!(processes = swept, "Processes of {} were left behind and are ended", self.name);
        }
    }
}

/// Reads output to its end, keeping the last lines; the first ones also go to `copy`.
async fn drain(output: impl AsyncRead + Unpin, tail: Tail, mut copy: Option<mpsc::Sender<String>>) {
    let mut reader = BufReader::new(output);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
        let line = String::from_utf8_lossy(&bytes).trim().to_owned();
        if let Some(sender) = &copy
            && sender.try_send(line.clone()).is_err()
        {
            copy = None;
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_back(line);
        if tail.len() > KEPT_LINES {
            tail.pop_front();
        }
    }
}
