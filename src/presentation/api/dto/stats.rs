//! Statistics over sessions on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::metrics::seconds;
use crate::application::session::query::{SessionStats, Spread};
use crate::domain::money::Usd;
use crate::domain::session::spec::SessionType;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// Figures over all sessions of the tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionStats)]
#[expect(missing_docs, reason = "the fields are those of domain 1.11")]
pub struct StatsDto {
    pub total_sessions: u64,
    pub active_sessions: u64,
    pub completed_sessions: u64,
    pub failed_sessions: u64,
    pub average_duration_seconds: Option<f64>,
    pub average_success_rate: Option<f64>,
    pub sessions_by_status: BTreeMap<String, u64>,
    pub sessions_by_type: BTreeMap<String, u64>,
    pub sessions_by_priority: BTreeMap<String, u64>,
    pub status_distribution: Vec<StatusShareDto>,
    pub type_distribution: Vec<TypeShareDto>,
    pub priority_distribution: Vec<PriorityShareDto>,
    pub duration_stats: DurationStatsDto,
    pub queue_stats: DurationStatsDto,
    pub total_tokens: u64,
    /// Null when no session reported a cost.
    pub total_cost_usd: Option<Usd>,
    /// Whether these figures include those of simulated agents.
    pub simulated: bool,
    pub timestamp: Timestamp,
}

/// A status and how many sessions stand in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatusShare)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct StatusShareDto {
    pub status: SessionStatus,
    pub count: u64,
    pub percentage: f64,
}

/// A type and how many sessions are of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TypeShare)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct TypeShareDto {
    pub r#type: SessionType,
    pub count: u64,
}

/// A priority and how many sessions have it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriorityShare)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct PriorityShareDto {
    pub priority: u8,
    pub count: u64,
}

/// A spread of durations; null without a sample.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DurationStats)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct DurationStatsDto {
    /// Sessions that have such a duration.
    pub total_sessions: u64,
    pub avg_duration_seconds: Option<f64>,
    pub median_duration_seconds: Option<f64>,
    pub p95_duration_seconds: Option<f64>,
    pub min_duration_seconds: Option<f64>,
    pub max_duration_seconds: Option<f64>,
}

impl From<Spread> for DurationStatsDto {
    fn from(spread: Spread) -> Self {
        let Spread { count, mean, least, median, p95, most } = spread;
        let shown = |ms| (count > 0).then(|| seconds(Duration::from_millis(ms)));
        Self {
            total_sessions: count,
            avg_duration_seconds: shown(mean),
            median_duration_seconds: shown(median),
            p95_duration_seconds: shown(p95),
            min_duration_seconds: shown(least),
            max_duration_seconds: shown(most),
        }
    }
}

impl From<SessionStats> for StatsDto {
    fn from(stats: SessionStats) -> Self {
        let SessionStats {
            at,
            by_status,
            by_type,
            by_priority,
            durations,
            queue,
            success_rate,
            tokens,
            cost,
            simulated,
        } = stats;
        let total: u64 = by_status.values().sum();
        let count = |wanted: SessionStatus| by_status.get(&wanted).copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "counts of sessions stay below 2^53")]
        let percentage = |count: u64| match total {
            0 => 0.0,
            total => (count as f64 * 1000.0 / total as f64).round() / 10.0,
        };
        let duration_stats = DurationStatsDto::from(durations);
        Self {
            total_sessions: total,
            active_sessions: SessionStatus::ALL
                .iter()
                .filter(|status| status.is_active())
                .map(|status| count(*status))
                .sum(),
            completed_sessions: count(SessionStatus::Completed),
            failed_sessions: count(SessionStatus::Failed),
            average_duration_seconds: duration_stats.avg_duration_seconds,
            average_success_rate: success_rate,
            sessions_by_status: by_status.iter().map(|(key, n)| (key.to_string(), *n)).collect(),
            sessions_by_type: by_type.iter().map(|(key, n)| (key.to_string(), *n)).collect(),
            sessions_by_priority: by_priority
                .iter()
                .map(|(key, n)| (key.level().to_string(), *n))
                .collect(),
            status_distribution: by_status
                .iter()
                .map(|(status, count)| StatusShareDto {
                    status: *status,
                    count: *count,
                    percentage: percentage(*count),
                })
                .collect(),
            type_distribution: by_type
                .into_iter()
                .map(|(kind, count)| TypeShareDto { r#type: kind, count })
                .collect(),
            priority_distribution: by_priority
                .into_iter()
                .map(|(priority, count)| PriorityShareDto { priority: priority.level(), count })
                .collect(),
            duration_stats,
            queue_stats: queue.into(),
            total_tokens: tokens,
            total_cost_usd: cost,
            simulated,
            timestamp: at,
        }
    }
}
