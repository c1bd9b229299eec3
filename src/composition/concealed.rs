//! Secrets of our environment, out of sight of the programs that we start.
//!
//! What a process was started with can be read for as long as it lives, by whoever runs as the same user: in
//! `/proc/<pid>/environ`, where removing a variable changes nothing. So a server that was started with
//! secrets starts itself anew in the same process, without them, and hands them over in a file without
//! a name that is emptied as soon as it was read.
//!
//! Invariant: a server has no secret in its environment once it does anything, and none in an open file.
//! Invariant: settings see the variables as they were given.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::settings::{Environment, secrets};
use crate::presentation::cli::args::Cli;
use crate::presentation::cli::output::Printer;

/// Says to the process that starts anew which of its descriptors holds what was taken away.
const HANDED: &str = "ORCHESTRATOR_HANDED_OVER";

/// Nobody but root reads our memory, our environment and our open files from here on, and no core file is
/// written. To be called before anything else is done.
pub fn close_to_others() {
    // A kernel without this is one on which nothing was promised.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
}

/// The variables of this process. One that serves may end here and go on as a new program in the same
/// process, without those that hold secrets.
#[must_use]
pub fn surroundings(cli: &Cli, given: impl Iterator<Item = (OsString, OsString)>) -> Environment {
    let mut given: Vec<(OsString, OsString)> = given.collect();
    let handed = given.iter().position(|(name, _)| name == HANDED).map(|at| given.remove(at).1);
    let taken = match handed {
        Some(number) => receive(&number),
        None if cli.serves() => {
            let (secret, open) = given.iter().cloned().partition(is_secret);
            hand_over(&secret, &open)
        }
        None => Ok(Vec::new()),
    };
    match taken {
        Ok(taken) => given.extend(taken),
        Err(error) => Printer::new(cli.globals.wants_json())
            .note(format!("secrets in the environment stay readable for agents: {error}")),
    }
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    given.into_iter().filter_map(text).collect()
}

fn is_secret((name, value): &(OsString, OsString)) -> bool {
    secrets::is_secret(&name.to_string_lossy(), &value.to_string_lossy())
}

type Variables = Vec<(OsString, OsString)>;

/// Goes on as a new program without the secrets; returns only when there are none, or when it cannot.
fn hand_over(secret: &Variables, open: &Variables) -> io::Result<Variables> {
    if secret.is_empty() {
        return Ok(Vec::new());
    }
    // Without close-on-exec, as it has to outlive this program.
    let mut file = File::from(memfd_create("handed-over", MemfdFlags::empty())?);
    for (name, value) in secret {
        for part in [name.as_bytes(), b"=", value.as_bytes(), b"\0"] {
            file.write_all(part)?;
        }
    }
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0(called).args(arguments).env_clear();
    command.envs(open.iter().map(|(name, value)| (name, value)));
    command.env(HANDED, file.as_raw_fd().to_string());
    Err(command.exec())
}

/// Reads what was handed over, and leaves nothing behind. The descriptor itself is closed to every
/// program that we start.
fn receive(number: &OsStr) -> io::Result<Variables> {
    let number: u32 = number
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{HANDED} is set, which is not for people")))?;
    let path = format!("/proc/self/fd/{number}");
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    file.set_len(0)?;
    let variables = bytes.split(|byte| *byte == 0).filter_map(|entry| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        Some((text(&entry[..at]), text(&entry[at + 1..])))
    });
    Ok(variables.collect())
}
