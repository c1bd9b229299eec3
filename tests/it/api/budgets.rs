//! Budgets at the door: what has none left does not begin.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

const SESSIONS: &str = "/api/v1/sessions";

async fn create(app: &TestApp, fields: Value) -> Answer {
    let mut body = json!({ "initial_prompt": "Mend it." });
    let target = body.as_object_mut().expect("an object");
    target.extend(fields.as_object().cloned().unwrap_or_default());
    app.post(SESSIONS, body).await
}

fn exhausted(answer: &Answer, scope: &str) {
    let code = (answer.status.as_u16(), answer.code());
    assert_eq!(code, (402, "BUDGET_EXHAUSTED"), "{}", answer.body);
    let told = (&answer.body["scope"], &answer.body["limit"]);
    assert_eq!((told.0, told.1.as_f64()), (&json!(scope), Some(0.0)));
}

#[tokio::test]
async fn a_budget_of_nothing_lets_nothing_begin() {
    let app = TestApp::new().await;
    for (field, scope) in
        [("budget_usd", "session_budget_usd"), ("token_budget", "session_token_budget")]
    {
        exhausted(&create(&app, json!({ field: 0, "start": true })).await, scope);
        let made = create(&app, json!({ field: 0 })).await;
        assert_eq!((made.status.as_u16(), made.body[field].as_f64()), (201, Some(0.0)));
        let path = format!("{SESSIONS}/{}", made.body["id"].as_str().expect("an id"));
        exhausted(&app.post(&format!("{path}/start"), json!({})).await, scope);
        let fork = json!({ "budget_usd": 3 });
        let fork = app.post(&format!("{path}/fork"), fork).await;
        assert_eq!((fork.status.as_u16(), fork.body["budget_usd"].as_f64()), (201, Some(3.0)));
    }
    assert_eq!(app.get(SESSIONS).await.body["items"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_raised_budget_lets_it_begin() {
    let app = TestApp::new().await;
    let made = create(&app, json!({ "budget_usd": 0 })).await;
    let path = format!("{SESSIONS}/{}", made.body["id"].as_str().expect("an id"));
    let set = |budget: Value| {
        app.send(app.request(Method::PATCH, &path, Some(json!({ "budget_usd": budget }))))
    };
    assert_eq!(set(json!(-1)).await.code(), "VALIDATION_ERROR");
    assert_eq!(set(json!(2.5)).await.body["budget_usd"], 2.5);
    let started = app.post(&format!("{path}/start"), json!({})).await;
    assert_eq!((started.status.as_u16(), &started.body["status"]), (200, &json!("queued")));
    assert_eq!(set(Value::Null).await.body["budget_usd"], Value::Null);
}
