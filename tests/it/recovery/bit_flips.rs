//! One flipped bit anywhere in the file: an error or an omission, never a wrong answer.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use orchestrator::application::ports::changes::{ChangeSet, Write};
use orchestrator::application::ports::journal::{Entry, Journal, NewEntry, Stream};
use orchestrator::application::ports::reads::SessionQuery;
use orchestrator::application::ports::store::{Store, StoreError};
use orchestrator::domain::audit::StoredAudit;
use orchestrator::domain::event::StoredEvent;
use orchestrator::domain::session::Session;
use orchestrator::domain::session::checkpoint::Checkpoint;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::disk::Disk;
use super::{is_deep, open_on};
use crate::contract::fixtures::{TENANT, at, audit, checkpoint, creation, note, session};

/// What was written.
struct Truth {
    sessions: Vec<Session>,
    checkpoints: Vec<Checkpoint>,
    events: Vec<StoredEvent>,
    audit: Vec<StoredAudit>,
    log: Vec<Entry>,
}

async fn written(disk: &Disk) -> Truth {
    let store = open_on(disk).expect("a new store");
    let (mut sessions, mut checkpoints) = (Vec::new(), Vec::new());
    for code in 1..=60 {
        let (session, event) = session(TENANT, code);
        let taken = checkpoint(session.id, 1);
        let set = creation(&session, event)
            .write(Write::Checkpoint(taken.clone()))
            .audit(Some(audit("create")));
        store.commit(set).await.expect("stored");
        let body = json!({ "message": "x".repeat(200) });
        let line = NewEntry { at: at(0), kind: "info".to_owned(), body };
        store
            .append(TENANT, sessions_first(&sessions, &session), Stream::Log, vec![line])
            .await
            .expect("appended");
        sessions.push(session);
        checkpoints.push(taken);
    }
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    let events = snapshot.events(0, None, usize::MAX).await.expect("read");
    let audit = snapshot.audit(0, usize::MAX).await.expect("read");
    let log = store.read(TENANT, sessions[0].id, Stream::Log, 0, 999).await.expect("read");
    drop(snapshot);
    store.close().await;
    Truth { sessions, checkpoints, events, audit, log }
}

fn sessions_first(sessions: &[Session], this: &Session) -> orchestrator::domain::ids::SessionId {
    sessions.first().unwrap_or(this).id
}

/// What was read: complaints are fine, wrong values are not.
#[derive(Debug, Default)]
struct Seen {
    missing: usize,
    errors: usize,
    quarantined: usize,
}

impl Seen {
    fn one<T: PartialEq + std::fmt::Debug>(
        &mut self,
        truth: &T,
        found: Result<Option<T>, StoreError>,
    ) {
        match found {
            Ok(Some(found)) => assert_eq!(&found, truth, "a wrong answer"),
            Ok(None) => self.missing += 1,
            Err(StoreError::Quarantined) => self.quarantined += 1,
            Err(_) => self.errors += 1,
        }
    }

    fn many<T: PartialEq + std::fmt::Debug>(
        &mut self,
        truth: &[T],
        found: Result<Vec<T>, StoreError>,
    ) {
        match found {
            Ok(found) => {
                assert!(found.iter().all(|item| truth.contains(item)), "a wrong answer");
                self.missing += truth.len() - found.len().min(truth.len());
            }
            Err(_) => self.errors += 1,
        }
    }
}

/// Reads everything from a file with one flipped bit, and tries to write.
async fn look(bytes: Vec<u8>, truth: Arc<Truth>) -> Seen {
    let mut seen = Seen::default();
    let Ok(store) = open_on(&Disk::with(bytes)) else {
        seen.errors += 1;
        return seen;
    };
    let Ok(snapshot) = store.snapshot(TENANT).await else {
        seen.errors += 1;
        return seen;
    };
    for (session, checkpoint) in truth.sessions.iter().zip(&truth.checkpoints) {
        let found = snapshot.session(session.id).await;
        seen.one(session, found.map(|found| found.map(|found| found.value)));
        seen.one(checkpoint, snapshot.checkpoint(session.id, 1).await);
        seen.one(&session.id, snapshot.session_by_code(session.code).await);
    }
    seen.many(&truth.events, snapshot.events(0, None, usize::MAX).await);
    seen.many(&truth.audit, snapshot.audit(0, usize::MAX).await);
    let log = store.read(TENANT, truth.sessions[0].id, Stream::Log, 0, 999).await;
    seen.many(&truth.log, log);
    let query = SessionQuery { limit: 100, count: true, ..SessionQuery::default() };
    let page = snapshot.sessions(query).await;
    let listed = page.map(|page| page.items.into_iter().map(|item| item.value).collect());
    seen.many(&truth.sessions, listed);
    drop(snapshot);
    let _written = store.commit(ChangeSet::new(TENANT).events([note(1)])).await;
    store.close().await;
    seen
}

#[test]
fn a_flipped_bit_never_becomes_a_wrong_answer() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let disk = Disk::default();
    let truth = Arc::new(runtime.block_on(written(&disk)));
    let bytes = disk.bytes();
    let used: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at).collect();
    let (files, mut total) = (if is_deep() { 2_000 } else { 100 }, Seen::default());
    let mut unseen = 0;
    for seed in 0..files {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut bytes = bytes.clone();
        // Half of the flips hit bytes that mean something, so that few are wasted on free pages.
        let place = if seed % 2 == 0 {
            used[chance.random_range(0..used.len())]
        } else {
            chance.random_range(0..bytes.len())
        };
        bytes[place] ^= 1 << chance.random_range(0..8u8);
        let (tell, told) = channel();
        let truth = Arc::clone(&truth);
        runtime.spawn(async move { tell.send(look(bytes, truth).await) });
        let seen = told.recv_timeout(Duration::from_secs(30));
        let seen =
            seen.unwrap_or_else(|error| panic!("seed {seed}: wrong answer or hang: {error}"));
        unseen += usize::from(seen.missing + seen.errors + seen.quarantined == 0);
        total.missing += seen.missing;
        total.errors += seen.errors;
        total.quarantined += seen.quarantined;
    }
    eprintln!("{files} files, {unseen} read as if whole; {total:?}");
    assert!(total.quarantined > 0, "no flip hit a record: the test looks at nothing");
}
