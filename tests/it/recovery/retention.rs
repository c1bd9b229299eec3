//! Retention that is cut off again and again: whatever it had done by then stands, and what is left
//! is done by the next one.

use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::daily::{Daily, Kept};
use orchestrator::application::ports::changes::{Counter, CounterChange};
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::reads::StoredClass;
use orchestrator::application::ports::store::Store;
use orchestrator::application::scheduler::wake::Wake;
use orchestrator::application::session::{SessionOptions, SessionService};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::Cause;
use orchestrator::domain::tenant::Tenant;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::workspaces::{Folders, WorkspaceOptions};
use tempfile::TempDir;

use crate::contract::fixtures::{SetClock, TENANT, at, creation, fresh, open_redb, session};
use crate::support::app::audit;

const DAYS: i64 = 24 * 3600 * 1000;
const SESSIONS: u64 = 40;

/// The job over the store of this directory.
fn daily(dir: &TempDir, clock: &Arc<SetClock>) -> (Arc<dyn Store>, Daily) {
    let store: Arc<dyn Store> = open_redb(dir.path(), clock);
    let time: Arc<dyn Clock> = Arc::clone(clock) as _;
    let options = WorkspaceOptions {
        root: dir.path().join("workspaces"),
        closed: Vec::new(),
        allowed_roots: Vec::new(),
        git: "git".into(),
    };
    let folders = Folders::new(options, Arc::clone(&time), Arc::new(SystemIds));
    let sessions = SessionService::new(
        Arc::clone(&store),
        Arc::new(folders),
        Arc::clone(&time),
        Arc::new(SystemIds),
        Wake::default(),
        SessionOptions::default(),
    );
    let (audit, kept) = (audit(&store, &time), Kept { leap: None, ..Kept::default() });
    (Arc::clone(&store), Daily::new(store, time, sessions, audit, kept))
}

/// Does the jobs, cut off after longer and longer, each time with another opening of the store.
async fn cut_off_until_done(dir: &TempDir, clock: &Arc<SetClock>) -> usize {
    let mut cuts = 0;
    for millis in (1..).step_by(3) {
        let (store, daily) = daily(dir, clock);
        let limit = Duration::from_millis(millis);
        let is_done = tokio::time::timeout(limit, daily.everything()).await.is_ok();
        drop((store, daily));
        if is_done {
            break;
        }
        cuts += 1;
    }
    cuts
}

async fn rows(dir: &TempDir, clock: &Arc<SetClock>, class: StoredClass) -> u64 {
    let store = open_redb(dir.path(), clock);
    let usage = store.fleet().await.expect("a fleet").usage().await.expect("readable");
    usage.iter().find(|used| used.class == class).expect("there").rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_that_is_cut_off_is_done_by_the_next_one() {
    let (dir, clock) = (TempDir::new().expect("a directory"), SetClock::new());
    {
        let store = open_redb(dir.path(), &clock);
        let tenant = Tenant::bootstrap(at(0));
        let made = orchestrator::application::ports::changes::Write::Tenant(fresh(tenant));
        let set = orchestrator::application::ports::changes::ChangeSet::new(TENANT).write(made);
        store.commit(set).await.expect("made");
        for code in 1..=SESSIONS {
            let (mut session, event) = session(TENANT, code);
            let is_open = code == SESSIONS;
            if !is_open {
                session.cancel(Cause::by("tests", at(10))).expect("legal");
            }
            let set = creation(&session, event)
                .count(Counter::SessionsIn(session.status()), CounterChange::Add(1))
                .count(Counter::OpenSessions, CounterChange::Add(i64::from(is_open)));
            store.commit(set).await.expect("stored");
        }
    }
    clock.set(at(31 * DAYS));
    let mut cuts = cut_off_until_done(&dir, &clock).await;
    assert_eq!(rows(&dir, &clock, StoredClass::Sessions).await, SESSIONS, "only deleted");
    // The creations are gone; what was told of the deletions is young.
    assert_eq!(rows(&dir, &clock, StoredClass::Events).await, SESSIONS - 1);
    clock.set(at(62 * DAYS));
    cuts += cut_off_until_done(&dir, &clock).await;
    assert!(cuts > 1, "it was cut off {cuts} times");
    assert_eq!(rows(&dir, &clock, StoredClass::Sessions).await, 1, "the open one");
    assert_eq!(rows(&dir, &clock, StoredClass::Events).await, 0);
    let store = open_redb(dir.path(), &clock);
    let fleet = store.fleet().await.expect("a fleet");
    let open = fleet.recount(TENANT, Counter::OpenSessions).await.expect("read").expect("rows");
    assert_eq!((open.stored, open.counted), (Some(1), 1));
    let system = store.snapshot(TenantId::SYSTEM).await.expect("a snapshot");
    assert_eq!(system.last_seq().await.expect("read"), 0, "no counter was ever wrong");
}
