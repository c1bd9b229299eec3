//! What a session needs of its agent.

use crate::domain::agent::load::Units;
use crate::domain::agent::routing::{Match, Request};
use crate::domain::ids::AgentId;
use crate::domain::session::Session;

/// What a session needs of its agent; sessions with the same needs stand in one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Needs {
    /// Pinned agent, by id or name.
    pub agent: Option<String>,
    /// Who pinned it: room that they reserved at that agent is for it.
    pub holder: Option<String>,
    /// Provider of its model; `None` for the one that the agent uses by default.
    pub provider: Option<String>,
    /// Who may be given it, and who had better be; its lists are sorted.
    pub request: Request,
}

impl Needs {
    /// The needs of a session.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let spec = &session.spec;
        let sorted = |texts: &[String]| {
            let mut texts = texts.to_vec();
            texts.sort_unstable();
            texts
        };
        let mut preferred_ids = spec.preferred_agent_ids.clone();
        preferred_ids.sort_unstable();
        let mut excluded = session.run.avoid.clone();
        excluded.sort_unstable();
        excluded.dedup();
        let request = Request {
            tenant_id: session.tenant_id,
            required: sorted(&spec.required_capabilities),
            matching: Match::All,
            technologies: sorted(&spec.technologies),
            session_type: Some(spec.session_type),
            complexity: Units::of(spec.estimated_complexity),
            preferred_type: spec.preferred_agent_type,
            preferred_ids,
            min_tier: spec.min_performance_tier,
            excluded,
        };
        let provider = spec.provider().map(str::to_owned);
        let holder = spec.agent.as_ref().map(|_| session.created_by.clone());
        Self { agent: spec.agent.clone(), holder, provider, request }
    }

    /// The same, for anybody but this agent.
    #[must_use]
    pub fn without(mut self, agent: AgentId) -> Self {
        let excluded = &mut self.request.excluded;
        if let Err(at) = excluded.binary_search(&agent) {
            excluded.insert(at, agent);
        }
        self
    }
}
