//! Routing decisions on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::agent::route::{Candidacy, Routed, Verdict};
use crate::application::scheduler::reserve::Reserved;
use crate::application::scheduler::trial::{Scored, Seen};
use crate::domain::agent::gate::Gate;
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::load::LoadLevel;
use crate::domain::agent::performance::Tier;
use crate::domain::agent::routing::{Component, Score};
use crate::domain::agent::status::AgentState;
use crate::domain::ids::{AgentId, ReservationId};
use crate::domain::time::Timestamp;

/// Who would be given a piece of work, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoutingDecision)]
#[expect(missing_docs, reason = "the fields are those of domain 3.1")]
pub struct RoutedDto {
    pub selected_agent: ChosenDto,
    /// 0 to 1.
    pub routing_score: f64,
    /// The next three, the better ones first.
    pub alternatives: Vec<ChosenDto>,
    /// One sentence.
    pub routing_reason: String,
    /// Those who could be given it, the better ones first, then those who are refused, by name.
    pub candidates: Vec<CandidateDto>,
    /// Agents of the tenant, told here or not.
    pub candidates_total: usize,
    /// The room that is held, when that was asked for.
    pub reservation: Option<ReservationDto>,
}

/// An agent that could be given a piece of work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoutingChoice)]
#[expect(missing_docs, reason = "the fields are those of domain 2.1")]
pub struct ChosenDto {
    pub id: AgentId,
    #[schema(example = "AGENT-CODE-01")]
    pub name: String,
    pub agent_type: AgentType,
    pub performance_tier: Tier,
    pub state: AgentState,
    pub load_level: LoadLevel,
    /// 0 to 1.
    pub score: f64,
}

/// What became of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoutingCandidate)]
pub struct CandidateDto {
    /// Who.
    pub agent_id: AgentId,
    /// What it is called.
    #[schema(example = "AGENT-CODE-01")]
    pub agent_name: String,
    /// The first gate that refuses it; null for those who could be given the work.
    pub gate: Option<Gate>,
    /// What its score is made of; empty for who is refused.
    pub components: Vec<ComponentDto>,
    /// What was earned by wishes; null for who is refused.
    pub bonuses: Option<BonusesDto>,
    /// 0 to 1; null for who is refused.
    pub score: Option<f64>,
}

/// A part of a score.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoutingPart)]
pub struct ComponentDto {
    /// Which.
    pub component: Component,
    /// 0 to 1.
    pub value: f64,
    /// Its share; all of them together are 1.
    pub weight: f64,
    /// Value by weight.
    pub product: f64,
}

/// What an agent earned by being wished for; the sum with the products is divided by 1 and all that the
/// wishes of the request could earn.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoutingBonuses)]
pub struct BonusesDto {
    /// It was asked for by its id.
    pub preferred_agent: f64,
    /// It is of the type that was asked for.
    pub preferred_type: f64,
}

/// Room at an agent that is held.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reservation)]
pub struct ReservationDto {
    /// Its identity.
    pub id: ReservationId,
    /// It is free again then, unless a session of yours that was created for the agent used it before.
    pub expires_at: Timestamp,
}

impl ChosenDto {
    fn of(scored: &Scored) -> Self {
        let Scored { seen: Seen { agent, standing }, score } = scored;
        Self {
            id: agent.id,
            name: agent.name.clone(),
            agent_type: agent.profile.agent_type,
            performance_tier: standing.tier,
            state: standing.state(),
            load_level: standing.burden.level(),
            score: score.total,
        }
    }
}

impl CandidateDto {
    fn of(candidacy: &Candidacy) -> Self {
        let Candidacy { seen: Seen { agent, standing: _ }, verdict } = candidacy;
        let (gate, score) = match verdict {
            Verdict::Scored(score) => (None, Some(*score)),
            Verdict::Refused(gate) => (Some(*gate), None),
        };
        Self {
            agent_id: agent.id,
            agent_name: agent.name.clone(),
            gate,
            components: score.map(|score| components(&score)).unwrap_or_default(),
            bonuses: score.map(|score| BonusesDto {
                preferred_agent: score.bonus_id,
                preferred_type: score.bonus_type,
            }),
            score: score.map(|score| score.total),
        }
    }
}

fn components(score: &Score) -> Vec<ComponentDto> {
    let part = |(component, value): (&Component, &f64)| {
        let (component, value, weight) = (*component, *value, component.weight());
        ComponentDto { component, value, weight, product: value * weight }
    };
    Component::ALL.iter().zip(&score.values).map(part).collect()
}

impl From<&Routed> for RoutedDto {
    fn from(routed: &Routed) -> Self {
        let Routed { selected, alternatives, reason, candidates, count, reserved } = routed;
        let reservation =
            |reserved: &Reserved| ReservationDto { id: reserved.id, expires_at: reserved.until };
        Self {
            selected_agent: ChosenDto::of(selected),
            routing_score: selected.score.total,
            alternatives: alternatives.iter().map(ChosenDto::of).collect(),
            routing_reason: reason.clone(),
            candidates: candidates.iter().map(CandidateDto::of).collect(),
            candidates_total: *count,
            reservation: reserved.as_ref().map(reservation),
        }
    }
}
