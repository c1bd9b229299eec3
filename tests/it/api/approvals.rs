//! Approvals: bound to exactly what was asked, given for good by leads alone, and on record.

use axum::http::{Method, StatusCode};
use orchestrator::application::ports::changes::{ChangeSet, Write};
use orchestrator::domain::attention::{AttentionItem, AttentionKind};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};

use super::as_who;
use crate::contract::fixtures::{fresh, item};
use crate::support::app::{ADMIN, Answer, TestApp};

const FAR: i64 = 4_000_000_000;
const PRINT: &str = "9f2c1a53b1d7f0a9d3b8b4a0f6b1c7d2e5a4938271605f4e3d2c1b0a99887766";

async fn session(app: &TestApp) -> String {
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    made.body["id"].as_str().expect("an id").to_owned()
}

/// An open ask for a tool; the path of its item.
async fn ask(app: &TestApp, session: &str, tool: &str, patterns: &[&str]) -> String {
    let session = SessionId::parse(session).expect("an id");
    let open = AttentionItem {
        kind: AttentionKind::Permission,
        title: format!("{tool}: {}", patterns.join(" ")),
        payload: json!({ "tool": tool, "patterns": patterns, "request": {} }),
        fingerprint: PRINT.to_owned(),
        ..item(TenantId::BOOTSTRAP, session, FAR)
    };
    let path = format!("/api/v1/attention/{}", open.id);
    let set = ChangeSet::new(TenantId::BOOTSTRAP).write(Write::Attention(fresh(open)));
    app.store.commit(set).await.expect("stored");
    path
}

async fn post(app: &TestApp, secret: &str, path: &str, body: Value) -> Answer {
    as_who(app, secret, Method::POST, path, Some(body)).await
}

async fn entry(app: &TestApp, action: &str) -> Value {
    let page = app.get(&format!("/api/v1/audit?action={action}")).await;
    page.body["items"].as_array().and_then(|items| items.last()).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_decision_about_something_else_settles_nothing() {
    let app = TestApp::new().await;
    let id = session(&app).await;
    let item = ask(&app, &id, "bash", &["ls *"]).await;
    let resolve = format!("{item}/resolve");
    for decision in ["allow_once", "deny", "allow_always"] {
        let body = json!({ "decision": decision, "fingerprint": "0".repeat(64) });
        let refused = post(&app, ADMIN, &resolve, body).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "APPROVAL_MISMATCH"));
        assert_eq!(refused.body["fingerprint"], PRINT);
    }
    let still = app.get(&item).await.body;
    assert_eq!((&still["state"], &still["fingerprint"]), (&json!("open"), &json!(PRINT)));
    let body = json!({ "decision": "allow_once", "fingerprint": PRINT });
    let settled = post(&app, ADMIN, &resolve, body).await;
    assert_eq!(settled.body["decision"], "allow_once", "{settled:?}");
}

#[tokio::test]
async fn what_is_allowed_for_good_is_exactly_what_was_asked_and_is_on_record() {
    let app = TestApp::new().await;
    let id = session(&app).await;
    let item = ask(&app, &id, "bash", &["ls *"]).await;
    let member = app.key(TenantId::BOOTSTRAP, Role::Member).await;
    let resolve = format!("{item}/resolve");
    let always = json!({ "decision": "allow_always", "fingerprint": PRINT });
    let refused = post(&app, &member, &resolve, always.clone()).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "FORBIDDEN"));
    assert_eq!(refused.body["required_role"], "lead");
    let told = refused.body["detail"].as_str().unwrap_or_default();
    assert!(told.contains("allow_once"), "it says what may be done: {told}");
    let lead = app.key(TenantId::BOOTSTRAP, Role::Lead).await;
    let settled = post(&app, &lead, &resolve, always).await;
    assert_eq!(settled.status, StatusCode::OK, "{settled:?}");
    let rule = json!({ "tool": "bash", "pattern": null, "exactly": ["ls *"], "decision": "allow" });
    let policy = app.get(&format!("/api/v1/sessions/{id}")).await.body["permission_policy"].clone();
    assert_eq!(policy, json!({ "default": "ask", "rules": [rule] }));
    let after = entry(&app, "resolve").await["after"].clone();
    let expected = json!({
        "status": "pending", "priority": 2, "item": settled.body["id"], "kind": "permission",
        "title": "bash: ls *", "tool": "bash", "patterns": ["ls *"], "fingerprint": PRINT,
        "decision": "allow_always",
        "rule": { "tool": "bash", "exactly": ["ls *"], "decision": "allow" },
    });
    assert_eq!(after, expected);
    // What a member may do: once.
    let item = ask(&app, &id, "edit", &["a.py"]).await;
    let once = json!({ "decision": "allow_once" });
    let settled = post(&app, &member, &format!("{item}/resolve"), once).await;
    assert_eq!(settled.body["decision"], "allow_once");
    assert_eq!(entry(&app, "resolve").await["after"]["rule"], Value::Null);
    let verdict = app.get("/api/v1/audit/verify").await;
    assert_eq!(verdict.body["intact"], true);
}

#[tokio::test]
async fn a_policy_that_is_full_learns_no_more() {
    let app = TestApp::new().await;
    let rule =
        |n: usize| json!({ "tool": "edit", "pattern": format!("{n}.py"), "decision": "deny" });
    let rules: Vec<Value> = (0..500).map(rule).collect();
    let body = json!({ "initial_prompt": "x", "permission_policy": { "rules": rules } });
    let made = app.post("/api/v1/sessions", body).await;
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let item = ask(&app, &id, "bash", &["ls *"]).await;
    let resolve = format!("{item}/resolve");
    let refused = post(&app, ADMIN, &resolve, json!({ "decision": "allow_always" })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    assert_eq!(refused.body["errors"][0]["pointer"], "/decision");
    assert_eq!(app.get(&item).await.body["state"], "open");
    let once = post(&app, ADMIN, &resolve, json!({ "decision": "allow_once" })).await;
    assert_eq!(once.body["decision"], "allow_once", "{once:?}");
    // What no rule can hold is not offered.
    let item = ask(&app, &id, "edit", &["x".repeat(9000).as_str()]).await;
    assert_eq!(app.get(&item).await.body["decisions"], json!(["allow_once", "deny"]));
}

#[tokio::test]
async fn a_command_line_of_several_commands_is_allowed_once_or_not() {
    let app = TestApp::new().await;
    let id = session(&app).await;
    let item = ask(&app, &id, "bash", &["cat x", "sh"]).await;
    assert_eq!(app.get(&item).await.body["decisions"], json!(["allow_once", "deny"]));
    let always = json!({ "decision": "allow_always" });
    let refused = post(&app, ADMIN, &format!("{item}/resolve"), always).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    assert_eq!(refused.body["errors"][0]["pointer"], "/decision");
}

#[tokio::test]
async fn only_a_lead_lets_an_agent_do_things_unasked() {
    let app = TestApp::new().await;
    let member = app.key(TenantId::BOOTSTRAP, Role::Member).await;
    let lead = app.key(TenantId::BOOTSTRAP, Role::Lead).await;
    let wide = [
        json!({ "default": "allow" }),
        json!({ "rules": [{ "tool": "bash", "pattern": "git *", "decision": "allow" }] }),
        json!({ "rules": [{ "tool": "bash", "exactly": ["ls"], "decision": "allow" }] }),
    ];
    for policy in wide {
        let body = json!({ "initial_prompt": "x", "permission_policy": policy });
        let refused = post(&app, &member, "/api/v1/sessions", body.clone()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{policy}");
        assert_eq!(refused.body["required_role"], "lead");
        let made = post(&app, &lead, "/api/v1/sessions", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let told = entry(&app, "create").await["after"]["permission_policy"].clone();
        let wanted = policy.get("rules").unwrap_or(&Value::Null);
        assert!(wanted.is_null() || told["rules"] == *wanted, "{told} for {policy}");
        // What a member copies asks where the source did not.
        let fork = format!("/api/v1/sessions/{}/fork", made.body["id"].as_str().expect("an id"));
        let forked = post(&app, &member, &fork, json!({})).await;
        let asking = json!({ "default": "ask", "rules": [] });
        assert_eq!(forked.body["permission_policy"], asking, "{forked:?}");
        let forked = post(&app, &lead, &fork, json!({})).await;
        assert_eq!(forked.body["permission_policy"], made.body["permission_policy"]);
    }
    let refusals = app.get("/api/v1/audit?outcome=refused").await;
    let refusals = refusals.body["items"].as_array().map_or(0, Vec::len);
    assert_eq!(
        refusals, 1,
        "they are on record, the first at once and those like it by their number"
    );
    for policy in [
        json!({ "default": "deny" }),
        json!({ "rules": [{ "tool": "bash", "decision": "ask" }] }),
        json!({ "rules": [{ "tool": "external_directory", "decision": "deny" }] }),
    ] {
        let body = json!({ "initial_prompt": "x", "permission_policy": policy });
        let made = post(&app, &member, "/api/v1/sessions", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        assert_eq!(entry(&app, "create").await["after"]["permission_policy"], Value::Null);
    }
}

#[tokio::test]
async fn what_is_guarded_can_be_given_away_by_nobody() {
    let app = TestApp::new().await;
    for (tool, decision) in [("external_directory", "allow"), ("doom_loop", "ask")] {
        let policy = json!({ "rules": [{ "tool": tool, "decision": decision }] });
        let body = json!({ "initial_prompt": "x", "permission_policy": policy });
        let refused = post(&app, ADMIN, "/api/v1/sessions", body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
        let pointer = "/permission_policy/rules/0/decision";
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    let both = json!({ "tool": "bash", "pattern": "a", "exactly": ["a"], "decision": "deny" });
    let body = json!({ "initial_prompt": "x", "permission_policy": { "rules": [both] } });
    let refused = post(&app, ADMIN, "/api/v1/sessions", body).await;
    let pointer = "/permission_policy/rules/0/exactly";
    assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{refused:?}");
}

#[tokio::test]
async fn the_audit_names_the_key_that_somebody_acted_with() {
    let app = TestApp::new().await;
    let ann = json!({ "email": "ann@example.org", "full_name": "Ann", "role": "member" });
    let ann = app.post("/api/v1/users", ann).await.body["id"].clone();
    for name in ["one", "two"] {
        let key = json!({ "name": name, "role": "member", "user_id": ann });
        let key = app.post("/api/v1/keys", key).await.body;
        let secret = key["secret"].as_str().expect("a secret");
        let made = post(&app, secret, "/api/v1/sessions", json!({ "initial_prompt": name })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let actor = entry(&app, "create").await["actor"].clone();
        let wanted = json!({ "kind": "user", "id": ann, "key": key["id"], "role": "member" });
        assert_eq!(actor, wanted);
    }
    session(&app).await;
    let actor = entry(&app, "create").await["actor"].clone();
    assert_eq!((&actor["kind"], &actor["key"]), (&json!("key"), &Value::Null));
    assert_eq!(app.get("/api/v1/audit/verify").await.body["intact"], true);
}
