//! Who may do what with contexts: roles, other tenants, and agents.

use axum::http::{Method, StatusCode};
use orchestrator::application::context::error::ContextError;
use orchestrator::application::context::{AgentCaller, By, Wanted};
use orchestrator::application::error::AppError;
use orchestrator::domain::context::write::{Base, Update};
use orchestrator::domain::context::{ContextDraft, ContextScope};
use orchestrator::domain::ids::{AgentId, SessionId, TenantId};
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};

use super::{context, path_of, session};
use crate::support::app::{TestApp, bearer, request};

#[tokio::test]
async fn viewers_read_members_write_and_leads_promote() {
    let app = TestApp::new().await;
    let path = path_of(&context(&app, json!({ "a": 1 })).await);
    let global = app.post("/api/v1/contexts", json!({ "scope": "global" })).await;
    let global = path_of(&global.body);
    let operations: [(Method, String, Option<Value>, Role); 6] = [
        (Method::GET, path.clone(), None, Role::Viewer),
        (Method::GET, format!("{path}/history"), None, Role::Viewer),
        (Method::PATCH, path.clone(), Some(json!({ "updates": { "b": 1 } })), Role::Member),
        (Method::POST, format!("{path}/promote-to-global"), Some(json!({})), Role::Lead),
        (Method::DELETE, path, None, Role::Member),
        (Method::DELETE, global, None, Role::Lead),
    ];
    let roles = [Role::Viewer, Role::Member, Role::Lead];
    for (method, path, body, needed) in operations {
        for role in roles {
            let key = bearer(&app.key(TenantId::BOOTSTRAP, role).await);
            let headers = [("authorization", key.as_str())];
            let asked = request(method.clone(), &path, body.clone(), &headers);
            let answer = app.send(asked).await;
            let is_refused = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(is_refused, role < needed, "{role} {method} {path}: {}", answer.body);
            if !is_refused && method == Method::DELETE {
                break;
            }
        }
    }
}

#[tokio::test]
async fn for_another_tenant_a_context_does_not_exist() {
    let app = TestApp::new().await;
    let path = path_of(&context(&app, json!({ "a": 1 })).await);
    let key = bearer(&app.key(app.other, Role::Admin).await);
    let headers = [("authorization", key.as_str())];
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::PATCH, path.clone(), Some(json!({ "updates": { "a": 2 } }))),
        (Method::GET, format!("{path}/keys/a"), None),
        (Method::POST, format!("{path}/promote-to-global"), Some(json!({}))),
        (Method::DELETE, path, None),
    ] {
        let answer = app.send(request(method.clone(), &path, body, &headers)).await;
        assert_eq!(answer.code(), "CONTEXT_NOT_FOUND", "{method} {path}");
    }
    let listed = app.send(request(Method::GET, "/api/v1/contexts", None, &headers)).await;
    assert_eq!(listed.body["items"], json!([]));
}

#[tokio::test]
async fn an_agent_reaches_its_own_and_is_not_trusted() {
    let app = TestApp::new().await;
    let foreign = context(&app, json!({ "a": 1 })).await;
    let global = app.post("/api/v1/contexts", json!({ "scope": "global" })).await.body;
    let own = session(&app, "Works by itself").await;
    let agent = AgentCaller {
        tenant: TenantId::BOOTSTRAP,
        agent_id: AgentId::new(app.ids.uuid()),
        agent_name: "AGENT-TEST".to_owned(),
        session_id: SessionId::parse(&own).expect("an id"),
    };
    let (by, contexts) = (By::Agent(&agent), &app.state.contexts);
    let made = contexts.get_or_create(by, &ContextDraft::default()).await.expect("made");
    assert_eq!(made.context.value.session_id, Some(agent.session_id));
    let id = made.context.value.id;
    let wanted = |value: Value| {
        let updates = value.as_object().cloned().expect("an object");
        Wanted::Updates(Update::all("/updates", updates).expect("valid"))
    };
    let written = contexts.write(by, id, &wanted(json!({ "plan": 1 })), Base::default()).await;
    assert!(!written.expect("written").context.value.is_trusted());
    let shown = app.get(&format!("/api/v1/contexts/{id}/keys/plan")).await.body;
    assert_eq!((&shown["trusted"], &shown["updated_by"]["kind"]), (&json!(false), &json!("agent")));
    assert_eq!(shown["updated_by"]["session_id"], json!(own));
    let id_of = |context: &Value| {
        orchestrator::domain::ids::ContextId::parse(context["id"].as_str().expect("an id"))
            .expect("an id")
    };
    contexts.get(by, id_of(&global)).await.expect("global ones are read");
    let denied = |result: Result<(), AppError>| {
        matches!(result, Err(AppError::Context(ContextError::AccessDenied { .. })))
    };
    let read = contexts.get(by, id_of(&foreign)).await.map(|_| ());
    assert!(denied(read), "of another session");
    for target in [&foreign, &global] {
        let change = wanted(json!({ "a": 2 }));
        let write = contexts.write(by, id_of(target), &change, Base::default()).await;
        assert!(denied(write.map(|_| ())));
    }
    assert!(denied(contexts.promote(by, id).await.map(|_| ())));
    let draft = ContextDraft { scope: Some(ContextScope::Global), ..ContextDraft::default() };
    assert!(denied(contexts.create(by, &draft).await.map(|_| ())));
    let other = SessionId::parse(foreign["session_id"].as_str().expect("an id")).expect("an id");
    assert!(denied(contexts.share(by, id, other, true).await.map(|_| ())));
}
