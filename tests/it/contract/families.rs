//! What sessions that ended abnormally owe their children: kept from the commit of the end on, until
//! it is taken back.

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::reads::OwedChildren;
use orchestrator::application::ports::store::Store;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::{Lineage, Session};
use orchestrator::domain::version::Version;
use tempfile::TempDir;

use super::fixtures::{
    Kit, SetClock, TENANT, at, creation, neighbour, open_redb, session_from, stored,
};
use super::for_both_stores;

for_both_stores!(
    only_who_has_children_owes_them,
    what_is_owed_is_taken_back_one_by_one,
    a_deleted_child_is_owed_nothing,
);

async fn child_of(store: &dyn Store, parent: &Session, code: u64) -> Session {
    let draft = SessionDraft { initial_prompt: "x".to_owned(), ..SessionDraft::default() };
    let lineage = Lineage { parent_id: Some(parent.id), depth: 1, ..Lineage::default() };
    let (child, event) = session_from(parent.tenant_id, code, draft, lineage);
    store.commit(creation(&child, event)).await.expect("stored");
    child
}

async fn owe(store: &dyn Store, tenant: TenantId, parent: SessionId, millis: i64) {
    let write = Write::ChildrenOwed { parent, at: at(millis) };
    store.commit(ChangeSet::new(tenant).write(write)).await.expect("stored");
}

async fn owed(store: &dyn Store, limit: usize) -> Vec<OwedChildren> {
    store.fleet().await.expect("a fleet").owed_children(limit).await.expect("read")
}

async fn only_who_has_children_owes_them(kit: Kit) {
    let (one, two) = (stored(&*kit.store, TENANT, 1).await, stored(&*kit.store, TENANT, 2).await);
    child_of(&*kit.store, &one, 3).await;
    owe(&*kit.store, TENANT, one.id, 5).await;
    owe(&*kit.store, TENANT, two.id, 5).await;
    // Of another tenant it knows nothing.
    owe(&*kit.store, neighbour(), one.id, 5).await;
    let expected = OwedChildren { tenant: TENANT, parent: one.id, at: at(5) };
    assert_eq!(owed(&*kit.store, 9).await, [expected]);
}

async fn what_is_owed_is_taken_back_one_by_one(kit: Kit) {
    let mut all = Vec::new();
    for (tenant, code) in [(TENANT, 1), (TENANT, 3), (neighbour(), 1)] {
        let parent = stored(&*kit.store, tenant, code).await;
        child_of(&*kit.store, &parent, code + 1).await;
        all.push((tenant, parent.id));
    }
    owe(&*kit.store, all[0].0, all[0].1, 20).await;
    owe(&*kit.store, all[0].0, all[0].1, 30).await;
    owe(&*kit.store, all[1].0, all[1].1, 10).await;
    owe(&*kit.store, all[2].0, all[2].1, 10).await;
    let line = |index: usize, millis| {
        let (tenant, parent) = all[index];
        OwedChildren { tenant, parent, at: at(millis) }
    };
    let expected = [line(1, 10), line(0, 20), line(0, 30), line(2, 10)];
    assert_eq!(owed(&*kit.store, 9).await, expected, "longest owed first");
    assert_eq!(owed(&*kit.store, 2).await, expected[..2]);
    let done = |index: usize, millis| {
        let (tenant, parent) = all[index];
        ChangeSet::new(tenant).write(Write::ChildrenDone { parent, at: at(millis) })
    };
    kit.store.commit(done(0, 20)).await.expect("done");
    kit.store.commit(done(0, 20)).await.expect("done twice is done");
    kit.store.commit(done(2, 10)).await.expect("done");
    assert_eq!(owed(&*kit.store, 9).await, [line(1, 10), line(0, 30)]);
}

async fn a_deleted_child_is_owed_nothing(kit: Kit) {
    let parent = stored(&*kit.store, TENANT, 1).await;
    let mut child = child_of(&*kit.store, &parent, 2).await;
    child.stamps.deleted_at = Some(at(3));
    let put = Put { expect: Expect::At(Version::FIRST), value: child };
    kit.store.commit(ChangeSet::new(TENANT).write(Write::Session(put))).await.expect("deleted");
    owe(&*kit.store, TENANT, parent.id, 5).await;
    assert!(owed(&*kit.store, 9).await.is_empty());
}

#[tokio::test]
async fn what_is_owed_survives_the_process() {
    let dir = TempDir::new().expect("a directory");
    let store = open_redb(dir.path(), &SetClock::new());
    let parent = stored(&*store, TENANT, 1).await;
    child_of(&*store, &parent, 2).await;
    owe(&*store, TENANT, parent.id, 5).await;
    store.close().await;
    let again = open_redb(dir.path(), &SetClock::new());
    let expected = OwedChildren { tenant: TENANT, parent: parent.id, at: at(5) };
    assert_eq!(owed(&*again, 9).await, [expected]);
}
