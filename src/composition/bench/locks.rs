//! `lock`: fair locks against a bare fair lock in this process, and over HTTP against an echo.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::limits::locks::FairProbe;
use super::load::{UNIQUE, now};
use super::measure::{Rounds, in_turns};
use super::process::{Process, Side};
use super::report::{Goal, Unit};
use super::rows::{Bench, head, value};
use crate::application::locks::local::LocalLocks;
use crate::application::locks::tokens::FencingTokens;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::locks::LockService;
use crate::application::ports::store::Store;
use crate::domain::ids::{KeyId, LockId, TenantId};
use crate::domain::lock::{Ask, LockMode, LockName, LockTable, Owner, Placed, Tokens};
use crate::domain::time::Timestamp;
use crate::infrastructure::clock::SystemClock;
use crate::infrastructure::ids::SystemIds;
use crate::infrastructure::storage::memory::MemoryStore;

const TENANT: TenantId = TenantId::BOOTSTRAP;
/// Who waits for one name at once.
const WAITERS: usize = 1000;
/// Clients over HTTP.
const CLIENTS: usize = 64;
/// Pairs between two looks at the time.
const STEP: u64 = 256;

impl Bench<'_> {
    /// Pairs of acquire and release, hand-offs among many who wait, and requests over HTTP.
    pub(super) async fn locks(&mut self) -> anyhow::Result<()> {
        let length = self.effort.length;
        let (mut table, mut pairs, mut waits) =
            (Rounds::default(), Rounds::default(), Rounds::default());
        for _ in 0..self.effort.rounds {
            table.add(Side::Server, Ok(value(table_pairs(length))));
            let probe = Arc::new(FairProbe::default());
            let rate = probe_pairs(&probe, length).await;
            table.add(Side::Probe, Ok(value(rate)));
            pairs.add(Side::Server, local_pairs(length).await.map(value));
            pairs.add(Side::Probe, Ok(value(rate)));
            waits.add(Side::Server, local_hand_offs(length).await.map(value));
            waits.add(Side::Probe, Ok(value(probe_hand_offs(length).await)));
        }
        let goal = Goal::Share(0.4);
        let case = "pairs in this process, the table alone".to_owned();
        self.add("lock", case, Unit::PerSecond, goal, &table);
        let case = "pairs in this process, events written".to_owned();
        self.add("lock", case, Unit::PerSecond, goal, &pairs);
        let case = format!("hand-offs, {WAITERS} wait, events written");
        self.add("lock", case, Unit::PerSecond, goal, &waits);
        let pair = self.pair().await?;
        let sides = pair.sides();
        let rounds = in_turns(self.effort, CLIENTS, &sides, |process| vec![request(process)]).await;
        let case = format!("acquire over HTTP against echo, {CLIENTS} clients");
        self.add("lock", case, Unit::PerSecond, Goal::Share(0.5), &rounds);
        Ok(())
    }
}

/// A lock that nobody holds yet; the probe sends the same back.
fn request(process: &Process) -> Vec<u8> {
    let body = r#"{"mode":"exclusive","ttl_seconds":1,"wait_seconds":0,"priority":0}"#;
    let path = match process.side {
        Side::Server => format!("/api/v1/locks/bench-{UNIQUE}/acquire"),
        Side::Probe => "/echo".to_owned(),
    };
    let length = body.len();
    let more = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    let mut request = head(process, "POST", &path, &more);
    request.extend(body.as_bytes());
    request
}

fn ask(who: u128, name: &LockName) -> Ask {
    Ask {
        names: vec![(name.clone(), LockId::new(SystemIds.uuid()))],
        mode: LockMode::Exclusive,
        owner: Owner::Key(KeyId::new(Uuid::from_u128(who))),
        label: "bench".into(),
        session: None,
        ttl: Duration::from_secs(30),
        wait: Duration::from_mins(5),
        priority: 0,
        metadata: Arc::default(),
    }
}

fn name() -> anyhow::Result<LockName> {
    LockName::parse("bench").ok_or_else(|| anyhow::anyhow!("a name that is none"))
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn rate(done: u64, began: std::time::Instant) -> f64 {
    done as f64 / began.elapsed().as_secs_f64()
}

fn table_pairs(length: Duration) -> f64 {
    let Ok(name) = name() else { return 0.0 };
    let (mut table, mut tokens) = (LockTable::default(), Tokens::new(1, u64::MAX - 1));
    let clock = SystemClock::new();
    let (began, mut done) = (now(), 0);
    while began.elapsed() < length {
        for _ in 0..STEP {
            let placed = table.request(ask(1, &name), clock.now(), &mut tokens);
            let Ok(Placed::Granted(grants)) = placed else { return 0.0 };
            let hold = &grants[0];
            drop(table.release(&name, hold.lock_id, hold.owner, clock.now(), &mut tokens));
            drop(table.take_said());
        }
        done += STEP;
    }
    rate(done, began)
}

/// Now in milliseconds, as the product reads its clock.
fn millis(clock: &SystemClock) -> u64 {
    Timestamp::key_millis(clock.now())
}

async fn probe_pairs(probe: &FairProbe, length: Duration) -> f64 {
    let clock = SystemClock::new();
    let (began, mut done) = (now(), 0);
    while began.elapsed() < length {
        for _ in 0..STEP {
            probe.acquire("bench", millis(&clock)).await;
            probe.release("bench", millis(&clock));
        }
        done += STEP;
    }
    rate(done, began)
}

async fn probe_hand_offs(length: Duration) -> f64 {
    let (probe, stop) = (Arc::new(FairProbe::default()), CancellationToken::new());
    let mut tasks = JoinSet::new();
    for _ in 0..WAITERS {
        let (probe, stop) = (Arc::clone(&probe), stop.clone());
        tasks.spawn(async move {
            let (clock, mut done) = (SystemClock::new(), 0);
            while !stop.is_cancelled() {
                probe.acquire("bench", millis(&clock)).await;
                probe.release("bench", millis(&clock));
                done += 1;
            }
            done
        });
    }
    counted(tasks, stop, length).await
}

async fn counted(tasks: JoinSet<u64>, stop: CancellationToken, length: Duration) -> f64 {
    let began = now();
    tokio::time::sleep(length).await;
    stop.cancel();
    let done = tasks.join_all().await.into_iter().sum();
    rate(done, began)
}

/// Locks on a store in memory, with what writes down their events.
fn local(tasks: &mut JoinSet<()>, stop: &CancellationToken) -> Arc<LocalLocks> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store: Arc<dyn Store> = MemoryStore::new(Arc::clone(&clock), Arc::new(SystemIds));
    let tokens = FencingTokens::new(Arc::clone(&store));
    let locks = Arc::new(LocalLocks::new(store, clock, tokens, Arc::new(|_| {})));
    let (running, until) = (Arc::clone(&locks), stop.clone());
    tasks.spawn(async move { running.run(&until).await });
    locks
}

async fn local_pairs(length: Duration) -> anyhow::Result<f64> {
    let (name, stop, mut tasks) = (name()?, CancellationToken::new(), JoinSet::new());
    let locks = local(&mut tasks, &stop);
    let (began, mut done) = (now(), 0);
    while began.elapsed() < length {
        for _ in 0..STEP {
            let grants = locks.acquire(TENANT, ask(1, &name)).await?;
            locks.release(TENANT, &name, grants[0].lock_id, grants[0].owner).await?;
        }
        done += STEP;
    }
    let rate = rate(done, began);
    stop.cancel();
    tasks.join_all().await;
    Ok(rate)
}

async fn local_hand_offs(length: Duration) -> anyhow::Result<f64> {
    let (name, stop, mut running) = (name()?, CancellationToken::new(), JoinSet::new());
    let (locks, until) = (local(&mut running, &stop), CancellationToken::new());
    let mut tasks = JoinSet::new();
    for who in 0..WAITERS {
        let (locks, name, until) = (Arc::clone(&locks), name.clone(), until.clone());
        tasks.spawn(async move {
            let mut done = 0;
            while !until.is_cancelled() {
                let Ok(grants) = locks.acquire(TENANT, ask(who as u128, &name)).await else {
                    return done;
                };
                drop(locks.release(TENANT, &name, grants[0].lock_id, grants[0].owner).await);
                done += 1;
            }
            done
        });
    }
    let rate = counted(tasks, until, length).await;
    stop.cancel();
    running.join_all().await;
    Ok(rate)
}
