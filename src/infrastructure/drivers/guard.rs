//! The guard between us and a child that starts processes of its own: when we die, they die.
//!
//! The guard is our own executable started a second time. It holds one end of a pipe; when the
//! other end closes, for whatever reason, it kills the child's process group and every process
//! that carries the marker in its environment. Tools of an agent lead groups of their own, so the
//! group alone is not enough.
//!
//! What the child is to see of an environment comes under other names: whoever chose it has no say in how the
//! guard itself is loaded, which nothing confines.
//!
//! On its way it puts the child into its sandbox and under its limits; the guard itself stays outside, where
//! the child can neither end nor read it.
//!
//! Invariant: nothing is killed that does not carry exactly our marker, or is not in our child's
//! process group.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rand::TryRng as _;
use rand::rngs::SysRng;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use rustix::stdio::dup2_stdout;

use super::limits::Limits;
use crate::infrastructure::sandbox::Confines;

/// Exit code when the guard was used wrongly or the child could not be started.
const UNUSABLE: u8 = 127;
/// More bytes than this are not handed to a child.
const MOST_FED: usize = 4 * 1024 * 1024;
/// Exit code after the other end of the pipe was closed.
const ORPHANED: u8 = 137;
/// Stands before the names of the child's variables in the environment of the guard.
pub(super) const FOR_CHILD: &str = "ORCHESTRATOR_FOR_CHILD_";
/// Scans in a row; a process may fork while it is being looked for.
const SWEEPS: usize = 10;

enum News {
    PipeClosed,
    /// The child is to be asked to end.
    Asked,
    ChildEnded(std::io::Result<ExitStatus>),
}

/// What the child reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Nothing.
    None,
    /// What is written to us; its end is the end of both.
    Shared,
    /// So many bytes of it, before the end of its own standard input. Whatever comes after them asks the
    /// child to end.
    Fed(usize),
}

impl Input {
    /// The flags by which the guard is told.
    pub(super) fn flags(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Shared => vec!["--input".to_owned(), "program".to_owned()],
            Self::Fed(count) => vec!["--feed".to_owned(), count.to_string()],
        }
    }
}

/// What the guard is told.
struct Task<'a> {
    marker: &'a str,
    limits: Limits,
    confines: Option<Confines>,
    input: Input,
    program: &'a OsString,
    arguments: &'a [OsString],
}

impl<'a> Task<'a> {
    fn parse(mut words: &'a [OsString]) -> Option<Self> {
        let (mut marker, mut limits, mut confines) =
            (None::<&str>, Limits::default(), None::<Confines>);
        let mut input = Input::None;
        loop {
            match words {
                [dashes, program, arguments @ ..] if dashes == "--" => {
                    let marker = marker.filter(|marker| is_marker(marker))?;
                    return Some(Self { marker, limits, confines, input, program, arguments });
                }
                [flag, value, rest @ ..] => {
                    match flag.to_str()? {
                        "--marker" => marker = Some(value.to_str()?),
                        "--sandbox" => confines = Some(Confines::of(value)?),
                        "--hide" => confines.as_mut()?.hide(value),
                        "--own" => confines.as_mut()?.own(value),
                        "--input" if value == "program" => input = Input::Shared,
                        "--feed" => {
                            let count: usize = value.to_str()?.parse().ok()?;
                            input = Input::Fed(Some(count).filter(|count| *count <= MOST_FED)?);
                        }
                        flag => limits.set(flag, value.to_str()?)?,
                    }
                    words = rest;
                }
                _ => return None,
            }
        }
    }
}

/// The whole of the hidden sub-command: `guard --marker NAME=VALUE FLAG… -- PROGRAM ARGUMENT…`.
///
/// `arguments` begins after the word `guard`. Returns the exit code.
#[must_use]
pub fn guard_main(arguments: &[OsString]) -> u8 {
    let Some(mut task) = Task::parse(arguments) else { return UNUSABLE };
    let Some(confines) = &mut task.confines else { return run(&task, None) };
    match own_temp(confines) {
        Ok(temp) => {
            let code = run(&task, Some(&temp));
            // What cannot be removed is left to the system's own cleaning of temporary folders.
            std::fs::remove_dir_all(&temp).ok();
            code
        }
        Err(error) => {
            complain(&format!("no temporary folder can be made: {error}"));
            UNUSABLE
        }
    }
}

/// A temporary folder for this child alone: the usual one may be one that it cannot write to.
fn own_temp(confines: &mut Confines) -> std::io::Result<PathBuf> {
    let mut bytes = [0_u8; 16];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    let name = format!("orchestrator-{:032x}", u128::from_ne_bytes(bytes));
    let folder = std::env::temp_dir().canonicalize()?.join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    confines.own(folder.as_os_str());
    Ok(folder)
}

/// Starts the child where it belongs.
fn start(task: &Task<'_>, temp: Option<&Path>) -> Result<Child, String> {
    task.limits.put_in_force();
    let mut command = Command::new(task.program);
    let input = match task.input {
        Input::None => Stdio::null(),
        Input::Shared => Stdio::inherit(),
        Input::Fed(_) => Stdio::piped(),
    };
    command.args(task.arguments).stdin(input).process_group(0);
    name_variables(&mut command, task.marker);
    command.envs(temp.map(|temp| ("TMPDIR", temp)));
    let begin = |mut command: Command| {
        command.spawn().map_err(|error| {
            let program = Path::new(task.program).display();
            if error.kind() == ErrorKind::NotFound {
                format!("{program} is not installed")
            } else {
                format!("cannot start {program}: {error}")
            }
        })
    };
    let Some(confines) = &task.confines else { return begin(command) };
    // A thread of its own is confined, and what it starts; we have to see and to end all of that.
    let work = || confines.enter().and_then(|()| begin(command));
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err("the child could not be started".to_owned()))
}

/// Gives the child its own variables and the marker; where there are none, it sees what we see.
fn name_variables(command: &mut Command, marker: &str) {
    let own = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.as_bytes().strip_prefix(FOR_CHILD.as_bytes())?;
        Some((OsStr::from_bytes(name).to_owned(), value))
    });
    let mut own = own.peekable();
    if own.peek().is_some() {
        command.env_clear().envs(own).envs(marker.split_once('='));
    }
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

/// Asks every process that carries `NAME=VALUE` to end, but for one.
pub(super) fn terminate(marker: &str, except: Option<i32>) {
    signal_marked(marker, Signal::TERM, |pid| Some(pid) != except, &mut BTreeSet::new());
}

fn sweep_if(marker: &str, is_meant: impl Fn(i32) -> bool) -> usize {
    let mut killed = BTreeSet::new();
    for round in 0..SWEEPS {
        let found = signal_marked(marker, Signal::KILL, &is_meant, &mut killed);
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

fn run(task: &Task<'_>, temp: Option<&Path>) -> u8 {
    let mut child = match start(task, temp) {
        Ok(child) => child,
        Err(reason) => {
            complain(&reason);
            return UNUSABLE;
        }
    };
    let group = Pid::from_child(&child);
    // A child that closes its output has closed it: we do not keep it open.
    if let Ok(nowhere) = std::fs::File::options().write(true).open("/dev/null") {
        dup2_stdout(nowhere).ok();
    }
    // Two senders, three messages at most.
    let (news, inbox) = mpsc::sync_channel(3);
    let pipe = news.clone();
    let (input, stdin) = (task.input, child.stdin.take());
    std::thread::spawn(move || hear(input, stdin, &pipe));
    std::thread::spawn(move || news.send(News::ChildEnded(child.wait())).ok());
    let code = loop {
        match inbox.recv() {
            Ok(News::ChildEnded(Ok(status))) => break exit_code(status),
            Ok(News::ChildEnded(Err(_))) | Err(_) => break UNUSABLE,
            Ok(News::PipeClosed) => break ORPHANED,
            // One that is gone needs no asking.
            Ok(News::Asked) => drop(kill_process_group(group, Signal::TERM)),
        }
    };
    kill_process_group(group, Signal::KILL).ok();
    let swept = sweep(task.marker);
    if swept > 0 {
        complain(&format!("{swept} processes were left behind and are ended"));
    }
    code
}

/// Waits until the other end of our standard input is closed, and hands the child what is for it.
fn hear(input: Input, child: Option<ChildStdin>, news: &mpsc::SyncSender<News>) {
    if input == Input::Shared {
        wait_for_hang_up();
    } else {
        read_to_end(input, child, news);
    }
    news.send(News::PipeClosed).ok();
}

/// Leaves what comes in to the child.
fn wait_for_hang_up() {
    let stdin = std::io::stdin();
    // Nothing is asked for: that it was hung up is told anyway.
    let mut watched = [PollFd::new(&stdin, PollFlags::empty())];
    while matches!(poll(&mut watched, None), Ok(0) | Err(Errno::INTR)) {}
}

/// Reads the pipe to its end.
fn read_to_end(input: Input, child: Option<ChildStdin>, news: &mpsc::SyncSender<News>) {
    let mut stdin = std::io::stdin().lock();
    let mut may_ask = false;
    if let (Input::Fed(count), Some(mut into)) = (input, child) {
        may_ask = true;
        let mut bytes = Vec::new();
        stdin.by_ref().take(count as u64).read_to_end(&mut bytes).ok();
        // A child that does not read is waited for by nobody but this thread. What came in only in part, since who
        // wrote it is gone, is not told at all: the child has no time left for it, and half of it may mean anything.
        std::thread::spawn(move || {
            if bytes.len() == count {
                into.write_all(&bytes).ok();
            } else {
                loop {
                    std::thread::park();
                }
            }
        });
    }
    let mut nothing = [0_u8; 256];
    while matches!(stdin.read(&mut nothing), Ok(count) if count > 0) {
        if std::mem::take(&mut may_ask) {
            news.send(News::Asked).ok();
        }
    }
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

fn signal_marked(
    marker: &str,
    signal: Signal,
    is_meant: impl Fn(i32) -> bool,
    told: &mut BTreeSet<i32>,
) -> usize {
    let mut count = 0;
    for number in marked(marker).into_iter().filter(|pid| is_meant(*pid)) {
        let Some(pid) = Pid::from_raw(number) else { continue };
        // The handle is taken first and the environment read again, so that a number which was
        // given to another process in between is not hit.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if carries(number, marker) && pidfd_send_signal(&handle, signal).is_ok() {
            told.insert(number);
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
        let marker = "--marker A=0123456789abcdef";
        let with = |flags: &str| format!("{marker} {flags} -- true");
        let unknown = [
            "--sandbox off",
            "--hide /x",
            "--files many",
            "--file-mb",
            "--feed -1",
            "--feed 9999999",
            "--input x",
            "--x y",
        ]
        .map(with);
        let wrong = ["", "--marker", "--marker A=b -- true", marker, "--files 1024 -- true"];
        for wrong in wrong.into_iter().chain(unknown.iter().map(String::as_str)) {
            assert_eq!(guard_main(&words(wrong)), UNUSABLE, "{wrong}");
        }
    }
}
