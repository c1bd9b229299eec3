//! Whether an agent could work: its program is there, and says what it is.

use std::time::Duration;

use orchestrator::application::ports::driver::{AgentDriver, DriverError, ProbeReport};
use orchestrator::domain::ids::TenantId;
use serde_json::{Value, json};

use super::Bench;

async fn probe(bench: &Bench, config: &Value) -> Result<ProbeReport, DriverError> {
    bench.driver.probe(TenantId::BOOTSTRAP, config.as_object().expect("an object")).await
}

/// How often the program was asked.
fn asked(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.place("asked")).unwrap_or_default().lines().count()
}

/// A program that notes that it was asked.
fn counting(bench: &Bench, then: &str) -> Value {
    let note = bench.place("asked");
    bench.script("codex", &format!("echo \"$*\" >> {}\n{then}", note.display()));
    json!({ "preset": "codex", "env": { "PATH": bench.path() } })
}

#[tokio::test]
async fn a_program_is_asked_once_as_long_as_it_is_the_same() {
    let bench = Bench::new();
    let config = counting(&bench, "echo codex-cli 0.169.0");
    for _ in 0..3 {
        let report = probe(&bench, &config).await.expect("it works");
        assert_eq!(report.version, "0.169.0");
        assert_eq!(report.details["program"], json!(bench.place("bin").join("codex")));
        assert_eq!(report.details["abilities"], json!(["resume", "usage"]));
    }
    assert_eq!(std::fs::read_to_string(bench.place("asked")).expect("noted"), "--version\n");
    counting(&bench, "echo codex-cli 0.170.0 with news");
    assert_eq!(probe(&bench, &config).await.expect("it works").version, "0.170.0");
    assert_eq!(asked(&bench), 2);
}

#[tokio::test]
async fn a_program_without_a_known_way_to_ask_it_is_not_started() {
    let bench = Bench::new();
    let program = bench.script("agent", &format!("echo x >> {}", bench.place("asked").display()));
    let report = probe(&bench, &json!({ "command": [program] })).await.expect("it is there");
    assert_eq!((report.version.as_str(), asked(&bench)), ("unknown", 0));
}

#[tokio::test]
async fn what_would_not_work_says_why() {
    let bench = Bench::new();
    let gone = probe(&bench, &json!({ "command": ["no-such-agent"] })).await.expect_err("gone");
    assert!(gone.message.contains("no-such-agent is not installed"), "{gone}");
    let none = probe(&bench, &json!({ "preset": "none" })).await.expect_err("unknown");
    assert!(
        none.message.contains("known are aider") || none.message.contains("known are claude"),
        "{none}"
    );
    let config = counting(&bench, "echo node is missing >&2; exit 4");
    for _ in 0..2 {
        let broken = probe(&bench, &config).await.expect_err("broken");
        assert!(broken.message.contains("code 4, node is missing"), "{broken}");
    }
    assert_eq!(asked(&bench), 1, "what failed is not tried again at once");
}

#[tokio::test]
async fn a_program_that_hangs_or_floods_when_it_is_asked_is_ended() {
    let bench = Bench::with(|options, _| {
        options.version_time = Duration::from_millis(500);
        options.grace = Duration::from_millis(100);
    });
    let config = counting(&bench, "sleep 300");
    let late = probe(&bench, &config).await.expect_err("late");
    assert!(late.message.contains("did not say its version"), "{late}");
    let config = counting(&bench, "yes | head -c 2000000; exit 0");
    let report = probe(&bench, &config).await.map(|report| report.version);
    assert!(report.is_ok_and(|version| version == "y"), "only its beginning is kept");
    crate::support::opencode::eventually("all is gone", async || bench.processes().is_empty())
        .await;
}

#[tokio::test]
async fn variables_of_the_server_are_for_its_own_tenant() {
    let bench = Bench::with(|options, _| {
        options.env = vec![("LAB_KEY".to_owned(), "canary-of-the-server".to_owned())];
    });
    let other = TenantId::new(uuid::Uuid::from_u128(9));
    let program = bench.script("agent", "env");
    let config = json!({ "command": [program], "env": { "MINE": "$LAB_KEY" } });
    let members = config.as_object().expect("an object");
    let refused = bench.driver.probe(other, members).await.expect_err("refused");
    assert!(!refused.retryable && refused.message.contains("$LAB_KEY"), "{refused}");
    assert_eq!(bench.driver.refusal(other, members), Some(refused.message.clone()));
    assert_eq!(bench.driver.refusal(TenantId::BOOTSTRAP, members), None);
    let mut theirs = bench.assignment(&config, "x");
    theirs.tenant = other;
    let told = bench.driver.start(theirs).await.err().expect("refused");
    assert_eq!(told.message, refused.message);
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    assert!(run.turn().await.1.contains("MINE=canary-of-the-server"));
}

#[tokio::test]
async fn what_a_preset_takes_of_the_server_is_for_its_own_tenant() {
    let bench = Bench::with(|options, _| {
        options.env = vec![("OPENAI_API_KEY".to_owned(), "canary-of-the-server".to_owned())];
    });
    let config = counting(&bench, "echo \"1.0-${OPENAI_API_KEY:-none}\"");
    let members = config.as_object().expect("an object");
    for (tenant, version) in [
        (TenantId::BOOTSTRAP, "1.0-canary-of-the-server"),
        (TenantId::new(uuid::Uuid::from_u128(9)), "1.0-none"),
    ] {
        let report = bench.driver.probe(tenant, members).await.expect("it works");
        assert_eq!(report.version, version);
    }
    assert_eq!(asked(&bench), 2, "one tenant's answer is none of another's");
}

#[tokio::test]
async fn programs_of_two_tenants_are_asked_in_two_homes() {
    let bench = Bench::new();
    let config = counting(
        &bench,
        "ls ~/.planted 2>&1 | grep -q cannot && echo 1.0 || echo 2.0; touch ~/.planted",
    );
    let members = config.as_object().expect("an object");
    for number in [1, 2] {
        let tenant = TenantId::new(uuid::Uuid::from_u128(number));
        assert_eq!(bench.driver.probe(tenant, members).await.expect("it works").version, "1.0");
    }
}
