//! Two tenants, one with much and one with little to do, share the slots.

use std::collections::BTreeMap;

use orchestrator::application::ports::store::Store;
use orchestrator::application::principal::RequestContext;
use orchestrator::application::session::create::NewSession;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::status::SessionStatus;
use serde_json::json;
use uuid::Uuid;

use super::lab::{Lab, caller, plays};
use crate::support::opencode::eventually;

/// Slots of the server.
const SLOTS: usize = 8;

/// Running and queued sessions of each tenant, by id.
async fn standing(lab: &Lab, status: SessionStatus) -> BTreeMap<TenantId, Vec<SessionId>> {
    let found = lab.store.fleet().await.expect("readable").sessions_in(&[status]).await;
    let mut standing: BTreeMap<TenantId, Vec<SessionId>> = BTreeMap::new();
    for session in found.expect("readable") {
        standing.entry(session.value.tenant_id).or_default().push(session.value.id);
    }
    standing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_200_and_one_with_10_hold_the_same_number_of_slots_while_both_wait() {
    let lab = Lab::with_slots(SLOTS).await;
    let small = TenantId::new(Uuid::from_u128(77));
    lab.tenant(small, "small").await;
    for (tenant, count) in [(TenantId::BOOTSTRAP, 200), (small, 10)] {
        let ctx = RequestContext { tenant, ..caller() };
        for _ in 0..count {
            let draft = plays(&json!([{ "hang": true }]));
            let new = NewSession { draft, start: true, ..NewSession::default() };
            lab.sessions.create(&ctx, new).await.expect("created");
        }
    }
    lab.schedule();
    let (mut samples, mut held) = (0, 0);
    loop {
        eventually("every slot to be taken", async || {
            let running = standing(&lab, SessionStatus::Running).await;
            running.values().map(Vec::len).sum::<usize>() == SLOTS
        })
        .await;
        let waits = standing(&lab, SessionStatus::Queued).await;
        if !waits.contains_key(&small) {
            break;
        }
        let running = standing(&lab, SessionStatus::Running).await;
        held += running.get(&small).map_or(0, Vec::len);
        samples += 1;
        // One of the tenant that has more, in turns when both have the same, ends.
        let whose = if samples % 2 == 0 { small } else { TenantId::BOOTSTRAP };
        let ended = running[&whose][0];
        let ctx = RequestContext { tenant: whose, ..caller() };
        lab.sessions.stop(&ctx, ended, None).await.expect("stopped");
        eventually("the slot to be given back", async || {
            let running = standing(&lab, SessionStatus::Running).await;
            !running[&whose].contains(&ended)
        })
        .await;
    }
    let even = samples * SLOTS / 2;
    assert!(samples > 8, "{samples} looks");
    assert!(held.abs_diff(even) * 10 <= even, "held {held} of {even} in {samples} looks");
}
