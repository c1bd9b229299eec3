//! What is refused at the edge: addresses inside the house, broken bodies, old versions.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{HOOKS, app, hook, path_of};

#[tokio::test]
async fn addresses_inside_the_house_are_refused_by_creation_and_change() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &[]).await;
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "http://0.0.0.0/x",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://8.8.8.8/x",
    ] {
        let body = json!({ "url": url });
        let made = app.post(HOOKS, body.clone()).await;
        let changed = app.send(app.request(Method::PATCH, &path_of(&hook), Some(body))).await;
        for answer in [made, changed] {
            let told = (answer.status, answer.code());
            assert_eq!(told, (StatusCode::UNPROCESSABLE_ENTITY, "ENDPOINT_NOT_ALLOWED"), "{url}");
            assert_eq!(answer.body["errors"][0]["pointer"], "/url", "{}", answer.body);
            assert!(answer.body["remedy"].as_str().is_some_and(|text| !text.is_empty()));
        }
    }
    assert_eq!(app.get(&path_of(&hook)).await.body["url"], json!(receiver.url()));
}

#[tokio::test]
async fn everything_wrong_with_a_body_is_told_at_once() {
    let app = app().await;
    let body = json!({ "event_types": ["session.*", "no.such"], "is_active": 1, "color": "red" });
    let answer = app.post(HOOKS, body).await;
    let errors = answer.body["errors"].as_array().expect("errors").iter();
    let mut pointers: Vec<&str> = errors.filter_map(|error| error["pointer"].as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/color", "/is_active", "/url"], "{}", answer.body);
    for (url, code) in [
        ("hook", "VALIDATION_ERROR"),
        ("ftp://example.org", "ENDPOINT_NOT_ALLOWED"),
        ("https://user:word@example.org", "ENDPOINT_NOT_ALLOWED"),
        ("https://example.org/#part", "ENDPOINT_NOT_ALLOWED"),
    ] {
        let answer = app.post(HOOKS, json!({ "url": url })).await;
        assert_eq!(answer.code(), code, "{url}: {}", answer.body);
    }
    let answer = app.post(HOOKS, json!({ "url": "https://x", "event_types": ["no.such"] })).await;
    assert_eq!(answer.body["errors"][0]["pointer"], "/event_types/0", "{}", answer.body);
}

#[tokio::test]
async fn an_old_version_changes_nothing_and_a_repetition_gets_the_first_answer() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let keyed = |key: &str, path: &str, body: Value| {
        let mut request = app.request(Method::POST, path, Some(body));
        request.headers_mut().insert("idempotency-key", key.parse().expect("valid"));
        request
    };
    let body = json!({ "url": receiver.url() });
    let first = app.send(keyed("a", HOOKS, body.clone())).await;
    let again = app.send(keyed("a", HOOKS, body)).await;
    let mut told_once = first.body.clone();
    assert!(told_once["secret"].take().is_string(), "{}", first.body);
    assert_eq!((first.status, &told_once), (again.status, &again.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(app.get(HOOKS).await.body["items"].as_array().map(Vec::len), Some(1));
    let path = path_of(&first.body);
    for (method, sub) in [(Method::PATCH, ""), (Method::DELETE, ""), (Method::POST, "/rotate")] {
        let mut request = app.request(method.clone(), &format!("{path}{sub}"), Some(json!({})));
        request.headers_mut().insert("if-match", "\"v7\"".parse().expect("valid"));
        let answer = app.send(request).await;
        assert_eq!(answer.code(), "VERSION_MISMATCH", "{method} {sub}: {}", answer.body);
    }
    let found = app.get(&path).await;
    assert_eq!((found.header("etag"), &found.body["revision"]), ("\"v1\"", &json!(1)));
}
