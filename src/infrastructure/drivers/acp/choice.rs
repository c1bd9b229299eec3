//! Mode and model of a conversation, chosen from what the agent offers.
//!
//! Agents offer them in one of two ways: as options of a session, or, older, as modes and models.

use serde_json::{Value, json};

use crate::application::ports::driver::{Assignment, DriverError};
use crate::domain::session::attempt::ErrorType;

/// Names that are told when the wanted one is not among them.
const MAX_TOLD: usize = 20;

/// Longest name; what is called otherwise is not offered.
const MAX_NAME_BYTES: usize = 256;

/// What is to be chosen.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// Methods with their parameters.
    pub(super) setup: Vec<(&'static str, Value)>,
    /// The model that works, as far as it is known.
    pub(super) model: Option<String>,
    /// Lines for the log.
    pub(super) remarks: Vec<String>,
}

/// One thing that can be chosen.
#[derive(Debug, Default)]
struct Offer {
    current: Option<String>,
    names: Vec<String>,
    method: &'static str,
    /// Parameters, but for the name.
    params: Value,
    /// The parameter that takes the name.
    field: &'static str,
}

/// What a conversation is to be told for this assignment.
pub(super) fn choose(
    offer: &Value,
    session: &str,
    assignment: &Assignment,
) -> Result<Chosen, DriverError> {
    let mut chosen = Chosen::default();
    if let Some(wanted) = &assignment.profile
        && let Some(modes) = find(offer, session, "mode")
    {
        match modes.names.iter().find(|name| *name == wanted) {
            Some(name) => chosen.setup.extend(modes.call(name)),
            None => chosen.remarks.push(format!(
                "the agent has no mode {wanted}, only {}; it works in its own",
                listed(&modes.names)
            )),
        }
    }
    let models = find(offer, session, "model");
    chosen.model = models.as_ref().and_then(|models| models.current.clone());
    match (&assignment.model, models) {
        (None, _) => {}
        (Some(wanted), None) => chosen
            .remarks
            .push(format!("the agent lets nobody choose its model; {wanted} is not asked for")),
        (Some(wanted), Some(models)) => {
            let Some(name) = matching(&models.names, wanted) else {
                let message = format!(
                    "the agent does not offer the model {wanted}; it offers {}",
                    listed(&models.names)
                );
                let error = DriverError::new(ErrorType::ProviderError, message);
                return Err(DriverError { retryable: false, ..error });
            };
            chosen.setup.extend(models.call(name));
            chosen.model = Some(name.to_owned());
        }
    }
    Ok(chosen)
}

impl Offer {
    /// How this is chosen, unless it is already.
    fn call(&self, name: &str) -> Option<(&'static str, Value)> {
        if self.current.as_deref() == Some(name) {
            return None;
        }
        let mut params = self.params.clone();
        params[self.field] = json!(name);
        Some((self.method, params))
    }
}

/// The model of this name: as the agent calls it, or without its provider.
fn matching<'a>(names: &'a [String], wanted: &str) -> Option<&'a str> {
    let bare = wanted.split_once('/').map(|(_, model)| model);
    let found = names.iter().find(|name| *name == wanted);
    found.or_else(|| names.iter().find(|name| Some(name.as_str()) == bare)).map(String::as_str)
}

fn find(offer: &Value, session: &str, what: &'static str) -> Option<Offer> {
    let options = offer.get("configOptions").and_then(Value::as_array).into_iter().flatten();
    let is_meant = |option: &&Value| {
        let text = |name: &str| option.get(name).and_then(Value::as_str);
        text("category").or_else(|| text("id")) == Some(what)
    };
    if let Some(option) = options.clone().find(is_meant) {
        return Some(Offer {
            current: text(option, "currentValue"),
            names: values(option.get("options")),
            method: "session/set_config_option",
            params: json!({ "sessionId": session, "configId": text(option, "id") }),
            field: "value",
        });
    }
    let (list, current, each, method, field) = match what {
        "mode" => ("availableModes", "currentModeId", "id", "session/set_mode", "modeId"),
        _ => ("availableModels", "currentModelId", "modelId", "session/set_model", "modelId"),
    };
    let found = offer.get(format!("{what}s")).filter(|found| found.is_object())?;
    let names = found.get(list).and_then(Value::as_array).into_iter().flatten();
    Some(Offer {
        current: text(found, current),
        names: names.filter_map(|one| text(one, each)).collect(),
        method,
        params: json!({ "sessionId": session }),
        field,
    })
}

/// The values of an option, which may stand in groups.
fn values(options: Option<&Value>) -> Vec<String> {
    let options = options.and_then(Value::as_array).into_iter().flatten();
    options
        .flat_map(|option| match option.get("options") {
            Some(inner) => {
                let inner = inner.as_array().into_iter().flatten();
                inner.filter_map(|one| text(one, "value")).collect()
            }
            None => text(option, "value").into_iter().collect::<Vec<_>>(),
        })
        .collect()
}

fn text(value: &Value, name: &str) -> Option<String> {
    let text = value.get(name).and_then(Value::as_str);
    text.filter(|text| text.len() <= MAX_NAME_BYTES).map(str::to_owned)
}

fn listed(names: &[String]) -> String {
    let told: Vec<&str> = names.iter().map(String::as_str).take(MAX_TOLD).collect();
    let more = names.len().saturating_sub(MAX_TOLD);
    match (told.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => told.join(", "),
        (false, more) => format!("{} and {more} more", told.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Value {
        json!({ "configOptions": [
            { "id": "m1", "category": "model", "currentValue": "lab/a", "options": [
                { "group": "g", "options": [{ "value": "lab/a" }, { "value": "b" }] }] },
            { "id": "mode", "currentValue": "build", "options": [
                { "value": "build" }, { "value": "plan" }] },
        ] })
    }

    fn modes() -> Value {
        json!({
            "modes": { "currentModeId": "ask", "availableModes": [{ "id": "ask" }, { "id": "code" }] },
            "models": { "currentModelId": "x", "availableModels": [{ "modelId": "x" }, { "modelId": "y" }] },
        })
    }

    fn call(offer: &Value, what: &'static str, name: &str) -> Option<(&'static str, Value)> {
        find(offer, "s", what).expect("offered").call(name)
    }

    #[test]
    fn both_ways_to_offer_are_understood() {
        assert_eq!(
            call(&options(), "model", "b"),
            Some((
                "session/set_config_option",
                json!({ "sessionId": "s", "configId": "m1", "value": "b" })
            ))
        );
        assert_eq!(
            call(&modes(), "mode", "code"),
            Some(("session/set_mode", json!({ "sessionId": "s", "modeId": "code" })))
        );
        assert_eq!(
            call(&modes(), "model", "y"),
            Some(("session/set_model", json!({ "sessionId": "s", "modelId": "y" })))
        );
        assert_eq!(call(&options(), "mode", "build"), None, "it is so already");
        let names = find(&options(), "s", "model").expect("offered").names;
        assert_eq!(names, ["lab/a", "b"]);
        assert!(find(&json!({ "models": null }), "s", "model").is_none());
        let long = json!({ "models": { "availableModels": [{ "modelId": "x".repeat(9999) }] } });
        assert!(find(&long, "s", "model").expect("offered").names.is_empty());
    }

    #[test]
    fn a_model_is_found_with_and_without_its_provider() {
        let names = ["lab/a".to_owned(), "b".to_owned()];
        assert_eq!(matching(&names, "lab/a"), Some("lab/a"));
        assert_eq!(matching(&names, "lab/b"), Some("b"));
        assert_eq!(matching(&names, "a"), None);
    }
}
