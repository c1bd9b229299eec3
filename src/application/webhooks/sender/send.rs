//! Sends the lanes of a batch: side by side for different subjects, one after another for the same.
//!
//! Invariant: before a message is sent it is known from which number on the log may hold more about
//! its subject, so that nothing has to be searched when its outcome is stored.
//! Invariant: a round begins when its first message may be sent, ends a bounded time later, and reads
//! a bounded part of the log.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use super::Sender;
use super::lanes::{Batch, Item, Lane};
use super::share::Permit;
use crate::application::ports::notifier::Message;
use crate::application::ports::store::StoreError;
use crate::application::webhooks::message;
use crate::domain::ids::DeliveryId;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::domain::webhook::delivery::{Addressed, Answer, Attempt, Delivery, Told};
use crate::domain::webhook::{Secret, Webhook};

/// What holds for all lanes of a batch.
pub(super) struct Round<'a> {
    pub(super) webhook: &'a Webhook,
    /// Events up to this number are told.
    pub(super) until: u64,
    found: &'a Versioned<Webhook>,
    /// No message is begun after this time; set when the first one may be sent.
    end: SetOnce<Timestamp>,
    /// No message is begun once it is set.
    halt: AtomicBool,
    stop: &'a CancellationToken,
}

impl Sender {
    /// Sends the lanes of a batch.
    pub(super) async fn send(
        &self,
        found: &Versioned<Webhook>,
        batch: &mut Batch<'_>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let round = Round {
            webhook: &found.value,
            until: batch.cursor,
            found,
            end: SetOnce::new(),
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
            if !self.read_ahead(round, &mut lane).await? {
                break;
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
        Ok(lane)
    }

    fn is_over(&self, round: &Round<'_>) -> bool {
        let is_late = round.end.get().is_some_and(|end| self.hooks.clock.now() > *end);
        is_late || round.halt.load(Ordering::Acquire)
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
            secrets: self.secrets(webhook, now),
        };
        let answered = async {
            let permit = self.turn(round).await?;
            if self.is_over(round) {
                return None;
            }
            if message.secrets.is_empty() {
                return Some(unsigned(self.hooks.clock.now()));
            }
            Some(self.ask(webhook, &message, permit).await)
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

    /// The secrets that sign now; those that cannot be read are told and left out.
    fn secrets(&self, webhook: &Webhook, now: Timestamp) -> Vec<Secret> {
        let bound_to = Webhook::binding(webhook.tenant_id, webhook.id);
        let opened = webhook.sealed(now).filter_map(|sealed| {
            match self.hooks.sealer.open(sealed.bytes(), &bound_to) {
                Ok(text) => Some(Secret::new(text)),
                Err(error) => {
                    let id = webhook.id;
                    tracing::warn!(webhook.id = %id, %error, "A secret of webhook {id} cannot be read");
                    None
                }
            }
        });
        opened.collect()
    }

    /// Waits until one more message may be sent. The first one of a round may wait for long, the
    /// others not: what became of those before them is soon to be stored.
    async fn turn(&self, round: &Round<'_>) -> Option<Permit> {
        let clock = &self.hooks.clock;
        let over = async {
            let end = *round.end.wait().await;
            clock.sleep(end.since(clock.now())).await;
        };
        let permit = tokio::select! {
            biased;
            permit = self.shares.permit(round.webhook.tenant_id, round.webhook.id) => permit?,
            () = over => return None,
        };
        // Somebody may have deleted it, switched it off or given it another address meanwhile.
        if !self.is_as_found(round).await {
            round.halt.store(true, Ordering::Release);
            return None;
        }
        // Whoever came first has said when it ends.
        round.end.set(clock.now().after(self.hooks.options.batch_time)).ok();
        Some(permit)
    }

    /// Whether the webhook is still what it was when the round began, and its tenant active.
    async fn is_as_found(&self, round: &Round<'_>) -> bool {
        let (tenant, id) = (round.webhook.tenant_id, round.webhook.id);
        let Ok(snapshot) = self.hooks.store.snapshot(tenant).await else { return false };
        let webhook = snapshot.webhook(id).await.ok().flatten();
        let tenant = snapshot.tenant().await.ok().flatten();
        webhook.is_some_and(|webhook| webhook.version == round.found.version)
            && tenant.is_some_and(|tenant| tenant.value.is_active)
    }

    /// Sends, and sees whether the receiver takes long.
    async fn ask(&self, webhook: &Webhook, message: &Message, mut permit: Permit) -> Answer {
        let mut sending = self.hooks.notifier.send(message);
        let soon = tokio::select! {
            biased;
            answer = &mut sending => Some(answer),
            () = self.hooks.clock.sleep(self.hooks.options.slow_after) => None,
        };
        self.shares.note(webhook.id, soon.is_none());
        if let Some(answer) = soon {
            return answer;
        }
        self.shares.step_aside(&mut permit, webhook.tenant_id);
        sending.await
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

/// Nothing is sent that cannot be signed: the message waits for a rotation.
fn unsigned(at: Timestamp) -> Answer {
    let error = "no secret of this webhook can be read with the seal.key of this server: rotate it";
    let attempt =
        Attempt { at, duration_ms: 0, status: None, error: Some(error.to_owned()), response: None };
    Answer { attempt, retry_after: None, is_denied: false }
}
