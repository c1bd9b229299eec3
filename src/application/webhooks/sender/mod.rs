//! Sends what webhooks are owed: one worker for each webhook, woken by the event feed.
//!
//! Invariant: the cursor of a webhook moves only in the commit that stores what became of the events
//! that it passes; a process that dies between sending and that commit sends them again, under the
//! same names.
//! Invariant: a message that fails holds up later messages about the same subject and no others, as
//! long as fewer than `held` subjects wait; of each the first is stored, the rest is in the log.

mod behind;
mod lanes;
mod outcome;
mod send;
mod share;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::lanes::{Batch, Item, Lane};
use self::share::Shares;
use super::WebhookService;
use crate::application::error::AppError;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::StoreError;
use crate::domain::ids::{TenantId, WebhookId};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::Delivery;
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::waiting::Waiting;

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
    /// Who may send now; whoever wants to send one more waits.
    shares: Shares,
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
        let shares = Shares::new(&hooks.options);
        Self { hooks, tracker, shares }
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
                    biased;
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
        self.shares.tidy();
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
                Ok(Next::Gone) => {
                    self.shares.note(id, false);
                    return self.hooks.figures.note(tenant, id, None);
                }
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
                        biased;
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
                biased;
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
        let Some(found) = snapshot.webhook(id).await? else { return Ok(Next::Gone) };
        let Some(progress) = snapshot.webhook_progress(id).await? else { return Ok(Next::Gone) };
        // An inactive tenant does not exist for anybody; what it is owed is sent when it is back.
        if !snapshot.tenant().await?.is_some_and(|tenant| tenant.value.is_active) {
            return Ok(Next::At(now.after(LOOK)));
        }
        let (webhook, progress) = (&found.value, progress.value);
        let waiting = snapshot.waiting_deliveries(id).await?;
        let mut batch = Batch::new(webhook, &progress, &self.hooks.options, waiting, now);
        self.hooks.figures.note(tenant, id, Some(batch.standing()));
        if batch.is_open() {
            self.take_up(&*snapshot, (webhook, &progress), &mut batch).await?;
        }
        let (due, next) = batch.due();
        for one in due {
            self.load(&*snapshot, webhook, one, &mut batch).await?;
        }
        drop(snapshot);
        if !batch.is_work() {
            return Ok(next.map_or(Next::Idle, Next::At));
        }
        self.send(&found, &mut batch, stop).await?;
        let is_there = self.record(webhook, &batch).await?;
        Ok(if is_there { Next::Again } else { Next::Gone })
    }

    /// Takes up events behind the cursor, or tells that some are gone.
    async fn take_up(
        &self,
        snapshot: &dyn Snapshot,
        (webhook, progress): (&Webhook, &Progress),
        batch: &mut Batch<'_>,
    ) -> Result<(), AppError> {
        let last = snapshot.last_seq().await?;
        if last <= progress.cursor {
            return Ok(());
        }
        let page = self.hooks.options.batch;
        let events = snapshot.events(progress.cursor, None, page).await?;
        let is_end = events.len() < page;
        for stored in events {
            let (subject, is_wanted) =
                (stored.event.subject, webhook.wants(stored.event.event_type));
            if is_wanted && !batch.has_room(subject) {
                return Ok(());
            }
            if self.miss(webhook, batch, stored.seq - 1) {
                return Ok(());
            }
            batch.cursor = stored.seq;
            if is_wanted {
                let to = self.address(webhook);
                batch.take(Delivery::of_event(to, &stored, self.hooks.clock.now()), stored);
            }
        }
        if is_end {
            self.miss(webhook, batch, last);
        }
        Ok(())
    }

    /// Whether events between the cursor and this number are gone, too old or damaged: it is said
    /// so before anything that comes later is taken up.
    fn miss(&self, webhook: &Webhook, batch: &mut Batch<'_>, up_to: u64) -> bool {
        let is_gone = up_to > batch.cursor;
        if is_gone {
            let (to, now) = (self.address(webhook), self.hooks.clock.now());
            batch.add(Delivery::of_gap(to, batch.cursor, up_to, now));
            batch.cursor = up_to;
        }
        is_gone
    }

    /// A lane that begins with a delivery whose turn has come.
    async fn load(
        &self,
        snapshot: &dyn Snapshot,
        webhook: &Webhook,
        one: Waiting,
        batch: &mut Batch<'_>,
    ) -> Result<(), StoreError> {
        let mut lane = Lane { subject: one.subject, behind: one.behind, ..Lane::default() };
        match snapshot.delivery(webhook.id, one.id).await {
            Ok(Some(found)) => lane.queue.push_back(Item::stored(found.value)),
            Ok(None) | Err(StoreError::Quarantined) => {
                batch.unreadable.push(one);
                let (to, now) = (self.address(webhook), self.hooks.clock.now());
                let gap = match one.subject {
                    Some(subject) => {
                        let missing = (one.seq.saturating_sub(1), one.seq);
                        Delivery::of_missing(to, subject, missing, now)
                    }
                    None if one.is_by_hand => return Ok(()),
                    // It told of a gap of which only the end is known, or of nothing that is known:
                    // what it held up lies somewhere before the cursor.
                    None if one.seq > 0 => Delivery::of_gap(to, 0, one.seq, now),
                    None => Delivery::of_gap(to, 0, batch.cursor, now),
                };
                lane.queue.push_back(Item::fresh(gap, None));
            }
            Err(other) => return Err(other),
        }
        batch.lanes.push(lane);
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
