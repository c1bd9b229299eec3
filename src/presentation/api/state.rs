//! What every handler may ask for, and the limits that the API keeps.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::codes::ErrorCode;
use super::idempotency::InFlight;
use super::limits::{Failures, Rates};
use super::metrics::Metrics;
use super::problem::Problem;
use super::rows::SessionRows;
use crate::application::agent::AgentService;
use crate::application::attention::AttentionService;
use crate::application::audit::AuditService;
use crate::application::context::ContextService;
use crate::application::events::EventService;
use crate::application::external::ExternalService;
use crate::application::identity::IdentityService;
use crate::application::identity::provider::ProviderSignIn;
use crate::application::inside::InsideService;
use crate::application::judge::JudgeService;
use crate::application::locks::LockDesk;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::store::Store;
use crate::application::session::SessionService;
use crate::application::supervise::recover::service::RecoveryService;
use crate::application::system::SystemService;
use crate::application::task::TaskService;
use crate::application::usage::UsageService;
use crate::application::webhooks::WebhookService;
use crate::domain::redact::Redactor;
use crate::domain::time::Timestamp;
use crate::presentation::ws::hub::Hub;
use crate::presentation::ws::seats::Seats;

/// Largest body, as the setting is shipped.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

/// Limits and addresses of the API; every figure is a setting.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Port that the listener got; the only one that a Host header may name.
    pub port: u16,
    /// Further `host` or `host:port` that a Host header may have.
    pub allowed_hosts: Vec<String>,
    /// Address of this server as others reach it, for links; as they named it when `None`.
    pub public_url: Option<String>,
    /// Further origins whose pages may talk to the API, as `https://name:port`.
    pub allowed_origins: Vec<String>,
    /// Requests without a credential act as administrator of the tenant that they name.
    pub dev: bool,
    /// Whether `/metrics` is open to this machine.
    pub open_metrics: bool,
    /// Largest body in bytes.
    pub body_limit: usize,
    /// Longest request outside of streams.
    pub request_timeout: Duration,
    /// Requests that a key may send at once, and per second after that. With `None` nothing is counted,
    /// also not for the rate of the tenant.
    pub rate: Option<(u32, u32)>,
    /// Time between two signs of life on a stream of server-sent events.
    pub sse_heartbeat: Duration,
    /// Limits of WebSocket connections.
    pub ws: WsOptions,
    /// What people send passes it before it is kept, and problems before they are told.
    pub redactor: Redactor,
}

/// Limits of WebSocket connections.
#[derive(Debug, Clone)]
pub struct WsOptions {
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// A client that gives no sign for this long is gone.
    pub silence: Duration,
    /// A client that takes nothing for this long is gone.
    pub stall: Duration,
    /// Connections of one principal.
    pub per_principal: usize,
    /// Connections of one tenant.
    pub per_tenant: usize,
    /// Connections in all.
    pub total: usize,
    /// Frames that a slow client may be behind.
    pub behind_frames: usize,
    /// Bytes that a slow client may be behind.
    pub behind_bytes: u64,
}

impl Default for WsOptions {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(30),
            silence: Duration::from_secs(90),
            stall: Duration::from_secs(30),
            per_principal: 50,
            per_tenant: 200,
            total: 1000,
            behind_frames: 1000,
            behind_bytes: 8 * 1024 * 1024,
        }
    }
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            port: 8000,
            allowed_hosts: Vec::new(),
            public_url: None,
            allowed_origins: Vec::new(),
            dev: false,
            open_metrics: true,
            body_limit: BODY_LIMIT,
            request_timeout: Duration::from_secs(30),
            rate: Some((100, 50)),
            sse_heartbeat: Duration::from_secs(15),
            ws: WsOptions::default(),
            redactor: Redactor::default(),
        }
    }
}

/// The services and ports that composition hands to the API.
#[expect(missing_docs, reason = "each field is named for its type")]
pub struct Parts {
    pub sessions: SessionService,
    pub judge: JudgeService,
    pub attention: AttentionService,
    pub agents: AgentService,
    pub external: ExternalService,
    pub events: EventService,
    pub webhooks: WebhookService,
    pub contexts: ContextService,
    pub tasks: TaskService,
    pub inside: InsideService,
    pub locks: LockDesk,
    pub usage: UsageService,
    pub system: SystemService,
    pub identity: IdentityService,
    pub provider: Option<ProviderSignIn>,
    pub audit: AuditService,
    pub recovery: RecoveryService,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub shutdown: CancellationToken,
    pub tracker: TaskTracker,
}

/// What handlers share; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// The inside of `AppState`.
pub struct Shared {
    /// Use cases of sessions.
    pub sessions: SessionService,
    /// Gates.
    pub judge: JudgeService,
    /// Use cases of attention items.
    pub attention: AttentionService,
    /// Use cases of agents.
    pub agents: AgentService,
    /// Use cases of agents that speak by themselves.
    pub external: ExternalService,
    /// Reading and following events and journals.
    pub events: EventService,
    /// Use cases of webhooks.
    pub webhooks: WebhookService,
    /// Use cases of contexts.
    pub contexts: ContextService,
    /// Use cases of tasks.
    pub tasks: TaskService,
    /// What agents at work may do.
    pub inside: InsideService,
    /// Use cases of locks.
    pub locks: LockDesk,
    /// What is used, and what it costs.
    pub usage: UsageService,
    /// Health and readiness.
    pub system: SystemService,
    /// Who is behind a key.
    pub identity: IdentityService,
    /// Signing in through an identity provider, when there is one.
    pub provider: Option<ProviderSignIn>,
    /// Who did what.
    pub audit: AuditService,
    pub recovery: RecoveryService,
    /// For remembered answers and the figures of `/metrics`.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identities.
    pub ids: Arc<dyn Ids>,
    /// Ends every stream.
    pub shutdown: CancellationToken,
    /// Every task of the API is on it.
    pub tracker: TaskTracker,
    /// Limits.
    pub options: ApiOptions,
    /// Figures of domain 17.
    pub metrics: Metrics,
    /// Requests with an idempotency key that are being worked on.
    pub in_flight: InFlight,
    /// Rate per key.
    pub rates: Rates,
    /// Failed authentications per peer.
    pub failures: Failures,
    /// Live events for sockets.
    pub hub: Hub,
    /// Places for sockets.
    pub seats: Seats,
    /// Sessions as JSON that need not be spelled again.
    pub rows: SessionRows,
    /// When the API was built.
    pub started_at: Timestamp,
}

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl AppState {
    /// Puts the parts together; tasks begin with `router`.
    #[must_use]
    pub fn new(parts: Parts, options: ApiOptions) -> Self {
        let Parts {
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
            system,
            identity,
            provider,
            audit,
            recovery,
            store,
            clock,
            ids,
            shutdown,
            tracker,
        } = parts;
        let started_at = clock.now();
        let hub = Hub::new(options.ws.behind_frames);
        Self(Arc::new(Shared {
            metrics: Metrics::new(),
            in_flight: InFlight::default(),
            rates: Rates::new(options.rate),
            failures: Failures::default(),
            seats: Seats::default(),
            rows: SessionRows::default(),
            hub,
            started_at,
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
            system,
            identity,
            provider,
            audit,
            recovery,
            store,
            clock,
            ids,
            shutdown,
            tracker,
            options,
        }))
    }

    /// Works on to the end although the client goes away or the request's time is over: git may
    /// have moved a branch already, which must be told.
    ///
    /// # Errors
    /// The work's, and `InternalError` when it panics.
    pub async fn carry_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let task = self.tracker.spawn(work.in_current_span());
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "A command did not come to its end");
            Err(Problem::new(ErrorCode::InternalError, "internal error"))
        })
    }
}
