//! Tasks, how a session's are executed, and templates.

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::store::{CommitError, Store};
use orchestrator::application::ports::tasks::TaskWrite;
use orchestrator::domain::decompose::file::read_one;
use orchestrator::domain::decompose::template::OwnTemplate;
use orchestrator::domain::ids::{SessionId, TaskId, TenantId};
use orchestrator::domain::task::book::{Book, Execution};
use orchestrator::domain::task::draft::TaskDraft;
use orchestrator::domain::task::{Place, Task};
use orchestrator::domain::version::{Version, Versioned};
use serde_json::json;
use uuid::Uuid;

use super::fixtures::{Kit, TENANT, at, creation, neighbour, session as root};
use super::for_both_stores;

for_both_stores!(
    a_task_reads_back_equal_and_is_found_by_its_id_and_session,
    a_lost_race_about_a_task_or_a_book_is_told,
    tasks_are_listed_in_order_of_their_ids_and_deleted_ones_not_at_all,
    tasks_of_other_tenants_do_not_exist_here,
    a_session_is_among_the_runs_while_its_tasks_are_given_out,
    templates_are_kept_by_key_and_go,
    tasks_are_purged_with_their_session,
);

fn id(number: u128) -> TaskId {
    TaskId::new(Uuid::from_u128(number))
}

fn session(number: u128) -> SessionId {
    SessionId::new(Uuid::from_u128(number))
}

fn task(tenant: TenantId, number: u128, of: u128) -> Task {
    let draft = TaskDraft {
        title: format!("Test part {number}"),
        estimated_hours: Some(2.0),
        tags: vec!["a".to_owned()],
        ..TaskDraft::default()
    };
    let made = draft.accept(at(0)).expect("valid");
    Task::create(id(number), (tenant, session(of)), made, Place::default(), at(0)).0
}

fn put(expect: Expect, value: Task) -> Write {
    Write::Task(TaskWrite::Task(Put { expect, value }))
}

async fn made(store: &dyn Store, tenant: TenantId, number: u128, of: u128) -> Task {
    let value = task(tenant, number, of);
    let set = ChangeSet::new(tenant).write(put(Expect::Absent, value.clone()));
    store.commit(set).await.expect("stored");
    value
}

async fn found(store: &dyn Store, number: u128) -> Option<Versioned<Task>> {
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    snapshot.task(id(number)).await.expect("read")
}

async fn a_task_reads_back_equal_and_is_found_by_its_id_and_session(kit: Kit) {
    let first = made(&*kit.store, TENANT, 1, 7).await;
    made(&*kit.store, TENANT, 2, 8).await;
    let read = found(&*kit.store, 1).await.expect("it is there");
    assert_eq!((read.version, &read.value), (Version::FIRST, &first));
    assert_eq!(found(&*kit.store, 3).await, None);
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let of_session = snapshot.tasks_of(session(7)).await.expect("read");
    assert_eq!(of_session.iter().map(|one| one.value.id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(snapshot.tasks_of(session(9)).await.expect("read"), []);
}

async fn a_lost_race_about_a_task_or_a_book_is_told(kit: Kit) {
    let value = made(&*kit.store, TENANT, 1, 7).await;
    for expect in [Expect::Absent, Expect::At(Version::new(2))] {
        let set = ChangeSet::new(TENANT).write(put(expect, value.clone()));
        assert!(matches!(kit.store.commit(set).await, Err(CommitError::Stale)), "{expect:?}");
    }
    let book = |expect| {
        let value = Book::new(TENANT, session(7), at(0));
        ChangeSet::new(TENANT).write(Write::Task(TaskWrite::Book(Put { expect, value })))
    };
    kit.store.commit(book(Expect::Absent)).await.expect("stored");
    let again = kit.store.commit(book(Expect::Absent)).await;
    assert!(matches!(again, Err(CommitError::Stale)));
    kit.store.commit(book(Expect::At(Version::FIRST))).await.expect("stored");
    let late = kit.store.commit(book(Expect::At(Version::FIRST))).await;
    assert!(matches!(late, Err(CommitError::Stale)));
}

async fn tasks_are_listed_in_order_of_their_ids_and_deleted_ones_not_at_all(kit: Kit) {
    for (number, of) in [(3, 7), (1, 8), (2, 7), (5, 7)] {
        made(&*kit.store, TENANT, number, of).await;
    }
    let gone = Task { deleted_at: Some(at(5)), ..task(TENANT, 2, 7) };
    let set = ChangeSet::new(TENANT).write(put(Expect::At(Version::FIRST), gone));
    kit.store.commit(set).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let listed = async |after, limit| -> Vec<TaskId> {
        let found = snapshot.tasks(after, limit).await.expect("read");
        found.iter().map(|one| one.value.id).collect()
    };
    assert_eq!(listed(None, 9).await, [id(1), id(3), id(5)]);
    assert_eq!(listed(Some(id(1)), 1).await, [id(3)]);
    assert_eq!(listed(Some(id(5)), 9).await, []);
    let of_session = snapshot.tasks_of(session(7)).await.expect("read");
    assert_eq!(of_session.iter().map(|one| one.value.id).collect::<Vec<_>>(), [id(3), id(5)]);
    assert_eq!(snapshot.task(id(2)).await.expect("read"), None);
}

async fn tasks_of_other_tenants_do_not_exist_here(kit: Kit) {
    made(&*kit.store, neighbour(), 1, 7).await;
    assert_eq!(found(&*kit.store, 1).await, None);
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.tasks_of(session(7)).await.expect("read"), []);
    assert_eq!(snapshot.tasks(None, 9).await.expect("read"), []);
    drop(snapshot);
    let set = ChangeSet::new(TENANT).write(put(Expect::Absent, task(neighbour(), 2, 7)));
    assert!(kit.store.commit(set).await.is_err(), "nobody writes into another tenant");
}

async fn a_session_is_among_the_runs_while_its_tasks_are_given_out(kit: Kit) {
    let runs = async || kit.store.fleet().await.expect("a view").task_runs().await.expect("read");
    assert_eq!(runs().await, []);
    let mut value = Book::new(TENANT, session(7), at(0));
    let execution = Execution {
        task_id: Some(id(1)),
        max_parallel: 3,
        fail_fast: true,
        started_at: at(1),
        ended_at: None,
    };
    value.execution = Some(execution);
    let write = |expect, value: &Book| {
        let value = value.clone();
        ChangeSet::new(TENANT).write(Write::Task(TaskWrite::Book(Put { expect, value })))
    };
    kit.store.commit(write(Expect::Absent, &value)).await.expect("stored");
    assert_eq!(runs().await, [(TENANT, session(7))]);
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let read = snapshot.task_book(session(7)).await.expect("read").expect("it is there");
    assert_eq!(read.value, value);
    drop(snapshot);
    value.execution = Some(Execution { ended_at: Some(at(9)), ..execution });
    kit.store.commit(write(Expect::At(Version::FIRST), &value)).await.expect("stored");
    assert_eq!(runs().await, []);
}

async fn templates_are_kept_by_key_and_go(kit: Kit) {
    let own = |key: &str| {
        let spelled = json!({
            "key": key, "name": "Own", "trigger": "keyword", "keywords": ["login"],
            "subtask": [{ "key": "one", "title": "{title} - One", "hours": 2 }],
        });
        let template = read_one(&spelled).expect("valid");
        OwnTemplate { tenant_id: TENANT, template, created_at: at(0), updated_at: at(0) }
    };
    let write = |expect, key: &str| {
        let value = own(key);
        ChangeSet::new(TENANT).write(Write::Task(TaskWrite::Template(Put { expect, value })))
    };
    for key in ["zeta", "crud", "alpha"] {
        kit.store.commit(write(Expect::Absent, key)).await.expect("stored");
    }
    let twice = kit.store.commit(write(Expect::Absent, "crud")).await;
    assert!(matches!(twice, Err(CommitError::Stale)));
    let keys = async || -> Vec<String> {
        let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
        let found = snapshot.templates().await.expect("read");
        found.into_iter().map(|one| one.value.template.key).collect()
    };
    assert_eq!(keys().await, ["alpha", "crud", "zeta"]);
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let read = snapshot.template("crud").await.expect("read").expect("it is there");
    assert_eq!(read.value, own("crud"));
    drop(snapshot);
    let drop_it = |version| {
        let write = TaskWrite::DropTemplate(version, "crud".to_owned());
        ChangeSet::new(TENANT).write(Write::Task(write))
    };
    let stale = kit.store.commit(drop_it(Version::new(9))).await;
    assert!(matches!(stale, Err(CommitError::Stale)));
    kit.store.commit(drop_it(Version::FIRST)).await.expect("stored");
    assert_eq!(keys().await, ["alpha", "zeta"]);
}

async fn tasks_are_purged_with_their_session(kit: Kit) {
    let (session, event) = root(TENANT, 1);
    let mut set = creation(&session, event);
    for (number, of) in [(1, session.id), (2, SessionId::new(Uuid::from_u128(7)))] {
        let value = Task { session_id: of, ..task(TENANT, number, 7) };
        set = set.write(put(Expect::Absent, value));
    }
    let value = Book::new(TENANT, session.id, at(0));
    let book = Write::Task(TaskWrite::Book(Put { expect: Expect::Absent, value }));
    kit.store.commit(set.write(book)).await.expect("stored");
    let purge = Write::PurgeSession(Version::FIRST, session.id);
    kit.store.commit(ChangeSet::new(TENANT).write(purge)).await.expect("purged");
    assert_eq!(found(&*kit.store, 1).await, None);
    assert!(found(&*kit.store, 2).await.is_some(), "that of another session stays");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.tasks_of(session.id).await.expect("read"), []);
    assert_eq!(snapshot.task_book(session.id).await.expect("read"), None);
}
