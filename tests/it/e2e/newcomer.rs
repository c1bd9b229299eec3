//! What a newcomer does wrong on the command line: each is told what helps, with the documented
//! exit code, and never with a panic.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::{calculator, text};
use crate::support::scripted_llm::ScriptedLlm;
use crate::support::server::{Finished, Site};

/// The command was refused with this exit code, a message and a remedy that hold these words.
fn refused(told: &Finished, exit: i32, words: &[&str]) {
    assert_eq!(told.exit, exit, "{told:?}");
    for word in words {
        assert!(told.err.contains(word), "“{word}” is not in {told:?}");
    }
    for never in ["panicked", "stack backtrace", "RUST_BACKTRACE", "Error {"] {
        assert!(!told.err.contains(never), "{told:?}");
    }
}

#[tokio::test]
async fn places_that_a_server_cannot_have() {
    let (site, other) = (Site::simulated(), Site::simulated());
    let server = site.serve().await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let told = other.cli(&["serve", "--listen", &address]).await;
    refused(&told, 69, &["is taken", "--listen", "help: "]);
    let told = site.cli(&["serve"]).await;
    refused(&told, 75, &["help: "]);
    assert!(told.err.contains(&server.pid().as_raw_nonzero().to_string()), "{told:?}");
    server.stop().await;
    let file = site.root().join("file");
    std::fs::write(&file, "").expect("written");
    let below = file.join("data").display().to_string();
    let told = site.cli(&["serve", "--data-dir", &below]).await;
    refused(&told, 77, &["help: ", "--data-dir"]);
    let told = site.cli(&["serve", "--listen", "0.0.0.0:0"]).await;
    refused(&told, 78, &["0.0.0.0", "loopback"]);
    let open = site.root().join("open");
    std::fs::create_dir(&open).expect("made");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("opened");
    let told = site.cli(&["serve", "--data-dir", &open.display().to_string()]).await;
    refused(&told, 77, &["help: ", "chmod"]);
}

#[tokio::test]
async fn a_folder_that_belongs_to_somebody_else() {
    if !rustix::process::getuid().is_root() {
        // Only root can become somebody else.
        return;
    }
    let site = Site::simulated();
    let theirs = site.root().join("theirs");
    std::fs::create_dir(&theirs).expect("made");
    std::fs::set_permissions(site.root(), std::fs::Permissions::from_mode(0o755)).expect("opened");
    let inside = theirs.join("data").display().to_string();
    let binary = site.root().join("orchestrator");
    std::fs::copy(env!("CARGO_BIN_EXE_orchestrator"), &binary).expect("a copy to run");
    let mut command = tokio::process::Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", &inside]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", site.root()).kill_on_drop(true);
    let told = crate::support::server::finish(command).await;
    refused(&told, 77, &["help: ", "--data-dir"]);
}

#[tokio::test]
async fn folders_that_cannot_be_worked_on() {
    let (site, repo) = (Site::simulated(), calculator());
    let run = async |dir: &Path| {
        site.cli(&["run", "Do it.", "--dir", dir.to_str().expect("UTF-8")]).await
    };
    let plain = site.root().join("plain");
    std::fs::create_dir(&plain).expect("made");
    refused(&run(&plain).await, 64, &["not in a git repository", "git init", "--no-git"]);
    refused(&run(&site.root().join("nowhere")).await, 64, &["cannot be used", "help: "]);
    repo.write("calc.py", b"changed");
    refused(&run(repo.path()).await, 1, &["not committed", "--allow-dirty"]);
    assert!(!site.data().exists(), "a refused command leaves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_are_not_there_or_have_no_model() {
    let repo = calculator();
    let site = Site::bare().with("AGENTS__OPENCODE__COMMAND", r#"["/nowhere/opencode"]"#);
    let told = site.cli(&["run", "Do it.", "--dir", &repo.text()]).await;
    refused(&told, 69, &["/nowhere/opencode", "help: ", "npm install -g opencode-ai"]);
    // What nobody could work on is not left waiting.
    let told = site.cli(&["session", "list", "--json"]).await;
    assert!(told.out.contains("\"cancelled\""), "{told:?}");
    let told = site.cli(&["doctor"]).await;
    assert!(told.out.contains("npm install -g opencode-ai"), "{told:?}");

    let llm = ScriptedLlm::start();
    let site = Site::opencode(&llm);
    let config = site.root().join("opencode.json");
    std::fs::write(&config, r#"{"enabled_providers":[]}"#).expect("written");
    let told = site.cli(&["run", "Do it.", "--dir", &repo.text()]).await;
    assert!(told.exit != 0, "{told:?}");
    let all = format!("{}{}", told.out, told.err);
    assert!(all.contains("opencode auth login"), "the remedy is not in {told:?}");
}

#[tokio::test]
async fn words_and_settings_that_do_not_exist() {
    let site = Site::simulated();
    refused(&site.cli(&["serve", "--lisen", "x"]).await, 64, &["--lisen", "--listen"]);
    refused(&site.cli(&["sesion", "list"]).await, 64, &["session"]);
    refused(&site.cli(&["serve", "--listen", "nonsense"]).await, 78, &["nonsense", "help: "]);
    let wrong = Site::simulated().with("SUPERVISOR__PERMISION_TIMEOUT_SECONDS", "5");
    let told = wrong.cli(&["serve"]).await;
    refused(&told, 78, &["permission_timeout_seconds", "help: "]);
    let file = site.root().join("settings.toml");
    std::fs::write(&file, "[server]\nlisten = 5\nlissten = \"x\"\n").expect("written");
    let told = site.cli(&["serve", "--config", &file.display().to_string()]).await;
    refused(&told, 78, &["server.listen", "lissten", "settings.toml:3"]);
    let short = Site::simulated().with("ADMIN_KEY", "short");
    refused(&short.cli(&["serve"]).await, 78, &["32"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_not_there_and_keys_that_do_not_fit() {
    let site = Site::simulated().with("URL", "http://127.0.0.1:1");
    refused(&site.cli(&["session", "list"]).await, 69, &["orchestrator serve"]);
    let site = Site::simulated();
    let server = site.serve().await;
    refused(&site.cli(&["session", "show", "IND-000009"]).await, 1, &["session list"]);
    refused(&site.cli(&["session", "stop", "nonsense"]).await, 1, &["help: "]);
    refused(&site.cli(&["why", "IND-000009"]).await, 1, &["session list"]);
    let told = site.cli(&["session", "list", "--key", "iok_wrong"]).await;
    refused(&told, 77, &["--key", "help: "]);
    let told = site.cli(&["session", "list", "--tenant", "nobody"]).await;
    refused(&told, 1, &["nobody"]);
    let made = server.post("sessions", json!({ "initial_prompt": "Wait." })).await;
    let told = site.cli(&["session", "merge", text(&made["code"])]).await;
    refused(&told, 1, &["help: "]);
    server.stop().await;
}
