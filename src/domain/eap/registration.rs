//! How an agent of others introduces itself.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::domain::agent::draft::AgentDraft;
use crate::domain::agent::kind::{AgentKind, AgentType};
use crate::domain::field::FieldError;

/// Assignments at once of an agent that says nothing else.
const CAPACITY: u32 = 5;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The agent as it wants to be registered; whether that may be is for `AgentDraft::accept`.
    pub draft: AgentDraft,
    /// Where work is brought to; without it the agent fetches its work.
    pub endpoint_url: Option<String>,
}

/// Why an agent cannot introduce itself so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It speaks another version of the protocol.
    Version(String),
    /// What it says has not the shape of a registration.
    Malformed(Vec<FieldError>),
}

/// Whether a version is one of those that begin with 1.
fn is_spoken(version: &str) -> bool {
    let minor = version.strip_prefix("1.");
    minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Registration {
    /// Reads a registration.
    ///
    /// # Errors
    /// `Unreadable`.
    pub fn read(sent: &Map<String, Value>) -> Result<Self, Unreadable> {
        let mut fields = Fields::of(sent);
        if let Some(version) = fields.text("protocol_version", 20)
            && !is_spoken(version)
        {
            return Err(Unreadable::Version(version.to_owned()));
        }
        let name = fields.text("name", 200).unwrap_or_default().to_owned();
        let version = fields.text("version", 200).map(str::to_owned);
        let types: Vec<&str> = AgentType::ALL.iter().map(|one| one.as_str()).collect();
        let agent_type = fields.word("agent_type", AgentType::parse, &types.join(", "));
        let slugs = fields.list("capabilities", 50).unwrap_or_default();
        let mut capabilities = Vec::new();
        for (index, slug) in slugs.iter().enumerate() {
            match slug.as_str() {
                Some(slug) => capabilities.push(slug.to_owned()),
                None => {
                    fields.wrong(&format!("capabilities/{index}"), "wrong_type", "must be a text");
                }
            }
        }
        let endpoint_url = fields.text("endpoint_url", 2000).map(str::to_owned);
        let metadata = fields.map("metadata").cloned().unwrap_or_default();
        let wanted = metadata.get("max_concurrent_capacity").and_then(Value::as_u64);
        let capacity = wanted.and_then(|count| u32::try_from(count).ok()).unwrap_or(CAPACITY);
        let mut config = Map::new();
        config.extend(endpoint_url.clone().map(|url| ("endpoint_url".to_owned(), url.into())));
        let draft = AgentDraft {
            agent_type,
            version,
            config,
            metadata,
            ..AgentDraft::new(name, AgentKind::Eap, capabilities)
        };
        let draft = draft.with_capacity(capacity);
        fields.finish(Some(Self { draft, endpoint_url })).map_err(Unreadable::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ids::{AgentId, TenantId};
    use crate::domain::time::Timestamp;

    fn read(value: &Value) -> Result<Registration, Unreadable> {
        Registration::read(value.as_object().expect("an object"))
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let sent = json!({ "name": "AGENT-X", "capabilities": ["testing"], "unknown": 1 });
        let registration = read(&sent).expect("readable");
        let agent = registration.draft.accept(
            AgentId::new(uuid::Uuid::nil()),
            TenantId::BOOTSTRAP,
            Timestamp::EPOCH,
        );
        let agent = agent.expect("valid");
        assert_eq!((agent.kind, agent.profile.max_concurrent_capacity), (AgentKind::Eap, 5));
        assert_eq!((agent.version.as_str(), registration.endpoint_url), ("1.0.0", None));
        let sent = json!({
            "name": "AGENT-X", "capabilities": ["testing"], "protocol_version": "1.7",
            "endpoint_url": "https://a.example/", "metadata": { "max_concurrent_capacity": 9 },
        });
        let push = read(&sent).expect("readable").draft;
        assert_eq!(push.max_concurrent_capacity, Some(9));
        assert_eq!(push.config["endpoint_url"], "https://a.example/");
    }

    #[test]
    fn other_versions_and_shapes_are_told_apart() {
        for other in ["2.0", "1.x", "1."] {
            let version = read(&json!({ "name": "AGENT-X", "protocol_version": other }));
            assert_eq!(version, Err(Unreadable::Version(other.to_owned())));
        }
        let wrong = json!({ "name": 1, "agent_type": "wizard", "capabilities": ["a", 2] });
        let Err(Unreadable::Malformed(told)) = read(&wrong) else { panic!("malformed") };
        let places: Vec<&str> = told.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(places, ["/name", "/agent_type", "/capabilities/1"]);
    }
}
