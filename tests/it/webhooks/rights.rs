//! Who may do what with webhooks: administrators everything, nobody else anything.

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{HOOKS, app, hook, path_of};
use crate::support::app::{TestApp, bearer, request};

/// Every operation, with a body where it takes one.
fn operations(path: &str, delivery: &str, url: &str) -> Vec<(Method, String, Option<Value>)> {
    let nothing = || Some(json!({}));
    vec![
        (Method::GET, HOOKS.to_owned(), None),
        (Method::POST, HOOKS.to_owned(), Some(json!({ "url": url }))),
        (Method::GET, path.to_owned(), None),
        (Method::PATCH, path.to_owned(), nothing()),
        (Method::POST, format!("{path}/rotate"), nothing()),
        (Method::POST, format!("{path}/test"), nothing()),
        (Method::GET, format!("{path}/deliveries"), None),
        (Method::GET, format!("{path}/deliveries/{delivery}"), None),
        (Method::POST, format!("{path}/deliveries/{delivery}/redeliver"), nothing()),
        (Method::DELETE, path.to_owned(), None),
    ]
}

#[tokio::test]
async fn webhooks_are_for_administrators_of_their_own_tenant() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &[]).await;
    let path = path_of(&hook);
    let test = app.post(&format!("{path}/test"), json!({})).await;
    let delivery = test.body["id"].as_str().expect("an id").to_owned();
    let documented: Value =
        serde_json::from_str(&orchestrator::presentation::api::openapi_json()).expect("JSON");
    let paths = documented["paths"].as_object().expect("paths").iter();
    let known = paths.filter(|(path, _)| path.contains("/webhooks"));
    let known: usize =
        known.map(|(_, item)| item.as_object().map_or(0, serde_json::Map::len)).sum();
    let operations = operations(&path, &delivery, &receiver.url());
    assert_eq!(operations.len(), known, "every documented operation is tried here");
    for role in [Role::Viewer, Role::Member, Role::Lead] {
        let key = bearer(&app.key(TenantId::BOOTSTRAP, role).await);
        for (method, path, body) in &operations {
            let headers = [("authorization", key.as_str())];
            let asked = request(method.clone(), path, body.clone(), &headers);
            let answer = app.send(asked).await;
            let told = (answer.status, answer.body["required_role"].as_str());
            assert_eq!(told, (StatusCode::FORBIDDEN, Some("admin")), "{role} {method} {path}");
        }
    }
    foreign(&app, &operations).await;
    let key = bearer(&app.key(TenantId::BOOTSTRAP, Role::Admin).await);
    for (method, path, body) in &operations {
        let headers = [("authorization", key.as_str())];
        let answer = app.send(request(method.clone(), path, body.clone(), &headers)).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.body);
    }
}

/// For the administrator of another tenant nothing of it exists.
async fn foreign(app: &TestApp, operations: &[(Method, String, Option<Value>)]) {
    let key = bearer(&app.key(app.other, Role::Admin).await);
    for (method, path, body) in operations {
        let headers = [("authorization", key.as_str())];
        let answer = app.send(request(method.clone(), path, body.clone(), &headers)).await;
        if path != HOOKS {
            let told = (answer.status, answer.code());
            assert_eq!(told, (StatusCode::NOT_FOUND, "WEBHOOK_NOT_FOUND"), "{method} {path}");
        } else if method == Method::GET {
            assert_eq!(answer.body["items"], json!([]), "{method} {path}");
        }
    }
}
