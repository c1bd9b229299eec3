//! One batch: what is sent now, side by side for different subjects, one after another for the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Sender, Stored};
use crate::application::ports::notifier::Message;
use crate::application::webhooks::{WebhookOptions, message};
use crate::domain::event::StoredEvent;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Answer, Delivery, Told};
use crate::domain::webhook::progress::Progress;

/// A delivery of a batch, and what came of it.
pub(super) struct Item {
    pub(super) delivery: Delivery,
    /// Not stored yet.
    pub(super) is_new: bool,
    pub(super) answer: Option<Answer>,
    /// The event that it tells of is no longer kept.
    pub(super) is_lost: bool,
    event: Option<StoredEvent>,
}

/// What is done in one go for one webhook.
pub(super) struct Batch<'a> {
    /// Where the cursor stands when all of it is stored.
    pub(super) cursor: u64,
    pub(super) items: Vec<Item>,
    fresh: Vec<Item>,
    lanes: Vec<Vec<Item>>,
    progress: &'a Progress,
    options: &'a WebhookOptions,
    is_on: bool,
    began: Timestamp,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        webhook: &Webhook,
        progress: &'a Progress,
        options: &'a WebhookOptions,
        now: Timestamp,
    ) -> Self {
        Self {
            cursor: progress.cursor,
            items: Vec::new(),
            fresh: Vec::new(),
            lanes: Vec::new(),
            progress,
            options,
            is_on: webhook.is_active && progress.disabled.is_none(),
            began: now,
        }
    }

    /// Until when the receiver wants silence, if it does.
    fn silence(&self) -> Option<Timestamp> {
        self.progress.resume_at.filter(|until| *until > self.began)
    }

    /// Whether events are told now.
    pub(super) fn is_open(&self) -> bool {
        self.is_on && self.silence().is_none()
    }

    /// One more delivery, behind those that wait.
    pub(super) fn add(&mut self, delivery: Delivery, event: Option<StoredEvent>) {
        self.fresh.push(Item { delivery, is_new: true, answer: None, is_lost: false, event });
    }

    /// Puts deliveries that wait and new ones into lanes. Those whose turn has come are sent, new
    /// ones that have to wait are only stored. Returns when the next of the others is due.
    pub(super) fn arrange(&mut self, pending: Vec<Stored>) -> Option<Timestamp> {
        let stored = pending.into_iter().map(|found| Item {
            delivery: found.value,
            is_new: false,
            answer: None,
            is_lost: false,
            event: None,
        });
        let mut order: Vec<Uuid> = Vec::new();
        let mut lanes: HashMap<Uuid, Vec<Item>> = HashMap::new();
        for item in stored.chain(std::mem::take(&mut self.fresh)) {
            let lane = item.delivery.lane();
            lanes.entry(lane).or_insert_with(|| {
                order.push(lane);
                Vec::new()
            });
            lanes.entry(lane).or_default().push(item);
        }
        let mut next: Option<Timestamp> = None;
        for lane in order {
            let items = lanes.remove(&lane).unwrap_or_default();
            let due = items.first().and_then(|head| self.turn_of(&head.delivery));
            if due.is_some_and(|due| due <= self.began) {
                self.lanes.push(items);
                continue;
            }
            next = next.into_iter().chain(due).min();
            self.items.extend(items.into_iter().filter(|item| item.is_new));
        }
        next
    }

    /// When a delivery that is the first of its lane is sent; `None` while the webhook is off.
    fn turn_of(&self, head: &Delivery) -> Option<Timestamp> {
        let due = head.due_at(self.progress, &self.options.schedule);
        if head.is_by_hand() {
            return Some(due);
        }
        let silence = self.silence().unwrap_or(Timestamp::EPOCH);
        self.is_on.then(|| due.max(silence))
    }

    /// Whether anything is to be sent, stored or forgotten.
    pub(super) fn is_work(&self) -> bool {
        let is_log_full = self.progress.logged > self.options.logged;
        let is_moved = self.cursor != self.progress.cursor;
        is_log_full || is_moved || !self.lanes.is_empty() || !self.items.is_empty()
    }
}

impl Sender {
    /// Sends the lanes of a batch.
    pub(super) async fn send(
        &self,
        webhook: &Webhook,
        batch: &mut Batch<'_>,
        stop: &CancellationToken,
    ) {
        let lanes = std::mem::take(&mut batch.lanes);
        let halt = AtomicBool::new(false);
        let end = batch.began.after(self.hooks.options.batch_time);
        let sent = stream::iter(lanes)
            .map(|lane| self.send_lane(webhook, lane, end, &halt, stop))
            .buffer_unordered(self.hooks.options.at_once.max(1))
            .collect::<Vec<_>>();
        batch.items.extend(sent.await.into_iter().flatten());
    }

    /// Sends one after another, until one is not accepted, the time of the batch is over, or the
    /// receiver wants no more.
    async fn send_lane(
        &self,
        webhook: &Webhook,
        mut lane: Vec<Item>,
        end: Timestamp,
        halt: &AtomicBool,
        stop: &CancellationToken,
    ) -> Vec<Item> {
        for item in &mut lane {
            if halt.load(Ordering::Acquire) || self.hooks.clock.now() > end {
                break;
            }
            let Ok(Some(body)) = self.body(item).await else {
                if item.is_lost {
                    continue;
                }
                break;
            };
            let now = self.hooks.clock.now();
            let message = Message {
                url: webhook.url.clone(),
                id: item.delivery.message_id.clone(),
                body,
                secrets: webhook.secrets(now).cloned().collect(),
            };
            let answered = async {
                let _permit = self.permits.acquire().await;
                self.hooks.notifier.send(&message).await
            };
            let answer = tokio::select! {
                () = stop.cancelled() => break,
                answer = answered => answer,
            };
            if answer.is_gone() || answer.pause().is_some() {
                halt.store(true, Ordering::Release);
            }
            let is_success = answer.is_success();
            item.answer = Some(answer);
            if !is_success {
                break;
            }
        }
        lane
    }

    /// The bytes of a message; an event that waited is read again.
    async fn body(
        &self,
        item: &mut Item,
    ) -> Result<Option<Vec<u8>>, crate::application::ports::store::StoreError> {
        if let (None, Told::Event { seq, .. }) = (&item.event, &item.delivery.told) {
            let snapshot = self.hooks.store.snapshot(item.delivery.tenant_id).await?;
            let found = snapshot.events(seq - 1, None, 1).await?;
            item.event = found.into_iter().next().filter(|stored| stored.seq == *seq);
            item.is_lost = item.event.is_none();
        }
        Ok(message::body(&item.delivery, item.event.as_ref()))
    }
}
