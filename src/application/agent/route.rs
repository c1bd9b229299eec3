//! Who would be given a piece of work, and why: every agent with each part of its score, or the gate that
//! refuses it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::AgentService;
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::application::scheduler::reserve::Reserved;
use crate::application::scheduler::roster::AgentSlot;
use crate::application::scheduler::trial::{Ask, Reserve, Scored, Seen, TooManyReserved, Trial};
use crate::closed_enum;
use crate::domain::agent::gate::Gate;
use crate::domain::agent::routing::{ALTERNATIVES, Ranked, Request, Score};
use crate::domain::agent::vitals::{Condition, Vitals};
use crate::domain::agent::wanted::Wanted;
use crate::domain::ids::{AgentId, ReservationId, TenantId};
use crate::domain::tenant::key::Role;
use crate::domain::tenant::right::Right;
use crate::domain::tenant::scope::Area;

/// How long room is held.
const RESERVED: Duration = Duration::from_mins(1);
/// Candidates that are told when not all are.
pub const TOLD: usize = 10;

closed_enum!(
    /// Of whom a decision tells.
    Explain {
        All = "all",
        Best = "best",
    }
);

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct RouteQuery {
    /// The work.
    pub wanted: Wanted,
    /// Room for it is held.
    pub reserve: bool,
    /// Of whom is told; of every agent when nothing is said.
    pub explain: Option<Explain>,
}

/// What becomes of an agent in a routing decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It could be given the work, and scores this.
    Scored(Score),
    /// This gate refuses it.
    Refused(Gate),
}

/// One agent in a routing decision.
#[derive(Debug, Clone)]
pub struct Candidacy {
    /// Who, and how it stood.
    pub seen: Seen,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// A routing decision.
#[derive(Debug, Clone)]
pub struct Routed {
    /// Who would be given the work, and what it scored.
    pub selected: Scored,
    /// The next best, the better ones first.
    pub alternatives: Vec<Scored>,
    /// Why, in a sentence.
    pub reason: String,
    /// Those who could, the better ones first, and then those who are refused, by name.
    pub candidates: Vec<Candidacy>,
    /// Agents of the tenant, told or not.
    pub count: usize,
    /// The room that is held.
    pub reserved: Option<Reserved>,
}

impl AgentService {
    /// Who would be given this work now. With `reserve` room for it is held for a minute.
    ///
    /// # Errors
    /// `Invalid`; `NoAgent` with the reason; `Forbidden` and `QuotaExceeded` for `reserve`; the store's.
    pub async fn choose(
        &self,
        ctx: &RequestContext,
        query: RouteQuery,
    ) -> Result<Routed, AppError> {
        let RouteQuery { wanted, reserve, explain } = query;
        if reserve {
            ctx.principal.check(Right::write(Role::Member, Area::Agents))?;
        }
        self.learn(ctx.tenant).await?;
        let request = wanted
            .accept(ctx.tenant, |reference| self.queue.agent_called(ctx.tenant, reference))
            .map_err(AppError::Invalid)?;
        let now = self.clock.now();
        let reserve = reserve.then(|| Reserve {
            id: ReservationId::new(self.ids.uuid()),
            holder: ctx.actor_name().to_owned(),
            until: now.after(RESERVED),
        });
        let ask =
            Ask { best: TOLD.max(ALTERNATIVES + 1), all: explain != Some(Explain::Best), reserve };
        let tried = self.queue.route(&request, &ask, now);
        let trial = tried.map_err(|TooManyReserved { limit }| {
            let limit = u64::try_from(limit).unwrap_or(u64::MAX);
            AppError::QuotaExceeded { quota: "reservations", limit, used: limit }
        })?;
        routed(&request, trial)
    }

    /// Reads the agents of a tenant of which the scheduler knows nothing yet.
    pub(super) async fn learn(&self, tenant: TenantId) -> Result<(), AppError> {
        if self.queue.knows_agents_of(tenant) {
            return Ok(());
        }
        let snapshot = self.store.snapshot(tenant).await?;
        let (agents, vitals) = (snapshot.agents().await?, snapshot.all_vitals().await?);
        drop(snapshot);
        let vitals: HashMap<AgentId, &Vitals> =
            vitals.iter().map(|vitals| (vitals.agent_id, vitals)).collect();
        let slots = agents.into_iter().map(|found| {
            let agent = found.value;
            let tells = (!agent.kind.is_asked()).then_some(agent.created_at);
            let pulse = tells.map(|since| self.pulses.pulse((tenant, agent.id), since));
            let condition = Condition::of(vitals.get(&agent.id).copied(), pulse);
            let down = self.down(&agent);
            AgentSlot { condition, down, ..AgentSlot::new(agent.into()) }
        });
        self.queue.learn(tenant, slots.collect());
        Ok(())
    }
}

fn routed(request: &Request, trial: Trial) -> Result<Routed, AppError> {
    if let Some(reason) = trial.nobody {
        let mut refused: BTreeMap<Gate, usize> = BTreeMap::new();
        let gates = trial.all.iter().filter_map(|seen| Gate::refusing(request, &seen.candidate()));
        gates.for_each(|gate| *refused.entry(gate).or_default() += 1);
        return Err(AppError::NoAgent { reason, refused });
    }
    let Trial { mut best, all, nobody: _, count, reason, reserved } = trial;
    let candidates = if all.is_empty() {
        let told = |Scored { seen, score }: &Scored| Candidacy {
            seen: seen.clone(),
            verdict: Verdict::Scored(*score),
        };
        best.iter().map(told).collect()
    } else {
        explained(request, all)
    };
    let selected = best.remove(0);
    best.truncate(ALTERNATIVES);
    Ok(Routed { selected, alternatives: best, reason, candidates, count, reserved })
}

/// What becomes of each agent.
#[must_use]
pub fn explained(request: &Request, all: Vec<Seen>) -> Vec<Candidacy> {
    let (mut able, mut refused) = (Vec::with_capacity(all.len()), Vec::new());
    for seen in all {
        let candidate = seen.candidate();
        if let Some(gate) = Gate::refusing(request, &candidate) {
            refused.push(Candidacy { seen, verdict: Verdict::Refused(gate) });
        } else {
            let score = Score::of(request, &candidate);
            able.push((score, seen));
        }
    }
    able.sort_by(|(score, seen), (other_score, other)| {
        let one = Ranked { candidate: seen.candidate(), score: *score };
        one.order(&Ranked { candidate: other.candidate(), score: *other_score })
    });
    let able =
        able.into_iter().map(|(score, seen)| Candidacy { seen, verdict: Verdict::Scored(score) });
    able.chain(refused).collect()
}
