//! How far a webhook was told, and how it is: what the sender notes while it works.

use super::super::ids::{TenantId, WebhookId};
use super::super::time::Timestamp;
use super::delivery::{Attempt, Schedule};

/// Messages in a row that may stay without an answer before the receiver is left alone for a while.
const PATIENCE: u32 = 2;

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
    /// Messages in a row that were not answered at all.
    pub unanswered: u32,
    /// A receiver that does not answer is left alone until then.
    pub rest_until: Option<Timestamp>,
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
            unanswered: 0,
            rest_until: None,
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
        (self.unanswered, self.rest_until) = (0, None);
    }

    /// A message was not accepted.
    pub fn failed(&mut self, attempt: &Attempt, schedule: &Schedule, now: Timestamp) {
        self.failing_since.get_or_insert(now);
        self.last_error.clone_from(&attempt.error);
        if attempt.status.is_some() {
            (self.unanswered, self.rest_until) = (0, None);
            return;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        let times = self.unanswered.saturating_sub(PATIENCE);
        self.rest_until = (times > 0).then(|| now.after(schedule.rest(times)));
    }

    /// Whether the receiver has not answered for a while: it is asked with one message at a time.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.unanswered > PATIENCE
    }

    /// Until when nothing is sent, because the receiver wants it or needs it.
    #[must_use]
    pub fn silence(&self) -> Option<Timestamp> {
        self.resume_at.max(self.rest_until)
    }

    /// Nothing more is sent until a person says so.
    pub fn disable(&mut self, reason: String, now: Timestamp) {
        self.disabled.get_or_insert(Disabled { at: now, reason });
    }

    /// A person wants it to be told again; returns whether that changed anything.
    pub fn enable(&mut self) -> bool {
        self.resume_at = None;
        (self.unanswered, self.rest_until) = (0, None);
        self.disabled.take().is_some()
    }
}
