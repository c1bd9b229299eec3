//! What is kept no longer, and counters beside rows.

use std::time::Duration;

use orchestrator::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use orchestrator::application::ports::journal::{NewEntry, Stream};
use orchestrator::application::ports::reads::{Recount, StoredClass};
use orchestrator::application::ports::store::{CommitError, Outdated};
use orchestrator::domain::event::DomainEvent;
use orchestrator::domain::ids::{KeyId, SessionId, TenantId};
use orchestrator::domain::session::checkpoint::Checkpoint;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::key::{ApiKey, KeyKind, KeySecret, Role};
use orchestrator::domain::tenant::network::Networks;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::version::Version;

use serde_json::json;

use super::fixtures::{Kit, TENANT, at, checkpoint, neighbour, note, session, stored};
use super::for_both_stores;

for_both_stores!(
    old_events_go_and_numbers_go_on,
    old_sessions_are_found_deleted_or_not,
    counters_are_compared_with_rows_at_one_moment,
    what_is_stored_is_told_by_class,
    browsers_go_some_time_after_their_end,
    the_oldest_part_of_the_audit_goes_and_its_chain_goes_on,
    bytes_are_counted_with_what_is_stored,
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
    let of = |tenant, millis| kit.store.remove_outdated(Outdated::EventsOf(tenant, at(millis)), 9);
    assert_eq!(of(neighbour(), 16).await.expect("done"), 1);
    assert_eq!((seqs(&kit, TENANT).await.len(), seqs(&kit, neighbour()).await), (3, vec![2, 3, 4]));
    assert_eq!(of(TENANT, 21).await.expect("done"), 1);
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

async fn the_oldest_part_of_the_audit_goes_and_its_chain_goes_on(kit: Kit) {
    let write = async |tenant, count| {
        for _ in 0..count {
            let set = ChangeSet::new(tenant).audit(Some(super::fixtures::audit("x")));
            kit.store.commit(set).await.expect("stored");
        }
    };
    let chain = async |tenant| {
        let snapshot = kit.store.snapshot(tenant).await.expect("a snapshot");
        let head = snapshot.audit_head().await.expect("read").expect("a chain");
        (snapshot.audit(0, 99).await.expect("read"), head)
    };
    let remove = async |tenant, up_to| {
        kit.store.remove_outdated(Outdated::Audit(tenant, up_to), 2).await.expect("done")
    };
    assert_eq!(remove(TENANT, 9).await, 0, "there is none");
    write(TENANT, 5).await;
    write(neighbour(), 5).await;
    let (whole, head) = chain(TENANT).await;
    assert_eq!(remove(TENANT, 0).await, 0);
    assert_eq!(remove(TENANT, 5).await, 0, "the newest stays, and with it all");
    assert_eq!(remove(TENANT, u64::MAX).await, 0);
    assert_eq!(remove(TENANT, 3).await, 3, "all in one step");
    assert_eq!(remove(TENANT, 3).await, 0);
    assert_eq!(chain(TENANT).await, (whole[3..].to_vec(), head.clone()));
    assert_eq!(chain(neighbour()).await.0.len(), 5);
    write(TENANT, 1).await;
    let (rest, _) = chain(TENANT).await;
    let newest = rest.last().expect("one");
    assert_eq!((newest.place.seq, &newest.prev_hash), (6, &head.1));
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

async fn bytes_are_counted_with_what_is_stored(kit: Kit) {
    let (one, two) = (stored(&*kit.store, TENANT, 1).await, stored(&*kit.store, TENANT, 2).await);
    let bytes = async || {
        let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
        let bytes = snapshot.counter(Counter::StoredBytes).await.expect("read");
        let fleet = kit.store.fleet().await.expect("a fleet");
        if let Some(found) = fleet.recount(TENANT, Counter::StoredBytes).await.expect("read") {
            assert_eq!(found, Recount { stored: Some(bytes), counted: bytes });
        }
        bytes
    };
    let commit = async |set| kit.store.commit(set).await.map(drop);
    let put = |of: SessionId, sequence| {
        let long = Checkpoint { data: json!({ "a": "x".repeat(500) }), ..checkpoint(of, sequence) };
        ChangeSet::new(TENANT).write(Write::Checkpoint(long))
    };
    assert_eq!(bytes().await, 0);
    commit(put(one.id, 1)).await.expect("stored");
    let each = bytes().await;
    assert!(each > 50, "{each}");
    commit(put(one.id, 2)).await.expect("stored");
    commit(put(two.id, 1)).await.expect("stored");
    let three = bytes().await;
    assert!((three - 3 * each).abs() < 64, "{three}");
    assert!(commit(put(one.id, 2)).await.is_err(), "it is there");
    assert_eq!(bytes().await, three);
    let line = || NewEntry { at: at(1), kind: "info".to_owned(), body: json!({ "message": "hm" }) };
    for (session, stream) in
        [(one.id, Stream::Log), (one.id, Stream::Transcript), (two.id, Stream::Log)]
    {
        kit.journal.append(TENANT, session, stream, vec![line(), line()]).await.expect("appended");
    }
    let weight = i64::try_from(line().weight()).expect("small");
    assert_eq!(bytes().await, three + 6 * weight);
    let drop_one = Write::DropCheckpoint { session: one.id, sequence: 1 };
    commit(ChangeSet::new(TENANT).write(drop_one.clone())).await.expect("dropped");
    commit(ChangeSet::new(TENANT).write(drop_one)).await.expect("gone already");
    assert_eq!(bytes().await, three - each + 6 * weight);
    let at_most = |limit| Guard::CounterAtMost { counter: Counter::StoredBytes, limit };
    let full = commit(put(one.id, 3).guard(at_most(5))).await;
    assert!(matches!(full, Err(CommitError::Exceeded { limit: 5, .. })), "{full:?}");
    for (session, left) in [(one.id, three - 2 * each + 2 * weight), (two.id, 0)] {
        let purge = Write::PurgeSession(Version::FIRST, session);
        commit(ChangeSet::new(TENANT).write(purge)).await.expect("purged");
        assert!((bytes().await - left).abs() < 64, "{left}");
    }
    assert_eq!(bytes().await, 0);
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
        follows: false,
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
