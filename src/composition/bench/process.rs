//! The measured processes: started, watched, ended, and what the kernel says of them.
//!
//! Invariant: no child outlives the benchmark. A normal end kills it; when the benchmark itself is
//! killed, a guard notices that its pipe is closed and kills the child.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

/// The administrator's key of the measured server; it lives as long as its temporary folder.
pub(super) const KEY: &str = "iok_bench_0123456789abcdef0123456789abcdef";
/// How long a process may take until it is ready.
const READY: Duration = Duration::from_mins(1);
/// The kernel counts CPU time of processes in hundredths of a second, on every architecture.
const TICK_US: f64 = 10_000.0;

/// Limits against one client that asks for everything; a benchmark is such a client.
pub(super) const LIFTED: [(&str, &str); 7] = [
    ("ORCHESTRATOR_SERVER__REQUESTS_PER_SECOND", "0"),
    ("ORCHESTRATOR_SERVER__MAX_CONNECTIONS", "20000"),
    ("ORCHESTRATOR_SERVER__MAX_CONNECTIONS_PER_PEER", "20000"),
    ("ORCHESTRATOR_SERVER__MAX_SOCKETS", "20000"),
    ("ORCHESTRATOR_SERVER__MAX_SOCKETS_PER_TENANT", "20000"),
    ("ORCHESTRATOR_SERVER__MAX_SOCKETS_PER_KEY", "20000"),
    ("ORCHESTRATOR_STORE__QUEUE_CAPACITY", "4096"),
];

/// Which of the two is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The product.
    Server,
    /// The limit.
    Probe,
}

impl Side {
    /// For people and reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Probe => "probe",
        }
    }
}

/// A folder that goes when this is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new folder below the given one, or below the system's folder for such.
    pub(super) fn new(parent: Option<&Path>) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("orchestrator-bench-{}-{number}", std::process::id());
        let path = parent.map_or_else(std::env::temp_dir, Path::to_path_buf).join(name);
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system; there is nobody to tell.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A running process under measurement.
pub(super) struct Process {
    /// What it is.
    pub(super) side: Side,
    /// Where it answers HTTP.
    pub(super) address: SocketAddr,
    /// Where it takes sockets.
    pub(super) sockets: SocketAddr,
    pid: u32,
    child: Child,
    /// Closed by the kernel when this process ends, however it ends: the probe then ends too.
    _stdin: Option<ChildStdin>,
    guard: Option<Child>,
    /// Reads the rest of standard output, so that the child never waits for a reader.
    _drain: JoinSet<()>,
}

impl Process {
    /// Starts one side on a data directory and waits until it is ready.
    pub(super) async fn start(side: Side, folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        match side {
            Side::Server => command
                .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
                .arg(folder.join("server")),
            Side::Probe => command.args(["bench-probe", "--data-dir"]).arg(folder),
        };
        let log = folder.join(format!("{}.log", side.name()));
        // Nothing of the caller's environment configures what is measured.
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", folder)
            .env("ORCHESTRATOR_ADMIN_KEY", KEY)
            .env("ORCHESTRATOR_LOG", "warn")
            .env("ORCHESTRATOR_AGENTS__OPENCODE__ENABLED", "false")
            .envs(LIFTED.iter().map(|(key, value)| (*key, *value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true);
        let mut child = command.spawn().context("cannot start this executable again")?;
        let pid = child.id().context("the child ended at once")?;
        let guard = Some(guard(pid)?);
        let stdin = child.stdin.take();
        let mut lines =
            BufReader::new(child.stdout.take().context("the child has no output")?).lines();
        let first = tokio::time::timeout(READY, lines.next_line()).await;
        let explain = || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            format!("the {} did not become ready: {}", side.name(), last.join(" | "))
        };
        let Ok(Ok(Some(line))) = first else { anyhow::bail!(explain()) };
        let Some((address, sockets)) = parse_ready(&line) else {
            anyhow::bail!("{} (its first line was {line:?})", explain())
        };
        let mut drain = JoinSet::new();
        drain.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { side, address, sockets, pid, child, _stdin: stdin, guard, _drain: drain })
    }

    /// CPU time used so far, in microseconds; `None` where the kernel does not tell.
    pub(super) fn cpu_us(&self) -> Option<f64> {
        cpu_ticks(&std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?)
            .map(|ticks| ticks * TICK_US)
    }

    /// Resident memory in bytes; `None` where the kernel does not tell.
    pub(super) fn resident_bytes(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib * 1024.0)
    }

    /// Kills it without warning, as `kill -9` does, and waits until it is gone.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        // The guard first: afterwards the number may belong to somebody else.
        if let Some(mut guard) = self.guard.take() {
            guard.kill().await?;
        }
        self.child.kill().await?;
        Ok(())
    }
}

/// Waits for its standard input to end, then kills the process.
fn guard(pid: u32) -> anyhow::Result<Child> {
    Command::new("/bin/sh")
        .args([OsStr::new("-c"), OsStr::new("read -r _; kill -9 \"$1\""), OsStr::new("guard")])
        .arg(pid.to_string())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start /bin/sh")
}

/// The addresses in a ready line, written as JSON or for people.
fn parse_ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c)));
    let address = rest[..end.unwrap_or(rest.len())].parse().ok()?;
    let sockets = serde_json::from_str::<serde_json::Value>(line)
        .ok()
        .and_then(|ready| ready["sockets"].as_str()?.parse().ok());
    Some((address, sockets.unwrap_or(address)))
}

/// User and system time in `/proc/<pid>/stat`; the name in brackets may contain anything.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_is_read_in_both_forms() {
        let address: SocketAddr = "127.0.0.1:8123".parse().expect("as the test says");
        let json = r#"{"event":"ready","url":"http://127.0.0.1:8123","store":"redb"}"#;
        assert_eq!(parse_ready(json), Some((address, address)));
        let words = "Ready: http://127.0.0.1:8123/?login=abc";
        assert_eq!(parse_ready(words), Some((address, address)));
        let probe = r#"{"url":"http://127.0.0.1:8123","sockets":"127.0.0.1:9"}"#;
        assert_eq!(parse_ready(probe).expect("as the test says").1.port(), 9);
        assert_eq!(parse_ready("starting"), None);
    }

    #[test]
    fn cpu_time_is_found_behind_a_hostile_name() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(300.0));
        assert_eq!(cpu_ticks("nothing"), None);
    }

    #[test]
    fn a_folder_goes_with_its_owner() {
        let folder = Folder::new(None).expect("as the test says");
        let path = folder.path().to_path_buf();
        std::fs::write(path.join("x"), "y").expect("as the test says");
        drop(folder);
        assert!(!path.exists());
    }
}
