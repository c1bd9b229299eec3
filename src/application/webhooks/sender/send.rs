//! Sends the lanes of a batch: side by side for different subjects, one after another for the same.
//!
//! Invariant: what waits behind a message is read from the log once that one is through, up to the
//! cursor and in the order of the numbers; what is no longer kept there is told as a gap.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::Sender;
use super::lanes::{Batch, Item, Lane};
use crate::application::ports::notifier::Message;
use crate::application::ports::store::StoreError;
use crate::application::webhooks::message;
use crate::domain::event::SubjectKind;
use crate::domain::ids::{DeliveryId, SessionId};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Addressed, Answer, Delivery, Told};

/// Events of a lane that are read at once.
const PAGE: usize = 50;

/// What holds for all lanes of a batch.
struct Round<'a> {
    webhook: &'a Webhook,
    /// Events up to this number are told.
    until: u64,
    /// No message is begun after this time.
    end: Timestamp,
    /// No message is begun once it is set.
    halt: AtomicBool,
    stop: &'a CancellationToken,
}

impl Sender {
    /// Sends the lanes of a batch.
    pub(super) async fn send(
        &self,
        webhook: &Webhook,
        batch: &mut Batch<'_>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let round = Round {
            webhook,
            until: batch.cursor,
            end: batch.began.after(self.hooks.options.batch_time),
            halt: AtomicBool::new(false),
            stop,
        };
        let sent = stream::iter(std::mem::take(&mut batch.lanes))
            .map(|lane| self.send_lane(&round, lane))
            .buffer_unordered(self.hooks.options.at_once.max(1));
        batch.lanes = sent.try_collect().await?;
        Ok(())
    }

    /// Sends one after another, until one is not accepted, the time of the batch is over, or the
    /// receiver wants no more.
    async fn send_lane(&self, round: &Round<'_>, mut lane: Lane) -> Result<Lane, StoreError> {
        while !self.is_over(round) && lane.done.len() < self.hooks.options.batch {
            if lane.queue.is_empty() {
                self.read_on(round, &mut lane).await?;
            }
            let Some(mut item) = lane.queue.pop_front() else { break };
            let Some(body) = self.body(&mut item).await? else {
                self.lose(round.webhook, &mut lane, item);
                continue;
            };
            let Some(answer) = self.deliver(round, &item.delivery, body).await else {
                lane.queue.push_front(item);
                break;
            };
            let is_success = answer.is_success();
            item.answer = Some(answer);
            item.chance = self.hooks.ids.chance();
            lane.done.push(item);
            if !is_success {
                break;
            }
        }
        // Whatever becomes of the last one, what comes next is known.
        if lane.queue.is_empty() && !lane.done.is_empty() {
            self.read_on(round, &mut lane).await?;
        }
        Ok(lane)
    }

    fn is_over(&self, round: &Round<'_>) -> bool {
        round.halt.load(Ordering::Acquire) || self.hooks.clock.now() > round.end
    }

    /// Sends one message; `None` when its time is over before it is its turn.
    async fn deliver(
        &self,
        round: &Round<'_>,
        delivery: &Delivery,
        body: Vec<u8>,
    ) -> Option<Answer> {
        let (webhook, now) = (round.webhook, self.hooks.clock.now());
        let message = Message {
            url: webhook.url.clone(),
            id: delivery.message_id.clone(),
            body,
            secrets: webhook.secrets(now).cloned().collect(),
        };
        let answered = async {
            let _permit = self.shares.permit(webhook.tenant_id).await.ok()?;
            if self.is_over(round) {
                return None;
            }
            Some(self.hooks.notifier.send(&message).await)
        };
        let answer = tokio::select! {
            biased;
            () = round.stop.cancelled() => None,
            answer = answered => answer,
        }?;
        let is_silent = answer.attempt.status.is_none();
        if is_silent || answer.is_gone() || answer.pause().is_some() {
            round.halt.store(true, Ordering::Release);
        }
        Some(answer)
    }

    /// The event of a message is gone: the log of deliveries says so, and the receiver is told.
    fn lose(&self, webhook: &Webhook, lane: &mut Lane, mut item: Item) {
        item.is_lost = true;
        if let (Some(subject), Told::Event { seq, .. }) = (lane.subject, &item.delivery.told) {
            let missing = (seq.saturating_sub(1), *seq);
            let now = self.hooks.clock.now();
            let gap = Delivery::of_missing(self.address(webhook), subject, missing, now);
            lane.queue.push_front(Item::fresh(gap, None));
        }
        lane.done.push(item);
    }

    /// Where one more delivery of a webhook goes.
    pub(super) fn address(&self, webhook: &Webhook) -> Addressed {
        Addressed {
            id: DeliveryId::new(self.hooks.ids.uuid()),
            webhook_id: webhook.id,
            tenant_id: webhook.tenant_id,
        }
    }

    /// Reads what waits behind the first message of a lane.
    async fn read_on(&self, round: &Round<'_>, lane: &mut Lane) -> Result<(), StoreError> {
        let (Some(subject), Some(from)) = (lane.subject, lane.behind) else { return Ok(()) };
        let (webhook, now) = (round.webhook, self.hooks.clock.now());
        let snapshot = self.hooks.store.snapshot(webhook.tenant_id).await?;
        let first = match snapshot.first_seq().await? {
            0 => snapshot.last_seq().await? + 1,
            first => first,
        };
        let mut next = from.max(first);
        if from < first {
            let missing = (from.saturating_sub(1), first - 1);
            let gap = Delivery::of_missing(self.address(webhook), subject, missing, now);
            lane.queue.push_back(Item::fresh(gap, None));
        }
        let session = (subject.kind == SubjectKind::Session).then(|| SessionId::new(subject.id));
        while lane.queue.is_empty() && next <= round.until {
            let page = snapshot.events(next - 1, session, PAGE).await?;
            let is_last = page.len() < PAGE;
            let is_beyond = page.last().is_some_and(|stored| stored.seq > round.until);
            for stored in page.into_iter().take_while(|stored| stored.seq <= round.until) {
                next = stored.seq + 1;
                if stored.event.subject == subject && webhook.wants(stored.event.event_type) {
                    let delivery = Delivery::of_event(self.address(webhook), &stored, now);
                    lane.queue.push_back(Item::fresh(delivery, Some(stored)));
                }
            }
            if is_last || is_beyond {
                next = round.until + 1;
            }
        }
        lane.behind = (next <= round.until).then_some(next);
        Ok(())
    }

    /// The bytes of a message; an event that waited is read again.
    async fn body(&self, item: &mut Item) -> Result<Option<Vec<u8>>, StoreError> {
        if let (None, Told::Event { seq, .. }) = (&item.event, &item.delivery.told) {
            let snapshot = self.hooks.store.snapshot(item.delivery.tenant_id).await?;
            let found = snapshot.events(seq.saturating_sub(1), None, 1).await?;
            item.event = found.into_iter().next().filter(|stored| stored.seq == *seq);
        }
        Ok(message::body(&item.delivery, item.event.as_ref()))
    }
}
