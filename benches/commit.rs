//! Durable commits per second of the embedded store, by the number of concurrent committers.
//!
//! Each commit makes a session with its index entries, event, audit entry, counters and remembered
//! answer. Rates are proportions of this machine's disk; only their ratios travel.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orchestrator::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Remembered, Write,
};
use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::store::Store;
use orchestrator::domain::audit::{Actor, AuditEntry};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::{Lineage, Session, SessionCode};
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::redb::{RedbOptions, RedbStore};
use std::io::Write as _;
use tokio::task::JoinSet;

const TENANT: TenantId = TenantId::BOOTSTRAP;
/// How long each row is measured.
const SPAN_MS: i64 = 2_000;

fn unit(number: u64, now: Timestamp) -> ChangeSet {
    let code = SessionCode::new(number);
    let draft = SessionDraft {
        initial_prompt: "Repair the parser so that nested comments are read. ".repeat(8),
        tags: vec!["parser".to_owned()],
        ..SessionDraft::default()
    };
    let mut spec = draft.accept().expect("a valid draft");
    spec.name_by_code(code);
    let id = SessionId::new(SystemIds.uuid());
    let (session, event) =
        Session::create(id, TENANT, code, spec, Lineage::default(), "bench", now);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    let answer = Remembered {
        key,
        fingerprint: [0; 32],
        status: 201,
        headers: Vec::new(),
        body: vec![b'x'; 600],
        expires_at: now.after(std::time::Duration::from_hours(24)),
    };
    let audit = AuditEntry {
        at: now,
        actor: Actor::plain("key", "bench"),
        action: "create".to_owned(),
        subject: session.subject(),
        ok: true,
        reason: None,
        before: None,
        after: None,
        request_id: None,
    };
    let counter = Counter::OpenSessions;
    ChangeSet::new(TENANT)
        .write(Write::Session(Put { expect: Expect::Absent, value: session }))
        .guard(Guard::CounterAtMost { counter, limit: u64::MAX })
        .count(counter, CounterChange::Add(1))
        .count(Counter::SessionCodes, CounterChange::AtLeast(number))
        .events([event])
        .audit(Some(audit))
        .remember(Some(answer))
}

async fn row(store: &Arc<RedbStore>, clock: &Arc<SystemClock>, committers: u64) -> String {
    let before = store.health();
    let started = clock.now();
    let numbers = Arc::new(AtomicU64::new(before.change_sets));
    let mut tasks = JoinSet::new();
    for _ in 0..committers {
        let (store, clock) = (Arc::clone(store), Arc::clone(clock));
        let numbers = Arc::clone(&numbers);
        tasks.spawn(async move {
            while clock.now().millis() - started.millis() < SPAN_MS {
                let number = numbers.fetch_add(1, Ordering::Relaxed) + 1;
                store.commit(unit(number, clock.now())).await.expect("stored");
            }
        });
    }
    tasks.join_all().await;
    let spent_ms = u64::try_from(clock.now().millis() - started.millis()).unwrap_or(1).max(1);
    let after = store.health();
    let (sets, groups) =
        (after.change_sets - before.change_sets, (after.commits - before.commits).max(1));
    format!("{committers:>10} {:>10} {:>10}", sets * 1_000 / spent_ms, sets / groups)
}

#[tokio::main]
async fn main() {
    let dir = std::env::temp_dir().join(format!("orchestrator-bench-{}", std::process::id()));
    let clock = Arc::new(SystemClock::new());
    let store = RedbStore::open(
        RedbOptions::new(&dir),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(SystemIds),
    )
    .expect("the store opens");
    let mut out = std::io::stdout();
    writeln!(out, "committers    sets/s  sets/commit").expect("written");
    for committers in [1, 16, 64, 256] {
        let line = row(&store, &clock, committers).await;
        writeln!(out, "{line}").expect("written");
    }
    store.close().await;
    std::fs::remove_dir_all(&dir).expect("it is ours");
}
