//! What a session needs of its agent.

use crate::domain::session::Session;

/// What a session needs of its agent; sessions with the same needs stand in one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Needs {
    /// Pinned agent, by id or name.
    pub agent: Option<String>,
    /// Capabilities that it must have, sorted.
    pub capabilities: Vec<String>,
    /// Provider of its model; `None` for the one that the agent uses by default.
    pub provider: Option<String>,
}

impl Needs {
    /// The needs of a session.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let mut capabilities = session.spec.required_capabilities.clone();
        capabilities.sort_unstable();
        let provider = session.spec.provider().map(str::to_owned);
        Self { agent: session.spec.agent.clone(), capabilities, provider }
    }
}
