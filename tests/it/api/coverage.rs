//! The API document: complete, true and committed.

use axum::http::{Method, StatusCode};
use orchestrator::presentation::api::codes::ErrorCode;
use orchestrator::presentation::api::docs::problem_page;
use orchestrator::presentation::api::dto::admission::AdmissionBody;
use orchestrator::presentation::api::dto::agent_ask::{ReportPerformance, RouteAgent};
use orchestrator::presentation::api::dto::agent_input::{
    Deregister, MaintenanceBody, PatchAgent, RegisterAgent,
};
use orchestrator::presentation::api::dto::create::CreateSession;
use orchestrator::presentation::api::dto::input::{
    CheckpointBody, Complete, Fail, Fork, MergeBody, PatchSession, PromptBody, RateBody,
    ReasonBody, ResolveBody, ResolveManyBody, RetryBody,
};
use orchestrator::presentation::api::dto::invite::{AcceptInvite, CreateInvite};
use orchestrator::presentation::api::dto::key::{CreateKey, RotateKey};
use orchestrator::presentation::api::dto::lock_input::{
    AcquireLock, AcquireLocks, ReleaseLock, RenewLock,
};
use orchestrator::presentation::api::dto::login::{Login, Look};
use orchestrator::presentation::api::dto::recovery::RecoveryBody;
use orchestrator::presentation::api::dto::usage::{SetBudgets, SetPrices};
use orchestrator::presentation::api::dto::user::{CreateUser, PatchUser};
use orchestrator::presentation::api::dto::verification::VerifyBody;
use orchestrator::presentation::api::dto::webhook::{CreateWebhook, PatchWebhook};
use orchestrator::presentation::api::fields::{Fields, FromFields};
use orchestrator::presentation::api::openapi_json;
use orchestrator::presentation::api::tenants::{PatchTenant, SetQuotas};
use serde_json::Value;

use crate::support::app::{TestApp, request};

fn document() -> Value {
    serde_json::from_str(&openapi_json()).expect("JSON")
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("operations");
            methods
                .iter()
                .map(|(method, operation)| (path.clone(), method.to_uppercase(), operation.clone()))
        })
        .collect()
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if committed != openapi_json() {
        let fresh = std::env::temp_dir().join("openapi.json");
        std::fs::write(&fresh, openapi_json()).expect("written");
        panic!("assets/openapi.json is out of date; the fresh one is {}", fresh.display());
    }
}

#[tokio::test]
async fn every_documented_operation_has_a_route_and_no_other_method_does() {
    let app = TestApp::new().await;
    let document = document();
    let operations = operations(&document);
    assert!(operations.len() > 35, "{}", operations.len());
    let mut paths: Vec<&String> = operations.iter().map(|(path, _, _)| path).collect();
    paths.dedup();
    for path in paths {
        let concrete = path
            .replace("{id}", "IND-000001")
            .replace("{seq}", "1")
            .replace("{delivery_id}", "1")
            .replace("{dependency_id}", "1")
            .replace("/keys/{path}", "/keys/a.b")
            .replace("{path}", "a/b.rs")
            .replace("{file}", "swagger-ui.css")
            .replace("{capability}", "testing")
            .replace("{name}", "validation-error");
        let probe = Method::from_bytes(b"PROBE").expect("a method");
        let answer = app.send(request(probe, &concrete, None, &[])).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let mut served: Vec<&str> =
            answer.header("allow").split(',').map(str::trim).filter(|m| *m != "HEAD").collect();
        let mut documented: Vec<&str> = operations
            .iter()
            .filter(|(documented, _, _)| documented == path)
            .map(|(_, method, _)| method.as_str())
            .collect();
        served.sort_unstable();
        documented.sort_unstable();
        assert_eq!(served, documented, "{path}");
    }
}

#[test]
fn there_is_one_way_to_add_a_route() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/presentation");
    let mut folders = vec![std::path::PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .components()
                .any(|part| part.as_os_str() == "api" || part.as_os_str() == "ws")
            {
                let text = std::fs::read_to_string(&path).expect("a source");
                assert!(!text.contains(".route("), "{} adds an undocumented route", path.display());
            }
        }
    }
}

#[test]
fn every_operation_is_described_and_tells_its_errors() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = std::collections::HashSet::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].to_string()), "{at} has an id of its own");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
        let responses = operation["responses"].as_object().expect("responses");
        let scoped = path.starts_with("/api") || path.starts_with("/ws");
        for status in ["400", "403", "500", "503"] {
            assert!(responses.contains_key(status), "{at} {status}");
        }
        for status in ["401", "404", "422", "429"] {
            assert!(!scoped || responses.contains_key(status), "{at} {status}");
        }
        for (status, response) in responses {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
            let is_error =
                status.as_str() >= "400" && response["content"]["application/json"].is_null();
            if is_error {
                let schema = &response["content"]["application/problem+json"]["schema"];
                assert!(schema.is_object(), "{at} {status}");
            }
        }
        for parameter in operation["parameters"].as_array().expect("parameters") {
            assert!(parameter["description"].as_str().is_some(), "{at} {parameter}");
            assert!(parameter["schema"].is_object(), "{at} {parameter}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    let pointer = target.strip_prefix('#').expect("a local reference");
                    assert!(document.pointer(pointer).is_some(), "{target}");
                }
                map.values().for_each(|inner| walk(inner, document));
            }
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, document)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[test]
fn every_error_code_has_a_page() {
    for code in ErrorCode::ALL {
        let page =
            problem_page(&code.page()).unwrap_or_else(|| panic!("{} has a page", code.page()));
        let text = String::from_utf8(page).expect("text");
        assert!(text.contains(code.as_str()), "{code} is named on its page");
        let status = format!("Status {}", code.row().status.as_u16());
        assert!(text.contains(&status), "{code}: its page says {status}");
    }
}

fn names<T: FromFields>() -> Vec<&'static str> {
    Fields::names::<T>()
}

#[test]
fn documented_bodies_are_the_ones_that_are_read() {
    let document = document();
    let mut all: Vec<(&str, Vec<&str>)> = of_tasks().into();
    all.push(("CreateSession", names::<CreateSession>()));
    all.push(("PatchSession", names::<PatchSession>()));
    all.push(("Reason", names::<ReasonBody>()));
    all.push(("Retry", names::<RetryBody>()));
    all.push(("Complete", names::<Complete>()));
    all.push(("Fail", names::<Fail>()));
    all.push(("Verify", names::<VerifyBody>()));
    all.push(("Rate", names::<RateBody>()));
    all.push(("Prompt", names::<PromptBody>()));
    all.push(("Fork", names::<Fork>()));
    all.push(("CreateCheckpoint", names::<CheckpointBody>()));
    all.push(("Merge", names::<MergeBody>()));
    all.push(("Resolve", names::<ResolveBody>()));
    all.push(("ResolveMany", names::<ResolveManyBody>()));
    all.push(("Admission", names::<AdmissionBody>()));
    all.push(("RegisterAgent", names::<RegisterAgent>()));
    all.push(("RouteAgent", names::<RouteAgent>()));
    all.push(("ReportPerformance", names::<ReportPerformance>()));
    all.push(("PatchAgent", names::<PatchAgent>()));
    all.push(("Deregister", names::<Deregister>()));
    all.push(("Maintenance", names::<MaintenanceBody>()));
    all.push(("PatchTenant", names::<PatchTenant>()));
    all.push(("SetPrices", names::<SetPrices>()));
    all.push(("SetBudgets", names::<SetBudgets>()));
    all.push(("SetQuotas", names::<SetQuotas>()));
    all.push(("RecoveryApply", names::<RecoveryBody>()));
    all.push(("CreateKey", names::<CreateKey>()));
    all.push(("RotateKey", names::<RotateKey>()));
    all.push(("CreateUser", names::<CreateUser>()));
    all.push(("PatchUser", names::<PatchUser>()));
    all.push(("CreateInvite", names::<CreateInvite>()));
    all.push(("AcceptInvite", names::<AcceptInvite>()));
    all.push(("Login", names::<Login>()));
    all.push(("LookAtLogin", names::<Look>()));
    all.push(("CreateWebhook", names::<CreateWebhook>()));
    all.push(("PatchWebhook", names::<PatchWebhook>()));
    all.push(("AcquireLock", names::<AcquireLock>()));
    all.push(("AcquireLocks", names::<AcquireLocks>()));
    all.push(("RenewLock", names::<RenewLock>()));
    all.push(("ReleaseLock", names::<ReleaseLock>()));
    for (schema, mut read) in all {
        let properties = document["components"]["schemas"][schema]["properties"].as_object();
        let mut documented: Vec<&str> =
            properties.unwrap_or_else(|| panic!("{schema}")).keys().map(String::as_str).collect();
        read.sort_unstable();
        documented.sort_unstable();
        assert_eq!(read, documented, "{schema}");
    }
}

/// Texts and lists within a schema that nothing bounds.
fn unbounded(document: &Value, schema: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return unbounded(document, &document["components"]["schemas"][name], at, found);
    }
    for kind in ["oneOf", "anyOf", "allOf"] {
        for one in schema[kind].as_array().into_iter().flatten() {
            unbounded(document, one, at, found);
        }
    }
    let kinds = &schema["type"];
    let listed = kinds.as_array().map_or(std::slice::from_ref(kinds), Vec::as_slice);
    let is = |kind: &str| listed.iter().any(|one| one == kind);
    let says = |words: &[&str]| words.iter().any(|word| schema.get(word).is_some());
    if (is("string") && !says(&["maxLength", "enum", "const", "format"]))
        || (is("array") && !says(&["maxItems"]))
    {
        found.push(at.to_owned());
    }
    if is("array") {
        unbounded(document, &schema["items"], &format!("{at}/0"), found);
    }
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        unbounded(document, part, &format!("{at}/{name}"), found);
    }
}

#[test]
fn the_document_bounds_what_clients_send() {
    let document = document();
    let mut found = Vec::new();
    for (path, method, operation) in operations(&document) {
        let Some(body) = operation.get("requestBody") else { continue };
        assert!(body["x-max-bytes"].is_u64() && body["x-max-depth"].is_u64(), "{method} {path}");
        let schema = &body["content"]["application/json"]["schema"];
        unbounded(&document, schema, &format!("{method} {path} "), &mut found);
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let is_length = parameter["name"] == "limit";
            assert!(!is_length || parameter["schema"]["maximum"] == 200, "{method} {path}");
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test]
async fn the_documentation_is_served_from_the_binary() {
    let app = TestApp::new().await;
    let get = |path: &'static str| app.send(request(Method::GET, path, None, &[]));
    let page = get("/docs").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header("content-type").starts_with("text/html"));
    let text = page.body.as_str().expect("a page").to_owned();
    assert!(!text.contains("https://") && !text.contains("<script>"), "{text}");
    for part in
        ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/swagger-initializer.js"]
    {
        let part = get(part).await;
        assert_eq!(part.status, StatusCode::OK);
        assert!(!part.body.as_str().unwrap_or("x").is_empty());
    }
    assert_eq!(get("/docs/..%2fsecret").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get("/openapi.json").await.body["openapi"], "3.1.0");
    assert_eq!(get("/problems/invalid-transition").await.status, StatusCode::OK);
    assert_eq!(get("/problems/nothing").await.status, StatusCode::NOT_FOUND);
}

/// The bodies that are read of tasks and templates.
fn of_tasks() -> [(&'static str, Vec<&'static str>); 11] {
    use orchestrator::presentation::api::dto::task_input as input;
    [
        ("CreateTask", Fields::names::<input::CreateTask>()),
        ("PatchTask", Fields::names::<input::PatchTask>()),
        ("AddDependency", Fields::names::<input::AddDependency>()),
        ("AssignTask", Fields::names::<input::AssignTask>()),
        ("CompleteTask", Fields::names::<input::CompleteTask>()),
        ("FailTask", Fields::names::<input::FailTask>()),
        ("MoveTask", Fields::names::<input::MoveTask>()),
        ("SetTaskStatus", Fields::names::<input::SetTaskStatus>()),
        ("DecomposeTask", Fields::names::<input::DecomposeTask>()),
        ("ExecuteTask", Fields::names::<input::ExecuteTask>()),
        ("PutTemplate", Fields::names::<input::PutTemplate>()),
    ]
}
