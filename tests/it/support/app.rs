//! The real router over the memory store: what tests of the API stand on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use orchestrator::application::agent::AgentService;
use orchestrator::application::attention::AttentionService;
use orchestrator::application::audit::AuditService;
use orchestrator::application::context::ContextService;
use orchestrator::application::daily::Kept;
use orchestrator::application::events::Deltas;
use orchestrator::application::external::{Exchange, ExternalRules, ExternalService, Ports};
use orchestrator::application::identity::IdentityService;
use orchestrator::application::identity::provider::{ProviderOptions, ProviderSignIn};
use orchestrator::application::judge::JudgeService;
use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::driver::AgentDriver;
use orchestrator::application::ports::identity_provider::IdentityProvider;
use orchestrator::application::ports::journal::Journal;
use orchestrator::application::ports::store::Store;
use orchestrator::application::scheduler::Queue;
use orchestrator::application::scheduler::wake::Wake;
use orchestrator::application::session::{SessionOptions, SessionService};
use orchestrator::application::supervise::recover::service::RecoveryService;
use orchestrator::application::supervise::{SupervisorOptions, Supervisors, Tools};
use orchestrator::application::system::SystemService;
use orchestrator::application::usage::UsageService;
use orchestrator::application::webhooks::{WebhookOptions, WebhookService};
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::ids::{KeyId, TenantId};
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::key::{ApiKey, KeyKind, KeySecret, Role};
use orchestrator::domain::tenant::network::Networks;
use orchestrator::domain::tenant::quotas::Quotas;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::webhook::delivery::Schedule;
use orchestrator::infrastructure::artifacts::ArtifactFolder;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::gates::LocalGates;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::keys::seal::AesSealer;
use orchestrator::infrastructure::keys::sign::KeySigner;
use orchestrator::infrastructure::push::{HttpPush, Limits};
use orchestrator::infrastructure::storage::memory::MemoryStore;
use orchestrator::infrastructure::webhooks::HttpNotifier;
use orchestrator::infrastructure::webhooks::egress::{Allowed, Egress, SystemLookup};
use orchestrator::infrastructure::workspaces::{Folders, WorkspaceOptions};
use orchestrator::presentation::api::router;
use orchestrator::presentation::api::server::{ServerOptions, serve};
use orchestrator::presentation::api::state::{ApiOptions, AppState, Parts};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::documented;
use super::parts::{events, inside, locks, tasks};

/// Secret of the administrator of the instance.
pub(crate) const ADMIN: &str = "iok_administrator-of-the-instance-for-tests";
/// Slug of the second tenant.
pub(crate) const OTHER: &str = "other";

/// The API as it is served, without a listener until `listen`.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) state: AppState,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) agents: AgentService,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tracker: TaskTracker,
    pub(crate) other: TenantId,
    _folders: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}

/// The default tenant has no bounds, so that only tests of quotas meet them.
pub(crate) async fn lift_quotas(store: &dyn Store) {
    let snapshot = store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let found = snapshot.tenant().await.expect("read").expect("there");
    let value = Tenant { quotas: Quotas::UNLIMITED, ..found.value };
    let put = Put { expect: Expect::At(found.version), value };
    let set = ChangeSet::new(TenantId::BOOTSTRAP).write(Write::Tenant(put));
    store.commit(set).await.expect("lifted");
}

pub(crate) fn agent_of_new_tenants() -> AgentDraft {
    AgentDraft::new("AGENT-ONE", AgentKind::Simulated, ["testing"])
}

/// A tenant beside the default one, without bounds.
fn other_tenant(id: TenantId, now: Timestamp) -> Tenant {
    Tenant {
        id,
        slug: OTHER.to_owned(),
        name: "Other".to_owned(),
        quotas: Quotas::UNLIMITED,
        ..Tenant::bootstrap(now)
    }
}

fn workspaces(folder: &Path, clock: &Arc<dyn Clock>, ids: &Arc<dyn Ids>) -> Folders {
    let root = folder.join("workspaces");
    let options = WorkspaceOptions {
        root,
        closed: vec![folder.to_owned()],
        allowed_roots: Vec::new(),
        git: "git".into(),
    };
    Folders::new(options, Arc::clone(clock), Arc::clone(ids))
}

/// The audit of this store, signed with a key that is the same for all tests.
pub(crate) fn audit(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> AuditService {
    let signer = KeySigner::new(&[7; 32]).expect("a key");
    AuditService::new(Arc::clone(store), Arc::clone(clock), Arc::new(signer))
}

/// Agents, of which `AGENT-ONE` comes from the settings.
fn agents(
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    drivers: Vec<Arc<dyn AgentDriver>>,
) -> AgentService {
    let (store, clock, ids) = (Arc::clone(store), Arc::clone(clock), Arc::clone(ids));
    AgentService::new(store, clock, ids, drivers).with_built_in(&[agent_of_new_tenants()])
}

/// Webhooks that may reach this machine.
fn webhooks(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>, ids: &Arc<dyn Ids>) -> WebhookService {
    let allowed =
        Allowed { networks: vec!["127.0.0.0/8".parse().expect("a network")], ..Allowed::default() };
    let egress = Egress::new(allowed, Arc::new(SystemLookup));
    let notifier = HttpNotifier::new(egress, Duration::from_secs(1), Arc::clone(clock));
    let notifier = Arc::new(notifier.expect("a client"));
    let (store, clock, ids) = (Arc::clone(store), Arc::clone(clock), Arc::clone(ids));
    let sealer = Arc::new(AesSealer::new(&[7; 32]).expect("a key"));
    WebhookService::new(store, clock, ids, notifier, sealer, webhook_options())
}

async fn make(store: &dyn Store, tenant: Tenant) {
    let set = ChangeSet::new(tenant.id);
    let put = Put { expect: Expect::Absent, value: tenant };
    store.commit(set.write(Write::Tenant(put))).await.expect("made");
}

type World<'a> = (&'a Arc<dyn Store>, &'a Arc<dyn Clock>, &'a Arc<dyn Ids>);

/// External agents; those on this machine may be called.
fn external(
    (store, clock, ids): World<'_>,
    shutdown: &CancellationToken,
    known: (AgentService, SessionService, IdentityService),
) -> ExternalService {
    let allowed =
        Allowed { networks: vec!["127.0.0.0/8".parse().expect("a network")], ..Allowed::default() };
    let egress = Egress::new(allowed, Arc::new(SystemLookup));
    let reached = Ports {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
        sealer: Arc::new(AesSealer::new(&[7; 32]).expect("a key")),
        push: Arc::new(
            HttpPush::new(egress, Arc::clone(clock), Limits::default()).expect("a client"),
        ),
        files: Arc::new(ArtifactFolder::new("/nowhere".into())),
    };
    let exchange = Exchange::new(&reached, ExternalRules::default(), shutdown);
    ExternalService::new(&reached, &exchange, known)
}

type KnownProvider = (Arc<dyn IdentityProvider>, ProviderOptions);

/// Signing in through a provider.
fn sign_in(
    identity: &IdentityService,
    (provider, wanted): KnownProvider,
    (clock, ids): (&Arc<dyn Clock>, &Arc<dyn Ids>),
) -> ProviderSignIn {
    let sealer = Arc::new(AesSealer::new(&[7; 32]).expect("a key"));
    let world = (Arc::clone(clock), Arc::clone(ids));
    ProviderSignIn::new(identity.clone(), provider, sealer, world, wanted)
}

impl TestApp {
    /// With the limits as shipped, but no rate.
    pub(crate) async fn new() -> Self {
        Self::with(ApiOptions { rate: None, ..ApiOptions::default() }, Vec::new()).await
    }

    /// With these limits and drivers.
    pub(crate) async fn with(options: ApiOptions, drivers: Vec<Arc<dyn AgentDriver>>) -> Self {
        Self::with_all(options, drivers, None).await
    }

    /// Where people sign in through an identity provider.
    pub(crate) async fn through(
        options: ApiOptions,
        provider: Arc<dyn IdentityProvider>,
        wanted: ProviderOptions,
    ) -> Self {
        Self::with_all(options, Vec::new(), Some((provider, wanted))).await
    }

    async fn with_all(
        options: ApiOptions,
        drivers: Vec<Arc<dyn AgentDriver>>,
        provider: Option<KnownProvider>,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let memory = MemoryStore::new(Arc::clone(&clock), Arc::clone(&ids));
        let store = Arc::clone(&memory) as Arc<dyn Store>;
        let folders = tempfile::tempdir().expect("a folder");
        let workspaces = Arc::new(workspaces(folders.path(), &clock, &ids));
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        let sessions = SessionService::new(
            Arc::clone(&store),
            Arc::clone(&workspaces) as _,
            Arc::clone(&clock),
            Arc::clone(&ids),
            Wake::default(),
            SessionOptions {
                checkpoint_timeout: Duration::from_millis(200),
                settle_timeout: Duration::from_millis(20),
            },
        );
        let agents = agents(&store, &clock, &ids, drivers);
        let identity =
            IdentityService::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&ids))
                .keeping(Kept::default().days())
                .with_agents(&[agent_of_new_tenants()]);
        let other = TenantId::new(ids.uuid());
        identity.load().await.expect("loaded");
        lift_quotas(&*store).await;
        make(&*store, other_tenant(other, clock.now())).await;
        identity.load().await.expect("loaded");
        identity.admit_administrator(ADMIN).await.expect("admitted");
        let (of_store, of_clock) = (Arc::clone(&store), Arc::clone(&clock));
        let system = SystemService::new(of_store, of_clock, agents.clone(), Queue::new(50));
        system.set_recovered();
        let judge = JudgeService::new(
            sessions.clone(),
            Arc::clone(&workspaces) as _,
            Arc::new(LocalGates::new(None, Arc::clone(&clock), Arc::clone(&ids))),
            Arc::clone(&memory) as _,
            Arc::clone(&clock),
            0,
        );
        let attention = AttentionService::new(Arc::clone(&store), sessions.clone());
        let (door, inside) = inside(&store, &sessions, &attention);
        let tools = Tools {
            sessions: sessions.clone(),
            attention: attention.clone(),
            agents: agents.clone(),
            journal: Arc::clone(&memory) as _,
            judge: judge.clone(),
            workspaces: Arc::clone(&workspaces) as _,
            clock: Arc::clone(&clock),
            deltas: Deltas::default(),
            door: Some(door),
            options: SupervisorOptions::default(),
        };
        let supervisors = Supervisors::new(tools, tracker.clone(), shutdown.clone());
        let recovery = RecoveryService::new(supervisors, Arc::clone(&store), Arc::clone(&clock));
        let provider = provider.map(|known| sign_in(&identity, known, (&clock, &ids)));
        let known = (agents.clone(), sessions.clone(), identity.clone());
        let locks = locks(&store, &clock, &ids, &sessions, (&shutdown, &tracker));
        let parts = Parts {
            external: external((&store, &clock, &ids), &shutdown, known),
            webhooks: webhooks(&store, &clock, &ids),
            contexts: ContextService::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&ids)),
            tasks: tasks(&store, &clock, &ids, &sessions, &agents),
            inside,
            locks,
            usage: UsageService::new(Arc::clone(&store), Arc::clone(&clock), sessions.clone()),
            judge,
            attention,
            agents: agents.clone(),
            recovery,
            sessions,
            events: events(&store, &memory),
            system,
            identity,
            provider,
            audit: audit(&store, &clock),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            shutdown: shutdown.clone(),
            tracker: tracker.clone(),
        };
        let state = AppState::new(parts, options);
        let router = router(&state, Router::new());
        Self {
            router,
            state,
            store,
            journal: memory,
            agents,
            clock,
            ids,
            shutdown,
            tracker,
            other,
            _folders: folders,
        }
    }

    /// A key of a tenant with a role; returns its secret.
    pub(crate) async fn key(&self, tenant: TenantId, role: Role) -> String {
        self.key_with(tenant, role, Scopes::all(), false).await
    }

    /// A key with these rights; returns its secret.
    pub(crate) async fn key_with(
        &self,
        tenant: TenantId,
        role: Role,
        scopes: Scopes,
        is_system: bool,
    ) -> String {
        let secret = format!("iok_{}", self.ids.uuid().simple());
        let key = ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id: tenant,
            kind: KeyKind::Key,
            user_id: None,
            opened_by: None,
            name: format!("{role} of tests"),
            prefix: secret.chars().take(12).collect(),
            secrets: vec![KeySecret {
                hash: Sha256::digest(secret.as_bytes()).into(),
                expires_at: None,
            }],
            role,
            follows: false,
            scopes,
            is_system,
            networks: Networks::default(),
            invited: None,
            created_by: "tests".to_owned(),
            created_at: self.clock.now(),
            expires_at: None,
            revoked_at: None,
        };
        let put = Put { expect: Expect::Absent, value: key };
        self.store.commit(ChangeSet::new(tenant).write(Write::ApiKey(put))).await.expect("made");
        secret
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        documented::check(&method, &path, response.status());
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 << 20).await.expect("a body");
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// As administrator of the tenant `default`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, None)).await
    }

    /// As administrator of the tenant `default`.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path, Some(body))).await
    }

    /// A request of the administrator to the tenant `default`.
    pub(crate) fn request(&self, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
        let host = format!("localhost:{}", self.state.options.port);
        let (key, tenant) = (bearer(ADMIN), "default");
        let headers = [("host", &*host), ("authorization", &*key), ("x-tenant-id", tenant)];
        request(method, path, body, &headers)
    }

    /// Serves on a port of its own; returns the address.
    pub(crate) async fn listen(options: impl FnOnce(u16) -> ApiOptions) -> (Self, String) {
        Self::listen_with(options, ServerOptions::default()).await
    }

    /// Serves on a port of its own with these limits of connections.
    pub(crate) async fn listen_with(
        options: impl FnOnce(u16) -> ApiOptions,
        limits: ServerOptions,
    ) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let app = Self::with(ApiOptions { port, ..options(port) }, Vec::new()).await;
        let (router, shutdown) = (app.router.clone(), app.shutdown.clone());
        let served = serve(listener.into(), router, limits, shutdown, app.tracker.clone());
        app.tracker.spawn(async move { served.await.expect("served") });
        (app, format!("127.0.0.1:{port}"))
    }
}

/// As shipped, but in a hurry.
fn webhook_options() -> WebhookOptions {
    let schedule = Schedule(vec![Duration::from_millis(100); 30]);
    let slow_after = Duration::from_millis(200);
    WebhookOptions { schedule, slow_after, logged: 20, ..WebhookOptions::default() }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// `Bearer …`.
pub(crate) fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

/// A request with the server's own Host and these headers.
pub(crate) fn request(
    method: Method,
    path: &str,
    body: Option<Value>,
    headers: &[(&str, &str)],
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8000");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Some(value) => {
            request = request.header("content-type", "application/json");
            Body::from(value.to_string())
        }
        None => Body::empty(),
    };
    request.body(body).expect("a valid request")
}
