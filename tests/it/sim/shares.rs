//! Who gets how much: tenants that wait share the slots by their weights, and nobody waits for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::store::Store;
use orchestrator::application::session::create::NewSession;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::spec::Priority;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::quotas::Quotas;
use orchestrator::domain::tenant::weight::Weight;
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::storage::memory::MemoryStore;
use uuid::Uuid;

use super::caller::caller;
use super::files::SimFiles;
use super::kept::Opened;
use super::life::{Ground, Server};
use super::time::{SimClock, SimIds};
use super::town::Town;
use super::weather::Weather;
use super::world::runtime;

const OTHER: TenantId = TenantId::new(Uuid::from_u128(9));

/// A server in calm weather, whose agents need so long for each session.
struct Calm {
    clock: Arc<SimClock>,
    store: Arc<MemoryStore>,
    server: Server,
}

impl Calm {
    async fn new(slots: usize, millis: u64, tenants: &[(TenantId, f64)]) -> Self {
        let clock = Arc::new(SimClock::new(Timestamp::from_millis(1_767_225_600_000)));
        clock.go();
        let weather = Arc::new(Weather::new(Arc::clone(&clock), 1));
        weather.begin(None, true);
        let ids = Arc::new(SimIds::new(1));
        let store = MemoryStore::new(Arc::clone(&clock) as _, Arc::clone(&ids) as _);
        for (id, weight) in tenants {
            let tenant = Tenant {
                id: *id,
                slug: format!("tenant-{id}"),
                quotas: Quotas::UNLIMITED,
                weight: Weight::parse(*weight).expect("a weight"),
                ..Tenant::bootstrap(clock.now())
            };
            let put = Put { expect: Expect::Absent, value: tenant };
            store.commit(ChangeSet::new(*id).write(Write::Tenant(put))).await.expect("made");
        }
        let ground = Ground {
            clock: Arc::clone(&clock),
            ids,
            town: Arc::new(Town::steady(Arc::clone(&weather), millis)),
            files: Arc::new(SimFiles::new(Arc::clone(&clock), weather)),
            slots: (slots, [50, 50]),
            planted: None,
        };
        let (journal, disk) = (Arc::clone(&store) as _, None);
        let opened = Opened { store: Arc::clone(&store) as _, journal, disk };
        let server = Server::start(&ground, opened);
        let server = server.await.expect("started");
        Self { clock, store, server }
    }

    async fn begin(&self, tenant: TenantId, priority: Priority) -> SessionId {
        let draft = SessionDraft {
            initial_prompt: "Do this.".to_owned(),
            priority: Some(priority),
            queue_timeout_seconds: Some(None),
            ..SessionDraft::default()
        };
        let new = NewSession { draft, start: true, ..NewSession::default() };
        let made = self.server.sessions.create(&caller(tenant, "r"), new).await;
        made.expect("created").value.id
    }

    /// Sessions of each tenant that stand so.
    async fn count(&self, status: SessionStatus) -> BTreeMap<TenantId, usize> {
        let fleet = self.store.fleet().await.expect("readable");
        let mut count = BTreeMap::new();
        for session in fleet.sessions_in(&[status]).await.expect("readable") {
            *count.entry(session.value.tenant_id).or_default() += 1;
        }
        count
    }
}

/// Slot-seconds of both tenants while both have something that waits.
async fn shared(calm: &Calm, counts: [(TenantId, usize); 2]) -> [usize; 2] {
    for (tenant, count) in counts {
        for _ in 0..count {
            calm.begin(tenant, Priority::Medium).await;
        }
    }
    // From the first end on: until then whoever came first had all slots.
    calm.clock.sleep(Duration::from_secs(30)).await;
    let mut held = [0, 0];
    loop {
        let waits = calm.count(SessionStatus::Queued).await;
        if waits.len() < 2 {
            return held;
        }
        let works = calm.count(SessionStatus::Running).await;
        for (sum, (tenant, _)) in held.iter_mut().zip(counts) {
            *sum += works.get(&tenant).copied().unwrap_or(0);
        }
        calm.clock.sleep(Duration::from_secs(1)).await;
    }
}

#[test]
fn a_tenant_with_1000_and_one_with_10_share_the_slots_evenly_while_both_wait() {
    runtime().block_on(async {
        let calm = Calm::new(4, 10_000, &[(TenantId::BOOTSTRAP, 1.0), (OTHER, 1.0)]).await;
        let [large, small] = shared(&calm, [(TenantId::BOOTSTRAP, 1000), (OTHER, 10)]).await;
        assert!(small > 20, "{small} slot-seconds are too few to tell");
        assert!(large.abs_diff(small) * 10 <= large.min(small), "{large} and {small} slot-seconds");
    });
}

#[test]
fn a_tenant_of_three_times_the_weight_gets_three_times_as_much() {
    runtime().block_on(async {
        let calm = Calm::new(8, 10_000, &[(TenantId::BOOTSTRAP, 1.0), (OTHER, 3.0)]).await;
        let [light, heavy] = shared(&calm, [(TenantId::BOOTSTRAP, 200), (OTHER, 200)]).await;
        assert!(light > 100, "{light} slot-seconds are too few to tell");
        assert!(heavy.abs_diff(light * 3) * 10 <= light * 3, "{light} and {heavy} slot-seconds");
    });
}

#[test]
fn work_of_the_lowest_priority_is_done_under_a_steady_stream_of_urgent_work() {
    runtime().block_on(async {
        let calm = Calm::new(4, 60_000, &[(TenantId::BOOTSTRAP, 1.0)]).await;
        for _ in 0..20 {
            calm.begin(TenantId::BOOTSTRAP, Priority::High).await;
        }
        let humble = calm.begin(TenantId::BOOTSTRAP, Priority::Deferred).await;
        let ctx = caller(TenantId::BOOTSTRAP, "r");
        let mut minutes = 0;
        loop {
            // A fifth more than what can be done.
            for _ in 0..5 {
                calm.begin(TenantId::BOOTSTRAP, Priority::High).await;
            }
            calm.clock.sleep(Duration::from_mins(1)).await;
            minutes += 1;
            let queued = calm.count(SessionStatus::Queued).await;
            assert!(queued[&TenantId::BOOTSTRAP] > 10, "urgent work always waits");
            let status =
                calm.server.sessions.get(&ctx, humble).await.expect("there").value.status();
            if status == SessionStatus::Completed {
                break;
            }
            assert!(minutes < 45, "it is {status} after {minutes} minutes");
        }
        assert!(minutes > 20, "it took its turn after {minutes} minutes: nothing was more urgent");
    });
}
