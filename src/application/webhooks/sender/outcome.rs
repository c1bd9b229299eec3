//! What came of a batch, in one commit.
//!
//! Invariant: outcomes are applied to what is stored at that moment, so that a change by a person
//! meanwhile is kept.

use super::Sender;
use super::lanes::{Batch, Item};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::ports::webhooks::WebhookWrite;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Delivery, DeliveryState};
use crate::domain::webhook::progress::Progress;

/// Finished deliveries that are forgotten in one commit.
const FORGOTTEN: u64 = 200;

impl Sender {
    /// Stores what came of a batch; `false` when the webhook is gone.
    pub(super) async fn record(
        &self,
        webhook: &Webhook,
        mut batch: Batch<'_>,
    ) -> Result<bool, AppError> {
        // The progress tells the newest outcome, whichever lane it was on.
        batch.items.sort_by_key(|item| {
            let attempt = item.answer.as_ref().map(|answer| &answer.attempt);
            attempt.map(|attempt| (attempt.at, attempt.duration_ms))
        });
        let chances: Vec<f64> = batch.items.iter().map(|_| self.hooks.ids.chance()).collect();
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let Some(set) = self.assemble(webhook, &batch, &chances).await? else {
                return Ok(false);
            };
            match self.hooks.store.commit(set).await {
                Ok(_) => return Ok(true),
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
        chances: &[f64],
    ) -> Result<Option<ChangeSet>, AppError> {
        let (id, now) = (webhook.id, self.hooks.clock.now());
        let snapshot = self.hooks.store.snapshot(webhook.tenant_id).await?;
        let Some(noted) = snapshot.webhook_progress(id).await? else { return Ok(None) };
        let mut progress = noted.value.clone();
        progress.cursor = progress.cursor.max(batch.cursor);
        let mut set = ChangeSet::new(webhook.tenant_id);
        for (item, chance) in batch.items.iter().zip(chances) {
            if !item.is_new && item.answer.is_none() && !item.is_lost {
                continue;
            }
            let (expect, mut delivery) = if item.is_new {
                (Expect::Absent, item.delivery.clone())
            } else {
                let found = snapshot.delivery(id, item.delivery.id).await?;
                let Some(found) = found else { continue };
                (Expect::At(found.version), found.value)
            };
            self.settle(item, &mut delivery, &mut progress, *chance, now);
            let put = Put { expect, value: delivery };
            set = set.write(Write::Webhook(WebhookWrite::Delivery(put)));
        }
        let surplus = progress.logged.saturating_sub(self.hooks.options.logged).min(FORGOTTEN);
        let limit = usize::try_from(surplus).unwrap_or(0);
        for old in snapshot.oldest_finished(id, limit).await? {
            progress.logged -= 1;
            set = set.write(Write::Webhook(WebhookWrite::DropDelivery(id, old)));
        }
        let is_switched_off = noted.value.disabled.is_none() && progress.disabled.is_some();
        set.audit = is_switched_off.then(|| switched_off(&progress, now));
        let put = Put { expect: Expect::At(noted.version), value: progress };
        Ok(Some(set.write(Write::Webhook(WebhookWrite::Progress(put)))))
    }

    /// What one outcome does to the delivery and to the webhook.
    fn settle(
        &self,
        item: &Item,
        delivery: &mut Delivery,
        progress: &mut Progress,
        chance: f64,
        now: Timestamp,
    ) {
        let was_pending = delivery.state == DeliveryState::Pending;
        if item.is_lost {
            delivery.give_up("the event is no longer kept", now);
        } else if let Some(answer) = &item.answer {
            delivery.settle(answer, &self.hooks.options.schedule, chance);
            match &answer.attempt.error {
                None => progress.succeeded(now),
                Some(error) => progress.failed(error, now),
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
        if was_pending && delivery.state != DeliveryState::Pending {
            progress.logged += 1;
        }
    }
}

/// The webhook was switched off by the product.
fn switched_off(progress: &Progress, now: Timestamp) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: Actor { kind: "system".to_owned(), id: "webhooks".to_owned(), role: None },
        action: "disable".to_owned(),
        subject: Subject { kind: SubjectKind::Webhook, id: progress.webhook_id.uuid() },
        ok: true,
        reason: progress.disabled.as_ref().map(|disabled| disabled.reason.clone()),
        before: None,
        after: None,
        request_id: None,
    }
}
