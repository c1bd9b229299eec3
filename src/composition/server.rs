//! One server from start to stop.
//!
//! Start: listen, open the store, admit the administrator, recover, schedule, be ready.
//! Stop: no new work, requests end, supervisors save, agents end, the store closes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::data_dir;
use super::encryption::{self, Encryption};
use super::graph::{Graph, Surroundings, given_admin_key};
use super::keys::{sealer, signer};
use super::listener::listen;
use super::opened::Opened;
use super::provider;
use super::settings::{Environment, Settings};
use crate::application::audit::AuditService;
use crate::application::error::AppError;
use crate::application::identity::administrator::Admitted;
use crate::application::identity::provider::ProviderSignIn;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::reconcile::Reconciler;
use crate::application::supervise::recover::{Recovered, recover};
use crate::application::system::news;
use crate::application::task::executor::Executor;
use crate::infrastructure::ids::SystemIds;
use crate::infrastructure::private_file;
use crate::infrastructure::storage::redb::OpenError;
use crate::infrastructure::storage::redb::archive::ArchiveFault;
use crate::infrastructure::tls::Renewal;
use crate::presentation::api::forwarded::Proxies;
use crate::presentation::api::router;
use crate::presentation::api::server::{Listeners, ServerOptions, serve};
use crate::presentation::api::state::{ApiOptions, AppState, Parts, WsOptions};
use crate::presentation::cli::exit::{CliError, code};

/// What requests come through.
struct Listening {
    listeners: Listeners,
    address: SocketAddr,
    tls: Option<Encryption>,
}

/// A server that is ready.
pub(super) struct Running {
    /// Where it is reached from this machine.
    pub url: String,
    /// SHA-256 of the certificate that it began with, when connections are encrypted.
    pub fingerprint: Option<String>,
    /// What start-up found.
    pub recovered: Recovered,
    /// Whether it takes up, dispatches and times out sessions.
    works: bool,
    /// Name of the store.
    pub store: &'static str,
    /// Its services.
    pub graph: Graph,
    audit: AuditService,
    provider: Option<ProviderSignIn>,
    opened: Opened,
    data_dir: PathBuf,
    stop_requests: CancellationToken,
    stop_work: CancellationToken,
    requests: TaskTracker,
    work: TaskTracker,
    grace: Duration,
    /// Rings when files are to be read again.
    again: Arc<Notify>,
}

impl Running {
    /// Starts a server and returns once it is ready. One that does not work answers requests only:
    /// no session is taken up, dispatched or timed out by it.
    pub(super) async fn start(
        settings: &Settings,
        environment: &Environment,
        clock: Arc<dyn Clock>,
        works: bool,
    ) -> Result<Self, CliError> {
        let given = encryption::given(&settings.server.tls)?;
        let listeners = listen(settings.server.listen, !settings.server.behind_proxy.is_empty())?;
        let address =
            listeners.first.local_addr().map_err(|error| failed("the listener", &error))?;
        data_dir::make(&settings.server.data_dir)?;
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let opened = Opened::open(settings, &clock, &ids).map_err(|error| unopened(&error))?;
        let tls = encryption::of(given, &settings.server, clock.now())?;
        let (requests, work) = (TaskTracker::new(), TaskTracker::new());
        let (stop_requests, stop_work) = (CancellationToken::new(), CancellationToken::new());
        // Where it really listens, which no webhook may lead to.
        let mut known = settings.clone();
        known.server.listen = address;
        let sealer = sealer(settings)?;
        let around = Surroundings {
            environment,
            sealer: Arc::clone(&sealer),
            url: encryption::url(address, tls.is_some()),
            fingerprint: tls.as_ref().map(|tls| tls.fingerprint.clone()),
        };
        let graph = Graph::build(&known, &around, &opened, clock, ids, &work, &stop_work)
            .map_err(|error| failed("the HTTP client", &error))?;
        let provider = provider::sign_in(settings, &graph, sealer)?;
        let signer = signer(settings)?;
        let audit = AuditService::new(Arc::clone(&graph.store), Arc::clone(&graph.clock), signer);
        let running = Self {
            url: encryption::url(address, tls.is_some()),
            fingerprint: tls.as_ref().map(|tls| tls.fingerprint.clone()),
            recovered: Recovered::default(),
            works: false,
            store: opened.name(),
            graph,
            audit,
            provider,
            opened,
            data_dir: settings.server.data_dir.clone(),
            stop_requests,
            stop_work,
            requests,
            work,
            grace: settings.server.shutdown_grace,
            again: Arc::default(),
        };
        let listening = Listening { listeners, address, tls };
        running.begin(settings, listening, works).await
    }

    async fn begin(
        mut self,
        settings: &Settings,
        listening: Listening,
        works: bool,
    ) -> Result<Self, CliError> {
        let app = |error: AppError| failed("the store", &error);
        self.graph.identity.load().await.map_err(app)?;
        self.admit(given_admin_key(settings)).await?;
        let renewal = self.answer_requests(settings, listening);
        if works {
            let started = news::started(env!("CARGO_PKG_VERSION"), self.store);
            self.graph.system.tell(started).await;
            self.work(settings).await?;
            let Recovered { adopted, resumed, failed, expired, .. } = self.recovered;
            let counts = serde_json::json!({
                "adopted": adopted, "resumed": resumed, "failed": failed, "expired": expired,
            });
            self.graph.system.tell(news::recovered(&counts)).await;
            self.works = true;
        }
        self.graph.system.set_recovered();
        note(&self.data_dir, &self.url, self.fingerprint.as_deref());
        if let Some(renewal) = renewal {
            self.renew(renewal);
        }
        Ok(self)
    }

    /// Takes up what was open, and begins to schedule. On a full disk that has to wait: whoever reads
    /// is answered, the server says that it is not ready, and goes on once there is room.
    async fn work(&mut self, settings: &Settings) -> Result<(), CliError> {
        let mut is_told = false;
        self.recovered = loop {
            match self.take_up().await {
                Ok(recovered) => break recovered,
                Err(AppError::StoreReadOnly(reason)) if !is_told => {
                    let url = &self.url;
                    tracing::warn!(
                        reason,
                        "{url} answers reads only; it is ready once there is room"
                    );
                    is_told = true;
                }
                Err(AppError::StoreReadOnly(_)) => {}
                Err(error) => return Err(failed("the store", &error)),
            }
            self.graph.clock.sleep(Duration::from_secs(1)).await;
            while self.graph.store.health().read_only.is_some() {
                self.graph.clock.sleep(Duration::from_secs(1)).await;
            }
        };
        self.work.spawn(self.graph.scheduler(settings).run(self.stop_work.clone()));
        self.work.spawn(self.graph.reconciler().run(self.stop_work.clone()));
        self.work.spawn(self.graph.usage.clone().run(self.stop_work.clone()));
        self.work.spawn(self.graph.agents.clone().keep_figures(self.stop_work.clone()));
        let (agents, sessions) = (self.graph.agents.clone(), self.graph.sessions.clone());
        self.work.spawn(agents.tell_of_changes(sessions, self.stop_work.clone()));
        self.work.spawn(self.audit.clone().sign(self.stop_work.clone()));
        self.work.spawn(self.graph.daily(settings, self.audit.clone()).run(self.stop_work.clone()));
        self.work.spawn(self.graph.sender(&self.work).run(self.stop_work.clone()));
        self.work.spawn(self.graph.external.clone().run());
        let executor = Executor::new(self.graph.tasks.clone());
        self.work.spawn(executor.run(self.stop_work.clone()));
        self.graph.locks.work(&self.work, &self.stop_work);
        self.work.spawn(self.graph.system.hosts().tell(self.stop_work.clone()));
        self.work.spawn(Reconciler::probe(
            self.graph.agents.clone(),
            Arc::clone(&self.graph.clock),
            self.graph.sessions.wake().clone(),
            self.stop_work.clone(),
        ));
        Ok(())
    }

    /// Registers the agents and takes up every run; may be done again after it failed.
    async fn take_up(&self) -> Result<Recovered, AppError> {
        for tenant in &self.graph.identity.tenants() {
            self.graph.agents.ensure(tenant.id, &self.graph.built_in).await?;
        }
        recover(&self.graph.supervisors, self.graph.store.as_ref()).await
    }

    fn answer_requests(&self, settings: &Settings, listening: Listening) -> Option<Renewal> {
        let Listening { listeners, address, tls } = listening;
        let (tls, renewal) = match tls {
            Some(Encryption { shown, renewal, fingerprint: _ }) => (Some(shown), renewal),
            None => (None, None),
        };
        let graph = &self.graph;
        let parts = Parts {
            sessions: graph.sessions.clone(),
            judge: graph.judge.clone(),
            attention: graph.attention.clone(),
            agents: graph.agents.clone(),
            external: graph.external.clone(),
            events: graph.events.clone(),
            webhooks: graph.webhooks.clone(),
            contexts: graph.contexts.clone(),
            tasks: graph.tasks.clone(),
            inside: graph.inside.clone(),
            locks: graph.locks.desk.clone(),
            usage: graph.usage.clone(),
            system: graph.system.clone(),
            identity: graph.identity.clone(),
            provider: self.provider.clone(),
            audit: self.audit.clone(),
            recovery: graph.recovery(),
            store: Arc::clone(&graph.store),
            clock: Arc::clone(&graph.clock),
            ids: Arc::clone(&graph.ids),
            shutdown: self.stop_requests.clone(),
            tracker: self.requests.clone(),
        };
        let (admission, times) = (settings.server.admission, settings.server.times);
        let options = ApiOptions {
            rate: admission.rate,
            ws: WsOptions {
                total: admission.sockets as usize,
                per_tenant: admission.sockets_per_tenant as usize,
                per_principal: admission.sockets_per_key as usize,
                ..WsOptions::default()
            },
            port: address.port(),
            allowed_hosts: encryption::hosts(&settings.server, address),
            public_url: settings.server.public_origin(),
            allowed_origins: settings.server.allowed_origins.clone(),
            dev: settings.server.dev,
            open_metrics: settings.server.metrics_open_on_loopback,
            request_timeout: settings.server.times.request,
            body_limit: settings.server.max_body_bytes as usize,
            redactor: settings.redactor.clone(),
            ..ApiOptions::default()
        };
        self.requests.spawn(graph.identity.clone().keep_uses(self.stop_requests.clone()));
        let router = router(&AppState::new(parts, options), Router::new());
        let (stop, tracker) = (self.stop_requests.clone(), self.requests.clone());
        let limits = ServerOptions {
            connections: admission.connections as usize,
            per_peer: admission.connections_per_peer as usize,
            header_timeout: times.header,
            idle_timeout: times.idle,
            write_timeout: times.write,
            tls,
            proxies: Arc::new(Proxies(settings.server.behind_proxy.clone())),
            ..ServerOptions::default()
        };
        self.requests.spawn(async move {
            if let Err(error) = serve(listeners, router, limits, stop, tracker).await {
                tracing::error!(%error, "The listener failed; requests are no longer answered");
            }
        });
        renewal
    }

    /// Shows the certificate of files that are replaced while the server runs, and tells the client
    /// commands of it.
    fn renew(&self, renewal: Renewal) {
        let (dir, url) = (self.data_dir.clone(), self.url.clone());
        let (clock, again) = (Arc::clone(&self.graph.clock), Arc::clone(&self.again));
        let tell = move |fingerprint: &str| note(&dir, &url, Some(fingerprint));
        self.requests.spawn(renewal.run(clock, again, self.stop_requests.clone(), tell));
    }

    /// The administrator's key: the given one, or a new one on the first start.
    async fn admit(&self, given: Option<&str>) -> Result<(), CliError> {
        let identity = &self.graph.identity;
        let app = |error: AppError| failed("the store", &error);
        let file = self.key_file();
        data_dir::private(&file)?;
        if let Some(secret) = given {
            if identity.admit_administrator(secret).await.map_err(app)? == Admitted::Replaced {
                tracing::warn!(
                    "The administrator's secret was replaced by the given one; the one before is refused"
                );
                // It is of no use any more, and would be taken for one that is.
                drop(fs::remove_file(&file));
            }
            return Ok(());
        }
        if identity.has_keys().await.map_err(app)? {
            return Ok(());
        }
        let secret = new_secret()?;
        // The file comes first: a key that nobody holds would lock everybody out.
        private_file::write(&file, secret.expose_secret().as_bytes())
            .map_err(|error| failed("the administrator's key", &error))?;
        identity.admit_administrator(secret.expose_secret()).await.map_err(app).map(drop)
    }

    /// What signs the administrator in, once; `None` when their key is not at hand.
    pub(super) async fn login_token(&self, settings: &Settings) -> Option<String> {
        let stored = || fs::read_to_string(self.key_file()).ok();
        let secret = given_admin_key(settings).map(str::to_owned).or_else(stored)?;
        match self.graph.identity.login_link_of(secret.trim()).await {
            Ok(lent) => lent.map(|lent| lent.secret),
            Err(error) => {
                tracing::warn!(%error, "No login link could be made; `orchestrator login` makes one");
                None
            }
        }
    }

    /// Where everything is kept.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where the administrator's key lies.
    pub(super) fn key_file(&self) -> PathBuf {
        self.data_dir.join("admin.key")
    }

    /// Reads again what may change while the server runs: the files of its certificate.
    pub(super) fn read_again(&self) {
        self.again.notify_one();
    }

    /// Stops in order, within the grace period.
    pub(super) async fn stop(self) {
        self.graph.system.set_draining();
        if self.works {
            self.graph.system.tell(news::stopping("shutdown")).await;
        }
        drop(fs::remove_file(self.data_dir.join("server.json")));
        self.stop_requests.cancel();
        self.requests.close();
        let clock = Arc::clone(&self.graph.clock);
        let half = self.grace / 2;
        within(clock.as_ref(), half, self.requests.wait(), "requests").await;
        self.stop_work.cancel();
        self.work.close();
        within(clock.as_ref(), half, self.work.wait(), "supervisors").await;
        within(clock.as_ref(), half, self.graph.locks.close(), "events of locks").await;
        self.graph.agents.shutdown().await;
        self.opened.close().await;
    }
}

/// Tells client commands where the server is. Without the note they have to be told by `--url`; that is
/// no reason not to serve.
fn note(data_dir: &Path, url: &str, fingerprint: Option<&str>) {
    let told = serde_json::json!({
        "url": url, "pid": std::process::id(), "fingerprint": fingerprint,
    });
    let file = data_dir.join("server.json");
    if let Err(error) = private_file::write(&file, told.to_string().as_bytes()) {
        tracing::warn!(%error, "server.json cannot be written; name the server with --url {url}");
    }
}

async fn within(
    clock: &dyn Clock,
    limit: Duration,
    done: impl std::future::Future<Output = ()>,
    what: &str,
) {
    tokio::select! {
        () = done => {}
        () = clock.sleep(limit) => {
            tracing::warn!("Some {what} did not end within {} s", limit.as_secs());
        }
    }
}

/// What a store that does not open means for whoever started the server.
pub(super) fn unopened(error: &OpenError) -> CliError {
    let (exit, remedy) = match error {
        OpenError::Held { .. } => {
            (code::HELD, "stop that server, or use it: client commands find it by themselves")
        }
        OpenError::Permissions { .. } => (
            code::NOT_PERMITTED,
            "own the data directory, and take away the rights of others: chmod -R go-rwx DIR",
        ),
        OpenError::Newer { .. } => {
            (code::CONFIG, "install the version that wrote it, or a newer one")
        }
        OpenError::Damaged { .. } => (
            code::DAMAGED,
            "put back a backup into another directory: orchestrator restore PATH --data-dir DIR",
        ),
        OpenError::Failed(_) => (code::UNAVAILABLE, "see what `orchestrator doctor` says"),
    };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    CliError::new(exit, text).remedy(remedy)
}

/// What a backup that is not taken means for whoever named it.
pub(super) fn unarchived(error: &ArchiveFault) -> CliError {
    let remedy = match error {
        ArchiveFault::Store(error) => return unopened(error),
        ArchiveFault::Broken(_) => "take another backup or export; nothing of this one was used",
        ArchiveFault::Newer { .. } => "install the version that made it, or a newer one",
        ArchiveFault::Occupied(_) => {
            "name a directory without a store: --data-dir DIR; or move store.redb out of this one"
        }
        ArchiveFault::File { .. } => "check that the file is there, and that there is room",
    };
    CliError::new(error.exit_code(), error.to_string()).remedy(remedy)
}

pub(super) fn failed(what: &str, error: &dyn std::error::Error) -> CliError {
    CliError::new(code::UNAVAILABLE, format!("{what} failed: {error}"))
        .remedy("see what `orchestrator doctor` says")
}

/// `iok_` and 32 random bytes, URL-safe.
pub(super) fn new_secret() -> Result<SecretString, CliError> {
    let mut bytes = [0; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| failed("the system's random generator", &error))?;
    Ok(SecretString::from(format!("iok_{}", URL_SAFE_NO_PAD.encode(bytes))))
}
