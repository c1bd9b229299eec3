//! The log of a webhook, trying it, and sending something again.

use serde_json::json;

use super::{Audited, WebhookService, read};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::webhooks::WebhookWrite;
use crate::application::principal::{RequestContext, Subject};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::ids::{DeliveryId, WebhookId};
use crate::domain::version::{Version, Versioned};
use crate::domain::webhook::delivery::{Addressed, Delivery, DeliveryState};

/// Deliveries that people may have waiting.
const BY_HAND: usize = 100;

impl WebhookService {
    /// Deliveries, newest first.
    ///
    /// # Errors
    /// `WebhookNotFound`.
    pub async fn deliveries(
        &self,
        ctx: &RequestContext,
        id: WebhookId,
        state: Option<DeliveryState>,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Delivery>>, AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        read(&*snapshot, id).await?;
        Ok(snapshot.deliveries(id, state, before, limit).await?)
    }

    /// One delivery.
    ///
    /// # Errors
    /// `WebhookNotFound`, `DeliveryNotFound`.
    pub async fn delivery(
        &self,
        ctx: &RequestContext,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Versioned<Delivery>, AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        read(&*snapshot, id).await?;
        snapshot.delivery(id, delivery).await?.ok_or(AppError::DeliveryNotFound)
    }

    /// Sends a message that says nothing, also while the webhook is switched off.
    ///
    /// # Errors
    /// `WebhookNotFound`, `Busy`.
    pub async fn test(
        &self,
        ctx: &RequestContext,
        id: WebhookId,
    ) -> Result<Versioned<Delivery>, AppError> {
        let delivery = DeliveryId::new(self.ids.uuid());
        let to = Addressed { id: delivery, webhook_id: id, tenant_id: ctx.tenant };
        self.add(ctx, "test", Delivery::test(to, self.clock.now())).await
    }

    /// Sends a message again: a finished one anew, a waiting one as soon as its turn comes.
    ///
    /// # Errors
    /// `WebhookNotFound`, `DeliveryNotFound`, `Busy`.
    pub async fn redeliver(
        &self,
        ctx: &RequestContext,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Versioned<Delivery>, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.delivery(ctx, id, delivery).await?;
            if found.value.state != DeliveryState::Pending {
                let fresh = DeliveryId::new(self.ids.uuid());
                let again = found.value.again(fresh, self.clock.now());
                return self.add(ctx, "redeliver", again).await;
            }
            let mut value = found.value;
            value.next_attempt_at = None;
            let at = (Expect::At(found.version), found.version.next());
            let set = ChangeSet::new(ctx.tenant);
            if let Some(sooner) = self.put(ctx, "redeliver", set, at, &value).await? {
                return Ok(sooner);
            }
        }
        Err(AppError::Contended)
    }

    /// One more delivery that a person asked for. The progress is written with it, so that a
    /// webhook that is deleted meanwhile leaves nothing behind.
    async fn add(
        &self,
        ctx: &RequestContext,
        action: &'static str,
        delivery: Delivery,
    ) -> Result<Versioned<Delivery>, AppError> {
        let id = delivery.webhook_id;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            let (_, progress) = read(&*snapshot, id).await?;
            let waiting = snapshot.waiting_deliveries(id).await?;
            drop(snapshot);
            if waiting.iter().filter(|one| one.is_by_hand).count() >= BY_HAND {
                return Err(AppError::Busy);
            }
            let alive = Put { expect: Expect::At(progress.version), value: progress.value };
            let set =
                ChangeSet::new(ctx.tenant).write(Write::Webhook(WebhookWrite::Progress(alive)));
            let (expect, version) = (Expect::Absent, Version::FIRST);
            if let Some(added) = self.put(ctx, action, set, (expect, version), &delivery).await? {
                return Ok(added);
            }
        }
        Err(AppError::Contended)
    }

    /// Stores a delivery; `None` when the race was lost.
    async fn put(
        &self,
        ctx: &RequestContext,
        action: &'static str,
        set: ChangeSet,
        (expect, version): (Expect, Version),
        delivery: &Delivery,
    ) -> Result<Option<Versioned<Delivery>>, AppError> {
        let told = Some(json!({ "delivery": delivery.id, "message_id": delivery.message_id }));
        let audited = Audited { action, before: None, after: told };
        let entry = self.audit(ctx, delivery.webhook_id, audited);
        let stored = Versioned { version, value: delivery.clone() };
        let put = Put { expect, value: delivery.clone() };
        let set = set
            .write(Write::Webhook(WebhookWrite::Delivery(put)))
            .audit(Some(entry))
            .remember(ctx.remembered(&Subject::Delivery(&stored), self.clock.now()));
        Ok(self.tried(set).await?.then_some(stored))
    }
}
