//! Agents with the real binary: the command line, and switches that stay over a restart.

use serde_json::{Value, json};

use super::{array, begin, text};
use crate::support::server::Site;

fn parsed(out: &str) -> Value {
    serde_json::from_str(out).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_registered_closed_and_removed_from_the_shell() {
    let site = Site::simulated();
    let mut server = site.serve().await;
    let words = [
        "agent",
        "register",
        "AGENT-SECOND",
        "--kind",
        "simulated",
        "--capability",
        "testing",
        "--capacity",
        "2",
        "--set",
        "latency_ms=5",
        "--json",
    ];
    let made = site.cli(&words).await;
    assert_eq!(made.exit, 0, "{}", made.err);
    assert_eq!(parsed(&made.out)["config"], json!({ "latency_ms": 5 }));
    let again = site.cli(&words).await;
    assert_ne!(again.exit, 0);
    assert!(
        again.err.contains("ALREADY_EXISTS") || again.err.contains("has this name"),
        "{}",
        again.err
    );
    let probed = site.cli(&["agent", "probe", "AGENT-SECOND"]).await;
    assert_eq!(probed.exit, 0, "{}", probed.err);
    looked_at_as_a_fleet(&site).await;
    let drained = site.cli(&["agent", "drain", "AGENT-SIMULATED", "--json"]).await;
    assert_eq!(parsed(&drained.out)["state"], "draining");
    let id = begin(&server, &json!([{ "say": "Done." }])).await;
    server.until_status(&id, "completed").await;
    let attempts = server.get(&format!("sessions/{id}/attempts")).await;
    assert!(attempts.to_string().contains("AGENT-SECOND"), "{attempts:#}");
    server.kill().await;
    server = site.serve().await;
    let list = site.cli(&["agent", "list"]).await;
    let row = list.out.lines().find(|line| line.starts_with("AGENT-SIMULATED"));
    assert!(row.is_some_and(|row| row.contains("draining")), "{}", list.out);
    let closed = site.cli(&["agent", "maintenance", "AGENT-SECOND", "on", "--json"]).await;
    assert_eq!(parsed(&closed.out)["state"], "maintenance");
    let changed = site.cli(&["agent", "update", "AGENT-SECOND", "--capacity", "3", "--json"]).await;
    assert_eq!(parsed(&changed.out)["max_concurrent_capacity"], 3);
    let nothing = site.cli(&["agent", "update", "AGENT-SECOND"]).await;
    assert_eq!(nothing.exit, 64, "{}", nothing.err);
    let kept = site.cli(&["agent", "remove", "AGENT-SIMULATED"]).await;
    assert!(kept.exit == 1 && kept.err.contains("comes from the settings"), "{}", kept.err);
    let removed = site.cli(&["agent", "remove", "AGENT-SECOND", "--reason", "replaced"]).await;
    assert!(removed.exit == 0 && removed.err.contains("is removed"), "{}", removed.err);
    let missing = site.cli(&["agent", "show", "AGENT-SECOND"]).await;
    assert!(missing.exit == 1 && missing.err.contains("agent list"), "{}", missing.err);
    let left = site.cli(&["agent", "list", "--json"]).await;
    let left = parsed(&left.out);
    let names: Vec<&str> = array(&left["items"]).iter().map(|item| text(&item["name"])).collect();
    assert_eq!(names, ["AGENT-SIMULATED"]);
    server.stop().await;
}

/// Routing, figures and health from the shell.
async fn looked_at_as_a_fleet(site: &Site) {
    let task = "Mend the build of the parser";
    let route = ["agent", "route", task, "--capability", "testing", "--prefer", "agent-second"];
    let told = site.cli(&route).await;
    assert!(told.exit == 0 && told.out.starts_with("AGENT-SECOND:"), "{} {}", told.out, told.err);
    assert!(told.out.contains("SCORE") && told.out.contains("TIER ×0.40"), "{}", told.out);
    let held = site.cli(&[&route[..], &["--reserve", "--json"]].concat()).await;
    assert!(parsed(&held.out)["reservation"]["id"].is_string(), "{}", held.out);
    let none = site.cli(&["agent", "route", task, "--capability", "juggling"]).await;
    assert!(none.exit != 0 && none.err.contains("none has the capabilities"), "{}", none.err);
    let words = [
        "agent",
        "report",
        "AGENT-SECOND",
        "--outcome",
        "partial",
        "--quality",
        "0.8",
        "--cost",
        "0.5",
    ];
    let reported = site.cli(&words).await;
    assert!(reported.out.contains("1: 0 done, 1 in part, 0 failed"), "{}", reported.out);
    let done = site.cli(&["agent", "performance", "AGENT-SECOND", "--json"]).await;
    assert_eq!(parsed(&done.out)["performance"]["total_cost_usd"], 0.5, "{}", done.out);
    let health = site.cli(&["agent", "health", "AGENT-SECOND"]).await;
    assert!(health.out.contains("nothing is wrong"), "{}", health.out);
    let reset = site.cli(&["agent", "reset-metrics", "AGENT-SECOND", "--json"]).await;
    assert_eq!(parsed(&reset.out)["breaker"], "closed", "{}", reset.out);
    let stats = site.cli(&["agent", "stats"]).await;
    assert!(stats.exit == 0 && stats.out.contains("CAPABILITY"), "{} {}", stats.out, stats.err);
}
