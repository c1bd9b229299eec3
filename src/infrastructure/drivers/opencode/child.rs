//! One start of a supervised server: the process, and how it ends.
//!
//! Invariant: a server that answers without a password, or whose version we do not know, is killed
//! before anything is asked of it.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::Options;
use super::client::Client;
use super::layout::{Layout, USER};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::drivers::guard;
use crate::infrastructure::drivers::marker::{Marker, random_hex};
use crate::infrastructure::drivers::process::{Process, Start};
use crate::infrastructure::sandbox::{Confines, Reach};

/// What the server says when it listens.
const LISTENING: &str = "listening on ";

/// A running server process and everything that it starts.
pub(super) struct Child {
    process: Process,
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
    layout: &Layout,
    granted: &[PathBuf],
    clock: &Arc<dyn Clock>,
    tasks: &TaskTracker,
) -> Result<Started, DriverError> {
    let mut child = spawn(options, layout, granted, clock, tasks).await?;
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
pub(super) fn confines(
    options: &Options,
    layout: &Layout,
    granted: &[PathBuf],
) -> Option<Confines> {
    options.guard_command.as_ref()?;
    let own = [layout.root()].into_iter().chain(options.workspaces.as_deref());
    options.sandbox.around(own.chain(granted.iter().map(PathBuf::as_path)))
}

async fn spawn(
    options: &Arc<Options>,
    layout: &Layout,
    granted: &[PathBuf],
    clock: &Arc<dyn Clock>,
    tasks: &TaskTracker,
) -> Result<Spawned, DriverError> {
    let (prepared, shared) = (layout.clone(), Arc::clone(options));
    let confines = confines(options, layout, granted);
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
    let password = random_hex(32)?;
    let marker = Marker::fresh(&options.marker, &options.state_dir)?;
    options.redactor.learn([&password]);
    let environment = layout.environment(options, &password, &marker)?;
    let command = words(options)?;
    let mut secrets = vec![password.clone()];
    secrets.extend(options.env.iter().map(|(_, value)| value.clone()));
    let guard = options.guard_command.iter().flatten();
    let program = guard.chain(&command).next().cloned().unwrap_or_default();
    let start = Start {
        name: "OpenCode",
        guard_command: options.guard_command.as_deref(),
        confines: confines.as_ref(),
        marker,
        command,
        environment,
        folder: &layout.home(),
        secrets,
        reads: false,
    };
    let (process, output, errors) = start.spawn().map_err(|error| {
        failed(format!("cannot start {program}: {error}; is OpenCode installed?"))
    })?;
    // One line matters; more than this many before it, and the rest waits.
    let (listening, lines) = tokio::sync::mpsc::channel(16);
    if let (Some(output), Some(errors)) = (output, errors) {
        process.listen(output, tasks, Some(listening));
        process.listen(errors, tasks, None);
    }
    debug!(started_at = %clock.now(), "OpenCode server is starting");
    Ok(Spawned { process: Child { process }, lines, password, reach })
}

/// Program and arguments.
fn words(options: &Options) -> Result<Vec<String>, DriverError> {
    if options.command.is_empty() {
        return Err(failed("no command for OpenCode is set".to_owned()));
    }
    let serve = ["serve", "--hostname", "127.0.0.1", "--port", "0"].map(str::to_owned);
    Ok(options.command.iter().cloned().chain(serve).collect())
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
            return Err(failed(format!("OpenCode did not listen within {waited} s: {}", child.process.said())));
        }
    };
    let Some(address) = address else {
        child.process.hear_out(clock).await;
        return Err(failed(format!("OpenCode did not start: {}", child.process.said())));
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
            Ok(status) => format!("{status}: {}", self.process.said()),
            Err(error) => error.to_string(),
        }
    }

    /// What its processes carry, and the one that we started: the guard, or the server itself.
    pub(super) fn process_of(&self) -> Option<(String, u32)> {
        Some((self.process.marker().entry(), self.process.id()?))
    }

    /// Ends the server and everything that it started.
    pub(super) async fn kill(self, clock: &Arc<dyn Clock>, client: Option<&Client>) {
        if let Some(client) = client {
            // Lets it record its runs as aborted and end its tools; a deaf one is not waited for.
            if let Err(error) = client.dispose().await {
                debug!(%error, "OpenCode could not be told to end its runs");
            }
        }
        self.process.end(clock).await;
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

/// What a server and what it started weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weight {
    /// The server's process.
    pub(super) pid: Option<u32>,
    /// Resident memory of the server and what it keeps beside it.
    pub(super) server_bytes: u64,
    /// Resident memory of the tools of its agents.
    pub(super) tools_bytes: u64,
}

/// Weighs everything that carries the marker and hangs on this process of ours.
///
/// OpenCode gives each tool a session of its own, and itself stays in ours. What a tool takes is told apart from
/// the server: it is given back when the tool ends, and a server in its place would not change that.
pub(super) async fn weigh(marker: &str, keeper: u32) -> Weight {
    let marker = marker.to_owned();
    let weighed = spawn_blocking(move || {
        let mut weight = Weight::default();
        let ours = stat(keeper).map(|stat| stat.session);
        for pid in guard::marked(&marker) {
            let pid = pid.cast_unsigned();
            let (Some(Stat { parent, session }), Some(bytes)) = (stat(pid), resident_bytes(pid))
            else {
                continue;
            };
            if Some(session) != ours {
                weight.tools_bytes += bytes;
                continue;
            }
            weight.server_bytes += bytes;
            // Without a guard, the server itself is what we started.
            if parent == keeper || (pid == keeper && weight.pid.is_none()) {
                weight.pid = Some(pid);
            }
        }
        weight
    });
    weighed.await.unwrap_or_default()
}

struct Stat {
    parent: u32,
    session: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything, brackets too: state, parent, group and session follow.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat { parent, session })
}

fn resident_bytes(pid: u32) -> Option<u64> {
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
