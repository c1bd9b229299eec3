//! Where an id can stand, read from the API document. A place that nobody has thought of fails.

use serde_json::Value;

/// Of what kind the id is that stands somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Session,
    SessionCode,
    Checkpoint,
    Attention,
    Fingerprint,
    Webhook,
    Delivery,
    Key,
    User,
    Invite,
    Agent,
    AgentName,
    Tenant,
    TenantSlug,
    Context,
    Task,
    Dependency,
}

/// One place.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) method: String,
    /// As the document spells it.
    pub(super) route: String,
    pub(super) spot: Spot,
    pub(super) kinds: Vec<Kind>,
}

/// Where in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spot {
    Path(String),
    Query(String),
    Body(String),
}

impl Place {
    pub(super) fn in_path(method: &str, route: &str, name: &str) -> Self {
        let (method, route) = (method.to_owned(), route.to_owned());
        let kinds = of_path(&route, name);
        Self { method, route, spot: Spot::Path(name.to_owned()), kinds }
    }
}

/// What stands in a path behind this part of it.
fn of_path(route: &str, name: &str) -> Vec<Kind> {
    let before = route.split(&format!("/{{{name}")).next().expect("a beginning");
    match before.rsplit('/').next().expect("a part") {
        "sessions" | "session" => vec![Kind::Session, Kind::SessionCode],
        "checkpoints" => vec![Kind::Checkpoint],
        "attention" => vec![Kind::Attention],
        "webhooks" => vec![Kind::Webhook],
        "deliveries" => vec![Kind::Delivery],
        "contexts" | "diff" => vec![Kind::Context],
        // Names within a context are nobody's ids.
        "keys" if route.contains("/contexts/") => vec![],
        "keys" => vec![Kind::Key],
        "users" => vec![Kind::User],
        "invites" => vec![Kind::Invite],
        "agents" | "agent" | "external" => vec![Kind::Agent, Kind::AgentName],
        // What an external agent is given is a session.
        "tasks" if route.contains("/external/") => vec![Kind::Session],
        "tasks" => vec![Kind::Task],
        "dependencies" => vec![Kind::Dependency],
        "tenants" => vec![Kind::Tenant, Kind::TenantSlug],
        // A name of which each tenant has its own; a path within the workspace of the session in front of
        // it; a number of a version; a word that agents have in common; servers of the machine, which only
        // system administrators see.
        "templates" | "locks" | "files" | "artifacts" | "versions" | "by-capability" | "hosts" => {
            vec![]
        }
        other => panic!("say in tests/it/walls what kind of id stands behind {other} in {route}"),
    }
}

/// What a query may name.
fn of_query(route: &str, name: &str) -> Vec<Kind> {
    match name {
        "session_id" | "parent_id" => vec![Kind::Session, Kind::SessionCode],
        "subject" => vec![Kind::Session, Kind::Key, Kind::Webhook, Kind::Tenant],
        "actor" | "created_by" => vec![Kind::Key],
        "agent" | "agent_id" => vec![Kind::Agent, Kind::AgentName],
        "checkpoint" => vec![Kind::Checkpoint],
        "parent_task_id" => vec![Kind::Task],
        // Cursors and the tenants of sockets have tests of their own.
        "cursor" | "tenant" | "after" | "action" | "agent_type" | "attention" | "notices"
        | "available_only" | "capability" | "client_id" | "count" | "graceful" | "reason"
        | "created_after" | "created_before" | "depth" | "follow" | "from" | "group_by"
        | "include" | "kind" | "limit" | "outcome" | "priority" | "purge" | "q" | "redact"
        | "session_type" | "sort" | "state" | "status" | "tag" | "tier" | "to" | "type"
        | "wait" | "task_type" | "scope" | "task_id" | "version" | "other_version" => vec![],
        other => panic!("say in tests/it/walls whether {other} of {route} names anything"),
    }
}

/// What a field of a body may name; one that looks like an id and is not known fails.
fn of_field(route: &str, field: &str) -> Vec<Kind> {
    let name = field.rsplit('.').next().expect("a name");
    match (route, name) {
        // Numbers of events are counted in each tenant; a token or key is a secret, no id; a hold is looked
        // for among those of the caller's own tenant; an owner is a word for people; nobody looks up the
        // task of a context.
        ("/api/v1/webhooks", "after")
        | ("/api/v1/contexts", "task_id")
        | (_, "token" | "key" | "lock_id" | "owner") => vec![],
        (_, "parent_id" | "parent_session_id" | "after" | "session_id" | "target_session_id") => {
            vec![Kind::Session, Kind::SessionCode]
        }
        (_, "parent_task_id" | "target_task_id" | "depends_on_task_id") => vec![Kind::Task],
        (_, "context_ids") => vec![Kind::Context],
        (_, "agent" | "agent_id" | "preferred_agent_ids" | "exclude_agent_ids") => {
            vec![Kind::Agent, Kind::AgentName]
        }
        (_, "fingerprint") => vec![Kind::Fingerprint],
        (_, "ids" | "task_id") => vec![Kind::Session],
        (_, "from_checkpoint") => vec![Kind::Checkpoint],
        (_, "created_by") => vec![Kind::Key],
        (_, "user_id") => vec![Kind::User],
        _ => {
            let suspicious = ["id", "ids", "parent", "session", "owner", "user", "key", "webhook"];
            let looks_like = name.split('_').any(|word| suspicious.contains(&word));
            let harmless =
                ["session_type", "on_parent_end", "preferred_session_types"].contains(&name);
            assert!(
                harmless || !looks_like,
                "say in tests/it/walls whether {field} of {route} names anything"
            );
            vec![]
        }
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().expect("operations").iter();
        operations.map(move |(method, operation)| (path.clone(), method.to_uppercase(), operation))
    })
}

fn parameters<'a>(operation: &'a Value, place: &'a str) -> impl Iterator<Item = &'a str> {
    let listed = operation["parameters"].as_array().into_iter().flatten();
    listed.filter(move |p| p["in"] == place).filter_map(|p| p["name"].as_str())
}

/// Names of all fields of a body, those within others too.
fn fields(document: &Value, schema: &Value, within: &str, depth: usize, found: &mut Vec<String>) {
    if depth > 6 {
        return;
    }
    if let Some(target) = schema["$ref"].as_str() {
        let pointer = target.trim_start_matches('#');
        let target = document.pointer(pointer).expect("a schema");
        return fields(document, target, within, depth + 1, found);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        for inner in schema[choice].as_array().into_iter().flatten() {
            fields(document, inner, within, depth + 1, found);
        }
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let name = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        fields(document, inner, &name, depth + 1, found);
        found.push(name);
    }
    if schema["items"].is_object() {
        fields(document, &schema["items"], within, depth + 1, found);
    }
}

/// Every place of every operation that asks for a credential.
pub(super) fn places(document: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    for (route, method, operation) in operations(document) {
        if !route.starts_with("/api/") {
            continue;
        }
        let mut add = |spot: Spot, kinds: Vec<Kind>| {
            if !kinds.is_empty() {
                let (method, route) = (method.clone(), route.clone());
                places.push(Place { method, route, spot, kinds });
            }
        };
        for name in parameters(operation, "path") {
            add(Spot::Path(name.to_owned()), of_path(&route, name));
        }
        for name in parameters(operation, "query") {
            add(Spot::Query(name.to_owned()), of_query(&route, name));
        }
        let mut found = Vec::new();
        let content = operation["requestBody"]["content"].as_object().into_iter().flatten();
        for (_, media) in content {
            fields(document, &media["schema"], "", 0, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        for field in found {
            let kinds = of_field(&route, &field);
            add(Spot::Body(field), kinds);
        }
    }
    places
}

/// Routes whose answers come in pages.
pub(super) fn paged(document: &Value) -> Vec<String> {
    operations(document)
        .filter(|(_, method, operation)| {
            method == "GET" && parameters(operation, "query").any(|name| name == "cursor")
        })
        .map(|(route, _, _)| route)
        .collect()
}

/// Routes that can be read without an id.
pub(super) fn readable(document: &Value) -> Vec<String> {
    operations(document)
        .filter(|(route, method, _)| {
            method == "GET" && route.starts_with("/api/") && !route.contains('{')
        })
        .map(|(route, _, _)| route)
        .collect()
}
