//! What is kept no longer, and counters beside rows.

use std::time::Duration;

use orchestrator::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Put, Write,
};
use orchestrator::application::ports::reads::{Recount, StoredClass};
use orchestrator::application::ports::store::Outdated;
use orchestrator::domain::event::DomainEvent;
use orchestrator::domain::ids::{KeyId, SessionId, TenantId};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::key::{ApiKey, KeyKind, KeySecret, Role};
use orchestrator::domain::tenant::network::Networks;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::version::Version;

use super::fixtures::{Kit, TENANT, at, neighbour, note, session, stored};
use super::for_both_stores;

for_both_stores!(
    old_events_go_and_numbers_go_on,
    old_sessions_are_found_deleted_or_not,
    counters_are_compared_with_rows_at_one_moment,
    what_is_stored_is_told_by_class,
    browsers_go_some_time_after_their_end,
);

fn note_at(number: u64, millis: i64) -> DomainEvent {
    DomainEvent { occurred_at: at(millis), ..note(number) }
}

async fn seqs(kit: &Kit, tenant: TenantId) -> Vec<u64> {
    let snapshot = kit.store.snapshot(tenant).await.expect("a snapshot");
    snapshot.events(0, None, 100).await.expect("read").iter().map(|event| event.seq).collect()
}

async fn old_events_go_and_numbers_go_on(kit: Kit) {
    for (tenant, times) in [(TENANT, [0, 10, 20, 30]), (neighbour(), [15, 25, 35, 45])] {
        let events = (1..).zip(times).map(|(number, millis)| note_at(number, millis));
        kit.store.commit(ChangeSet::new(tenant).events(events)).await.expect("stored");
    }
    let own = stored(&*kit.store, TENANT, 1).await;
    let remove = |millis, limit| kit.store.remove_outdated(Outdated::Events(at(millis)), limit);
    assert_eq!(remove(0, 9).await.expect("done"), 0, "what happened then is kept");
    assert_eq!(remove(21, 2).await.expect("done"), 2);
    assert_eq!((seqs(&kit, TENANT).await, seqs(&kit, neighbour()).await.len()), (vec![3, 4, 5], 4));
    assert_eq!(remove(21, 9).await.expect("done"), 2, "one of each");
    assert_eq!(remove(21, 9).await.expect("done"), 0);
    assert_eq!(seqs(&kit, neighbour()).await, [2, 3, 4]);
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.first_seq().await.expect("read"), 4);
    // The creation of the session happened at 0 and hides behind a younger event.
    let of_session = snapshot.events(0, Some(own.id), 9).await.expect("read");
    assert_eq!(of_session.len(), 1);
    drop(snapshot);
    assert_eq!(remove(1000, 99).await.expect("done"), 5, "everything");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let (first, last) = (snapshot.first_seq().await, snapshot.last_seq().await);
    assert_eq!((first.expect("read"), last.expect("read")), (0, 5));
    assert!(snapshot.events(0, Some(own.id), 9).await.expect("read").is_empty());
    drop(snapshot);
    let next = ChangeSet::new(TENANT).events([note_at(9, 50)]);
    assert_eq!(kit.store.commit(next).await.expect("stored").last_seq, 6);
    assert_eq!(seqs(&kit, TENANT).await, [6]);
}

async fn old_sessions_are_found_deleted_or_not(kit: Kit) {
    let mut made: Vec<SessionId> = Vec::new();
    for code in 1..=5 {
        made.push(stored(&*kit.store, TENANT, code).await.id);
    }
    stored(&*kit.store, neighbour(), 1).await;
    made.sort_unstable();
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let mut gone = snapshot.session(made[1]).await.expect("read").expect("there").value;
    drop(snapshot);
    gone.stamps.deleted_at = Some(at(5));
    let put = Put { expect: Expect::At(Version::FIRST), value: gone };
    kit.store.commit(ChangeSet::new(TENANT).write(Write::Session(put))).await.expect("stored");
    let fleet = kit.store.fleet().await.expect("a fleet");
    let found = async |before: Timestamp, after, limit| {
        let page = fleet.sessions_made_before(TENANT, before, after, limit).await.expect("read");
        page.iter().map(|found| found.value.id).collect::<Vec<_>>()
    };
    // Ids carry the time of the machine, which is not that of the test.
    let later = Timestamp::MAX;
    assert_eq!(found(later, None, 2).await, made[..2]);
    assert_eq!(found(later, Some(made[1]), 9).await, made[2..]);
    assert!(found(Timestamp::from_millis(1_000_000_000_000), None, 9).await.is_empty());
}

async fn counters_are_compared_with_rows_at_one_moment(kit: Kit) {
    let pending = Counter::SessionsIn(SessionStatus::Pending);
    for code in 1..=3 {
        let (session, event) = session(TENANT, code);
        let set = super::fixtures::creation(&session, event)
            .count(Counter::OpenSessions, CounterChange::Add(1))
            .count(pending, CounterChange::Add(1));
        kit.store.commit(set).await.expect("stored");
    }
    let recount = async |counter| {
        let fleet = kit.store.fleet().await.expect("a fleet");
        fleet.recount(TENANT, counter).await.expect("read")
    };
    let agree = |number| Some(Recount { stored: Some(number), counted: number });
    for counter in [Counter::OpenSessions, pending] {
        assert_eq!(recount(counter).await, agree(3), "{counter:?}");
    }
    let wrong = ChangeSet::new(TENANT).count(Counter::OpenSessions, CounterChange::Add(7));
    kit.store.commit(wrong).await.expect("stored");
    let expected = Some(Recount { stored: Some(10), counted: 3 });
    assert_eq!(recount(Counter::OpenSessions).await, expected);
    assert_eq!(recount(Counter::SessionsIn(SessionStatus::Failed)).await, agree(0));
    assert_eq!(recount(Counter::FencingTokens).await, None, "it counts no rows");
}

async fn what_is_stored_is_told_by_class(kit: Kit) {
    let session = stored(&*kit.store, TENANT, 1).await;
    let kept = Duration::from_secs(1);
    assert!(session.stamps.created_at.after(kept) > session.stamps.created_at);
    let usage = kit.store.fleet().await.expect("a fleet").usage().await.expect("read");
    let classes: Vec<StoredClass> = usage.iter().map(|used| used.class).collect();
    assert_eq!(classes, StoredClass::ALL);
    let of = |class| usage.iter().find(|used| used.class == class).expect("there");
    assert_eq!((of(StoredClass::Sessions).rows, of(StoredClass::Events).rows), (1, 1));
    assert_eq!(of(StoredClass::Webhooks).rows, 0);
    assert!(of(StoredClass::Sessions).bytes.is_none_or(|bytes| bytes > 100), "{usage:?}");
}

async fn browsers_go_some_time_after_their_end(kit: Kit) {
    let key = |number: u8, kind, expires_at: Option<i64>, revoked_at: Option<i64>| ApiKey {
        id: KeyId::new(uuid::Uuid::from_bytes([number; 16])),
        tenant_id: TENANT,
        kind,
        user_id: None,
        opened_by: None,
        name: "browser".to_owned(),
        prefix: "iob_".to_owned(),
        secrets: vec![KeySecret { hash: [number; 32], expires_at: None }],
        role: Role::Viewer,
        scopes: Scopes::all(),
        is_system: false,
        networks: Networks::default(),
        invited: None,
        created_by: "ann".to_owned(),
        created_at: at(0),
        expires_at: expires_at.map(at),
        revoked_at: revoked_at.map(at),
    };
    let (browser, plain) = (KeyKind::Browser, KeyKind::Key);
    let all = [
        key(1, browser, Some(10), None),
        key(2, browser, Some(99), Some(10)),
        key(3, browser, Some(99), None),
        key(4, browser, Some(10), Some(50)),
        key(5, plain, Some(10), Some(10)),
        key(6, plain, None, None),
    ];
    for (index, key) in all.into_iter().enumerate() {
        let tenant = if index == 1 { neighbour() } else { TENANT };
        let put = Put { expect: Expect::Absent, value: ApiKey { tenant_id: tenant, ..key } };
        kit.store.commit(ChangeSet::new(tenant).write(Write::ApiKey(put))).await.expect("stored");
    }
    let fleet = kit.store.fleet().await.expect("a fleet");
    let counted = fleet.recount(TENANT, Counter::ApiKeys).await.expect("read").expect("rows");
    assert_eq!(counted.counted, 1, "browsers have no place among the keys");
    let remove = |millis, limit| kit.store.remove_outdated(Outdated::Browsers(at(millis)), limit);
    assert_eq!(remove(10, 9).await.expect("done"), 0, "they ended just then");
    assert_eq!(remove(11, 1).await.expect("done"), 1);
    assert_eq!(remove(11, 9).await.expect("done"), 2);
    assert_eq!(remove(99, 9).await.expect("done"), 0);
    let fleet = kit.store.fleet().await.expect("a fleet");
    for (number, there) in [(1, false), (2, false), (3, true), (4, false), (5, true), (6, true)] {
        let found = fleet.api_key([number; 32]).await.expect("read");
        assert_eq!(found.is_some(), there, "{number}");
    }
}
