//! The directory of the embedded store: one server, nobody else, nothing newer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use orchestrator::application::ports::changes::{ChangeSet, Counter, CounterChange, Guard};
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::reads::{Logged, SessionQuery};
use orchestrator::application::ports::store::{CommitError, Store, StoreError};
use orchestrator::domain::event::{DomainEvent, EventType, Subject};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::redb::{OpenError, RedbOptions, RedbStore};
use tempfile::TempDir;

use super::fixtures::{SetClock, TENANT, at, neighbour, note, open_redb, stored};

fn try_open(dir: &std::path::Path) -> Result<Arc<RedbStore>, OpenError> {
    let clock = SetClock::new() as Arc<dyn Clock>;
    RedbStore::open(RedbOptions::new(dir), clock, Arc::new(SystemIds))
}

#[tokio::test]
async fn the_second_server_is_told_who_was_first_and_writes_nothing() {
    let dir = TempDir::new().expect("a directory");
    let first = open_redb(dir.path(), &SetClock::new());
    let before = fs::read(dir.path().join("store.redb")).expect("the file");
    let refused = try_open(dir.path()).err().expect("it is held");
    assert!(
        matches!(refused, OpenError::Held { pid: Some(pid), .. } if pid == std::process::id()),
        "{refused}"
    );
    assert_eq!(refused.exit_code(), 75);
    assert_eq!(fs::read(dir.path().join("store.redb")).expect("the file"), before);
    stored(&*first, TENANT, 1).await;
    first.close().await;
    drop(try_open(dir.path()).expect("it is free"));
}

#[tokio::test]
async fn a_directory_open_to_others_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let inner = dir.path().join("data");
    drop(try_open(&inner).expect("it is made"));
    let mode =
        |path: &std::path::Path| fs::metadata(path).expect("facts").permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for file in ["store.redb", "server.pid"] {
        assert_eq!(mode(&inner.join(file)), 0o600, "{file}");
    }
    for (path, open) in [(inner.join("store.redb"), 0o640), (inner.clone(), 0o770)] {
        let before = mode(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).expect("ours");
        let refused = try_open(&inner).err().expect("it is refused");
        assert!(matches!(refused, OpenError::Permissions { .. }), "{refused}");
        assert_eq!(refused.exit_code(), 77);
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).expect("ours");
    }
    drop(try_open(&inner).expect("it is ours alone again"));
}

#[tokio::test]
async fn a_file_that_is_no_store_is_not_touched() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("store.redb");
    let garbage = vec![0x5A; 8192];
    fs::write(&file, &garbage).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let refused = try_open(dir.path()).err().expect("it is refused");
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert_eq!(refused.exit_code(), 65);
    assert_eq!(fs::read(&file).expect("the file"), garbage);
}

#[tokio::test]
async fn a_closed_store_finishes_what_waits_and_takes_no_more() {
    let dir = TempDir::new().expect("a directory");
    let store = open_redb(dir.path(), &SetClock::new());
    let waiting = (0..50).map(|number| {
        let store = Arc::clone(&store);
        async move { store.commit(ChangeSet::new(TENANT).events([note(number)])).await }
    });
    let (done, ()) = tokio::join!(futures_util::future::join_all(waiting), store.close());
    let stored = done.iter().filter(|result| result.is_ok()).count();
    assert_eq!(stored, 50, "all were queued before the door was closed");
    let late = store.commit(ChangeSet::new(TENANT).events([note(0)])).await;
    assert!(matches!(late, Err(CommitError::Store(StoreError::Unavailable))), "{late:?}");
    assert!(matches!(store.snapshot(TENANT).await, Err(StoreError::Unavailable)));
    let again = open_redb(dir.path(), &SetClock::new());
    let snapshot = again.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.last_seq().await.expect("read"), 50);
}

/// Changes a stored value behind the store's back.
fn tamper(dir: &std::path::Path, table: &str, change: impl Fn(&[u8], &mut Vec<u8>)) {
    use redb::{ReadableTable, TableDefinition};
    let database = redb::Database::open(dir.join("store.redb")).expect("a store");
    let transaction = database.begin_write().expect("begun");
    {
        let definition: TableDefinition<&[u8], &[u8]> = TableDefinition::new(table);
        let mut table = transaction.open_table(definition).expect("the table");
        let rows: Vec<(Vec<u8>, Vec<u8>)> = table
            .iter()
            .expect("rows")
            .map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
            .collect::<Result<_, _>>()
            .expect("rows");
        for (key, mut value) in rows {
            change(&key, &mut value);
            table.insert(key.as_slice(), value.as_slice()).expect("inserted");
        }
    }
    transaction.commit().expect("committed");
}

#[tokio::test]
async fn a_damaged_record_is_set_aside_and_all_else_works() {
    let dir = TempDir::new().expect("a directory");
    let store = open_redb(dir.path(), &SetClock::new());
    let (good, bad) = (stored(&*store, TENANT, 1).await, stored(&*store, TENANT, 2).await);
    store.close().await;
    tamper(dir.path(), "sessions.k1", |key, value| {
        if key.ends_with(bad.id.as_bytes()) {
            let middle = value.len() / 2;
            value[middle] ^= 1;
        }
    });
    for _ in 0..2 {
        let store = open_redb(dir.path(), &SetClock::new());
        let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
        assert!(matches!(snapshot.session(bad.id).await, Err(StoreError::Quarantined)));
        assert!(snapshot.session(good.id).await.expect("read").is_some());
        let query = SessionQuery { limit: 10, ..SessionQuery::default() };
        let page = snapshot.sessions(query).await.expect("read");
        assert_eq!((page.items.len(), page.skipped), (1, 1));
        let bound = ChangeSet::new(TENANT)
            .guard(Guard::SessionIn { session: bad.id, statuses: SessionStatus::OPEN });
        let refused = store.commit(bound).await;
        assert!(matches!(refused, Err(CommitError::Store(StoreError::Quarantined))), "{refused:?}");
        store.commit(ChangeSet::new(TENANT).events([note(1)])).await.expect("all else works");
        drop(snapshot);
        store.close().await; // the writer has set it aside by now
        assert_eq!(store.health().quarantined, 1, "once, however often it is read");
    }
    let store = open_redb(dir.path(), &SetClock::new());
    let audit = store.snapshot(TENANT).await.expect("a snapshot").audit(0, 9).await.expect("read");
    let told: Vec<(&str, &str)> =
        audit.iter().map(|entry| (&*entry.entry.action, &*entry.entry.actor.id)).collect();
    assert_eq!(told, [("quarantine", "store")], "once, too");
    let before = audit[0].entry.before.as_ref().expect("what it was");
    let id = bad.id.uuid().simple().to_string();
    assert!(before["key"].as_str().is_some_and(|key| key.ends_with(&id)), "{before}");
}

#[tokio::test]
async fn counters_that_disagree_are_counted_anew_at_the_start() {
    let dir = TempDir::new().expect("a directory");
    let store = open_redb(dir.path(), &SetClock::new());
    for code in 1..=3 {
        stored(&*store, TENANT, code).await; // without any count
    }
    let wrong = ChangeSet::new(TENANT)
        .count(Counter::OpenSessions, CounterChange::Add(7))
        .count(Counter::SessionsIn(SessionStatus::Running), CounterChange::Add(2));
    store.commit(wrong).await.expect("counted");
    let elsewhere = ChangeSet::new(neighbour()).count(Counter::OpenSessions, CounterChange::Add(1));
    store.commit(elsewhere).await.expect("counted");
    store.close().await;
    tamper(dir.path(), "counters.k1", |key, value| {
        if key.ends_with(&[1, 0]) && key.starts_with(TENANT.as_bytes()) {
            value[5] ^= 1; // damaged on top
        }
    });
    let store = open_redb(dir.path(), &SetClock::new());
    for (tenant, counter, expected) in [
        (TENANT, Counter::OpenSessions, 3),
        (TENANT, Counter::SessionsIn(SessionStatus::Pending), 3),
        (TENANT, Counter::SessionsIn(SessionStatus::Running), 0),
        (neighbour(), Counter::OpenSessions, 0),
    ] {
        let snapshot = store.snapshot(tenant).await.expect("a snapshot");
        assert_eq!(snapshot.counter(counter).await.expect("read"), expected, "{counter:?}");
    }
    let bound = Guard::CounterAtMost { counter: Counter::OpenSessions, limit: 4 };
    let one =
        ChangeSet::new(TENANT).count(Counter::OpenSessions, CounterChange::Add(1)).guard(bound);
    store.commit(one).await.expect("there is room for one more");
    assert_eq!(store.health().quarantined, 0);
    store.close().await;
}

#[tokio::test]
async fn a_newer_store_is_refused_without_a_change() {
    let dir = TempDir::new().expect("a directory");
    open_redb(dir.path(), &SetClock::new()).close().await;
    tamper(dir.path(), "meta.k1", |key, value| {
        let body = [&[17, 0, 1, 1, 2, 5][..], b"9.9.9", &[0]].concat(); // layout 2, made by 9.9.9
        let sum = crc32c::crc32c_append(crc32c::crc32c(key), &body);
        *value = [&body[..], &sum.to_be_bytes()].concat();
    });
    let before = fs::read(dir.path().join("store.redb")).expect("the file");
    let refused = try_open(dir.path()).err().expect("it is refused");
    assert!(matches!(refused, OpenError::Newer { found: 2, supported: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("9.9.9"), "{refused}");
    assert_eq!(refused.exit_code(), 78);
    assert_eq!(fs::read(dir.path().join("store.redb")).expect("the file"), before);
}

#[tokio::test]
async fn a_damaged_event_does_not_end_the_events_of_its_session() {
    let dir = TempDir::new().expect("a directory");
    let store = open_redb(dir.path(), &SetClock::new());
    let kept = stored(&*store, TENANT, 1).await;
    let event = || {
        let subject = Subject::session(kept.id);
        DomainEvent::new(EventType::SessionUpdated, subject, at(1), serde_json::Value::Null)
    };
    let events = std::iter::repeat_with(event).take(9);
    store.commit(ChangeSet::new(TENANT).events(events)).await.expect("told");
    store.close().await;
    tamper(dir.path(), "events.k1", |key, value| {
        if key.ends_with(&3_u64.to_be_bytes()) {
            let middle = value.len() / 2;
            value[middle] ^= 1;
        }
    });
    let store = open_redb(dir.path(), &SetClock::new());
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    let page = async |after, limit| -> Vec<u64> {
        let found = snapshot.events(after, Some(kept.id), limit).await.expect("read");
        found.iter().map(|event| event.seq).collect()
    };
    assert_eq!(page(0, 4).await, [1, 2, 4, 5], "a short page would be taken for the last");
    assert_eq!(page(5, 4).await, [6, 7, 8, 9]);
    assert_eq!(page(9, 4).await, [10]);
    for session in [Some(kept.id), None] {
        let log = snapshot.log(1, session, 3).await.expect("read");
        let seqs: Vec<u64> = log.iter().map(Logged::seq).collect();
        assert_eq!(seqs, [2, 3, 4], "with a mark in its place for whoever asks");
        assert!(matches!(log[..], [Logged::Event(_), Logged::Unreadable(3), Logged::Event(_)]));
        assert!(snapshot.log(10, session, 3).await.expect("read").is_empty());
        assert!(snapshot.log(1, session, 0).await.expect("read").is_empty());
    }
}

#[tokio::test]
async fn a_store_from_before_a_table_came_gets_it() {
    let dir = TempDir::new().expect("a directory");
    let store = open_redb(dir.path(), &SetClock::new());
    let kept = stored(&*store, TENANT, 1).await;
    store.close().await;
    let database = redb::Database::open(dir.path().join("store.redb")).expect("a store");
    let transaction = database.begin_write().expect("begun");
    for name in ["webhooks.k1", "pending_deliveries.k1"] {
        let table: redb::TableDefinition<&[u8], &[u8]> = redb::TableDefinition::new(name);
        assert!(transaction.delete_table(table).expect("deleted"), "{name}");
    }
    transaction.commit().expect("committed");
    drop(database);
    let store = open_redb(dir.path(), &SetClock::new());
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.webhooks().await.expect("read").is_empty());
    assert!(snapshot.session(kept.id).await.expect("read").is_some());
    assert!(store.fleet().await.expect("a fleet").webhooks().await.expect("read").is_empty());
}

#[tokio::test]
async fn a_store_that_was_not_finished_is_made_anew() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("store.redb.new"), b"half a store").expect("written");
    let store = open_redb(dir.path(), &SetClock::new());
    stored(&*store, TENANT, 1).await;
    store.close().await;
    fs::write(dir.path().join("store.redb"), b"").expect("written");
    let refused = try_open(dir.path()).err().expect("it is refused");
    assert!(matches!(refused, OpenError::Damaged { .. }), "an emptied store is not a new one");
}
