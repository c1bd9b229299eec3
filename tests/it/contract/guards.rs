//! Conditions over more than one record: bounds, leases, names, numbers, remembered answers.

use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Remembered, Write,
};
use orchestrator::application::ports::store::{CommitError, Sequence};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::version::Version;
use tokio::task::JoinSet;

use super::fixtures::{Kit, TENANT, at, by, lease, neighbour, note, stored};
use super::for_both_stores;

for_both_stores!(
    a_bound_is_never_passed_by_concurrent_commits,
    counters_add_and_rise,
    a_lease_guards_by_its_token,
    a_status_guards_by_membership,
    numbers_are_given_once,
    answers_are_remembered_until_forgotten,
);

async fn a_bound_is_never_passed_by_concurrent_commits(kit: Kit) {
    const LIMIT: u64 = 20;
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let store = Arc::clone(&kit.store);
        tasks.spawn(async move {
            let set = ChangeSet::new(TENANT)
                .count(Counter::OpenSessions, CounterChange::Add(1))
                .guard(Guard::CounterAtMost { counter: Counter::OpenSessions, limit: LIMIT });
            match store.commit(set).await {
                Ok(_) => true,
                Err(CommitError::Exceeded {
                    counter: Counter::OpenSessions,
                    limit: LIMIT,
                    used: LIMIT,
                }) => false,
                Err(other) => panic!("{other}"),
            }
        });
    }
    let accepted = tasks.join_all().await.into_iter().filter(|accepted| *accepted).count();
    assert_eq!(accepted, 20);
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.counter(Counter::OpenSessions).await.expect("read"), 20);
}

async fn counters_add_and_rise(kit: Kit) {
    let queued = Counter::SessionsIn(SessionStatus::Queued);
    let set = ChangeSet::new(TENANT)
        .count(queued, CounterChange::Add(3))
        .count(queued, CounterChange::Add(-1))
        .count(Counter::FencingTokens, CounterChange::AtLeast(7))
        .count(Counter::FencingTokens, CounterChange::AtLeast(5));
    kit.store.commit(set).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.counter(queued).await.expect("read"), 2);
    assert_eq!(snapshot.counter(Counter::FencingTokens).await.expect("read"), 7);
    let running = Counter::SessionsIn(SessionStatus::Running);
    assert_eq!(snapshot.counter(running).await.expect("read"), 0);
}

async fn a_lease_guards_by_its_token(kit: Kit) {
    let mut session = stored(&*kit.store, TENANT, 1).await;
    session.execute(lease(5), None, by()).expect("it can run");
    let put = Put { expect: Expect::At(Version::FIRST), value: session.clone() };
    kit.store.commit(ChangeSet::new(TENANT).write(Write::Session(put))).await.expect("stored");
    let guarded = |fencing_token| {
        ChangeSet::new(TENANT)
            .guard(Guard::LeaseCurrent { session: session.id, fencing_token })
            .events([note(1)])
    };
    kit.store.commit(guarded(5)).await.expect("the token is current");
    for token in [4, 6] {
        assert!(matches!(kit.store.commit(guarded(token)).await, Err(CommitError::Refused)));
    }
}

async fn a_status_guards_by_membership(kit: Kit) {
    let session = stored(&*kit.store, TENANT, 1).await;
    let guarded = |statuses| {
        let guard = Guard::SessionIn { session: session.id, statuses };
        ChangeSet::new(TENANT).guard(guard)
    };
    kit.store.commit(guarded(SessionStatus::OPEN)).await.expect("pending is open");
    let refused = kit.store.commit(guarded(&[SessionStatus::Running])).await;
    assert!(matches!(refused, Err(CommitError::Refused)));
    let free = ChangeSet::new(TENANT).guard(Guard::AgentNameFree("AGENT-A".to_owned()));
    kit.store.commit(free).await.expect("nobody has the name");
}

async fn numbers_are_given_once(kit: Kit) {
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let store = Arc::clone(&kit.store);
        tasks.spawn(async move { store.allocate(TENANT, Sequence::SessionCodes).await });
    }
    let mut given: Vec<u64> =
        tasks.join_all().await.into_iter().map(|number| number.expect("a number")).collect();
    given.sort_unstable();
    assert_eq!(given, (1..=64).collect::<Vec<_>>());
    let set = ChangeSet::new(TENANT).count(Counter::SessionCodes, CounterChange::AtLeast(100));
    kit.store.commit(set).await.expect("stored");
    let next = |tenant, sequence| kit.store.allocate(tenant, sequence);
    assert_eq!(next(TENANT, Sequence::SessionCodes).await.expect("a number"), 101);
    assert_eq!(next(TENANT, Sequence::FencingTokens).await.expect("a number"), 1);
    assert_eq!(next(neighbour(), Sequence::SessionCodes).await.expect("a number"), 1);
}

async fn answers_are_remembered_until_forgotten(kit: Kit) {
    let answer = |key: u8, seconds| Remembered {
        key: [key; 32],
        fingerprint: [1; 32],
        status: 201,
        headers: vec![("etag".to_owned(), "\"1\"".to_owned())],
        body: vec![key],
        expires_at: at(0).after(Duration::from_secs(seconds)),
    };
    let remember = |tenant, answer| {
        kit.store.commit(ChangeSet::new(tenant).events([note(1)]).remember(Some(answer)))
    };
    remember(TENANT, answer(1, 10)).await.expect("stored");
    remember(TENANT, answer(2, 20)).await.expect("stored");
    remember(neighbour(), answer(1, 10)).await.expect("another tenant's key is another key");
    assert!(matches!(remember(TENANT, answer(1, 99)).await, Err(CommitError::Stale)), "repeated");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.remembered([1; 32]).await.expect("read"), Some(answer(1, 10)));
    assert_eq!(snapshot.last_seq().await.expect("read"), 2, "the repetition left nothing");

    let later = at(10_000);
    kit.clock.set(later);
    remember(TENANT, answer(1, 50)).await.expect("an expired answer gives way");
    assert_eq!(kit.store.forget_expired(later, 9).await.expect("done"), 1, "the neighbour's");
    assert_eq!(kit.store.forget_expired(at(20_000), 9).await.expect("done"), 1);
    assert_eq!(kit.store.forget_expired(at(20_000), 9).await.expect("done"), 0);
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.remembered([1; 32]).await.expect("read"), Some(answer(1, 50)));
    assert_eq!(snapshot.remembered([2; 32]).await.expect("read"), None);
}
