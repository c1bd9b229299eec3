//! What was used, its roll-ups, and prices.

use super::*;
use crate::domain::ids::UsageId;
use crate::domain::usage::CostSource;
use crate::domain::usage::month::LimitsTold;
use crate::domain::usage::period::{Day, Month};
use crate::domain::usage::price::{Price, PriceRow, PriceTable};
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::{DayRow, DayUsage, Sums};

#[test]
fn use_is_written_as_ever() {
    let record = UsageRecord {
        id: UsageId::new(id(13)),
        tenant_id: TenantId::new(id(1)),
        session_id: SessionId::new(id(2)),
        attempt: 2,
        task_id: Some(TaskId::new(id(4))),
        agent_id: AgentId::new(id(7)),
        model_identifier: Some("a/b".to_owned()),
        usage: usage(),
        cost_source: CostSource::Computed,
        wall_ms: 1500,
        turn: 3,
        recorded_at: at(1),
    };
    check("usage", &record);
    let sums = Sums { cost_usd: Some(Usd::from_micros(9)), ..Sums::of(&record) };
    let row = DayRow {
        model: Some("a/b".to_owned()),
        agent_id: AgentId::new(id(7)),
        simulated: true,
        sessions: 1,
        sums,
    };
    let day = Day::of(at(1));
    check(
        "usage_day",
        &versioned(DayUsage { day, made_at: at(2), sessions: (0, 1), rows: vec![row] }),
    );
    let dollars = |micros| Usd::from_micros(micros);
    let price = Price {
        input: dollars(3_000_000),
        output: dollars(15_000_000),
        cache_read: Some(dollars(300_000)),
        cache_write: None,
        reasoning: Some(dollars(0)),
    };
    let rows = vec![PriceRow { pattern: "a/*".to_owned(), price }];
    check("prices", &versioned(PriceTable::new(rows).expect("valid")));
    let month = Some(Month::from_number(682));
    let told = LimitsTold { month, cost: None, tokens: Some(BudgetLevel::Hard) };
    check("limits_told", &versioned(told));
}
