//! The walls between tenants: every route × every place where an id can stand × every way to show
//! oneself, made from the API document.
//!
//! Each question is asked twice by somebody of another tenant, once about a thing that is there and
//! once about one that never was. The two answers must not differ.

mod asked;
mod places;
mod sockets;
mod things;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use orchestrator::application::principal::{Principal, RequestContext};
use orchestrator::domain::ids::{KeyId, TenantId};
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::network::Reach;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::presentation::api::state::AppState;
use orchestrator::presentation::api::{openapi_json, router};
use serde_json::{Value, json};

use self::asked::{Callers, differences};
use self::places::{Place, places};
use self::things::{CANARY, Things};
use crate::support::app::TestApp;

fn document() -> Value {
    serde_json::from_str(&openapi_json()).expect("JSON")
}

#[tokio::test]
async fn nobody_learns_of_another_tenant_by_any_id_anywhere() {
    let app = TestApp::new().await;
    let things = Things::of(&app).await;
    let callers = Callers::of(&app).await;
    let before = things.shown(&app).await;
    let places = places(&document());
    assert!(places.len() > 70, "{} places", places.len());
    let mut asked = 0;
    for place in &places {
        let (count, found) = differences(&app, &callers, &things, place).await;
        assert_eq!(found, [""; 0], "{place:?}");
        asked += count;
    }
    assert!(asked > 1500, "{asked} pairs");
    assert_eq!(things.shown(&app).await, before, "something of theirs was changed");
}

#[tokio::test]
async fn an_answer_to_a_repeated_request_is_of_the_own_tenant() {
    let app = TestApp::new().await;
    let stranger = app.key(app.other, Role::Admin).await;
    let body = json!({ "initial_prompt": CANARY });
    let theirs = things::keyed(&app, None, "the same", &body).await;
    let body = json!({ "initial_prompt": "x" });
    let own = things::keyed(&app, Some(&stranger), "the same", &body).await;
    assert_eq!((theirs.status.as_u16(), own.status.as_u16()), (201, 201));
    assert_eq!(own.header("idempotency-replayed"), "");
    assert_ne!(own.body["id"], theirs.body["id"]);
}

#[tokio::test]
async fn a_cursor_of_another_tenant_is_none() {
    let app = TestApp::new().await;
    let things = Things::of(&app).await;
    let stranger = app.key(app.other, Role::Admin).await;
    let document = document();
    let mut tried = 0;
    for path in places::paged(&document) {
        let path = things.fill(&path);
        let page = app.get(&format!("{path}?limit=1")).await;
        let Some(cursor) = page.body["next_cursor"].as_str() else { continue };
        tried += 1;
        let garbled: String = cursor.chars().rev().collect();
        let with = |cursor: &str| format!("{path}?cursor={cursor}");
        let foreign = asked::by(&app, &stranger, Method::GET, &with(cursor)).await;
        let other = asked::by(&app, &stranger, Method::GET, &with(&garbled)).await;
        assert!(foreign.status.is_client_error(), "{path}: {foreign:?}");
        assert_eq!(asked::plain(&foreign, &[]), asked::plain(&other, &[]), "{path}");
    }
    assert!(tried >= 3, "{tried} lists had a second page");
}

#[tokio::test]
async fn what_is_listed_or_exported_is_of_the_own_tenant() {
    let app = TestApp::new().await;
    let things = Things::of(&app).await;
    let callers = Callers::of(&app).await;
    let mut read = 0;
    for path in places::readable(&document()) {
        for caller in callers.who_read() {
            let answer = caller.ask(&app, Method::GET, &path, None).await;
            let text = answer.body.to_string();
            assert!(!text.contains(CANARY), "{path}: {text}");
            assert!(things.named_in(&text).is_none(), "{path}: {text}");
            read += usize::from(answer.status.is_success());
        }
    }
    assert!(read > 20, "{read} lists");
}

/// A handler that believes the query about the tenant: what these tests are there to find.
async fn leak(
    State(app): State<AppState>,
    Path(id): Path<String>,
    Query(query): Query<std::collections::HashMap<String, String>>,
) -> Response {
    let named = query.get("tenant").map_or("other", String::as_str);
    let tenant = app.identity.tenant(named).map_or(TenantId::SYSTEM, |tenant| tenant.id);
    let principal = Principal {
        key: KeyId::new(uuid::Uuid::nil()),
        credential: None,
        user: None,
        agent: None,
        home: None,
        name: "leak".to_owned(),
        role: Role::Viewer,
        scopes: Scopes::all(),
        is_system: false,
        reach: Reach::default(),
    };
    let request_id = String::new();
    let ctx = RequestContext { tenant, principal, request_id, if_match: None, repeat: None };
    let found = match orchestrator::domain::ids::SessionId::parse(&id) {
        Some(id) => app.sessions.get(&ctx, id).await.ok(),
        None => None,
    };
    match found {
        Some(session) => session.value.spec.title.clone().into_response(),
        None => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test]
async fn a_planted_leak_is_found() {
    let mut app = TestApp::new().await;
    let things = Things::of(&app).await;
    let callers = Callers::of(&app).await;
    let route = "/api/v1/sessions/{id}/leak";
    app.router = router(&app.state, Router::new().route(route, axum::routing::get(leak)));
    let place = Place::in_path("GET", route, "id");
    let (_, found) = differences(&app, &callers, &things, &place).await;
    assert!(!found.is_empty(), "a handler takes the tenant from the query, and nobody noticed");
    // The same handler without its mistake.
    let honest = Place::in_path("GET", "/api/v1/sessions/{id}", "id");
    assert_eq!(differences(&app, &callers, &things, &honest).await.1, [""; 0]);
}
