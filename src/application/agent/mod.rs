//! Use cases of agents: which there are, whether they could work, and who speaks to them.

pub mod cooldown;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use self::cooldown::Cooldowns;
use super::error::AppError;
use super::ports::changes::{ChangeSet, Expect, Guard, Put, Write};
use super::ports::clock::{Clock, Ids};
use super::ports::driver::{AgentDriver, ProbeReport};
use super::ports::store::{CommitError, Store};
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Longest time of one probe: a driver may have to start its agent first, which itself has a limit.
const PROBE_TIME: Duration = Duration::from_mins(1);

/// What the newest probe of a driver gave.
#[derive(Debug, Clone)]
pub struct Liveness {
    /// When it was taken.
    pub at: Timestamp,
    /// What it found, or why the agent cannot work.
    pub result: Result<ProbeReport, String>,
    /// How long it took.
    pub took_ms: u64,
}

/// An agent to be there from the start.
#[derive(Debug, Clone)]
pub struct BuiltIn {
    /// `AGENT-…`.
    pub name: &'static str,
    /// Which driver speaks to it.
    pub kind: AgentKind,
    /// Sessions that it works on at once.
    pub capacity: u32,
    /// What it is able to do.
    pub capabilities: Vec<String>,
}

/// The agents and their drivers.
#[derive(Clone)]
pub struct AgentService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    drivers: Arc<BTreeMap<AgentKind, Arc<dyn AgentDriver>>>,
    liveness: Arc<Mutex<BTreeMap<AgentKind, Liveness>>>,
    cooldowns: Cooldowns,
}

/// A built-in agent as a tenant has it, and the event that tells of it.
#[must_use]
pub fn registration(
    wanted: &BuiltIn,
    tenant: TenantId,
    ids: &dyn Ids,
    now: Timestamp,
) -> (Agent, DomainEvent) {
    let agent = Agent {
        id: AgentId::new(ids.uuid()),
        tenant_id: tenant,
        name: wanted.name.to_owned(),
        kind: wanted.kind,
        capabilities: wanted.capabilities.clone(),
        max_concurrent_capacity: wanted.capacity,
        config: Value::Null,
        created_at: now,
    };
    let subject = Subject { kind: SubjectKind::Agent, id: agent.id.uuid() };
    let payload = json!({ "name": agent.name, "kind": agent.kind });
    let event = DomainEvent::new(EventType::AgentRegistered, subject, now, payload);
    (agent, event)
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
        let drivers = drivers.into_iter().map(|driver| (driver.kind(), driver)).collect();
        let (liveness, cooldowns) = (Arc::default(), Cooldowns::default());
        Self { store, clock, ids, drivers: Arc::new(drivers), liveness, cooldowns }
    }

    /// Registers the built-in agents that the tenant does not have yet, and brings those that it has
    /// in line with the settings.
    ///
    /// # Errors
    /// The store's.
    pub async fn ensure(&self, tenant: TenantId, agents: &[BuiltIn]) -> Result<(), AppError> {
        for wanted in agents {
            let known = self.store.snapshot(tenant).await?.agents().await?;
            let known = known.into_iter().find(|agent| agent.value.name == wanted.name);
            if let Some(known) = known {
                self.align(tenant, known, wanted).await?;
                continue;
            }
            let (agent, event) = registration(wanted, tenant, self.ids.as_ref(), self.clock.now());
            let set = ChangeSet::new(tenant)
                .guard(Guard::AgentNameFree(agent.name.clone()))
                .write(Write::Agent(Put { expect: Expect::Absent, value: agent }))
                .events([event]);
            match self.store.commit(set).await {
                Ok(_) | Err(CommitError::Refused) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What the settings say of an agent may have changed since it was registered.
    async fn align(
        &self,
        tenant: TenantId,
        known: Versioned<Agent>,
        wanted: &BuiltIn,
    ) -> Result<(), AppError> {
        let mut agent = known.value;
        let is_aligned = agent.kind == wanted.kind
            && agent.max_concurrent_capacity == wanted.capacity
            && agent.capabilities == wanted.capabilities;
        if is_aligned {
            return Ok(());
        }
        agent.kind = wanted.kind;
        agent.capabilities.clone_from(&wanted.capabilities);
        agent.max_concurrent_capacity = wanted.capacity;
        let put = Put { expect: Expect::At(known.version), value: agent };
        match self.store.commit(ChangeSet::new(tenant).write(Write::Agent(put))).await {
            // Whoever was first read settings of his own; the next start sees to it.
            Ok(_) | Err(CommitError::Stale) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All agents of a tenant, by name.
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

    /// Asks every driver whether it could work now, all at once and each for a limited time.
    pub async fn probe_all(&self) {
        join_all(self.drivers.iter().map(|(kind, driver)| self.probe(*kind, driver))).await;
    }

    async fn probe(&self, kind: AgentKind, driver: &Arc<dyn AgentDriver>) {
        let began = self.clock.now();
        let result = tokio::select! {
            biased;
            result = driver.probe() => result.map_err(|error| error.message),
            () = self.clock.sleep(PROBE_TIME) => {
                Err(format!("it did not answer within {} s", PROBE_TIME.as_secs()))
            }
        };
        let at = self.clock.now();
        let took_ms = u64::try_from(at.since(began).as_millis()).unwrap_or(u64::MAX);
        let liveness = Liveness { at, result, took_ms };
        self.liveness.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, liveness);
    }

    /// What the newest probes gave.
    #[must_use]
    pub fn liveness(&self) -> BTreeMap<AgentKind, Liveness> {
        self.liveness.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Providers that agents leave alone for a while.
    #[must_use]
    pub const fn cooldowns(&self) -> &Cooldowns {
        &self.cooldowns
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
