//! One start of a supervised server: the process, and how it ends.
//!
//! Invariant: a server that answers without a password, or whose version we do not know, is killed
//! before anything is asked of it.
//! Invariant: after `kill` no process carries the marker of this start.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::Options;
use super::client::Client;
use super::layout::{Layout, Marker, USER, random_hex};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::drivers::guard;
use crate::infrastructure::sandbox::{Confines, Reach};

/// What the server says when it listens.
const LISTENING: &str = "listening on ";
/// Lines of its output that are kept for the reason of a failed start.
const KEPT_LINES: usize = 8;
/// Longest line of output that is kept whole.
const MAX_LINE_BYTES: u64 = 4096;

type Tail = Arc<Mutex<VecDeque<String>>>;

/// A running server process and everything that it starts.
pub(super) struct Child {
    process: tokio::process::Child,
    /// Closing it tells the guard to end the child; `None` without a guard.
    lifeline: Option<ChildStdin>,
    guarded: bool,
    marker: Marker,
    tail: Tail,
    /// Those who read what it says.
    ears: TaskTracker,
    secrets: Vec<String>,
}

/// A start that worked.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) client: Client,
    pub(super) version: String,
    /// What its sandbox lets it reach; `None` without one.
    pub(super) reach: Option<Reach>,
}

/// Starts a server that works in these folders too, and waits until it is ready and proven to be ours.
pub(super) async fn start(
    options: &Arc<Options>,
    granted: &[PathBuf],
    clock: &Arc<dyn Clock>,
    tasks: &TaskTracker,
) -> Result<Started, DriverError> {
    let mut child = spawn(options, granted, clock, tasks).await?;
    match greet(&mut child, options, clock).await {
        Ok((client, version)) => {
            Ok(Started { child: child.process, client, version, reach: child.reach })
        }
        Err(error) => {
            child.process.kill(clock, None).await;
            Err(error)
        }
    }
}

struct Spawned {
    process: Child,
    lines: tokio::sync::mpsc::Receiver<String>,
    password: String,
    reach: Option<Reach>,
}

/// The confines of a server that works in these folders too.
pub(super) fn confines(options: &Options, granted: &[PathBuf]) -> Option<Confines> {
    options.guard_command.as_ref()?;
    let layout = Layout::of(options);
    let own = [layout.root()].into_iter().chain(options.workspaces.as_deref());
    options.sandbox.around(own.chain(granted.iter().map(PathBuf::as_path)))
}

async fn spawn(
    options: &Arc<Options>,
    granted: &[PathBuf],
    clock: &Arc<dyn Clock>,
    tasks: &TaskTracker,
) -> Result<Spawned, DriverError> {
    let (layout, shared) = (Layout::of(options), Arc::clone(options));
    let prepared = layout.clone();
    let confines = confines(options, granted);
    let wanted = confines.clone();
    let prepare = move || {
        prepared.prepare(&shared)?;
        Ok(wanted.map(|confines| confines.reach()))
    };
    let reach = spawn_blocking(prepare)
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| failed(format!("cannot prepare the folders of OpenCode: {error}")))?;
    let (password, marker) = (random_hex(32)?, Marker::fresh(options)?);
    options.redactor.learn([&password]);
    let environment = layout.environment(options, &password, &marker)?;
    let (program, arguments) = words(options, &marker, confines.as_ref())?;
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir(layout.home())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if options.guard_command.is_none() {
        // A guard must outlive us for the moment that it needs; a bare server must not.
        command.kill_on_drop(true);
    }
    let mut process = command.spawn().map_err(|error| {
        failed(format!("cannot start {program}: {error}; is OpenCode installed?"))
    })?;
    let lifeline = process.stdin.take();
    // One line matters; more than this many before it, and the rest waits.
    let (listening, lines) = tokio::sync::mpsc::channel(16);
    let tail = Tail::default();
    let streams = (process.stdout.take(), process.stderr.take());
    let ears = TaskTracker::new();
    if let (Some(output), Some(errors)) = streams {
        tasks.spawn(ears.track_future(drain(output, Arc::clone(&tail), Some(listening))));
        tasks.spawn(ears.track_future(drain(errors, Arc::clone(&tail), None)));
    }
    ears.close();
    let mut secrets = vec![password.clone()];
    secrets.extend(options.env.iter().map(|(_, value)| value.clone()));
    secrets.retain(|secret| secret.len() >= 6);
    debug!(started_at = %clock.now(), "OpenCode server is starting");
    let guarded = options.guard_command.is_some();
    let process = Child { process, lifeline, guarded, marker, tail, ears, secrets };
    Ok(Spawned { process, lines, password, reach })
}

/// Program and arguments, through the guard when there is one.
fn words(
    options: &Options,
    marker: &Marker,
    confines: Option<&Confines>,
) -> Result<(String, Vec<String>), DriverError> {
    let mut all = options.guard_command.clone().unwrap_or_default();
    if !all.is_empty() {
        all.extend(["--marker".to_owned(), marker.entry()]);
        all.extend(confines.map(Confines::flags).unwrap_or_default());
        all.push("--".to_owned());
    }
    all.extend(options.command.iter().cloned());
    all.extend(["serve", "--hostname", "127.0.0.1", "--port", "0"].map(str::to_owned));
    if options.command.is_empty() {
        return Err(failed("no command for OpenCode is set".to_owned()));
    }
    let program = all.remove(0);
    Ok((program, all))
}

/// Waits for the listening line, then checks health, version and password.
async fn greet(
    spawned: &mut Spawned,
    options: &Options,
    clock: &Arc<dyn Clock>,
) -> Result<(Client, String), DriverError> {
    let child = &mut spawned.process;
    let address = tokio::select! {
        address = listening(&mut spawned.lines) => address,
        _ = child.process.wait() => None,
        () = clock.sleep(options.ready_timeout) => {
            let waited = options.ready_timeout.as_secs();
            return Err(failed(format!("OpenCode did not listen within {waited} s: {}", child.said())));
        }
    };
    let Some(address) = address else {
        // Its last words may still be on their way; a grandchild that keeps the pipe is not waited for.
        tokio::select! {
            () = child.ears.wait() => {}
            () = clock.sleep(Duration::from_secs(1)) => {}
        }
        return Err(failed(format!("OpenCode did not start: {}", child.said())));
    };
    let password = SecretString::from(spawned.password.clone());
    let client = Client::new(&address, USER, password, Arc::clone(clock))?;
    let version = checked_version(&client, options).await?;
    require_password(&client).await?;
    Ok((client, version))
}

/// The version of a healthy server, when it is one that we know.
pub(super) async fn checked_version(
    client: &Client,
    options: &Options,
) -> Result<String, DriverError> {
    let health = client.health(options.health_timeout).await?;
    if !health.healthy {
        return Err(failed("OpenCode says that it is not healthy".to_owned()));
    }
    let known = semver(&health.version).is_some_and(|(major, minor)| major == 1 && minor >= 18);
    if known {
        return Ok(health.version);
    }
    let version: String = health.version.chars().take(40).collect();
    Err(DriverError {
        retryable: false,
        ..failed(format!("OpenCode {version} is not supported; install 1.18.0 or a later 1.x"))
    })
}

async fn require_password(client: &Client) -> Result<(), DriverError> {
    let status = client.anonymous_status().await?;
    if status == reqwest::StatusCode::UNAUTHORIZED {
        return Ok(());
    }
    Err(DriverError {
        retryable: false,
        ..failed(format!(
            "OpenCode answered {status} to a call without a password instead of 401; it is not used"
        ))
    })
}

impl Child {
    /// Waits until the process ends by itself.
    pub(super) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => format!("{status}: {}", self.said()),
            Err(error) => error.to_string(),
        }
    }

    /// Resident memory of everything that carries the marker.
    pub(super) async fn memory_bytes(&self) -> u64 {
        let marker = self.marker.entry();
        spawn_blocking(move || guard::marked(&marker).into_iter().filter_map(resident_bytes).sum())
            .await
            .unwrap_or(0)
    }

    /// Ends the server and everything that it started.
    pub(super) async fn kill(mut self, clock: &Arc<dyn Clock>, client: Option<&Client>) {
        if let Some(client) = client {
            // Lets it record its runs as aborted and end its tools; a deaf one is not waited for.
            if let Err(error) = client.dispose().await {
                debug!(%error, "OpenCode could not be told to end its runs");
            }
        }
        let group = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        drop(self.lifeline.take());
        let ends_itself = self.guarded
            && tokio::select! {
                _ = self.process.wait() => true,
                () = clock.sleep(Duration::from_secs(3)) => false,
            };
        if let (false, Some(group)) = (ends_itself, group) {
            if let Err(error) = kill_process_group(group, Signal::KILL) {
                debug!(%error, "The process group of OpenCode was gone already");
            }
            self.process.wait().await.ok();
        }
        let marker = self.marker.entry();
        let swept = spawn_blocking(move || guard::sweep(&marker)).await.unwrap_or(0);
        if swept > 0 {
            warn!(processes = swept, "Processes of OpenCode were left behind and are ended");
        }
    }

    /// Its last words, without secrets.
    fn said(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = tail.iter().map(String::as_str).collect::<Vec<_>>().join(" | ");
        for secret in &self.secrets {
            text = text.replace(secret, "***");
        }
        if text.is_empty() {
            "it said nothing".to_owned()
        } else {
            text.chars().take(600).collect()
        }
    }
}

async fn listening(lines: &mut tokio::sync::mpsc::Receiver<String>) -> Option<String> {
    loop {
        let line = lines.recv().await?;
        let Some((_, address)) = line.split_once(LISTENING) else { continue };
        let port = url::Url::parse(address.trim()).ok()?.port()?;
        // The host that it names is not followed: we told it to listen here.
        return Some(format!("http://127.0.0.1:{port}"));
    }
}

/// Reads output to its end, keeping the last lines; the first ones also go to `copy`.
async fn drain(
    output: impl AsyncRead + Unpin,
    tail: Tail,
    mut copy: Option<tokio::sync::mpsc::Sender<String>>,
) {
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

fn resident_bytes(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn semver(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.split(['.', '-', '+']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn failed(message: String) -> DriverError {
    DriverError::new(ErrorType::DispatchFailed, message)
}
