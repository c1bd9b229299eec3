//! Why a session stands where it stands, on the wire.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::application::session::explain::{Blocker, Explanation};
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// Why a session stands where it stands, and what would move it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationDto {
    /// Where it stands.
    pub state: SessionStatus,
    /// Since when.
    pub since: Timestamp,
    /// One sentence for people.
    pub summary: String,
    /// What it waits for; empty when nothing holds it back.
    pub blockers: Vec<BlockerDto>,
    /// Its place among all that wait, from 1: how many are given to agents before it, and itself,
    /// if nothing else changes. Null when it does not wait.
    pub queue_position: Option<usize>,
    /// When it is expected to be given to an agent, by how fast others were; null when nobody can
    /// tell.
    pub eta: Option<Timestamp>,
    /// Whether `queue_position` or `eta` is an estimate: the place where several tenants share the
    /// slots, the time always.
    pub estimated: bool,
    /// Name of the agent that works on it.
    pub agent: Option<String>,
    /// When something happens to it by itself.
    pub next_deadline: Option<Timestamp>,
    /// How its agent was chosen; null in this version.
    #[schema(value_type = Option<Object>)]
    pub routing: Option<Value>,
}

/// A reason for waiting.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Blocker)]
pub struct BlockerDto {
    /// Stable word.
    pub code: BlockerCode,
    /// For people.
    pub text: String,
    /// Id of what it waits for.
    pub object: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What helps.
    pub remedy: String,
    /// A command that does it.
    pub command: Option<String>,
}

impl From<Explanation> for ExplanationDto {
    fn from(explanation: Explanation) -> Self {
        let Explanation {
            state,
            since,
            summary,
            blockers,
            queue_position,
            eta,
            agent,
            next_deadline,
        } = explanation;
        let blocker = |blocker: Blocker| {
            let Blocker { code, text, object, since, remedy, command } = blocker;
            BlockerDto { code, text, object, since, remedy, command }
        };
        Self {
            state,
            since,
            summary,
            blockers: blockers.into_iter().map(blocker).collect(),
            queue_position: queue_position.map(|position| position.place),
            eta,
            estimated: eta.is_some() || queue_position.is_some_and(|position| !position.is_exact),
            agent,
            next_deadline,
            routing: None,
        }
    }
}
