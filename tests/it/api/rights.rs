//! Who may use which route: every route × every role × every scope, made from the table of rights.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::right::Right;
use orchestrator::domain::tenant::scope::{Access, Area, Scope, Scopes};
use orchestrator::presentation::api::openapi_json;
use orchestrator::presentation::api::rights::{Needs, Row, TABLE};
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, bearer, request};

fn every_scope() -> Vec<Scope> {
    let areas = Area::ALL
        .iter()
        .flat_map(|area| Access::ALL.iter().map(|access| Scope::Of(*area, *access)));
    areas.chain([Scope::All, Scope::RegisterAgents, Scope::Metrics]).collect()
}

#[test]
fn every_route_has_its_line_and_every_line_its_route() {
    let document: Value = serde_json::from_str(&openapi_json()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let documented: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("operations").keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let listed: Vec<(String, String)> =
        TABLE.iter().map(|row| (row.method.to_owned(), row.route.replace("{*", "{"))).collect();
    let distinct: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), distinct.len(), "a route stands in the table twice");
    assert_eq!(distinct, documented);
}

#[test]
fn nothing_of_a_tenant_is_open() {
    for row in TABLE.iter().filter(|row| row.needs == Needs::Nothing) {
        // What is sent there is a credential itself.
        let open = ["/api/v1/login", "/api/v1/login/look", "/api/v1/invites/accept"];
        if open.contains(&row.route) && row.method == "POST" {
            continue;
        }
        let is_of_a_tenant = row.route.starts_with("/api/") || row.route.starts_with("/ws/");
        assert!(!is_of_a_tenant && row.method == "GET", "{row:?}");
    }
}

/// A request to the route of a row, about things that do not exist.
async fn knock(app: &TestApp, row: &Row, secret: Option<&str>) -> Answer {
    let id = "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3";
    let path = row.route.replace("{id}", id).replace("{delivery_id}", id).replace("{seq}", "1");
    let path = path.replace("{dependency_id}", id);
    // No lock can be called so, so that nobody waits for one.
    let path = path.replace("{*path}", "a.rs").replace("{file}", "a").replace("{name}", "-");
    let path = path.replace("{capability}", "testing");
    let secret = secret.map(bearer);
    let mut headers = vec![
        ("x-tenant-id", "default"),
        ("sec-fetch-site", "same-origin"),
        ("x-requested-with", "orchestrator"),
    ];
    headers.extend(secret.as_deref().map(|value| ("authorization", value)));
    let method = Method::from_bytes(row.method.as_bytes()).expect("a method");
    let body = (method != Method::GET && method != Method::DELETE).then(|| json!({}));
    app.send(request(method, &path, body, &headers)).await
}

/// The first thing that is lacking, in the words of the answer.
fn lacking(
    right: Right,
    role: Role,
    scope: Scope,
    is_system: bool,
) -> Option<(&'static str, String)> {
    if right.of_system && !is_system {
        Some(("required_role", "system".to_owned()))
    } else if role < right.role {
        Some(("required_role", right.role.as_str().to_owned()))
    } else if scope != Scope::All && scope != right.scope {
        Some(("required_scope", right.scope.to_string()))
    } else {
        None
    }
}

/// What somebody lacks who wants to register an external agent.
fn lacking_to_register(role: Role, scope: Scope) -> Option<(&'static str, String)> {
    let writes = [Scope::All, Scope::Of(Area::Agents, Access::Write)];
    match role {
        _ if scope == Scope::RegisterAgents => None,
        Role::Viewer => Some(("required_role", "member".to_owned())),
        Role::Member | Role::Lead | Role::Admin if writes.contains(&scope) => None,
        Role::Member | Role::Lead | Role::Admin => {
            Some(("required_scope", "agents:register".to_owned()))
        }
    }
}

async fn walled() -> TestApp {
    let options = ApiOptions { rate: None, open_metrics: false, ..ApiOptions::default() };
    TestApp::with(options, Vec::new()).await
}

#[tokio::test]
async fn every_route_asks_every_role_and_scope_for_exactly_what_its_line_says() {
    let app = walled().await;
    let mut callers = Vec::new();
    for (role, is_system) in
        Role::ALL.iter().map(|role| (*role, false)).chain([(Role::Admin, true), (Role::Lead, true)])
    {
        for scope in every_scope() {
            let scopes = Scopes::of([scope]);
            let secret = app.key_with(TenantId::BOOTSTRAP, role, scopes, is_system).await;
            callers.push((role, scope, is_system, secret));
        }
    }
    let (mut refused, mut admitted) = (0, 0);
    for row in TABLE {
        for (role, scope, is_system, secret) in &callers {
            let answer = knock(&app, row, Some(secret)).await;
            let lack = match row.needs {
                Needs::Right(right) | Needs::AgentOr(right) => {
                    lacking(right, *role, *scope, *is_system)
                }
                Needs::Registrar => lacking_to_register(*role, *scope),
                // A key is no token: nothing is told but whether there is such an agent.
                Needs::Agent | Needs::Key | Needs::Nothing => None,
            };
            let who = format!("{row:?} as {role} with {scope}, system {is_system}: {answer:?}");
            if let Some((field, wanted)) = lack {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{who}");
                assert_eq!(answer.code(), "FORBIDDEN", "{who}");
                assert_eq!(answer.body[field], json!(wanted), "{who}");
                refused += 1;
            } else {
                let turned_away = [StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED];
                assert!(!turned_away.contains(&answer.status), "{who}");
                assert!(!answer.status.is_server_error(), "{who}");
                admitted += 1;
            }
        }
    }
    assert!(refused > 5_000 && admitted > 1_000, "{refused} refused, {admitted} admitted");
}

#[tokio::test]
async fn every_route_but_the_open_ones_asks_for_a_credential() {
    let app = walled().await;
    for row in TABLE {
        let (none, wrong) = (knock(&app, row, None).await, knock(&app, row, Some("iok_no")).await);
        if row.needs == Needs::Nothing {
            assert_ne!(none.status, StatusCode::UNAUTHORIZED, "{row:?}");
            continue;
        }
        for answer in [&none, &wrong] {
            // Wrong secrets are counted, so that the later ones are told to wait.
            let told = (answer.status, answer.code());
            let limited = told == (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED")
                || (row.needs == Needs::Agent
                    && told == (StatusCode::NOT_FOUND, "AGENT_NOT_FOUND"));
            assert!(limited || told == (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{row:?}");
        }
    }
}
