//! The audit: every command and every refusal stands in it, in a chain that shows what was changed.

use axum::http::{Method, StatusCode};
use orchestrator::domain::audit::NO_HASH;
use orchestrator::domain::canonical::{canonical, sha256_hex};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, bearer, request};

const AUDIT: &str = "/api/v1/audit";

async fn by(
    app: &TestApp,
    secret: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    app.send(request(method, path, body, &[("authorization", &bearer(secret))])).await
}

fn items(answer: &Answer) -> &[Value] {
    answer.body["items"].as_array().map_or(&[], Vec::as_slice)
}

#[tokio::test]
async fn the_chain_can_be_followed_from_what_is_sent() {
    let app = TestApp::new().await;
    for number in 0..7 {
        let made =
            app.post("/api/v1/sessions", json!({ "initial_prompt": format!("{number}") })).await;
        let id = made.body["id"].as_str().expect("an id").to_owned();
        app.post(&format!("/api/v1/sessions/{id}/cancel"), json!({ "reason": "no\u{1f600}" }))
            .await;
    }
    let (mut seen, mut path, mut previous) =
        (0_u64, format!("{AUDIT}?limit=4"), NO_HASH.to_owned());
    loop {
        let page = app.get(&path).await;
        for entry in items(&page) {
            seen += 1;
            assert_eq!(entry["seq"], json!(seen));
            assert_eq!(entry["prev_hash"], json!(previous));
            let mut bare = entry.clone();
            bare.as_object_mut().expect("an object").retain(|name, _| !name.ends_with("hash"));
            previous = sha256_hex(format!("{previous}{}", canonical(&bare)).as_bytes());
            assert_eq!(entry["hash"], json!(previous), "{entry:#}");
            assert_eq!(entry["tenant_id"], json!(TenantId::BOOTSTRAP));
        }
        if page.body["has_more"] == json!(false) {
            break;
        }
        path = format!("{AUDIT}?limit=4&after={}", page.body["next_after"]);
    }
    // The administrator's key was made before.
    assert_eq!(seen, 15);
    let verdict = app.get("/api/v1/audit/verify").await;
    let first = app.get(&format!("{AUDIT}?limit=1")).await;
    let expected = json!({
        "intact": true, "entries": 15, "first": 1, "begins_signed_by": null, "complete": true,
        "head": previous, "first_bad": null, "signed_up_to": null, "signed_by": null,
        "unsigned_from": 1, "unsigned_since": items(&first)[0]["at"],
    });
    assert_eq!(verdict.body, expected);
}

#[tokio::test]
async fn refusals_are_on_record_and_entries_are_found_by_what_they_say() {
    let app = TestApp::new().await;
    let viewer = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let body = Some(json!({ "initial_prompt": "x" }));
    let refused = by(&app, &viewer, Method::POST, "/api/v1/sessions", body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    let found = app.get(&format!("{AUDIT}?outcome=refused")).await;
    let [entry] = items(&found) else { panic!("one refusal: {found:?}") };
    assert_eq!(entry["action"], "POST /api/v1/sessions");
    assert_eq!((&entry["actor"]["role"], &entry["outcome"]), (&json!("viewer"), &json!("refused")));
    assert_eq!(entry["request_id"], json!(refused.header("x-request-id")));
    let actor = entry["actor"]["id"].as_str().expect("an id");
    for (query, count) in [
        (format!("actor={actor}"), 1),
        ("action=create".to_owned(), 1),
        ("action=nothing".to_owned(), 0),
        (format!("subject={}", made.body["id"].as_str().expect("an id")), 1),
        ("outcome=ok".to_owned(), 2),
        ("after=1".to_owned(), 2),
    ] {
        let page = app.get(&format!("{AUDIT}?{query}")).await;
        assert_eq!(items(&page).len(), count, "{query}: {page:?}");
    }
    for wrong in ["outcome=maybe", "subject=me", "after=x", "colour=red"] {
        let page = app.get(&format!("{AUDIT}?{wrong}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let refused = by(&app, &viewer, Method::GET, AUDIT, None).await;
    assert_eq!(refused.body["required_role"], "admin");
}

#[tokio::test]
async fn whoever_is_refused_again_and_again_does_not_fill_the_audit() {
    let app = TestApp::new().await;
    let viewer = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    for path in ["/api/v1/sessions", "/api/v1/webhooks"] {
        for _ in 0..20 {
            let body = Some(json!({ "initial_prompt": "x" }));
            let refused = by(&app, &viewer, Method::POST, path, body).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
        }
    }
    let found = app.get(&format!("{AUDIT}?outcome=refused")).await;
    let actions: Vec<&Value> = items(&found).iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["POST /api/v1/sessions", "POST /api/v1/webhooks"]);
}

#[tokio::test]
async fn each_tenant_has_its_own_chain() {
    let app = TestApp::new().await;
    app.post("/api/v1/sessions", json!({ "initial_prompt": "mine" })).await;
    let stranger = app.key(app.other, Role::Admin).await;
    let own = by(&app, &stranger, Method::GET, AUDIT, None).await;
    assert!(items(&own).is_empty(), "{own:?}");
    let verdict = by(&app, &stranger, Method::GET, "/api/v1/audit/verify", None).await;
    assert_eq!((&verdict.body["entries"], &verdict.body["head"]), (&json!(0), &json!(NO_HASH)));
}
