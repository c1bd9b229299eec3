//! A disk that fills up: the marks, the ballast, and what is still written.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use orchestrator::application::ports::changes::ChangeSet;
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::journal::{Journal, NewEntry, Stream};
use orchestrator::application::ports::store::{CommitError, Store};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::redb::{Medium, RedbOptions, RedbStore, Room};
use redb::{Builder, Database, DatabaseError};
use serde_json::json;
use uuid::Uuid;

use super::disk::{Disk, Fault};
use crate::contract::fixtures::{TENANT, neighbour, note};
use crate::support::opencode::eventually;

const MIB: u64 = 1024 * 1024;

/// A disk whose free room the test says; the ballast takes its part of it.
#[derive(Clone)]
struct Filling {
    disk: Disk,
    free: Arc<AtomicU64>,
    ballast: Arc<AtomicU64>,
    /// While it is held back, the disk is full.
    needs_ballast: Arc<AtomicBool>,
}

impl Filling {
    fn new() -> Self {
        Self {
            disk: Disk::default(),
            free: Arc::new(AtomicU64::new(10 * 1024 * MIB)),
            ballast: Arc::default(),
            needs_ballast: Arc::default(),
        }
    }
}

impl Medium for Filling {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        self.disk.open(builder)
    }

    fn probe(&self) -> io::Result<()> {
        self.disk.probe()
    }

    fn size_bytes(&self) -> Option<u64> {
        self.disk.size_bytes()
    }

    fn room(&self) -> Option<Room> {
        let taken = self.ballast.load(Ordering::SeqCst);
        let free = self.free.load(Ordering::SeqCst).saturating_sub(taken);
        Some(Room { free, total: 100 * 1024 * MIB })
    }

    fn has_ballast(&self) -> bool {
        self.ballast.load(Ordering::SeqCst) > 0
    }

    fn take_ballast(&self, bytes: u64) -> io::Result<()> {
        self.ballast.store(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn drop_ballast(&self) -> io::Result<()> {
        self.ballast.store(0, Ordering::SeqCst);
        if self.needs_ballast.load(Ordering::SeqCst) {
            self.disk.heal();
        }
        Ok(())
    }
}

/// A store whose time passes.
fn open(medium: &Filling) -> Arc<RedbStore> {
    let options =
        RedbOptions { probe_every: Duration::from_millis(20), ..RedbOptions::new("/nowhere") };
    let clock = Arc::new(SystemClock::new()) as Arc<dyn Clock>;
    let medium = Box::new(medium.clone());
    RedbStore::open_on(medium, options, clock, Arc::new(SystemIds)).expect("a new store")
}

fn line() -> Vec<NewEntry> {
    let body = json!({ "message": "a line" });
    vec![NewEntry { at: Timestamp::EPOCH, kind: "info".to_owned(), body }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_room_is_kept_for_changes_of_state() {
    let medium = Filling::new();
    let store = open(&medium);
    eventually("the ballast", async || medium.has_ballast()).await;
    assert_eq!(store.health().short_of_room, None);
    medium.free.store(100 * MIB, Ordering::SeqCst);
    eventually("shortage", async || store.health().short_of_room.is_some()).await;
    let session = SessionId::new(Uuid::from_u128(7));
    store.append(TENANT, session, Stream::Log, line()).await.expect("written");
    medium.free.store(8 * MIB, Ordering::SeqCst);
    eventually("the last room", async || {
        let appended = store.append(TENANT, session, Stream::Log, line()).await;
        matches!(appended, Err(CommitError::ReadOnly(_)))
    })
    .await;
    assert!(!medium.has_ballast());
    store.commit(ChangeSet::new(neighbour()).events([note(1)])).await.expect("state is written");
    assert_eq!(store.health().read_only, None);
    medium.free.store(1024 * MIB, Ordering::SeqCst);
    eventually("room again", async || medium.has_ballast()).await;
    assert_eq!(store.health().short_of_room, None);
    store.append(TENANT, session, Stream::Log, line()).await.expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_meets_a_full_disk_frees_the_ballast_and_the_next_one_passes() {
    let medium = Filling::new();
    let store = open(&medium);
    eventually("the ballast", async || medium.has_ballast()).await;
    medium.needs_ballast.store(true, Ordering::SeqCst);
    medium.free.store(16 * MIB, Ordering::SeqCst);
    medium.disk.fail_after(Fault::NoSpace, 0);
    let failed = store.commit(ChangeSet::new(neighbour()).events([note(1)])).await;
    assert!(matches!(failed, Err(CommitError::ReadOnly(_))), "it was not applied: {failed:?}");
    eventually("a commit", async || {
        store.commit(ChangeSet::new(neighbour()).events([note(1)])).await.is_ok()
    })
    .await;
    assert!(!medium.has_ballast());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ballast_beside_a_real_file_takes_real_room() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = || {
        let clock = Arc::new(SystemClock::new()) as Arc<dyn Clock>;
        let options =
            RedbOptions { probe_every: Duration::from_millis(20), ..RedbOptions::new(dir.path()) };
        RedbStore::open(options, clock, Arc::new(SystemIds)).expect("a store")
    };
    let store = open();
    let file = dir.path().join("store.ballast");
    let free = store.health().free_bytes.expect("a disk tells its room");
    if free < 256 * MIB {
        return;
    }
    eventually("the ballast", async || file.exists()).await;
    eventually("its room", async || {
        std::fs::metadata(&file).is_ok_and(|facts| facts.blocks() * 512 >= 2 * MIB)
    })
    .await;
    assert_eq!(std::fs::metadata(&file).expect("there").mode() & 0o777, 0o600);
    store.close().await;
    drop(store);
    let again = open();
    assert!(file.exists(), "it is taken over");
    again.close().await;
}
