//! The locks of one process on a clock that is moved by hand: waits, ends, tenants, restarts.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::local::LocalLocks;
use super::restart::tell_of_void;
use super::tokens::FencingTokens;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::locks::LockService;
use crate::application::ports::store::Store;
use crate::domain::event::EventType;
use crate::domain::ids::{KeyId, LockId, TenantId};
use crate::domain::lock::{
    Ask, Departed, Grant, LockMode, LockName, LossReason, Owner, Refusal, Renewal,
};
use crate::domain::tenant::Tenant;
use crate::domain::time::Timestamp;
use crate::infrastructure::clock::ManualClock;
use crate::infrastructure::ids::SystemIds;
use crate::infrastructure::storage::memory::MemoryStore;

const TENANT: TenantId = TenantId::BOOTSTRAP;

/// Locks on a clock that is moved by hand.
struct Lab {
    clock: Arc<ManualClock>,
    store: Arc<dyn Store>,
    locks: Arc<LocalLocks>,
    stop: CancellationToken,
}

fn lab() -> Lab {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let store: Arc<dyn Store> = MemoryStore::new(Arc::clone(&shared), Arc::new(SystemIds));
    let locks = locks(&store, &shared);
    Lab { clock, store, locks, stop: CancellationToken::new() }
}

fn locks(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Arc<LocalLocks> {
    let tokens = FencingTokens::new(Arc::clone(store));
    Arc::new(LocalLocks::new(Arc::clone(store), Arc::clone(clock), tokens, Arc::new(|_| {})))
}

fn owner(number: u128) -> Owner {
    Owner::Key(KeyId::new(uuid::Uuid::from_u128(number)))
}

fn name(text: &str) -> LockName {
    LockName::parse(text).expect("a name")
}

fn ask(who: u128, text: &str, wait: u64) -> Ask {
    Ask {
        names: vec![(name(text), LockId::new(SystemIds.uuid()))],
        mode: LockMode::Exclusive,
        owner: owner(who),
        label: "somebody".into(),
        session: None,
        ttl: Duration::from_secs(30),
        wait: Duration::from_secs(wait),
        priority: 0,
        metadata: Arc::default(),
    }
}

impl Lab {
    async fn take(&self, who: u128, text: &str) -> Grant {
        let granted = self.locks.acquire(TENANT, ask(who, text, 0)).await.expect("granted");
        granted.into_iter().next().expect("one")
    }

    async fn release(&self, grant: &Grant) {
        let Grant { name, lock_id, owner, .. } = grant;
        let released = self.locks.release(TENANT, name, *lock_id, *owner).await;
        assert_eq!(released.expect("released"), None);
    }

    /// Begins to wait and does so until somebody else may go on.
    async fn wait(&self, who: u128, text: &str, wait: u64) -> Waiting {
        let (locks, ask) = (Arc::clone(&self.locks), ask(who, text, wait));
        let before = self.queue(text).await;
        #[expect(clippy::disallowed_methods, reason = "a test ends what it spawned")]
        let waiting = tokio::spawn(async move { locks.acquire(TENANT, ask).await });
        while self.queue(text).await == before {
            tokio::task::yield_now().await;
        }
        waiting
    }

    async fn queue(&self, text: &str) -> usize {
        let look = self.locks.look(TENANT, &name(text)).await.expect("read");
        look.map_or(0, |look| look.queue.len())
    }

    fn run(&self) {
        let (locks, stop) = (Arc::clone(&self.locks), self.stop.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        drop(tokio::spawn(async move { locks.run(&stop).await }));
    }

    async fn told(&self) -> Vec<EventType> {
        let snapshot = self.store.snapshot(TENANT).await.expect("a snapshot");
        let events = snapshot.events(0, None, 200).await.expect("events");
        events.into_iter().map(|event| event.event.event_type).collect()
    }
}

/// The tenant itself, so that it is found among all.
async fn make_tenant(lab: &Lab) {
    let tenant = Tenant::bootstrap(lab.clock.now());
    let put = Put { expect: Expect::Absent, value: tenant };
    lab.store.commit(ChangeSet::new(TENANT).write(Write::Tenant(put))).await.expect("made");
}

type Waiting = tokio::task::JoinHandle<Result<Vec<Grant>, AppError>>;

fn refusal(outcome: Result<Vec<Grant>, AppError>) -> Refusal {
    match outcome {
        Err(AppError::Lock(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_waits_is_served_when_it_is_released() {
    let lab = lab();
    let held = lab.take(1, "a").await;
    let waiting = lab.wait(2, "a", 10).await;
    lab.release(&held).await;
    let granted = waiting.await.expect("no panic").expect("granted");
    assert_eq!(granted[0].owner, owner(2));
    assert!(granted[0].fencing_token > held.fencing_token);
}

#[tokio::test]
async fn the_clock_ends_holds_and_waits_without_a_further_request() {
    let lab = lab();
    lab.run();
    lab.take(1, "a").await;
    let short = lab.wait(2, "a", 10).await;
    let long = lab.wait(3, "a", 60).await;
    let turn = async |seconds: u64| {
        for _ in 0..seconds {
            lab.clock.advance(Duration::from_secs(1));
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    };
    turn(10).await;
    let refused = refusal(short.await.expect("no panic"));
    let Refusal::Locked { holder, position, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((holder.map(|holder| holder.owner), position), (Some(owner(1)), 1));
    turn(20).await;
    let granted = long.await.expect("no panic").expect("granted");
    assert_eq!(granted[0].owner, owner(3));
    lab.stop.cancel();
    lab.locks.close().await;
    let told = lab.told().await;
    assert_eq!(
        told,
        [
            EventType::LockAcquired,
            EventType::LockQueued,
            EventType::LockQueued,
            EventType::LockWaitTimeout,
            EventType::LockExpired,
            EventType::LockLost,
            EventType::LockAcquired,
            EventType::LockLost,
        ]
    );
}

#[tokio::test]
async fn whoever_goes_away_gives_up_the_place_and_what_was_granted_meanwhile() {
    let lab = lab();
    let held = lab.take(1, "a").await;
    let gone = lab.wait(2, "a", 60).await;
    let next = lab.wait(3, "a", 60).await;
    gone.abort();
    assert!(gone.await.expect_err("aborted").is_cancelled());
    assert_eq!(lab.queue("a").await, 1);
    lab.release(&held).await;
    let granted = next.await.expect("no panic").expect("granted");
    // Granted, and gone before it could hear of it.
    let mut deaf = Box::pin(lab.locks.acquire(TENANT, ask(4, "a", 60)));
    assert!(futures_util::poll!(&mut deaf).is_pending());
    lab.release(&granted[0]).await;
    drop(deaf);
    assert!(lab.locks.look(TENANT, &name("a")).await.expect("read").is_none(), "nothing is left");
}

#[tokio::test]
async fn the_end_of_somebody_ends_what_they_hold_and_wait_for() {
    let lab = lab();
    lab.take(1, "a").await;
    lab.take(2, "b").await;
    let waiting = lab.wait(1, "b", 60).await;
    let gone = Departed::Owner(owner(1));
    let ended = lab.locks.end(TENANT, gone, LossReason::KeyRevoked).await.expect("ended");
    assert_eq!(ended, 1);
    assert_eq!(refusal(waiting.await.expect("no panic")), Refusal::Ended);
    assert!(lab.locks.look(TENANT, &name("a")).await.expect("read").is_none());
}

#[tokio::test]
async fn tenants_share_nothing() {
    let lab = lab();
    let held = lab.take(1, "a").await;
    let other = TenantId::new(uuid::Uuid::from_u128(77));
    assert!(lab.locks.look(other, &name("a")).await.expect("read").is_none());
    let theirs = lab.locks.release(other, &held.name, held.lock_id, held.owner).await;
    assert_eq!(theirs.expect("nothing there"), None);
    assert!(lab.locks.look(TENANT, &name("a")).await.expect("read").is_some());
}

#[tokio::test]
async fn l4_after_a_restart_nothing_is_held_and_tokens_go_on() {
    let lab = lab();
    let held = lab.take(1, "a").await;
    lab.locks.flush_for_test().await;
    // Killed: nothing is written any more.
    let clock: Arc<dyn Clock> = Arc::clone(&lab.clock) as _;
    let after = locks(&lab.store, &clock);
    let renewal = Renewal {
        name: held.name.clone(),
        lock_id: held.lock_id,
        owner: held.owner,
        ttl: None,
        fencing_token: Some(held.fencing_token),
    };
    match after.renew(TENANT, &renewal).await {
        Err(AppError::Lock(refusal)) => assert_eq!(*refusal, Refusal::Lost),
        other => panic!("{other:?}"),
    }
    assert!(!after.is_current(TENANT, held.fencing_token).await.expect("read"));
    lab.clock.advance(Duration::from_secs(1));
    make_tenant(&lab).await;
    for expected in [1, 0] {
        let told = tell_of_void(&*lab.store, lab.clock.now()).await.expect("told");
        assert_eq!(told, expected, "each is told once");
    }
    assert!(lab.told().await.contains(&EventType::LockLost));
    let granted = after.acquire(TENANT, ask(2, "a", 0)).await.expect("granted");
    assert!(granted[0].fencing_token > held.fencing_token);
    match after.renew(TENANT, &renewal).await {
        Err(AppError::Lock(refusal)) => assert_eq!(*refusal, Refusal::Stale),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn leases_and_locks_take_their_tokens_from_one_row_of_numbers() {
    let lab = lab();
    let tokens = FencingTokens::new(Arc::clone(&lab.store));
    let clock: Arc<dyn Clock> = Arc::clone(&lab.clock) as _;
    let store = Arc::clone(&lab.store);
    let locks = LocalLocks::new(store, clock, tokens.clone(), Arc::new(|_| {}));
    let mut last = 0;
    for turn in 0..5000_u128 {
        let token = if turn % 2 == 0 {
            tokens.next(TENANT).await.expect("a token")
        } else {
            let granted = locks.acquire(TENANT, ask(turn, &format!("n{turn}"), 0)).await;
            granted.expect("granted")[0].fencing_token
        };
        assert!(token > last, "{token} after {last}");
        last = token;
        if turn % 512 == 0 {
            // What happened is written, as it would be beside this.
            locks.flush_for_test().await;
        }
    }
}
