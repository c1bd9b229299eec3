//! Who may send now: bounds on the messages under way, in all and of each tenant, so that neither
//! another tenant nor another receiver of the same tenant holds anybody up for long.
//!
//! Nobody is interrupted, so a bound alone would be used up by those who take long to answer. They
//! have bounds of their own: a receiver that was slow sends by those until it is quick again, and one
//! that proves slow while it is asked goes on aside and gives its place back. A quick receiver waits
//! for slow ones no longer than it takes to see that they are.
//!
//! Invariant: whoever waits is served in the order of coming, the quick and the slow each among
//! themselves.
//! Invariant: what is under way is bounded by `at_once_in_all`, `slow_in_all` and `aside_in_all` together, and so
//! is that of each tenant.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::application::webhooks::WebhookOptions;
use crate::domain::ids::{TenantId, WebhookId};

/// The right to send one message; given back when dropped.
pub(super) enum Permit {
    /// A place among the quick.
    Quick { _turn: Turn },
    /// A place among those that are known to be slow.
    Slow { _turn: Turn },
    /// It began among the quick and is slow.
    Aside { _turn: Turn },
}

/// A place within the bound of a tenant and the one of all.
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// A bound on what is under way in all, and one on that of each tenant.
struct Pool {
    all: Arc<Semaphore>,
    of_each: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Pool {
    fn new(in_all: usize, of_each: usize) -> Self {
        let all = Arc::new(Semaphore::new(in_all.max(1)));
        Self { all, of_each: of_each.max(1), tenants: Mutex::default() }
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let fresh = || Arc::new(Semaphore::new(self.of_each));
        Arc::clone(lock(&self.tenants).entry(tenant).or_insert_with(fresh))
    }

    /// Waits for a place; `None` never, as nobody closes the bounds.
    async fn turn(&self, tenant: TenantId) -> Option<Turn> {
        // One's own bound first: a tenant that has used its share does not queue for the rest.
        let own = self.of(tenant).acquire_owned().await.ok()?;
        Some(Turn { _own: own, _all: Arc::clone(&self.all).acquire_owned().await.ok()? })
    }

    /// A place, when there is one.
    fn turn_now(&self, tenant: TenantId) -> Option<Turn> {
        let own = self.of(tenant).try_acquire_owned().ok()?;
        Some(Turn { _own: own, _all: Arc::clone(&self.all).try_acquire_owned().ok()? })
    }

    /// Forgets tenants for which nothing is under way.
    fn tidy(&self) {
        lock(&self.tenants).retain(|_, own| Arc::strong_count(own) > 1);
    }
}

/// The bounds, and who is known to be slow.
pub(super) struct Shares {
    quick: Pool,
    slow: Pool,
    aside: Pool,
    known_slow: Mutex<HashSet<WebhookId>>,
}

impl Shares {
    pub(super) fn new(options: &WebhookOptions) -> Self {
        Self {
            quick: Pool::new(options.at_once_in_all, options.at_once_of_tenant),
            slow: Pool::new(options.slow_in_all, options.slow_of_tenant),
            aside: Pool::new(options.aside_in_all, options.aside_of_tenant),
            known_slow: Mutex::default(),
        }
    }

    /// Waits for the right to send to a webhook of a tenant.
    pub(super) async fn permit(&self, tenant: TenantId, webhook: WebhookId) -> Option<Permit> {
        if !self.is_slow(webhook) {
            let turn = self.quick.turn(tenant).await?;
            // Another message to it may have shown meanwhile that it is slow.
            if !self.is_slow(webhook) {
                return Some(Permit::Quick { _turn: turn });
            }
        }
        Some(Permit::Slow { _turn: self.slow.turn(tenant).await? })
    }

    /// What is sent under this permit takes long: it goes on without holding up the quick. Without
    /// room aside it keeps its place.
    pub(super) fn step_aside(&self, permit: &mut Permit, tenant: TenantId) {
        if matches!(permit, Permit::Quick { .. })
            && let Some(turn) = self.aside.turn_now(tenant)
        {
            *permit = Permit::Aside { _turn: turn };
        }
    }

    /// How the receiver of a webhook answered.
    pub(super) fn note(&self, webhook: WebhookId, is_slow: bool) {
        let mut known = lock(&self.known_slow);
        if is_slow {
            known.insert(webhook);
        } else {
            known.remove(&webhook);
        }
    }

    fn is_slow(&self, webhook: WebhookId) -> bool {
        lock(&self.known_slow).contains(&webhook)
    }

    /// Forgets tenants for which nothing is under way.
    pub(super) fn tidy(&self) {
        self.quick.tidy();
        self.slow.tidy();
        self.aside.tidy();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId::BOOTSTRAP;

    fn shares() -> Shares {
        let options = WebhookOptions {
            at_once_of_tenant: 2,
            at_once_in_all: 3,
            slow_of_tenant: 1,
            aside_of_tenant: 2,
            ..WebhookOptions::default()
        };
        Shares::new(&options)
    }

    fn hook(number: u128) -> WebhookId {
        WebhookId::new(Uuid::from_u128(number))
    }

    /// The permit, when nobody has to be waited for.
    fn now(shares: &Shares, tenant: TenantId, webhook: WebhookId) -> Option<Permit> {
        shares.permit(tenant, webhook).now_or_never().flatten()
    }

    #[test]
    fn slow_receivers_give_their_places_back_and_wait_among_themselves() {
        let shares = shares();
        let mut held = [now(&shares, TENANT, hook(1)), now(&shares, TENANT, hook(2))];
        assert!(held.iter().all(Option::is_some));
        assert!(now(&shares, TENANT, hook(3)).is_none(), "the share of the tenant is used up");
        for (permit, number) in held.iter_mut().flatten().zip([1, 2]) {
            shares.note(hook(number), true);
            shares.step_aside(permit, TENANT);
        }
        assert!(now(&shares, TENANT, hook(3)).is_some(), "a quick one is served");
        let slow = now(&shares, TENANT, hook(1));
        assert!(matches!(slow, Some(Permit::Slow { .. })));
        assert!(now(&shares, TENANT, hook(2)).is_none(), "the slow have a bound of their own");
        shares.note(hook(2), false);
        assert!(now(&shares, TENANT, hook(2)).is_some(), "it is quick again");
        let mut third = now(&shares, TENANT, hook(3)).expect("a place");
        shares.step_aside(&mut third, TENANT);
        assert!(matches!(third, Permit::Quick { .. }), "there is no room aside for more");
    }

    #[test]
    fn one_that_waits_and_is_known_to_be_slow_by_then_joins_the_slow() {
        let shares = shares();
        let held = [now(&shares, TENANT, hook(1)), now(&shares, TENANT, hook(1))];
        let waiting = shares.permit(TENANT, hook(1));
        let mut waiting = std::pin::pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        shares.note(hook(1), true);
        drop(held);
        let permit = waiting.now_or_never().flatten();
        assert!(matches!(permit, Some(Permit::Slow { .. })));
    }

    #[test]
    fn a_tenant_takes_no_more_than_its_share() {
        let shares = shares();
        let other = TenantId::new(Uuid::from_u128(9));
        let held = [now(&shares, TENANT, hook(1)), now(&shares, TENANT, hook(2))];
        assert!(now(&shares, other, hook(3)).is_some());
        drop(held);
        shares.tidy();
        assert!(lock(&shares.quick.tenants).is_empty());
    }
}
