//! A process between the agent and its command: the command ends with the agent, also when that is killed
//! and can end nothing itself. What it does after that would be done twice, as somebody else has the work.

use std::ffi::OsString;
use std::io::{Error, Result};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use rustix::process::{
    Signal, getpid, getppid, kill_process_group, set_parent_process_death_signal,
};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// What makes this program a guard; the process of the agent and the command follow.
pub(crate) const WORD: &str = "--guard-of";

/// The guard of a command: first of a group of its own, in which everything is that the command starts.
pub(crate) fn guarded(program: &str, arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(std::process::id().to_string()).arg(program).args(arguments);
    command.process_group(0);
    Ok(command)
}

/// Runs the command, and ends as it ends.
pub(crate) async fn run(parent: &OsString, command: &[OsString]) -> ExitCode {
    match watched(parent, command).await {
        Ok(status) => {
            let code = status.code().or(status.signal().map(|signal| 128 + signal));
            ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => {
            eprintln!(
                "{}: {error}",
                command.first().map_or("".into(), |word| word.to_string_lossy())
            );
            ExitCode::FAILURE
        }
    }
}

async fn watched(parent: &OsString, command: &[OsString]) -> Result<ExitStatus> {
    let mut term = signal(SignalKind::terminate())?;
    // The kernel tells when the agent ends; it may have ended before it was asked to.
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let has_parent =
        getppid().is_some_and(|pid| parent == pid.as_raw_nonzero().to_string().as_str());
    let (Some((program, arguments)), true) = (command.split_first(), has_parent) else {
        return Err(Error::other("the agent has ended"));
    };
    let mut child = Command::new(program).args(arguments).spawn()?;
    tokio::select! {
        biased;
        _ = term.recv() => {
            kill_process_group(getpid(), Signal::KILL)?;
            child.wait().await
        }
        status = child.wait() => status,
    }
}
