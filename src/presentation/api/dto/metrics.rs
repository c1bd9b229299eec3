//! What was measured about a session, on the wire: null is unknown, never 0.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::money::Usd;
use crate::domain::session::Session;
use crate::domain::session::attempt::SessionError;
use crate::domain::session::metrics::{Metrics, RateSource, Warning};
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;

/// Figures of one session over all its attempts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionMetrics)]
#[expect(missing_docs, reason = "the fields are those of domain 1.11")]
pub struct MetricsDto {
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub last_checkpoint_at: Option<Timestamp>,
    pub queue_duration_seconds: Option<f64>,
    pub execution_duration_seconds: Option<f64>,
    pub total_duration_seconds: Option<f64>,
    pub cpu_usage_percent: Option<f64>,
    pub memory_usage_mb: Option<f64>,
    pub disk_usage_mb: Option<f64>,
    pub network_bytes_sent: Option<u64>,
    pub network_bytes_received: Option<u64>,
    pub total_tokens_used: Option<u64>,
    /// Tokens by kind; null while nothing was reported.
    pub usage: Option<UsageDto>,
    pub api_calls_count: u64,
    pub api_errors_count: u64,
    pub retry_count: u32,
    pub checkpoint_count: u64,
    #[schema(minimum = 0, maximum = 1)]
    pub success_rate: Option<f64>,
    pub success_rate_source: Option<RateSource>,
    #[schema(minimum = 0, maximum = 1)]
    pub confidence_score: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    pub code_quality_score: Option<f64>,
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    pub error: Option<SessionErrorDto>,
    #[schema(max_items = 10)]
    pub previous_errors: Vec<SessionErrorDto>,
    #[schema(max_items = 100)]
    pub warnings: Vec<WarningDto>,
    pub estimated_cost_usd: Option<Usd>,
    /// Whether any of the figures come from a simulated agent.
    pub simulated: bool,
}

/// Tokens by kind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
#[expect(missing_docs, reason = "the fields are named for what they count")]
pub struct UsageDto {
    pub tokens_input: u64,
    pub tokens_output: u64,
    pub tokens_cache_read: u64,
    pub tokens_cache_write: u64,
    pub tokens_reasoning: u64,
    pub tokens_total: u64,
    /// Null when nobody knows the price.
    pub cost_usd: Option<Usd>,
    /// Whether any of it was simulated.
    pub simulated: bool,
}

/// Why a session or an attempt ended badly.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionError)]
pub struct SessionErrorDto {
    /// Stable word.
    pub r#type: String,
    /// What happened, for people.
    pub message: String,
    /// Further facts.
    #[schema(value_type = Option<Object>)]
    pub context: Value,
    /// Whether an automatic retry may follow.
    pub retryable: bool,
    /// When.
    pub occurred_at: Timestamp,
}

/// Something worth telling that did not end the session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Warning)]
pub struct WarningDto {
    /// Stable word.
    pub r#type: String,
    /// For people.
    pub message: String,
    /// When.
    pub timestamp: Timestamp,
    /// Further facts.
    #[schema(value_type = Option<Object>)]
    pub context: Value,
}

impl MetricsDto {
    /// The figures of a session at this moment, moved out of it.
    #[must_use]
    pub fn take(session: &mut Session, now: Timestamp) -> Self {
        let Metrics {
            queue_ms,
            execution_ms,
            usage,
            api_calls_count,
            api_errors_count,
            retry_count,
            success_rate,
            success_rate_source,
            confidence_score,
            code_quality_score,
            result,
            error,
            previous_errors,
            warnings,
            last_checkpoint_at,
        } = std::mem::take(&mut session.metrics);
        let current = (session.run.attempt > 0 && session.status().is_open())
            .then(|| session.run.clock.at(now));
        let ended = execution_ms.map(Duration::from_millis);
        let execution = match (ended, current) {
            (Some(ended), Some(current)) => Some(ended.saturating_add(current)),
            (ended, current) => ended.or(current),
        };
        Self {
            created_at: session.stamps.created_at,
            started_at: session.stamps.started_at,
            completed_at: session.stamps.completed_at,
            failed_at: session.stamps.failed_at,
            last_checkpoint_at,
            queue_duration_seconds: queue_ms.map(Duration::from_millis).map(seconds),
            execution_duration_seconds: execution.map(seconds),
            total_duration_seconds: session.total_ms().map(Duration::from_millis).map(seconds),
            cpu_usage_percent: None,
            memory_usage_mb: None,
            disk_usage_mb: None,
            network_bytes_sent: None,
            network_bytes_received: None,
            total_tokens_used: usage.reported.then(|| usage.tokens_total()),
            usage: UsageDto::reported(usage),
            api_calls_count,
            api_errors_count,
            retry_count,
            checkpoint_count: session.run.checkpoint_count,
            success_rate,
            success_rate_source,
            confidence_score,
            code_quality_score,
            result,
            error: error.map(SessionErrorDto::from),
            previous_errors: previous_errors.into_iter().map(SessionErrorDto::from).collect(),
            warnings: warnings.into_iter().map(WarningDto::from).collect(),
            estimated_cost_usd: usage.cost_usd,
            simulated: usage.simulated,
        }
    }
}

impl UsageDto {
    /// `None` while nothing was reported.
    #[must_use]
    pub fn reported(usage: Usage) -> Option<Self> {
        let tokens_total = usage.tokens_total();
        let Usage {
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            cost_usd,
            simulated,
            reported,
        } = usage;
        reported.then_some(Self {
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            tokens_total,
            cost_usd,
            simulated,
        })
    }
}

impl From<SessionError> for SessionErrorDto {
    fn from(error: SessionError) -> Self {
        let SessionError { error_type, message, context, retryable, occurred_at } = error;
        Self { r#type: error_type, message, context, retryable, occurred_at }
    }
}

impl From<Warning> for WarningDto {
    fn from(warning: Warning) -> Self {
        let Warning { warning_type, message, timestamp, context } = warning;
        Self { r#type: warning_type, message, timestamp, context }
    }
}

/// Seconds with millisecond precision.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a session stay far below 2^53")]
pub fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}
