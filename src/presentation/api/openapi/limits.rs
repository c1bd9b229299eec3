//! Bounds of what clients send that no attribute of a struct can say: those of the texts in lists, and
//! those of whole bodies.

use serde_json::{Value, json};

use crate::presentation::api::contexts;
use crate::presentation::api::extract::MAX_DEPTH;
use crate::presentation::api::state::BODY_LIMIT;

/// Most characters of the texts in a list: schema, field, bound.
const ITEMS: &[(&str, &str, u32)] = &[
    ("CreateSession", "after", 64),
    ("CreateSession", "required_capabilities", 64),
    ("CreateSession", "technologies", 50),
    ("CreateSession", "tags", 50),
    ("PatchSession", "tags", 50),
    ("CreateKey", "networks", 64),
    ("CreateKey", "scopes", 64),
    ("CreateWebhook", "event_types", 64),
    ("PatchWebhook", "event_types", 64),
    ("Registration", "capabilities", 64),
    ("RegisterAgent", "primary_capabilities", 64),
    ("RegisterAgent", "capabilities", 64),
    ("RegisterAgent", "secondary_capabilities", 64),
    ("RegisterAgent", "preferred_technologies", 50),
    ("RegisterAgent", "avoided_technologies", 50),
    ("PatchAgent", "primary_capabilities", 64),
    ("PatchAgent", "capabilities", 64),
    ("PatchAgent", "secondary_capabilities", 64),
    ("PatchAgent", "preferred_technologies", 50),
    ("PatchAgent", "avoided_technologies", 50),
    ("AcquireLocks", "names", 200),
    ("CreateTask", "required_capabilities", 64),
    ("CreateTask", "technologies", 50),
    ("CreateTask", "tags", 50),
    ("TaskEstimateInput", "required_capabilities", 64),
    ("PatchTask", "required_capabilities", 64),
    ("PatchTask", "technologies", 50),
    ("PatchTask", "tags", 50),
    ("PutTemplate", "task_types", 64),
    ("PutTemplate", "keywords", 50),
    ("PutTemplate", "excluded_task_types", 64),
    ("RouteAgent", "required_capabilities", 64),
    ("RouteAgent", "technologies", 50),
    ("RouteAgent", "preferred_agent_ids", 70),
    ("RouteAgent", "exclude_agent_ids", 70),
    ("Gate", "command", 8192),
    ("PermissionRule", "exactly", 8192),
    ("RecoveryApply", "ids", 200),
];

/// Says how long the texts in the lists of a schema may be.
pub(super) fn bound_items(name: &str, schema: &mut Value) {
    for (_, field, most) in ITEMS.iter().filter(|(of, _, _)| *of == name) {
        schema["properties"][field]["items"]["maxLength"] = json!(most);
    }
}

/// Says how large a body may be, and how deep.
pub(super) fn tell_of_body(path: &str, body: &mut Value) {
    let most = contexts::largest(path);
    let shipped = if most.is_none() { ", as `server.max_body_bytes` is shipped," } else { "," };
    let most = most.unwrap_or(BODY_LIMIT);
    body["description"] =
        json!(format!("At most {most} bytes{shipped} nested {MAX_DEPTH} levels deep at the most"));
    body["x-max-bytes"] = json!(most);
    body["x-max-depth"] = json!(MAX_DEPTH);
}
