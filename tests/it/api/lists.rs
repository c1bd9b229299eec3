//! Pages of sessions.

use serde_json::json;

use crate::support::app::{OTHER, TestApp, bearer, request};
use axum::http::Method;
use orchestrator::domain::tenant::key::Role;

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_double() {
    let app = TestApp::new().await;
    for number in 1..=7 {
        let body =
            json!({ "initial_prompt": "x", "title": format!("Number {number}"), "tags": ["a"] });
        app.post("/api/v1/sessions", body).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/sessions?limit=3&tag=a&sort=created_at&count=true{cursor}");
        let page = app.get(&path).await;
        assert_eq!(page.body["total"], 7);
        let items = page.body["items"].as_array().expect("items");
        seen.extend(items.iter().map(|item| item["title"].as_str().expect("a title").to_owned()));
        let Some(next) = page.body["next_cursor"].as_str() else {
            assert_eq!(page.body["has_more"], false);
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<String> = (1..=7).map(|number| format!("Number {number}")).collect();
    assert_eq!(seen, expected);
    let foreign = app.get(&format!("/api/v1/sessions?limit=3{cursor}")).await;
    assert_eq!(
        (foreign.status.as_u16(), &foreign.body["errors"][0]["pointer"]),
        (422, &json!("?cursor"))
    );
    let stranger = bearer(&app.key(app.other, Role::Viewer).await);
    let path = format!("/api/v1/sessions?limit=3&tag=a&sort=created_at{cursor}");
    let headers = [("authorization", &*stranger), ("x-tenant-id", OTHER)];
    let foreign = app.send(request(Method::GET, &path, None, &headers)).await;
    assert_eq!(foreign.status.as_u16(), 422);
}

#[tokio::test]
async fn filters_filter() {
    let app = TestApp::new().await;
    app.post(
        "/api/v1/sessions",
        json!({ "initial_prompt": "x", "priority": 0, "tags": ["a", "b"] }),
    )
    .await;
    app.post("/api/v1/sessions", json!({ "initial_prompt": "y", "start": true, "tags": ["a"] }))
        .await;
    let cases = [
        ("priority=0", 1),
        ("priority=critical", 1),
        ("status=queued", 1),
        ("status=queued&status=pending", 2),
        ("status=queued,pending", 2),
        ("tag=a", 2),
        ("tag=a&tag=b", 1),
        ("q=ind-000002", 1),
        ("session_type=review", 0),
        ("attention=none", 2),
        ("created_after=2020-01-01T00:00:00Z", 2),
        ("created_before=2020-01-01T00:00:00%2B02:00", 0),
    ];
    for (query, count) in cases {
        let page = app.get(&format!("/api/v1/sessions?{query}")).await;
        assert_eq!(page.body["items"].as_array().map(Vec::len), Some(count), "{query}");
    }
}
