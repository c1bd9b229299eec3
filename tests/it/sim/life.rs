//! One life of a server: the application as composition builds it, over simulated ports.

use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::agent::AgentService;
use orchestrator::application::attention::AttentionService;
use orchestrator::application::daily::{Daily, Kept};
use orchestrator::application::error::AppError;
use orchestrator::application::events::Deltas;
use orchestrator::application::identity::IdentityService;
use orchestrator::application::judge::JudgeService;
use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::driver::AgentDriver;
use orchestrator::application::ports::journal::Journal;
use orchestrator::application::ports::store::Store;
use orchestrator::application::ports::workspaces::Workspaces;
use orchestrator::application::reconcile::Reconciler;
use orchestrator::application::scheduler::admissions::AdmissionService;
use orchestrator::application::scheduler::wake::Wake;
use orchestrator::application::scheduler::{Queue, Scheduler};
use orchestrator::application::session::{SessionOptions, SessionService};
use orchestrator::application::supervise::recover::recover;
use orchestrator::application::supervise::{SupervisorOptions, Supervisors, Tools};
use orchestrator::application::usage::UsageService;
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::draft::AgentDraft;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::agent::SimDriver;
use super::files::SimFiles;
use super::kept::Opened;
use super::store::{Planted, SimJournal, SimStore};
use super::time::{SimClock, SimIds};
use super::town::Town;
use crate::support::app::audit;

/// What outlives a server.
pub(crate) struct Ground {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) ids: Arc<SimIds>,
    pub(crate) town: Arc<Town>,
    pub(crate) files: Arc<SimFiles>,
    /// Sessions that execute at once, of all and of each of the two agents of a tenant.
    pub(crate) slots: (usize, [u32; 2]),
    pub(crate) planted: Option<Planted>,
}

/// A server that is up.
pub(crate) struct Server {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sessions: SessionService,
    pub(crate) attention: AttentionService,
    pub(crate) admissions: AdmissionService,
    pub(crate) queue: Queue,
    pub(crate) identity: IdentityService,
    agents: AgentService,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Server {
    /// Starts a server on a store, as composition does.
    pub(crate) async fn start(ground: &Ground, opened: Opened) -> Result<Self, AppError> {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let weather = Arc::clone(&ground.town.weather);
        let Opened { store, journal, disk } = opened;
        let journal: Arc<dyn Journal> =
            Arc::new(SimJournal { inner: journal, weather: Arc::clone(&weather) });
        let behind = SimStore { inner: store, weather, planted: ground.planted, disk };
        let store: Arc<dyn Store> = Arc::new(behind);
        let clock: Arc<dyn Clock> = Arc::clone(&ground.clock) as _;
        let ids: Arc<dyn Ids> = Arc::clone(&ground.ids) as _;
        let workspaces: Arc<dyn Workspaces> = Arc::clone(&ground.files) as _;
        let sessions = SessionService::new(
            Arc::clone(&store),
            Arc::clone(&workspaces),
            Arc::clone(&clock),
            Arc::clone(&ids),
            Wake::default(),
            SessionOptions::default(),
        );
        let judge = JudgeService::new(
            sessions.clone(),
            Arc::clone(&workspaces),
            Arc::clone(&ground.files) as _,
            Arc::clone(&journal),
            Arc::clone(&clock),
            0,
        );
        let attention = AttentionService::new(Arc::clone(&store), sessions.clone());
        let agents = AgentService::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&ids),
            drivers(ground, &tracker),
        );
        let tools = Tools {
            sessions: sessions.clone(),
            attention: attention.clone(),
            agents: agents.clone(),
            journal,
            judge,
            workspaces,
            clock: Arc::clone(&clock),
            deltas: Deltas::default(),
            door: None,
            options: SupervisorOptions {
                permission_timeout: Duration::from_secs(40),
                question_timeout: Duration::from_secs(50),
                ..SupervisorOptions::default()
            },
        };
        let supervisors = Supervisors::new(tools, tracker.clone(), stop.clone());
        let queue = Queue::new(ground.slots.0);
        let admissions =
            AdmissionService::new(Arc::clone(&store), Arc::clone(&clock), queue.clone());
        let identity =
            IdentityService::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&ids));
        let server = Self {
            clock: Arc::clone(&ground.clock),
            store,
            sessions,
            attention,
            admissions,
            queue,
            identity,
            agents,
            stop,
            tracker,
        };
        server.take_up(&supervisors, &built_in(ground.slots.1)).await?;
        server.work(supervisors, ground.planted != Some(Planted::NoReconciler));
        Ok(server)
    }

    /// Registers the agents and takes up every run, as often as the store needs.
    async fn take_up(
        &self,
        supervisors: &Supervisors,
        agents: &[AgentDraft],
    ) -> Result<(), AppError> {
        for _ in 0..200 {
            match self.try_to_take_up(supervisors, agents).await {
                Ok(()) => return Ok(()),
                Err(AppError::StoreReadOnly(_) | AppError::Busy | AppError::Contended) => {}
                Err(error) => return Err(error),
            }
            self.clock.sleep(Duration::from_secs(1)).await;
        }
        self.try_to_take_up(supervisors, agents).await
    }

    async fn try_to_take_up(
        &self,
        supervisors: &Supervisors,
        agents: &[AgentDraft],
    ) -> Result<(), AppError> {
        self.identity.load().await?;
        for tenant in &self.identity.tenants() {
            self.agents.ensure(tenant.id, agents).await?;
        }
        recover(supervisors, self.store.as_ref()).await.map(drop)
    }

    fn work(&self, supervisors: Supervisors, does_all: bool) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock) as Arc<dyn Clock>);
        let scheduler = Scheduler::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            self.sessions.clone(),
            self.agents.clone(),
            supervisors.clone(),
            self.queue.clone(),
            Duration::from_secs(1),
        );
        self.tracker.spawn(scheduler.run(self.stop.clone()));
        let reconciler = Reconciler::new(
            store,
            Arc::clone(&clock),
            self.sessions.clone(),
            self.attention.clone(),
            self.agents.clone(),
            supervisors,
        );
        if does_all {
            self.tracker.spawn(reconciler.run(self.stop.clone()));
        }
        let usage =
            UsageService::new(Arc::clone(&self.store), Arc::clone(&clock), self.sessions.clone());
        self.tracker.spawn(usage.run(self.stop.clone()));
        // The clock leaps between lives: nobody waits a day here until it is believed.
        let kept = Kept { leap: None, ..Kept::default() };
        let (daily_store, daily_clock) = (Arc::clone(&self.store), Arc::clone(&clock));
        let audit = audit(&daily_store, &daily_clock);
        self.tracker.spawn(audit.clone().sign(self.stop.clone()));
        let daily = Daily::new(daily_store, daily_clock, self.sessions.clone(), audit, kept);
        self.tracker.spawn(daily.run(self.stop.clone()));
        let (agents, wake) = (self.agents.clone(), self.sessions.wake().clone());
        self.tracker.spawn(Reconciler::probe(agents, clock, wake, self.stop.clone()));
    }

    /// Stops in order.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        tokio::select! {
            biased;
            () = self.tracker.wait() => {}
            () = self.clock.sleep(Duration::from_secs(10)) => {}
        }
        self.agents.shutdown().await;
    }
}

fn built_in(capacities: [u32; 2]) -> [AgentDraft; 2] {
    let [first, second] = capacities;
    [
        ("AGENT-OPENCODE", AgentKind::Opencode, first),
        ("AGENT-SIMULATED", AgentKind::Simulated, second),
    ]
    .map(|(name, kind, capacity)| AgentDraft::new(name, kind, ["testing"]).with_capacity(capacity))
}

fn drivers(ground: &Ground, tracker: &TaskTracker) -> [Arc<dyn AgentDriver>; 2] {
    [AgentKind::Opencode, AgentKind::Simulated].map(|kind| {
        Arc::new(SimDriver {
            kind,
            town: Arc::clone(&ground.town),
            clock: Arc::clone(&ground.clock),
            tracker: tracker.clone(),
            planted: ground.planted,
        }) as Arc<dyn AgentDriver>
    })
}
