//! A store of an older version is kept beside the one that it becomes.

use std::path::Path;

use orchestrator::application::ports::store::Store as _;
use tempfile::TempDir;

use crate::contract::fixtures::{SetClock, TENANT, open_redb, stored};

/// What the copy is called.
pub(crate) const KEPT: &str = concat!("store.redb.before-", env!("CARGO_PKG_VERSION"));

/// Makes the store one of before a table came.
pub(crate) fn age(dir: &Path) {
    let database = redb::Database::open(dir.join("store.redb")).expect("a store");
    let transaction = database.begin_write().expect("begun");
    let table: redb::TableDefinition<&[u8], &[u8]> =
        redb::TableDefinition::new("tenants_by_slug.k1");
    assert!(transaction.delete_table(table).expect("deleted"));
    transaction.commit().expect("committed");
}

#[tokio::test]
async fn a_copy_of_an_older_store_is_kept_before_it_is_changed() {
    let dir = TempDir::new().expect("a directory");
    let store = open_redb(dir.path(), &SetClock::new());
    let kept = stored(&*store, TENANT, 1).await;
    store.close().await;
    drop(store);
    open_redb(dir.path(), &SetClock::new()).close().await;
    assert!(!dir.path().join(KEPT).exists(), "nothing is kept of one of this version");
    age(dir.path());
    let before = std::fs::read(dir.path().join("store.redb")).expect("the file");
    let store = open_redb(dir.path(), &SetClock::new());
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.session(kept.id).await.expect("read").is_some());
    drop(snapshot);
    store.close().await;
    drop(store);
    let copy = dir.path().join(KEPT);
    assert_eq!(std::fs::read(&copy).expect("the copy"), before, "byte for byte");
    let names = crate::backup::files(dir.path());
    assert_eq!(names, ["store.redb", KEPT], "and nothing else");
    // It is the way back.
    std::fs::rename(&copy, dir.path().join("store.redb")).expect("put back");
    let store = open_redb(dir.path(), &SetClock::new());
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.session(kept.id).await.expect("read").is_some());
}
