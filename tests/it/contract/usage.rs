//! What was used: records by time, roll-ups by day, prices, and the counters of a month.

use orchestrator::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Put, Write,
};
use orchestrator::application::ports::clock::Ids;
use orchestrator::application::ports::reads::Recount;
use orchestrator::application::ports::store::{CommitError, Store};
use orchestrator::application::ports::usage::UsageWrite;
use orchestrator::domain::ids::{AgentId, SessionId, TenantId, UsageId};
use orchestrator::domain::money::Usd;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::usage::budget::BudgetLevel;
use orchestrator::domain::usage::month::{LimitsTold, counted};
use orchestrator::domain::usage::period::{Day, Month};
use orchestrator::domain::usage::price::{Price, PriceRow, PriceTable};
use orchestrator::domain::usage::record::UsageRecord;
use orchestrator::domain::usage::rollup::DayTally;
use orchestrator::domain::usage::{CostSource, Usage};
use orchestrator::domain::version::Version;
use orchestrator::infrastructure::ids::SystemIds;
use proptest::prelude::*;
use uuid::Uuid;

use super::fixtures::{Kit, SetClock, TENANT, at, neighbour, open_redb};
use super::for_both_stores;

for_both_stores!(
    records_are_read_by_time_and_never_written_twice,
    what_another_tenant_used_does_not_exist,
    days_and_prices_are_kept_by_version,
    counters_of_months_stand_apart,
    what_was_told_of_bounds_is_kept_beside_the_tenant,
    what_is_whole_is_not_replaced_as_damaged,
);

const DAY: i64 = 86_400_000;

fn record(
    tenant_id: TenantId,
    recorded_at: Timestamp,
    tokens: u64,
    simulated: bool,
) -> UsageRecord {
    let cost = Usd::from_micros(i64::try_from(tokens).expect("small"));
    UsageRecord {
        id: UsageId::new(SystemIds.uuid()),
        tenant_id,
        session_id: SessionId::new(Uuid::from_u128(u128::from(tokens % 3))),
        attempt: 1,
        task_id: None,
        agent_id: AgentId::new(Uuid::from_u128(7)),
        model_identifier: Some("lab/model".to_owned()),
        usage: Usage { tokens_input: tokens, cost_usd: Some(cost), simulated, ..Usage::default() },
        cost_source: CostSource::Reported,
        wall_ms: 5,
        turn: 1,
        recorded_at,
    }
}

fn written(record: &UsageRecord) -> Write {
    Write::Usage(UsageWrite::Record(record.clone()))
}

/// Stores a record as a report does: with its counters.
async fn store(kit: &dyn Store, record: &UsageRecord) {
    let month = Month::of(record.recorded_at);
    let set = ChangeSet::new(record.tenant_id)
        .write(written(record))
        .count(Counter::MonthTokens(month), CounterChange::Add(record.charged_tokens()))
        .count(Counter::MonthMicros(month), CounterChange::Add(record.charged_micros()));
    kit.commit(set).await.expect("stored");
}

async fn records_are_read_by_time_and_never_written_twice(kit: Kit) {
    let all: Vec<UsageRecord> =
        [5, 1, 9, 1].iter().map(|ms| record(TENANT, at(*ms), 10, false)).collect();
    for one in &all {
        store(kit.store.as_ref(), one).await;
    }
    let again = ChangeSet::new(TENANT).write(written(&all[0]));
    assert!(matches!(kit.store.commit(again).await, Err(CommitError::Stale)));
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let times = |found: &[UsageRecord]| -> Vec<i64> {
        found.iter().map(|record| record.recorded_at.millis() - at(0).millis()).collect()
    };
    let span = snapshot.usage_records(at(1), at(9), None, 100).await.expect("read");
    assert_eq!(times(&span), [1, 1, 5], "the end is not included");
    let first = snapshot.usage_records(at(0), at(10), None, 1).await.expect("read");
    let cursor = Some((first[0].recorded_at, first[0].id));
    let rest = snapshot.usage_records(at(0), at(10), cursor, 100).await.expect("read");
    assert_eq!(times(&rest), [1, 5, 9]);
    assert!(!rest.contains(&first[0]));
    assert!(all.contains(&first[0]));
}

async fn what_another_tenant_used_does_not_exist(kit: Kit) {
    store(kit.store.as_ref(), &record(TENANT, at(1), 10, false)).await;
    let foreign = ChangeSet::new(neighbour()).write(written(&record(TENANT, at(2), 10, false)));
    assert!(kit.store.commit(foreign).await.is_err());
    let snapshot = kit.store.snapshot(neighbour()).await.expect("a snapshot");
    assert!(snapshot.usage_records(at(0), at(9), None, 9).await.expect("read").is_empty());
    let month = Counter::MonthTokens(Month::of(at(1)));
    assert_eq!(snapshot.counter(month).await.expect("read"), 0);
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert_eq!(fleet.counter(TENANT, month).await.expect("read"), 10);
    assert_eq!(fleet.counter(neighbour(), month).await.expect("read"), 0);
}

async fn days_and_prices_are_kept_by_version(kit: Kit) {
    let mut tally = DayTally::default();
    tally.add(&record(TENANT, at(1), 10, false));
    let day = Day::of(at(1));
    let made = tally.finish(day, at(2));
    let put = |expect| {
        let write = UsageWrite::Day(Put { expect, value: made.clone() });
        ChangeSet::new(TENANT).write(Write::Usage(write))
    };
    kit.store.commit(put(Expect::Absent)).await.expect("stored");
    assert!(matches!(kit.store.commit(put(Expect::Absent)).await, Err(CommitError::Stale)));
    kit.store.commit(put(Expect::At(Version::FIRST))).await.expect("stored");
    let price = Price {
        input: Usd::from_micros(1),
        output: Usd::from_micros(2),
        cache_read: None,
        cache_write: None,
        reasoning: None,
    };
    let table = PriceTable::new(vec![PriceRow { pattern: "a/*".to_owned(), price }]);
    let value = table.expect("valid");
    let put = Put { expect: Expect::Absent, value: value.clone() };
    let set = ChangeSet::new(TENANT).write(Write::Usage(UsageWrite::Prices(put)));
    kit.store.commit(set).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let found = snapshot.usage_day(day).await.expect("read").expect("there");
    assert_eq!((found.version.get(), found.value), (2, made));
    assert_eq!(snapshot.usage_day(day.next()).await.expect("read"), None);
    assert_eq!(snapshot.last_usage_day().await.expect("read"), Some(day));
    let prices = snapshot.prices().await.expect("read").expect("there");
    assert_eq!((prices.version, prices.value), (Version::FIRST, value));
    let other = kit.store.snapshot(neighbour()).await.expect("a snapshot");
    assert_eq!(other.last_usage_day().await.expect("read"), None);
    assert!(other.prices().await.expect("read").is_none());
}

async fn counters_of_months_stand_apart(kit: Kit) {
    let (this, next) = (Month::of(at(0)), Month::of(Month::of(at(0)).end()));
    store(kit.store.as_ref(), &record(TENANT, at(0), 10, false)).await;
    store(kit.store.as_ref(), &record(TENANT, next.start(), 7, false)).await;
    store(kit.store.as_ref(), &record(TENANT, next.start(), 99, true)).await;
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    for (month, tokens) in [(this, 10), (next, 7)] {
        for counter in [Counter::MonthTokens(month), Counter::MonthMicros(month)] {
            assert_eq!(snapshot.counter(counter).await.expect("read"), tokens, "{counter:?}");
        }
    }
}

fn told(expect: Expect, tokens: BudgetLevel) -> ChangeSet {
    let month = Some(Month::of(at(0)));
    let value = LimitsTold { month, cost: None, tokens: Some(tokens) };
    let put = Put { expect, value };
    ChangeSet::new(TENANT).write(Write::Usage(UsageWrite::LimitsTold(put)))
}

async fn what_was_told_of_bounds_is_kept_beside_the_tenant(kit: Kit) {
    kit.store.commit(told(Expect::Absent, BudgetLevel::Soft)).await.expect("stored");
    let again = kit.store.commit(told(Expect::Absent, BudgetLevel::Soft)).await;
    assert!(matches!(again, Err(CommitError::Stale)));
    let next = told(Expect::At(Version::FIRST), BudgetLevel::Hard);
    kit.store.commit(next).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let found = snapshot.limits_told().await.expect("read").expect("there");
    assert_eq!((found.version.get(), found.value.tokens), (2, Some(BudgetLevel::Hard)));
    let other = kit.store.snapshot(neighbour()).await.expect("a snapshot");
    assert!(other.limits_told().await.expect("read").is_none());
}

async fn what_is_whole_is_not_replaced_as_damaged(kit: Kit) {
    for _ in 0..2 {
        let refused = kit.store.commit(told(Expect::Damaged, BudgetLevel::Soft)).await;
        assert!(matches!(refused, Err(CommitError::Stale)), "nothing there, or nothing damaged");
        kit.store.commit(told(Expect::Absent, BudgetLevel::Soft)).await.ok();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever was used: the counters are the sum of the records before and after a start, and a
    /// recount finds by how much a counter is wrong.
    #[test]
    fn counters_are_the_sum_of_the_records_after_every_start(
        used in proptest::collection::vec((-40..2_i64, 0..5_000_u64, any::<bool>()), 0..40),
        wrong in -500..500_i64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (clock, dir) = (SetClock::new(), tempfile::tempdir().expect("a directory"));
            clock.set(at(0));
            let store_of = open_redb(dir.path(), &clock);
            let mut records = Vec::new();
            for (days, tokens, simulated) in used {
                let one = record(TENANT, at(days * DAY), tokens, simulated);
                store(store_of.as_ref(), &one).await;
                records.push(one);
            }
            store_of.close().await;
            drop(store_of);
            let store_of = open_redb(dir.path(), &clock);
            let this = Month::of(at(0));
            let sums = counted(&records);
            for month in [this.before(), this] {
                let (tokens, micros) = sums.get(&month).copied().unwrap_or_default();
                for (counter, sum) in
                    [(Counter::MonthTokens(month), tokens), (Counter::MonthMicros(month), micros)]
                {
                    let spoilt = ChangeSet::new(TENANT).count(counter, CounterChange::Add(wrong));
                    for (by, set) in [(0, None), (wrong, Some(spoilt))] {
                        if let Some(set) = set {
                            store_of.commit(set).await.expect("stored");
                        }
                        let fleet = store_of.fleet().await.expect("a fleet");
                        let found = fleet.recount(TENANT, counter).await.expect("read");
                        let expected = Recount { stored: Some(sum + by), counted: sum };
                        assert_eq!(found, Some(expected), "{counter:?}");
                    }
                }
            }
            store_of.close().await;
        });
    }
}
