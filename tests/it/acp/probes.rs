//! Whether an agent could work is found out once, and not every half minute.

use std::path::Path;
use std::time::Duration;

use orchestrator::application::ports::driver::{AgentDriver, Assignment};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::infrastructure::drivers::environment::HandedTo;
use serde_json::{Value, json};

use crate::support::acp::{
    AcpBench, acp_assignment, acp_options, members, odd_config, opencode_config, starts,
};
use crate::support::scripted_llm::ScriptedLlm;

/// The settings of an agent whose program is a file that can be replaced.
fn replaceable(root: &Path, begins: &str) -> (Value, std::path::PathBuf, std::path::PathBuf) {
    let (mut config, log) = odd_config(root, begins);
    let script = config["command"][1].as_str().expect("a path").to_owned();
    let file = root.join("agent");
    install(&file, &format!("#!/bin/sh\nexec python3 {script} {begins}\n"));
    config["command"] = json!([file]);
    (config, log, file)
}

fn install(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file, text).expect("written");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("made a program");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_went_well_starts_nothing_again() {
    let root = tempfile::tempdir().expect("a folder");
    let bench = AcpBench::new(acp_options(&root.path().join("state")));
    let (config, log, file) = replaceable(root.path(), "");
    let probe = async || bench.driver.probe(TenantId::BOOTSTRAP, &members(&config)).await;
    for _ in 0..3 {
        let found = probe().await.expect("it works");
        assert_eq!((found.version.as_str(), &found.details["resumes"]), ("0.1", &json!(true)));
    }
    assert_eq!(starts(&log), 1);
    assert_eq!(bench.processes(), [0; 0], "it still runs");
    let text = std::fs::read_to_string(&file).expect("there");
    install(&file, &format!("{text}# another version\n"));
    probe().await.expect("it works");
    assert_eq!(starts(&log), 2, "another file may be another agent");
    std::fs::remove_file(&file).expect("removed");
    let error = probe().await.expect_err("it is gone");
    assert!(error.message.contains("there is no program"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_failed_is_not_repeated_at_once() {
    let root = tempfile::tempdir().expect("a folder");
    let mut options = acp_options(&root.path().join("state"));
    options.ready_timeout = Duration::from_secs(2);
    let bench = AcpBench::new(options);
    let (config, log, _) = replaceable(root.path(), "deaf");
    // Whoever asks may not wait for the answer.
    let settings = members(&config);
    let probe = bench.driver.probe(TenantId::BOOTSTRAP, &settings);
    let waited = tokio::time::timeout(Duration::from_millis(1500), probe).await;
    assert!(waited.is_err(), "it cannot answer");
    for _ in 0..3 {
        let error =
            bench.driver.probe(TenantId::BOOTSTRAP, &members(&config)).await.expect_err("deaf");
        assert_eq!(error.error_type, ErrorType::DispatchFailed);
    }
    assert!(starts(&log) <= 1);
    crate::support::opencode::eventually("it is ended", async || bench.processes().is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_of_the_server_are_for_the_tenants_that_the_settings_name() {
    let root = tempfile::tempdir().expect("a folder");
    let other = TenantId::new(uuid::Uuid::from_u128(9));
    let (config, log) = odd_config(root.path(), "");
    std::fs::create_dir(root.path().join("work")).expect("a folder");
    let work = root.path().canonicalize().expect("there").join("work");
    let bench = AcpBench::new(acp_options(&root.path().join("state")));
    let refused = bench.driver.probe(other, &members(&config)).await.expect_err("refused");
    assert!(!refused.retryable && refused.message.contains("$LAB_KEY"), "{refused}");
    assert!(refused.message.contains("agents.env_tenants"), "{refused}");
    let theirs = Assignment { tenant: other, ..acp_assignment(&config, &work, "hello") };
    assert_eq!(bench.refusal(theirs.clone()).await.message, refused.message);
    assert_eq!(starts(&log), 0, "it was started");
    let mut options = acp_options(&root.path().join("state"));
    options.env_tenants = HandedTo::These([other].into());
    let bench = AcpBench::new(options);
    bench.driver.probe(other, &members(&config)).await.expect("it is named");
    let mut run = bench.run(theirs).await;
    assert_eq!(run.turn().await.1, "heard: hello");
    run.control.close().await;
    bench.driver.probe(TenantId::BOOTSTRAP, &members(&config)).await.expect_err("not named");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_agent_says_who_it_is() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = AcpBench::new(acp_options(&root.path().join("state")));
    let found = bench
        .driver
        .probe(TenantId::BOOTSTRAP, &members(&opencode_config(&llm)))
        .await
        .expect("it works");
    assert_eq!((found.version.as_str(), &found.details["name"]), ("1.18.33", &json!("OpenCode")));
    assert_eq!(bench.processes(), [0; 0]);
}
