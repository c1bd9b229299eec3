//! The figures of webhooks: attempts by outcome, what waits, and for how long.
//!
//! Invariant: the only label is the outcome; no tenant, webhook or address can be told apart.

use std::sync::{Mutex, PoisonError};

use prometheus::{Gauge, IntCounterVec, IntGauge, Registry};

use super::{counters, gauge};
use crate::application::webhooks::figures::{Figures, Outcome};
use crate::domain::time::Timestamp;

/// The collectors, and a turn for whoever brings them up to date.
pub(super) struct WebhookMetrics {
    attempts: IntCounterVec,
    waiting: IntGauge,
    failing: IntGauge,
    oldest: Gauge,
    turn: Mutex<()>,
}

impl WebhookMetrics {
    /// Registered, with every outcome at zero.
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Self {
            attempts: counters(
                "orchestrator_webhook_attempts_total",
                "Attempts to send messages to webhooks",
                &["outcome"],
            ),
            waiting: gauge(
                "orchestrator_webhook_messages_waiting",
                "Messages to webhooks that wait for their turn, of each subject the first",
            ),
            failing: gauge(
                "orchestrator_webhooks_failing",
                "Webhooks whose receivers accepted nothing lately",
            ),
            oldest: Gauge::new(
                "orchestrator_webhook_oldest_waiting_seconds",
                "Age of the oldest message to a webhook that waits; 0 when none does",
            )
            .expect("the name is valid"),
            turn: Mutex::default(),
        };
        let all: [Box<dyn prometheus::core::Collector>; 4] = [
            Box::new(metrics.attempts.clone()),
            Box::new(metrics.waiting.clone()),
            Box::new(metrics.failing.clone()),
            Box::new(metrics.oldest.clone()),
        ];
        for collector in all {
            registry.register(collector).expect("every name is registered once");
        }
        metrics
    }

    /// Takes over what the senders noted.
    pub(super) fn collect(&self, figures: &Figures, now: Timestamp) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in Outcome::ALL {
            let counter = self.attempts.with_label_values(&[outcome.as_str()]);
            counter.inc_by(figures.attempts(*outcome).saturating_sub(counter.get()));
        }
        let (all, failing) = figures.standing();
        self.waiting.set(i64::try_from(all.waiting).unwrap_or(i64::MAX));
        self.failing.set(i64::try_from(failing).unwrap_or(i64::MAX));
        self.oldest.set(all.oldest.map_or(0.0, |made| now.since(made).as_secs_f64()));
    }
}
