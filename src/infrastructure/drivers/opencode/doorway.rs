//! The tools of this server, as OpenCode is offered them: one server of the Model Context Protocol for each
//! conversation, by a name that its rules allow.
//!
//! Invariant: a conversation cannot call tools with the token of another, even where both work in one folder.
//! Invariant: work goes on without the tools when they cannot be offered.

use serde_json::{Value, json};
use url::Url;

use super::client::Client;
use crate::application::ports::driver::{Assignment, Doorway};

/// What the names of all our servers begin with.
const NAME: &str = "orchestrator";
/// How long one call of a tool may take, in milliseconds: some wait for people.
const LONGEST_CALL: u32 = 330_000;

/// What is offered to one conversation.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    name: String,
    config: Value,
    /// Whether others work in the same folder.
    is_shared: bool,
}

impl Offer {
    /// What a run is offered; nothing where its server is not on this machine.
    pub(super) fn of(assignment: &Assignment, base: &str) -> Option<Self> {
        let doorway = assignment.doorway.as_ref().filter(|_| is_here(base))?;
        let is_shared = !assignment.is_private;
        let name = if is_shared {
            format!("{NAME}_{}", assignment.code.to_lowercase().replace('-', "_"))
        } else {
            NAME.to_owned()
        };
        Some(Self { name, config: config(doorway), is_shared })
    }

    /// Rules behind which the policy's own follow.
    pub(super) fn allowing(&self) -> Value {
        rule(&self.name, "allow")
    }

    /// Rules that nothing follows: tools with the token of another conversation are out of reach.
    pub(super) fn enclosing(&self) -> Vec<Value> {
        if self.is_shared {
            vec![rule(NAME, "deny"), rule(&self.name, "allow")]
        } else {
            Vec::new()
        }
    }

    /// Offers it to the instance of a folder; what went wrong, in words.
    pub(super) async fn make(&self, client: &Client, place: &str) -> Option<String> {
        let state = match client.add_tools(place, &self.name, &self.config).await {
            Ok(states) => states.get(&self.name).cloned().unwrap_or_default(),
            Err(error) => return Some(error.to_string()),
        };
        match state["status"].as_str() {
            Some("connected") => None,
            Some(other) => {
                let why = state["error"].as_str().unwrap_or_default();
                Some(format!("{other} {why}").trim().chars().take(300).collect())
            }
            None => Some("OpenCode does not say whether it reaches them".to_owned()),
        }
    }

    /// Takes it back.
    pub(super) async fn withdraw(&self, client: &Client, place: &str) {
        if let Err(error) = client.remove_tools(place, &self.name).await {
            tracing::debug!(%error, "Tools could not be taken back; their token is worth nothing any more");
        }
    }
}

fn rule(name: &str, action: &str) -> Value {
    json!({ "permission": format!("{name}_*"), "pattern": "*", "action": action })
}

fn is_here(base: &str) -> bool {
    let url = Url::parse(base).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

fn config(doorway: &Doorway) -> Value {
    match &doorway.url {
        Some(url) => json!({
            "type": "remote", "url": url, "oauth": false, "enabled": true, "timeout": LONGEST_CALL,
            "headers": { "Authorization": format!("Bearer {}", doorway.token) },
        }),
        None => json!({
            "type": "local", "command": doorway.command, "enabled": true, "timeout": LONGEST_CALL,
            "environment": doorway.env.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(is_shared: bool) -> Offer {
        let name = if is_shared { "orchestrator_ind_000042" } else { NAME }.to_owned();
        Offer { name, config: json!({}), is_shared }
    }

    #[test]
    fn where_others_work_too_their_tools_are_out_of_reach() {
        assert_eq!(offer(false).allowing()["permission"], "orchestrator_*");
        assert!(offer(false).enclosing().is_empty());
        let last = offer(true).enclosing();
        assert_eq!(
            (&last[0]["permission"], &last[0]["action"]),
            (&json!("orchestrator_*"), &json!("deny"))
        );
        assert_eq!(last[1]["permission"], "orchestrator_ind_000042_*");
        assert_eq!(last[1]["action"], "allow");
    }

    #[test]
    fn a_server_elsewhere_is_offered_nothing() {
        for (base, here) in [
            ("http://127.0.0.1:4096", true),
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("http://10.0.0.7:4096", false),
            ("https://example.com", false),
        ] {
            assert_eq!(is_here(base), here, "{base}");
        }
    }
}
