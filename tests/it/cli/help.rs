//! Help and the other commands that need no server.

use super::{finish, orchestrator};

fn help(arguments: &[&str]) -> String {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (out, err, exit) = finish(orchestrator(home.path()).args(arguments).arg("--help"));
    assert_eq!((err.as_str(), exit), ("", 0));
    out
}

fn check(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn help_of_the_main_commands() {
    for (name, arguments) in [
        ("help", &[][..]),
        ("help_serve", &["serve"][..]),
        ("help_run", &["run"]),
        ("help_session", &["session"]),
        ("help_session_list", &["session", "list"]),
        ("help_session_create", &["session", "create"]),
        ("help_session_merge", &["session", "merge"]),
        ("help_attention", &["attention"]),
        ("help_attention_resolve", &["attention", "resolve"]),
        ("help_agent", &["agent"]),
        ("help_agent_register", &["agent", "register"]),
        ("help_admissions", &["admissions"]),
        ("help_agent", &["agent"]),
        ("help_event", &["event"]),
        ("help_usage", &["usage"]),
        ("help_webhook", &["webhook"]),
        ("help_context", &["context"]),
        ("help_lock", &["lock"]),
        ("help_task", &["task"]),
        ("help_template", &["template"]),
        ("help_tenant", &["tenant"]),
        ("help_key", &["key"]),
        ("help_top", &["top"]),
        ("help_user", &["user"]),
        ("help_user_invite", &["user", "invite"]),
        ("help_team", &["team"]),
        ("help_team_init", &["team", "init"]),
        ("help_audit", &["audit"]),
        ("help_key_create", &["key", "create"]),
        ("help_doctor", &["doctor"]),
        ("help_eap_check", &["eap-check"]),
    ] {
        check(name, &help(arguments));
    }
}

#[test]
fn wrong_use_is_64_and_says_what_was_meant() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (out, err, exit) = finish(orchestrator(home.path()).args(["sesion", "list"]));
    assert_eq!((out.as_str(), exit), ("", 64));
    assert!(err.contains("session"), "{err}");
}

#[test]
fn version_is_one_line_or_json() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (out, _, exit) = finish(orchestrator(home.path()).args(["version", "--json"]));
    let version: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((version["version"].as_str(), exit), (Some(env!("CARGO_PKG_VERSION")), 0));
    let (out, _, _) = finish(orchestrator(home.path()).arg("version"));
    assert!(out.starts_with("orchestrator ") && out.lines().count() == 1, "{out}");
}

#[test]
fn completions_are_a_script() {
    let home = tempfile::tempdir().expect("a temporary directory");
    for shell in ["bash", "zsh", "fish"] {
        let (out, _, exit) = finish(orchestrator(home.path()).args(["completions", shell]));
        assert!(exit == 0 && out.contains("attention"), "{shell}");
    }
}

#[test]
fn settings_are_shown_with_their_origins_and_checked_with_78() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let key = "a-key-that-is-quite-long-enough-to-be-one";
    let mut command = orchestrator(home.path());
    command.args(["config", "show", "--log", "debug"]).env("ORCHESTRATOR_ADMIN_KEY", key);
    let (out, _, exit) = finish(&mut command);
    assert_eq!(exit, 0);
    assert!(out.contains("filter = \"debug\"  # from --log"), "{out}");
    assert!(out.contains("admin_key = \"***\"") && !out.contains(key), "{out}");
    let mut command = orchestrator(home.path());
    command.args(["config", "show", "--json", "--log", "debug"]).env("ORCHESTRATOR_ADMIN_KEY", key);
    let (out, _, exit) = finish(&mut command);
    let shown: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let level = &shown["log.filter"];
    assert_eq!((level["value"].as_str(), level["from"].as_str()), (Some("debug"), Some("--log")));
    assert_eq!((shown["server.admin_key"]["value"].as_str(), exit), (Some("***"), 0));
    assert_eq!(shown["server.listen"]["from"], "default");
    let (_, err, exit) =
        finish(orchestrator(home.path()).args(["config", "check", "--config", "/nonexistent"]));
    assert_eq!(exit, 78);
    assert!(err.contains("/nonexistent: the configuration file cannot be read"), "{err}");
    assert!(err.contains("--config FILE"), "{err}");
    let mut command = orchestrator(home.path());
    command.args(["config", "check"]).env("ORCHESTRATOR_LISTEN", "0.0.0.0:80");
    command.env("ORCHESTRATOR_STORE__CACHE_MEGA", "1");
    let (out, err, exit) = finish(&mut command);
    assert_eq!((out.as_str(), exit), ("", 78));
    assert!(err.contains("not a loopback address") && err.contains("`store.cache_mb`"), "{err}");
}
