//! Use cases of agents: which there are, whether they could work, and who speaks to them.

mod change;
pub mod cooldown;
mod figures;
mod herald;
pub mod outlook;
pub mod pool;
pub mod pulses;
pub mod query;
mod register;
mod remove;
pub mod report;
pub mod route;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

pub use self::change::about;
use self::cooldown::Cooldowns;
use self::pulses::Pulses;
pub use self::register::audit_of;
pub use self::remove::Departure;
use super::error::AppError;
use super::ports::changes::{ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write};
use super::ports::clock::{Clock, Ids};
use super::ports::driver::{AgentDriver, ProbeReport};
use super::ports::store::{CommitError, Store};
use super::scheduler::Queue;
use crate::domain::agent::draft::AgentDraft;
use crate::domain::agent::status::Standing;
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::canonical::canonical;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Longest time of one probe: a driver may have to start its agent first, which itself has a limit.
const PROBE_TIME: Duration = Duration::from_mins(1);
/// Probes at once: each may start a process.
const PROBES: usize = 4;

/// How agents are reached: those of one tenant and kind with the same settings are reached alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Whose driver it is for.
    pub kind: AgentKind,
    /// Whose agents; nobody's where settings are not needed, since all are reached alike then.
    tenant: TenantId,
    /// Settings of the driver, spelled in the one canonical way.
    config: String,
}

impl Endpoint {
    /// How agents of this tenant and kind with these settings are reached.
    #[must_use]
    pub fn new(tenant: TenantId, kind: AgentKind, config: &Map<String, Value>) -> Self {
        let tenant = if kind.needs_no_settings() { TenantId::SYSTEM } else { tenant };
        Self { kind, tenant, config: canonical(&Value::Object(config.clone())) }
    }

    /// How this agent is reached.
    #[must_use]
    pub fn of(agent: &Agent) -> Self {
        Self::new(agent.tenant_id, agent.kind, &agent.config)
    }

    fn config(&self) -> Map<String, Value> {
        serde_json::from_str(&self.config).unwrap_or_default()
    }
}

/// What the newest probe of an endpoint gave.
#[derive(Debug, Clone)]
pub struct Liveness {
    /// When it was taken.
    pub at: Timestamp,
    /// What it found, or why the agent cannot work.
    pub result: Result<ProbeReport, String>,
    /// How long it took.
    pub took_ms: u64,
}

/// The agents and their drivers.
#[derive(Clone)]
pub struct AgentService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    drivers: Arc<BTreeMap<AgentKind, Arc<dyn AgentDriver>>>,
    /// Endpoints of interest; without a result those that were not probed yet.
    probed: Arc<Mutex<BTreeMap<Endpoint, Option<Liveness>>>>,
    unprobed: Arc<Notify>,
    cooldowns: Cooldowns,
    /// Knows what agents work on, and who would be given what.
    queue: Queue,
    /// Names of the agents that come from the settings.
    built_in: Arc<BTreeSet<String>>,
    /// When those were heard that speak by themselves.
    pulses: Pulses,
}

/// An agent as a tenant has it, and the event that tells of it.
///
/// # Errors
/// `Invalid`.
pub fn registration(
    wanted: &AgentDraft,
    tenant: TenantId,
    ids: &dyn Ids,
    now: Timestamp,
) -> Result<(Agent, DomainEvent), AppError> {
    let id = AgentId::new(ids.uuid());
    let agent = wanted.clone().accept(id, tenant, now).map_err(AppError::Invalid)?;
    let subject = Subject { kind: SubjectKind::Agent, id: agent.id.uuid() };
    let payload = json!({
        "name": agent.name, "kind": agent.kind, "agent_type": agent.profile.agent_type,
    });
    let event = DomainEvent::new(EventType::AgentRegistered, subject, now, payload);
    Ok((agent, event))
}

impl AgentService {
    /// Use cases over the store and these drivers.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        drivers: impl IntoIterator<Item = Arc<dyn AgentDriver>>,
    ) -> Self {
        let drivers: BTreeMap<_, _> =
            drivers.into_iter().map(|driver| (driver.kind(), driver)).collect();
        let pulses = Pulses::new(clock.now());
        let service = Self {
            pulses,
            store,
            clock,
            ids,
            drivers: Arc::new(drivers),
            probed: Arc::default(),
            unprobed: Arc::default(),
            cooldowns: Cooldowns::default(),
            queue: Queue::new(0),
            built_in: Arc::default(),
        };
        service.watch(BTreeSet::new());
        service
    }

    /// Beside this queue, which knows what the agents work on.
    #[must_use]
    pub fn with_queue(self, queue: Queue) -> Self {
        Self { queue, ..self }
    }

    /// With these pulses, which others feel, too.
    #[must_use]
    pub fn with_pulses(self, pulses: Pulses) -> Self {
        Self { pulses, ..self }
    }

    /// Where these agents come from the settings, in every tenant.
    #[must_use]
    pub fn with_built_in(self, built_in: &[AgentDraft]) -> Self {
        let names = built_in.iter().map(|agent| agent.name.clone()).collect();
        Self { built_in: Arc::new(names), ..self }
    }

    /// Registers the built-in agents that the tenant does not have yet, and brings those that it has
    /// in line with the settings.
    ///
    /// # Errors
    /// The store's.
    pub async fn ensure(&self, tenant: TenantId, agents: &[AgentDraft]) -> Result<(), AppError> {
        for wanted in agents {
            let known = self.store.snapshot(tenant).await?.agents().await?;
            let known = known.into_iter().find(|agent| agent.value.name == wanted.name);
            if let Some(known) = known {
                self.align(tenant, known, wanted).await?;
                continue;
            }
            let (agent, event) = registration(wanted, tenant, self.ids.as_ref(), self.clock.now())?;
            let set = ChangeSet::new(tenant)
                .guard(Guard::AgentNameFree(agent.name.clone()))
                .write(Write::Agent(Put { expect: Expect::Absent, value: agent }))
                .count(Counter::Agents, CounterChange::Add(1))
                .events([event]);
            match self.store.commit(set).await {
                Ok(_) | Err(CommitError::Refused) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What the settings say of an agent may have changed since it was registered. What people decided
    /// about it stays, but for its removal: the settings have it again.
    async fn align(
        &self,
        tenant: TenantId,
        known: Versioned<Agent>,
        wanted: &AgentDraft,
    ) -> Result<(), AppError> {
        let Versioned { version, value: agent } = known;
        let (id, now) = (agent.id, self.clock.now());
        let kept = (agent.switches, agent.metadata.clone(), agent.created_at);
        let said = wanted.clone().accept(id, tenant, now).map_err(AppError::Invalid)?;
        let (switches, metadata, created_at) = kept;
        let said = Agent { switches, metadata, created_at, updated_at: agent.updated_at, ..said };
        if said == agent {
            return Ok(());
        }
        let agent = Agent { updated_at: now, ..said };
        let put = Put { expect: Expect::At(version), value: agent };
        match self.store.commit(ChangeSet::new(tenant).write(Write::Agent(put))).await {
            // Whoever was first read settings of his own; the next start sees to it.
            Ok(_) | Err(CommitError::Stale) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All agents of a tenant, by name, for the product itself.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, tenant: TenantId) -> Result<Vec<Agent>, AppError> {
        let agents = self.store.snapshot(tenant).await?.agents().await?;
        Ok(agents.into_iter().map(|found| found.value).collect())
    }

    /// Who speaks to agents of this kind; `None` when this server does not.
    #[must_use]
    pub fn driver(&self, kind: AgentKind) -> Option<Arc<dyn AgentDriver>> {
        self.drivers.get(&kind).cloned()
    }

    /// Refuses settings of an agent that its driver follows for no agent of the tenant.
    fn must_be_allowed(&self, agent: &Agent) -> Result<(), AppError> {
        let driver = self.driver(agent.kind);
        let refusal = driver.and_then(|driver| driver.refusal(agent.tenant_id, &agent.config));
        refusal.map_or(Ok(()), |message| {
            let pointer = "/config/env".to_owned();
            Err(AppError::Invalid(vec![FieldError { pointer, code: "not_allowed", message }]))
        })
    }

    /// These endpoints are of interest from now on, and those that need no settings.
    pub fn watch(&self, mut endpoints: BTreeSet<Endpoint>) {
        let own = self.drivers.keys().filter(|kind| kind.needs_no_settings());
        endpoints.extend(own.map(|kind| Endpoint::new(TenantId::SYSTEM, *kind, &Map::new())));
        endpoints.retain(|endpoint| self.drivers.contains_key(&endpoint.kind));
        let mut probed = self.probed();
        probed.retain(|endpoint, _| endpoints.contains(endpoint));
        for endpoint in endpoints {
            probed.entry(endpoint).or_insert_with(|| {
                self.unprobed.notify_one();
                None
            });
        }
    }

    /// Waits until something became of interest that was not probed yet.
    pub async fn unprobed(&self) {
        self.unprobed.notified().await;
    }

    /// Asks whether agents could work now, each for a limited time: of every endpoint, or of those that
    /// were not asked yet.
    pub async fn probe(&self, all: bool) {
        let due = |found: &Option<Liveness>| all || found.is_none();
        let due: Vec<Endpoint> = self
            .probed()
            .iter()
            .filter(|(_, found)| due(found))
            .map(|(at, _)| at.clone())
            .collect();
        let probe = |endpoint| self.probe_one(endpoint, PROBE_TIME);
        stream::iter(due).for_each_concurrent(PROBES, probe).await;
    }

    async fn probe_one(&self, endpoint: Endpoint, limit: Duration) {
        let Some(driver) = self.driver(endpoint.kind) else { return };
        let (began, config) = (self.clock.now(), endpoint.config());
        let result = tokio::select! {
            biased;
            result = driver.probe(endpoint.tenant, &config) => result.map_err(|error| error.message),
            () = self.clock.sleep(limit) => {
                Err(format!("it did not answer within {} s", limit.as_secs()))
            }
        };
        let at = self.clock.now();
        let took_ms = u64::try_from(at.since(began).as_millis()).unwrap_or(u64::MAX);
        if let Some(found) = self.probed().get_mut(&endpoint) {
            *found = Some(Liveness { at, result, took_ms });
        }
    }

    /// What the newest probes gave, for those that were probed.
    #[must_use]
    pub fn liveness(&self) -> BTreeMap<Endpoint, Liveness> {
        let probed = self.probed();
        probed.iter().filter_map(|(at, found)| Some((at.clone(), found.clone()?))).collect()
    }

    fn probed(&self) -> MutexGuard<'_, BTreeMap<Endpoint, Option<Liveness>>> {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When those were heard that speak by themselves, and what they said.
    #[must_use]
    pub const fn pulses(&self) -> &Pulses {
        &self.pulses
    }

    /// Whether anybody but this agent could be given a session, now or when there is room.
    #[must_use]
    pub fn others_fit(&self, session: &Session, agent: AgentId) -> bool {
        self.queue.others_fit(session, agent)
    }

    /// How an agent stands, as far as the scheduler knows it.
    #[must_use]
    pub fn standing(&self, agent: &Agent) -> Option<Standing> {
        self.queue.stands(agent).map(|stands| stands.standing)
    }

    /// Who but this agent would be given a session now, and how busy it would be then.
    #[must_use]
    pub fn would_go(&self, session: &Session, agent: AgentId) -> Option<(Arc<Agent>, f64)> {
        self.queue.would_go(session, agent)
    }

    /// Providers that agents leave alone for a while.
    #[must_use]
    pub const fn cooldowns(&self) -> &Cooldowns {
        &self.cooldowns
    }

    /// Every driver.
    pub(in crate::application) fn drivers(&self) -> impl Iterator<Item = &Arc<dyn AgentDriver>> {
        self.drivers.values()
    }

    /// Ends what an earlier process left behind; how many processes that were.
    pub async fn reap(&self) -> usize {
        let mut reaped = 0;
        for driver in self.drivers.values() {
            reaped += driver.reap().await;
        }
        reaped
    }

    /// Ends every process of every driver.
    pub async fn shutdown(&self) {
        for driver in self.drivers.values() {
            driver.shutdown().await;
        }
    }
}
