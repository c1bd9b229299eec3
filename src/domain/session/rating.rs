//! A person's judgement of what a session gave.
//!
//! Invariant: it stands above everything that was measured, and only what has ended can be judged.

use serde_json::json;

use super::Session;
use super::metrics::RateSource;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::time::Timestamp;

/// What a person says; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rating {
    /// Share of the work that succeeded, 0–1.
    pub success_rate: Option<f64>,
    /// 0–1.
    pub code_quality_score: Option<f64>,
}

impl Session {
    /// Takes a judgement over; `None` while there is nothing to judge yet.
    pub fn rate(&mut self, rating: Rating, actor: &str, at: Timestamp) -> Option<DomainEvent> {
        if self.status().is_open() {
            return None;
        }
        let Rating { success_rate, code_quality_score } = rating;
        if success_rate.is_some() {
            self.metrics.success_rate = success_rate;
            self.metrics.success_rate_source = Some(RateSource::Operator);
        }
        if code_quality_score.is_some() {
            self.metrics.code_quality_score = code_quality_score;
        }
        self.stamps.updated_at = at;
        let payload = json!({
            "success_rate": success_rate, "code_quality_score": code_quality_score, "actor": actor,
        });
        Some(self.event(EventType::SessionRated, at, payload))
    }
}
