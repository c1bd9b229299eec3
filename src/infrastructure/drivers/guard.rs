//! The guard between us and a child that starts processes of its own: when we die, they die.
//!
//! The guard is our own executable started a second time. It holds one end of a pipe; when the
//! other end closes, for whatever reason, it kills the child's process group and every process
//! that carries the marker in its environment. Tools of an agent lead groups of their own, so the
//! group alone is not enough.
//!
//! Invariant: nothing is killed that does not carry exactly our marker, or is not in our child's
//! process group.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

/// Exit code when the guard was used wrongly or the child could not be started.
const UNUSABLE: u8 = 127;
/// Exit code after the other end of the pipe was closed.
const ORPHANED: u8 = 137;
/// Scans in a row; a process may fork while it is being looked for.
const SWEEPS: usize = 10;

enum News {
    PipeClosed,
    ChildEnded(std::io::Result<ExitStatus>),
}

/// The whole of the hidden sub-command: `guard --marker NAME=VALUE -- PROGRAM ARGUMENT…`.
///
/// `arguments` begins after the word `guard`. Returns the exit code.
#[must_use]
pub fn guard_main(arguments: &[OsString]) -> u8 {
    let [flag, marker, dashes, command @ ..] = arguments else { return UNUSABLE };
    let (Some(marker), [program, rest @ ..]) = (marker.to_str(), command) else { return UNUSABLE };
    if flag != "--marker" || dashes != "--" || !is_marker(marker) {
        return UNUSABLE;
    }
    run(marker, program, rest)
}

/// Ends every process that carries `NAME=VALUE` in its environment; `VALUE` may end in `*`.
/// Returns how many there were. Blocks for up to a second.
#[must_use]
pub fn sweep(marker: &str) -> usize {
    sweep_if(marker, |_| true)
}

/// The same for those that work in a folder or below it. A process that went elsewhere stays until
/// all are ended.
#[must_use]
pub fn sweep_below(marker: &str, folder: &Path) -> usize {
    sweep_if(marker, |pid| {
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place.starts_with(folder))
    })
}

fn sweep_if(marker: &str, is_meant: impl Fn(i32) -> bool) -> usize {
    let mut killed = BTreeSet::new();
    for round in 0..SWEEPS {
        let found = kill_marked(marker, &is_meant, &mut killed);
        if found == 0 && round > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    killed.len()
}

/// Process ids that carry the marker now, ours excepted.
#[must_use]
pub fn marked(marker: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id().cast_signed();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own && carries(*pid, marker))
        .collect()
}

fn run(marker: &str, program: &OsString, arguments: &[OsString]) -> u8 {
    let started =
        Command::new(program).args(arguments).stdin(Stdio::null()).process_group(0).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let program = Path::new(program).display();
            complain(&if error.kind() == ErrorKind::NotFound {
                format!("{program} is not installed")
            } else {
                format!("cannot start {program}: {error}")
            });
            return UNUSABLE;
        }
    };
    let group = Pid::from_child(&child);
    // Two senders, one message each.
    let (news, inbox) = mpsc::sync_channel(2);
    let pipe = news.clone();
    std::thread::spawn(move || {
        let mut nothing = [0_u8; 256];
        let mut stdin = std::io::stdin().lock();
        while matches!(stdin.read(&mut nothing), Ok(count) if count > 0) {}
        pipe.send(News::PipeClosed).ok();
    });
    std::thread::spawn(move || news.send(News::ChildEnded(child.wait())).ok());
    let code = match inbox.recv() {
        Ok(News::ChildEnded(Ok(status))) => exit_code(status),
        Ok(News::ChildEnded(Err(_))) | Err(_) => UNUSABLE,
        Ok(News::PipeClosed) => ORPHANED,
    };
    kill_process_group(group, Signal::KILL).ok();
    let swept = sweep(marker);
    if swept > 0 {
        complain(&format!("{swept} processes were left behind and are ended"));
    }
    code
}

/// Tells whoever reads our standard error; nobody may be left to read it.
fn complain(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// A marker names a variable and has enough of a value to be nobody else's.
fn is_marker(marker: &str) -> bool {
    marker.split_once('=').is_some_and(|(name, value)| !name.is_empty() && value.len() >= 16)
}

fn kill_marked(marker: &str, is_meant: impl Fn(i32) -> bool, killed: &mut BTreeSet<i32>) -> usize {
    let mut count = 0;
    for number in marked(marker).into_iter().filter(|pid| is_meant(*pid)) {
        let Some(pid) = Pid::from_raw(number) else { continue };
        // The handle is taken first and the environment read again, so that a number which was
        // given to another process in between is not hit.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if carries(number, marker) && pidfd_send_signal(&handle, Signal::KILL).is_ok() {
            killed.insert(number);
            count += 1;
        }
    }
    count
}

fn carries(pid: i32, marker: &str) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|entry| match marker.strip_suffix('*') {
        Some(prefix) => entry.starts_with(prefix.as_bytes()),
        None => entry == marker.as_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(marker: &str) -> std::process::Child {
        let (name, value) = marker.split_once('=').expect("a marker");
        Command::new("sleep").arg("60").env(name, value).spawn().expect("sleep starts")
    }

    #[test]
    fn only_what_carries_the_marker_is_swept() {
        let nonce = std::process::id();
        let (ours, other) =
            (format!("SWEEP_TEST=aaaaaaaaaaaaaaaa:{nonce}"), format!("SWEEP_TEST=b{nonce}"));
        let (mut mine, mut theirs) = (sleeper(&ours), sleeper(&other));
        assert_eq!(sweep(&ours), 1);
        assert_eq!(mine.wait().expect("waited").signal(), Some(9));
        assert!(theirs.try_wait().expect("asked").is_none(), "an innocent process was killed");
        assert_eq!(sweep("SWEEP_TEST=b*"), 1);
        theirs.wait().expect("waited");
    }

    #[test]
    fn only_what_works_in_the_folder_is_swept_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().canonicalize().expect("it is there").join("inside");
        std::fs::create_dir(&inside).expect("made");
        let marker = format!("SWEEP_BELOW_TEST=aaaaaaaaaaaaaaaa:{}", std::process::id());
        let mut elsewhere = sleeper(&marker);
        let (name, value) = marker.split_once('=').expect("a marker");
        let mut below = Command::new("sleep");
        let below = below.arg("60").env(name, value).current_dir(&inside);
        let mut below = below.spawn().expect("sleep starts");
        assert_eq!(sweep_below(&marker, inside.parent().expect("its folder")), 1);
        assert_eq!(below.wait().expect("waited").signal(), Some(9));
        assert!(elsewhere.try_wait().expect("asked").is_none(), "it works elsewhere");
        assert_eq!(sweep(&marker), 1);
        elsewhere.wait().expect("waited");
    }

    #[test]
    fn wrong_use_is_refused() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for wrong in ["", "--marker", "--marker A=b -- true", "--x A=0123456789abcdef -- true"] {
            assert_eq!(guard_main(&words(wrong)), UNUSABLE, "{wrong}");
        }
    }
}
