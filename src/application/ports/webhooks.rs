//! What the store keeps of webhooks: themselves, how far they were told, and their deliveries.

use async_trait::async_trait;

use super::changes::Put;
use super::store::StoreError;
use crate::domain::ids::{DeliveryId, TenantId, WebhookId};
use crate::domain::version::{Version, Versioned};
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Delivery, DeliveryState};
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::waiting::Waiting;

/// One write about a webhook.
#[derive(Debug, Clone, PartialEq)]
pub enum WebhookWrite {
    /// The webhook.
    Webhook(Put<Webhook>),
    /// How far it was told.
    Progress(Put<Progress>),
    /// A message to it.
    Delivery(Put<Delivery>),
    /// A finished message is forgotten.
    DropDelivery(WebhookId, DeliveryId),
    /// The webhook goes, with everything that belongs to it.
    Drop(Version, WebhookId),
}

impl WebhookWrite {
    /// Which webhook it is about.
    #[must_use]
    pub const fn webhook(&self) -> WebhookId {
        match self {
            Self::Webhook(put) => put.value.id,
            Self::Progress(put) => put.value.webhook_id,
            Self::Delivery(put) => put.value.webhook_id,
            Self::DropDelivery(webhook, _) | Self::Drop(_, webhook) => *webhook,
        }
    }

    /// The tenant that the value names; `None` when it names none.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Webhook(put) => Some(put.value.tenant_id),
            Self::Progress(put) => Some(put.value.tenant_id),
            Self::Delivery(put) => Some(put.value.tenant_id),
            Self::DropDelivery(..) | Self::Drop(..) => None,
        }
    }

    /// The record that it writes: one change set writes each once.
    #[must_use]
    pub const fn record(&self) -> (u8, WebhookId, Option<DeliveryId>) {
        match self {
            Self::Webhook(_) | Self::Drop(..) => (0, self.webhook(), None),
            Self::Progress(_) => (1, self.webhook(), None),
            Self::Delivery(put) => (2, self.webhook(), Some(put.value.id)),
            Self::DropDelivery(_, delivery) => (2, self.webhook(), Some(*delivery)),
        }
    }
}

/// Webhooks and what belongs to them.
#[async_trait]
pub trait WebhookReads: Send + Sync {
    /// All webhooks in order of creation; damaged ones are left out.
    async fn webhooks(&self) -> Result<Vec<Versioned<Webhook>>, StoreError>;
    /// One webhook.
    async fn webhook(&self, id: WebhookId) -> Result<Option<Versioned<Webhook>>, StoreError>;
    /// How far it was told.
    async fn webhook_progress(
        &self,
        id: WebhookId,
    ) -> Result<Option<Versioned<Progress>>, StoreError>;
    /// One delivery.
    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Versioned<Delivery>>, StoreError>;
    /// Deliveries newest first, before this one, in one state or any.
    async fn deliveries(
        &self,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Delivery>>, StoreError>;
    /// Deliveries that are not finished, oldest first, without reading them.
    async fn waiting_deliveries(&self, webhook: WebhookId) -> Result<Vec<Waiting>, StoreError>;
    /// Finished deliveries, oldest first.
    async fn oldest_finished(
        &self,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<DeliveryId>, StoreError>;
}
