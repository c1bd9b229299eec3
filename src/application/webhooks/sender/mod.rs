//! Sends what webhooks are owed: one worker for each webhook, woken by the event feed.
//!
//! Invariant: the cursor of a webhook moves only in the commit that stores what became of the events
//! that it passes; a process that dies between sending and that commit sends them again, under the
//! same names.
//! Invariant: a message that fails holds up later messages about the same subject and no others, as
//! long as fewer than `held` wait.

mod lanes;
mod outcome;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::lanes::Batch;
use super::WebhookService;
use crate::application::error::AppError;
use crate::application::ports::reads::Snapshot;
use crate::domain::ids::{DeliveryId, TenantId, WebhookId};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Addressed, Delivery};
use crate::domain::webhook::progress::Progress;

/// How often it is looked for webhooks that nobody rang for.
const LOOK: Duration = Duration::from_secs(30);
/// Events are gathered for this long, so that a busy tenant is not looked at for each of them.
const GATHER: Duration = Duration::from_millis(20);
/// Bounds of the wait after something went wrong on this side.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Sends what webhooks are owed.
pub struct Sender {
    hooks: WebhookService,
    tracker: TaskTracker,
    /// Messages under way in all; whoever wants to send one more waits.
    permits: Semaphore,
}

/// What a look at a webhook came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// There may be more to do.
    Again,
    /// Something is due then.
    At(Timestamp),
    /// Nothing before the bell rings.
    Idle,
    /// The webhook is gone.
    Gone,
}

/// The bells of the workers; one that nobody else holds belongs to a worker that has ended.
type Bells = HashMap<(TenantId, WebhookId), Arc<Notify>>;

impl Sender {
    /// Sends for these webhooks; the workers run on the tracker.
    #[must_use]
    pub fn new(hooks: WebhookService, tracker: TaskTracker) -> Self {
        let permits = Semaphore::new(hooks.options.at_once_in_all);
        Self { hooks, tracker, permits }
    }

    /// Sends until cancelled; what is under way then is sent again after the next start.
    pub async fn run(self, stop: CancellationToken) {
        let sender = Arc::new(self);
        let mut feed = sender.hooks.store.feed();
        let mut bells = Bells::new();
        loop {
            if let Err(error) = sender.staff(&mut bells, &stop).await {
                tracing::warn!(%error, "Webhooks could not be looked for");
            }
            let mut look = sender.hooks.clock.sleep(LOOK);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sender.hooks.bell.notified() => {
                        ring_all(&bells);
                        break;
                    }
                    () = &mut look => break,
                    told = feed.recv() => match told {
                        Ok(batch) => ring(&bells, batch.iter().map(|event| event.tenant_id)),
                        Err(RecvError::Lagged(_)) => {
                            ring_all(&bells);
                        }
                        Err(RecvError::Closed) => return,
                    },
                }
            }
        }
    }

    /// Every webhook gets a worker, and workers that ended are forgotten.
    async fn staff(
        self: &Arc<Self>,
        bells: &mut Bells,
        stop: &CancellationToken,
    ) -> Result<(), AppError> {
        bells.retain(|_, bell| Arc::strong_count(bell) > 1);
        for (tenant, id) in self.hooks.store.fleet().await?.webhooks().await? {
            bells.entry((tenant, id)).or_insert_with(|| {
                let bell = Arc::new(Notify::new());
                let (sender, stop) = (Arc::clone(self), stop.clone());
                drop(self.tracker.spawn(sender.work(tenant, id, Arc::clone(&bell), stop)));
                bell
            });
        }
        Ok(())
    }

    /// Looks at one webhook again and again.
    async fn work(
        self: Arc<Self>,
        tenant: TenantId,
        id: WebhookId,
        bell: Arc<Notify>,
        stop: CancellationToken,
    ) {
        let clock = Arc::clone(&self.hooks.clock);
        let mut trouble = FIRST_WAIT;
        while !stop.is_cancelled() {
            let until = match Box::pin(self.look(tenant, id, &stop)).await {
                Ok(Next::Gone) => return,
                Ok(next) => {
                    trouble = FIRST_WAIT;
                    match next {
                        Next::Again | Next::Gone => continue,
                        Next::At(at) => Some(at.since(clock.now())),
                        Next::Idle => None,
                    }
                }
                Err(error) => {
                    tracing::warn!(webhook.id = %id, %error, "Webhook {id} could not be served");
                    let wait = trouble;
                    trouble = (trouble * 2).min(LONGEST_WAIT);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = clock.sleep(wait) => continue,
                    }
                }
            };
            let due = async {
                match until {
                    Some(wait) => clock.sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = bell.notified() => clock.sleep(GATHER).await,
                () = due => {}
            }
        }
    }

    /// Sends what is due now, and stores what came of it.
    async fn look(
        &self,
        tenant: TenantId,
        id: WebhookId,
        stop: &CancellationToken,
    ) -> Result<Next, AppError> {
        let now = self.hooks.clock.now();
        // What was sent but cannot be noted would be sent again and again.
        if self.hooks.store.health().read_only.is_some() {
            return Ok(Next::At(now.after(FIRST_WAIT)));
        }
        let snapshot = self.hooks.store.snapshot(tenant).await?;
        let Some(webhook) = snapshot.webhook(id).await? else { return Ok(Next::Gone) };
        let Some(progress) = snapshot.webhook_progress(id).await? else { return Ok(Next::Gone) };
        let (webhook, progress) = (webhook.value, progress.value);
        let most = 2 * self.hooks.options.held;
        let pending = snapshot.pending_deliveries(id, most).await?;
        let mut batch = Batch::new(&webhook, &progress, &self.hooks.options, now);
        if batch.is_open() {
            self.take_up(&*snapshot, (&webhook, &progress), pending.len(), &mut batch).await?;
        }
        drop(snapshot);
        let rest = batch.arrange(pending);
        if !batch.is_work() {
            return Ok(rest.map_or(Next::Idle, Next::At));
        }
        self.send(&webhook, &mut batch, stop).await;
        let is_there = self.record(&webhook, batch).await?;
        Ok(if is_there { Next::Again } else { Next::Gone })
    }

    /// Takes up events behind the cursor, or tells that some are gone.
    async fn take_up(
        &self,
        snapshot: &dyn Snapshot,
        (webhook, progress): (&Webhook, &Progress),
        waiting: usize,
        batch: &mut Batch<'_>,
    ) -> Result<(), AppError> {
        let options = &self.hooks.options;
        let room = options.held.saturating_sub(waiting).min(options.batch);
        let last = snapshot.last_seq().await?;
        if room == 0 || last <= progress.cursor {
            return Ok(());
        }
        let now = self.hooks.clock.now();
        let to = || Addressed {
            id: DeliveryId::new(self.hooks.ids.uuid()),
            webhook_id: webhook.id,
            tenant_id: webhook.tenant_id,
        };
        let first = match snapshot.first_seq().await? {
            0 => last + 1,
            first => first,
        };
        if progress.cursor + 1 < first {
            batch.cursor = first - 1;
            batch.add(Delivery::of_gap(to(), progress.cursor, first - 1, now), None);
            return Ok(());
        }
        let events = snapshot.events(progress.cursor, None, room).await?;
        // Damaged events are left out of a page; behind the last one nothing is left to wait for.
        let is_end = events.len() < room;
        for stored in events {
            batch.cursor = stored.seq;
            if webhook.wants(stored.event.event_type) {
                batch.add(Delivery::of_event(to(), &stored, now), Some(stored));
            }
        }
        if is_end {
            batch.cursor = batch.cursor.max(last);
        }
        Ok(())
    }
}

/// Rings for every webhook.
fn ring_all(bells: &Bells) {
    for bell in bells.values() {
        bell.notify_one();
    }
}

/// Rings for the webhooks of these tenants.
fn ring(bells: &Bells, tenants: impl Iterator<Item = TenantId>) {
    let mut told: Vec<TenantId> = tenants.collect();
    told.dedup();
    for ((tenant, _), bell) in bells {
        if told.contains(tenant) {
            bell.notify_one();
        }
    }
}

/// A delivery as it is stored.
type Stored = Versioned<Delivery>;
