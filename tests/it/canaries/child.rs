//! What the programs that a server starts can see of it: their environment and their open files, and those
//! of every process above them.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;
use crate::support::server::{ADMIN_KEY, Server, Site, text};

/// The first server of the first tenant.
const HOST: &str = "opencode-00000000000000000000000000000001-0";

/// Values that no child may see.
const HIDDEN: &str = "canary-of-the-server-0123456789";

/// A value that the server keeps in its environment, as its variable is called like nothing secret.
const LEFT_OPEN: &str = "control-left-in-the-open";

/// Writes down what a program sees: its environment, then what its descriptors lead to.
const LOOK: &str = "tr '\\0' '\\n' < /proc/self/environ; echo FILES; ls -l /proc/self/fd";

/// Looks through the environment, the command line and the open files of every process above this one, and
/// counts what is looked for. The words are spelt so that the script does not find itself.
const CLIMB: &str = r#"
climb() {
  p=$$
  while [ "${p:-0}" -gt 1 ]; do
    echo AN-ANCESTOR
    cat "/proc/$p/environ" "/proc/$p/cmdline" 2>/dev/null
    for f in "/proc/$p/fd/"*; do [ -f "$f" ] && head -c 4000000 "$f" 2>/dev/null; done
    p=$(sed 's/^.*) [A-Z] \([0-9]*\) .*/\1/' "/proc/$p/stat")
  done
}
echo CLIMBED
climb | tr '\0' '\n' | grep -a -o -e 'of-the-serve[r]' -e 'of-a-site-for-test[s]' -e 'left-in-the-ope[n]' \
  -e '^AN-ANCESTO[R]' | sort | uniq -c
"#;

fn surrounded(site: Site) -> Site {
    // A variable of another program, and one of ours that somebody lists although it is not for agents.
    site.with_variable("LAB_SECRET", HIDDEN)
        .with_variable("LAB_ADDRESS", &format!("https://me:{HIDDEN}@127.0.0.1/"))
        .with_variable("LAB_PLAIN", LEFT_OPEN)
        .with_variable("AWS_SECRET_ACCESS_KEY", HIDDEN)
        .with("AGENTS__OPENCODE__ENV", r#"["ORCHESTRATOR_ADMIN_KEY"]"#)
}

/// How often a word was found among the processes above.
fn found(seen: &str, word: &str) -> usize {
    let climbed = seen.split_once("CLIMBED").unwrap_or_else(|| panic!("{seen}")).1;
    let counted = climbed.lines().filter_map(|line| line.trim().split_once(' '));
    counted
        .filter(|(_, found)| *found == word)
        .filter_map(|(count, _)| count.parse::<usize>().ok())
        .sum()
}

/// No secret is found above.
fn check_above(seen: &str) {
    assert!(found(seen, "AN-ANCESTOR") >= 3, "shell, guard, server: {seen}");
    for hidden in ["of-the-server", "of-a-site-for-tests"] {
        assert_eq!(found(seen, hidden), 0, "{hidden}: {seen}");
    }
}

fn check(site: &Site, seen: &str) {
    let (seen, _) = seen.split_once("CLIMBED").unwrap_or((seen, ""));
    let (environment, files) = seen.split_once("FILES").unwrap_or_else(|| panic!("{seen}"));
    assert!(environment.contains("PATH="), "it was read: {seen}");
    for hidden in [ADMIN_KEY, HIDDEN, "ORCHESTRATOR_ADMIN_KEY", "ORCHESTRATOR_KEY", "[REDACTED"] {
        assert!(!environment.contains(hidden), "{environment}");
    }
    let data = site.data().display().to_string();
    let own = format!("{data}/hosts/{HOST}");
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
    let look = format!("{LOOK}\n{CLIMB}");
    let gate = json!({ "name": "look", "command": ["sh", "-c", look], "timeout_seconds": 30 });
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
    let seen = gate(&server, &repo).await;
    check(&site, &seen);
    check_above(&seen);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_lies_above_a_gate_without_a_sandbox() {
    let site = surrounded(Site::simulated()).with("AGENTS__SANDBOX", "off");
    let (server, repo) = (site.serve().await, TestRepo::with(&[("a", "b")]));
    let pid = server.pid().as_raw_nonzero();
    let seen = gate(&server, &repo).await;
    check_above(&seen);
    // What is no secret is found, by whoever may look: nothing keeps root from it here.
    let is_root = rustix::process::getuid().is_root();
    assert_eq!(found(&seen, "left-in-the-open") > 0, is_root, "{seen}");
    // The settings have what was taken out of the environment, from where it came.
    assert_eq!(server.get("whoami").await["role"], "admin");
    assert_eq!(server.ready["event"], "ready");
    let shown = site.cli(&["config", "show"]).await;
    assert!(shown.out.contains("ORCHESTRATOR_ADMIN_KEY"), "{}", shown.out);
    // It is the process that was started, and it holds nothing of what was handed over.
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("ours to read").flatten();
    let handed = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let handed = handed.filter(|target| target.to_string_lossy().contains("handed-over"));
    for target in handed {
        assert_eq!(std::fs::metadata(&target).map_or(0, |about| about.len()), 0);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_sees_neither_secrets_nor_files_of_the_server() {
    let site = surrounded(Site::bare());
    let program = site.root().join("stand-in");
    let text = format!(
        "#!/bin/sh\nexec > \"$HOME/seen.new\"\n{LOOK}\n{CLIMB}\nmv \"$HOME/seen.new\" \"$HOME/seen\"\n"
    );
    std::fs::write(&program, text).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("changed");
    let command = json!([program.display().to_string()]).to_string();
    let site =
        site.with("AGENTS__OPENCODE__COMMAND", &command).with("AGENTS__OPENCODE__ENABLED", "true");
    let server = site.serve().await;
    let seen = site.data().join("hosts").join(HOST).join("home/seen");
    let body = json!({ "initial_prompt": "x", "start": true });
    server.post("sessions", body).await;
    eventually("the agent looked round", async || seen.exists()).await;
    let seen = std::fs::read_to_string(seen).expect("read");
    assert!(seen.contains(&format!("HOME={}", site.data().join("hosts").display())), "{seen}");
    check(&site, &seen);
    check_above(&seen);
    server.stop().await;
}
