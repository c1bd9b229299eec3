//! What the programs that a server starts can see of it: their environment and their open files.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;
use crate::support::server::{ADMIN_KEY, Server, Site, text};

/// Values that no child may see.
const HIDDEN: &str = "canary-of-the-server-0123456789";

/// Writes down what a program sees: its environment, then what its descriptors lead to.
const LOOK: &str = "tr '\\0' '\\n' < /proc/self/environ; echo FILES; ls -l /proc/self/fd";

fn surrounded(site: Site) -> Site {
    // A variable of another program, and one of ours that somebody lists although it is not for agents.
    site.with_variable("LAB_SECRET", HIDDEN)
        .with_variable("AWS_SECRET_ACCESS_KEY", HIDDEN)
        .with("AGENTS__OPENCODE__ENV", r#"["ORCHESTRATOR_ADMIN_KEY"]"#)
}

fn check(site: &Site, seen: &str) {
    let (environment, files) = seen.split_once("FILES").unwrap_or_else(|| panic!("{seen}"));
    assert!(environment.contains("PATH="), "it was read: {seen}");
    for hidden in [ADMIN_KEY, HIDDEN, "ORCHESTRATOR_ADMIN_KEY", "ORCHESTRATOR_KEY", "[REDACTED"] {
        assert!(!environment.contains(hidden), "{environment}");
    }
    let data = site.data().display().to_string();
    let own = format!("{data}/hosts/opencode-0");
    for entry in environment.lines().filter(|entry| entry.contains(&data)) {
        let is_own = entry.matches(&data).count() == entry.matches(&own).count();
        assert!(is_own || entry.starts_with("PWD="), "{entry}");
    }
    let files: Vec<(&str, &str)> = files
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .map(|(before, target)| (before.rsplit(' ').next().unwrap_or_default(), target))
        .collect();
    assert!(files.len() >= 3, "{seen}");
    for (number, target) in &files {
        // The program that looks holds the folder that it looks into.
        let is_own = target.starts_with("/proc/");
        assert!(["0", "1", "2"].contains(number) || is_own, "{number} {target} of {files:?}");
        assert!(!target.contains("store.redb") && !target.contains("socket:"), "{target}");
    }
}

async fn gate(server: &Server, repo: &TestRepo) -> String {
    let gate = json!({ "name": "look", "command": ["sh", "-c", LOOK], "timeout_seconds": 30 });
    let body = json!({ "initial_prompt": "```simulated\n[{\"say\":\"x\"}]\n```", "start": true,
        "workspace": { "kind": "git", "repo": repo.text() }, "gates": [gate] });
    let made = server.post("sessions", body).await;
    let ended = server.until_status(text(&made["id"]), "completed").await;
    text(&ended["verification"]["gates"][0]["output"]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_sees_neither_secrets_nor_files_of_the_server() {
    let site = surrounded(Site::simulated());
    let (server, repo) = (site.serve().await, TestRepo::with(&[("a", "b")]));
    check(&site, &gate(&server, &repo).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_sees_neither_secrets_nor_files_of_the_server() {
    let site = surrounded(Site::bare());
    let program = site.root().join("stand-in");
    let text = format!(
        "#!/bin/sh\nexec > \"$HOME/seen.new\"\n{LOOK}\nmv \"$HOME/seen.new\" \"$HOME/seen\"\n"
    );
    std::fs::write(&program, text).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("changed");
    let command = json!([program.display().to_string()]).to_string();
    let site =
        site.with("AGENTS__OPENCODE__COMMAND", &command).with("AGENTS__OPENCODE__ENABLED", "true");
    let server = site.serve().await;
    let seen = site.data().join("hosts/opencode-0/home/seen");
    let body = json!({ "initial_prompt": "x", "start": true });
    server.post("sessions", body).await;
    eventually("the agent looked round", async || seen.exists()).await;
    let seen = std::fs::read_to_string(seen).expect("read");
    assert!(seen.contains(&format!("HOME={}", site.data().join("hosts").display())), "{seen}");
    check(&site, &seen);
    server.stop().await;
}
