//! The whole executable from outside: real servers, the real command line, real repositories, and
//! the real `OpenCode` in front of a model that follows a script.

mod admissions;
mod agents;
mod audit;
mod commands;
mod connections;
mod demo;
mod families;
mod gates;
mod graphs;
mod hosts;
mod joining;
mod keys;
mod kills;
mod locks;
mod login;
mod loopback;
mod neighbours;
mod newcomer;
mod newcomer_api;
mod offenders;
mod opencode_asks;
mod opencode_budget;
mod opencode_kills;
mod opencode_run;
mod opencode_tools;
mod planner;
mod recovery;
mod restart;
mod sandbox;
mod shares;
mod shutdown;
mod switched_off;
mod team;
mod tools;
mod transport;
mod usage;
mod why;
pub(crate) mod writers;

use serde_json::{Value, json};

use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;
use crate::support::server::{Api, Server, Site, array, text};

/// A program that subtracts where it should add.
const WRONG: &str = "def add(a, b):\n    return a - b\n";
/// The same, mended.
const RIGHT: &str = "def add(a, b):\n    return a + b\n";

/// A repository with the wrong program.
fn calculator() -> TestRepo {
    TestRepo::with(&[("calc.py", WRONG)])
}

/// A prompt for the simulated agent that carries what it does.
fn plays(steps: &Value) -> String {
    format!("Do this.\n```simulated\n{steps}\n```")
}

/// Creates and starts a session that plays these steps; its id.
async fn begin(api: &Api, steps: &Value) -> String {
    begin_with(api, steps, json!({})).await
}

/// The same with more fields.
async fn begin_with(api: &Api, steps: &Value, mut fields: Value) -> String {
    fields["initial_prompt"] = json!(plays(steps));
    fields["start"] = json!(true);
    text(&api.post("sessions", fields).await["id"]).to_owned()
}

/// A simulated agent that waits for a permission before it goes on.
fn asks() -> Value {
    json!({ "ask": { "tool": "bash", "patterns": ["make"], "title": "make" } })
}

/// Nothing is held any more: sessions have ended, attempts and leases too, no agent is left, and
/// no worktree beside the repository's own.
async fn settled(site: &Site, server: &Server, repo: Option<&TestRepo>) {
    for session in server.all("sessions").await {
        let status = text(&session["status"]);
        assert!(!["running", "degraded", "queued"].contains(&status), "{session:#}");
        let attempts = server.get(&format!("sessions/{}/attempts", text(&session["id"]))).await;
        for attempt in array(&attempts["items"]) {
            assert!(!attempt["ended_at"].is_null(), "{attempt:#}");
            for lease in array(&attempt["leases"]) {
                assert!(!lease["released_at"].is_null(), "{lease:#}");
            }
        }
    }
    if let Some(repo) = repo {
        eventually("the worktrees are put away", async || worktrees(repo) == 1).await;
    }
    assert!(!site.log().contains("INTERNAL_ERROR"), "{}", site.log());
}

/// A file of the work that a session saved last.
fn saved(repo: &TestRepo, id: &str, path: &str) -> String {
    repo.git(&["show", &format!("refs/orchestrator/{id}/latest:{path}")])
}

/// How many worktrees a repository has, its own included.
fn worktrees(repo: &TestRepo) -> usize {
    repo.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count()
}

/// Numbers of all events, which must be 1, 2, 3 … without a gap.
async fn events_without_gap(api: &Api) -> Vec<Value> {
    let events = api.all("events").await;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], json!(index + 1), "a gap at {event:#}");
    }
    events
}
