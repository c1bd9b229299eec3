//! The line of waiting sessions, as others may look at it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::needs::Needs;
use super::position::Position;
use super::roster::Stirred;
use super::tick::State;
use crate::application::error::AppError;
use crate::application::ports::changes::Counter;
use crate::application::ports::reads::Fleet;
use crate::application::ports::store::{Store, StoreError};
use crate::application::session::explain::Blocker;
use crate::domain::agent::Agent;
use crate::domain::agent::load::Burden;
use crate::domain::agent::status::{AgentRules, Standing};
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::domain::usage::month::Purse;
use crate::domain::usage::period::Month;

/// How an agent stands, as far as work is concerned.
#[derive(Debug, Clone)]
pub struct Stands {
    /// As decisions see it.
    pub standing: Standing,
    /// Why it cannot be reached, when it cannot.
    pub down: Option<String>,
    /// Sessions that wait for it and nobody else.
    pub waiting: usize,
}

/// The line of waiting sessions.
#[derive(Clone)]
pub struct Queue {
    state: Arc<Mutex<State>>,
    /// Held while tenants are read and taken over, so that what was read first is taken first.
    reading: Arc<tokio::sync::Mutex<()>>,
    /// Held from the look at the holds to the commit of a grant, and from the commit of a hold until
    /// it is known here: a hold that was answered has stopped every grant that came after it.
    granting: Arc<tokio::sync::Mutex<()>>,
    /// Since when the store takes nothing new.
    held_back: Arc<Mutex<Option<Timestamp>>>,
    /// By which times agents are judged.
    rules: AgentRules,
}

impl Queue {
    /// An empty line of an instance that executes at most this many sessions at once.
    #[must_use]
    pub fn new(max_running: usize) -> Self {
        let state = Arc::new(Mutex::new(State::new(max_running)));
        let (reading, granting, held_back) = (Arc::default(), Arc::default(), Arc::default());
        Self { state, reading, granting, held_back, rules: AgentRules::default() }
    }

    /// Where agents are judged by these times; said before any is known.
    #[must_use]
    pub fn judging_by(self, rules: AgentRules) -> Self {
        self.state().judge_by(rules);
        Self { rules, ..self }
    }

    /// By which times agents are judged.
    #[must_use]
    pub const fn rules(&self) -> AgentRules {
        self.rules
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for whoever grants, or changes what is held.
    pub(super) async fn granting(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.granting).lock_owned().await
    }

    /// Notes whether the store takes what a run writes.
    pub(super) fn note_room(&self, may_begin: bool, now: Timestamp) {
        let mut since = self.held_back.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if may_begin { None } else { since.or(Some(now)) };
    }

    /// Since when the store takes nothing new, as far as it was noticed.
    #[must_use]
    pub fn held_back_since(&self) -> Option<Timestamp> {
        *self.held_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads weights, holds and what is left of the month of all tenants; the tenants.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn read_tenants(
        &self,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<Vec<TenantId>, AppError> {
        let _turn = self.reading.lock().await;
        let fleet = store.fleet().await?;
        let tenants = fleet.tenants().await?;
        let (month, mut spent) = (Month::of(now), Vec::with_capacity(tenants.len()));
        for tenant in tenants.iter().map(|found| &found.value) {
            spent.push(match month_of(&*fleet, tenant.id, month).await {
                Ok((tokens, micros, stored)) => {
                    let purse = Purse::new(&tenant.quotas, month, tokens, micros).storing(stored);
                    Some(purse.exhausted().is_some())
                }
                // No other tenant waits for it, and it stays as it was.
                Err(error @ (StoreError::Quarantined | StoreError::UnknownSchema { .. })) => {
                    tracing::warn!(tenant.id = %tenant.id, %error, "What tenant {} used this month could not be read", tenant.id);
                    None
                }
                Err(other) => return Err(other.into()),
            });
        }
        drop(fleet);
        let mut state = self.state();
        for (tenant, spent) in tenants.iter().zip(spent) {
            state.set_tenant(&tenant.value);
            if let Some(spent) = spent {
                state.set_spent(tenant.value.id, spent);
            }
        }
        Ok(tenants.iter().map(|tenant| tenant.value.id).collect())
    }

    /// Place of a session among all that wait.
    #[must_use]
    pub fn position(&self, id: SessionId, now: Timestamp) -> Option<Position> {
        self.state().position(id, now)
    }

    /// When a waiting session is expected to be given out; `None` when nobody can tell.
    #[must_use]
    pub fn expected(&self, id: SessionId, now: Timestamp) -> Option<Timestamp> {
        self.state().expected(id, now)
    }

    /// How an agent stands; `None` while it is not known here.
    #[must_use]
    pub fn stands(&self, agent: &Agent) -> Option<Stands> {
        let state = self.state();
        let lines = state.tenants.get(&agent.tenant_id)?;
        let (standing, down) = lines.roster.stands(agent.id)?;
        Some(Stands { standing, down, waiting: lines.pinned_to(agent) })
    }

    /// Agents that may stand otherwise than when this was asked last.
    #[must_use]
    pub fn take_stirred(&self) -> Vec<(TenantId, AgentId, Stirred)> {
        let mut state = self.state();
        let mut stirred = Vec::new();
        for (tenant, lines) in &mut state.tenants {
            let of_tenant = lines.roster.take_stirred();
            stirred.extend(of_tenant.into_iter().map(|(id, how)| (*tenant, id, how)));
        }
        stirred
    }

    /// Whether anybody but this agent could be given a session, now or when there is room.
    #[must_use]
    pub fn others_fit(&self, session: &Session, agent: AgentId) -> bool {
        let needs = Needs::of(session).without(agent);
        let state = self.state();
        let lines = state.tenants.get(&session.tenant_id);
        lines.is_some_and(|lines| lines.roster.to_be_kept(&needs).is_some())
    }

    /// Who but this agent would be given a session now, and how busy it would be then.
    #[must_use]
    pub fn would_go(&self, session: &Session, agent: AgentId) -> Option<(Arc<Agent>, f64)> {
        let needs = Needs::of(session).without(agent);
        let state = self.state();
        let roster = &state.tenants.get(&session.tenant_id)?.roster;
        let to = Arc::clone(roster.place(&needs, None)?);
        let (standing, _) = roster.stands(to.id)?;
        let burden = standing.burden;
        let load = burden.load.with(needs.request.complexity);
        Some((to, Burden { load, ..burden }.utilization()))
    }

    /// Sessions that may execute at once.
    #[must_use]
    pub fn max_running(&self) -> usize {
        self.state().max_running
    }

    /// Sessions that execute now.
    #[must_use]
    pub fn executing(&self) -> usize {
        self.state().executing()
    }

    /// Why a waiting session was not given to an agent yet.
    #[must_use]
    pub fn why(&self, session: &Session) -> Blocker {
        self.state().why(session)
    }
}

/// Charged tokens and millionths of a dollar of a month, and bytes that are stored.
async fn month_of(
    fleet: &dyn Fleet,
    tenant: TenantId,
    month: Month,
) -> Result<(i64, i64, i64), StoreError> {
    let tokens = fleet.counter(tenant, Counter::MonthTokens(month)).await?;
    let micros = fleet.counter(tenant, Counter::MonthMicros(month)).await?;
    Ok((tokens, micros, fleet.counter(tenant, Counter::StoredBytes).await?))
}
