//! Every kind of write: what it expects, what it leaves, and that it is all or nothing.

use orchestrator::application::ports::changes::{ChangeSet, Expect, Guard, Put, Write};
use orchestrator::application::ports::clock::Ids;
use orchestrator::application::ports::journal::{NewEntry, Stream};
use orchestrator::application::ports::reads::SessionQuery;
use orchestrator::application::ports::store::CommitError;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::agent::{Agent, AgentKind};
use orchestrator::domain::attention::{AttentionState, Decision};
use orchestrator::domain::ids::{AgentId, KeyId, SessionId};
use orchestrator::domain::session::Lineage;
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::key::{ApiKey, KeyKind, KeySecret, Role};
use orchestrator::domain::tenant::network::Networks;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::domain::version::Version;
use orchestrator::infrastructure::ids::SystemIds;
use serde_json::json;

use super::fixtures::{
    Kit, TENANT, at, attempt, audit, by, checkpoint, creation, fresh, item, neighbour, note,
    session, session_from, session_id, stored,
};
use super::for_both_stores;

for_both_stores!(
    a_session_is_created_once_and_changed_by_version,
    attempts_and_checkpoints_belong_to_their_session,
    attention_items_are_found_by_session_state_and_deadline,
    agents_have_unique_names,
    a_removed_agent_is_there_for_nobody_and_its_name_is_free,
    tenants_and_keys_are_seen_by_the_fleet,
    a_deleted_session_vanishes_and_a_purged_one_is_gone,
    a_refused_set_leaves_nothing,
    a_set_that_contradicts_itself_is_refused,
    sessions_are_due_when_their_own_clock_says,
    a_snapshot_shows_one_moment,
    neighbouring_tenants_see_nothing_of_each_other,
);

fn again<T>(version: u64, value: T) -> Put<T> {
    Put { expect: Expect::At(Version::new(version)), value }
}

async fn a_session_is_created_once_and_changed_by_version(kit: Kit) {
    let (mut session, event) = session(TENANT, 1);
    let set = creation(&session, event);
    assert_eq!(kit.store.commit(set.clone()).await.expect("created").last_seq, 1);
    assert!(matches!(kit.store.commit(set).await, Err(CommitError::Stale)), "twice");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let found = snapshot.session(session.id).await.expect("read").expect("there");
    assert_eq!((found.version, &found.value), (Version::FIRST, &session));
    assert_eq!(snapshot.session_by_code(session.code).await.expect("read"), Some(session.id));

    let events = session.start(by()).expect("it can be queued");
    let change = |version, value: &_| {
        ChangeSet::new(TENANT).write(Write::Session(again(version, Clone::clone(value))))
    };
    let set = change(1, &session).events(events);
    assert_eq!(kit.store.commit(set).await.expect("changed").last_seq, 3);
    assert!(matches!(kit.store.commit(change(1, &session)).await, Err(CommitError::Stale)));
    assert!(matches!(kit.store.commit(change(3, &session)).await, Err(CommitError::Stale)));
    let fleet = kit.store.fleet().await.expect("a fleet");
    let queued = fleet.sessions_in(&[SessionStatus::Queued]).await.expect("read");
    assert_eq!(queued.iter().map(|found| found.version.get()).collect::<Vec<_>>(), [2]);
    assert!(fleet.sessions_in(&[SessionStatus::Pending]).await.expect("read").is_empty());
    // A code that somebody has makes the set stale: the use case takes another number.
    let (other, event) = super::fixtures::session(TENANT, 1);
    assert!(matches!(kit.store.commit(creation(&other, event)).await, Err(CommitError::Stale)));
}

async fn attempts_and_checkpoints_belong_to_their_session(kit: Kit) {
    let session = stored(&*kit.store, TENANT, 1).await;
    let set = ChangeSet::new(TENANT)
        .write(Write::Attempt(fresh(attempt(session.id, 1))))
        .write(Write::Attempt(fresh(attempt(session.id, 2))))
        .write(Write::Checkpoint(checkpoint(session.id, 9)))
        .write(Write::Checkpoint(checkpoint(session.id, 10)));
    kit.store.commit(set).await.expect("stored");
    let repeated = ChangeSet::new(TENANT).write(Write::Checkpoint(checkpoint(session.id, 9)));
    assert!(matches!(kit.store.commit(repeated).await, Err(CommitError::Stale)));
    let mut ended = attempt(session.id, 2);
    ended.outcome = Some("completed".to_owned());
    let set = ChangeSet::new(TENANT)
        .write(Write::Attempt(again(1, ended.clone())))
        .write(Write::DropCheckpoint { session: session.id, sequence: 9 });
    kit.store.commit(set).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let attempts = snapshot.attempts(session.id).await.expect("read");
    assert_eq!(attempts.iter().map(|found| found.version.get()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(attempts[1].value, ended);
    let second = snapshot.attempt(session.id, 2).await.expect("read").expect("there");
    assert_eq!(second.value, ended);
    let kept = snapshot.checkpoints(session.id).await.expect("read");
    assert_eq!(kept.iter().map(|kept| kept.sequence).collect::<Vec<_>>(), [10]);
    assert_eq!(snapshot.checkpoint(session.id, 9).await.expect("read"), None);
    assert_eq!(snapshot.checkpoint(session.id, 10).await.expect("read"), Some(kept[0].clone()));
}

async fn attention_items_are_found_by_session_state_and_deadline(kit: Kit) {
    let (one, two) = (stored(&*kit.store, TENANT, 1).await, stored(&*kit.store, TENANT, 2).await);
    let late = item(TENANT, one.id, 500);
    let soon = item(TENANT, two.id, 100);
    let mut settled = item(TENANT, one.id, 50);
    let set = [&late, &soon, &settled]
        .into_iter()
        .fold(ChangeSet::new(TENANT), |set, item| set.write(Write::Attention(fresh(item.clone()))));
    kit.store.commit(set).await.expect("stored");
    settled.resolve(Decision::Answer, Some("yes".to_owned()), "me", at(10)).expect("open");
    let set = ChangeSet::new(TENANT).write(Write::Attention(again(1, settled.clone())));
    kit.store.commit(set).await.expect("stored");

    let fleet = kit.store.fleet().await.expect("a fleet");
    let due = |now| fleet.due_attention(at(now), 10);
    assert_eq!(due(99).await.expect("read"), []);
    assert_eq!(due(100).await.expect("read"), [(TENANT, soon.id)]);
    assert_eq!(due(500).await.expect("read"), [(TENANT, soon.id), (TENANT, late.id)]);
    assert_eq!(fleet.due_attention(at(500), 1).await.expect("read"), [(TENANT, soon.id)]);
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let ids = |session, state, after, limit| {
        let items = snapshot.attention_items(session, state, after, limit);
        async { items.await.expect("read").iter().map(|item| item.value.id).collect::<Vec<_>>() }
    };
    assert_eq!(ids(None, None, None, 9).await, [late.id, soon.id, settled.id]);
    assert_eq!(ids(None, None, Some(late.id), 1).await, [soon.id]);
    assert_eq!(ids(Some(one.id), None, None, 9).await, [late.id, settled.id]);
    assert_eq!(ids(Some(one.id), Some(AttentionState::Open), None, 9).await, [late.id]);
    assert_eq!(ids(None, Some(AttentionState::Open), None, 9).await, [late.id, soon.id]);
    assert_eq!(ids(None, Some(AttentionState::Open), Some(late.id), 9).await, [soon.id]);
    assert_eq!(ids(None, Some(AttentionState::Resolved), None, 9).await, [settled.id]);
    let found = snapshot.attention(settled.id).await.expect("read").expect("there");
    assert_eq!((found.version.get(), found.value), (2, settled));
}

fn agent(name: &str) -> Agent {
    let mut draft = AgentDraft::new(name, AgentKind::Simulated, ["rust"]);
    draft.config.insert("seed".to_owned(), json!(1));
    draft.accept(AgentId::new(SystemIds.uuid()), TENANT, at(0)).expect("valid")
}

async fn agents_have_unique_names(kit: Kit) {
    let (first, other) = (agent("AGENT-B"), agent("AGENT-A"));
    let put = |put| kit.store.commit(ChangeSet::new(TENANT).write(Write::Agent(put)));
    put(fresh(first.clone())).await.expect("stored");
    put(fresh(other.clone())).await.expect("stored");
    assert!(matches!(put(fresh(agent("AGENT-B"))).await, Err(CommitError::Refused)));
    let renamed = Agent { name: "AGENT-C".to_owned(), ..first.clone() };
    put(again(1, renamed.clone())).await.expect("renamed");
    put(fresh(agent("AGENT-B"))).await.expect("the old name is free");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let all = snapshot.agents().await.expect("read");
    let names: Vec<&str> = all.iter().map(|agent| agent.value.name.as_str()).collect();
    assert_eq!(names, ["AGENT-A", "AGENT-B", "AGENT-C"]);
    let found = snapshot.agent(first.id).await.expect("read").expect("there");
    assert_eq!((found.version.get(), found.value), (2, renamed));
}

async fn a_removed_agent_is_there_for_nobody_and_its_name_is_free(kit: Kit) {
    let put = |put| kit.store.commit(ChangeSet::new(TENANT).write(Write::Agent(put)));
    let open = |id| kit.store.commit(ChangeSet::new(TENANT).guard(Guard::AgentOpen(id)));
    let first = agent("AGENT-A");
    put(fresh(first.clone())).await.expect("stored");
    open(first.id).await.expect("it may be given something");
    let mut drained = first.clone();
    drained.drain(true, at(1));
    put(again(1, drained.clone())).await.expect("drained");
    assert!(matches!(open(first.id).await, Err(CommitError::Refused)), "it is closed");
    let mut removed = drained;
    removed.drain(false, at(2));
    removed.remove(at(2));
    put(again(2, removed)).await.expect("removed");
    assert!(matches!(open(first.id).await, Err(CommitError::Refused)), "it is gone");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.agents().await.expect("read").is_empty());
    assert!(snapshot.agent(first.id).await.expect("read").is_none());
    drop(snapshot);
    let second = agent("AGENT-A");
    let set = ChangeSet::new(TENANT)
        .guard(Guard::AgentNameFree("AGENT-A".to_owned()))
        .write(Write::Agent(fresh(second.clone())));
    kit.store.commit(set).await.expect("the name is free");
    let renamed = Agent { name: "AGENT-B".to_owned(), ..second.clone() };
    put(again(1, renamed)).await.expect("renamed");
    put(fresh(agent("AGENT-A"))).await.expect("free again");
    let never = AgentId::new(SystemIds.uuid());
    assert!(matches!(open(never).await, Err(CommitError::Refused)));
}

async fn tenants_and_keys_are_seen_by_the_fleet(kit: Kit) {
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert!(!fleet.has_api_keys().await.expect("read"));
    let key = ApiKey {
        id: KeyId::new(SystemIds.uuid()),
        tenant_id: TENANT,
        kind: KeyKind::Key,
        user_id: None,
        opened_by: None,
        name: "first".to_owned(),
        prefix: "io_".to_owned(),
        secrets: vec![KeySecret { hash: [7; 32], expires_at: None }],
        role: Role::Admin,
        follows: false,
        scopes: Scopes::all(),
        is_system: true,
        networks: Networks::default(),
        invited: None,
        created_by: "tests".to_owned(),
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
    };
    let set = ChangeSet::new(TENANT)
        .write(Write::Tenant(fresh(Tenant::bootstrap(at(0)))))
        .write(Write::ApiKey(fresh(key.clone())));
    kit.store.commit(set.clone()).await.expect("stored");
    assert!(matches!(kit.store.commit(set).await, Err(CommitError::Stale)));
    let revoked = ApiKey { revoked_at: Some(at(5)), ..key };
    let set = ChangeSet::new(TENANT).write(Write::ApiKey(again(1, revoked.clone())));
    kit.store.commit(set).await.expect("revoked");
    assert!(!fleet.has_api_keys().await.expect("read"), "a fleet shows one moment");
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert!(fleet.has_api_keys().await.expect("read"));
    let found = fleet.api_key([7; 32]).await.expect("read").expect("there");
    assert_eq!((found.version.get(), found.value), (2, revoked));
    assert_eq!(fleet.api_key([8; 32]).await.expect("read"), None);
    let tenants = fleet.tenants().await.expect("read");
    assert_eq!(
        tenants.iter().map(|found| found.value.slug.as_str()).collect::<Vec<_>>(),
        ["default"]
    );
}

async fn a_deleted_session_vanishes_and_a_purged_one_is_gone(kit: Kit) {
    let parent = stored(&*kit.store, TENANT, 1).await;
    let draft = SessionDraft {
        initial_prompt: "x".to_owned(),
        tags: vec!["t".to_owned()],
        ..SessionDraft::default()
    };
    let lineage = Lineage {
        parent_id: Some(parent.id),
        depth: 1,
        after: vec![parent.id],
        ..Lineage::default()
    };
    let (mut child, event) = session_from(TENANT, 2, draft, lineage);
    let set = creation(&child, event)
        .write(Write::Attempt(fresh(attempt(child.id, 1))))
        .write(Write::Checkpoint(checkpoint(child.id, 1)))
        .write(Write::Attention(fresh(item(TENANT, child.id, 5))));
    kit.store.commit(set).await.expect("stored");
    let line = NewEntry { at: at(0), kind: "info".to_owned(), body: json!({ "message": "m" }) };
    kit.journal.append(TENANT, child.id, Stream::Log, vec![line]).await.expect("appended");
    let before = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(before.children(parent.id, 9).await.expect("read"), [child.id]);
    assert_eq!(before.followers(parent.id, 9).await.expect("read"), [child.id]);
    let mut met = child.clone();
    met.meet(&[parent.id]);
    let set = ChangeSet::new(TENANT).write(Write::Session(again(1, met)));
    kit.store.commit(set).await.expect("it waits no more");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.followers(parent.id, 9).await.expect("read").is_empty());
    let set = ChangeSet::new(TENANT).write(Write::Session(again(2, child.clone())));
    kit.store.commit(set).await.expect("it waits again");

    child.stamps.deleted_at = Some(at(3));
    let set = ChangeSet::new(TENANT).write(Write::Session(again(3, child.clone())));
    kit.store.commit(set).await.expect("deleted");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.session(child.id).await.expect("read"), None);
    let deleted = snapshot.deleted_session(child.id).await.expect("read").expect("there");
    assert_eq!(deleted.value, child);
    assert!(snapshot.children(parent.id, 9).await.expect("read").is_empty());
    assert!(snapshot.followers(parent.id, 9).await.expect("read").is_empty());
    assert_eq!(snapshot.session_by_code(child.code).await.expect("read"), Some(child.id));
    let query = SessionQuery { limit: 10, count: true, ..SessionQuery::default() };
    let page = snapshot.sessions(query).await.expect("read");
    assert_eq!((page.items.len(), page.total), (1, Some(1)));

    let purge = |version| {
        ChangeSet::new(TENANT).write(Write::PurgeSession(Version::new(version), child.id))
    };
    assert!(matches!(kit.store.commit(purge(1)).await, Err(CommitError::Stale)));
    kit.store.commit(purge(4)).await.expect("purged");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.deleted_session(child.id).await.expect("read"), None);
    assert_eq!(snapshot.session_by_code(child.code).await.expect("read"), None);
    assert!(snapshot.attempts(child.id).await.expect("read").is_empty());
    assert!(snapshot.checkpoints(child.id).await.expect("read").is_empty());
    assert!(snapshot.attention_items(None, None, None, 9).await.expect("read").is_empty());
    let log = kit.journal.read(TENANT, child.id, Stream::Log, 0, 9).await.expect("read");
    assert!(log.is_empty());
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert!(fleet.due_attention(at(100), 9).await.expect("read").is_empty());
    assert_eq!(snapshot.events(0, Some(child.id), 9).await.expect("read").len(), 1, "events stay");
}

async fn a_refused_set_leaves_nothing(kit: Kit) {
    let (new, event) = session(TENANT, 1);
    let missing = attempt(session_id(), 1);
    let set =
        creation(&new, event).audit(Some(audit("create"))).write(Write::Attempt(again(4, missing)));
    assert!(matches!(kit.store.commit(set).await, Err(CommitError::Stale)));
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.session(new.id).await.expect("read"), None);
    assert_eq!(snapshot.session_by_code(new.code).await.expect("read"), None);
    assert_eq!(snapshot.last_seq().await.expect("read"), 0);
    assert!(snapshot.audit(0, 9).await.expect("read").is_empty());
}

async fn a_set_that_contradicts_itself_is_refused(kit: Kit) {
    let (one, event) = session(TENANT, 1);
    let twice = creation(&one, event.clone()).write(Write::Session(fresh(one.clone())));
    let (foreign, _) = session(neighbour(), 1);
    let foreign = ChangeSet::new(TENANT).write(Write::Session(fresh(foreign)));
    let purged = ChangeSet::new(TENANT)
        .write(Write::Attempt(fresh(attempt(one.id, 1))))
        .write(Write::PurgeSession(Version::FIRST, one.id));
    for set in [twice, foreign, purged] {
        let refused = kit.store.commit(set).await;
        assert!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
    }
    kit.store.commit(creation(&one, event)).await.expect("the store goes on");
}

async fn sessions_are_due_when_their_own_clock_says(kit: Kit) {
    let mut due = Vec::new();
    for (code, seconds) in [(1, 300), (2, 60), (3, 120)] {
        let draft = SessionDraft {
            initial_prompt: "x".to_owned(),
            queue_timeout_seconds: Some(Some(seconds)),
            ..SessionDraft::default()
        };
        let (mut session, event) = session_from(TENANT, code, draft, Lineage::default());
        session.start(by()).expect("it can be queued");
        kit.store.commit(creation(&session, event)).await.expect("stored");
        due.push((session.due_at().expect("it waits"), session));
    }
    due.sort_by_key(|(at, _)| *at);
    let expected: Vec<(_, SessionId)> =
        due.iter().map(|(_, session)| (TENANT, session.id)).collect();
    let fleet = kit.store.fleet().await.expect("a fleet");
    let at_second = fleet.due_sessions(due[1].0, 9).await.expect("read");
    assert_eq!(at_second, expected[..2]);
    assert_eq!(fleet.due_sessions(due[2].0, 2).await.expect("read"), expected[..2]);
    let mut cancelled = due[0].1.clone();
    cancelled.stamps.deleted_at = Some(at(9));
    let set = ChangeSet::new(TENANT).write(Write::Session(again(1, cancelled)));
    kit.store.commit(set).await.expect("stored");
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert_eq!(fleet.due_sessions(due[2].0, 9).await.expect("read"), expected[1..]);
}

async fn a_snapshot_shows_one_moment(kit: Kit) {
    let before = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let session = stored(&*kit.store, TENANT, 1).await;
    assert_eq!(before.session(session.id).await.expect("read"), None);
    assert_eq!(before.last_seq().await.expect("read"), 0);
    let after = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert!(after.session(session.id).await.expect("read").is_some());
}

async fn neighbouring_tenants_see_nothing_of_each_other(kit: Kit) {
    let own = stored(&*kit.store, TENANT, 1).await;
    let foreign = stored(&*kit.store, neighbour(), 1).await;
    let set = ChangeSet::new(neighbour())
        .write(Write::Attention(fresh(item(neighbour(), foreign.id, 5))))
        .events([note(1), note(2)])
        .audit(Some(audit("x")));
    kit.store.commit(set).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.session(foreign.id).await.expect("read"), None);
    assert_eq!(snapshot.session_by_code(foreign.code).await.expect("read"), Some(own.id));
    let query = SessionQuery { limit: 10, count: true, ..SessionQuery::default() };
    let page = snapshot.sessions(query).await.expect("read");
    assert_eq!(page.items.iter().map(|item| item.value.id).collect::<Vec<_>>(), [own.id]);
    assert_eq!(page.total, Some(1));
    assert_eq!(snapshot.last_seq().await.expect("read"), 1);
    assert!(snapshot.events(0, Some(foreign.id), 9).await.expect("read").is_empty());
    assert!(snapshot.audit(0, 9).await.expect("read").is_empty());
    assert!(snapshot.attention_items(None, None, None, 9).await.expect("read").is_empty());
    let purge = ChangeSet::new(TENANT).write(Write::PurgeSession(Version::FIRST, foreign.id));
    assert!(matches!(kit.store.commit(purge).await, Err(CommitError::Stale)));
}
