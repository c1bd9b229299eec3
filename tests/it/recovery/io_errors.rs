//! A full or failing disk: nothing is lost, reading goes on, writing resumes by itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use orchestrator::application::ports::changes::ChangeSet;
use orchestrator::application::ports::store::{CommitError, Store, StoreError};
use orchestrator::infrastructure::storage::redb::{Medium, RedbStore};
use redb::{Builder, Database, DatabaseError};

use super::disk::{Disk, Fault};
use super::history::History;
use super::{is_deep, open_on, open_on_medium};
use crate::contract::fixtures::{TENANT, neighbour, note};

async fn resumed(store: &RedbStore) {
    for _ in 0..500 {
        match store.commit(ChangeSet::new(neighbour()).events([note(1)])).await {
            Ok(_) => return,
            Err(CommitError::ReadOnly(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("writing did not resume: {:?}", store.health());
}

async fn fault_at(fault: Fault, call: u64) {
    let disk = Disk::default();
    let store: Arc<RedbStore> = open_on(&disk).expect("a new store");
    let mut feed = store.feed();
    let mut history = History::default();
    history.write(&store, 2).await;
    let before = history.acknowledged();
    assert_eq!(before, 8);
    disk.fail_after(fault, call);
    history.write(&store, 400).await;
    assert!(store.health().read_only.is_some(), "{fault:?} at {call}: {:?}", store.health());
    let refused = store.commit(ChangeSet::new(TENANT).events([note(1)])).await;
    assert!(matches!(refused, Err(CommitError::ReadOnly(_))), "{refused:?}");
    if let Err(what) = history.verify(&store).await {
        panic!("{fault:?} at {call}, while it lasts: {what}");
    }
    disk.heal();
    resumed(&store).await;
    assert_eq!(store.health().read_only, None);
    history.write(&store, 2).await;
    assert!(history.acknowledged() >= before + 8);
    if let Err(what) = history.verify(&store).await {
        panic!("{fault:?} at {call}, after it: {what}");
    }
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    let log = snapshot.events(0, None, usize::MAX).await.expect("read");
    drop(snapshot);
    let mut told = Vec::new();
    while told.len() < log.len() {
        let batch = tokio::time::timeout(Duration::from_secs(5), feed.recv()).await;
        let batch = batch.expect("the feed tells all that is stored").expect("it goes on");
        told.extend(batch.iter().filter(|event| event.tenant_id == TENANT).cloned());
    }
    assert_eq!(told, log, "{fault:?} at {call}");
    store.close().await;
    let store = open_on(&disk).expect("it opens again");
    if let Err(what) = history.verify(&store).await {
        panic!("{fault:?} at {call}, after a restart: {what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_or_failing_disk_refuses_and_resumes() {
    let last = if is_deep() { 66 } else { 6 };
    for call in 0..last {
        for fault in [Fault::NoSpace, Fault::Sync, Fault::Write] {
            fault_at(fault, call * 3).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_held_does_not_keep_the_store_from_resuming() {
    let disk = Disk::default();
    let store = open_on(&disk).expect("a new store");
    let mut history = History::default();
    history.write(&store, 1).await;
    let held = store.snapshot(TENANT).await.expect("a snapshot");
    disk.fail_after(Fault::Sync, 0);
    history.write(&store, 1).await;
    assert!(held.last_seq().await.is_ok(), "it reads while the old handle is there");
    disk.heal();
    resumed(&store).await;
    assert!(matches!(held.last_seq().await, Err(StoreError::Unavailable)), "it was ended");
    history.verify(&store).await.expect("all is well");
}

/// A disk whose probe panics the first few times.
struct Panicking(Disk, AtomicU32);

impl Medium for Panicking {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        self.0.open(builder)
    }

    fn probe(&self) -> io::Result<()> {
        let left =
            self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "the probe panics, as the test wants it to");
        self.0.probe()
    }

    fn size_bytes(&self) -> Option<u64> {
        self.0.size_bytes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_writer_refuses_for_a_while_and_ends_nothing() {
    let disk = Disk::default();
    let medium = Panicking(disk.clone(), AtomicU32::new(2));
    let store = open_on_medium(Box::new(medium)).expect("a new store");
    let mut history = History::default();
    history.write(&store, 1).await;
    disk.fail_after(Fault::Sync, 0);
    history.write(&store, 1).await;
    disk.heal();
    resumed(&store).await;
    assert_eq!(store.health().read_only, None);
    history.verify(&store).await.expect("nothing acknowledged is lost");
}
