//! Agents looked at, on the wire: all of them in figures, how one does, what is wrong with it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::agent::outlook::Outlook;
use crate::application::agent::pool::PoolStatistics;
use crate::domain::agent::health::{Issue, IssueType, Severity};
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::load::LoadLevel;
use crate::domain::agent::performance::{Performance, Tally, Tier};
use crate::domain::agent::trend::Direction;
use crate::domain::ids::AgentId;
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;

/// All agents of a tenant together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentPool)]
#[expect(missing_docs, reason = "the fields are those of domain 2.8")]
pub struct PoolDto {
    pub total_agents: usize,
    /// They have room for more, and may be given it.
    pub available_agents: usize,
    pub busy_agents: usize,
    pub degraded_agents: usize,
    pub agents_by_type: BTreeMap<&'static str, usize>,
    pub agents_by_capability: BTreeMap<String, usize>,
    pub agents_by_tier: BTreeMap<&'static str, usize>,
    pub agents_by_load_level: BTreeMap<&'static str, usize>,
    pub agents_by_state: BTreeMap<&'static str, usize>,
    /// Of all capacity together; null without agents.
    pub overall_utilization: Option<f64>,
    /// Mean over the agents that have finished work; null before any has.
    pub average_success_rate: Option<f64>,
    pub last_updated: Timestamp,
}

impl From<PoolStatistics> for PoolDto {
    fn from(statistics: PoolStatistics) -> Self {
        let PoolStatistics {
            total_agents,
            available_agents,
            busy_agents,
            degraded_agents,
            agents_by_type,
            agents_by_capability,
            agents_by_tier,
            agents_by_load_level,
            agents_by_state,
            overall_utilization,
            average_success_rate,
            last_updated,
        } = statistics;
        Self {
            total_agents,
            available_agents,
            busy_agents,
            degraded_agents,
            agents_by_type,
            agents_by_capability,
            agents_by_tier,
            agents_by_load_level,
            agents_by_state,
            overall_utilization,
            average_success_rate,
            last_updated,
        }
    }
}

/// How an agent does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentOutlook)]
#[expect(missing_docs, reason = "the fields are those of domain 2.8")]
pub struct OutlookDto {
    pub agent_id: AgentId,
    pub agent_name: String,
    pub agent_type: AgentType,
    pub performance_tier: Tier,
    /// Too little is known for a judgement.
    pub tier_provisional: bool,
    /// 0 to 1; null before anything was finished.
    pub success_rate: Option<f64>,
    pub average_quality_score: Option<f64>,
    pub load_level: LoadLevel,
    pub utilization_percentage: f64,
    pub tasks_completed: u32,
    /// Since 00:00 UTC.
    pub tasks_completed_today: u32,
    pub tasks_in_progress: u32,
    pub average_cost_per_task: Option<Usd>,
    pub average_tokens_per_task: Option<f64>,
    pub success_rate_trend: Direction,
    /// What would help it.
    pub recommendations: Vec<String>,
    /// Everything that is counted.
    pub performance: PerformanceDto,
}

/// What came of the work of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentPerformance)]
#[expect(missing_docs, reason = "the fields are those of domain 2.4")]
pub struct PerformanceDto {
    pub total_tasks: u32,
    pub successful_tasks: u32,
    pub failed_tasks: u32,
    pub partially_successful_tasks: u32,
    /// A partial success counts half; 0 before anything was finished.
    pub overall_success_rate: f64,
    /// Only complete successes count.
    pub complete_success_rate: f64,
    pub total_tokens_used: u64,
    pub total_cost_usd: Usd,
    pub average_quality_score: Option<f64>,
    pub code_coverage_impact: Option<f64>,
    pub security_improvement_score: Option<f64>,
    pub performance_improvement_score: Option<f64>,
    pub average_execution_time_seconds: Option<f64>,
    pub tokens_per_task: Option<f64>,
    pub cost_per_task_usd: Option<Usd>,
    pub capability_success_rates: BTreeMap<String, f64>,
    pub technology_success_rates: BTreeMap<String, f64>,
    /// Change a day.
    pub success_rate_trend_30d: Option<f64>,
    pub quality_trend_30d: Option<f64>,
    pub efficiency_trend_30d: Option<f64>,
    /// What the trends mean.
    pub trends: TrendsDto,
    pub tasks_completed_today: u32,
}

/// What the trends of an agent mean.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentTrends)]
#[expect(missing_docs, reason = "each is the label of a trend of domain 2.4")]
pub struct TrendsDto {
    pub success_rate: Direction,
    pub quality: Direction,
    pub efficiency: Direction,
}

impl PerformanceDto {
    /// As it is at this moment.
    #[must_use]
    pub fn of(performance: &Performance, now: Timestamp) -> Self {
        let Performance {
            total,
            successful,
            partial,
            tokens,
            with_tokens: _,
            cost,
            with_cost: _,
            quality,
            execution_seconds,
            coverage_impact,
            security_improvement,
            performance_improvement,
            capabilities,
            technologies,
            days,
            window: _,
            on_probation: _,
        } = performance;
        let (success, better, faster) =
            (days.success_trend(now), days.quality_trend(now), days.efficiency_trend(now));
        Self {
            total_tasks: total.count,
            successful_tasks: *successful,
            failed_tasks: performance.failed(),
            partially_successful_tasks: *partial,
            overall_success_rate: performance.success_rate(),
            complete_success_rate: performance.complete_success_rate(),
            total_tokens_used: *tokens,
            total_cost_usd: *cost,
            average_quality_score: quality.value(),
            code_coverage_impact: coverage_impact.value(),
            security_improvement_score: security_improvement.value(),
            performance_improvement_score: performance_improvement.value(),
            average_execution_time_seconds: execution_seconds.value(),
            tokens_per_task: tokens_per_task(performance),
            cost_per_task_usd: cost_per_task(performance),
            capability_success_rates: rates(capabilities),
            technology_success_rates: rates(technologies),
            success_rate_trend_30d: success,
            quality_trend_30d: better,
            efficiency_trend_30d: faster,
            trends: TrendsDto {
                success_rate: Direction::of(success),
                quality: Direction::of(better),
                efficiency: Direction::of(faster),
            },
            tasks_completed_today: days.today(now),
        }
    }
}

fn rates(tallies: &BTreeMap<String, Tally>) -> BTreeMap<String, f64> {
    tallies.iter().filter_map(|(name, tally)| Some((name.clone(), tally.rate()?))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn tokens_per_task(performance: &Performance) -> Option<f64> {
    let count = performance.with_tokens;
    (count > 0).then(|| performance.tokens as f64 / f64::from(count))
}

fn cost_per_task(performance: &Performance) -> Option<Usd> {
    let count = i64::from(performance.with_cost);
    (count > 0).then(|| Usd::from_micros(performance.cost.micros() / count))
}

impl From<&Outlook> for OutlookDto {
    fn from(outlook: &Outlook) -> Self {
        let Outlook { view, vitals, active_at: _, inactive_after: _, at } = outlook;
        let (agent, standing) = (&view.agent.value, &view.standing);
        let performance = &vitals.performance;
        let advice = outlook.recommendations();
        Self {
            agent_id: agent.id,
            agent_name: agent.name.clone(),
            agent_type: agent.profile.agent_type,
            performance_tier: standing.tier,
            tier_provisional: performance.is_provisional(),
            success_rate: performance.total.rate(),
            average_quality_score: performance.quality.value(),
            load_level: standing.burden.level(),
            utilization_percentage: standing.burden.utilization() * 100.0,
            tasks_completed: performance.total.count,
            tasks_completed_today: performance.days.today(*at),
            tasks_in_progress: standing.burden.load.tasks,
            average_cost_per_task: cost_per_task(performance),
            average_tokens_per_task: tokens_per_task(performance),
            success_rate_trend: Direction::of(performance.days.success_trend(*at)),
            recommendations: advice.into_iter().map(str::to_owned).collect(),
            performance: PerformanceDto::of(performance, *at),
        }
    }
}

/// What is wrong with an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentHealth)]
#[expect(missing_docs, reason = "the fields are those of domain 2.8")]
pub struct HealthDto {
    pub agent_id: AgentId,
    pub agent_name: String,
    /// Nothing is wrong.
    pub is_healthy: bool,
    pub issues: Vec<IssueDto>,
    pub performance_tier: Tier,
    pub load_level: LoadLevel,
    /// 0 to 1; null before anything was finished.
    pub success_rate: Option<f64>,
    /// 1 is all of its capacity.
    pub utilization: f64,
    /// Since it was heard, or given work; null when it never was.
    pub last_active_hours: Option<f64>,
    pub timestamp: Timestamp,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentIssue)]
pub struct IssueDto {
    /// What.
    #[serde(rename = "type")]
    pub issue_type: IssueType,
    /// How bad it is.
    pub severity: Severity,
    /// In words.
    pub message: String,
}

impl From<&Outlook> for HealthDto {
    fn from(outlook: &Outlook) -> Self {
        let Outlook { view, vitals, active_at, inactive_after: _, at } = outlook;
        let (agent, standing) = (&view.agent.value, &view.standing);
        let told = |Issue { issue_type, message }| IssueDto {
            issue_type,
            severity: issue_type.severity(),
            message,
        };
        let issues: Vec<IssueDto> = outlook.issues().into_iter().map(told).collect();
        Self {
            agent_id: agent.id,
            agent_name: agent.name.clone(),
            is_healthy: issues.is_empty(),
            issues,
            performance_tier: standing.tier,
            load_level: standing.burden.level(),
            success_rate: vitals.performance.total.rate(),
            utilization: standing.burden.utilization(),
            last_active_hours: active_at.map(|active| at.since(active).as_secs_f64() / 3600.0),
            timestamp: *at,
        }
    }
}
