//! One message to one webhook: what it tells, what was tried, and when it is tried again.
//!
//! Invariant: the name of a message never changes, however often it is sent, so that a receiver can
//! drop what it has seen.
//! Source of names, headers and schedule: the Standard Webhooks specification, 1.0.

use std::time::Duration;

use super::super::event::{EventType, StoredEvent, Subject};
use super::super::ids::{DeliveryId, TenantId, WebhookId};
use super::super::time::Timestamp;
use crate::closed_enum;

/// Attempts that a delivery remembers; older ones are forgotten.
const ATTEMPTS_KEPT: usize = 12;
/// Bounds of what `Retry-After` may ask for.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_hours(24);

closed_enum!(
    /// Where a delivery stands.
    DeliveryState {
        Pending = "pending",
        Delivered = "delivered",
        Failed = "failed",
    }
);

/// What a delivery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// An event, by its number.
    Event {
        /// Its number.
        seq: u64,
        /// Its type.
        event_type: EventType,
        /// What it is about: messages about one subject keep their order.
        subject: Subject,
    },
    /// Events are missing that are no longer kept.
    Gap {
        /// What was told last.
        requested: u64,
        /// Everything up to this number is gone.
        oldest: u64,
        /// Only what is about this is missing; `None` when it is everything.
        subject: Option<Subject>,
    },
    /// Somebody tries the webhook.
    Test,
}

/// One attempt to send a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// Status of the answer; `None` without one.
    pub status: Option<u16>,
    /// Why it counts as a failure; `None` for a success.
    pub error: Option<String>,
    /// How the answer's body begins.
    pub response: Option<String>,
}

/// An attempt, and what the receiver wants besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The attempt.
    pub attempt: Attempt,
    /// The receiver's `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The guard let nothing be sent there.
    pub is_denied: bool,
}

impl Answer {
    /// Whether the message was accepted.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.attempt.error.is_none()
    }

    /// Whether the receiver wants no more messages, ever.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.attempt.status == Some(410)
    }

    /// How long the receiver wants to be left alone, within bounds.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        let asks = matches!(self.attempt.status, Some(429 | 503));
        self.retry_after.filter(|_| asks).map(|pause| pause.clamp(LEAST_PAUSE, MOST_PAUSE))
    }
}

/// How long to wait after the first, second, … failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(pub Vec<Duration>);

impl Default for Schedule {
    fn default() -> Self {
        let hours = [2, 5, 10, 14, 20, 24].map(Duration::from_hours);
        let first = [Duration::from_secs(5), Duration::from_mins(5), Duration::from_mins(30)];
        Self(first.into_iter().chain(hours).collect())
    }
}

impl Schedule {
    /// The wait after this many failures, stretched by up to a tenth; `None` at the end.
    fn wait(&self, failures: u32, chance: f64) -> Option<Duration> {
        let index = usize::try_from(failures.checked_sub(1)?).ok()?;
        Some(self.0.get(index)?.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 10.0))
    }

    /// How long a receiver is left alone that did not answer this often on end: the first wait,
    /// doubled each time, up to the second.
    #[must_use]
    pub fn rest(&self, times: u32) -> Duration {
        let first = self.0.first().copied().unwrap_or_default();
        first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(self.early().max(first))
    }

    /// Shortest time between two attempts when a receiver has just recovered.
    pub(super) fn early(&self) -> Duration {
        self.0.get(1).or_else(|| self.0.first()).copied().unwrap_or_default()
    }
}

/// One message to one webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its identity; deliveries of a webhook are in this order.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// Whose.
    pub tenant_id: TenantId,
    /// The name of the message, sent as `webhook-id`.
    pub message_id: String,
    /// What it tells.
    pub told: Told,
    /// The delivery that a person wanted to be done again.
    pub redelivery_of: Option<DeliveryId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// What was tried, oldest first; at most the newest twelve.
    pub attempts: Vec<Attempt>,
    /// Failures that count for the schedule.
    pub failures: u32,
    /// When it is tried next; `None` as soon as its turn comes, and when it is finished.
    pub next_attempt_at: Option<Timestamp>,
    /// While it waits: from this number on the log may hold more about the same subject.
    pub behind: Option<u64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
}

/// Which delivery, to which webhook.
#[derive(Debug, Clone, Copy)]
pub struct Addressed {
    /// The delivery.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Whose.
    pub tenant_id: TenantId,
}

impl Delivery {
    fn new(to: Addressed, message_id: String, told: Told, now: Timestamp) -> Self {
        Self {
            id: to.id,
            webhook_id: to.webhook_id,
            tenant_id: to.tenant_id,
            message_id,
            told,
            redelivery_of: None,
            state: DeliveryState::Pending,
            attempts: Vec::new(),
            failures: 0,
            next_attempt_at: None,
            behind: None,
            created_at: now,
            finished_at: None,
        }
    }

    /// Tells of an event.
    #[must_use]
    pub fn of_event(to: Addressed, stored: &StoredEvent, now: Timestamp) -> Self {
        let (event_type, subject) = (stored.event.event_type, stored.event.subject);
        let told = Told::Event { seq: stored.seq, event_type, subject };
        Self::new(to, format!("msg_{}", stored.id), told, now)
    }

    /// Tells that events are missing.
    #[must_use]
    pub fn of_gap(to: Addressed, requested: u64, oldest: u64, now: Timestamp) -> Self {
        let id = format!("msg_gap_{}_{oldest}", to.webhook_id);
        Self::new(to, id, Told::Gap { requested, oldest, subject: None }, now)
    }

    /// Tells that events about one subject are missing.
    #[must_use]
    pub fn of_missing(
        to: Addressed,
        subject: Subject,
        (requested, oldest): (u64, u64),
        now: Timestamp,
    ) -> Self {
        let id = format!("msg_gap_{}_{}_{oldest}", to.webhook_id, subject.id);
        Self::new(to, id, Told::Gap { requested, oldest, subject: Some(subject) }, now)
    }

    /// Tells nothing but that messages arrive.
    #[must_use]
    pub fn test(to: Addressed, now: Timestamp) -> Self {
        Self::new(to, format!("msg_{}", to.id), Told::Test, now)
    }

    /// The same message once more.
    #[must_use]
    pub fn again(&self, id: DeliveryId, now: Timestamp) -> Self {
        let to = Addressed { id, webhook_id: self.webhook_id, tenant_id: self.tenant_id };
        let copy = Self::new(to, self.message_id.clone(), self.told.clone(), now);
        Self { redelivery_of: Some(self.id), ..copy }
    }

    /// Whether a person asked for it; it is sent however the webhook stands.
    #[must_use]
    pub const fn is_by_hand(&self) -> bool {
        self.redelivery_of.is_some() || matches!(self.told, Told::Test)
    }

    /// What it is about, when others about the same wait for it.
    #[must_use]
    pub const fn subject(&self) -> Option<Subject> {
        match self.told {
            _ if self.is_by_hand() => None,
            Told::Event { subject, .. } => Some(subject),
            Told::Gap { subject, .. } => subject,
            Told::Test => None,
        }
    }

    /// Notes an attempt. One that was made before its time costs nothing of the schedule.
    pub fn settle(&mut self, answer: &Answer, schedule: &Schedule, chance: f64) {
        let now = answer.attempt.at.after(Duration::from_millis(answer.attempt.duration_ms));
        self.attempts.push(answer.attempt.clone());
        let surplus = self.attempts.len().saturating_sub(ATTEMPTS_KEPT);
        self.attempts.drain(..surplus);
        if answer.is_success() {
            return self.finish(DeliveryState::Delivered, now);
        }
        let was_early = self.next_attempt_at.filter(|planned| *planned > now);
        if was_early.is_none() {
            self.failures += 1;
        }
        match was_early.or_else(|| Some(now.after(schedule.wait(self.failures, chance)?))) {
            Some(planned) => {
                let asked = answer.pause().map(|pause| now.after(pause));
                self.next_attempt_at = Some(asked.map_or(planned, |asked| asked.max(planned)));
            }
            None => self.finish(DeliveryState::Failed, now),
        }
    }

    /// It cannot be sent any more.
    pub fn give_up(&mut self, error: &str, now: Timestamp) {
        let error = Some(error.to_owned());
        let attempt = Attempt { at: now, duration_ms: 0, status: None, error, response: None };
        self.attempts.push(attempt);
        self.finish(DeliveryState::Failed, now);
    }

    fn finish(&mut self, state: DeliveryState, now: Timestamp) {
        self.state = state;
        self.next_attempt_at = None;
        self.behind = None;
        self.finished_at = Some(now);
    }
}
