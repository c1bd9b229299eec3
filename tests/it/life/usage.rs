//! What sessions use, and what becomes of them when a bound of their tenant's month is near or
//! reached.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use orchestrator::application::error::AppError;
use orchestrator::application::identity::IdentityService;
use orchestrator::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Put, Write,
};
use orchestrator::application::ports::clock::{Clock as _, Ids as _};
use orchestrator::application::ports::driver::{AgentEvent, TurnEnd};
use orchestrator::application::ports::store::Store as _;
use orchestrator::application::ports::usage::UsageWrite;
use orchestrator::application::session::create::NewSession;
use orchestrator::application::session::explain::Blocker;
use orchestrator::application::usage::query::{GroupBy, UsageQuery};
use orchestrator::domain::attention::Attention;
use orchestrator::domain::event::{EventType, StoredEvent};
use orchestrator::domain::ids::{AgentId, SessionId, TenantId, UsageId};
use orchestrator::domain::money::Usd;
use orchestrator::domain::schedule::blocker::BlockerCode;
use orchestrator::domain::session::PromptMode;
use orchestrator::domain::session::draft::{SessionDraft, SessionPatch};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::quotas::{QuotaName, Quotas};
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::usage::period::{Day, Month};
use orchestrator::domain::usage::price::{Price, PriceRow};
use orchestrator::domain::usage::record::UsageRecord;
use orchestrator::domain::usage::{CostSource, Usage};
use orchestrator::infrastructure::ids::SystemIds;
use serde_json::{Value, json};
use uuid::Uuid;

use super::lab::{Lab, caller, plays};
use super::puppet::{Puppet, Strings};
use crate::support::opencode::eventually;

const OURS: TenantId = TenantId::BOOTSTRAP;

async fn stage() -> (Lab, Arc<Strings>) {
    let strings = Arc::new(Strings::default());
    let lab = Lab::with(Arc::new(Puppet(Arc::clone(&strings)))).await;
    lab.schedule();
    lab.watch_use();
    (lab, strings)
}

/// Bounds the month of the tenant.
async fn bound(lab: &Lab, tokens: Option<u64>, micros: Option<u64>) {
    loop {
        let found = lab.store.snapshot(OURS).await.expect("readable").tenant().await;
        let found = found.expect("readable").expect("there");
        let quotas = Quotas {
            max_tokens_per_month: tokens,
            monthly_budget_micros: micros,
            ..found.value.quotas
        };
        let value = Tenant { quotas, ..found.value };
        let put = Put { expect: Expect::At(found.version), value };
        if lab.store.commit(ChangeSet::new(OURS).write(Write::Tenant(put))).await.is_ok() {
            return;
        }
    }
}

/// One call of the agent is told as used, and its step as complete.
async fn uses(strings: &Strings, key: &str, tokens: u64, cost: Option<f64>) {
    let usage = Usage {
        tokens_input: tokens,
        tokens_cache_read: 1000,
        cost_usd: cost.and_then(Usd::from_dollars),
        reported: true,
        ..Usage::default()
    };
    let model = Some("lab/model".to_owned());
    strings.tell(AgentEvent::Usage { key: key.to_owned(), usage, model }).await;
    strings.tell(AgentEvent::Step { message_ref: key.to_owned() }).await;
}

async fn records(lab: &Lab) -> Vec<UsageRecord> {
    let snapshot = lab.store.snapshot(OURS).await.expect("readable");
    snapshot.usage_records(Timestamp::EPOCH, Timestamp::MAX, None, 1000).await.expect("readable")
}

async fn charged(lab: &Lab) -> (i64, i64) {
    let month = Month::of(lab.clock.now());
    let snapshot = lab.store.snapshot(OURS).await.expect("readable");
    let tokens = snapshot.counter(Counter::MonthTokens(month)).await.expect("readable");
    (tokens, snapshot.counter(Counter::MonthMicros(month)).await.expect("readable"))
}

async fn told(lab: &Lab, wanted: EventType) -> Vec<StoredEvent> {
    let snapshot = lab.store.snapshot(OURS).await.expect("readable");
    let mut events = snapshot.events(0, None, 10_000).await.expect("readable");
    events.retain(|event| event.event.event_type == wanted);
    events
}

async fn blocker(lab: &Lab, id: SessionId) -> Blocker {
    let told = lab.sessions.explain(&caller(), &lab.queue, id).await.expect("explained");
    assert!(!told.blockers.is_empty(), "{told:?}");
    told.blockers[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_quota_of_tokens_pauses_the_work_of_a_tenant_until_it_is_raised() {
    let (lab, strings) = stage().await;
    bound(&lab, Some(1000), None).await;
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    uses(&strings, "a", 850, None).await;
    lab.wait(id, "the news", |session| session.attention == Attention::BudgetSoftLimit).await;
    eventually("the event", async || told(&lab, EventType::UsageSoftLimitReached).await.len() == 1)
        .await;
    // The same call again counts once.
    uses(&strings, "a", 850, None).await;
    uses(&strings, "b", 200, None).await;
    eventually("an order to end the turn", async || strings.aborts.load(SeqCst) > 0).await;
    strings.ends("so far", TurnEnd::Aborted).await;
    let paused = lab.until(id, SessionStatus::Paused).await;
    assert_eq!(paused.status_reason(), Some("budget_exhausted"));
    assert_eq!(charged(&lab).await, (1050, 0));
    let kept = records(&lab).await;
    let turns: Vec<(u64, u64)> =
        kept.iter().map(|record| (record.turn, record.usage.tokens_total())).collect();
    assert_eq!(turns, [(1, 850), (2, 200)], "cache reads are not counted");
    assert!(kept.iter().all(|record| record.cost_source == CostSource::Unknown));
    let soft = told(&lab, EventType::UsageSoftLimitReached).await;
    let hard = told(&lab, EventType::UsageHardLimitReached).await;
    assert_eq!((soft.len(), hard.len()), (1, 1), "each once");
    let payload = &hard[0].event.payload;
    let period = Month::of(lab.clock.now()).to_string();
    assert_eq!(payload["scope"], "max_tokens_per_month");
    assert_eq!((&payload["limit"], &payload["used"]), (&json!(1000), &json!(1050)));
    assert_eq!(payload["period"], Value::String(period));
    // Nothing begins and nothing goes on.
    let refused = lab.sessions.resume(&caller(), id).await.err().expect("refused");
    assert!(
        matches!(refused, AppError::QuotaExceeded { quota: "max_tokens_per_month", .. }),
        "{refused}"
    );
    let why = blocker(&lab, id).await;
    assert_eq!(why.code, BlockerCode::QuotaTokens);
    assert_eq!(why.object.as_deref(), Some("max_tokens_per_month"));
    assert!(why.command.expect("a command").contains("max_tokens_per_month="));
    bound(&lab, Some(100_000), None).await;
    lab.sessions.resume(&caller(), id).await.expect("it goes on");
    eventually("another run", async || strings.starts.load(SeqCst) == 2).await;
    eventually("somebody listens", async || strings.is_playing()).await;
    strings.ends("so far", TurnEnd::Done).await;
    lab.until(id, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stores_too_much_ends_the_turn_and_waits_for_room() {
    let (lab, strings) = stage().await;
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    lab.bound(Quotas { max_storage_mb: Some(1), ..Quotas::UNLIMITED }).await;
    let stored =
        |bytes| ChangeSet::new(OURS).count(Counter::StoredBytes, CounterChange::Add(bytes));
    lab.store.commit(stored(1 << 20)).await.expect("counted");
    uses(&strings, "a", 10, None).await;
    lab.sessions.prompt(&caller(), id, "And this.", PromptMode::Queue).await.expect("taken");
    let new = || NewSession { draft: plays(&json!([])), ..NewSession::default() };
    let is_full = |error: &AppError| {
        matches!(error, AppError::QuotaExceeded { quota: "max_storage_mb", limit: 1, used: 1..=2 })
    };
    let refused = lab.sessions.create(&caller(), new()).await.expect_err("refused");
    assert!(is_full(&refused), "{refused}");
    assert_eq!(strings.aborts.load(SeqCst), 0, "nothing is broken off");
    strings.ends("so far", TurnEnd::Done).await;
    let paused = lab.until(id, SessionStatus::Paused).await;
    assert_eq!(paused.status_reason(), Some("budget_exhausted"));
    let refused = lab.sessions.resume(&caller(), id).await.err().expect("refused");
    assert!(is_full(&refused), "{refused}");
    let why = blocker(&lab, id).await;
    assert_eq!(
        (why.code, why.object.as_deref()),
        (BlockerCode::QuotaStorage, Some("max_storage_mb"))
    );
    assert!(why.command.expect("a command").contains("max_storage_mb="));
    // Room comes back, and what was asked for is done.
    lab.store.commit(stored(-(1 << 20))).await.expect("counted");
    lab.sessions.create(&caller(), new()).await.expect("created");
    lab.sessions.resume(&caller(), id).await.expect("it goes on");
    eventually("another run", async || strings.starts.load(SeqCst) == 2).await;
    eventually("somebody listens", async || strings.is_playing()).await;
    strings.ends("done", TurnEnd::Done).await;
    lab.until(id, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_given_to_nobody_until_the_month_is_over() {
    let lab = Lab::new().await;
    let id = lab.begin(plays(&json!([{ "say": "Done." }]))).await;
    let month = Month::of(lab.clock.now());
    let spent = ChangeSet::new(OURS).count(Counter::MonthMicros(month), CounterChange::Add(500));
    lab.store.commit(spent).await.expect("stored");
    bound(&lab, None, Some(500)).await;
    lab.schedule();
    let new = NewSession { draft: plays(&json!([])), start: true, ..NewSession::default() };
    let refused = lab.sessions.create(&caller(), new).await.expect_err("refused");
    assert!(matches!(refused, AppError::BudgetExhausted { .. }), "{refused}");
    let why = blocker(&lab, id).await;
    assert_eq!(
        (why.code, why.object.as_deref()),
        (BlockerCode::BudgetExhausted, Some("monthly_budget_usd"))
    );
    assert!(why.remedy.contains(&month.end().to_string()), "{}", why.remedy);
    assert_eq!(lab.session(id).await.status(), SessionStatus::Queued);
    lab.clock.jump(month.end().since(lab.clock.now()) + Duration::from_secs(1));
    lab.until(id, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_raised_while_its_turn_is_ended_costs_no_attempt() {
    let (lab, strings) = stage().await;
    let budget_usd = Usd::from_dollars(1.0);
    let id = lab.begin(SessionDraft { budget_usd, ..plays(&json!([])) }).await;
    eventually("a run", async || strings.is_playing()).await;
    uses(&strings, "a", 10, Some(2.0)).await;
    eventually("an order to end the turn", async || strings.aborts.load(SeqCst) == 1).await;
    let raised = Some(Usd::from_dollars(50.0));
    let patch = SessionPatch { budget_usd: raised, ..SessionPatch::default() };
    lab.sessions.patch(&caller(), id, patch).await.expect("raised");
    strings.ends("so far", TurnEnd::Aborted).await;
    eventually("it goes on", async || strings.starts.load(SeqCst) == 2).await;
    eventually("somebody listens", async || strings.is_playing()).await;
    strings.ends("so far", TurnEnd::Done).await;
    let ended = lab.until(id, SessionStatus::Completed).await;
    assert_eq!((ended.run.attempt, ended.metrics.retry_count), (1, 0));
    assert!(ended.metrics.previous_errors.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_say_what_an_agent_does_not_and_days_are_summed_from_the_records() {
    let (lab, strings) = stage().await;
    let usage = lab.usage();
    let price = Price {
        input: Usd::from_dollars(3.0).expect("an amount"),
        output: Usd::from_dollars(15.0).expect("an amount"),
        cache_read: None,
        cache_write: None,
        reasoning: None,
    };
    let rows = vec![PriceRow { pattern: "lab/*".to_owned(), price }];
    usage.set_prices(&caller(), rows).await.expect("set");
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    uses(&strings, "a", 1_000_000, None).await;
    uses(&strings, "b", 1_000_000, Some(1.5)).await;
    strings.ends("so far", TurnEnd::Done).await;
    let ended = lab.until(id, SessionStatus::Completed).await;
    // Three dollars for the input and a thousand cache reads at a tenth, and what was reported.
    let total = Usd::from_micros(3_000_300 + 1_500_000);
    assert_eq!(ended.metrics.usage.cost_usd, Some(total));
    assert_eq!(charged(&lab).await, (2_000_000, total.micros()));
    let sources: Vec<CostSource> =
        records(&lab).await.iter().map(|record| record.cost_source).collect();
    assert_eq!(sources, [CostSource::Computed, CostSource::Reported]);
    usage.roll_up(OURS).await.expect("summed");
    let events = told(&lab, EventType::UsageRollupCompleted).await.len();
    usage.roll_up(OURS).await.expect("summed again");
    assert_eq!(told(&lab, EventType::UsageRollupCompleted).await.len(), events, "nothing changed");
    // A day later the roll-up is the answer, and is the same.
    for days in [0, 1] {
        lab.clock.jump(Duration::from_hours(24 * days));
        usage.roll_up(OURS).await.expect("summed");
        for group_by in [GroupBy::Day, GroupBy::Model, GroupBy::Agent, GroupBy::Session] {
            let from = Some(Day::of(ended.stamps.created_at));
            let query = UsageQuery { from, to: None, group_by };
            let report = usage.usage(&caller(), &query).await.expect("told");
            assert_eq!(report.totals.tokens_total, 2_000_000, "{group_by} after {days} days");
            assert_eq!(report.totals.cost_usd, Some(total));
            assert_eq!((report.groups.len(), report.groups[0].sessions), (1, Some(1)));
        }
    }
    assert!(!told(&lab, EventType::UsagePricesUpdated).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_below_what_was_used_ends_the_work_and_a_raised_one_is_told_of_anew() {
    let (lab, strings) = stage().await;
    let (store, clock) = (Arc::clone(&lab.store) as _, Arc::clone(&lab.clock) as _);
    let identity = IdentityService::new(store, clock, Arc::new(SystemIds));
    identity.load().await.expect("loaded");
    let mut system = caller();
    system.principal.is_system = true;
    let set = async |limit: u64| {
        let wanted = [(QuotaName::MaxTokensPerMonth, Some(limit))];
        identity.set_quotas(&system, "default", &wanted).await.expect("set");
    };
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    uses(&strings, "a", 500, None).await;
    eventually("it is counted", async || charged(&lab).await.0 == 500).await;
    set(400).await;
    eventually("the end", async || told(&lab, EventType::UsageHardLimitReached).await.len() == 1)
        .await;
    assert_eq!(told(&lab, EventType::UsageSoftLimitReached).await.len(), 1);
    eventually("an order to end the turn", async || strings.aborts.load(SeqCst) > 0).await;
    strings.ends("so far", TurnEnd::Aborted).await;
    lab.until(id, SessionStatus::Paused).await;
    set(1000).await;
    lab.sessions.resume(&caller(), id).await.expect("it goes on");
    eventually("another run", async || strings.starts.load(SeqCst) == 2).await;
    eventually("somebody listens", async || strings.is_playing()).await;
    uses(&strings, "b", 400, None).await;
    eventually("the news again", async || {
        told(&lab, EventType::UsageSoftLimitReached).await.len() == 2
    })
    .await;
    assert_eq!(told(&lab, EventType::UsageHardLimitReached).await.len(), 1);
    strings.ends("so far", TurnEnd::Done).await;
    lab.until(id, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_without_use_are_passed_over_however_far_the_clock_is_ahead() {
    let lab = Lab::new().await;
    let usage = lab.usage();
    let first = Day::of(lab.clock.now());
    let record = |at: Timestamp| UsageRecord {
        id: UsageId::new(SystemIds.uuid()),
        tenant_id: OURS,
        session_id: SessionId::new(Uuid::from_u128(1)),
        attempt: 1,
        task_id: None,
        agent_id: AgentId::new(Uuid::from_u128(7)),
        model_identifier: None,
        usage: Usage { tokens_input: 10, ..Usage::default() },
        cost_source: CostSource::Unknown,
        wall_ms: 5,
        turn: 1,
        recorded_at: at,
    };
    let uses = async |at: Timestamp| {
        let set = ChangeSet::new(OURS).write(Write::Usage(UsageWrite::Record(record(at))));
        lab.store.commit(set).await.expect("stored");
    };
    uses(lab.clock.now()).await;
    usage.roll_up(OURS).await.expect("summed");
    lab.clock.jump(Duration::from_hours(24 * 100));
    uses(lab.clock.now()).await;
    // The clock of the machine is wrong by decades.
    lab.clock.jump(Duration::from_hours(24 * 365 * 70));
    lab.store.looks.store(0, SeqCst);
    usage.roll_up(OURS).await.expect("summed");
    assert!(lab.store.looks.load(SeqCst) < 10, "it looked at {:?} days", lab.store.looks);
    let snapshot = lab.store.snapshot(OURS).await.expect("readable");
    for day in [first, Day::from_number(first.number() + 100)] {
        let found = snapshot.usage_day(day).await.expect("readable").expect("summed").value;
        assert!(found.is_whole() && found.rows[0].sums.tokens_total == 10, "{day}");
    }
    assert_eq!(
        snapshot.last_usage_day().await.expect("readable").map(Day::number),
        Some(first.number() + 100)
    );
}
