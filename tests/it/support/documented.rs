//! Every answer that a test gets is one that the API document tells of.

use std::sync::OnceLock;

use axum::http::{Method, StatusCode};
use orchestrator::presentation::api::openapi_json;
use serde_json::Value;

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(&openapi_json()).expect("JSON"))
}

/// How well a template fits a path: its fixed segments; `None` when it does not.
fn fits(template: &str, path: &str) -> Option<usize> {
    let is_open = |segment: &&str| segment.starts_with('{');
    let wanted: Vec<&str> = template.split('/').collect();
    let given: Vec<&str> = path.split('/').collect();
    let takes_rest = wanted.last() == Some(&"{path}");
    let length_fits = given.len() == wanted.len() || (takes_rest && given.len() > wanted.len());
    let each = wanted.iter().zip(&given).all(|(wanted, given)| is_open(wanted) || wanted == given);
    (length_fits && each).then(|| wanted.iter().filter(|segment| !is_open(segment)).count())
}

/// Fails when the operation that this request goes to does not tell of this status.
pub(crate) fn check(method: &Method, path: &str, status: StatusCode) {
    let paths = document()["paths"].as_object().expect("paths");
    let found = paths.iter().filter_map(|(template, item)| Some((fits(template, path)?, item)));
    let Some((_, item)) = found.max_by_key(|(fixed, _)| *fixed) else { return };
    let operation = &item[method.as_str().to_ascii_lowercase()];
    if let Some(responses) = operation["responses"].as_object() {
        let known = responses.contains_key(status.as_str());
        assert!(known, "{method} {path} answers {status}, which the API document does not tell");
    }
}
