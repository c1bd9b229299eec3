//! One server's application over the memory store, real git and the simulated agent; its clock can
//! be moved, records can be damaged and git can be held up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestrator::application::agent::AgentService;
use orchestrator::application::attention::{AttentionService, Decided};
use orchestrator::application::daily::Daily;
use orchestrator::application::events::Deltas;
use orchestrator::application::identity::IdentityService;
use orchestrator::application::judge::JudgeService;
use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::driver::AgentDriver;
use orchestrator::application::ports::store::Store;
use orchestrator::application::ports::workspaces::Workspaces;
use orchestrator::application::principal::{Principal, RequestContext};
use orchestrator::application::reconcile::Reconciler;
use orchestrator::application::scheduler::wake::Wake;
use orchestrator::application::scheduler::{Queue, Scheduler};
use orchestrator::application::session::create::NewSession;
use orchestrator::application::session::{SessionOptions, SessionService};
use orchestrator::application::supervise::recover::{Recovered, recover};
use orchestrator::application::supervise::{SupervisorOptions, Supervisors, Tools};
use orchestrator::application::usage::UsageService;
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::attention::{AttentionState, Decision};
use orchestrator::domain::ids::{AttentionId, KeyId, SessionId, TenantId};
use orchestrator::domain::session::Session;
use orchestrator::domain::session::draft::{SessionDraft, SessionPatch};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::network::Reach;
use orchestrator::domain::tenant::quotas::Quotas;
use orchestrator::domain::tenant::retention::Retention;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::workspace::WorkspaceSpec;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::drivers::simulated::{SimulatedDriver, SimulatedOptions};
use orchestrator::infrastructure::gates::LocalGates;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::memory::MemoryStore;
use orchestrator::infrastructure::workspaces::{Folders, WorkspaceOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::damaged::Damaged;
use super::held::Held;
use crate::support::app::lift_quotas;
use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;

/// The machine's clock, which can be moved ahead; who sleeps does so in real time.
pub(crate) struct Ahead {
    machine: SystemClock,
    by: Mutex<Duration>,
}

impl Ahead {
    fn new() -> Self {
        Self { machine: SystemClock::new(), by: Mutex::default() }
    }

    pub(crate) fn jump(&self, by: Duration) {
        *self.by.lock().expect("whole") += by;
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.machine.now().after(*self.by.lock().expect("whole"))
    }

    fn sleep(&self, duration: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.machine.sleep(duration)
    }
}

/// The application of one server.
pub(crate) struct Lab {
    pub(crate) store: Arc<Damaged>,
    pub(crate) files: Arc<Held>,
    pub(crate) clock: Arc<Ahead>,
    pub(crate) sessions: SessionService,
    pub(crate) attention: AttentionService,
    pub(crate) agents: AgentService,
    pub(crate) supervisors: Supervisors,
    pub(crate) queue: Queue,
    pub(crate) journal: Arc<MemoryStore>,
    pub(crate) root: TempDir,
    pub(crate) tools: Box<dyn Fn() -> Tools + Send + Sync>,
    supervising: CancellationToken,
    stop: CancellationToken,
    tracker: TaskTracker,
}

fn simulated(capacity: u32) -> AgentDraft {
    AgentDraft::new("AGENT-SIMULATED", AgentKind::Simulated, ["testing"]).with_capacity(capacity)
}

impl Lab {
    /// With the simulated agent; nothing runs yet.
    pub(crate) async fn new() -> Self {
        Self::with_slots(50).await
    }

    /// With the simulated agent, and so many slots.
    pub(crate) async fn with_slots(slots: usize) -> Self {
        let (clock, tracker) = (Arc::new(Ahead::new()), TaskTracker::new());
        let options = SimulatedOptions { latency_ms: 1, ..SimulatedOptions::default() };
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let driver = SimulatedDriver::new(options, time, Arc::new(SystemIds), tracker.clone());
        Self::on(clock, tracker, Arc::new(driver), slots).await
    }

    /// With this agent.
    pub(crate) async fn with(driver: Arc<dyn AgentDriver>) -> Self {
        Self::on(Arc::new(Ahead::new()), TaskTracker::new(), driver, 50).await
    }

    async fn on(
        clock: Arc<Ahead>,
        tracker: TaskTracker,
        driver: Arc<dyn AgentDriver>,
        slots: usize,
    ) -> Self {
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let memory = MemoryStore::new(Arc::clone(&time), Arc::clone(&ids));
        let store = Arc::new(Damaged::new(Arc::clone(&memory)));
        let stored: Arc<dyn Store> = Arc::clone(&store) as _;
        let root = tempfile::tempdir().expect("a folder");
        let options = WorkspaceOptions {
            root: root.path().join("data/workspaces"),
            closed: Vec::new(),
            allowed_roots: Vec::new(),
            git: "git".into(),
        };
        let folders = Folders::new(options, Arc::clone(&time), Arc::clone(&ids));
        let files = Arc::new(Held::new(folders));
        let workspaces: Arc<dyn Workspaces> = Arc::clone(&files) as _;
        let sessions = SessionService::new(
            Arc::clone(&stored),
            Arc::clone(&workspaces),
            Arc::clone(&time),
            Arc::clone(&ids),
            Wake::default(),
            SessionOptions::default(),
        );
        let judge = JudgeService::new(
            sessions.clone(),
            Arc::clone(&workspaces) as _,
            Arc::new(LocalGates::new(None, Arc::clone(&time), Arc::clone(&ids))),
            Arc::clone(&memory) as _,
            Arc::clone(&time),
            0,
        );
        let attention = AttentionService::new(Arc::clone(&stored), sessions.clone());
        let stop = CancellationToken::new();
        let agents =
            AgentService::new(Arc::clone(&stored), Arc::clone(&time), Arc::clone(&ids), [driver]);
        IdentityService::new(Arc::clone(&stored), Arc::clone(&time), ids)
            .load()
            .await
            .expect("loaded");
        lift_quotas(&*stored).await;
        let whole = (sessions.clone(), attention.clone(), agents.clone(), judge);
        let journal = Arc::clone(&memory);
        let tools = Box::new(move || Tools {
            sessions: whole.0.clone(),
            attention: whole.1.clone(),
            agents: whole.2.clone(),
            journal: Arc::clone(&memory) as _,
            judge: whole.3.clone(),
            workspaces: Arc::clone(&workspaces),
            clock: Arc::clone(&time),
            deltas: Deltas::default(),
            door: None,
            options: SupervisorOptions {
                pause_grace: Duration::from_millis(1500),
                start_timeout: Duration::from_secs(5),
                ..SupervisorOptions::default()
            },
        });
        let supervising = stop.child_token();
        let supervisors = Supervisors::new(tools(), tracker.clone(), supervising.clone());
        let queue = Queue::new(slots);
        let lab = Self {
            store,
            files,
            clock,
            sessions,
            attention,
            agents,
            supervisors,
            queue,
            journal,
            root,
            tools,
            supervising,
            stop,
            tracker,
        };
        lab.agent(50).await;
        lab.agents.probe(true).await;
        lab
    }

    /// The built-in agent, as the settings want it.
    pub(crate) async fn agent(&self, capacity: u32) {
        let wanted = simulated(capacity);
        self.agents.ensure(TenantId::BOOTSTRAP, &[wanted]).await.expect("registered");
    }

    /// The tenant may have this much from now on.
    pub(crate) async fn bound(&self, quotas: Quotas) {
        let tenant = TenantId::BOOTSTRAP;
        let found = self.store.snapshot(tenant).await.expect("a snapshot").tenant().await;
        let found = found.expect("readable").expect("there");
        let value = Tenant { quotas, ..found.value };
        let put = Put { expect: Expect::At(found.version), value };
        self.store.commit(ChangeSet::new(tenant).write(Write::Tenant(put))).await.expect("bound");
    }

    /// How long a tenant has its things kept.
    pub(crate) async fn keeping(&self, tenant: TenantId, retention: Retention) {
        let snapshot = self.store.snapshot(tenant).await.expect("a snapshot");
        let found = snapshot.tenant().await.expect("readable").expect("there");
        drop(snapshot);
        let value = Tenant { retention, ..found.value };
        let put = Put { expect: Expect::At(found.version), value };
        self.store.commit(ChangeSet::new(tenant).write(Write::Tenant(put))).await.expect("kept");
    }

    /// One more tenant, with the simulated agent.
    pub(crate) async fn tenant(&self, id: TenantId, slug: &str) {
        let slug = slug.to_owned();
        let tenant = Tenant { id, slug, ..Tenant::bootstrap(self.clock.now()) };
        let put = Put { expect: Expect::Absent, value: tenant };
        self.store.commit(ChangeSet::new(id).write(Write::Tenant(put))).await.expect("made");
        self.agents.ensure(id, &[simulated(50)]).await.expect("registered");
    }

    /// Lets waiting sessions be given to the agent.
    pub(crate) fn schedule(&self) {
        let scheduler = Scheduler::new(
            Arc::clone(&self.store) as _,
            Arc::clone(&self.clock) as _,
            self.sessions.clone(),
            self.agents.clone(),
            self.supervisors.clone(),
            self.queue.clone(),
            Duration::from_millis(100),
        );
        self.tracker.spawn(scheduler.run(self.stop.clone()));
    }

    /// Lets what agents did be counted.
    pub(crate) fn keep_figures(&self) {
        self.tracker.spawn(self.agents.clone().keep_figures(self.stop.clone()));
    }

    /// Lets people be told of agents that change, and of work that takes them too long.
    pub(crate) fn tell_of_agents(&self) {
        let telling = self.agents.clone().tell_of_changes(self.sessions.clone(), self.stop.clone());
        self.tracker.spawn(telling);
    }

    /// Lets people be told of bounds that come near.
    pub(crate) fn watch_use(&self) {
        self.tracker.spawn(self.usage().run(self.stop.clone()));
    }

    /// What is used.
    pub(crate) fn usage(&self) -> UsageService {
        let (store, clock) = (Arc::clone(&self.store) as _, Arc::clone(&self.clock) as _);
        UsageService::new(store, clock, self.sessions.clone())
    }

    /// Lets everything be looked for that is due or left over.
    pub(crate) fn reconcile(&self) {
        let reconciler = Reconciler::new(
            Arc::clone(&self.store) as _,
            Arc::clone(&self.clock) as _,
            self.sessions.clone(),
            self.attention.clone(),
            self.agents.clone(),
            self.supervisors.clone(),
        );
        self.tracker.spawn(reconciler.run(self.stop.clone()));
    }

    /// All supervisors end, as with their process.
    pub(crate) async fn abandon(&self) {
        self.supervising.cancel();
        let statuses = [SessionStatus::Running, SessionStatus::Degraded];
        let fleet = self.store.fleet().await.expect("readable");
        for session in fleet.sessions_in(&statuses).await.expect("readable") {
            let id = session.value.id;
            eventually("let go", async || !self.sessions.wake().is_supervised(id)).await;
        }
    }

    /// Supervisors that know of no run yet.
    pub(crate) fn replace_supervisors(&mut self) {
        self.supervising = self.stop.child_token();
        let (tracker, stop) = (self.tracker.clone(), self.supervising.clone());
        self.supervisors = Supervisors::new((self.tools)(), tracker, stop);
    }

    /// All supervisors end, and others take up what was open.
    pub(crate) async fn restart(&mut self) -> Recovered {
        self.abandon().await;
        self.replace_supervisors();
        recover(&self.supervisors, &*self.store).await.expect("taken up")
    }

    /// Lets the daily jobs be done when it is time.
    pub(crate) fn every_day(&self, daily: Daily) {
        self.tracker.spawn(daily.run(self.stop.clone()));
    }

    /// Creates and starts a session.
    pub(crate) async fn begin(&self, draft: SessionDraft) -> SessionId {
        let new = NewSession { draft, start: true, ..NewSession::default() };
        self.sessions.create(&caller(), new).await.expect("created").value.id
    }

    /// A session as it stands, deleted or not.
    pub(crate) async fn session(&self, id: SessionId) -> Session {
        let snapshot = self.store.snapshot(TenantId::BOOTSTRAP).await.expect("readable");
        match snapshot.session(id).await.expect("readable") {
            Some(found) => found.value,
            None => snapshot.deleted_session(id).await.expect("readable").expect("deleted").value,
        }
    }

    /// Waits until a session stands so.
    pub(crate) async fn until(&self, id: SessionId, status: SessionStatus) -> Session {
        self.wait(id, status.as_str(), |session| session.status() == status).await
    }

    /// Waits until this is true of a session.
    pub(crate) async fn wait(
        &self,
        id: SessionId,
        what: &str,
        is_true: impl Fn(&Session) -> bool,
    ) -> Session {
        eventually(what, async || is_true(&self.session(id).await)).await;
        self.session(id).await
    }

    /// The version that a session has.
    pub(crate) async fn version(&self, id: SessionId) -> u64 {
        let snapshot = self.store.snapshot(TenantId::BOOTSTRAP).await.expect("readable");
        snapshot.session(id).await.expect("readable").expect("there").version.get()
    }

    /// Gives a session another title.
    pub(crate) async fn rename(&self, id: SessionId, title: &str) {
        let patch = SessionPatch { title: Some(title.to_owned()), ..SessionPatch::default() };
        self.sessions.patch(&caller(), id, patch).await.expect("renamed");
    }

    /// Waits until the agent asks for something; the item.
    pub(crate) async fn asked(&self, id: SessionId) -> AttentionId {
        eventually("an ask", async || self.open(id).await.is_some()).await;
        self.open(id).await.expect("open")
    }

    /// Allows what the agent asks for.
    pub(crate) async fn allow(&self, id: SessionId) {
        let item = self.asked(id).await;
        let decided = Decided::plain(Decision::AllowOnce);
        self.attention.resolve(&caller(), item, decided).await.expect("resolved");
    }

    async fn open(&self, id: SessionId) -> Option<AttentionId> {
        let open = Some(AttentionState::Open);
        let items = self.attention.list(&caller(), Some(id), open, None, 1).await;
        items.expect("listed").first().map(|item| item.value.id)
    }

    /// The folder of a session.
    pub(crate) fn folder(&self, id: SessionId) -> std::path::PathBuf {
        self.root.path().join("data/workspaces").join(id.to_string())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The administrator.
pub(crate) fn caller() -> RequestContext {
    RequestContext {
        tenant: TenantId::BOOTSTRAP,
        principal: Principal {
            user: None,
            agent: None,
            home: None,
            reach: Reach::default(),
            key: KeyId::new(SystemIds.uuid()),
            name: "ann".to_owned(),
            role: Role::Admin,
            scopes: Scopes::all(),
            is_system: false,
            credential: None,
        },
        request_id: "r".to_owned(),
        if_match: None,
        repeat: None,
    }
}

/// A definition whose simulated agent plays these steps.
pub(crate) fn plays(steps: &Value) -> SessionDraft {
    let initial_prompt = format!("Do this.\n```simulated\n{steps}\n```");
    SessionDraft { initial_prompt, ..SessionDraft::default() }
}

/// The same in a worktree of a repository.
pub(crate) fn plays_in(repo: &TestRepo, steps: &Value) -> SessionDraft {
    let workspace =
        WorkspaceSpec::Git { repo: repo.text(), base_ref: "main".to_owned(), branch: None };
    SessionDraft { workspace, ..plays(steps) }
}

/// A step that writes a file.
pub(crate) fn writes(path: &str, content: &str) -> Value {
    serde_json::json!({ "tool": { "tool": "write", "title": path, "write": {
        "path": path, "content": content } } })
}

/// A step that waits for a permission.
pub(crate) fn asks() -> Value {
    serde_json::json!({ "ask": { "tool": "bash", "patterns": ["make"], "title": "make" } })
}
