//! How agents do: work to be counted, figures with their breaker, heartbeats.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, json_map, map, word};
use crate::domain::agent::breaker::{Breaker, BreakerState};
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::performance::{Finished, Mean, Outcome, Performance, Tally};
use crate::domain::agent::status::HeartbeatStatus;
use crate::domain::agent::trend::{Day, Days};
use crate::domain::agent::vitals::{Ended, Vitals};
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct EndedV1 {
    agent_id: [u8; 16],
    session_id: [u8; 16],
    attempt: u32,
    outcome: String,
    at: i64,
    capabilities: Vec<String>,
    technologies: Vec<String>,
    quality_score: Option<f64>,
    execution_time_seconds: Option<f64>,
    tokens: Option<u64>,
    cost_micros: Option<i64>,
    coverage_impact: Option<f64>,
    security_improvement: Option<f64>,
    performance_improvement: Option<f64>,
}

impl Record for Ended {
    const KIND: u8 = 50;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { agent_id, session_id, attempt, finished } = self.clone();
        let Finished {
            outcome,
            at,
            capabilities,
            technologies,
            quality_score,
            execution_time_seconds,
            tokens,
            cost,
            coverage_impact,
            security_improvement,
            performance_improvement,
        } = finished;
        Ok(codec::encode(&EndedV1 {
            agent_id: *agent_id.as_bytes(),
            session_id: *session_id.as_bytes(),
            attempt,
            outcome: outcome.as_str().to_owned(),
            at: at.millis(),
            capabilities,
            technologies,
            quality_score,
            execution_time_seconds,
            tokens,
            cost_micros: cost.map(Usd::micros),
            coverage_impact,
            security_improvement,
            performance_improvement,
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let EndedV1 {
            agent_id,
            session_id,
            attempt,
            outcome,
            at,
            capabilities,
            technologies,
            quality_score,
            execution_time_seconds,
            tokens,
            cost_micros,
            coverage_impact,
            security_improvement,
            performance_improvement,
        } = payload.parse(1)?;
        let finished = Finished {
            outcome: word(&outcome, Outcome::parse, "outcome")?,
            at: Timestamp::from_millis(at),
            capabilities,
            technologies,
            quality_score,
            execution_time_seconds,
            tokens,
            cost: cost_micros.map(Usd::from_micros),
            coverage_impact,
            security_improvement,
            performance_improvement,
        };
        Ok(Self {
            agent_id: AgentId::from_bytes(agent_id),
            session_id: SessionId::from_bytes(session_id),
            attempt,
            finished,
        })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct TallyV1 {
    count: u32,
    halves: u32,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct MeanV1 {
    count: u32,
    sum: f64,
}

#[derive(Serialize, Deserialize)]
struct DayV1 {
    number: i64,
    outcomes: TallyV1,
    quality: MeanV1,
    seconds: MeanV1,
}

#[derive(Serialize, Deserialize)]
struct PerformanceV1 {
    total: TallyV1,
    successful: u32,
    partial: u32,
    tokens: u64,
    with_tokens: u32,
    cost_micros: i64,
    with_cost: u32,
    quality: MeanV1,
    execution_seconds: MeanV1,
    coverage_impact: MeanV1,
    security_improvement: MeanV1,
    performance_improvement: MeanV1,
    capabilities: Vec<(String, TallyV1)>,
    technologies: Vec<(String, TallyV1)>,
    days: Vec<DayV1>,
    /// Halves that an outcome is worth, and its quality.
    window: Vec<(u8, Option<f64>)>,
    on_probation: bool,
}

#[derive(Serialize, Deserialize)]
struct VitalsV1 {
    version: u64,
    agent_id: [u8; 16],
    performance: PerformanceV1,
    breaker: String,
    breaker_changed_at: i64,
    breaker_outcomes: TallyV1,
    last_active_at: Option<i64>,
}

const fn tally_v1(tally: Tally) -> TallyV1 {
    TallyV1 { count: tally.count, halves: tally.halves }
}

fn tally(stored: TallyV1) -> Result<Tally, Unreadable> {
    let TallyV1 { count, halves } = stored;
    let fits = u64::from(halves) <= 2 * u64::from(count);
    if fits { Ok(Tally { count, halves }) } else { Err(Unreadable::Field("halves")) }
}

const fn mean_v1(mean: Mean) -> MeanV1 {
    MeanV1 { count: mean.count, sum: mean.sum }
}

const fn mean(stored: MeanV1) -> Mean {
    Mean { count: stored.count, sum: stored.sum }
}

const fn halves(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Success => 2,
        Outcome::Partial => 1,
        Outcome::Failure => 0,
    }
}

fn outcome(halves: u8) -> Result<Outcome, Unreadable> {
    match halves {
        2 => Ok(Outcome::Success),
        1 => Ok(Outcome::Partial),
        0 => Ok(Outcome::Failure),
        _ => Err(Unreadable::Field("window")),
    }
}

fn rates_v1(rates: &BTreeMap<String, Tally>) -> Vec<(String, TallyV1)> {
    rates.iter().map(|(name, rate)| (name.clone(), tally_v1(*rate))).collect()
}

fn rates(stored: Vec<(String, TallyV1)>) -> Result<BTreeMap<String, Tally>, Unreadable> {
    stored.into_iter().map(|(name, rate)| Ok((name, tally(rate)?))).collect()
}

fn performance_v1(performance: &Performance) -> PerformanceV1 {
    let Performance {
        total,
        successful,
        partial,
        tokens,
        with_tokens,
        cost,
        with_cost,
        quality,
        execution_seconds,
        coverage_impact,
        security_improvement,
        performance_improvement,
        capabilities,
        technologies,
        days: Days(days),
        window,
        on_probation,
    } = performance;
    let day = |day: &Day| DayV1 {
        number: day.number,
        outcomes: tally_v1(day.outcomes),
        quality: mean_v1(day.quality),
        seconds: mean_v1(day.seconds),
    };
    PerformanceV1 {
        total: tally_v1(*total),
        successful: *successful,
        partial: *partial,
        tokens: *tokens,
        with_tokens: *with_tokens,
        cost_micros: cost.micros(),
        with_cost: *with_cost,
        quality: mean_v1(*quality),
        execution_seconds: mean_v1(*execution_seconds),
        coverage_impact: mean_v1(*coverage_impact),
        security_improvement: mean_v1(*security_improvement),
        performance_improvement: mean_v1(*performance_improvement),
        capabilities: rates_v1(capabilities),
        technologies: rates_v1(technologies),
        days: days.iter().map(day).collect(),
        window: window.iter().map(|(outcome, quality)| (halves(*outcome), *quality)).collect(),
        on_probation: *on_probation,
    }
}

fn performance(stored: PerformanceV1) -> Result<Performance, Unreadable> {
    let PerformanceV1 {
        total,
        successful,
        partial,
        tokens,
        with_tokens,
        cost_micros,
        with_cost,
        quality,
        execution_seconds,
        coverage_impact,
        security_improvement,
        performance_improvement,
        capabilities,
        technologies,
        days,
        window,
        on_probation,
    } = stored;
    let day = |stored: DayV1| {
        let DayV1 { number, outcomes, quality, seconds } = stored;
        let (quality, seconds) = (mean(quality), mean(seconds));
        Ok(Day { number, outcomes: tally(outcomes)?, quality, seconds })
    };
    let total = tally(total)?;
    if u64::from(successful) + u64::from(partial) > u64::from(total.count) {
        return Err(Unreadable::Field("successful"));
    }
    Ok(Performance {
        total,
        successful,
        partial,
        tokens,
        with_tokens,
        cost: Usd::from_micros(cost_micros),
        with_cost,
        quality: mean(quality),
        execution_seconds: mean(execution_seconds),
        coverage_impact: mean(coverage_impact),
        security_improvement: mean(security_improvement),
        performance_improvement: mean(performance_improvement),
        capabilities: rates(capabilities)?,
        technologies: rates(technologies)?,
        days: Days(days.into_iter().map(day).collect::<Result<_, Unreadable>>()?),
        window: window
            .into_iter()
            .map(|(halves, quality)| Ok((outcome(halves)?, quality)))
            .collect::<Result<_, Unreadable>>()?,
        on_probation,
    })
}

impl Record for Versioned<Vitals> {
    const KIND: u8 = 51;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Vitals { agent_id, performance, breaker, last_active_at } = &self.value;
        let (state, changed_at, outcomes) = breaker.parts();
        Ok(codec::encode(&VitalsV1 {
            version: self.version.get(),
            agent_id: *agent_id.as_bytes(),
            performance: performance_v1(performance),
            breaker: state.as_str().to_owned(),
            breaker_changed_at: changed_at.millis(),
            breaker_outcomes: tally_v1(outcomes),
            last_active_at: last_active_at.map(Timestamp::millis),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let VitalsV1 {
            version,
            agent_id,
            performance: stored,
            breaker,
            breaker_changed_at,
            breaker_outcomes,
            last_active_at,
        } = payload.parse(1)?;
        let state = word(&breaker, BreakerState::parse, "breaker")?;
        let changed_at = Timestamp::from_millis(breaker_changed_at);
        let value = Vitals {
            agent_id: AgentId::from_bytes(agent_id),
            performance: performance(stored)?,
            breaker: Breaker::stored(state, changed_at, tally(breaker_outcomes)?),
            last_active_at: last_active_at.map(Timestamp::from_millis),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct HeartbeatV1 {
    agent_id: [u8; 16],
    heard_at: i64,
    said_at: Option<i64>,
    status: String,
    current_load: f64,
    tasks_in_progress: u32,
    metrics: String,
}

impl Record for Heartbeat {
    const KIND: u8 = 52;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { agent_id, heard_at, said_at, status, current_load, tasks_in_progress, metrics } =
            self;
        Ok(codec::encode(&HeartbeatV1 {
            agent_id: *agent_id.as_bytes(),
            heard_at: heard_at.millis(),
            said_at: said_at.map(Timestamp::millis),
            status: status.as_str().to_owned(),
            current_load: *current_load,
            tasks_in_progress: *tasks_in_progress,
            metrics: json_map(metrics)?,
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let HeartbeatV1 {
            agent_id,
            heard_at,
            said_at,
            status,
            current_load,
            tasks_in_progress,
            metrics,
        } = payload.parse(1)?;
        Ok(Self {
            agent_id: AgentId::from_bytes(agent_id),
            heard_at: Timestamp::from_millis(heard_at),
            said_at: said_at.map(Timestamp::from_millis),
            status: word(&status, HeartbeatStatus::parse, "status")?,
            current_load,
            tasks_in_progress,
            metrics: map(&metrics, "metrics")?,
        })
    }
}
