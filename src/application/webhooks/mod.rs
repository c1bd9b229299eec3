//! Use cases of webhooks: who is told, what was told, and telling again.
//!
//! Invariant: what was committed to be told is found by a scan of stored state; the bell only says
//! "look again".

mod deliveries;
pub mod figures;
mod manage;
pub mod message;
pub mod sender;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use self::figures::Figures;
use super::error::AppError;
use super::ports::clock::{Clock, Ids};
use super::ports::notifier::{AddressError, Notifier};
use super::ports::reads::Snapshot;
use super::ports::sealer::Sealer;
use super::ports::store::Store;
use super::principal::RequestContext;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::ids::WebhookId;
use crate::domain::version::{Version, Versioned};
use crate::domain::webhook::delivery::Schedule;
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::{EventPattern, Secret, Webhook};

/// How webhooks are served; every figure is a bound.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// How long to wait after each failure.
    pub schedule: Schedule,
    /// Messages under way to one webhook.
    pub at_once: usize,
    /// Messages under way of one tenant.
    pub at_once_of_tenant: usize,
    /// Messages under way in all.
    pub at_once_in_all: usize,
    /// A receiver that takes longer for an answer is slow, until it is not.
    pub slow_after: Duration,
    /// Messages under way of one tenant to receivers that are known to be slow.
    pub slow_of_tenant: usize,
    /// Messages under way in all to receivers that are known to be slow.
    pub slow_in_all: usize,
    /// Messages under way of one tenant whose receivers were not known to be slow, and are.
    pub aside_of_tenant: usize,
    /// Messages under way in all whose receivers were not known to be slow, and are.
    pub aside_in_all: usize,
    /// Events taken up, and lanes sent, at once.
    pub batch: usize,
    /// Subjects that may wait before no events about further ones are taken up.
    pub held: usize,
    /// Finished deliveries that the log of a webhook keeps.
    pub logged: u64,
    /// No further message of a batch is begun after this time, so that outcomes are soon durable.
    pub batch_time: Duration,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            at_once: 2,
            at_once_of_tenant: 8,
            at_once_in_all: 64,
            slow_after: Duration::from_secs(1),
            slow_of_tenant: 8,
            slow_in_all: 64,
            aside_of_tenant: 64,
            aside_in_all: 256,
            batch: 100,
            held: 1000,
            logged: 500,
            batch_time: Duration::from_secs(5),
        }
    }
}

/// A webhook, how it is, and its secret when it has just been made.
#[derive(Debug, Clone)]
pub struct WebhookView {
    /// The webhook.
    pub webhook: Versioned<Webhook>,
    /// How far it was told.
    pub progress: Progress,
    /// Shown once.
    pub secret: Option<Secret>,
}

/// The use cases of webhooks.
#[derive(Clone)]
pub struct WebhookService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    notifier: Arc<dyn Notifier>,
    sealer: Arc<dyn Sealer>,
    options: Arc<WebhookOptions>,
    bell: Arc<Notify>,
    figures: Arc<Figures>,
}

impl WebhookService {
    /// Use cases over the store and a way to send.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        notifier: Arc<dyn Notifier>,
        sealer: Arc<dyn Sealer>,
        options: WebhookOptions,
    ) -> Self {
        let (options, bell, figures) = (Arc::new(options), Arc::default(), Arc::default());
        Self { store, clock, ids, notifier, sealer, options, bell, figures }
    }

    /// How all webhooks fare.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// All webhooks in order of creation.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, ctx: &RequestContext) -> Result<Vec<WebhookView>, AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        let mut views = Vec::new();
        for webhook in snapshot.webhooks().await? {
            let found = snapshot.webhook_progress(webhook.value.id).await?;
            let progress = found.map(|found| found.value);
            let progress =
                progress.unwrap_or_else(|| Progress::new(ctx.tenant, webhook.value.id, 0));
            views.push(WebhookView { webhook, progress, secret: None });
        }
        Ok(views)
    }

    /// One webhook.
    ///
    /// # Errors
    /// `WebhookNotFound`.
    pub async fn get(&self, ctx: &RequestContext, id: WebhookId) -> Result<WebhookView, AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        let (webhook, progress) = read(&*snapshot, id).await?;
        Ok(WebhookView { webhook, progress: progress.value, secret: None })
    }

    /// Whether messages may be sent to an address that a caller names.
    async fn reachable(&self, url: &str) -> Result<(), AppError> {
        let field = |code, message| {
            AppError::Invalid(vec![FieldError { pointer: "/url".to_owned(), code, message }])
        };
        self.notifier.check(url).await.map_err(|error| match error {
            AddressError::Malformed(message) => field("invalid", message),
            AddressError::Unknown(message) => field("unknown_host", message),
            AddressError::Denied(message) => {
                AppError::EndpointNotAllowed { pointer: "/url", message }
            }
        })
    }

    fn audit(&self, ctx: &RequestContext, id: WebhookId, what: Audited) -> AuditEntry {
        let Audited { action, before, after } = what;
        AuditEntry {
            at: self.clock.now(),
            actor: ctx.actor(),
            action: action.to_owned(),
            subject: Subject { kind: SubjectKind::Webhook, id: id.uuid() },
            ok: true,
            reason: None,
            before,
            after,
            request_id: Some(ctx.request_id.clone()),
        }
    }
}

/// What is put on record of a command.
#[derive(Default)]
struct Audited {
    action: &'static str,
    before: Option<Value>,
    after: Option<Value>,
}

/// A webhook with how far it was told.
async fn read(
    snapshot: &dyn Snapshot,
    id: WebhookId,
) -> Result<(Versioned<Webhook>, Versioned<Progress>), AppError> {
    let webhook = snapshot.webhook(id).await?.ok_or(AppError::WebhookNotFound)?;
    let progress = snapshot.webhook_progress(id).await?.ok_or(AppError::WebhookNotFound)?;
    Ok((webhook, progress))
}

/// What the audit keeps of a webhook: everything but its secrets.
fn facts(webhook: &Webhook) -> Value {
    let types: Vec<&str> = webhook.event_types.iter().map(EventPattern::as_str).collect();
    json!({
        "url": webhook.url, "description": webhook.description, "event_types": types,
        "is_active": webhook.is_active,
    })
}

/// Refuses a change that is based on an older reading.
fn same_version(ctx: &RequestContext, version: Version) -> Result<(), AppError> {
    match ctx.if_match {
        Some(expected) if expected != version.get() => {
            Err(AppError::VersionMismatch { expected, actual: version.get() })
        }
        Some(_) | None => Ok(()),
    }
}
