//! How agents do: work is counted once, figures have versions, the newest heartbeat stands.

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::store::{CommitError, Outdated, Store};
use orchestrator::application::ports::vitals::VitalsWrite;
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::breaker::BreakerRules;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::agent::heartbeat::Heartbeat;
use orchestrator::domain::agent::performance::{Finished, Outcome};
use orchestrator::domain::agent::status::HeartbeatStatus;
use orchestrator::domain::agent::vitals::{Ended, Vitals};
use orchestrator::domain::ids::{AgentId, KeyId, SessionId, TenantId};
use orchestrator::domain::tenant::key::{ApiKey, KeyKind, KeySecret, Role};
use orchestrator::domain::tenant::network::Networks;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::domain::version::Version;
use serde_json::Map;
use uuid::Uuid;

use super::fixtures::{Kit, TENANT, at, neighbour};
use super::for_both_stores;

for_both_stores!(
    work_is_found_until_it_is_counted_and_counted_once,
    figures_are_kept_by_version_beside_the_agent,
    the_newest_heartbeat_stands,
    a_deleted_agent_goes_with_all_that_is_kept_of_it_alone,
);

fn agent(number: u128) -> AgentId {
    AgentId::new(Uuid::from_u128(number))
}

fn ended(by: u128, session: u128, attempt: u32) -> Ended {
    Ended {
        agent_id: agent(by),
        session_id: SessionId::new(Uuid::from_u128(session)),
        attempt,
        finished: Finished::plain(Outcome::Success, at(1)),
    }
}

async fn write(store: &dyn Store, tenant: TenantId, write: VitalsWrite) -> Result<(), CommitError> {
    store.commit(ChangeSet::new(tenant).write(Write::Vitals(write))).await.map(|_| ())
}

async fn work_is_found_until_it_is_counted_and_counted_once(kit: Kit) {
    let store = &*kit.store;
    let found =
        async |limit| store.fleet().await.expect("a fleet").uncounted(limit).await.expect("read");
    let rows = [
        (TENANT, ended(1, 9, 1)),
        (TENANT, ended(1, 9, 2)),
        (TENANT, ended(2, 3, 1)),
        (neighbour(), ended(1, 9, 1)),
    ];
    for (tenant, row) in rows.iter().rev() {
        write(store, *tenant, VitalsWrite::Ended(row.clone())).await.expect("stored");
    }
    assert_eq!(found(9).await, rows, "by tenant, agent, session and attempt");
    assert_eq!(found(3).await, rows[..3]);
    assert_eq!(found(0).await, []);
    let again = write(store, TENANT, VitalsWrite::Ended(ended(1, 9, 1))).await;
    assert!(matches!(again, Err(CommitError::Stale)));
    let counted = |row: &Ended| VitalsWrite::Counted((row.agent_id, row.session_id, row.attempt));
    write(store, TENANT, counted(&rows[0].1)).await.expect("counted");
    let twice = write(store, TENANT, counted(&rows[0].1)).await;
    assert!(matches!(twice, Err(CommitError::Stale)), "counted twice");
    assert_eq!(found(9).await, rows[1..]);
}

async fn figures_are_kept_by_version_beside_the_agent(kit: Kit) {
    let store = &*kit.store;
    let mut vitals = Vitals::new(agent(1), at(0));
    let put = |expect, value: &Vitals| VitalsWrite::Vitals(Put { expect, value: value.clone() });
    write(store, TENANT, put(Expect::Absent, &vitals)).await.expect("stored");
    let again = write(store, TENANT, put(Expect::Absent, &vitals)).await;
    assert!(matches!(again, Err(CommitError::Stale)));
    for outcome in [Outcome::Failure; 6] {
        let finished = Finished {
            capabilities: vec!["testing".to_owned()],
            quality_score: Some(0.3),
            ..Finished::plain(outcome, at(5))
        };
        vitals.count(&finished, 0.5, BreakerRules::default(), at(6));
    }
    write(store, TENANT, put(Expect::At(Version::FIRST), &vitals)).await.expect("stored");
    write(store, TENANT, put(Expect::Absent, &Vitals::new(agent(2), at(0)))).await.expect("stored");
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    let found = snapshot.vitals(agent(1)).await.expect("read").expect("there");
    assert_eq!((found.version.get(), &found.value), (2, &vitals));
    assert_eq!(snapshot.vitals(agent(3)).await.expect("read"), None);
    let all = snapshot.all_vitals().await.expect("read");
    assert_eq!(all, [vitals, Vitals::new(agent(2), at(0))]);
    let other = store.snapshot(neighbour()).await.expect("a snapshot");
    assert_eq!(other.all_vitals().await.expect("read"), []);
    assert_eq!(other.vitals(agent(1)).await.expect("read"), None);
}

async fn the_newest_heartbeat_stands(kit: Kit) {
    let store = &*kit.store;
    let beat = |of: u128, millis: i64, status| Heartbeat {
        agent_id: agent(of),
        heard_at: at(millis),
        said_at: None,
        status,
        current_load: 0.25,
        tasks_in_progress: 1,
        metrics: Map::new(),
    };
    let first = beat(1, 1, HeartbeatStatus::Healthy);
    let (second, other) =
        (beat(1, 2, HeartbeatStatus::Busy), beat(2, 3, HeartbeatStatus::Degraded));
    for heartbeat in [&first, &second, &other] {
        write(store, TENANT, VitalsWrite::Heard(heartbeat.clone())).await.expect("stored");
    }
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    assert_eq!(snapshot.heartbeat(agent(1)).await.expect("read"), Some(second.clone()));
    assert_eq!(snapshot.heartbeats().await.expect("read"), [second, other]);
    assert_eq!(snapshot.heartbeat(agent(3)).await.expect("read"), None);
    let neighbour = store.snapshot(neighbour()).await.expect("a snapshot");
    assert_eq!(neighbour.heartbeats().await.expect("read"), []);
}

/// The key that an external agent has.
fn key(number: u8, tenant: TenantId) -> ApiKey {
    ApiKey {
        id: KeyId::new(Uuid::from_u128(number.into())),
        tenant_id: tenant,
        kind: KeyKind::Agent,
        user_id: None,
        opened_by: None,
        name: "AGENT".to_owned(),
        prefix: String::new(),
        secrets: vec![KeySecret { hash: [number; 32], expires_at: None }],
        role: Role::Viewer,
        follows: false,
        scopes: Scopes::of([]),
        is_system: false,
        networks: Networks::default(),
        invited: None,
        created_by: "ann".to_owned(),
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
    }
}

async fn a_deleted_agent_goes_with_all_that_is_kept_of_it_alone(kit: Kit) {
    let store = &*kit.store;
    // 1 and 3 were deleted, 2 is there; 3 is a neighbour's.
    for (number, tenant, deleted) in
        [(1, TENANT, Some(5)), (2, TENANT, None), (3, neighbour(), Some(9))]
    {
        let (id, name) = (agent(u128::from(number)), format!("AGENT-{number}"));
        let draft = AgentDraft::new(name, AgentKind::Eap, ["testing"]);
        let made = draft.accept(id, tenant, at(0)).expect("valid");
        let fresh = |value| Write::Agent(Put { expect: Expect::Absent, value });
        let heartbeat = Heartbeat {
            agent_id: id,
            heard_at: at(1),
            said_at: None,
            status: HeartbeatStatus::Healthy,
            current_load: 0.0,
            tasks_in_progress: 0,
            metrics: Map::new(),
        };
        let vitals = Put { expect: Expect::Absent, value: Vitals::new(id, at(0)) };
        let set = ChangeSet::new(tenant)
            .write(fresh(made.clone()))
            .write(Write::ApiKey(Put { expect: Expect::Absent, value: key(number, tenant) }))
            .write(Write::Vitals(VitalsWrite::Heard(heartbeat)))
            .write(Write::Vitals(VitalsWrite::Vitals(vitals)))
            .write(Write::Vitals(VitalsWrite::Ended(ended(number.into(), 9, 1))));
        store.commit(set).await.expect("stored");
        if let Some(millis) = deleted {
            let mut gone = made;
            gone.remove(at(millis));
            let put = Put { expect: Expect::At(Version::FIRST), value: gone };
            store.commit(ChangeSet::new(tenant).write(Write::Agent(put))).await.expect("deleted");
        }
    }
    let deleted = async |millis, limit| -> Vec<AgentId> {
        let fleet = store.fleet().await.expect("a fleet");
        let found = fleet.agents_deleted_by(at(millis), limit).await.expect("read");
        found.into_iter().map(|agent| agent.id).collect()
    };
    assert_eq!(deleted(4, 9).await, []);
    assert_eq!(deleted(5, 9).await, [agent(1)]);
    assert_eq!(deleted(9, 9).await.len(), 2);
    assert_eq!(deleted(9, 1).await.len(), 1);
    let remove = |tenant, number| store.remove_outdated(Outdated::Agent(tenant, agent(number)), 1);
    assert_eq!(remove(TENANT, 2).await.expect("done"), 0, "it is there");
    assert_eq!(remove(TENANT, 3).await.expect("done"), 0, "it is a neighbour's");
    assert_eq!(remove(TENANT, 1).await.expect("done"), 1);
    assert_eq!(remove(TENANT, 1).await.expect("done"), 0, "it is gone");
    assert_eq!(deleted(9, 9).await, [agent(3)]);
    let left = async |tenant, number: u8| {
        let id = agent(number.into());
        let snapshot = store.snapshot(tenant).await.expect("a snapshot");
        let fleet = store.fleet().await.expect("a fleet");
        let work = fleet.uncounted(9).await.expect("read");
        [
            snapshot.vitals(id).await.expect("read").is_some(),
            snapshot.heartbeat(id).await.expect("read").is_some(),
            snapshot.api_key(KeyId::new(id.uuid())).await.expect("read").is_some(),
            fleet.api_key([number; 32]).await.expect("read").is_some(),
            work.iter().any(|(_, ended)| ended.agent_id == id),
        ]
    };
    assert_eq!(left(TENANT, 1).await, [false; 5]);
    assert_eq!(left(TENANT, 2).await, [true; 5]);
    assert_eq!(left(neighbour(), 3).await, [true; 5]);
}
