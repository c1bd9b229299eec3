//! Held admissions with the real binary: they survive restarts, and what runs goes on.

use serde_json::json;

use super::{array, asks, begin, text};
use crate::support::server::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_waits_through_a_restart_until_it_is_released() {
    let site = Site::simulated();
    let mut server = site.serve().await;
    let running = begin(&server, &json!([asks(), { "say": "Done." }])).await;
    let item = server.until_asked(&running).await;
    let held = site.cli(&["admissions", "hold", "--reason", "maintenance"]).await;
    assert_eq!(
        (held.exit, held.out.contains("maintenance")),
        (0, true),
        "{} {}",
        held.out,
        held.err
    );
    let waiting = begin(&server, &json!([{ "say": "Done." }])).await;
    for round in 0..2 {
        let path = format!("sessions/{waiting}/explain");
        let told = server.get(&path).await;
        assert_eq!(told["state"], "queued", "round {round}: {told:#}");
        assert_eq!(text(&told["blockers"][0]["code"]), "admissions_held", "{told:#}");
        let why = site.cli(&["why", &waiting]).await;
        let command = "orchestrator admissions release --scope tenant";
        assert!(why.out.contains("maintenance") && why.out.contains(command), "{}", why.out);
        if round == 0 {
            server.kill().await;
            server = site.serve().await;
        }
    }
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "allow_once" })).await;
    server.until_status(&running, "completed").await;
    assert_eq!(text(&server.session(&waiting).await["status"]), "queued");
    let released = site.cli(&["admissions", "release", "--json"]).await;
    let left: serde_json::Value = serde_json::from_str(&released.out).expect("JSON");
    assert_eq!((released.exit, array(&left["items"]).len()), (0, 0));
    server.until_status(&waiting, "completed").await;
    server.stop().await;
}
