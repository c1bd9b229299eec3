//! The API document: made from the handlers, then completed with what all of them share.
//!
//! Invariant: the document is stable: the same sources give the same bytes.

mod errors;
mod limits;

use std::collections::HashSet;
use std::sync::LazyLock;

use axum::extract::MatchedPath;
use axum::http::Method;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};

use self::errors::errors;
use self::limits::{bound_items, tell_of_body};

use crate::presentation::api::caller::is_of_the_instance;
use crate::presentation::api::codes::ErrorCode;
use crate::presentation::api::problem::Problem;
use crate::presentation::api::rights::{self, Needs};

/// Schemas of bodies: what they do not name is refused, and only what they mark is required.
const BODIES: &[&str] = &[
    "CreateSession",
    "CreateWorkspace",
    "PatchSession",
    "Reason",
    "Retry",
    "Complete",
    "Fail",
    "Prompt",
    "Fork",
    "CreateCheckpoint",
    "Merge",
    "Resolve",
    "ResolveMany",
    "Admission",
    "RegisterAgent",
    "PatchAgent",
    "Deregister",
    "Maintenance",
    "Rebalance",
    "RouteAgent",
    "ReportPerformance",
    "CreateTenant",
    "SetQuotas",
    "PatchTenant",
    "PatchTenantSettings",
    "SetPrice",
    "SetPrices",
    "SetBudgets",
    "CreateKey",
    "RotateKey",
    "CreateUser",
    "PatchUser",
    "CreateInvite",
    "AcceptInvite",
    "Login",
    "LookAtLogin",
    "CreateWebhook",
    "PatchWebhook",
    "CreateContext",
    "WriteContext",
    "PutContextKey",
    "ShareContext",
    "MergeContexts",
    "ResolveContext",
    "CreateTask",
    "TaskEstimateInput",
    "PatchTask",
    "AddDependency",
    "AssignTask",
    "CompleteTask",
    "FailTask",
    "MoveTask",
    "SetTaskStatus",
    "DecomposeTask",
    "ExecuteTask",
    "PutTemplate",
    "AcquireLock",
    "AcquireLocks",
    "RenewLock",
    "ReleaseLock",
];

/// Routes whose answers hold a secret or change nothing a second time: there is nothing to give again.
const TOLD_ONCE: [&str; 6] = [
    "/api/v1/login",
    "/api/v1/login-links",
    "/api/v1/login/look",
    "/api/v1/logout",
    "/api/v1/ws-tickets",
    "/mcp",
];

/// The document as it is served and committed.
#[must_use]
pub fn openapi_json() -> String {
    let document = crate::presentation::api::documented().into_openapi();
    let mut value = serde_json::to_value(document).unwrap_or_default();
    complete(&mut value);
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// Whether the document names query parameters for the route of a request; open routes are not asked
/// about theirs.
#[must_use]
pub fn takes_parameters(parts: &Parts) -> bool {
    static ROUTES: LazyLock<HashSet<(String, String)>> = LazyLock::new(|| {
        let document = serde_json::to_value(crate::presentation::api::documented().into_openapi());
        let document = document.unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let operations = item.as_object().into_iter().flatten();
            operations.map(move |(method, operation)| (path, method, operation))
        });
        let named = |operation: &Value| {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.any(|parameter| parameter["in"] == "query")
        };
        operations
            .filter(|(_, _, operation)| named(operation))
            .map(|(path, method, _)| (method.to_uppercase(), path.clone()))
            .collect()
    });
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    !route.starts_with("/api/") || ROUTES.contains(&(method.to_string(), route.to_owned()))
}

fn complete(document: &mut Value) {
    document["info"] = json!({
        "title": "Industrial Orchestrator",
        "description": "The control plane for AI coding agents. Errors are RFC 9457 problems; their `type` leads to a page that says what helps.",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/" }]);
    document["tags"] = json!([
        { "name": "sessions", "description": "Supervised pieces of coding work" },
        { "name": "session commands", "description": "What moves a session" },
        { "name": "attention", "description": "What waits for a person" },
        { "name": "agents", "description": "Who works: registered, looked after and removed" },
        { "name": "admissions", "description": "What nothing new is given to" },
        { "name": "events", "description": "What happened, in order, without gap" },
        { "name": "sockets", "description": "The same, live" },
        { "name": "keys", "description": "What programs and people act with; administrators only" },
        { "name": "users", "description": "People, and how they come; administrators only" },
        { "name": "browsers", "description": "Signing in and out; what a page of this server needs" },
        { "name": "audit", "description": "Who did what, as a chain of hashes; administrators only" },
        { "name": "webhooks", "description": "The same, sent to addresses of yours; signed, at least once, in order per subject" },
        { "name": "contexts", "description": "What sessions, tasks and agents remember: versioned, shared and merged" },
        { "name": "tasks", "description": "Work in parts: what needs what, who does which part, and templates that split it" },
        { "name": "locks", "description": "What one holds at a time, in order of asking" },
        { "name": "system", "description": "Health and figures" },
        { "name": "documentation", "description": "This document and its pages" },
    ]);
    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "An API key, `iok_…`" },
        "cookie": {
            "type": "apiKey", "in": "cookie", "name": "orchestrator_session_8000",
            "description": "A browser that was signed in with `POST /api/v1/login`. The port of the server is part of the name; over TLS it is `__Host-orchestrator_session`. Only pages of this server may use it, and a change needs `X-Requested-With: orchestrator`. It is not looked at beside `Authorization`",
        },
    });
    components["schemas"]["Problem"] = problem_schema();
    components["examples"] = examples();
    components["headers"] = json!({
        "RequestId": { "description": "Name of the request", "schema": { "type": "string" } },
    });
    if let Some(schemas) = components["schemas"].as_object_mut() {
        for (name, schema) in schemas {
            complete_schema(name, schema);
        }
    }
    let paths = document["paths"].as_object_mut().map(std::mem::take).unwrap_or_default();
    let mut completed = Map::new();
    for (path, mut item) in paths {
        let route = path;
        let path = route.replace("{*", "{");
        if let Some(operations) = item.as_object_mut() {
            for (method, operation) in operations {
                tell_rights(&route, method, operation);
                complete_operation(&path, method, operation);
            }
        }
        completed.insert(path, item);
    }
    document["paths"] = Value::Object(completed);
}

fn complete_schema(name: &str, schema: &mut Value) {
    bound_items(name, schema);
    if BODIES.contains(&name) {
        schema["additionalProperties"] = json!(false);
        return;
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let always: Vec<Value> = properties
        .keys()
        .filter(|field| !(name.starts_with("Page") && *field == "total") && name != "Problem")
        .map(|field| json!(field))
        .collect();
    if !always.is_empty() {
        schema["required"] = Value::Array(always);
    }
}

fn problem_schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "An error, as in RFC 9457",
        "required": ["type", "title", "status", "code", "detail", "request_id", "remedy"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "example": "/problems/invalid-transition" },
            "title": text("The kind of problem"),
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "code": {
                "type": "string",
                "enum": ErrorCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
            },
            "detail": text("What happened"),
            "request_id": { "type": ["string", "null"] },
            "remedy": text("What helps"),
            "errors": { "type": "array", "items": {
                "type": "object", "required": ["pointer", "code", "message"],
                "properties": {
                    "pointer": text("JSON pointer of the field; `?name` for a parameter"),
                    "code": text("Stable word"),
                    "message": text("The rule, and how to satisfy it"),
                },
            } },
            "current": { "type": "string" },
            "requested": { "type": ["string", "null"] },
            "allowed": { "type": "array", "items": { "type": "string" } },
            "required_role": { "type": "string" },
            "required_scope": { "type": "string" },
            "quota": { "type": "string" },
            "limit": { "type": "integer" },
            "used": { "type": "integer" },
            "expected": { "type": "integer" },
            "actual": { "type": "integer" },
            "oldest": { "type": "integer" },
            "name": { "type": "string" },
            "holder": { "oneOf": [reference("LockGrant"), { "type": "null" }] },
            "position": { "type": "integer" },
            "cycle": { "type": "array", "items": { "oneOf": [reference("LockEdge"), reference("TaskId")] } },
            "files": { "type": "array", "items": { "type": "string" } },
        },
    })
}

/// What the caller of an operation must have.
fn tell_rights(route: &str, method: &str, operation: &mut Value) {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or_default();
    if let Some(Needs::Right(right)) = rights::needs(&method, route) {
        let role = if right.of_system { "system" } else { right.role.as_str() };
        operation["x-required-role"] = json!(role);
        operation["x-required-scope"] = json!(right.scope.to_string());
    }
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let scoped = path.starts_with("/api/v1/") || path.starts_with("/ws/") || path == "/mcp";
    let writes = method != "get";
    let name = path.trim_start_matches("/api/v1").replace(['/', '.', '-'], "_");
    let name: String = name.chars().filter(|letter| !matches!(letter, '{' | '}')).collect();
    operation["operationId"] = json!(format!("{method}{name}"));
    let open = ["/api/v1/login", "/api/v1/login/look", "/api/v1/invites/accept"];
    operation["security"] = if open.contains(&path) {
        json!([])
    } else if scoped {
        json!([{ "bearer": [] }, { "cookie": [] }])
    } else if path == "/metrics" {
        json!([{}, { "bearer": [] }, { "cookie": [] }])
    } else {
        json!([])
    };
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    for parameter in &mut parameters {
        complete_parameter(path, parameter);
    }
    parameters.extend(shared_parameters(path, method, scoped));
    operation["parameters"] = Value::Array(parameters);
    let body = operation.get("requestBody").is_some();
    if body {
        let optional = path.ends_with("/stop")
            || [
                "cancel",
                "retry",
                "fork",
                "merge",
                "checkpoints",
                "verify",
                "backup",
                "{name}/acquire",
            ]
            .iter()
            .any(|verb| path.ends_with(&format!("/{verb}")));
        let moves = ["/assign", "/start", "/complete", "/pause", "/skip", "/decompose", "/execute"];
        let of_tasks = path.starts_with("/api/v1/tasks/");
        let optional = optional && !path.starts_with("/api/v1/contexts")
            || of_tasks && moves.iter().any(|verb| path.ends_with(verb));
        operation["requestBody"]["required"] = json!(!optional);
        tell_of_body(path, &mut operation["requestBody"]);
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        for (status, response) in responses.iter_mut() {
            complete_response(path, method, status, response);
        }
        for (status, codes) in errors(path, scoped, writes, body) {
            responses.insert(status, problem_response(&codes));
        }
    }
}

fn complete_parameter(path: &str, parameter: &mut Value) {
    let state = if path.ends_with("/deliveries") { "DeliveryState" } else { "AttentionState" };
    let name = parameter["name"].as_str().unwrap_or("").to_owned();
    let schema = &mut parameter["schema"];
    match name.as_str() {
        "limit" => {
            *schema = json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 });
        }
        "wait" => {
            *schema = json!({ "type": "integer", "minimum": 0, "maximum": 30, "default": 0 });
        }
        "depth" => {
            *schema = json!({ "type": "integer", "minimum": 1, "maximum": 10, "default": 5 });
        }
        "after" | "Last-Event-ID" => *schema = json!({ "type": "integer", "minimum": 0 }),
        "seq" | "checkpoint" => *schema = json!({ "type": "integer", "minimum": 1 }),
        "sort" => *schema = json!({ "type": "string", "enum": ["-created_at", "created_at"] }),
        "created_after" | "created_before" => {
            *schema = json!({ "type": "string", "format": "date-time" });
        }
        "status" if path.ends_with("/tasks") => *schema = list_of("TaskStatus"),
        "status" => *schema = list_of("SessionStatus"),
        "type" => *schema = list_of("EventType"),
        "session_type" => *schema = reference("SessionType"),
        "attention" => *schema = reference("Attention"),
        "state" => *schema = reference(state),
        "group_by" => *schema = reference("GroupBy"),
        _ => {}
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list_of(name: &str) -> Value {
    json!({ "type": "array", "items": reference(name) })
}

fn shared_parameters(path: &str, method: &str, scoped: bool) -> Vec<Value> {
    let header = |name: &str, description: &str, schema: Value| {
        json!({
            "name": name, "in": "header", "required": false,
            "description": description, "schema": schema,
        })
    };
    let mut shared = vec![header(
        "X-Request-ID",
        "Name of the request, sent back; a new one is made when it is missing",
        json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$" }),
    )];
    if scoped && !is_of_the_instance(path) {
        shared.push(header(
            "X-Tenant-ID",
            "The tenant, by id or slug; a key that belongs to one tenant implies it",
            json!({ "type": "string", "minLength": 1, "maxLength": 100, "example": "default" }),
        ));
    }
    if scoped && method != "get" {
        shared.push(header(
            "X-Requested-With",
            "`orchestrator`, by which a page of this server shows itself; needed with the cookie and to sign in",
            json!({ "type": "string", "example": "orchestrator" }),
        ));
    }
    if method == "post" && !TOLD_ONCE.contains(&path) {
        shared.push(header(
            "Idempotency-Key",
            "The first answer under this key is kept for 24 h and given again; so is a refusal with 404, 409, 410 or 413",
            json!({ "type": "string", "minLength": 1, "maxLength": 200 }),
        ));
    }
    if path.starts_with("/api/v1/") && method != "get" {
        shared.push(header(
            "If-Match",
            "The ETag that the change is based on",
            json!({ "type": "string", "pattern": "^\"v[0-9]+\"$|^\\*$", "example": "\"v3\"" }),
        ));
    }
    shared
}

fn complete_response(path: &str, method: &str, status: &str, response: &mut Value) {
    let text =
        |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let mut headers = Map::new();
    let request_id = json!({ "$ref": "#/components/headers/RequestId" });
    headers.insert("X-Request-ID".to_owned(), request_id);
    let command = matches!(method, "post" | "patch");
    if status == "201" {
        headers.insert("Location".to_owned(), text("Path of the new object"));
    }
    let named = path.ends_with("/{id}") || path.ends_with("/prices");
    let one = named && path.starts_with("/api/v1/") && method == "get";
    if one || (command && path.starts_with("/api/v1/")) {
        headers.insert("ETag".to_owned(), text("Version of the object, where it has one"));
    }
    if command {
        headers.insert("Idempotency-Replayed".to_owned(), text("`true` on a repeated answer"));
    }
    response["headers"] = Value::Object(headers);
}

/// One problem of each kind.
fn examples() -> Value {
    let example = |code: &ErrorCode| {
        let problem = Problem::new(*code, code.row().title).body(Some("0198f3a0"));
        (code.as_str().to_owned(), json!({ "value": problem }))
    };
    Value::Object(ErrorCode::ALL.iter().map(example).collect())
}

fn problem_response(codes: &[ErrorCode]) -> Value {
    let described: Vec<String> =
        codes.iter().map(|code| format!("`{code}` {}", code.row().title)).collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| {
            let example = json!({ "$ref": format!("#/components/examples/{code}") });
            (code.as_str().to_owned(), example)
        })
        .collect();
    json!({
        "description": described.join(" · "),
        "headers": { "X-Request-ID": { "$ref": "#/components/headers/RequestId" } },
        "content": {
            "application/problem+json": { "schema": reference("Problem"), "examples": examples },
        },
    })
}
