//! Records of use, roll-ups of days, prices, and what was told of bounds.

use serde::{Deserialize, Serialize};

use super::attempt::UsageV1;
use super::{Payload, Record, Unreadable, Unstorable, word};
use crate::domain::ids::{AgentId, SessionId, TaskId, TenantId, UsageId};
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;
use crate::domain::usage::CostSource;
use crate::domain::usage::budget::BudgetLevel;
use crate::domain::usage::month::LimitsTold;
use crate::domain::usage::period::{Day, Month};
use crate::domain::usage::price::{Price, PriceRow, PriceTable};
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::{DayRow, DayUsage, Sums};
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct UsageRecordV1 {
    id: [u8; 16],
    tenant_id: [u8; 16],
    session_id: [u8; 16],
    attempt: u32,
    task_id: Option<[u8; 16]>,
    agent_id: [u8; 16],
    model_identifier: Option<String>,
    usage: UsageV1,
    cost_source: String,
    wall_ms: u64,
    turn: u64,
    recorded_at: i64,
}

impl Record for UsageRecord {
    const KIND: u8 = 30;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self {
            id,
            tenant_id,
            session_id,
            attempt,
            task_id,
            agent_id,
            model_identifier,
            usage,
            cost_source,
            wall_ms,
            turn,
            recorded_at,
        } = self;
        Ok(codec::encode(&UsageRecordV1 {
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            session_id: *session_id.as_bytes(),
            attempt: *attempt,
            task_id: task_id.map(|id| *id.as_bytes()),
            agent_id: *agent_id.as_bytes(),
            model_identifier: model_identifier.clone(),
            usage: UsageV1::of(usage),
            cost_source: cost_source.as_str().to_owned(),
            wall_ms: *wall_ms,
            turn: *turn,
            recorded_at: recorded_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let UsageRecordV1 {
            id,
            tenant_id,
            session_id,
            attempt,
            task_id,
            agent_id,
            model_identifier,
            usage,
            cost_source,
            wall_ms,
            turn,
            recorded_at,
        } = payload.parse(1)?;
        Ok(Self {
            id: UsageId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            session_id: SessionId::from_bytes(session_id),
            attempt,
            task_id: task_id.map(TaskId::from_bytes),
            agent_id: AgentId::from_bytes(agent_id),
            model_identifier,
            usage: usage.domain(),
            cost_source: word(&cost_source, CostSource::parse, "cost_source")?,
            wall_ms,
            turn,
            recorded_at: Timestamp::from_millis(recorded_at),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct SumsV1 {
    records: u64,
    unpriced: u64,
    tokens_input: u64,
    tokens_output: u64,
    tokens_cache_read: u64,
    tokens_cache_write: u64,
    tokens_reasoning: u64,
    tokens_total: u64,
    cost_micros: Option<i64>,
    wall_ms: u64,
}

fn sums_v1(sums: &Sums) -> SumsV1 {
    let Sums {
        records,
        unpriced,
        tokens_input,
        tokens_output,
        tokens_cache_read,
        tokens_cache_write,
        tokens_reasoning,
        tokens_total,
        cost_usd,
        wall_ms,
    } = *sums;
    SumsV1 {
        records,
        unpriced,
        tokens_input,
        tokens_output,
        tokens_cache_read,
        tokens_cache_write,
        tokens_reasoning,
        tokens_total,
        cost_micros: cost_usd.map(Usd::micros),
        wall_ms,
    }
}

fn sums(stored: &SumsV1) -> Sums {
    let SumsV1 {
        records,
        unpriced,
        tokens_input,
        tokens_output,
        tokens_cache_read,
        tokens_cache_write,
        tokens_reasoning,
        tokens_total,
        cost_micros,
        wall_ms,
    } = *stored;
    Sums {
        records,
        unpriced,
        tokens_input,
        tokens_output,
        tokens_cache_read,
        tokens_cache_write,
        tokens_reasoning,
        tokens_total,
        cost_usd: cost_micros.map(Usd::from_micros),
        wall_ms,
    }
}

#[derive(Serialize, Deserialize)]
struct DayRowV1 {
    model: Option<String>,
    agent_id: [u8; 16],
    simulated: bool,
    sessions: u64,
    sums: SumsV1,
}

#[derive(Serialize, Deserialize)]
struct DayUsageV1 {
    version: u64,
    day: u32,
    made_at: i64,
    sessions: (u64, u64),
    rows: Vec<DayRowV1>,
}

impl Record for Versioned<DayUsage> {
    const KIND: u8 = 31;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let DayUsage { day, made_at, sessions, rows } = &self.value;
        let row = |row: &DayRow| {
            let DayRow { model, agent_id, simulated, sessions, sums } = row;
            DayRowV1 {
                model: model.clone(),
                agent_id: *agent_id.as_bytes(),
                simulated: *simulated,
                sessions: *sessions,
                sums: sums_v1(sums),
            }
        };
        Ok(codec::encode(&DayUsageV1 {
            version: self.version.get(),
            day: day.number(),
            made_at: made_at.millis(),
            sessions: *sessions,
            rows: rows.iter().map(row).collect(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let DayUsageV1 { version, day, made_at, sessions, rows } = payload.parse(1)?;
        let row = |stored: DayRowV1| {
            let DayRowV1 { model, agent_id, simulated, sessions, sums: stored } = stored;
            let agent_id = AgentId::from_bytes(agent_id);
            DayRow { model, agent_id, simulated, sessions, sums: sums(&stored) }
        };
        let value = DayUsage {
            day: Day::from_number(day),
            made_at: Timestamp::from_millis(made_at),
            sessions,
            rows: rows.into_iter().map(row).collect(),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct PriceRowV1 {
    pattern: String,
    input: i64,
    output: i64,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    reasoning: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct PricesV1 {
    version: u64,
    rows: Vec<PriceRowV1>,
}

impl Record for Versioned<PriceTable> {
    const KIND: u8 = 32;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let row = |row: &PriceRow| {
            let Price { input, output, cache_read, cache_write, reasoning } = row.price;
            PriceRowV1 {
                pattern: row.pattern.clone(),
                input: input.micros(),
                output: output.micros(),
                cache_read: cache_read.map(Usd::micros),
                cache_write: cache_write.map(Usd::micros),
                reasoning: reasoning.map(Usd::micros),
            }
        };
        let rows = self.value.rows().iter().map(row).collect();
        Ok(codec::encode(&PricesV1 { version: self.version.get(), rows })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let PricesV1 { version, rows } = payload.parse(1)?;
        let row = |stored: PriceRowV1| {
            let PriceRowV1 { pattern, input, output, cache_read, cache_write, reasoning } = stored;
            let price = Price {
                input: Usd::from_micros(input),
                output: Usd::from_micros(output),
                cache_read: cache_read.map(Usd::from_micros),
                cache_write: cache_write.map(Usd::from_micros),
                reasoning: reasoning.map(Usd::from_micros),
            };
            PriceRow { pattern, price }
        };
        let value = PriceTable::stored(rows.into_iter().map(row).collect());
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct LimitsToldV1 {
    version: u64,
    month: Option<u32>,
    cost: Option<String>,
    tokens: Option<String>,
}

impl Record for Versioned<LimitsTold> {
    const KIND: u8 = 33;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let LimitsTold { month, cost, tokens } = self.value;
        let word = |level: Option<BudgetLevel>| level.map(|level| level.as_str().to_owned());
        Ok(codec::encode(&LimitsToldV1 {
            version: self.version.get(),
            month: month.map(Month::number),
            cost: word(cost),
            tokens: word(tokens),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let LimitsToldV1 { version, month, cost, tokens } = payload.parse(1)?;
        let level = |slug: Option<String>, field| {
            slug.map(|slug| word(&slug, BudgetLevel::parse, field)).transpose()
        };
        let value = LimitsTold {
            month: month.map(Month::from_number),
            cost: level(cost, "cost")?,
            tokens: level(tokens, "tokens")?,
        };
        Ok(Self { version: Version::new(version), value })
    }
}
