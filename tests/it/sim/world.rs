//! A whole simulation from one seed: several lives of a server on one store, with people, agents and
//! faults, then a calm life in which everything comes to its end, then the invariants.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Once};
use std::time::Duration;

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::store::{Store, StoreError};
use orchestrator::application::scheduler::admissions::Admission;
use orchestrator::domain::event::EventType;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::schedule::hold::HoldScope;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::quotas::{QuotaName, Quotas};
use orchestrator::domain::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::caller::caller;
use super::calm::{LOOK, Watch};
use super::demands;
use super::files::SimFiles;
use super::kept::{Kept, Opened};
use super::ledger::Ledger;
use super::life::{Ground, Server};
use super::people::Person;
use super::store::Planted;
use super::time::{SimClock, SimIds};
use super::town::Town;
use super::weather::Weather;
use crate::recovery::disk::Loss;
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
    kept: Kept,
    ledger: Arc<Ledger>,
    tenants: Vec<TenantId>,
    dice: StdRng,
    /// Lives so far, and what was wrong after each.
    lives: (u32, Vec<String>),
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

/// Simulates what the seed says; every fifth keeps its store on a disk.
pub(crate) fn simulate(seed: u64, planted: Option<Planted>) -> Outcome {
    watch_for_panics();
    PANICS.take();
    let mut world = World::new(seed, planted);
    let mut outcome = match world.live() {
        Ok(outcome) => outcome,
        Err(problem) => {
            let ledger = Arc::clone(&world.ledger);
            Outcome { problems: vec![problem], digest: 0, events: 0, ledger }
        }
    };
    let panics = PANICS.take().into_iter().map(|panic| format!("I14: {panic}"));
    outcome.problems.splice(0..0, world.lives.1);
    outcome.problems.extend(panics);
    outcome
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
        let kept = Kept::new(seed % 5 == 4, Arc::clone(&clock) as _, Arc::clone(&ids) as _);
        let town = Arc::new(Town::new(Arc::clone(&weather)));
        let files = Arc::new(SimFiles::new(Arc::clone(&clock), Arc::clone(&weather)));
        let count = dice.random_range(2..4u128);
        let tenants = std::iter::once(TenantId::BOOTSTRAP)
            .chain((1..count).map(|number| TenantId::new(Uuid::from_u128(1 + number))))
            .collect();
        Self {
            ground: Ground { clock, ids, town, files, slots: (5, [2, 3]), planted },
            weather,
            kept,
            ledger: Arc::default(),
            tenants,
            dice,
            lives: (0, Vec::new()),
        }
    }

    /// All lives, one after another.
    fn live(&mut self) -> Result<Outcome, String> {
        self.settle_in()?;
        for _ in 0..self.dice.random_range(1..5) {
            self.stormy_life()?;
        }
        self.calm_life()
    }

    /// The tenants come.
    fn settle_in(&mut self) -> Result<(), String> {
        runtime().block_on(async {
            self.ground.clock.go();
            let store = self.kept.open()?.store;
            for (number, id) in self.tenants.clone().into_iter().enumerate() {
                let quotas = Quotas {
                    max_concurrent_sessions: Some(self.dice.random_range(4..12)),
                    max_queue_depth: Some(self.dice.random_range(2..8)),
                    max_tokens_per_month: self
                        .dice
                        .random_bool(0.3)
                        .then(|| self.dice.random_range(2000..40_000)),
                    monthly_budget_micros: self
                        .dice
                        .random_bool(0.3)
                        .then(|| self.dice.random_range(20_000..400_000)),
                    max_storage_mb: None,
                    max_agents: None,
                    requests_per_minute: None,
                };
                let (slug, now) = (format!("tenant-{number}"), self.ground.clock.now());
                let value = Tenant { id, slug, quotas, ..Tenant::bootstrap(now) };
                let put = Write::Tenant(Put { expect: Expect::Absent, value });
                store.commit(ChangeSet::new(id).write(put)).await.expect("made");
            }
            self.kept.close(None);
            self.ground.clock.halt(Duration::ZERO);
            Ok(())
        })
    }

    /// A life that ends somewhere: in the middle of something, or in order.
    fn stormy_life(&mut self) -> Result<(), String> {
        let is_killed = self.dice.random_bool(0.75);
        let early = self.dice.random_bool(0.2);
        let dies_in = self.dice.random_range(1..if early { 12 } else { 250 });
        let crash = self.weather.begin(is_killed.then_some(dies_in), false);
        let runtime = runtime();
        let down_for = runtime.block_on(async {
            self.ground.clock.go();
            let opened = self.kept.open()?;
            self.inspect(&*opened.store).await?;
            tokio::select! {
                biased;
                () = crash.cancelled() => {}
                () = self.day(opened) => {}
            }
            let down_for = Duration::from_millis(self.dice.random_range(0..100_000));
            self.ground.clock.halt(down_for);
            Ok::<_, String>(down_for)
        })?;
        // Whatever was under way ends where it stands.
        drop(runtime);
        let loss = (Loss::EACH[self.dice.random_range(0..3)], self.dice.random());
        self::runtime().block_on(async {
            self.kept.close(crash.is_cancelled().then_some(loss));
        });
        self.ground.town.server_is_gone(u64::try_from(down_for.as_millis()).expect("short"));
        match self.dice.random_range(0..40) {
            // Somebody sets the clock back a little, or comes back after a month.
            0..6 => self.ground.clock.set_by(-self.dice.random_range(1..5000)),
            6..9 => {
                self.ground.clock.set_by(self.dice.random_range(30..70) * 86_400_000);
                self.ledger.days_pass(self.ground.clock.now());
            }
            _ => {}
        }
        Ok(())
    }

    /// What is stored when a life begins is held against every invariant and what people were told.
    async fn inspect(&mut self, store: &dyn Store) -> Result<(), String> {
        let life = self.lives.0;
        self.lives.0 += 1;
        if life == 0 {
            return Ok(());
        }
        let found = broken(store).await.map_err(|error| format!("reading: {error}"));
        let (mut problems, all) = found?;
        problems.extend(self.ledger.verify(&all));
        problems.extend(demands::at_any_time(&all, &self.ground.town));
        let of_life = problems.into_iter().map(|text| format!("after life {life}: {text}"));
        self.lives.1.extend(of_life);
        Ok(())
    }

    /// A server starts, people work, and it stops.
    async fn day(&mut self, opened: Opened) {
        let server = match Server::start(&self.ground, opened).await {
            Ok(server) => Arc::new(server),
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

    /// A life without faults, in which everything that was begun comes to its end; then what the
    /// store shows is held against every invariant and against what people were told.
    fn calm_life(&mut self) -> Result<Outcome, String> {
        self.weather.begin(None, true);
        runtime().block_on(async {
            self.ground.clock.go();
            let opened = self.kept.open()?;
            self.inspect(&*opened.store).await?;
            let store = Arc::clone(&opened.store);
            let server = Server::start(&self.ground, opened).await;
            let server = server.map_err(|error| format!("I8: it does not start: {error}"))?;
            for tenant in &self.tenants {
                let wanted = Admission { scope: HoldScope::Tenant, agent: None, reason: None };
                let ctx = caller(*tenant, "release");
                if let Err(error) = server.admissions.release(&ctx, &wanted).await {
                    self.ledger.refused("release", &error);
                }
                let month =
                    [(QuotaName::MaxTokensPerMonth, None), (QuotaName::MonthlyBudgetUsd, None)];
                let whose = tenant.to_string();
                if let Err(error) = server.identity.set_quotas(&ctx, &whose, &month).await {
                    self.ledger.refused("quotas", &error);
                }
            }
            let mut watch = Watch::new(&self.ground, &server, &*store);
            let until = self.ground.clock.now().after(PATIENCE);
            // What is done once a day is done first.
            self.ground.clock.sleep(LOOK).await;
            let mut left = watch.unrest().await;
            while !left.is_empty() && self.ground.clock.now() < until {
                self.ground.clock.sleep(LOOK).await;
                left = watch.unrest().await;
            }
            left.extend(watch.problems);
            server.stop().await;
            let looked = self.look(&*store).await.map_err(|error| format!("reading: {error}"));
            self.kept.close(None);
            self.ground.clock.halt(Duration::ZERO);
            let mut outcome = looked?;
            outcome.problems.splice(0..0, left);
            Ok(outcome)
        })
    }

    async fn look(&self, store: &dyn Store) -> Result<Outcome, StoreError> {
        let (mut problems, all) = broken(store).await?;
        let now = self.ground.clock.now();
        problems.extend(self.weather.seen());
        problems.extend(self.ground.town.problems());
        problems.extend(self.ledger.verify(&all));
        problems.extend(demands::at_any_time(&all, &self.ground.town));
        problems.extend(demands::at_the_end(&all, &self.ground.town, &self.ledger, now));
        let system = store.snapshot(TenantId::SYSTEM).await?.events(0, None, usize::MAX).await?;
        for alert in system.iter().filter(|it| it.event.event_type == EventType::SystemAlert) {
            problems.push(format!("I7: {:?}", alert.event.payload));
        }
        for event in all.iter().flat_map(|shown| &shown.events) {
            let (at, kind) = (event.event.occurred_at, event.event.event_type);
            let payload = serde_json::to_string(&event.event.payload).expect("JSON");
            tracing::debug!("{at} {} #{} {kind} {payload}", event.tenant_id, event.seq);
        }
        let events = all.iter().map(|shown| shown.events.len()).sum();
        Ok(Outcome { problems, digest: digest(&all), events, ledger: Arc::clone(&self.ledger) })
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
