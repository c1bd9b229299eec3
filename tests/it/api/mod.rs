//! The HTTP API through its real router.

mod admissions;
mod agents;
mod approvals;
mod audit;
mod browsers;
mod budgets;
mod commands;
mod coverage;
mod door;
mod edges;
mod fleet;
mod inherited;
mod invites;
mod keys;
mod lists;
mod locks;
mod login;
mod pages;
mod quotas;
mod ratings;
mod refusals;
mod rights;
mod statuses;
mod streams;
mod system;
mod tenants;
mod usage;
mod users;
mod waits;
mod wire;

use axum::http::Method;
use serde_json::Value;

use crate::support::app::{ADMIN, Answer, TestApp, bearer, request};

/// As whoever shows this secret.
async fn as_who(
    app: &TestApp,
    secret: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let key = bearer(secret);
    let mut headers = vec![("authorization", &*key)];
    if secret == ADMIN {
        headers.push(("x-tenant-id", "default"));
    }
    app.send(request(method, path, body, &headers)).await
}

fn text(answer: &Answer, field: &str) -> String {
    answer.body[field].as_str().unwrap_or_else(|| panic!("{field} in {answer:?}")).to_owned()
}
