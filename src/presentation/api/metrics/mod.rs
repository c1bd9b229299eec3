//! The figures of domain 17, in a registry of our own.
//!
//! Invariant: no label carries an id or a raw path; what depends on stored state is read when asked.

mod webhooks;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use serde_json::Value;
use uuid::Uuid;

use self::webhooks::WebhookMetrics;
use super::state::AppState;
use crate::application::error::AppError;
use crate::application::ports::changes::Counter;
use crate::application::system::archive::ArchiveService;
use crate::domain::event::{EventType, StoredEvent};
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// Sessions whose entry into the queue is remembered; beyond that a wait may go unmeasured.
const MAX_WAITING: usize = 50_000;
/// Models that are told apart.
const MAX_MODELS: usize = 100;
/// Longest name of a model.
const MAX_MODEL_CHARS: usize = 100;

const LATENCY: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const REQUEST_SIZE: &[f64] = &[100.0, 500.0, 1e3, 5e3, 1e4, 5e4, 1e5];
const RESPONSE_SIZE: &[f64] = &[100.0, 500.0, 1e3, 5e3, 1e4, 5e4, 1e5, 5e5];
const WAIT: &[f64] = &[0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0];
const SESSION: &[f64] = &[60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0];

/// Every figure of the server.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    request_size: HistogramVec,
    response_size: HistogramVec,
    active: IntGauge,
    sessions: GaugeVec,
    sockets: IntGauge,
    queue_wait: Histogram,
    durations: HistogramVec,
    retries: IntCounterVec,
    tasks: IntCounterVec,
    stale: IntCounterVec,
    refusals: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    uptime: Gauge,
    free: Gauge,
    copying: Gauge,
    lock_wait: Histogram,
    deadlocks: IntCounter,
    webhooks: WebhookMetrics,
    waiting: Mutex<HashMap<Uuid, Timestamp>>,
    models: Mutex<BTreeSet<String>>,
}

/// What is told of one request.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are the labels and values of domain 17")]
pub struct Served<'a> {
    pub method: &'a str,
    pub endpoint: &'a str,
    pub status: u16,
    pub took: Duration,
    pub received: u64,
    pub sent: Option<u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry with every figure at its beginning.
    ///
    /// # Panics
    /// Never: names, labels and buckets are constants of this file, and a test makes them.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            requests: counters(
                "http_requests_total",
                "Requests",
                &["method", "endpoint", "status"],
            ),
            latency: histograms(
                "http_request_duration_seconds",
                "Time to answer",
                &["method", "endpoint"],
                LATENCY,
            ),
            request_size: histograms(
                "http_request_size_bytes",
                "Size of request bodies",
                &["method", "endpoint"],
                REQUEST_SIZE,
            ),
            response_size: histograms(
                "http_response_size_bytes",
                "Size of response bodies",
                &["method", "endpoint"],
                RESPONSE_SIZE,
            ),
            active: gauge("orchestrator_active_sessions", "Sessions asked to run and not ended"),
            sessions: GaugeVec::new(Opts::new("orchestrator_sessions", "Sessions"), &["status"])
                .expect("name and labels are valid"),
            sockets: gauge("orchestrator_websocket_connections", "Open sockets"),
            queue_wait: Histogram::with_opts(
                HistogramOpts::new("orchestrator_queue_wait_seconds", "Wait in the queue")
                    .buckets(WAIT.to_vec()),
            )
            .expect("name and buckets are valid"),
            lock_wait: Histogram::with_opts(
                HistogramOpts::new("orchestrator_lock_wait_seconds", "Wait for a lock")
                    .buckets(WAIT.to_vec()),
            )
            .expect("name and buckets are valid"),
            deadlocks: IntCounter::new("orchestrator_deadlocks_total", "Refused as deadlocks")
                .expect("the name is valid"),
            durations: histograms(
                "orchestrator_session_duration_seconds",
                "Execution of sessions that ended",
                &["status"],
                SESSION,
            ),
            retries: counters("orchestrator_retries_total", "Retries", &["reason"]),
            tasks: counters("orchestrator_tasks_total", "Moves of tasks", &["status"]),
            stale: counters("orchestrator_stale_results_total", "Refused stale reports", &[]),
            refusals: counters("orchestrator_quota_refusals_total", "Refused by quota", &["quota"]),
            tokens: counters("orchestrator_tokens_total", "Tokens", &["model", "direction"]),
            cost: CounterVec::new(
                Opts::new("orchestrator_cost_usd_total", "Reported cost"),
                &["model", "direction"],
            )
            .expect("name and labels are valid"),
            uptime: Gauge::new("orchestrator_uptime_seconds", "Seconds since start")
                .expect("the name is valid"),
            free: Gauge::new(
                "orchestrator_store_free_bytes",
                "Free space on the disk of the store",
            )
            .expect("the name is valid"),
            copying: Gauge::new(
                "orchestrator_store_copy_age_seconds",
                "Since when a backup or export reads the store; 0 while none does",
            )
            .expect("the name is valid"),
            webhooks: WebhookMetrics::new(&registry),
            waiting: Mutex::default(),
            models: Mutex::default(),
            registry,
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let all: [Box<dyn prometheus::core::Collector>; 20] = [
            Box::new(self.requests.clone()),
            Box::new(self.latency.clone()),
            Box::new(self.request_size.clone()),
            Box::new(self.response_size.clone()),
            Box::new(self.active.clone()),
            Box::new(self.sessions.clone()),
            Box::new(self.sockets.clone()),
            Box::new(self.queue_wait.clone()),
            Box::new(self.lock_wait.clone()),
            Box::new(self.deadlocks.clone()),
            Box::new(self.durations.clone()),
            Box::new(self.retries.clone()),
            Box::new(self.tasks.clone()),
            Box::new(self.stale.clone()),
            Box::new(self.refusals.clone()),
            Box::new(self.tokens.clone()),
            Box::new(self.cost.clone()),
            Box::new(self.uptime.clone()),
            Box::new(self.free.clone()),
            Box::new(self.copying.clone()),
        ];
        for collector in all {
            self.registry.register(collector).expect("every name is registered once");
        }
        #[cfg(target_os = "linux")]
        self.registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("the names of process figures are not ours");
    }

    /// Counts a request.
    pub fn served(&self, served: Served<'_>) {
        let Served { method, endpoint, status, took, received, sent } = served;
        let status = status.to_string();
        self.requests.with_label_values(&[method, endpoint, status.as_str()]).inc();
        let labels = [method, endpoint];
        self.latency.with_label_values(&labels).observe(took.as_secs_f64());
        self.request_size.with_label_values(&labels).observe(bytes(received));
        if let Some(sent) = sent {
            self.response_size.with_label_values(&labels).observe(bytes(sent));
        }
    }

    /// Counts a refusal by quota.
    pub fn refused(&self, quota: &str) {
        self.refusals.with_label_values(&[quota]).inc();
    }

    /// The gauge of open sockets.
    #[must_use]
    pub const fn sockets(&self) -> &IntGauge {
        &self.sockets
    }

    /// Learns from an event.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events change no figure")]
    pub fn observe(&self, event: &StoredEvent) {
        let (payload, id) = (&event.event.payload, event.event.subject.id);
        let text = |name: &str| payload.get(name).and_then(Value::as_str);
        match event.event.event_type {
            EventType::SessionQueued => {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if waiting.len() < MAX_WAITING {
                    waiting.insert(id, event.event.occurred_at);
                }
            }
            EventType::SessionStarted => {
                let since = self.take_waiting(id);
                if let Some(since) = since {
                    let waited = event.event.occurred_at.since(since);
                    self.queue_wait.observe(waited.as_secs_f64());
                }
            }
            EventType::SessionCancelled | EventType::SessionTimedOut | EventType::SessionFailed => {
                self.take_waiting(id);
            }
            EventType::SessionCompleted | EventType::SessionPartiallyCompleted => {
                let spent = payload.get("execution_duration_seconds").and_then(Value::as_f64);
                let whole = event.event.event_type == EventType::SessionCompleted;
                let (yes, no) = (SessionStatus::Completed, SessionStatus::PartiallyCompleted);
                let status = if whole { yes } else { no };
                if let Some(spent) = spent {
                    self.durations.with_label_values(&[status.as_str()]).observe(spent);
                }
            }
            EventType::SessionRetryScheduled => {
                let automatic = payload.get("automatic").and_then(Value::as_bool).unwrap_or(false);
                let reason = if automatic { "automatic" } else { "operator" };
                self.retries.with_label_values(&[reason]).inc();
            }
            EventType::TaskStatusChanged => {
                let status = text("new_status").unwrap_or_default();
                self.tasks.with_label_values(&[status]).inc();
            }
            EventType::LockAcquired => {
                let waited = payload.get("waited_seconds").and_then(Value::as_f64);
                self.lock_wait.observe(waited.unwrap_or(0.0));
            }
            EventType::LockDeadlockDetected => self.deadlocks.inc(),
            EventType::AgentStaleResultRejected => {
                self.stale.with_label_values::<&str>(&[]).inc();
            }
            EventType::UsageRecorded => {
                let model = self.model(text("model").unwrap_or("unknown"));
                let model = model.as_str();
                for (direction, name) in [
                    ("input", "tokens_input"),
                    ("output", "tokens_output"),
                    ("cache_read", "tokens_cache_read"),
                    ("cache_write", "tokens_cache_write"),
                    ("reasoning", "tokens_reasoning"),
                ] {
                    let count = payload.get(name).and_then(Value::as_u64).unwrap_or(0);
                    self.tokens.with_label_values(&[model, direction]).inc_by(count);
                }
                let cost = payload.get("cost_usd").and_then(Value::as_f64);
                if let Some(cost) = cost.filter(|cost| *cost > 0.0) {
                    self.cost.with_label_values(&[model, "total"]).inc_by(cost);
                }
            }
            _ => {}
        }
    }

    /// A model as a label: agents name theirs as they like, and each name costs memory for good.
    fn model(&self, name: &str) -> String {
        let name: String = name.chars().take(MAX_MODEL_CHARS).collect();
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if models.len() < MAX_MODELS || models.contains(&name) {
            models.insert(name.clone());
            return name;
        }
        "other".to_owned()
    }

    fn take_waiting(&self, id: Uuid) -> Option<Timestamp> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }

    /// Reads what depends on stored state.
    ///
    /// # Errors
    /// The store's.
    pub async fn collect(&self, app: &AppState) -> Result<(), AppError> {
        let mut by_status = vec![0_i64; SessionStatus::ALL.len()];
        for tenant in app.identity.tenants() {
            let snapshot = app.store.snapshot(tenant.id).await?;
            for (index, status) in SessionStatus::ALL.iter().enumerate() {
                by_status[index] += snapshot.counter(Counter::SessionsIn(*status)).await?;
            }
        }
        let mut active = 0;
        for (count, status) in by_status.into_iter().zip(SessionStatus::ALL) {
            #[expect(clippy::cast_precision_loss, reason = "counts of sessions stay below 2^53")]
            self.sessions.with_label_values(&[status.as_str()]).set(count as f64);
            if status.is_active() {
                active += count;
            }
        }
        self.active.set(active);
        let since = app.system.archives().and_then(ArchiveService::reading_since);
        let age = since.map(|since| app.clock.now().since(since));
        self.copying.set(age.unwrap_or_default().as_secs_f64());
        // A store that lies on no disk has no end of room.
        self.free.set(app.store.health().free_bytes.map_or(f64::INFINITY, bytes));
        self.webhooks.collect(app.webhooks.figures(), app.clock.now());
        self.uptime.set(app.clock.now().since(app.started_at).as_secs_f64());
        Ok(())
    }

    /// Everything in the text form of Prometheus.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "The figures could not be written");
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of bodies stay far below 2^53")]
const fn bytes(count: u64) -> f64 {
    count as f64
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("name and labels are valid")
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect("the name is valid")
}

fn histograms(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
        .expect("name, labels and buckets are valid")
}
