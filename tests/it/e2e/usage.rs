//! What was used and how much of it may be, with the real binary, the real command line and the real
//! agent.

use serde_json::{Value, json};

use super::opencode_run::{edit, write};
use super::{array, calculator, eventually, settled, text};
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::Site;

fn read(out: &str) -> Value {
    serde_json::from_str(out).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_month_pauses_real_work_and_survives_a_kill() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm).with("SUPERVISOR__PAUSE_GRACE_SECONDS", "1");
    let mut server = site.serve().await;
    let bounded = ["tenant", "quotas", "--set", "max_tokens_per_month=100000", "--json"];
    let bounded = site.cli(&bounded).await;
    assert_eq!(read(&bounded.out)["max_tokens_per_month"], 100_000, "{bounded:?}");
    let turns = json!([
        { "call": edit(), "usage": { "input": 85_000, "output": 0 } },
        { "call": write("notes.txt", "Mended.\n"), "usage": { "input": 85_000, "output": 0 } },
        { "say": "Much more to say.", "gate": "never" },
    ]);
    let body = json!({
        "initial_prompt": scripted("Spend.", &turns), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow" },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    let paused = server.until_status(&id, "paused").await;
    assert_eq!(paused["status_reason"], "budget_exhausted", "{paused:#}");
    assert_eq!(paused["attention"], "budget_soft_limit");
    let refused = server.refused(&format!("sessions/{id}/resume"), json!({}), 429).await;
    assert_eq!(refused["quota"], "max_tokens_per_month", "{refused:#}");
    let why = site.cli(&["why", &id]).await;
    let command = "orchestrator tenant quotas --set max_tokens_per_month=";
    assert!(why.out.contains("quota_tokens") && why.out.contains(command), "{why:?}");
    server.kill().await;
    server = site.serve().await;
    // What the session counted, what was recorded and what was charged are the same.
    let used = server.session(&id).await["metrics"]["total_tokens_used"].clone();
    assert!(used.as_u64() >= Some(170_000), "{used}");
    let report = site.cli(&["usage", "--group-by", "session", "--json"]).await;
    let report = read(&report.out);
    assert_eq!(report["totals"]["tokens_total"], used, "{report:#}");
    assert_eq!(report["items"][0]["session_id"], json!(id));
    let budgets = read(&site.cli(&["usage", "budgets", "--json"]).await.out);
    let quota = &budgets["max_tokens_per_month"];
    assert_eq!((&quota["used"], &quota["state"]), (&used, &json!("hard")), "{budgets:#}");
    let events = server.get("events?type=usage.soft_limit_reached,usage.hard_limit_reached").await;
    let kinds: Vec<&str> =
        array(&events["items"]).iter().map(|event| text(&event["type"])).collect();
    assert_eq!(kinds, ["usage.soft_limit_reached", "usage.hard_limit_reached"], "{events:#}");
    let raised = site.cli(&["usage", "budgets", "--tokens", "none"]).await;
    assert_eq!((raised.exit, raised.out.contains("none")), (0, true), "{raised:?}");
    let more = scripted("Now end.", &json!(["Ended."]));
    let more = json!({ "text": more, "mode": "interrupt" });
    server.post(&format!("sessions/{id}/prompt"), more).await;
    server.post(&format!("sessions/{id}/resume"), json!({})).await;
    server.until_status(&id, "completed").await;
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_sets_prices_budgets_and_shares() {
    let site = Site::simulated();
    let server = site.serve().await;
    let set = ["usage", "prices", "--set", "a/*=3,15", "--set", "b=1,2,0.5", "--json"];
    let set = read(&site.cli(&set).await.out);
    assert_eq!(array(&set["prices"]).len(), 2, "{set:#}");
    let changed = site.cli(&["usage", "prices", "--set", "b=4,5", "--remove", "a/*"]).await;
    assert_eq!(changed.exit, 0, "{changed:?}");
    assert!(changed.out.contains("$4.00") && !changed.out.contains("a/*"), "{}", changed.out);
    let budget = site.cli(&["usage", "budgets", "--monthly", "12.5", "--json"]).await;
    assert_eq!(read(&budget.out)["monthly_budget_usd"]["limit"], 12.5, "{budget:?}");
    let quotas = site.cli(&["tenant", "quotas", "--set", "monthly_budget_usd=none"]).await;
    assert!(quotas.out.contains("monthly_budget_usd"), "{quotas:?}");
    let kept = site.cli(&["tenant", "update", "--retention", "sessions_days=7"]).await;
    assert!(kept.exit == 0 && kept.err.contains("sessions are kept for 7 days"), "{kept:?}");
    let tenant = site.cli(&["tenant", "update", "--weight", "2.5", "--json"]).await;
    assert_eq!(read(&tenant.out)["settings"]["weight"], 2.5, "{tenant:?}");
    let nothing = site.cli(&["usage"]).await;
    assert_eq!((nothing.exit, nothing.out.as_str()), (0, ""), "{nothing:?}");
    let wrong = site.cli(&["usage", "--from", "soon"]).await;
    assert_ne!(wrong.exit, 0, "{wrong:?}");
    server.stop().await;
}
