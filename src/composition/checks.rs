//! `doctor`: looks at everything that a session will need.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::encryption;
use super::graph::{opencode_options, sandbox_status};
use super::host::ThisMachine;
use super::opened::Opened;
use super::provider;
use super::settings::{Enabled, Settings};
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::driver::AgentDriver;
use crate::domain::ids::TenantId;
use crate::infrastructure::drivers::opencode::OpencodeDriver;
use crate::infrastructure::ids::SystemIds;
use crate::infrastructure::sandbox::Mode;
use crate::infrastructure::storage::redb::{OpenError, room};
use crate::presentation::cli::doctor::Check;

/// Free space below which new work is at risk.
const LOW_SPACE: u64 = 1 << 30;
/// The oldest git that computes merges without a working tree.
const GIT_FLOOR: (u32, u32) = (2, 38);

/// Every check, in the order in which a newcomer meets the problems.
pub(super) async fn checks(host: &ThisMachine, airgap: bool) -> Vec<Check> {
    let settings = match host.load() {
        Ok(settings) => settings,
        Err(error) => {
            return vec![Check::fail("configuration", error.message, "correct the settings")];
        }
    };
    let mut checks = vec![Check::ok("configuration", "valid")];
    checks.push(directory(&settings.server.data_dir));
    checks.push(space(&settings));
    checks.push(store(host, &settings).await);
    checks.push(port(&settings));
    checks.extend(encryption::check(&settings.server, host.clock.now()));
    let clock_of_all = Arc::clone(&host.clock) as Arc<dyn Clock>;
    checks.extend(provider::check(&settings, clock_of_all).await);
    checks.push(clock(host.clock.as_ref()));
    checks.push(git(host).await);
    checks.push(sandbox(&settings));
    checks.push(opencode(host, &settings).await);
    if airgap {
        checks.push(offline(&settings));
    }
    checks
}

fn directory(dir: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = dir.display();
    let Ok(about) = std::fs::metadata(dir) else {
        return Check::ok(NAME, format!("{shown} is made at the first start"));
    };
    let (mode, owner) = (about.permissions().mode() & 0o777, about.uid());
    if owner != rustix::process::getuid().as_raw() {
        return Check::fail(NAME, format!("{shown} belongs to somebody else"), "use --data-dir");
    }
    if mode & 0o077 != 0 {
        let fix = format!("chmod -R go-rwx {shown}");
        return Check::fail(NAME, format!("{shown} is open to others ({mode:o})"), fix);
    }
    let probe = dir.join(".doctor");
    match std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => Check::ok(NAME, format!("{shown} is writable and private")),
        Err(error) => {
            let fix = "take a folder that you may write to: --data-dir DIR";
            Check::fail(NAME, format!("{shown} cannot be written: {error}"), fix)
        }
    }
}

fn space(settings: &Settings) -> Check {
    const NAME: &str = "disk space";
    let dir = &settings.server.data_dir;
    let existing = dir.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let Ok(room) = room(existing) else {
        return Check::warn(NAME, "could not be read", "look with df");
    };
    let fix = "free some, or move the data directory";
    if let Some(shortage) = settings.store.space().shortage(room) {
        return Check::fail(NAME, shortage, fix);
    }
    let text = format!("{:.1} GiB free", gibibytes(room.free));
    if room.free < LOW_SPACE {
        return Check::warn(NAME, text, fix);
    }
    Check::ok(NAME, text)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / (1_u64 << 30) as f64
}

async fn store(host: &ThisMachine, settings: &Settings) -> Check {
    const NAME: &str = "store";
    if !settings.server.data_dir.join("store.redb").exists() {
        return Check::ok(NAME, "is made at the first start");
    }
    let clock: Arc<dyn Clock> = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    match Opened::open(settings, &clock, &ids) {
        Ok(opened) => {
            let health = opened.store().health();
            opened.close().await;
            let size = gibibytes(health.file_bytes.unwrap_or(0));
            let text = format!("opens; {size:.3} GiB, {} records set aside", health.quarantined);
            if health.quarantined == 0 {
                return Check::ok(NAME, text);
            }
            Check::warn(NAME, text, "put back a copy, or go on without those records")
        }
        Err(held @ OpenError::Held { .. }) => Check::ok(NAME, format!("a server runs: {held}")),
        Err(error) => Check::fail(
            NAME,
            error.to_string(),
            super::server::unopened(&error).remedy.unwrap_or_default(),
        ),
    }
}

fn port(settings: &Settings) -> Check {
    const NAME: &str = "port";
    let address = settings.server.listen;
    match TcpListener::bind(address) {
        Ok(_) => Check::ok(NAME, format!("{address} is free")),
        Err(_) if settings.server.data_dir.join("server.json").exists() => {
            Check::ok(NAME, format!("{address} is taken; a server of this data directory runs"))
        }
        Err(error) => {
            let fix = "end that program, or choose another port with --listen";
            Check::warn(NAME, format!("{address} cannot be listened on: {error}"), fix)
        }
    }
}

fn clock(clock: &dyn Clock) -> Check {
    let now = clock.now();
    // 2026-01-01, before which no such server was built.
    if now.millis() < 1_767_225_600_000 {
        return Check::fail("clock", format!("says {now}"), "set the clock of this machine");
    }
    Check::ok("clock", now.to_string())
}

async fn git(host: &ThisMachine) -> Check {
    const NAME: &str = "git";
    let fix = "install git 2.38 or newer";
    let Some(text) = first_line(host, "git", &["--version"]).await else {
        return Check::fail(NAME, "is not installed", fix);
    };
    let mut numbers =
        text.split(|letter: char| !letter.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut number = || numbers.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let version = (number(), number());
    if version < GIT_FLOOR {
        return Check::fail(NAME, format!("{text} is too old to merge safely"), fix);
    }
    Check::ok(NAME, text)
}

fn sandbox(settings: &Settings) -> Check {
    const NAME: &str = "sandbox";
    let (mode, status) = (settings.agents.sandbox, sandbox_status(settings));
    let fix = "use a kernel with Landlock, or set agents.sandbox = \"off\" knowing what that means";
    match (mode, status.starts_with("none")) {
        (Mode::Off, _) => Check::warn(
            NAME,
            "off: agents and gates may read the server's keys and store, and each other's work",
            "set agents.sandbox = \"data\"",
        ),
        (Mode::Strict, true) => {
            Check::fail(NAME, format!("strict, which needs Landlock; {status}"), fix)
        }
        (Mode::Data, true) => Check::warn(NAME, status, fix),
        (Mode::Data | Mode::Strict, false) => Check::ok(NAME, format!("{mode}, {status}")),
    }
}

async fn opencode(host: &ThisMachine, settings: &Settings) -> Check {
    const NAME: &str = "opencode";
    if settings.opencode.enabled == Enabled::No {
        return Check::warn(NAME, "is switched off", "set agents.opencode.enabled = \"auto\"");
    }
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let clock: Arc<dyn Clock> = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let options = opencode_options(settings, &host.environment);
    let has_model =
        options.user_config.as_ref().is_some_and(|config| config.get("model").is_some())
            || options.auth.is_some()
            || !options.env.is_empty()
            || options.attach.is_some();
    let driver = OpencodeDriver::new(options, clock, tracker, &stop);
    match driver.probe(TenantId::SYSTEM, &Map::new()).await {
        Ok(report) if has_model => Check::ok(NAME, format!("version {}", report.version)),
        Ok(report) => Check::warn(
            NAME,
            format!("version {}, but no provider or model seems to be configured", report.version),
            "opencode auth login, or name a model in agents.opencode.config_file",
        ),
        Err(error) => {
            let fix = "npm install -g opencode-ai, or set agents.opencode.command";
            let check =
                if settings.opencode.enabled == Enabled::Yes { Check::fail } else { Check::warn };
            check(NAME, error.message, fix)
        }
    }
}

fn offline(settings: &Settings) -> Check {
    const NAME: &str = "air gap";
    match &settings.opencode.attach_url {
        Some(url)
            if !url.host_str().is_some_and(|host| host == "127.0.0.1" || host == "localhost") =>
        {
            Check::warn(
                NAME,
                format!("agents are attached at {url}"),
                "run OpenCode on this machine",
            )
        }
        _ => Check::ok(
            NAME,
            "the server itself connects to nothing; agents reach their model provider",
        ),
    }
}

async fn first_line(host: &ThisMachine, program: &str, arguments: &[&str]) -> Option<String> {
    let path = host.environment.get("PATH").map(|path| ("PATH", path));
    let mut command = Command::new(program);
    let output = command.args(arguments).env_clear().envs(path).kill_on_drop(true).output();
    let output = tokio::select! {
        output = output => output.ok()?,
        () = host.clock.sleep(Duration::from_secs(5)) => return None,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
