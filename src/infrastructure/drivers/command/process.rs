//! One process of a command, behind its guard, from its start to its end.
//!
//! Invariant: a process that is to end is asked (SIGTERM for its group), and is killed a grace later,
//! whatever anybody else does meanwhile. After its end nothing carries the marker of its start.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::Host;
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::drivers::child::{behind, end, environment};
use crate::infrastructure::drivers::environment::Variables;
use crate::infrastructure::drivers::guard::Input;
use crate::infrastructure::drivers::marker::Marker;
use crate::infrastructure::sandbox::folders_of;

/// What is to be started.
pub(super) struct Launch {
    /// The program, absolute, and its arguments.
    pub(super) words: Vec<String>,
    /// What it reads from standard input before the end of it.
    pub(super) fed: Vec<u8>,
    pub(super) variables: Variables,
    pub(super) folder: PathBuf,
    /// What it may change beside that folder.
    pub(super) home: PathBuf,
}

/// A process that was started.
pub(super) struct Process {
    pub(super) out: ChildStdout,
    pub(super) err: ChildStderr,
    /// Told once it has ended, and all that it started.
    pub(super) ended: oneshot::Receiver<Ended>,
}

/// How a process ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: io::Result<ExitStatus>,
    /// Whether it was told to.
    pub(super) was_asked: bool,
}

/// Starts one. It ends when `stop` is cancelled; the tracker has it until it has.
pub(super) async fn start(
    host: &Arc<Host>,
    launch: Launch,
    stop: CancellationToken,
    tracker: &TaskTracker,
) -> Result<Process, DriverError> {
    let Launch { words, fed, mut variables, folder, home } = launch;
    let options = &host.options;
    let marker = Marker::fresh(&options.marker, &options.state_dir)?;
    let (sandbox, place) = (options.sandbox.clone(), folder.clone());
    let look = move || {
        let beside = folders_of(&place);
        let own = [place.as_path(), home.as_path()].into_iter();
        sandbox.around(own.chain(beside.iter().map(PathBuf::as_path)))
    };
    let confines = spawn_blocking(look).await.map_err(|_| {
        DriverError::new(ErrorType::Internal, "the working directory could not be looked at")
    })?;
    variables.mark(&marker);
    let input = Input::Fed(fed.len());
    let guard = behind(&options.guard_command, &marker, confines.as_ref(), input);
    let (program, arguments) =
        guard.split_first().ok_or_else(|| failed("no guard is set".to_owned()))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(words)
        .env_clear()
        .envs(environment(variables.checked("the command")?, &marker))
        .current_dir(folder)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process =
        command.spawn().map_err(|error| failed(format!("no process can be started: {error}")))?;
    let (Some(out), Some(err)) = (process.stdout.take(), process.stderr.take()) else {
        return Err(failed("the output of the process cannot be read".to_owned()));
    };
    let (tell, ended) = oneshot::channel();
    let keeper = Keeper { marker, clock: Arc::clone(&host.clock), grace: options.grace, stop };
    host.tasks.spawn(tracker.track_future(async move {
        // Whoever started it may be gone.
        tell.send(keeper.keep(process, &fed).await).ok();
    }));
    Ok(Process { out, err, ended })
}

/// Sees to the end of one process.
struct Keeper {
    marker: Marker,
    clock: Arc<dyn Clock>,
    grace: Duration,
    stop: CancellationToken,
}

impl Keeper {
    async fn keep(self, mut process: Child, fed: &[u8]) -> Ended {
        let mut lifeline = process.stdin.take();
        let told_to_end = async {
            tokio::select! {
                () = say(&mut lifeline, fed) => {}
                () = self.stop.cancelled() => {}
            }
            self.stop.cancelled().await;
        };
        let was_asked = tokio::select! {
            _ = process.wait() => false,
            () = told_to_end => true,
        };
        if was_asked {
            let waits = async {
                // The guard takes whatever comes after what is for the process as this.
                say(&mut lifeline, b"\n").await;
                process.wait().await
            };
            tokio::select! {
                _ = waits => {}
                () = self.clock.sleep(self.grace) => {}
            }
        }
        let swept = end(&mut process, lifeline, true, &self.marker, self.clock.as_ref()).await;
        if swept > 0 {
            debug!(processes = swept, "Processes of a command were left behind and are ended");
        }
        Ended { status: process.wait().await, was_asked }
    }
}

/// Writes to the guard. One that is gone needs nothing more.
async fn say(lifeline: &mut Option<ChildStdin>, bytes: &[u8]) {
    if let Some(pipe) = lifeline
        && let Err(error) = pipe.write_all(bytes).await
    {
        debug!(%error, "The guard of a command is gone");
    }
}

fn failed(message: String) -> DriverError {
    DriverError::new(ErrorType::DispatchFailed, message)
}
