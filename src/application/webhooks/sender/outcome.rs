//! What came of a batch, in one commit.
//!
//! Invariant: outcomes are applied to what is stored at that moment, so that a change by a person
//! meanwhile is kept.

use serde_json::{Value, json};

use super::Sender;
use super::lanes::{Batch, Item, Lane};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::webhooks::WebhookWrite;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::application::webhooks::figures::Outcome;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::ids::{DeliveryId, WebhookId};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Answer, Delivery, DeliveryState};
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::waiting::Waiting;

/// Finished deliveries that are forgotten in one commit.
const FORGOTTEN: u64 = 200;

/// What one attempt came to, in the order of time.
struct Noted<'a> {
    answer: &'a Answer,
    delivery: Delivery,
}

impl Sender {
    /// Stores what came of a batch; `false` when the webhook is gone.
    pub(super) async fn record(
        &self,
        webhook: &Webhook,
        batch: &Batch<'_>,
    ) -> Result<bool, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let Some(set) = self.assemble(webhook, batch).await? else {
                return Ok(false);
            };
            match self.hooks.store.commit(set).await {
                Ok(_) => {
                    let done = batch.lanes.iter().flat_map(|lane| &lane.done);
                    self.hooks.figures.count(done.map(outcome));
                    return Ok(true);
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    async fn assemble(
        &self,
        webhook: &Webhook,
        batch: &Batch<'_>,
    ) -> Result<Option<ChangeSet>, AppError> {
        let (id, now) = (webhook.id, self.hooks.clock.now());
        let snapshot = self.hooks.store.snapshot(webhook.tenant_id).await?;
        let Some(progress) = snapshot.webhook_progress(id).await? else { return Ok(None) };
        let (version, before) = (progress.version, progress.value);
        let mut progress = before.clone();
        progress.cursor = progress.cursor.max(batch.cursor);
        let mut writing = Writing {
            snapshot: &*snapshot,
            webhook: id,
            set: ChangeSet::new(webhook.tenant_id),
            touched: batch.unreadable.iter().map(|broken| broken.id).collect(),
        };
        let mut noted = Vec::new();
        for lane in &batch.lanes {
            self.close(&mut writing, lane, &mut progress, &mut noted, now).await?;
        }
        for head in batch.held.values() {
            match writing.hold(head).await {
                // Nobody can read what stands first any more: the receiver is told that it is missing,
                // and what waits behind it comes up.
                Err(StoreError::Quarantined) => {
                    writing.write(WebhookWrite::DropDelivery(id, head.id));
                    if let Some(subject) = head.subject {
                        let missing = (head.seq.saturating_sub(1), head.seq);
                        let gap =
                            Delivery::of_missing(self.address(webhook), subject, missing, now);
                        writing.put(Expect::Absent, Delivery { behind: head.behind, ..gap });
                    }
                }
                held => held?,
            }
        }
        for broken in &batch.unreadable {
            writing.write(WebhookWrite::DropDelivery(id, broken.id));
        }
        // The progress tells the newest outcome, whichever lane it was on.
        noted.sort_by_key(|one| (one.answer.attempt.at, one.answer.attempt.duration_ms));
        for one in &noted {
            self.note(one, &mut progress, now);
        }
        let surplus = progress.logged.saturating_sub(self.hooks.options.logged).min(FORGOTTEN);
        let limit = usize::try_from(surplus).unwrap_or(0);
        for old in snapshot.oldest_finished(id, limit).await? {
            progress.logged -= 1;
            writing.write(WebhookWrite::DropDelivery(id, old));
        }
        let mut set = writing.set;
        let is_switched_off = before.disabled.is_none() && progress.disabled.is_some();
        set.audit = audited(&noted, &progress, is_switched_off, now);
        let put = Put { expect: Expect::At(version), value: progress };
        Ok(Some(set.write(Write::Webhook(WebhookWrite::Progress(put)))))
    }

    /// Writes what was done of a lane, and the message that stands first in it from now on.
    async fn close<'a>(
        &self,
        writing: &mut Writing<'_>,
        lane: &'a Lane,
        progress: &mut Progress,
        noted: &mut Vec<Noted<'a>>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut is_waiting = false;
        for item in &lane.done {
            let Some((expect, mut delivery)) = writing.found(item).await? else { continue };
            let was_pending = delivery.state == DeliveryState::Pending;
            if item.is_lost {
                delivery.give_up("the event is no longer kept", now);
            } else if let Some(answer) = &item.answer {
                delivery.settle(answer, &self.hooks.options.schedule, item.chance);
                noted.push(Noted { answer, delivery: delivery.clone() });
            }
            is_waiting = delivery.state == DeliveryState::Pending;
            if is_waiting {
                delivery.behind = lane.rest(0);
            } else if was_pending {
                progress.logged += 1;
            }
            writing.put(expect, delivery);
        }
        let Some(next) = lane.queue.front().filter(|_| !is_waiting) else { return Ok(()) };
        let behind = lane.rest(1);
        // One that was not sent, and behind which it was looked further than is stored with it.
        if (next.is_new || next.delivery.behind != behind)
            && let Some((expect, delivery)) = writing.found(next).await?
            && delivery.state == DeliveryState::Pending
        {
            writing.put(expect, Delivery { behind, ..delivery });
        }
        Ok(())
    }

    /// What one outcome says about the webhook.
    fn note(&self, noted: &Noted<'_>, progress: &mut Progress, now: Timestamp) {
        let Noted { answer, delivery } = noted;
        if answer.is_success() {
            progress.succeeded(now);
        } else {
            progress.failed(&answer.attempt, &self.hooks.options.schedule, now);
        }
        if let Some(pause) = answer.pause() {
            let until = now.after(pause);
            progress.resume_at = progress.resume_at.max(Some(until));
        }
        let no_success_since = progress.last_success_at < Some(delivery.created_at);
        if answer.is_gone() {
            let reason = "the receiver answered 410 Gone: it wants no more messages";
            progress.disable(reason.to_owned(), now);
        } else if delivery.state == DeliveryState::Failed && no_success_since {
            let error = progress.last_error.clone().unwrap_or_default();
            let reason = format!(
                "a message was tried {} times, and none was accepted since {}: {error}",
                delivery.failures, delivery.created_at
            );
            progress.disable(reason, now);
        }
    }
}

/// A change set in the making.
struct Writing<'a> {
    snapshot: &'a dyn Snapshot,
    webhook: WebhookId,
    set: ChangeSet,
    /// Deliveries that it writes or drops already.
    touched: Vec<DeliveryId>,
}

impl Writing<'_> {
    fn write(&mut self, write: WebhookWrite) {
        self.set.writes.push(Write::Webhook(write));
    }

    fn put(&mut self, expect: Expect, value: Delivery) {
        self.touched.push(value.id);
        self.write(WebhookWrite::Delivery(Put { expect, value }));
    }

    /// A delivery as it is stored now; `None` when it is gone.
    async fn found(&self, item: &Item) -> Result<Option<(Expect, Delivery)>, StoreError> {
        if item.is_new {
            return Ok(Some((Expect::Absent, item.delivery.clone())));
        }
        let found = self.snapshot.delivery(self.webhook, item.delivery.id).await?;
        Ok(found.map(|found| (Expect::At(found.version), found.value)))
    }

    /// More waits behind a delivery than is stored with it.
    async fn hold(&mut self, head: &Waiting) -> Result<(), StoreError> {
        if self.touched.contains(&head.id) {
            return Ok(());
        }
        let found = self.snapshot.delivery(self.webhook, head.id).await?;
        let Some(found) = found else { return Ok(()) };
        if found.value.state == DeliveryState::Pending && found.value.behind.is_none() {
            let value = Delivery { behind: head.behind, ..found.value };
            self.put(Expect::At(found.version), value);
        }
        Ok(())
    }
}

fn outcome(item: &Item) -> Outcome {
    match &item.answer {
        None => Outcome::Lost,
        Some(answer) if answer.is_success() => Outcome::Accepted,
        Some(answer) if answer.is_denied => Outcome::Denied,
        Some(answer) if answer.attempt.status.is_none() => Outcome::Unanswered,
        Some(_) => Outcome::Refused,
    }
}

/// What is put on record of a batch: that the guard refused an address, or that the webhook was
/// switched off.
fn audited(
    noted: &[Noted<'_>],
    progress: &Progress,
    is_switched_off: bool,
    now: Timestamp,
) -> Option<AuditEntry> {
    let mut denied = noted.iter().filter(|one| one.answer.is_denied).peekable();
    let first = denied.peek().and_then(|one| one.answer.attempt.error.clone());
    let messages: Vec<Value> = denied.map(|one| json!(one.delivery.message_id)).collect();
    let why = progress.disabled.as_ref().map(|disabled| disabled.reason.clone());
    let (action, ok, reason) = match (is_switched_off, first) {
        (true, _) => ("disable", true, why),
        (false, Some(first)) => ("send", false, Some(first)),
        (false, None) => return None,
    };
    Some(AuditEntry {
        at: now,
        actor: Actor::plain("system", "webhooks"),
        action: action.to_owned(),
        subject: Subject { kind: SubjectKind::Webhook, id: progress.webhook_id.uuid() },
        ok,
        reason,
        before: None,
        after: (!messages.is_empty()).then(|| json!({ "denied_messages": messages })),
        request_id: None,
    })
}
