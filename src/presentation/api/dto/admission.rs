//! Held admissions, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::scheduler::admissions::{Admission, NamedHold};
use crate::domain::ids::AgentId;
use crate::domain::schedule::hold::{Held, HoldScope, REASON_CHARS};
use crate::domain::time::Timestamp;
use crate::presentation::api::fields::{Fields, FromFields};
use crate::presentation::api::problem::Problem;

/// What to hold or to release.
#[derive(Debug, ToSchema)]
#[schema(as = Admission, example = json!({ "scope": "tenant", "reason": "the provider is down" }))]
pub struct AdmissionBody {
    /// How far it reaches: `instance` needs a system administrator, `tenant` an administrator,
    /// `agent` a lead.
    #[schema(value_type = HoldScope)]
    pub scope: Option<HoldScope>,
    /// The agent, by id or name, when the scope is `agent`.
    #[schema(min_length = 1, max_length = 100)]
    pub agent: Option<String>,
    /// For people and the audit.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

impl FromFields for AdmissionBody {
    fn read(fields: &mut Fields) -> Self {
        let scope = fields.word("scope");
        if scope.is_none() {
            fields.require_one("scope", "is required");
        }
        Self {
            scope,
            agent: fields.bounded_text("agent", 1, 100),
            reason: fields.bounded_text("reason", 0, REASON_CHARS),
        }
    }
}

impl AdmissionBody {
    /// What is wanted.
    ///
    /// # Errors
    /// Without a scope.
    pub fn wanted(&self) -> Result<Admission, Problem> {
        let missing = || Problem::field("/scope", "required", "is required");
        let scope = self.scope.ok_or_else(missing)?;
        let reason = self.reason.clone().filter(|reason| !reason.trim().is_empty());
        Ok(Admission { scope, agent: self.agent.clone(), reason })
    }
}

/// A hold: nothing new is given out within its reach.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hold)]
pub struct HoldDto {
    /// How far it reaches.
    pub scope: HoldScope,
    /// The agent, when the scope is one.
    pub agent_id: Option<AgentId>,
    /// Its name; null when it is no longer registered.
    pub agent_name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Name of the key that did it.
    pub held_by: String,
}

impl From<NamedHold> for HoldDto {
    fn from(named: NamedHold) -> Self {
        let NamedHold { hold, agent_name } = named;
        let scope = hold.held.scope();
        let agent_id = match hold.held {
            Held::Agent(id) => Some(id),
            Held::Instance | Held::Tenant => None,
        };
        Self {
            scope,
            agent_id,
            agent_name,
            reason: hold.reason,
            since: hold.since,
            held_by: hold.by,
        }
    }
}
