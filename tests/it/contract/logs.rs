//! Events and audit: gap-free, in order, the same in the feed as in the log, across restarts.

use std::collections::HashMap;
use std::sync::Arc;

use orchestrator::application::ports::changes::ChangeSet;
use orchestrator::application::ports::store::Store;
use orchestrator::domain::audit::StoredAudit;
use orchestrator::domain::audit::walk::Walk;
use orchestrator::domain::canonical::sha256_hex;
use orchestrator::domain::event::StoredEvent;
use orchestrator::domain::ids::TenantId;
use orchestrator::infrastructure::keys::sign::verify;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::fixtures::{Kit, SetClock, TENANT, audit, neighbour, note, open_redb, stored};
use super::for_both_stores;

for_both_stores!(
    events_are_gap_free_and_the_feed_is_the_log,
    events_are_read_in_pages_and_by_session,
    the_audit_chain_verifies,
);

async fn write_many(store: &Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for writer in 0..16u64 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let tenant = if writer % 4 == 0 { neighbour() } else { TENANT };
            for round in 0..8 {
                let events = [note(writer), note(round)];
                let set = ChangeSet::new(tenant).events(events).audit(Some(audit("write")));
                store.commit(set).await.expect("stored");
            }
        });
    }
    tasks.join_all().await;
}

async fn log_of(store: &dyn Store, tenant: TenantId) -> Vec<StoredEvent> {
    let snapshot = store.snapshot(tenant).await.expect("a snapshot");
    let log = snapshot.events(0, None, usize::MAX).await.expect("read");
    let numbers: Vec<u64> = log.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=snapshot.last_seq().await.expect("read")).collect::<Vec<_>>());
    assert_eq!(snapshot.first_seq().await.expect("read"), u64::from(!log.is_empty()));
    log
}

async fn events_are_gap_free_and_the_feed_is_the_log(kit: Kit) {
    let mut feed = kit.store.feed();
    write_many(&kit.store).await;
    let mut told: HashMap<TenantId, Vec<StoredEvent>> = HashMap::new();
    while told.values().map(Vec::len).sum::<usize>() < 16 * 8 * 2 {
        for event in feed.recv().await.expect("the feed goes on").iter() {
            told.entry(event.tenant_id).or_default().push(event.clone());
        }
    }
    for tenant in [TENANT, neighbour()] {
        assert_eq!(told[&tenant], log_of(&*kit.store, tenant).await);
    }
    assert_eq!(kit.store.health().change_sets, 16 * 8);
}

async fn events_are_read_in_pages_and_by_session(kit: Kit) {
    let one = stored(&*kit.store, TENANT, 1).await;
    let two = stored(&*kit.store, TENANT, 2).await;
    let mut about = note(1);
    about.payload.insert("session_id".to_owned(), serde_json::json!(one.id));
    kit.store.commit(ChangeSet::new(TENANT).events([about])).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let numbers = |after, session, limit| {
        let events = snapshot.events(after, session, limit);
        async { events.await.expect("read").iter().map(|event| event.seq).collect::<Vec<_>>() }
    };
    assert_eq!(numbers(0, None, 2).await, [1, 2]);
    assert_eq!(numbers(2, None, 2).await, [3]);
    assert_eq!(numbers(3, None, 2).await, [0u64; 0]);
    assert_eq!(numbers(0, Some(one.id), 9).await, [1, 3]);
    assert_eq!(numbers(1, Some(one.id), 9).await, [3]);
    assert_eq!(numbers(0, Some(two.id), 9).await, [2]);
}

/// Whether a chain is what the specification says, from its first entry on, or from where a signature vouches.
pub(crate) fn verify_chain(chain: &[StoredAudit]) -> Result<(), u64> {
    let mut walk = Walk::new(verify, None);
    chain.iter().try_for_each(|entry| walk.step(entry))?;
    walk.end().map_or(Ok(()), Err)
}

async fn the_audit_chain_verifies(kit: Kit) {
    write_many(&kit.store).await;
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let mut chain = snapshot.audit(0, usize::MAX).await.expect("read");
    assert_eq!(chain.len(), 12 * 8);
    assert_eq!(verify_chain(&chain), Ok(()));
    let first = &chain[0];
    let text = format!("{}{}", "0".repeat(64), first.entry.canonical(first.place));
    assert_eq!(first.hash, sha256_hex(text.as_bytes()));
    assert_eq!(snapshot.audit(90, 3).await.expect("read"), chain[90..93]);
    "forged".clone_into(&mut chain[40].entry.action);
    assert_eq!(verify_chain(&chain), Err(41));
}

#[tokio::test]
async fn numbers_go_on_after_a_restart() {
    let (dir, clock) = (TempDir::new().expect("a directory"), SetClock::new());
    for round in 1..=3u64 {
        let store = open_redb(dir.path(), &clock);
        let as_store: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        write_many(&as_store).await;
        let log = log_of(&*store, TENANT).await;
        assert_eq!(u64::try_from(log.len()).expect("small"), round * 12 * 8 * 2);
        let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
        let chain = snapshot.audit(0, usize::MAX).await.expect("read");
        assert_eq!(verify_chain(&chain), Ok(()));
        drop(snapshot);
        store.close().await;
    }
}
