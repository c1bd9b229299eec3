//! Settings in effect, as TOML or JSON, each value with its origin.

use serde_json::{Map, Value, json};

use super::layers::{Given, Layers};

/// Keys whose value is never shown.
const SECRETS: [&str; 3] =
    ["server.admin_key", "agents.opencode.attach_password", "auth.oidc.client_secret"];
/// Keys whose value is an address that may carry a password.
const ADDRESSES: [&str; 3] = ["store.url", "coordination.url", "agents.opencode.attach_url"];

/// The merged layers, in the order of the default file.
pub(super) fn as_toml(layers: &Layers) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in &layers.order {
        let (Some((own, name)), Some(sourced)) = (key.rsplit_once('.'), layers.values.get(key))
        else {
            continue;
        };
        if own != section {
            if !section.is_empty() {
                text.push('\n');
            }
            text.extend(["[", own, "]\n"]);
            section = own;
        }
        let value = shown(key, &sourced.value);
        text.extend([name, " = ", &value, "  # from ", &sourced.origin.to_string(), "\n"]);
    }
    text
}

/// The same as JSON: by key, the value and where it is from.
pub(super) fn as_json(layers: &Layers) -> Value {
    let entry = |key: &String| {
        let sourced = layers.values.get(key)?;
        let value = match hidden(key, &sourced.value) {
            Given::Text(text) => json!(text),
            Given::Number(number) => json!(number),
            Given::Flag(flag) => json!(flag),
            Given::List(items) => json!(items),
        };
        let origin = sourced.origin.to_string();
        Some((key.clone(), json!({ "value": value, "from": origin })))
    };
    Value::Object(layers.order.iter().filter_map(entry).collect::<Map<_, _>>())
}

/// The value as it may be seen.
fn hidden(key: &str, value: &Given) -> Given {
    match value {
        Given::Text(text) if SECRETS.contains(&key) && !text.is_empty() => {
            Given::Text("***".to_owned())
        }
        Given::Text(text) if ADDRESSES.contains(&key) => Given::Text(without_password(text)),
        Given::Text(_) | Given::Number(_) | Given::Flag(_) | Given::List(_) => value.clone(),
    }
}

fn shown(key: &str, value: &Given) -> String {
    match &hidden(key, value) {
        Given::Text(text) => quoted(text),
        Given::Number(number) => number.to_string(),
        Given::Flag(flag) => flag.to_string(),
        Given::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn without_password(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else { return text.to_owned() };
    if url.password().is_none() {
        return text.to_owned();
    }
    match url.set_password(Some("***")) {
        Ok(()) => url.to_string(),
        Err(()) => "***".to_owned(),
    }
}
