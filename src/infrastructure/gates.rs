//! Gates as child processes: a group of their own, behind the guard, ended at their time limit.
//!
//! Invariant: a command sees nothing of our environment but what is named here.
//! Invariant: nothing that it started is left when its run is over or dropped: the guard ends
//! whatever carries the marker of the run.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::gates::{GateRun, Gates};
use crate::domain::session::gates::{GateReport, KEPT_OUTPUT_BYTES};
use crate::domain::session::spec::Gate;
use crate::infrastructure::sandbox::{Sandbox, folders_of};

/// Where programs, tools and the user's own settings lie; secrets are not among them.
const INHERITED: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "JAVA_HOME",
    "GOPATH",
    "VIRTUAL_ENV",
];
/// Bytes of the end of its output that a run keeps.
const OUTPUT_BYTES: usize = 32 * 1024;
/// How long a guard that was told to end its child is given for it.
const GUARD_PATIENCE: Duration = Duration::from_secs(5);

/// Gates on this machine.
pub struct LocalGates {
    /// Our own executable as a guard; without it a gate is only a process group.
    guard: Option<Vec<String>>,
    /// What they may reach; needs a guard.
    sandbox: Sandbox,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl LocalGates {
    /// Gates behind this guard: program and first arguments.
    #[must_use]
    pub fn new(guard: Option<Vec<String>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { guard, sandbox: Sandbox::default(), clock, ids }
    }

    /// The same in a sandbox.
    #[must_use]
    pub fn within(self, sandbox: Sandbox) -> Self {
        Self { sandbox, ..self }
    }

    /// The flags by which the guard is told what a gate in this folder may reach.
    async fn confines(&self, folder: &Path) -> std::io::Result<Vec<String>> {
        let (sandbox, folder) = (self.sandbox.clone(), folder.to_owned());
        let look = move || {
            let beside = folders_of(&folder);
            let own = [folder.as_path()].into_iter().chain(beside.iter().map(PathBuf::as_path));
            sandbox.around(own).map(|confines| confines.flags()).unwrap_or_default()
        };
        Ok(tokio::task::spawn_blocking(look).await?)
    }

    fn command(&self, gate: &Gate, folder: &Path, confines: Vec<String>) -> Command {
        let marker = format!("ORCHESTRATOR_GATE={}", self.ids.uuid().simple());
        let mut words = self.guard.clone().unwrap_or_default();
        if !words.is_empty() {
            words.extend(["--marker".to_owned(), marker.clone()]);
            words.extend(confines);
            words.push("--".to_owned());
        }
        words.extend(gate.command.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().current_dir(folder);
        let inherited =
            std::env::vars_os().filter(|(name, _)| INHERITED.iter().any(|allowed| name == allowed));
        command.envs(inherited).env("TERM", "dumb").env("CI", "true");
        if let Some((name, value)) = marker.split_once('=') {
            command.env(name, value);
        }
        // The end of the pipe tells the guard that nobody waits any more.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(self.guard.is_none());
        command
    }
}

#[async_trait]
impl Gates for LocalGates {
    async fn run(&self, gate: &Gate, folder: &Path) -> GateRun {
        let began = self.clock.now();
        let confines = self.confines(folder).await;
        let started = confines.and_then(|confines| self.command(gate, folder, confines).spawn());
        let (exit_code, timed_out, output) = match started {
            Ok(child) => self.wait(child, gate).await,
            Err(error) => (None, false, format!("{} cannot be run: {error}", gate.command[0])),
        };
        let duration = self.clock.now().since(began);
        let report = GateReport {
            name: gate.name.clone(),
            required: gate.required,
            passed: exit_code == Some(0) && !timed_out,
            exit_code,
            timed_out,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            output: end_of(&output, KEPT_OUTPUT_BYTES).to_owned(),
        };
        GateRun { report, output }
    }
}

impl LocalGates {
    /// Exit code, whether its time was over, and what it printed.
    async fn wait(&self, mut child: Child, gate: &Gate) -> (Option<i32>, bool, String) {
        let lifeline = child.stdin.take();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut tail = Tail::default();
        let limit = Duration::from_secs(u64::from(gate.timeout_seconds));
        let in_time = {
            let ended = async {
                tail.read(out, err).await;
                child.wait().await
            };
            tokio::select! {
                ended = ended => Some(ended),
                () = self.clock.sleep(limit) => None,
            }
        };
        let Some(ended) = in_time else {
            drop(lifeline);
            tokio::select! {
                _ = child.wait() => {}
                () = self.clock.sleep(GUARD_PATIENCE) => {}
            }
            let note = format!("\n[ended after {} s]", gate.timeout_seconds);
            return (None, true, tail.text() + &note);
        };
        match ended {
            Ok(status) => (code_of(status), false, tail.text()),
            Err(error) => (None, false, format!("{}\n[{error}]", tail.text())),
        }
    }
}

fn code_of(status: ExitStatus) -> Option<i32> {
    status.code()
}

/// The end of a text, at a boundary of characters.
fn end_of(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// The end of what a command prints, both streams as they come.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    /// Reads both until they end.
    async fn read(
        &mut self,
        out: Option<impl AsyncRead + Unpin>,
        err: Option<impl AsyncRead + Unpin>,
    ) {
        let (Some(mut out), Some(mut err)) = (out, err) else { return };
        let (mut first, mut second) = ([0_u8; 4096], [0_u8; 4096]);
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            tokio::select! {
                read = out.read(&mut first), if out_open => match read {
                    Ok(count) if count > 0 => self.keep(&first[..count]),
                    _ => out_open = false,
                },
                read = err.read(&mut second), if err_open => match read {
                    Ok(count) if count > 0 => self.keep(&second[..count]),
                    _ => err_open = false,
                },
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let extra = self.0.len().saturating_sub(OUTPUT_BYTES);
        self.0.drain(..extra);
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}")
    }
}
