//! The locks of one process: a table for each tenant behind a mutex, and a message for each who waits.
//!
//! Invariant: the mutex is never held across an await. What a table says is told in its order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::recorder::Recorder;
use super::tokens::{Block, FencingTokens};
use super::told;
use crate::application::error::AppError;
use crate::application::ports::clock::Clock;
use crate::application::ports::locks::{LockService, Overview};
use crate::application::ports::store::Store;
use crate::domain::ids::{LockId, TenantId};
use crate::domain::lock::{
    Ask, Departed, Grant, Happening, LockName, LockTable, Look, LossReason, Owner, Placed, Refusal,
    Renewal, Ticket, Tokens,
};
use crate::domain::time::Timestamp;

/// Longest time between two looks at what is due; no hold and no wait is shorter.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Told of each hold that ended without its holder, at once.
pub type TellLost = Arc<dyn Fn(&Grant) + Send + Sync>;

type Outcome = Result<Vec<Grant>, Refusal>;

/// Locks that live and die with this process.
pub struct LocalLocks {
    clock: Arc<dyn Clock>,
    tokens: FencingTokens,
    recorder: Recorder,
    tell_lost: TellLost,
    tenants: RwLock<HashMap<TenantId, Arc<OfTenant>>>,
}

struct OfTenant {
    id: TenantId,
    block: Arc<Block>,
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    table: LockTable,
    waiters: HashMap<Ticket, oneshot::Sender<Outcome>>,
    is_closed: bool,
}

impl LocalLocks {
    /// Locks with these tokens; whoever loses one is told of by `tell_lost`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tokens: FencingTokens,
        tell_lost: TellLost,
    ) -> Self {
        let recorder = Recorder::new(store, Arc::clone(&clock));
        Self { clock, tokens, recorder, tell_lost, tenants: RwLock::default() }
    }

    /// Does what is due, and writes down what happened, until cancelled.
    pub async fn run(&self, stop: &CancellationToken) {
        tokio::join!(self.recorder.run(stop), self.expire(stop));
    }

    /// Ends every hold and writes down what is not yet; nothing is granted any more.
    pub async fn close(&self) {
        for tenant in self.all() {
            let now = self.clock.now();
            let mut desk = tenant.desk();
            desk.is_closed = true;
            desk.table.end_all(LossReason::Shutdown);
            self.tell(&tenant, &mut desk, now);
        }
        self.recorder.flush().await;
    }

    #[cfg(test)]
    pub(super) async fn flush_for_test(&self) {
        self.recorder.flush().await;
    }

    async fn expire(&self, stop: &CancellationToken) {
        loop {
            let now = self.clock.now();
            let mut rest = LOOK_EVERY;
            for tenant in self.all() {
                if let Err(error) = self.tokens.ready(tenant.id, &tenant.block).await {
                    tracing::debug!(%error, "No fencing tokens could be reserved");
                }
                let due = self.with(&tenant, |table, now, tokens| {
                    table.advance(now, tokens);
                    table.find_circles(now, tokens);
                    table.next_due()
                });
                rest = due.map_or(rest, |due| rest.min(due.since(now)));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // A clock that counts in milliseconds is not asked again within one.
                () = self.clock.sleep(rest.max(Duration::from_millis(1))) => {}
            }
        }
    }

    fn all(&self) -> Vec<Arc<OfTenant>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.values().cloned().collect()
    }

    /// The locks of a tenant, when it ever had any.
    fn known(&self, tenant: TenantId) -> Option<Arc<OfTenant>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).cloned()
    }

    fn of(&self, tenant: TenantId) -> Arc<OfTenant> {
        if let Some(known) = self.known(tenant) {
            return known;
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let made = tenants.entry(tenant).or_insert_with(|| {
            let block = self.tokens.of(tenant);
            Arc::new(OfTenant { id: tenant, block, desk: Mutex::default() })
        });
        Arc::clone(made)
    }

    /// Does something with a table and tells what came of it.
    fn with<T>(
        &self,
        tenant: &OfTenant,
        act: impl FnOnce(&mut LockTable, Timestamp, &mut Tokens) -> T,
    ) -> T {
        let mut desk = tenant.desk();
        let now = self.clock.now();
        let done = act(&mut desk.table, now, &mut tenant.block.tokens());
        self.tell(tenant, &mut desk, now);
        done
    }

    /// Tells those who wait, and writes down what happened, while nothing else can happen.
    fn tell(&self, tenant: &OfTenant, desk: &mut Desk, now: Timestamp) {
        let mut events = Vec::new();
        for happening in desk.table.take_said() {
            told::events(&happening, now, &mut events);
            let outcome = match happening {
                Happening::Granted { ticket: Some(ticket), grants, .. } => (ticket, Ok(grants)),
                Happening::TimedOut { ticket, refusal, .. } => (ticket, Err(refusal)),
                Happening::Deadlocked { ticket, cycle, .. } => {
                    (ticket, Err(Refusal::Deadlock { cycle }))
                }
                Happening::Ended(ticket) => (ticket, Err(Refusal::Ended)),
                Happening::Lost(grant, _) => {
                    (self.tell_lost)(&grant);
                    continue;
                }
                Happening::Granted { ticket: None, .. }
                | Happening::Queued(_)
                | Happening::Released(_)
                | Happening::Renewed(_) => continue,
            };
            if let Some(waiter) = desk.waiters.remove(&outcome.0) {
                // Whoever does not wait any more gives it back, see `Waits`.
                waiter.send(outcome.1).ok();
            }
        }
        self.recorder.push(tenant.id, events);
    }

    /// Asks the table; a place in the queue comes with the way to hear of it.
    fn place(&self, tenant: &Arc<OfTenant>, ask: Ask) -> Result<Placing<'_>, AppError> {
        let owner = ask.owner;
        let mut desk = tenant.desk();
        if desk.is_closed {
            return Err(AppError::ShuttingDown);
        }
        let now = self.clock.now();
        let placed = desk.table.request(ask, now, &mut tenant.block.tokens());
        let placing = match placed {
            Ok(Placed::Granted(grants)) => Placing::Granted(grants),
            Ok(Placed::Waits(ticket)) => {
                let (told, hears) = oneshot::channel();
                desk.waiters.insert(ticket, told);
                let tenant = Arc::clone(tenant);
                Placing::Waits(Waits { locks: self, tenant, owner, ticket, hears, is_over: false })
            }
            Err(refusal) => Placing::Refused(refusal),
        };
        self.tell(tenant, &mut desk, now);
        Ok(placing)
    }
}

enum Placing<'a> {
    Granted(Vec<Grant>),
    Waits(Waits<'a>),
    Refused(Refusal),
}

/// A place in the queue. Whoever drops it gives it up, and what was granted meanwhile.
struct Waits<'a> {
    locks: &'a LocalLocks,
    tenant: Arc<OfTenant>,
    owner: Owner,
    ticket: Ticket,
    hears: oneshot::Receiver<Outcome>,
    is_over: bool,
}

impl Waits<'_> {
    async fn outcome(mut self) -> Outcome {
        let outcome = (&mut self.hears).await;
        self.is_over = true;
        outcome.unwrap_or(Err(Refusal::Ended))
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (ticket, owner) = (self.ticket, self.owner);
        let mut desk = self.tenant.desk();
        let now = self.locks.clock.now();
        let still_waits = desk.waiters.remove(&ticket).is_some();
        let mut tokens = self.tenant.block.tokens();
        if still_waits {
            desk.table.give_up(ticket, now, &mut tokens);
        } else if let Ok(Ok(grants)) = self.hears.try_recv() {
            for grant in grants {
                // It is the owner's, or has ended by now: nothing can be wrong with that.
                desk.table.release(&grant.name, grant.lock_id, owner, now, &mut tokens).ok();
            }
        }
        drop(tokens);
        self.locks.tell(&self.tenant, &mut desk, now);
    }
}

impl OfTenant {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(refusal: Refusal) -> AppError {
    AppError::Lock(Box::new(refusal))
}

#[async_trait]
impl LockService for LocalLocks {
    async fn acquire(&self, tenant: TenantId, ask: Ask) -> Result<Vec<Grant>, AppError> {
        let tenant = self.of(tenant);
        loop {
            self.recorder.room().await?;
            self.tokens.ready(tenant.id, &tenant.block).await?;
            let waits = match self.place(&tenant, ask.clone())? {
                Placing::Granted(grants) => return Ok(grants),
                // Others were faster: another block is reserved first.
                Placing::Refused(Refusal::NoToken) => continue,
                Placing::Refused(refusal) => return Err(refused(refusal)),
                Placing::Waits(waits) => waits,
            };
            return waits.outcome().await.map_err(refused);
        }
    }

    async fn renew(&self, tenant: TenantId, renewal: &Renewal) -> Result<Grant, AppError> {
        let Some(tenant) = self.known(tenant) else { return Err(refused(Refusal::Lost)) };
        let renewed = self.with(&tenant, |table, now, tokens| table.renew(renewal, now, tokens));
        renewed.map_err(refused)
    }

    async fn release(
        &self,
        tenant: TenantId,
        name: &LockName,
        lock_id: LockId,
        owner: Owner,
    ) -> Result<Option<Grant>, AppError> {
        let Some(tenant) = self.known(tenant) else { return Ok(None) };
        let released = self
            .with(&tenant, |table, now, tokens| table.release(name, lock_id, owner, now, tokens));
        released.map_err(refused)
    }

    async fn force_release(
        &self,
        tenant: TenantId,
        name: &LockName,
    ) -> Result<Vec<Grant>, AppError> {
        let Some(tenant) = self.known(tenant) else { return Ok(Vec::new()) };
        Ok(self.with(&tenant, |table, now, tokens| table.force(name, now, tokens)))
    }

    async fn end(
        &self,
        tenant: TenantId,
        gone: Departed,
        reason: LossReason,
    ) -> Result<usize, AppError> {
        let Some(tenant) = self.known(tenant) else { return Ok(0) };
        Ok(self.with(&tenant, |table, now, tokens| table.end(gone, reason, now, tokens)))
    }

    async fn is_current(&self, tenant: TenantId, fencing_token: u64) -> Result<bool, AppError> {
        let Some(tenant) = self.known(tenant) else { return Ok(false) };
        Ok(self.with(&tenant, |table, now, tokens| table.is_current(fencing_token, now, tokens)))
    }

    async fn look(&self, tenant: TenantId, name: &LockName) -> Result<Option<Look>, AppError> {
        let Some(tenant) = self.known(tenant) else { return Ok(None) };
        Ok(self.with(&tenant, |table, now, tokens| {
            table.advance(now, tokens);
            table.look(name)
        }))
    }

    async fn overview(
        &self,
        tenant: TenantId,
        after: Option<&LockName>,
        limit: usize,
    ) -> Result<Overview, AppError> {
        let Some(tenant) = self.known(tenant) else { return Ok(Overview::default()) };
        Ok(self.with(&tenant, |table, now, tokens| {
            table.advance(now, tokens);
            let names = table.names();
            let total = names.len();
            let mut rest = names.into_iter().filter(|name| after.is_none_or(|after| name > after));
            let page: Vec<LockName> = rest.by_ref().take(limit).collect();
            Overview {
                locks: page.iter().filter_map(|name| table.look(name)).collect(),
                has_more: rest.next().is_some(),
                total,
                active: table.active(),
                waiting: table.waiting(),
            }
        }))
    }
}
