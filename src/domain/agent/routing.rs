//! Who is given a piece of work: a gate that refuses, and one score for whoever passes it.
//!
//! Invariant: the weights sum to 1, every score lies between 0 and 1, and equal scores have one order.

use std::cmp::Ordering;

use super::breaker::BreakerState;
use super::gate::{Gate, NoAgent};
use super::kind::{AgentType, ComplexityPreference};
use super::load::{LoadLevel, Units};
use super::performance::Tier;
use super::profile::{Mastery, Profile};
use super::status::{HeartbeatStatus, Standing};
use crate::closed_enum;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;

/// Others that are told beside the one that was chosen.
pub const ALTERNATIVES: usize = 3;
/// For an agent that was asked for by its id.
const BONUS_ID: f64 = 0.2;
/// For an agent of the type that was asked for.
const BONUS_TYPE: f64 = 0.3;

closed_enum!(
    /// Whether an agent needs all that is required.
    Match {
        All = "all",
        Any = "any",
    }
);

closed_enum!(
    /// What a score is made of.
    Component {
        Tier = "tier",
        Capability = "capability",
        Technology = "technology",
        SessionType = "session_type",
        Complexity = "complexity",
        Load = "load",
        Availability = "availability",
    }
);

impl Component {
    /// Its share of the score.
    #[must_use]
    pub const fn weight(self) -> f64 {
        match self {
            Self::Tier => 0.40,
            Self::Capability => 0.15,
            Self::Technology => 0.08,
            Self::SessionType => 0.02,
            Self::Complexity => 0.05,
            Self::Load => 0.20,
            Self::Availability => 0.10,
        }
    }

    fn value(self, request: &Request, candidate: &Candidate<'_>) -> f64 {
        let Candidate { profile, standing, .. } = candidate;
        match self {
            Self::Tier | Self::Load | Self::Availability => self.of_standing(standing),
            Self::Capability => {
                mean(request.required.iter().map(|slug| match profile.mastery(slug) {
                    Mastery::Primary => 1.0,
                    Mastery::Secondary => 0.7,
                    Mastery::Missing => 0.3,
                }))
            }
            Self::Technology => mean(request.technologies.iter().map(|technology| {
                f64::from(u8::from(profile.preferred_technologies.contains(technology)))
            })),
            Self::SessionType => {
                let preferred = &profile.preferred_session_types;
                let suits = |asked| preferred.is_empty() || preferred.contains(&asked);
                of_session(request.session_type.is_none_or(suits))
            }
            Self::Complexity => of_complexity(request, profile.complexity_preference),
        }
    }

    /// The value of what depends on nothing but how the agent is.
    fn of_standing(self, standing: &Standing) -> f64 {
        match self {
            Self::Tier => match standing.tier {
                Tier::Elite => 1.0,
                Tier::Advanced => 0.8,
                Tier::Competent => 0.6,
                Tier::Trainee => 0.4,
                Tier::Degraded => 0.0,
            },
            Self::Load => match standing.burden.level() {
                LoadLevel::Idle => 1.0,
                LoadLevel::Optimal => 0.8,
                LoadLevel::High => 0.5,
                LoadLevel::Critical => 0.2,
                LoadLevel::Overloaded => 0.0,
            },
            Self::Availability => {
                let is_weak = standing.heartbeat == Some(HeartbeatStatus::Degraded);
                if is_weak || standing.breaker == BreakerState::HalfOpen {
                    0.5
                } else {
                    f64::from(u8::from(standing.is_available()))
                }
            }
            Self::Capability | Self::Technology | Self::SessionType | Self::Complexity => 0.0,
        }
    }
}

/// The value of a preference for the type of the session.
const fn of_session(is_suited: bool) -> f64 {
    if is_suited { 1.0 } else { 0.3 }
}

/// The value of a preference for work of this complexity.
fn of_complexity(request: &Request, preference: ComplexityPreference) -> f64 {
    let above = |thousandths| request.complexity.thousandths() > thousandths;
    if above(2000) && preference >= ComplexityPreference::Complex {
        1.0
    } else if above(1500) && preference >= ComplexityPreference::Medium {
        0.8
    } else {
        0.6
    }
}

/// The parts of a score that depend on nothing but how the agent is.
const READY: [Component; 3] = [Component::Tier, Component::Load, Component::Availability];

/// What an agent scores whatever is asked, in thousandths: of two with the same profile the one with
/// more scores more for every request.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 700")]
pub fn readiness(standing: &Standing) -> u32 {
    let sum: f64 = READY.iter().map(|part| part.weight() * part.of_standing(standing)).sum();
    (sum * 1000.0).round() as u32
}

/// The mean; 1 without values.
#[expect(clippy::cast_precision_loss, reason = "a few")]
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    match values.len() {
        0 => 1.0,
        count => values.sum::<f64>() / count as f64,
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the fields are those of domain 3.1")]
pub struct Request {
    pub tenant_id: TenantId,
    pub required: Vec<String>,
    pub matching: Match,
    pub technologies: Vec<String>,
    pub session_type: Option<SessionType>,
    pub complexity: Units,
    pub preferred_type: Option<AgentType>,
    pub preferred_ids: Vec<AgentId>,
    pub min_tier: Option<Tier>,
    pub excluded: Vec<AgentId>,
}

impl Request {
    /// One that any agent of a tenant may answer.
    #[must_use]
    pub const fn any(tenant_id: TenantId) -> Self {
        Self {
            tenant_id,
            required: Vec::new(),
            matching: Match::All,
            technologies: Vec::new(),
            session_type: None,
            complexity: Units::ONE,
            preferred_type: None,
            preferred_ids: Vec::new(),
            min_tier: None,
            excluded: Vec::new(),
        }
    }

    /// The most that an agent scores, in billionths, that is so ready, is suited so, and was not asked for by
    /// its id. It is what it scores when no technologies are asked for.
    #[must_use]
    pub fn promise(&self, readiness: u32, suited: &Suited) -> i64 {
        let Suited { capability, is_for_session, preference, agent_type } = *suited;
        let suits = Component::Capability.weight() * capability
            + Component::Technology.weight()
            + Component::SessionType.weight() * of_session(is_for_session)
            + Component::Complexity.weight() * of_complexity(self, preference);
        let is_of_type = self.preferred_type == Some(agent_type);
        let bonus = if is_of_type { BONUS_TYPE } else { 0.0 };
        billionths((f64::from(readiness) / 1000.0 + suits + bonus) / (1.0 + self.wishes()))
    }

    /// What all wishes together may earn; the same for every candidate.
    fn wishes(&self) -> f64 {
        let id = if self.preferred_ids.is_empty() { 0.0 } else { BONUS_ID };
        let agent_type = if self.preferred_type.is_some() { BONUS_TYPE } else { 0.0 };
        id + agent_type
    }
}

/// How a profile suits a request, as far as that is told without looking at words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suited {
    /// The value of the component of that name.
    pub capability: f64,
    /// It has no preferences for other types of sessions alone.
    pub is_for_session: bool,
    /// How complex it likes its work.
    pub preference: ComplexityPreference,
    /// Its type.
    pub agent_type: AgentType,
}

/// In billionths: smaller differences are none.
#[expect(clippy::cast_possible_truncation, reason = "0 to 1e9")]
fn billionths(score: f64) -> i64 {
    (score * 1e9).round() as i64
}

/// An agent that could be given work.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Who.
    pub id: AgentId,
    /// Whose.
    pub tenant_id: TenantId,
    /// What it is called.
    pub name: &'a str,
    /// What it is good for.
    pub profile: &'a Profile,
    /// How it is.
    pub standing: Standing,
}

/// What an agent scored, part by part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The value of each component, in their order.
    pub values: [f64; Component::ALL.len()],
    /// Earned for having been asked for by id.
    pub bonus_id: f64,
    /// Earned for being of the type that was asked for.
    pub bonus_type: f64,
    /// 0 to 1.
    pub total: f64,
}

impl Score {
    /// What an agent scores for a request.
    #[must_use]
    pub fn of(request: &Request, candidate: &Candidate<'_>) -> Self {
        let mut values = [0.0; Component::ALL.len()];
        let mut sum = 0.0;
        for (value, component) in values.iter_mut().zip(Component::ALL) {
            *value = component.value(request, candidate);
            sum += component.weight() * *value;
        }
        let is_preferred = request.preferred_ids.contains(&candidate.id);
        let is_of_type = request.preferred_type == Some(candidate.profile.agent_type);
        let bonus_id = if is_preferred { BONUS_ID } else { 0.0 };
        let bonus_type = if is_of_type { BONUS_TYPE } else { 0.0 };
        let total = (sum + bonus_id + bonus_type) / (1.0 + request.wishes());
        Self { values, bonus_id, bonus_type, total: total.clamp(0.0, 1.0) }
    }

    /// In billionths: smaller differences are none.
    #[must_use]
    pub fn billionths(&self) -> i64 {
        billionths(self.total)
    }
}

/// An agent that passed the gate, with its score.
#[derive(Debug, Clone, Copy)]
pub struct Ranked<'a> {
    /// The agent.
    pub candidate: Candidate<'a>,
    /// What it scored.
    pub score: Score,
}

impl Ranked<'_> {
    /// The better one first: by score, then the less busy, the longest without work, the smaller id.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (&self.candidate.standing, &other.candidate.standing);
        let (used, other_used) = (ours.burden.utilization(), theirs.burden.utilization());
        let score = other.score.billionths().cmp(&self.score.billionths());
        score
            .then_with(|| used.total_cmp(&other_used))
            .then_with(|| ours.assigned_at.cmp(&theirs.assigned_at))
            .then_with(|| self.candidate.id.cmp(&other.candidate.id))
    }
}

/// Who is given the work.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// The best one.
    pub selected: Ranked<'a>,
    /// Those after it, the better ones first.
    pub alternatives: Vec<Ranked<'a>>,
}

impl Choice<'_> {
    /// Why it is this one, in a sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        Self::reason_for(&self.selected)
    }

    /// Why it would be this one.
    #[must_use]
    pub fn reason_for(selected: &Ranked<'_>) -> String {
        let Ranked { candidate, score } = selected;
        let mut words = Vec::new();
        if candidate.standing.tier <= Tier::Advanced {
            words.push("high tier");
        }
        let is_full = score.values[Component::Capability as usize] >= 1.0;
        words.push(if is_full { "full capability match" } else { "partial capability match" });
        if candidate.standing.burden.level() <= LoadLevel::Optimal {
            words.push("low load");
        }
        format!("{}: {}, score {:.2}", candidate.name, words.join(", "), score.total)
    }
}

/// The best of those who pass the gate, in one pass and without keeping the others.
///
/// # Errors
/// Why nobody passes it.
pub fn choose<'a>(
    request: &Request,
    candidates: &'a [Candidate<'a>],
) -> Result<Choice<'a>, NoAgent> {
    let mut best: Vec<Ranked<'a>> = Vec::with_capacity(ALTERNATIVES + 2);
    for candidate in candidates {
        if Gate::refusing(request, candidate).is_some() {
            continue;
        }
        let ranked = Ranked { candidate: *candidate, score: Score::of(request, candidate) };
        let place = best.partition_point(|known| known.order(&ranked) == Ordering::Less);
        if place <= ALTERNATIVES {
            best.insert(place, ranked);
            best.truncate(ALTERNATIVES + 1);
        }
    }
    if best.is_empty() {
        return Err(NoAgent::of(request, candidates));
    }
    let alternatives = best.split_off(1);
    let selected = best.remove(0);
    Ok(Choice { selected, alternatives })
}
