//! The graph of one server: which adapter stands behind which port, and who knows whom.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::external;
use super::locks::Locks;
use super::opened::Opened;
use super::settings::{Enabled, Environment, Settings, secrets};
use super::templates::shipped_templates;
use crate::application::agent::AgentService;
use crate::application::agent::pulses::Pulses;
use crate::application::attention::AttentionService;
use crate::application::audit::AuditService;
use crate::application::context::ContextService;
use crate::application::daily::Daily;
use crate::application::events::{Deltas, EventService};
use crate::application::external::ExternalService;
use crate::application::identity::IdentityService;
use crate::application::inside::{Door, InsideService};
use crate::application::judge::JudgeService;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::driver::AgentDriver;
use crate::application::ports::journal::Journal;
use crate::application::ports::sealer::Sealer;
use crate::application::ports::store::Store;
use crate::application::ports::workspaces::Workspaces;
use crate::application::reconcile::Reconciler;
use crate::application::redacted::{RedactedGates, RedactedJournal, RedactedNotifier};
use crate::application::scheduler::wake::Wake;
use crate::application::scheduler::{Queue, Scheduler};
use crate::application::session::{SessionOptions, SessionService};
use crate::application::supervise::recover::service::RecoveryService;
use crate::application::supervise::{SupervisorOptions, Supervisors, Tools};
use crate::application::system::SystemService;
use crate::application::task::TaskService;
use crate::application::usage::UsageService;
use crate::application::webhooks::sender::Sender;
use crate::application::webhooks::{WebhookOptions, WebhookService};
use crate::domain::agent::AgentKind;
use crate::domain::agent::draft::AgentDraft;
use crate::infrastructure::drivers::acp::{self, AcpDriver};
use crate::infrastructure::drivers::command::{CommandDriver, Options as CommandOptions};
use crate::infrastructure::drivers::limits::Limits;
use crate::infrastructure::drivers::opencode::{Attach, OpencodeDriver, Options};
use crate::infrastructure::drivers::simulated::{SimulatedDriver, SimulatedOptions};
use crate::infrastructure::gates::LocalGates;
use crate::infrastructure::sandbox::{self, Mode, Sandbox};
use crate::infrastructure::webhooks::HttpNotifier;
use crate::infrastructure::webhooks::egress::{Allowed, Egress, SystemLookup};
use crate::infrastructure::workspaces::{Folders, WorkspaceOptions};

/// What a server is given beside its settings.
pub(super) struct Surroundings<'a> {
    /// Variables of this process.
    pub environment: &'a Environment,
    /// Seals what has to be used again.
    pub sealer: Arc<dyn Sealer>,
    /// Where processes on this machine reach it.
    pub url: String,
    /// SHA-256 of its certificate, in hex, when it speaks TLS.
    pub fingerprint: Option<String>,
}

/// All services of one server.
pub(super) struct Graph {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub sessions: SessionService,
    pub judge: JudgeService,
    pub attention: AttentionService,
    pub agents: AgentService,
    pub external: ExternalService,
    pub events: EventService,
    pub webhooks: WebhookService,
    pub contexts: ContextService,
    /// Use cases of tasks.
    pub tasks: TaskService,
    pub inside: InsideService,
    pub locks: Locks,
    pub usage: UsageService,
    pub identity: IdentityService,
    pub system: SystemService,
    pub supervisors: Supervisors,
    pub queue: Queue,
    pub built_in: Vec<AgentDraft>,
}

impl Graph {
    /// Builds the services over an opened store. Work is spawned on the tracker and ends with
    /// the token; nothing runs yet.
    pub(super) fn build(
        settings: &Settings,
        around: &Surroundings<'_>,
        opened: &Opened,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, reqwest::Error> {
        let redactor = &settings.redactor;
        let (store, environment) = (opened.store(), around.environment);
        let journal: Arc<dyn Journal> =
            Arc::new(RedactedJournal::new(opened.journal(), redactor.clone()));
        let options = WorkspaceOptions {
            root: settings.workspaces.root.clone(),
            closed: settings.own_places(),
            allowed_roots: settings.workspaces.allowed_roots.clone(),
            git: "git".into(),
        };
        let workspaces: Arc<dyn Workspaces> =
            Arc::new(Folders::new(options, Arc::clone(&clock), Arc::clone(&ids)));
        let sessions = SessionService::new(
            Arc::clone(&store),
            Arc::clone(&workspaces),
            Arc::clone(&clock),
            Arc::clone(&ids),
            Wake::default(),
            SessionOptions {
                checkpoint_timeout: settings.supervisor.checkpoint_timeout,
                ..SessionOptions::default()
            },
        )
        .with_artifacts(external::artifacts(settings));
        let attention = AttentionService::new(Arc::clone(&store), sessions.clone());
        let (mut drivers, built_in) = drivers(settings, environment, &clock, &ids, tracker, stop);
        let world = (&store, &clock, &ids);
        let (reached, exchange) = external::exchange(settings, world, &around.sealer, stop)?;
        let pulses = Pulses::new(clock.now());
        drivers.push(Arc::new(exchange.driver(&pulses, tracker)));
        let queue = Queue::new(settings.scheduler.max_running_sessions as usize)
            .judging_by(settings.agents.rules);
        let agents =
            AgentService::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&ids), drivers)
                .with_queue(queue.clone())
                .with_pulses(pulses)
                .with_built_in(&built_in);
        let guard = Some(guard_command(settings));
        let gates = LocalGates::new(guard, Arc::clone(&clock), Arc::clone(&ids))
            .within(sandbox_of_one(settings));
        let judge = JudgeService::new(
            sessions.clone(),
            Arc::clone(&workspaces),
            Arc::new(RedactedGates::new(Arc::new(gates), redactor.clone())),
            Arc::clone(&journal),
            Arc::clone(&clock),
            u64::from(settings.supervisor.journal_mb) * 1024 * 1024,
        );
        let deltas = Deltas::default();
        let events = EventService::new(Arc::clone(&store), Arc::clone(&journal), deltas.clone());
        let door = door(around);
        let waits = settings.supervisor.question_timeout;
        let inside = (Arc::clone(&store), sessions.clone(), attention.clone());
        let inside = InsideService::new(inside.0, inside.1, inside.2, door.clone(), waits);
        let tools = Tools {
            sessions: sessions.clone(),
            attention: attention.clone(),
            agents: agents.clone(),
            journal: Arc::clone(&journal),
            judge: judge.clone(),
            workspaces,
            clock: Arc::clone(&clock),
            deltas,
            door: Some(door.clone()),
            options: supervisor_options(settings),
        };
        let supervisors = Supervisors::new(tools, tracker.clone(), stop.clone());
        let webhooks = webhooks(settings, &store, &clock, &ids, &around.sealer)?;
        let (contexts, tasks) = contexts_and_tasks(&sessions, &agents, &store, &clock, &ids);
        let usage = UsageService::new(Arc::clone(&store), Arc::clone(&clock), sessions.clone());
        let identity =
            IdentityService::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&ids))
                .with_agents(&built_in)
                .keeping(settings.retention.0.days());
        let locks = Locks::new(&store, &clock, &ids, &sessions, &exchange);
        let known = (agents.clone(), sessions.clone(), identity.clone());
        let external = ExternalService::new(&reached, &exchange, known);
        let system = system(settings, opened, &clock, (agents.clone(), queue.clone()));
        Ok(Self {
            store,
            clock,
            ids,
            sessions,
            judge,
            attention,
            agents,
            external,
            events,
            webhooks,
            contexts,
            tasks,
            inside,
            locks,
            usage,
            identity,
            system,
            supervisors,
            queue,
            built_in,
        })
    }

    /// The loop that gives waiting sessions to agents.
    pub(super) fn scheduler(&self, settings: &Settings) -> Scheduler {
        Scheduler::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            self.sessions.clone(),
            self.agents.clone(),
            self.supervisors.clone(),
            self.queue.clone(),
            settings.scheduler.tick,
        )
    }

    /// What is done once a day.
    pub(super) fn daily(&self, settings: &Settings, audit: AuditService) -> Daily {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        Daily::new(store, clock, self.sessions.clone(), audit, settings.retention.0)
            .with_agents(self.agents.clone())
    }

    /// What was left open, for whoever runs the server.
    pub(super) fn recovery(&self) -> RecoveryService {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        RecoveryService::new(self.supervisors.clone(), store, clock)
    }

    /// The loop that sends what webhooks are owed.
    pub(super) fn sender(&self, tracker: &TaskTracker) -> Sender {
        Sender::new(self.webhooks.clone(), tracker.clone())
    }

    /// The scans for what is due.
    pub(super) fn reconciler(&self) -> Reconciler {
        Reconciler::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            self.sessions.clone(),
            self.attention.clone(),
            self.agents.clone(),
            self.supervisors.clone(),
        )
        .with_contexts(self.contexts.clone())
    }
}

/// What is told of the server as a whole.
fn system(
    settings: &Settings,
    opened: &Opened,
    clock: &Arc<dyn Clock>,
    (agents, queue): (AgentService, Queue),
) -> SystemService {
    let system = SystemService::new(opened.store(), Arc::clone(clock), agents, queue)
        .with_sandbox(sandbox_status(settings));
    match opened {
        Opened::Redb(store) => system.with_archives(Arc::clone(store) as _),
        Opened::Memory(_) => system,
    }
}

/// The addresses by which a machine calls itself.
pub(super) const THIS_MACHINE: [IpNet; 2] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
];

/// Webhooks, and the way to send to them.
fn webhooks(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    sealer: &Arc<dyn Sealer>,
) -> Result<WebhookService, reqwest::Error> {
    let wanted = &settings.webhooks;
    let mut networks = wanted.allowed_networks.clone();
    // What only this machine reaches may tell this machine.
    if settings.server.is_local() {
        networks.extend(THIS_MACHINE);
    }
    let allowed = Allowed {
        hosts: wanted.allowed_hosts.clone(),
        networks,
        own: Some(settings.server.listen),
        remedy: None,
    };
    let egress = Egress::new(allowed, Arc::new(SystemLookup));
    let notifier = HttpNotifier::new(egress, wanted.timeout, Arc::clone(clock))?;
    let options = WebhookOptions {
        schedule: wanted.schedule.clone(),
        logged: u64::from(wanted.logged),
        ..WebhookOptions::default()
    };
    let notifier = RedactedNotifier::new(Arc::new(notifier), settings.redactor.clone());
    let (store, clock, ids) = (Arc::clone(store), Arc::clone(clock), Arc::clone(ids));
    let (notifier, sealer) = (Arc::new(notifier), Arc::clone(sealer));
    Ok(WebhookService::new(store, clock, ids, notifier, sealer, options))
}

fn supervisor_options(settings: &Settings) -> SupervisorOptions {
    let supervisor = &settings.supervisor;
    SupervisorOptions {
        pause_grace: supervisor.pause_grace,
        checkpoint_interval: supervisor.checkpoint_interval,
        permission_timeout: supervisor.permission_timeout,
        question_timeout: supervisor.question_timeout,
        journal_bytes: u64::from(supervisor.journal_mb) * 1024 * 1024,
        redactor: settings.redactor.clone(),
        ..SupervisorOptions::default()
    }
}

type Drivers = (Vec<Arc<dyn AgentDriver>>, Vec<AgentDraft>);

fn drivers(
    settings: &Settings,
    environment: &Environment,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Drivers {
    let mut drivers: Vec<Arc<dyn AgentDriver>> = Vec::new();
    let mut built_in = Vec::new();
    if settings.opencode.enabled != Enabled::No {
        let options = opencode_options(settings, environment);
        let driver = OpencodeDriver::new(options, Arc::clone(clock), tracker.clone(), stop);
        drivers.push(Arc::new(driver));
        let capabilities = settings.opencode.capabilities.clone();
        let agent = AgentDraft::new("AGENT-OPENCODE", AgentKind::Opencode, capabilities);
        built_in.push(agent.with_capacity(settings.opencode.capacity()));
    }
    // It starts nothing before somebody registers an agent of its kind.
    let options = acp_options(settings, environment);
    drivers.push(Arc::new(AcpDriver::new(options, Arc::clone(clock), tracker.clone(), stop)));
    let options = command_options(settings, environment);
    let (of_clock, of_ids) = (Arc::clone(clock), Arc::clone(ids));
    let driver = CommandDriver::new(options, of_clock, of_ids, tracker.clone(), stop);
    drivers.push(Arc::new(driver));
    if settings.simulated.enabled {
        let options = SimulatedOptions {
            seed: u64::from(settings.simulated.seed),
            latency_ms: u64::try_from(settings.simulated.latency.as_millis()).unwrap_or(u64::MAX),
            ..SimulatedOptions::default()
        };
        let driver =
            SimulatedDriver::new(options, Arc::clone(clock), Arc::clone(ids), tracker.clone());
        drivers.push(Arc::new(driver));
        let capabilities = settings.simulated.capabilities.clone();
        let agent = AgentDraft::new("AGENT-SIMULATED", AgentKind::Simulated, capabilities);
        built_in.push(agent.with_capacity(50));
    }
    (drivers, built_in)
}

/// How agents and gates are kept from what is not theirs, in truth: `landlock 7`, `off`, or `none: …`.
pub(super) fn sandbox_status(settings: &Settings) -> String {
    match settings.agents.sandbox {
        Mode::Off => "off".to_owned(),
        Mode::Data | Mode::Strict => sandbox::status().to_string(),
    }
}

/// What a program may reach that works for one session alone: of the worktrees its own, and no other's.
fn sandbox_of_one(settings: &Settings) -> Sandbox {
    let mut sandbox = settings.sandbox();
    sandbox.hidden.push(settings.workspaces.root.clone());
    sandbox
}

/// Our own executable as the guard of a child, which has these limits.
fn guard_command(settings: &Settings) -> Vec<String> {
    let mut words = vec![own_program(), "guard".to_owned()];
    words.extend(Limits::with(settings.agents.max_file_mb).flags());
    words
}

fn own_program() -> String {
    let own = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    own.to_string_lossy().into_owned()
}

/// How agents at work come back in.
fn door(around: &Surroundings<'_>) -> Door {
    let (url, print) = (around.url.clone(), around.fingerprint.clone());
    Door::new(Arc::clone(&around.sealer), url, print, vec![own_program(), "mcp".to_owned()])
}

/// These variables of ours, as far as they are set. Ours are not for agents, whoever lists them.
fn handed(names: &[String], environment: &Environment) -> Vec<(String, String)> {
    let others = names.iter().filter(|name| !name.starts_with("ORCHESTRATOR_"));
    others.filter_map(|name| Some((name.clone(), environment.get(name)?.clone()))).collect()
}

/// What the driver of commands is told.
pub(super) fn command_options(settings: &Settings, environment: &Environment) -> CommandOptions {
    let state_dir = settings.server.data_dir.join("hosts").join("command");
    let mut options = CommandOptions::new(state_dir, guard_command(settings));
    options.env = handed(&settings.command.env, environment);
    options.env_tenants = settings.agents.env_tenants.clone();
    options.sandbox = sandbox_of_one(settings);
    options.redactor = settings.redactor.clone();
    options
}

/// What the driver of OpenCode is told.
pub(super) fn opencode_options(settings: &Settings, environment: &Environment) -> Options {
    let wanted = &settings.opencode;
    let mut options = Options::new(settings.server.data_dir.join("hosts"));
    options.command.clone_from(&wanted.command);
    options.guard_command = Some(guard_command(settings));
    options.sandbox = settings.sandbox();
    options.workspaces = Some(settings.workspaces.root.clone());
    options.user_config = wanted.config_file.as_deref().and_then(read_json);
    options.auth = wanted.auth_file.as_deref().and_then(|file| std::fs::read_to_string(file).ok());
    options.env = handed(&wanted.env, environment);
    options.attach = wanted.attach_url.as_ref().map(|url| Attach {
        url: url.to_string(),
        username: wanted.attach_username.clone(),
        password: wanted.attach_password.clone().unwrap_or_default(),
    });
    options.redactor = settings.redactor.clone();
    options.redactor.learn(options.auth.iter().flat_map(|text| secrets::credentials(text)));
    options.redactor.learn(options.user_config.iter().flat_map(secrets::keys));
    options.max_runs = wanted.max_runs as usize;
    options.limits.steps_per_prompt = wanted.max_steps;
    options.ready_timeout = wanted.ready_timeout;
    options.recycle_rss_bytes = u64::from(wanted.recycle_rss_mb) * 1024 * 1024;
    options.max_rss_bytes = u64::from(wanted.max_rss_mb) * 1024 * 1024;
    options.recycle_age = wanted.recycle_age;
    options.recycle_served = u64::from(wanted.recycle_sessions);
    options.move_grace = wanted.recycle_grace;
    options.deep_probe_every = wanted.deep_probe;
    options.health_timeout = wanted.probe_timeout;
    options.probe_failures = wanted.probe_failures;
    options.max_hosts = wanted.max_hosts as usize;
    options.host_runs = wanted.host_runs as usize;
    options.idle_time = wanted.idle_time;
    options
}

/// What the driver of ACP agents is told.
fn acp_options(settings: &Settings, environment: &Environment) -> acp::Options {
    acp::Options {
        guard_command: Some(guard_command(settings)),
        env: handed(&settings.agents.acp_env, environment),
        env_tenants: settings.agents.env_tenants.clone(),
        sandbox: sandbox_of_one(settings),
        ..acp::Options::new(settings.server.data_dir.join("hosts"))
    }
}

/// The user's own configuration of the agent; one that cannot be read is told and left out.
fn read_json(file: &Path) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(file).ok()?;
    match serde_json::from_str(&text) {
        Ok(value) => Some(value),
        Err(error) => {
            let file = file.display();
            tracing::warn!(%error, "{file} is not JSON and was left out");
            None
        }
    }
}

/// Whether a secret was given; kept apart so that nothing else needs to expose it.
pub(super) fn given_admin_key(settings: &Settings) -> Option<&str> {
    settings.server.admin_key.as_ref().map(ExposeSecret::expose_secret)
}

/// What sessions and agents remember, and tasks with the templates of the product.
fn contexts_and_tasks(
    sessions: &SessionService,
    agents: &AgentService,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
) -> (ContextService, TaskService) {
    let of = || (Arc::clone(store), Arc::clone(clock), Arc::clone(ids));
    let (kept, at, named) = of();
    let contexts = ContextService::new(kept, at, named);
    let (kept, at, named) = of();
    let known = (sessions.clone(), agents.clone());
    (contexts, TaskService::new(kept, at, named, known, shipped_templates()))
}
