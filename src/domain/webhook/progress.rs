//! How far a webhook was told, and how it is: what the sender notes while it works.

use super::super::ids::{TenantId, WebhookId};
use super::super::time::Timestamp;

/// Why nothing is sent until a person switches the webhook on again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: String,
}

/// How far a webhook was told, and how it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Which webhook.
    pub webhook_id: WebhookId,
    /// Whose.
    pub tenant_id: TenantId,
    /// Every event up to this number was delivered, sorted out, or has a delivery of its own.
    pub cursor: u64,
    /// No message was accepted since; `None` while all is well.
    pub failing_since: Option<Timestamp>,
    /// What the newest failure was.
    pub last_error: Option<String>,
    /// When a message was last accepted.
    pub last_success_at: Option<Timestamp>,
    /// When messages were accepted again after a time of failures; what waits may then be tried early.
    pub recovered_at: Option<Timestamp>,
    /// The receiver asked for silence until then.
    pub resume_at: Option<Timestamp>,
    /// Switched off by the product.
    pub disabled: Option<Disabled>,
    /// Finished deliveries in the log.
    pub logged: u64,
}

impl Progress {
    /// Of a webhook that begins behind this event.
    #[must_use]
    pub const fn new(tenant_id: TenantId, webhook_id: WebhookId, cursor: u64) -> Self {
        Self {
            webhook_id,
            tenant_id,
            cursor,
            failing_since: None,
            last_error: None,
            last_success_at: None,
            recovered_at: None,
            resume_at: None,
            disabled: None,
            logged: 0,
        }
    }

    /// A message was accepted.
    pub fn succeeded(&mut self, now: Timestamp) {
        if self.failing_since.take().is_some() {
            self.recovered_at = Some(now);
        }
        self.last_success_at = Some(now);
        self.last_error = None;
    }

    /// A message was not accepted.
    pub fn failed(&mut self, error: &str, now: Timestamp) {
        self.failing_since.get_or_insert(now);
        self.last_error = Some(error.to_owned());
    }

    /// Nothing more is sent until a person says so.
    pub fn disable(&mut self, reason: String, now: Timestamp) {
        self.disabled.get_or_insert(Disabled { at: now, reason });
    }

    /// A person wants it to be told again; returns whether that changed anything.
    pub fn enable(&mut self) -> bool {
        self.resume_at = None;
        self.disabled.take().is_some()
    }
}
