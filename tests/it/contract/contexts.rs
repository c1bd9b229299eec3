//! Contexts, what their versions changed, and merges that wait.

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::contexts::{
    ContextQuery, ContextWrite, ContextsOf, OldContexts,
};
use orchestrator::application::ports::store::{CommitError, Store};
use orchestrator::domain::context::merge::PendingMerge;
use orchestrator::domain::context::path::Path;
use orchestrator::domain::context::stamp::Author;
use orchestrator::domain::context::write::{Group, Update};
use orchestrator::domain::context::{Birth, Context, ContextDraft, ContextScope};
use orchestrator::domain::ids::{AgentId, ContextId, SessionId, TenantId};
use orchestrator::domain::version::{Version, Versioned};
use serde_json::json;
use uuid::Uuid;

use super::fixtures::{Kit, TENANT, at, neighbour};
use super::for_both_stores;

for_both_stores!(
    a_context_reads_back_equal_and_keeps_its_versions,
    a_lost_race_about_a_context_is_told,
    contexts_are_found_by_their_owners_in_order_of_creation,
    contexts_of_other_tenants_do_not_exist_here,
    contexts_that_nobody_writes_are_found_by_their_age,
    a_context_goes_with_its_history,
    merges_wait_until_they_are_resolved_once,
    ended_sessions_are_noted_while_they_have_contexts,
);

fn id(number: u128) -> ContextId {
    ContextId::new(Uuid::from_u128(number))
}

fn session(number: u128) -> SessionId {
    SessionId::new(Uuid::from_u128(number))
}

fn by() -> Author {
    Author::system("tests")
}

fn context(tenant: TenantId, number: u128, scope: ContextScope) -> Context {
    let draft = ContextDraft {
        scope: Some(scope),
        session_id: (scope == ContextScope::Session).then(|| session(1)),
        agent_id: (scope == ContextScope::Agent).then(|| AgentId::new(Uuid::from_u128(2))),
        initial_data: json!({ "a": { "b": 1 } }).as_object().cloned().unwrap_or_default(),
        ..ContextDraft::default()
    };
    let millis = i64::try_from(number).expect("small");
    let birth = Birth { id: id(number), by: &by(), at: at(millis) };
    Context::new(tenant, draft, birth).expect("fit")
}

fn put(expect: Expect, value: Context) -> Write {
    Write::Context(ContextWrite::Context(Put { expect, value }))
}

async fn made(store: &dyn Store, tenant: TenantId, number: u128, scope: ContextScope) -> Context {
    let value = context(tenant, number, scope);
    let set = ChangeSet::new(tenant).write(put(Expect::Absent, value.clone()));
    store.commit(set).await.expect("stored");
    value
}

async fn found(store: &dyn Store, number: u128) -> Option<Versioned<Context>> {
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    snapshot.context(id(number)).await.expect("read")
}

/// One more write of a context, and its group.
async fn written(store: &dyn Store, number: u128, millis: i64) -> Result<Context, CommitError> {
    let before = found(store, number).await.expect("it is there");
    let mut value = before.value;
    let path = Path::parse(&format!("n.v{}", before.version)).expect("a path");
    let update = Update::one("", path, json!(millis)).expect("valid");
    let entries = value.write(&[update], &by(), at(millis)).expect("small");
    let group = Group {
        tenant_id: TENANT,
        context_id: value.id,
        version: before.version.next().get(),
        entries,
        changed_at: at(millis),
        changed_by: by(),
    };
    let set = ChangeSet::new(TENANT)
        .write(put(Expect::At(before.version), value.clone()))
        .write(Write::Context(ContextWrite::Group(group)));
    store.commit(set).await.map(|_| value)
}

async fn a_context_reads_back_equal_and_keeps_its_versions(kit: Kit) {
    let made = made(&*kit.store, TENANT, 1, ContextScope::Session).await;
    let read = found(&*kit.store, 1).await.expect("it is there");
    assert_eq!((read.version, &read.value), (Version::FIRST, &made));
    for millis in 10..14 {
        let value = written(&*kit.store, 1, millis).await.expect("stored");
        assert_eq!(found(&*kit.store, 1).await.expect("it is there").value, value);
    }
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let groups = async |between, limit| -> Vec<u64> {
        let found = snapshot.context_groups(id(1), between, limit).await.expect("read");
        found.iter().map(|group| group.version).collect()
    };
    assert_eq!(groups((0, u64::MAX), 9).await, [5, 4, 3, 2], "newest first");
    assert_eq!(groups((2, 5), 9).await, [4, 3]);
    assert_eq!(groups((0, u64::MAX), 1).await, [5]);
    let versions = snapshot.context_versions(session(1), 9).await.expect("read");
    assert_eq!(versions, [(id(1), 5)].into());
    drop(snapshot);
    let forget = Write::Context(ContextWrite::DropGroup(id(1), 2));
    kit.store.commit(ChangeSet::new(TENANT).write(forget)).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let left = snapshot.context_groups(id(1), (0, u64::MAX), 9).await.expect("read");
    assert_eq!((left.len(), left[2].version), (3, 3));
    assert_eq!(left[2].entries[0].path.to_string(), "n.v2");
}

async fn a_lost_race_about_a_context_is_told(kit: Kit) {
    let value = made(&*kit.store, TENANT, 1, ContextScope::Global).await;
    for expect in [Expect::Absent, Expect::At(Version::new(2))] {
        let set = ChangeSet::new(TENANT).write(put(expect, value.clone()));
        assert!(matches!(kit.store.commit(set).await, Err(CommitError::Stale)), "{expect:?}");
    }
    let twice = ChangeSet::new(TENANT)
        .write(put(Expect::At(Version::FIRST), value.clone()))
        .write(put(Expect::At(Version::FIRST), value));
    assert!(kit.store.commit(twice).await.is_err(), "one record twice in one set");
}

async fn contexts_are_found_by_their_owners_in_order_of_creation(kit: Kit) {
    use ContextScope::{Agent, Global, Session, Temporary};
    for (number, scope) in [(1, Session), (2, Global), (3, Session), (4, Agent), (5, Temporary)] {
        made(&*kit.store, TENANT, number, scope).await;
    }
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let listed = async |query| -> Vec<u128> {
        let found = snapshot.contexts(query).await.expect("read");
        found.iter().map(|one| one.value.id.uuid().as_u128()).collect()
    };
    let of = |of| ContextQuery { of, limit: 9, ..ContextQuery::default() };
    assert_eq!(listed(of(ContextsOf::All)).await, [1, 2, 3, 4, 5]);
    assert_eq!(listed(of(ContextsOf::Session(session(1)))).await, [1, 3]);
    assert_eq!(listed(of(ContextsOf::Session(session(9)))).await, []);
    assert_eq!(listed(of(ContextsOf::Agent(AgentId::new(Uuid::from_u128(2))))).await, [4]);
    assert_eq!(listed(of(ContextsOf::Global)).await, [2]);
    let page = ContextQuery { after: Some(id(2)), limit: 2, ..ContextQuery::default() };
    assert_eq!(listed(page).await, [3, 4]);
    let own = ContextQuery { after: Some(id(1)), ..of(ContextsOf::Session(session(1))) };
    assert_eq!(listed(own).await, [3]);
    let scoped = ContextQuery { scope: Some(Temporary), ..of(ContextsOf::All) };
    assert_eq!(listed(scoped).await, [5]);
}

async fn contexts_of_other_tenants_do_not_exist_here(kit: Kit) {
    made(&*kit.store, neighbour(), 1, ContextScope::Session).await;
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.context(id(1)).await.expect("read").is_none());
    let all = ContextQuery { limit: 9, ..ContextQuery::default() };
    assert!(snapshot.contexts(all).await.expect("read").is_empty());
    assert!(snapshot.context_versions(session(1), 9).await.expect("read").is_empty());
    let foreign = context(neighbour(), 2, ContextScope::Global);
    let set = ChangeSet::new(TENANT).write(put(Expect::Absent, foreign));
    assert!(kit.store.commit(set).await.is_err(), "it names another tenant");
}

async fn contexts_that_nobody_writes_are_found_by_their_age(kit: Kit) {
    for number in [1, 2, 3] {
        made(&*kit.store, TENANT, number, ContextScope::Temporary).await;
    }
    made(&*kit.store, TENANT, 4, ContextScope::Global).await;
    written(&*kit.store, 1, 50).await.expect("stored");
    let fleet = kit.store.fleet().await.expect("a fleet");
    let old = async |until, after, limit| -> Vec<u128> {
        let scope = ContextScope::Temporary;
        let asked = OldContexts { tenant: TENANT, scope, until: at(until), after, limit };
        let found = fleet.old_contexts(asked).await.expect("read");
        found.iter().map(|(_, id)| id.uuid().as_u128()).collect()
    };
    assert_eq!(old(2, None, 9).await, [2]);
    assert_eq!(old(49, None, 9).await, [2, 3]);
    assert_eq!(old(50, None, 2).await, [2, 3]);
    assert_eq!(old(50, Some((at(3), id(3))), 9).await, [1]);
}

async fn a_context_goes_with_its_history(kit: Kit) {
    made(&*kit.store, TENANT, 1, ContextScope::Session).await;
    written(&*kit.store, 1, 10).await.expect("stored");
    let drop_at = |version| {
        let gone = ContextWrite::Drop(Version::new(version), id(1));
        ChangeSet::new(TENANT).write(Write::Context(gone))
    };
    assert!(matches!(kit.store.commit(drop_at(1)).await, Err(CommitError::Stale)));
    kit.store.commit(drop_at(2)).await.expect("gone");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.context(id(1)).await.expect("read").is_none());
    assert!(snapshot.context_groups(id(1), (0, 9), 9).await.expect("read").is_empty());
    assert!(snapshot.context_versions(session(1), 9).await.expect("read").is_empty());
    let counter = orchestrator::application::ports::changes::Counter::StoredBytes;
    assert_eq!(snapshot.counter(counter).await.expect("read"), 0, "nothing is stored of it");
}

async fn merges_wait_until_they_are_resolved_once(kit: Kit) {
    let merge = PendingMerge {
        id: id(7),
        tenant_id: TENANT,
        inputs: vec![(id(1), 3), (id(2), 1)],
        clashes: Vec::new(),
        created_by: by(),
        created_at: at(0),
        expires_at: at(100),
    };
    let set = ChangeSet::new(TENANT).write(Write::Context(ContextWrite::Merge(merge.clone())));
    kit.store.commit(set).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.pending_merge(id(7)).await.expect("read"), Some(merge));
    drop(snapshot);
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert!(fleet.old_merges(at(99), 9).await.expect("read").is_empty());
    assert_eq!(fleet.old_merges(at(100), 9).await.expect("read"), [(TENANT, id(7))]);
    let done = || ChangeSet::new(TENANT).write(Write::Context(ContextWrite::DropMerge(id(7))));
    kit.store.commit(done()).await.expect("stored");
    assert!(matches!(kit.store.commit(done()).await, Err(CommitError::Stale)), "once");
}

async fn ended_sessions_are_noted_while_they_have_contexts(kit: Kit) {
    made(&*kit.store, TENANT, 1, ContextScope::Session).await;
    for number in [1, 9] {
        let ended = Write::Context(ContextWrite::OwnerEnded(session(number)));
        kit.store.commit(ChangeSet::new(TENANT).write(ended)).await.expect("stored");
    }
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert_eq!(fleet.ended_owners(9).await.expect("read"), [(TENANT, session(1))]);
    let done = Write::Context(ContextWrite::OwnerDone(session(1)));
    kit.store.commit(ChangeSet::new(TENANT).write(done)).await.expect("stored");
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert!(fleet.ended_owners(9).await.expect("read").is_empty());
}
