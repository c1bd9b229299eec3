//! What the server says of itself.

pub mod archive;
pub mod hosts;
pub mod news;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::archive::ArchiveService;
use self::hosts::HostService;
use self::news::News;
use super::agent::{AgentService, Endpoint, Liveness};
use super::error::AppError;
use super::ports::archives::Archives;
use super::ports::changes::Counter;
use super::ports::clock::Clock;
use super::ports::reads::ClassUsage;
use super::ports::store::{Store, StoreHealth};
use super::principal::RequestContext;
use super::scheduler::Queue;
use super::scheduler::admissions::AdmissionService;
use crate::domain::agent::AgentKind;
use crate::domain::ids::TenantId;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// A part of the server and how it is.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Component {
    /// `store`, `scheduler`, or `agent:<kind>`.
    pub name: String,
    /// `healthy`, `degraded` or `unhealthy`.
    pub status: &'static str,
    /// One line for people.
    pub detail: Option<String>,
    /// How long its newest probe took.
    pub latency_ms: Option<f64>,
}

/// How the whole server is.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Health {
    /// The worst of what it cannot do without.
    pub status: &'static str,
    /// Seconds since start.
    pub uptime_seconds: u64,
    /// Its parts.
    pub components: Vec<Component>,
}

/// What the server says of itself.
#[derive(Clone)]
pub struct SystemService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    agents: AgentService,
    queue: Queue,
    admissions: AdmissionService,
    archives: Option<ArchiveService>,
    /// How agents and gates are kept from what is not theirs.
    sandbox: Arc<str>,
    started_at: Timestamp,
    recovered: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
}

impl SystemService {
    /// A server that just began.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        agents: AgentService,
        queue: Queue,
    ) -> Self {
        let started_at = clock.now();
        let admissions =
            AdmissionService::new(Arc::clone(&store), Arc::clone(&clock), queue.clone());
        Self {
            store,
            clock,
            agents,
            queue,
            admissions,
            archives: None,
            sandbox: "off".into(),
            started_at,
            recovered: Arc::default(),
            draining: Arc::default(),
        }
    }

    /// The same, over a store that can be carried away.
    #[must_use]
    pub fn with_archives(self, archives: Arc<dyn Archives>) -> Self {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        Self { archives: Some(ArchiveService::new(store, archives, clock)), ..self }
    }

    /// The same, with what keeps agents and gates from what is not theirs.
    #[must_use]
    pub fn with_sandbox(self, sandbox: impl Into<Arc<str>>) -> Self {
        Self { sandbox: sandbox.into(), ..self }
    }

    /// What keeps agents and gates from what is not theirs, in truth: `landlock 7`, `off`, or `none:` and why.
    #[must_use]
    pub fn sandbox(&self) -> &str {
        &self.sandbox
    }

    /// Backups and exports; `None` for a store that keeps nothing.
    #[must_use]
    pub const fn archives(&self) -> Option<&ArchiveService> {
        self.archives.as_ref()
    }

    /// The agent servers that this machine keeps.
    #[must_use]
    pub fn hosts(&self) -> HostService {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        HostService::new(store, clock, self.agents.clone())
    }

    /// Recovery is done: from now on the server is ready.
    pub fn set_recovered(&self) {
        self.recovered.store(true, Ordering::Release);
    }

    /// The server goes down: it is no longer ready.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Since when it serves.
    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// What the store takes, by class: for system administrators.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(&self) -> Result<Vec<ClassUsage>, AppError> {
        Ok(self.store.fleet().await?.usage().await?)
    }

    /// Tells what the server does; a store that takes no writes does not keep it from doing so.
    pub async fn tell(&self, news: News) {
        if let Err(error) = news::tell(self.store.as_ref(), self.clock.now(), news).await {
            tracing::info!(%error, "What the server does could not be told");
        }
    }

    /// What the store says of itself.
    #[must_use]
    pub fn store(&self) -> StoreHealth {
        self.store.health()
    }

    /// Sessions that an agent works on, as far as a caller may know of them: what others have at work is
    /// for who runs the server.
    ///
    /// # Errors
    /// The store's.
    pub async fn executing(&self, ctx: &RequestContext) -> Result<usize, AppError> {
        if ctx.principal.is_system {
            return Ok(self.queue.executing());
        }
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        let mut own = 0;
        for status in [SessionStatus::Running, SessionStatus::Degraded] {
            own += snapshot.counter(Counter::SessionsIn(status)).await?;
        }
        Ok(usize::try_from(own).unwrap_or(0))
    }

    /// The line of waiting sessions.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Holding and releasing what waits.
    #[must_use]
    pub const fn admissions(&self) -> &AdmissionService {
        &self.admissions
    }

    /// Why the server is not ready; `None` when it is.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        if self.draining.load(Ordering::Acquire) {
            return Some("shutting down".to_owned());
        }
        if !self.recovered.load(Ordering::Acquire) {
            return Some("recovery is not done".to_owned());
        }
        self.store.health().read_only.map(|reason| format!("read_only: {reason}"))
    }

    /// How everything is, by real probes.
    pub async fn health(&self) -> Health {
        let mut components = vec![self.probe_store().await, self.scheduler()];
        components.extend(self.retention().await);
        components.extend(self.drivers());
        let worst = |status| components.iter().any(|part| part.status == status);
        let status = match (worst("unhealthy"), worst("degraded")) {
            (true, _) => "unhealthy",
            (false, true) => "degraded",
            (false, false) => "healthy",
        };
        let uptime_seconds = self.clock.now().since(self.started_at).as_secs();
        Health { status, uptime_seconds, components }
    }

    /// Each kind of agent by the worst of its endpoints.
    fn drivers(&self) -> impl Iterator<Item = Component> {
        let mut kinds: BTreeMap<AgentKind, Liveness> = BTreeMap::new();
        for (Endpoint { kind, .. }, seen) in self.agents.liveness() {
            let is_worse = kinds.get(&kind).is_none_or(|known| known.result.is_ok());
            if is_worse || seen.result.is_err() {
                kinds.insert(kind, seen);
            }
        }
        kinds.into_iter().map(|(kind, seen)| {
            #[expect(clippy::cast_precision_loss, reason = "a probe takes far less than 2^53 ms")]
            let latency_ms = Some(seen.took_ms as f64);
            let (status, detail) = match seen.result {
                Ok(report) => ("healthy", format!("version {}", report.version)),
                Err(reason) => ("degraded", reason),
            };
            Component { name: format!("agent:{kind}"), status, detail: Some(detail), latency_ms }
        })
    }

    async fn probe_store(&self) -> Component {
        let began = self.clock.now();
        let read = match self.store.fleet().await {
            Ok(fleet) => fleet.has_api_keys().await.map(drop),
            Err(error) => Err(error),
        };
        #[expect(clippy::cast_precision_loss, reason = "a probe takes far less than 2^53 ms")]
        let latency_ms = Some(self.clock.now().since(began).as_millis() as f64);
        let name = "store".to_owned();
        let StoreHealth { read_only, short_of_room, quarantined, .. } = self.store.health();
        let (status, detail) = match (read, read_only, short_of_room) {
            (Err(error), _, _) => ("unhealthy", Some(error.to_string())),
            (Ok(()), Some(reason), _) => ("degraded", Some(format!("read-only: {reason}"))),
            (Ok(()), None, Some(reason)) => ("degraded", Some(format!("short of room: {reason}"))),
            (Ok(()), None, None) => ("healthy", set_aside(quarantined)),
        };
        Component { name, status, detail, latency_ms }
    }

    /// That nothing old is removed, while that is so.
    async fn retention(&self) -> Option<Component> {
        let fleet = self.store.fleet().await.ok()?;
        let doubted = fleet.counter(TenantId::SYSTEM, Counter::ClockDoubted).await.ok()?;
        let since = Timestamp::from_millis(doubted);
        let detail = format!(
            "the clock leapt far ahead at {since}: nothing old is removed until it has said so for a day; set it if it is wrong"
        );
        let (name, status) = ("retention".to_owned(), "degraded");
        (doubted != 0).then_some(Component { name, status, detail: Some(detail), latency_ms: None })
    }

    fn scheduler(&self) -> Component {
        let name = "scheduler".to_owned();
        let detail = Some(format!("up to {} sessions at once", self.queue.max_running()));
        Component { name, status: "healthy", detail, latency_ms: None }
    }
}

/// Damage that the store lives with; everything else works.
fn set_aside(records: u64) -> Option<String> {
    let noun = if records == 1 { "record is" } else { "records are" };
    (records > 0).then(|| format!("{records} damaged {noun} set aside"))
}
