//! A whole simulation from one seed: several lives of a server on one store, with people, agents and
//! faults, then a calm life in which everything comes to its end, then the invariants.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Once};
use std::time::Duration;

use orchestrator::application::error::AppError;
use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::journal::Journal;
use orchestrator::application::ports::store::{Store, StoreError};
use orchestrator::application::scheduler::admissions::Admission;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::schedule::hold::HoldScope;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::quotas::Quotas;
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::storage::memory::MemoryStore;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::files::SimFiles;
use super::ledger::Ledger;
use super::life::{Ground, Server};
use super::people::{Person, caller};
use super::store::Planted;
use super::time::{SimClock, SimIds};
use super::town::Town;
use super::weather::Weather;
use crate::support::invariants::{Shown, broken};

/// When simulated time begins, in milliseconds.
const BEGIN: i64 = 1_767_225_600_000;
/// In a calm life everything has come to its end by then.
const PATIENCE: Duration = Duration::from_hours(1);

/// What a simulation showed.
pub(crate) struct Outcome {
    /// What is wrong; nothing, when all is well.
    pub(crate) problems: Vec<String>,
    /// Of everything that happened, with its times: the same for the same seed.
    pub(crate) digest: u64,
    /// Events that were written.
    pub(crate) events: usize,
    /// Requests and agents' reports, by outcome.
    pub(crate) ledger: Arc<Ledger>,
}

struct World {
    ground: Ground,
    weather: Arc<Weather>,
    store: Arc<MemoryStore>,
    ledger: Arc<Ledger>,
    tenants: Vec<TenantId>,
    dice: StdRng,
}

thread_local! {
    /// Panics of this thread, which a runtime would swallow.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn watch_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            usual(panic);
        }));
    });
}

/// Simulates what the seed says.
pub(crate) fn simulate(seed: u64, planted: Option<Planted>) -> Outcome {
    watch_for_panics();
    PANICS.take();
    let mut world = World::new(seed, planted);
    let mut problems = world.live();
    problems.extend(PANICS.take().into_iter().map(|panic| format!("I14: {panic}")));
    let (shown, digest, events) = match world.look() {
        Ok(found) => found,
        Err(error) => {
            problems.push(format!("the store cannot be read: {error}"));
            (Vec::new(), 0, 0)
        }
    };
    problems.extend(shown);
    if tracing::enabled!(tracing::Level::DEBUG) && !problems.is_empty() {
        world.tell();
    }
    Outcome { problems, digest, events, ledger: world.ledger }
}

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

impl World {
    fn new(seed: u64, planted: Option<Planted>) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let clock = Arc::new(SimClock::new(Timestamp::from_millis(BEGIN)));
        let weather = Arc::new(Weather::new(Arc::clone(&clock), dice.random()));
        let ids = Arc::new(SimIds::new(dice.random()));
        let store = MemoryStore::new(Arc::clone(&clock) as _, Arc::clone(&ids) as _);
        let town = Arc::new(Town::new(Arc::clone(&weather)));
        let files = Arc::new(SimFiles::new(Arc::clone(&clock), Arc::clone(&weather)));
        let count = dice.random_range(2..4u128);
        let tenants = std::iter::once(TenantId::BOOTSTRAP)
            .chain((1..count).map(|number| TenantId::new(Uuid::from_u128(1 + number))))
            .collect();
        Self {
            ground: Ground { clock, ids, town, files, slots: (5, [2, 3]), planted },
            weather,
            store,
            ledger: Arc::default(),
            tenants,
            dice,
        }
    }

    /// All lives, one after another; what went wrong in the last one.
    fn live(&mut self) -> Vec<String> {
        runtime().block_on(self.settle_in());
        for _ in 0..self.dice.random_range(1..5) {
            self.stormy_life();
        }
        self.calm_life()
    }

    /// The tenants come.
    async fn settle_in(&mut self) {
        self.ground.clock.go();
        for (number, tenant) in self.tenants.clone().into_iter().enumerate() {
            let now = self.ground.clock.now();
            let quotas = Quotas {
                max_concurrent_sessions: Some(self.dice.random_range(4..12)),
                max_queue_depth: Some(self.dice.random_range(2..8)),
            };
            let slug = format!("tenant-{number}");
            let tenant = Tenant { id: tenant, slug, quotas, ..Tenant::bootstrap(now) };
            let set = ChangeSet::new(tenant.id);
            let put = Put { expect: Expect::Absent, value: tenant };
            self.store.commit(set.write(Write::Tenant(put))).await.expect("made");
        }
        self.ground.clock.halt(Duration::ZERO);
    }

    /// A life that ends somewhere: in the middle of something, or in order.
    fn stormy_life(&mut self) {
        let is_killed = self.dice.random_bool(0.75);
        let early = self.dice.random_bool(0.2);
        let dies_in = self.dice.random_range(1..if early { 12 } else { 250 });
        let crash = self.weather.begin(is_killed.then_some(dies_in), false);
        let runtime = runtime();
        runtime.block_on(async {
            self.ground.clock.go();
            tokio::select! {
                biased;
                () = crash.cancelled() => {}
                () = self.day() => {}
            }
            let down_for = Duration::from_millis(self.dice.random_range(0..100_000));
            self.ground.clock.halt(down_for);
        });
        drop(runtime);
        self.ground.town.server_is_gone();
    }

    /// A server starts, people work, and it stops.
    async fn day(&mut self) {
        let server = match self.start().await {
            Ok(server) => server,
            Err(error) => return self.ledger.refused("starting", &error),
        };
        let mut people = Vec::new();
        for _ in 0..self.dice.random_range(1..5) {
            let seed = self.dice.random();
            let (server, ledger) = (Arc::clone(&server), Arc::clone(&self.ledger));
            let person = Person::new(server, ledger, self.tenants.clone(), seed);
            people.push(person.work(self.dice.random_range(3..25)));
        }
        futures_util::future::join_all(people).await;
        let rest = Duration::from_millis(self.dice.random_range(0..60_000));
        self.ground.clock.sleep(rest).await;
        server.stop().await;
    }

    async fn start(&self) -> Result<Arc<Server>, AppError> {
        let store = Arc::clone(&self.store);
        let server =
            Server::start(&self.ground, Arc::clone(&store) as _, store as Arc<dyn Journal>);
        server.await.map(Arc::new)
    }

    /// A life without faults, in which everything that was begun comes to its end.
    fn calm_life(&self) -> Vec<String> {
        self.weather.begin(None, true);
        let runtime = runtime();
        runtime.block_on(async {
            self.ground.clock.go();
            let server = match self.start().await {
                Ok(server) => server,
                Err(error) => return vec![format!("I8: the server does not start: {error}")],
            };
            for tenant in &self.tenants {
                let wanted = Admission { scope: HoldScope::Tenant, agent: None, reason: None };
                let ctx = caller(*tenant, "release");
                if let Err(error) = server.admissions.release(&ctx, &wanted).await {
                    self.ledger.refused("release", &error);
                }
            }
            let mut left = self.unrest(&server).await;
            let until = self.ground.clock.now().after(PATIENCE);
            while !left.is_empty() && self.ground.clock.now() < until {
                self.ground.clock.sleep(Duration::from_secs(10)).await;
                left = self.unrest(&server).await;
            }
            server.stop().await;
            self.ground.clock.halt(Duration::ZERO);
            left
        })
    }

    /// What has not come to its end yet.
    async fn unrest(&self, server: &Server) -> Vec<String> {
        let mut left = Vec::new();
        let fleet = self.store.fleet().await.expect("readable");
        let found = fleet.sessions_in(SessionStatus::ALL).await.expect("readable");
        for session in &found {
            let session = &session.value;
            let (code, status) = (session.code, session.status());
            // Without a budget left it waits for a person, and says so.
            let waits_for_nobody = status.is_terminal()
                || status == SessionStatus::Pending
                    && (!session.run.start_wanted || session.is_exhausted());
            if !waits_for_nobody {
                let ctx = caller(session.tenant_id, "why");
                let why = server.sessions.explain(&ctx, &server.queue, session.id).await;
                let why = why.map(|why| why.summary).unwrap_or_default();
                left.push(format!("I8: {code} of {} stays {status}: {why}", session.tenant_id));
            }
        }
        let owed = fleet.owed_children(10).await.expect("readable");
        left.extend(owed.iter().map(|owed| format!("I8: {} owes its children", owed.parent)));
        let may_have = |id: &SessionId| {
            let own = found.iter().find(|session| session.value.id == *id);
            own.is_some_and(|session| !session.value.status().is_terminal())
        };
        for id in self.ground.files.folders() {
            if !may_have(&id) {
                left.push(format!("I13: {id} has ended, its folder is there"));
            }
        }
        for (id, token) in self.ground.town.open() {
            let works = |token| {
                found
                    .iter()
                    .any(|session| session.value.id == id && session.value.is_held_by(token))
            };
            if !works(token) {
                left.push(format!("I13: {id} has a run open under {token}"));
            }
        }
        left
    }

    /// What the store shows, held against every invariant and what people were told.
    fn look(&self) -> Result<(Vec<String>, u64, usize), StoreError> {
        let (mut wrong, all) = runtime().block_on(broken(self.store.as_ref()))?;
        wrong.extend(self.ground.town.problems());
        wrong.extend(self.ledger.verify(&all));
        for (_, session) in all.iter().flat_map(|shown| shown.sessions.values()) {
            let (told, most) =
                (session.metrics.usage.tokens_total(), self.ground.town.spent(session.id));
            if told > most {
                wrong.push(format!("I12: {} counted {told} tokens of {most}", session.code));
            }
        }
        let events = all.iter().map(|shown| shown.events.len()).sum();
        Ok((wrong, digest(&all), events))
    }
}

impl World {
    /// Writes every event to the log.
    fn tell(&self) {
        let told = runtime().block_on(broken(self.store.as_ref()));
        for event in told.iter().flat_map(|(_, all)| all).flat_map(|shown| &shown.events) {
            let (at, kind) = (event.event.occurred_at, event.event.event_type);
            let payload = serde_json::to_string(&event.event.payload).expect("JSON");
            tracing::debug!("{at} {} #{} {kind} {payload}", event.tenant_id, event.seq);
        }
    }
}

fn digest(all: &[Shown]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for event in all.iter().flat_map(|shown| &shown.events) {
        (event.seq, event.event.event_type.as_str(), event.event.subject.id).hash(&mut hasher);
        event.event.occurred_at.millis().hash(&mut hasher);
        serde_json::to_string(&event.event.payload).expect("JSON").hash(&mut hasher);
    }
    hasher.finish()
}
