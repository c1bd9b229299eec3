//! Once a day: what is due is gone, what is kept is kept, and counters say what the rows say.

use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::agent::Departure;
use orchestrator::application::daily::{Daily, Job, Kept};
use orchestrator::application::error::AppError;
use orchestrator::application::events::{Deltas, EventService};
use orchestrator::application::ports::changes::{ChangeSet, Counter, CounterChange};
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::store::Store;
use orchestrator::application::principal::RequestContext;
use orchestrator::application::session::create::NewSession;
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::event::EventType;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::retention::Retention;
use serde_json::json;

use super::lab::{Lab, caller, plays};
use crate::support::app::audit;
use crate::support::opencode::eventually;

const DAY: Duration = Duration::from_hours(24);

fn daily(lab: &Lab) -> Daily {
    daily_with(lab, Kept { leap: None, ..Kept::default() })
}

fn daily_with(lab: &Lab, kept: Kept) -> Daily {
    let store: Arc<dyn Store> = Arc::clone(&lab.store) as _;
    let clock: Arc<dyn Clock> = Arc::clone(&lab.clock) as _;
    let audit = audit(&store, &clock);
    Daily::new(store, clock, lab.sessions.clone(), audit, kept)
}

/// Whether a session is shown, only deleted, or gone.
async fn place(lab: &Lab, id: SessionId) -> &'static str {
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    if snapshot.session(id).await.expect("readable").is_some() {
        return "shown";
    }
    let deleted = snapshot.deleted_session(id).await.expect("readable").is_some();
    if deleted { "deleted" } else { "gone" }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_sessions_are_deleted_and_later_gone_and_open_ones_stay() {
    let lab = Lab::new().await;
    lab.schedule();
    let ended = lab.begin(plays(&json!([]))).await;
    lab.until(ended, SessionStatus::Completed).await;
    let new = NewSession { draft: plays(&json!([])), ..NewSession::default() };
    let open = lab.sessions.create(&caller(), new).await.expect("created").value.id;
    let daily = daily(&lab);
    lab.clock.jump(DAY * 29);
    daily.everything().await;
    assert_eq!((place(&lab, ended).await, place(&lab, open).await), ("shown", "shown"));
    let late = lab.begin(plays(&json!([]))).await;
    lab.until(late, SessionStatus::Completed).await;
    lab.clock.jump(DAY * 2);
    assert_eq!(daily.job(Job::Sessions).await.expect("done"), 1);
    assert_eq!(daily.job(Job::Sessions).await.expect("done"), 0, "it is done");
    assert_eq!((place(&lab, ended).await, place(&lab, late).await), ("deleted", "shown"));
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    assert_eq!(snapshot.counter(Counter::OpenSessions).await.expect("read"), 1);
    assert!(!snapshot.checkpoints(ended).await.expect("read").is_empty());
    drop(snapshot);
    lab.clock.jump(DAY * 31);
    daily.everything().await;
    assert_eq!((place(&lab, ended).await, place(&lab, late).await), ("gone", "deleted"));
    assert_eq!(place(&lab, open).await, "shown", "whatever its age");
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    assert!(snapshot.checkpoints(ended).await.expect("read").is_empty());
    drop(snapshot);
    // A code is never used again.
    let next = lab.begin(plays(&json!([]))).await;
    assert_eq!(lab.session(next).await.code.to_string(), "IND-000004");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_events_are_gone_and_who_reads_on_from_them_is_told() {
    let lab = Lab::new().await;
    let begin = async || {
        let new = NewSession { draft: plays(&json!([])), ..NewSession::default() };
        lab.sessions.create(&caller(), new).await.expect("created").value.id
    };
    begin().await;
    lab.clock.jump(DAY * 20);
    let young = begin().await;
    lab.clock.jump(DAY * 11);
    assert!(daily(&lab).job(Job::Events).await.expect("done") > 0);
    let journal = (lab.tools)().journal;
    let events = EventService::new(Arc::clone(&lab.store) as _, journal, Deltas::default());
    let read = async |after| events.page(TenantId::BOOTSTRAP, after, None, 100).await;
    let expired = read(0).await.expect_err("the oldest are gone");
    let AppError::CursorExpired { oldest } = expired else { panic!("{expired:?}") };
    assert_eq!(events.start(TenantId::BOOTSTRAP).await.expect("a start"), oldest);
    let kept = read(oldest).await.expect("the rest");
    assert_eq!(kept[0].seq, oldest + 1);
    assert!(kept.iter().any(|event| event.event.subject.id == young.uuid()));
    let before = kept.last().expect("one").seq;
    begin().await;
    assert_eq!(read(before).await.expect("the next")[0].seq, before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_keeps_less_has_it_gone_earlier_and_others_do_not() {
    let lab = Lab::new().await;
    lab.schedule();
    let other = TenantId::new(uuid::Uuid::from_u128(77));
    lab.tenant(other, "other").await;
    let ended = lab.begin(plays(&json!([]))).await;
    lab.until(ended, SessionStatus::Completed).await;
    let asked = RequestContext { tenant: other, ..caller() };
    let new = NewSession { draft: plays(&json!([])), ..NewSession::default() };
    let theirs = lab.sessions.create(&asked, new).await.expect("created").value.id;
    lab.sessions.cancel(&asked, theirs, None).await.expect("cancelled");
    let days = |sessions, events| Retention {
        sessions_days: Some(sessions),
        deleted_sessions_days: Some(2),
        events_days: Some(events),
    };
    lab.keeping(TenantId::BOOTSTRAP, days(7, 9)).await;
    let daily = daily(&lab);
    let shown = async || {
        let snapshot = lab.store.snapshot(other).await.expect("a snapshot");
        let events = snapshot.events(0, None, 100).await.expect("read").len();
        (snapshot.session(theirs).await.expect("read").is_some(), events)
    };
    let before = shown().await;
    lab.clock.jump(DAY * 6);
    daily.everything().await;
    assert_eq!(place(&lab, ended).await, "shown");
    lab.clock.jump(DAY * 2);
    daily.everything().await;
    assert_eq!(place(&lab, ended).await, "deleted");
    lab.clock.jump(DAY * 3);
    daily.everything().await;
    assert_eq!(place(&lab, ended).await, "gone");
    // What happened eleven days ago is not told any more; the deletion of three days ago is.
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let events = snapshot.events(0, None, 100).await.expect("read");
    assert!(snapshot.first_seq().await.expect("read") > 1);
    assert!(events.iter().all(|event| event.event.event_type != EventType::SessionCreated));
    assert!(events.iter().any(|event| event.event.event_type == EventType::SessionDeleted));
    assert_eq!(shown().await, before, "another tenant keeps its own");
    // Longer than the server is never.
    lab.keeping(other, days(400, 400)).await;
    lab.clock.jump(DAY * 21);
    daily.everything().await;
    let (is_shown, events) = shown().await;
    assert!(!is_shown && events < before.1, "{events} events of {}", before.1);
}

async fn counters(lab: &Lab) -> Vec<(i64, i64)> {
    let fleet = lab.store.fleet().await.expect("a fleet");
    let mut all = Vec::new();
    let each = SessionStatus::ALL.iter().map(|status| Counter::SessionsIn(*status));
    for counter in each.chain([Counter::OpenSessions]) {
        let recount = fleet.recount(TenantId::BOOTSTRAP, counter).await.expect("read");
        let recount = recount.expect("it counts rows");
        all.push((recount.stored.expect("whole"), recount.counted));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wrong_counters_are_mended_while_sessions_come_and_go_and_it_is_told() {
    let lab = Lab::new().await;
    let daily = daily(&lab);
    let come_and_go = async {
        for _ in 0..40 {
            let new = NewSession { draft: plays(&json!([])), start: true, ..NewSession::default() };
            let id = lab.sessions.create(&caller(), new).await.expect("created").value.id;
            lab.sessions.cancel(&caller(), id, None).await.expect("cancelled");
        }
    };
    let spoil_and_mend = async {
        for by in [5, -3, 11, -20] {
            let spoilt = ChangeSet::new(TenantId::BOOTSTRAP)
                .count(Counter::OpenSessions, CounterChange::Add(by))
                .count(Counter::SessionsIn(SessionStatus::Cancelled), CounterChange::Add(-by));
            lab.store.commit(spoilt).await.expect("spoilt");
            assert!(daily.job(Job::Counters).await.expect("mended") >= 2);
        }
    };
    tokio::join!(come_and_go, spoil_and_mend);
    let all = counters(&lab).await;
    assert!(all.iter().all(|(stored, counted)| stored == counted), "{all:?}");
    assert_eq!(daily.job(Job::Counters).await.expect("nothing to mend"), 0);
    let system = lab.store.snapshot(TenantId::SYSTEM).await.expect("a snapshot");
    let told = system.events(0, None, 100).await.expect("read");
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!((told[0].seq, told[0].event.event_type), (1, EventType::SystemAlert));
    let payload = &told[0].event.payload;
    assert_eq!(
        (&payload["severity"], &payload["code"]),
        (&json!("warning"), &json!("COUNTERS_MENDED"))
    );
    let names: Vec<&str> = payload["details"]["counters"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|counter| counter["counter"].as_str())
        .collect();
    assert_eq!(names, ["open_sessions", "sessions_in.cancelled"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_begin_by_themselves_and_on_a_full_disk_wait_for_their_next_time() {
    let lab = Lab::new().await;
    lab.schedule();
    let ended = lab.begin(plays(&json!([]))).await;
    lab.until(ended, SessionStatus::Completed).await;
    lab.clock.jump(DAY * 31);
    *lab.store.read_only.lock().expect("whole") = Some("the disk is full".to_owned());
    daily(&lab).everything().await;
    assert_eq!(place(&lab, ended).await, "shown");
    *lab.store.read_only.lock().expect("whole") = None;
    lab.every_day(daily(&lab));
    let deleted = async || place(&lab, ended).await == "deleted";
    eventually("it is deleted", deleted).await;
    // And again at the next time, whenever the clock gets there.
    lab.clock.jump(DAY * 31);
    eventually("it is gone", async || place(&lab, ended).await == "gone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_wakes_in_another_decade_removes_nothing() {
    let lab = Lab::new().await;
    lab.schedule();
    let daily = daily_with(&lab, Kept::default());
    let ended = lab.begin(plays(&json!([]))).await;
    lab.until(ended, SessionStatus::Completed).await;
    daily.everything().await;
    lab.clock.jump(DAY * 365 * 70);
    for _ in 0..2 {
        daily.everything().await;
        assert_eq!(place(&lab, ended).await, "shown");
    }
    let doubted = async || {
        let fleet = lab.store.fleet().await.expect("a fleet");
        fleet.counter(TenantId::SYSTEM, Counter::ClockDoubted).await.expect("readable") != 0
    };
    assert!(doubted().await);
    let system = lab.store.snapshot(TenantId::SYSTEM).await.expect("a snapshot");
    let events = system.events(0, None, 100).await.expect("read");
    let told = events.iter().filter(|event| event.event.payload["code"] == "CLOCK_LEAPT");
    assert_eq!(told.count(), 1, "it is told once");
    // It says so for a day: then it is right.
    lab.clock.jump(DAY);
    daily.everything().await;
    assert_eq!((place(&lab, ended).await, doubted().await), ("deleted", false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_were_removed_long_ago_are_gone_for_good() {
    let lab = Lab::new().await;
    let draft = AgentDraft::new("AGENT-LEAVING", AgentKind::Simulated, ["testing"]);
    let made = lab.agents.register(&caller(), &draft).await.expect("registered").agent.value;
    let daily = daily(&lab).with_agents(lab.agents.clone());
    lab.clock.jump(DAY * 40);
    assert_eq!(daily.job(Job::Agents).await.expect("done"), 0, "it is there, whatever its age");
    let wanted = Departure { graceful: false, reason: None };
    lab.agents.remove(&caller(), &made.name, &wanted).await.expect("removed");
    let there = async || {
        let fleet = lab.store.fleet().await.expect("a fleet");
        fleet.agents_deleted_by(lab.clock.now(), 9).await.expect("read").len()
    };
    lab.clock.jump(DAY * 29);
    assert_eq!(daily.job(Job::Agents).await.expect("done"), 0);
    assert_eq!(there().await, 1);
    lab.clock.jump(DAY * 2);
    assert_eq!(daily.job(Job::Agents).await.expect("done"), 1);
    assert_eq!((there().await, daily.job(Job::Agents).await.expect("done")), (0, 0));
}
