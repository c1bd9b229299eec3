//! Contexts through the whole API: written, disputed, looked back at, merged and passed on.

mod expiry;
mod rights;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

async fn session(app: &TestApp, title: &str) -> String {
    let made =
        app.post("/api/v1/sessions", json!({ "title": title, "initial_prompt": "go" })).await;
    made.body["id"].as_str().expect("an id").to_owned()
}

/// A context of a new session.
async fn context(app: &TestApp, data: Value) -> Value {
    let session = session(app, "Remembers things").await;
    let body = json!({ "scope": "session", "session_id": session, "initial_data": data });
    let made = app.post("/api/v1/contexts", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    made.body
}

fn path_of(context: &Value) -> String {
    format!("/api/v1/contexts/{}", context["id"].as_str().expect("an id"))
}

async fn patch(app: &TestApp, path: &str, body: Value) -> Answer {
    app.send(app.request(Method::PATCH, path, Some(body))).await
}

/// A body of another kind of JSON.
async fn patch_as(app: &TestApp, path: &str, kind: &'static str, body: Value) -> Answer {
    let mut request = app.request(Method::PATCH, path, Some(body));
    request.headers_mut().insert("content-type", kind.parse().expect("a header"));
    app.send(request).await
}

#[tokio::test]
async fn writes_go_on_top_of_what_they_do_not_touch() {
    let app = TestApp::new().await;
    let made = context(&app, json!({ "a": { "b": 1 }, "c": 1 })).await;
    let path = path_of(&made);
    assert_eq!((&made["version"], &made["trusted"]), (&json!(1), &json!(true)));
    let first = patch(&app, &path, json!({ "updates": { "a.b": 2, "n.m": [1], "c": null } })).await;
    assert_eq!(first.status, StatusCode::OK, "{:?}", first.body);
    assert_eq!(first.body["version"], json!(2), "three paths are one version");
    assert_eq!(first.header("etag"), "\"v2\"");
    assert_eq!(first.body["data"], json!({ "a": { "b": 2 }, "n": { "m": [1] } }));
    let disjoint = json!({ "updates": { "x": 1 }, "expected_version": 1 });
    let rebased = patch(&app, &path, disjoint).await;
    assert_eq!((&rebased.body["version"], &rebased.body["rebased_from"]), (&json!(3), &json!(1)));
    let overlapping = json!({ "updates": { "a": 1, "y": 1 }, "expected_version": 1 });
    let refused = patch(&app, &path, overlapping).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "CONTEXT_CONFLICT"));
    assert_eq!(refused.body["conflicting_keys"], json!(["a"]));
    assert_eq!(refused.body["actual_version"], json!(3));
    let strict = json!({ "updates": { "y": 1 }, "expected_version": 2, "strict": true });
    assert_eq!(patch(&app, &path, strict).await.code(), "CONTEXT_CONFLICT");
    let mut matched = app.request(Method::PATCH, &path, Some(json!({ "updates": { "y": 1 } })));
    matched.headers_mut().insert("if-match", "\"v2\"".parse().expect("a header"));
    assert_eq!(app.send(matched).await.code(), "VERSION_MISMATCH");
    let events = app.get("/api/v1/events?type=context.conflict_rejected").await;
    assert_eq!(events.body["items"].as_array().map(Vec::len), Some(2));
    let told = app.get("/api/v1/events?type=context.updated").await;
    let newest = &told.body["items"][1]["payload"];
    assert_eq!((&newest["version"], &newest["changes"][0]["path"]), (&json!(3), &json!("x")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_increments_at_once_none_is_lost() {
    let app = TestApp::new().await;
    let made = context(&app, json!({ "count": 0 })).await;
    let path = path_of(&made);
    let increment = async || loop {
        let read = app.get(&path).await.body;
        let count = read["data"]["count"].as_u64().expect("a number") + 1;
        let body = json!({
            "updates": { "count": count }, "expected_version": read["version"],
        });
        let written = patch(&app, &path, body).await;
        if written.status == StatusCode::OK {
            return;
        }
        assert!(["CONTEXT_CONFLICT", "CONTENDED"].contains(&written.code()), "{written:?}");
    };
    let all = (0..100).map(|_| increment());
    futures_util::future::join_all(all).await;
    let read = app.get(&path).await.body;
    assert_eq!((&read["data"]["count"], &read["version"]), (&json!(100), &json!(101)));
}

#[tokio::test]
async fn one_key_and_the_patches_of_the_web() {
    let app = TestApp::new().await;
    let made = context(&app, json!({ "plan": { "steps": [1, 2] } })).await;
    let path = path_of(&made);
    let put = app.request(
        Method::PUT,
        &format!("{path}/keys/plan.owner"),
        Some(json!({ "value": { "name": "Ann", "none": null } })),
    );
    assert_eq!(app.send(put).await.status, StatusCode::OK);
    let key = app.get(&format!("{path}/keys/plan.owner")).await;
    assert_eq!(key.body["value"], json!({ "name": "Ann" }));
    assert_eq!(key.body["updated_by"]["trusted"], json!(true));
    let missing = app.get(&format!("{path}/keys/plan.nobody")).await;
    assert_eq!(missing.code(), "CONTEXT_KEY_NOT_FOUND");
    let gone = app.request(Method::DELETE, &format!("{path}/keys/plan.owner"), None);
    assert_eq!(app.send(gone).await.status, StatusCode::NO_CONTENT);
    let again = app.request(Method::DELETE, &format!("{path}/keys/plan.owner"), None);
    assert_eq!(app.send(again).await.code(), "CONTEXT_KEY_NOT_FOUND");
    let merged = json!({ "plan": { "goal": "ship" }, "nothing": null });
    let merged = patch_as(&app, &path, "application/merge-patch+json", merged).await;
    assert_eq!(merged.body["data"], json!({ "plan": { "steps": [1, 2], "goal": "ship" } }));
    let steps = json!([
        { "op": "test", "path": "/plan/goal", "value": "ship" },
        { "op": "add", "path": "/plan/steps/-", "value": 3 },
    ]);
    let patched = patch_as(&app, &path, "application/json-patch+json", steps).await;
    assert_eq!(patched.body["data"]["plan"]["steps"], json!([1, 2, 3]), "{:?}", patched.body);
    let failing = json!([{ "op": "test", "path": "/plan/goal", "value": "wait" }]);
    let failed = patch_as(&app, &path, "application/json-patch+json", failing).await;
    assert_eq!(failed.code(), "CONTEXT_CONFLICT");
    let other = patch_as(&app, &path, "text/plain", json!({})).await;
    assert_eq!(other.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn bodies_may_be_large_and_data_may_not() {
    let app = TestApp::new().await;
    let path = path_of(&context(&app, json!({})).await);
    // White space takes room in the body alone.
    let spaced = format!("{{ \"updates\": {{ \"a\": 1 }} {} }}", " ".repeat(2 * 1024 * 1024));
    let mut request = app.request(Method::PATCH, &path, Some(json!({})));
    *request.body_mut() = Body::from(spaced.clone());
    request.headers_mut().remove("content-length");
    assert_eq!(app.send(request).await.status, StatusCode::OK);
    let large = json!({ "updates": { "a": "x".repeat(1024 * 1024) } });
    assert_eq!(patch(&app, &path, large).await.code(), "PAYLOAD_TOO_LARGE");
    let read = app.get(&path).await;
    assert_eq!((&read.body["data"], &read.body["version"]), (&json!({ "a": 1 }), &json!(2)));
}

#[tokio::test]
async fn the_newest_hundred_versions_can_be_looked_back_at() {
    let app = TestApp::new().await;
    let made = context(&app, json!({ "n": 0 })).await;
    let path = path_of(&made);
    for number in 1..=105 {
        let written = patch(&app, &path, json!({ "updates": { "n": number } })).await;
        assert_eq!(written.status, StatusCode::OK);
    }
    let page = app.get(&format!("{path}/history")).await;
    assert_eq!(page.body["items"].as_array().map(Vec::len), Some(10));
    assert_eq!(page.body["items"][0]["version"], json!(106));
    assert_eq!(page.body["items"][0]["old_value"], json!(104));
    let (mut versions, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{path}/history?limit=30{cursor}")).await.body;
        let items = page["items"].as_array().expect("items");
        versions.extend(items.iter().filter_map(|item| item["version"].as_u64()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(versions, (7..=106).rev().collect::<Vec<u64>>());
    let past = app.get(&format!("{path}/versions/6")).await;
    assert_eq!(past.body["data"], json!({ "n": 5 }));
    assert_eq!(app.get(&format!("{path}/versions/5")).await.code(), "CONTEXT_NOT_FOUND");
    assert_eq!(app.get(&format!("{path}/versions/107")).await.code(), "CONTEXT_NOT_FOUND");
    let id = made["id"].as_str().expect("an id");
    let diff = app.get(&format!("{path}/diff/{id}?version=50&other_version=60")).await;
    assert_eq!(diff.body["modified"], json!({ "n": [49, 59] }));
    let summary =
        format!("/api/v1/contexts/session/{}/summary", made["session_id"].as_str().expect("an id"));
    let summary = app.get(&summary).await.body;
    assert_eq!((&summary["context_count"], &summary["total_keys"]), (&json!(1), &json!(1)));
    assert_eq!(summary["recent_changes"].as_array().map(Vec::len), Some(10));
}

#[tokio::test]
async fn people_decide_what_clashes_and_stale_merges_are_refused() {
    let app = TestApp::new().await;
    let (one, two) =
        (context(&app, json!({ "a": 1, "b": 1 })).await, context(&app, json!({ "a": 2 })).await);
    let merge =
        |strategy: &str| json!({ "context_ids": [one["id"], two["id"]], "strategy": strategy });
    let merged = app.post("/api/v1/contexts/merge", merge("prefer_source")).await;
    assert_eq!((merged.status, &merged.body["status"]), (StatusCode::CREATED, &json!("merged")));
    assert_eq!(merged.body["context"]["data"], json!({ "a": 2, "b": 1 }));
    assert_eq!(merged.body["context"]["metadata"]["merged_from"], json!([one["id"], two["id"]]));
    let open = app.post("/api/v1/contexts/merge", merge("manual")).await;
    assert_eq!((open.status, &open.body["status"]), (StatusCode::OK, &json!("conflicted")));
    assert_eq!(open.body["conflicts"], json!([{ "path": "a", "target": 1, "source": 2 }]));
    let waiting = open.body["context_id"].as_str().expect("an id");
    let reserved = format!("/api/v1/contexts/{waiting}");
    assert_eq!(app.get(&reserved).await.code(), "CONTEXT_NOT_FOUND", "nothing is written");
    let resolve = format!("{reserved}/resolve");
    let left = app.post(&resolve, json!({ "resolutions": {} })).await;
    assert_eq!(left.code(), "CONTEXT_MERGE_CONFLICT");
    let unknown = json!({ "resolutions": { "a": "source", "z": "source" } });
    assert_eq!(app.post(&resolve, unknown).await.code(), "VALIDATION_ERROR");
    let done = app.post(&resolve, json!({ "resolutions": { "a": { "value": [1, 2] } } })).await;
    assert_eq!((done.status, &done.body["data"]["a"]), (StatusCode::CREATED, &json!([1, 2])));
    assert_eq!(done.body["id"].as_str(), Some(waiting));
    assert_eq!(app.post(&resolve, json!({ "resolutions": {} })).await.code(), "CONTEXT_NOT_FOUND");
    let open = app.post("/api/v1/contexts/merge", merge("manual")).await;
    patch(&app, &path_of(&two), json!({ "updates": { "c": 3 } })).await;
    let resolve =
        format!("/api/v1/contexts/{}/resolve", open.body["context_id"].as_str().expect("an id"));
    let stale = app.post(&resolve, json!({ "resolutions": { "a": "source" } })).await;
    assert_eq!(stale.code(), "MERGE_STALE");
}

#[tokio::test]
async fn sharing_twice_updates_in_place_and_promotion_copies() {
    let app = TestApp::new().await;
    let made = context(&app, json!({ "a": [1] })).await;
    let (path, other) = (path_of(&made), session(&app, "Learns of it").await);
    let share = json!({ "target_session_id": other });
    let copy = app.post(&format!("{path}/share"), share.clone()).await;
    assert_eq!(copy.status, StatusCode::CREATED, "{:?}", copy.body);
    assert_eq!(copy.body["metadata"]["cloned_from"], made["id"]);
    assert_eq!((&copy.body["session_id"], &copy.body["lineage_id"]), (&json!(other), &made["id"]));
    patch(&app, &path, json!({ "updates": { "a": [1, 2] } })).await;
    let again = app.post(&format!("{path}/share"), share.clone()).await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::OK, &copy.body["id"]));
    assert_eq!((&again.body["version"], &again.body["data"]), (&json!(2), &json!({ "a": [1, 2] })));
    let apart = json!({ "target_session_id": other, "merge_existing": false });
    let apart = app.post(&format!("{path}/share"), apart).await;
    assert_eq!(apart.status, StatusCode::CREATED);
    let listed = app.get(&format!("/api/v1/contexts/session/{other}")).await;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(2));
    let global = app.post(&format!("{path}/promote-to-global"), json!({})).await;
    assert_eq!((global.status, &global.body["scope"]), (StatusCode::CREATED, &json!("global")));
    let promoted = path_of(&global.body);
    let twice = app.post(&format!("{promoted}/promote-to-global"), json!({})).await;
    assert_eq!((twice.status, &twice.body["id"]), (StatusCode::OK, &global.body["id"]));
    let scratch = app.post("/api/v1/contexts", json!({ "scope": "temporary" })).await;
    let refused =
        app.post(&format!("{}/promote-to-global", path_of(&scratch.body)), json!({})).await;
    assert_eq!((refused.code(), &refused.body["actual"]), ("SCOPE_MISMATCH", &json!("temporary")));
    let found = json!({ "scope": "global", "get_or_create": true });
    let found = app.post("/api/v1/contexts", found).await;
    assert_eq!((found.status, &found.body["id"]), (StatusCode::OK, &global.body["id"]));
}

#[tokio::test]
async fn a_checkpoint_says_which_versions_its_session_knew() {
    let app = TestApp::new().await;
    let made = context(&app, json!({ "a": 1 })).await;
    patch(&app, &path_of(&made), json!({ "updates": { "a": 2 } })).await;
    let path =
        format!("/api/v1/sessions/{}/checkpoints", made["session_id"].as_str().expect("an id"));
    let taken = app.post(&path, json!({ "checkpoint_data": {} })).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{:?}", taken.body);
    let id = made["id"].as_str().expect("an id");
    assert_eq!(taken.body["context_versions"], json!({ id: 2 }));
}
