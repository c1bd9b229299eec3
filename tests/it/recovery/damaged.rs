//! Rows of use that cannot be read any more: they are replaced, made anew or counted again, and
//! nobody else waits for them.

use std::sync::Arc;

use orchestrator::application::daily::{Daily, Job, Kept};
use orchestrator::application::error::AppError;
use orchestrator::application::ports::changes::{ChangeSet, Counter, CounterChange, Write};
use orchestrator::application::ports::clock::{Clock, Ids as _};
use orchestrator::application::ports::store::{Store, StoreError};
use orchestrator::application::ports::usage::UsageWrite;
use orchestrator::application::principal::RequestContext;
use orchestrator::application::scheduler::wake::Wake;
use orchestrator::application::session::{SessionOptions, SessionService};
use orchestrator::application::usage::UsageService;
use orchestrator::application::usage::query::{GroupBy, UsageQuery};
use orchestrator::domain::ids::{AgentId, SessionId, TenantId, UsageId};
use orchestrator::domain::money::Usd;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::usage::period::{Day, Month};
use orchestrator::domain::usage::price::{Price, PriceRow};
use orchestrator::domain::usage::record::UsageRecord;
use orchestrator::domain::usage::{CostSource, Usage};
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::redb::{Medium as _, RedbOptions, RedbStore};
use orchestrator::infrastructure::workspaces::{Folders, WorkspaceOptions};
use redb::{Builder, ReadableDatabase as _, ReadableTable as _};
use tempfile::TempDir;
use uuid::Uuid;

use super::disk::Disk;
use crate::contract::fixtures::{SetClock, TENANT, at, fresh, neighbour, open_redb};
use crate::life::lab::caller;
use crate::support::app::audit;
use crate::support::opencode::eventually;

const DAY: i64 = 24 * 3600 * 1000;

/// A server's services over the store of a directory.
struct Bench {
    dir: TempDir,
    clock: Arc<SetClock>,
    store: Arc<RedbStore>,
}

impl Bench {
    async fn new() -> Self {
        let (dir, clock) = (TempDir::new().expect("a directory"), SetClock::new());
        let store = open_redb(dir.path(), &clock);
        for tenant in [TENANT, neighbour()] {
            let slug = tenant.to_string();
            let made = Tenant { id: tenant, slug, ..Tenant::bootstrap(at(0)) };
            let set = ChangeSet::new(tenant).write(Write::Tenant(fresh(made)));
            store.commit(set).await.expect("made");
        }
        Self { dir, clock, store }
    }

    fn sessions(&self) -> SessionService {
        let options = WorkspaceOptions {
            root: self.dir.path().join("workspaces"),
            closed: Vec::new(),
            allowed_roots: Vec::new(),
            git: "git".into(),
        };
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let folders = Folders::new(options, Arc::clone(&clock), Arc::new(SystemIds));
        SessionService::new(
            Arc::clone(&self.store) as _,
            Arc::new(folders),
            clock,
            Arc::new(SystemIds),
            Wake::default(),
            SessionOptions::default(),
        )
    }

    fn usage(&self) -> UsageService {
        let (store, clock) = (Arc::clone(&self.store) as _, Arc::clone(&self.clock) as _);
        UsageService::new(store, clock, self.sessions())
    }

    fn daily(&self) -> Daily {
        let store: Arc<dyn Store> = Arc::clone(&self.store) as _;
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let audit = audit(&store, &clock);
        Daily::new(store, clock, self.sessions(), audit, Kept::default())
    }

    /// Spoils rows of a table while the store is closed; how many.
    async fn spoil(mut self, table: &str, which: impl Fn(&[u8]) -> bool) -> (Self, usize) {
        self.store.close().await;
        let file = self.dir.path().join("store.redb");
        let database = redb::Database::create(file).expect("the file opens");
        let definition = redb::TableDefinition::<&[u8], &[u8]>::new(table);
        let rows: Vec<(Vec<u8>, Vec<u8>)> = {
            let reading = database.begin_read().expect("readable");
            let rows = reading.open_table(definition).expect("there");
            let rows = rows.iter().expect("readable").map(|row| row.expect("readable"));
            rows.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).collect()
        };
        let rows: Vec<_> = rows.into_iter().filter(|(key, _)| which(key)).collect();
        let writing = database.begin_write().expect("writable");
        {
            let mut open = writing.open_table(definition).expect("there");
            for (key, value) in &rows {
                let mut value = value.clone();
                *value.last_mut().expect("not empty") ^= 0xff;
                open.insert(key.as_slice(), value.as_slice()).expect("spoilt");
            }
        }
        writing.commit().expect("spoilt");
        drop(database);
        self.store = open_redb(self.dir.path(), &self.clock);
        (self, rows.len())
    }

    async fn counter(&self, tenant: TenantId, counter: Counter) -> i64 {
        let fleet = self.store.fleet().await.expect("a fleet");
        fleet.counter(tenant, counter).await.expect("readable")
    }
}

fn record(tenant_id: TenantId, recorded_at: Timestamp, tokens: u64) -> UsageRecord {
    UsageRecord {
        id: UsageId::new(SystemIds.uuid()),
        tenant_id,
        session_id: SessionId::new(Uuid::from_u128(3)),
        attempt: 1,
        task_id: None,
        agent_id: AgentId::new(Uuid::from_u128(7)),
        model_identifier: Some("lab/model".to_owned()),
        usage: Usage {
            tokens_input: tokens,
            cost_usd: Some(Usd::from_micros(5)),
            ..Usage::default()
        },
        cost_source: CostSource::Reported,
        wall_ms: 5,
        turn: 1,
        recorded_at,
    }
}

/// The change set that a report makes of a record.
fn charged(record: UsageRecord) -> ChangeSet {
    let month = Month::of(record.recorded_at);
    ChangeSet::new(record.tenant_id)
        .count(Counter::MonthTokens(month), CounterChange::Add(record.charged_tokens()))
        .count(Counter::MonthMicros(month), CounterChange::Add(record.charged_micros()))
        .write(Write::Usage(UsageWrite::Record(record)))
}

fn row(pattern: &str) -> PriceRow {
    let one = Usd::from_micros(1);
    let price =
        Price { input: one, output: one, cache_read: None, cache_write: None, reasoning: None };
    PriceRow { pattern: pattern.to_owned(), price }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_prices_are_replaced_and_kept_aside() {
    let bench = Bench::new().await;
    bench.usage().set_prices(&caller(), vec![row("a/*"), row("b/*")]).await.expect("set");
    let (bench, spoilt) = bench.spoil("prices.k1", |_| true).await;
    assert_eq!(spoilt, 1);
    let usage = bench.usage();
    let read = usage.prices(&caller()).await.expect_err("damaged");
    assert!(matches!(read, AppError::RecordQuarantined), "{read:?}");
    let based = RequestContext { if_match: Some(1), ..caller() };
    let refused = usage.set_prices(&based, vec![row("c/*")]).await.expect_err("nobody knows");
    assert!(matches!(refused, AppError::VersionMismatch { .. }), "{refused:?}");
    let set = usage.set_prices(&caller(), vec![row("c/*")]).await.expect("replaced");
    let read = usage.prices(&caller()).await.expect("readable again");
    assert_eq!((read.version, read.value), (set.version, set.value));
    eventually("it is counted", async || bench.store.health().quarantined == 1).await;
    // An empty table is a table too.
    let (bench, _) = bench.spoil("prices.k1", |_| true).await;
    bench.usage().set_prices(&caller(), Vec::new()).await.expect("emptied");
    assert!(bench.usage().prices(&caller()).await.expect("readable").value.rows().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_roll_up_is_made_anew_from_the_records() {
    let bench = Bench::new().await;
    for (days, tokens) in [(-3, 10), (-1, 20), (0, 40)] {
        bench.store.commit(charged(record(TENANT, at(days * DAY), tokens))).await.expect("stored");
    }
    bench.usage().roll_up(TENANT).await.expect("summed");
    let (bench, spoilt) = bench.spoil("usage_days.k1", |_| true).await;
    assert_eq!(spoilt, 3);
    let usage = bench.usage();
    usage.roll_up(TENANT).await.expect("summed again");
    let days = [-3, -1, 0].map(|days| Day::of(at(days * DAY)));
    let day = async |day: Day| {
        let snapshot = bench.store.snapshot(TENANT).await.expect("a snapshot");
        snapshot.usage_day(day).await.map(|found| found.expect("there").value.rows[0].sums)
    };
    for (at, tokens) in [(days[1], 20), (days[2], 40)] {
        assert_eq!(day(at).await.expect("readable").tokens_total, tokens, "{at}");
    }
    assert!(matches!(day(days[0]).await, Err(StoreError::Quarantined)), "nobody looked at it");
    // Whoever asks for a day that is long over is answered by its records, and has it made anew.
    let query = UsageQuery { from: Some(days[0]), to: None, group_by: GroupBy::Day };
    let report = usage.usage(&caller(), &query).await.expect("told");
    assert_eq!(report.totals.tokens_total, 70);
    assert_eq!(day(days[0]).await.expect("readable").tokens_total, 10);
    eventually("they are counted", async || bench.store.health().quarantined == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_counter_is_counted_anew_and_keeps_nobody_waiting() {
    let bench = Bench::new().await;
    let month = Month::of(at(0));
    let (tokens, micros) = (Counter::MonthTokens(month), Counter::MonthMicros(month));
    for tenant in [TENANT, neighbour()] {
        for used in [10, 20] {
            bench.store.commit(charged(record(tenant, at(0), used))).await.expect("stored");
        }
    }
    let wrong = ChangeSet::new(neighbour()).count(tokens, CounterChange::Add(999));
    bench.store.commit(wrong).await.expect("spoilt");
    let own = *TENANT.uuid().as_bytes();
    // Those of the month; the others are counted by every opening.
    let (bench, spoilt) =
        bench.spoil("counters.k1", move |key| key.starts_with(&own) && key[16] >= 32).await;
    assert_eq!(spoilt, 2);
    assert_eq!(
        (bench.counter(TENANT, tokens).await, bench.counter(TENANT, micros).await),
        (30, 10)
    );
    assert!(bench.daily().job(Job::Counters).await.expect("done") >= 3);
    let fleet = bench.store.fleet().await.expect("a fleet");
    for tenant in [TENANT, neighbour()] {
        for counter in [tokens, micros] {
            let recount = fleet.recount(tenant, counter).await.expect("read").expect("rows");
            let sum = if counter == tokens { 30 } else { 10 };
            assert_eq!((recount.stored, recount.counted), (Some(sum), sum), "{counter:?}");
        }
    }
    drop(fleet);
    assert_eq!(bench.daily().job(Job::Counters).await.expect("done"), 0, "it is done");
    // What is used meanwhile is counted on top of what the rows say, once.
    let (bench, _) =
        bench.spoil("counters.k1", move |key| key.starts_with(&own) && key[16] >= 32).await;
    bench.store.commit(charged(record(TENANT, at(1), 5))).await.expect("counted");
    assert_eq!(
        (bench.counter(TENANT, tokens).await, bench.counter(TENANT, micros).await),
        (35, 15)
    );
}

/// Opens the store with hardly any cache, so that whatever is read is read from the disk.
fn open_uncached(disk: &Disk) -> Arc<RedbStore> {
    let options = RedbOptions { cache_bytes: 64 * 1024, ..RedbOptions::new("/nowhere") };
    let clock = SetClock::new() as Arc<dyn Clock>;
    let opened = RedbStore::open_on(Box::new(disk.clone()), options, clock, Arc::new(SystemIds));
    opened.expect("it opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_reads_no_records_of_use() {
    let disk = Disk::default();
    let store = open_uncached(&disk);
    for batch in 0..200 {
        let mut set = ChangeSet::new(TENANT);
        for one in 0..100 {
            let record = record(TENANT, at(batch * 100 + one), 1);
            set = set.write(Write::Usage(UsageWrite::Record(record)));
        }
        store.commit(set).await.expect("stored");
    }
    store.close().await;
    drop(store);
    // What the engine reads by itself, which in tests looks through the whole file.
    let before = disk.bytes_read();
    drop(disk.open(Builder::new().set_cache_size(64 * 1024)).expect("it opens"));
    let engine = disk.bytes_read() - before;
    let store = open_uncached(&disk);
    let ours = disk.bytes_read() - before - engine;
    store.close().await;
    assert!(ours < engine + 512 * 1024, "opening read {ours} bytes, the engine {engine}");
}
