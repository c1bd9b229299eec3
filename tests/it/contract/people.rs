//! People, the keys that they hold, and when those were used.

use orchestrator::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use orchestrator::application::ports::clock::Ids;
use orchestrator::application::ports::people::PeopleWrite;
use orchestrator::application::ports::store::CommitError;
use orchestrator::domain::ids::{KeyId, TenantId, UserId};
use orchestrator::domain::tenant::key::{ApiKey, Invited, KeyKind, KeySecret, Role};
use orchestrator::domain::tenant::network::{Networks, parse_network};
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::domain::tenant::user::{ProviderIdentity, User};
use orchestrator::domain::version::Version;
use orchestrator::infrastructure::ids::SystemIds;

use super::fixtures::{Kit, TENANT, at, fresh, neighbour};
use super::for_both_stores;

for_both_stores!(
    an_address_stands_for_one_person_however_it_is_written,
    a_name_of_a_provider_stands_for_one_person,
    somebody_who_goes_leaves_nothing_behind,
    keys_are_found_by_their_holder_until_they_are_revoked,
    the_latest_use_of_a_key_wins,
    guards_look_at_people_as_they_are_by_then,
    people_are_counted_from_their_rows,
);

fn person(tenant_id: TenantId, email: &str) -> User {
    User {
        id: UserId::new(SystemIds.uuid()),
        tenant_id,
        email: email.to_owned(),
        full_name: "Somebody".to_owned(),
        role: Role::Member,
        is_active: true,
        is_system_admin: false,
        identity: None,
        created_by: "tests".to_owned(),
        created_at: at(0),
    }
}

fn key(kind: KeyKind, user_id: Option<UserId>, secret: u8) -> ApiKey {
    let invited =
        Invited { email: "new@example.org".to_owned(), full_name: None, by: None, until: None };
    ApiKey {
        id: KeyId::new(SystemIds.uuid()),
        tenant_id: TENANT,
        kind,
        user_id,
        opened_by: None,
        name: "k".to_owned(),
        prefix: "iok_".to_owned(),
        secrets: vec![KeySecret { hash: [secret; 32], expires_at: None }],
        role: Role::Member,
        follows: false,
        scopes: Scopes::all(),
        is_system: false,
        networks: Networks::of(parse_network("10.0.0.0/8")),
        invited: (kind == KeyKind::Invite).then_some(invited),
        created_by: "tests".to_owned(),
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
    }
}

fn put(put: Put<User>) -> ChangeSet {
    ChangeSet::new(put.value.tenant_id).write(Write::People(PeopleWrite::User(put)))
}

fn again<T>(version: u64, value: T) -> Put<T> {
    Put { expect: Expect::At(Version::new(version)), value }
}

async fn an_address_stands_for_one_person_however_it_is_written(kit: Kit) {
    let (ann, bob) = (person(TENANT, "Ann@example.org"), person(TENANT, "bob@example.org"));
    kit.store.commit(put(fresh(ann.clone()))).await.expect("stored");
    kit.store.commit(put(fresh(bob.clone()))).await.expect("stored");
    let twin = put(fresh(person(TENANT, "aNN@EXAMPLE.org")));
    assert!(matches!(kit.store.commit(twin).await, Err(CommitError::Refused)));
    let stale = put(again(4, ann.clone()));
    assert!(matches!(kit.store.commit(stale).await, Err(CommitError::Stale)));
    let taken = put(again(1, User { email: "ANN@example.org".to_owned(), ..bob.clone() }));
    assert!(matches!(kit.store.commit(taken).await, Err(CommitError::Refused)));
    // A neighbour has people of its own.
    let elsewhere = neighbour();
    kit.store.commit(put(fresh(person(elsewhere, "ann@example.org")))).await.expect("stored");
    let moved = User { email: "ann@elsewhere.example".to_owned(), ..ann.clone() };
    kit.store.commit(put(again(1, moved.clone()))).await.expect("changed");
    let capital = User { email: "ANN@elsewhere.example".to_owned(), ..moved };
    kit.store.commit(put(again(2, capital.clone()))).await.expect("written otherwise");
    let free = person(TENANT, "ann@example.org");
    kit.store.commit(put(fresh(free.clone()))).await.expect("the old address is free");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let holder = async |email: &str| snapshot.user_by_email(email).await.expect("read");
    assert_eq!(holder("ANN@Example.Org").await, Some(free.id));
    assert_eq!(holder("ann@ELSEWHERE.example").await, Some(ann.id));
    assert_eq!(holder("nobody@example.org").await, None);
    let found = snapshot.user(ann.id).await.expect("read").expect("there");
    assert_eq!((found.version.get(), &found.value), (3, &capital));
    let ids = async |after, limit| {
        let users = snapshot.users(after, limit).await.expect("read");
        users.iter().map(|user| user.value.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 9).await, [ann.id, bob.id, free.id]);
    assert_eq!(ids(Some(ann.id), 1).await, [bob.id]);
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert_eq!(fleet.user(TENANT, bob.id).await.expect("read").map(|user| user.value), Some(bob));
    assert!(fleet.user(elsewhere, ann.id).await.expect("read").is_none());
}

async fn a_name_of_a_provider_stands_for_one_person(kit: Kit) {
    let identity = |issuer: &str, subject: &str| ProviderIdentity {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    };
    let (one, two) = (identity("https://a", "b"), identity("https://ab", ""));
    let ann = User { identity: Some(one.clone()), ..person(TENANT, "ann@example.org") };
    let bob = person(TENANT, "bob@example.org");
    kit.store.commit(put(fresh(ann.clone()))).await.expect("stored");
    kit.store.commit(put(fresh(bob.clone()))).await.expect("stored");
    let taken = User { identity: Some(one.clone()), ..bob.clone() };
    let taken = put(again(1, taken));
    assert!(matches!(kit.store.commit(taken).await, Err(CommitError::Refused)));
    let other = User { identity: Some(two.clone()), ..bob.clone() };
    kit.store.commit(put(again(1, other))).await.expect("another name");
    let holder = async |tenant, identity: &ProviderIdentity| {
        let snapshot = kit.store.snapshot(tenant).await.expect("a snapshot");
        snapshot.user_by_identity(identity).await.expect("read")
    };
    assert_eq!(holder(TENANT, &one).await, Some(ann.id));
    assert_eq!(holder(TENANT, &two).await, Some(bob.id));
    assert_eq!(holder(TENANT, &identity("https://", "ab")).await, None);
    assert_eq!(holder(neighbour(), &one).await, None);
    // Whoever is known by it no longer leaves it free, and so does whoever goes.
    kit.store.commit(put(again(1, User { identity: None, ..ann.clone() }))).await.expect("freed");
    assert_eq!(holder(TENANT, &one).await, None);
    let moved = User { identity: Some(one.clone()), ..bob.clone() };
    kit.store.commit(put(again(2, moved))).await.expect("free");
    assert_eq!((holder(TENANT, &one).await, holder(TENANT, &two).await), (Some(bob.id), None));
    let gone = PeopleWrite::RemoveUser(Version::new(3), bob.id);
    kit.store.commit(ChangeSet::new(TENANT).write(Write::People(gone))).await.expect("removed");
    assert_eq!(holder(TENANT, &one).await, None);
}

async fn somebody_who_goes_leaves_nothing_behind(kit: Kit) {
    let ann = person(TENANT, "ann@example.org");
    kit.store.commit(put(fresh(ann.clone()))).await.expect("stored");
    let remove = |version| {
        let write = PeopleWrite::RemoveUser(Version::new(version), ann.id);
        kit.store.commit(ChangeSet::new(TENANT).write(Write::People(write)))
    };
    assert!(matches!(remove(2).await, Err(CommitError::Stale)));
    remove(1).await.expect("removed");
    assert!(matches!(remove(1).await, Err(CommitError::Stale)), "twice");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.user(ann.id).await.expect("read").is_none());
    assert_eq!(snapshot.user_by_email("ann@example.org").await.expect("read"), None);
    assert!(snapshot.users(None, 9).await.expect("read").is_empty());
    kit.store.commit(put(fresh(person(TENANT, "ann@example.org")))).await.expect("free again");
}

async fn keys_are_found_by_their_holder_until_they_are_revoked(kit: Kit) {
    let ann = UserId::new(SystemIds.uuid());
    let (one, browser) = (key(KeyKind::Key, Some(ann), 1), key(KeyKind::Browser, Some(ann), 2));
    let (service, first) = (key(KeyKind::Key, None, 3), key(KeyKind::Invite, None, 4));
    let second = key(KeyKind::Invite, None, 5);
    let all = [&one, &browser, &service, &first, &second];
    let set = all
        .into_iter()
        .fold(ChangeSet::new(TENANT), |set, key| set.write(Write::ApiKey(fresh(key.clone()))));
    kit.store.commit(set).await.expect("stored");
    let of = async |user| {
        let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
        let keys = snapshot.keys_of(user).await.expect("read");
        keys.into_iter().map(|key| key.value).collect::<Vec<_>>()
    };
    let invites = async |after, limit| {
        let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
        let keys = snapshot.invites(after, limit).await.expect("read");
        keys.into_iter().map(|key| key.value.id).collect::<Vec<_>>()
    };
    assert_eq!(of(ann).await, [one.clone(), browser.clone()]);
    assert_eq!(of(UserId::new(SystemIds.uuid())).await, []);
    assert_eq!(invites(None, 9).await, [first.id, second.id]);
    assert_eq!(invites(None, 1).await, [first.id]);
    assert_eq!(invites(Some(first.id), 9).await, [second.id]);
    // Spent: it names who came of it, and is found by nobody.
    let spent = ApiKey { revoked_at: Some(at(1)), user_id: Some(ann), ..first.clone() };
    let revoked = ApiKey { revoked_at: Some(at(1)), ..one.clone() };
    let set = ChangeSet::new(TENANT)
        .write(Write::ApiKey(again(1, spent)))
        .write(Write::ApiKey(again(1, revoked)));
    kit.store.commit(set).await.expect("revoked");
    assert_eq!(of(ann).await, [browser]);
    assert_eq!(invites(None, 9).await, [second.id]);
}

async fn the_latest_use_of_a_key_wins(kit: Kit) {
    let (one, other) = (KeyId::new(SystemIds.uuid()), KeyId::new(SystemIds.uuid()));
    let used = |id, when| Write::People(PeopleWrite::KeyUsed(id, at(when)));
    for when in [5, 9, 7] {
        let set = ChangeSet::new(TENANT).write(used(one, when));
        kit.store.commit(set).await.expect("noted");
    }
    let twice = ChangeSet::new(TENANT).write(used(one, 10)).write(used(one, 11));
    assert!(kit.store.commit(twice).await.is_err(), "a set writes each record once");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.key_used(one).await.expect("read"), Some(at(9)));
    assert_eq!(snapshot.key_used(other).await.expect("read"), None);
}

async fn guards_look_at_people_as_they_are_by_then(kit: Kit) {
    let ann = person(TENANT, "ann@example.org");
    kit.store.commit(put(fresh(ann.clone()))).await.expect("stored");
    let held = key(KeyKind::Key, Some(ann.id), 1);
    let held_id = held.id;
    kit.store
        .commit(ChangeSet::new(TENANT).write(Write::ApiKey(fresh(held.clone()))))
        .await
        .expect("stored");
    let guarded = |guard| kit.store.commit(ChangeSet::new(TENANT).guard(guard));
    let is_at = |id, version| Guard::UserAt(id, Version::new(version));
    guarded(is_at(ann.id, 1)).await.expect("as read");
    for guard in [is_at(ann.id, 2), is_at(UserId::new(SystemIds.uuid()), 1)] {
        assert!(matches!(guarded(guard).await, Err(CommitError::Refused)));
    }
    let none_but = |known: &[KeyId]| Guard::NoOtherKeys { user: ann.id, known: known.to_vec() };
    guarded(none_but(&[held.id])).await.expect("all are known");
    assert!(matches!(guarded(none_but(&[])).await, Err(CommitError::Refused)));
    let revoked = ApiKey { revoked_at: Some(at(1)), ..held };
    let set = ChangeSet::new(TENANT).write(Write::ApiKey(again(1, revoked)));
    kit.store.commit(set).await.expect("revoked");
    guarded(none_but(&[])).await.expect("none is left");
    // Invitations are known by their address, however it is capitalised.
    let open = key(KeyKind::Invite, None, 2);
    let set = ChangeSet::new(TENANT).write(Write::ApiKey(fresh(open.clone())));
    kit.store.commit(set).await.expect("stored");
    let none_but = |email: &str, known: &[KeyId]| Guard::NoOtherInvites {
        email: email.to_owned(),
        known: known.to_vec(),
    };
    guarded(none_but("new@example.org", &[open.id])).await.expect("it is known");
    guarded(none_but("other@example.org", &[])).await.expect("it is for somebody else");
    let other = guarded(none_but("NEW@example.org", &[held_id])).await;
    assert!(matches!(other, Err(CommitError::Refused)));
    let ended = ApiKey { revoked_at: Some(at(1)), ..open };
    let set = ChangeSet::new(TENANT).write(Write::ApiKey(again(1, ended)));
    kit.store.commit(set).await.expect("withdrawn");
    guarded(none_but("new@example.org", &[])).await.expect("none is open");
}

async fn people_are_counted_from_their_rows(kit: Kit) {
    for n in 0..3 {
        let one = put(fresh(person(TENANT, &format!("u{n}@example.org"))));
        kit.store.commit(one.count(Counter::Users, CounterChange::Add(2))).await.expect("stored");
    }
    let fleet = kit.store.fleet().await.expect("a fleet");
    let recount = fleet.recount(TENANT, Counter::Users).await.expect("read").expect("of rows");
    assert_eq!((recount.stored, recount.counted), (Some(6), 3));
}
