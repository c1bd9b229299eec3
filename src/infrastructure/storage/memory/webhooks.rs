//! Webhooks in memory: themselves, how far they were told, and their deliveries.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::data::versioned;
use super::snapshot::{MemorySnapshot, owned};
use crate::application::ports::changes::Expect;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::webhooks::{WebhookReads, WebhookWrite};
use crate::domain::ids::{DeliveryId, WebhookId};
use crate::domain::version::Versioned;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Delivery, DeliveryState};
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::waiting::Waiting;
use crate::infrastructure::storage::shared;

/// The webhooks of one tenant.
#[derive(Clone, Default)]
pub(super) struct Webhooks {
    pub(super) all: BTreeMap<WebhookId, Arc<Versioned<Webhook>>>,
    progress: BTreeMap<WebhookId, Arc<Versioned<Progress>>>,
    deliveries: BTreeMap<(WebhookId, DeliveryId), Arc<Versioned<Delivery>>>,
}

impl Webhooks {
    /// Whether a write finds what it expects.
    pub(super) fn expect(&self, write: &WebhookWrite) -> Result<(), CommitError> {
        let (found, expect) = match write {
            WebhookWrite::Webhook(put) => {
                (self.all.get(&put.value.id).map(|found| found.version), put.expect)
            }
            WebhookWrite::Progress(put) => {
                let found = self.progress.get(&put.value.webhook_id);
                (found.map(|found| found.version), put.expect)
            }
            WebhookWrite::Delivery(put) => {
                let found = self.deliveries.get(&(put.value.webhook_id, put.value.id));
                (found.map(|found| found.version), put.expect)
            }
            WebhookWrite::DropDelivery(..) => return Ok(()),
            WebhookWrite::Drop(version, id) => {
                (self.all.get(id).map(|found| found.version), Expect::At(*version))
            }
        };
        shared::next_version(found, expect).map(|_| ())
    }

    /// Makes a write true.
    pub(super) fn apply(&mut self, write: WebhookWrite) {
        match write {
            WebhookWrite::Webhook(put) => {
                self.all.insert(put.value.id, Arc::new(versioned(put)));
            }
            WebhookWrite::Progress(put) => {
                self.progress.insert(put.value.webhook_id, Arc::new(versioned(put)));
            }
            WebhookWrite::Delivery(put) => {
                let key = (put.value.webhook_id, put.value.id);
                self.deliveries.insert(key, Arc::new(versioned(put)));
            }
            WebhookWrite::DropDelivery(webhook, id) => {
                self.deliveries.remove(&(webhook, id));
            }
            WebhookWrite::Drop(_, id) => {
                self.all.remove(&id);
                self.progress.remove(&id);
                self.deliveries.retain(|(webhook, _), _| *webhook != id);
            }
        }
    }

    /// Deliveries of one webhook, oldest first.
    fn of(&self, webhook: WebhookId) -> impl DoubleEndedIterator<Item = &Versioned<Delivery>> {
        let first = DeliveryId::from_bytes([0; 16]);
        let last = DeliveryId::from_bytes([0xFF; 16]);
        let range = self.deliveries.range((webhook, first)..=(webhook, last));
        range.map(|(_, found)| found.as_ref())
    }
}

fn is_pending(found: &Versioned<Delivery>) -> bool {
    found.value.state == DeliveryState::Pending
}

#[async_trait]
impl WebhookReads for MemorySnapshot {
    async fn webhooks(&self) -> Result<Vec<Versioned<Webhook>>, StoreError> {
        Ok(self.0.webhooks.all.values().map(|found| found.as_ref().clone()).collect())
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<Versioned<Webhook>>, StoreError> {
        Ok(owned(self.0.webhooks.all.get(&id)))
    }

    async fn webhook_progress(
        &self,
        id: WebhookId,
    ) -> Result<Option<Versioned<Progress>>, StoreError> {
        Ok(owned(self.0.webhooks.progress.get(&id)))
    }

    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Versioned<Delivery>>, StoreError> {
        Ok(owned(self.0.webhooks.deliveries.get(&(webhook, id))))
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Delivery>>, StoreError> {
        let wanted = self.0.webhooks.of(webhook).rev().filter(|found| {
            before.is_none_or(|before| found.value.id < before)
                && state.is_none_or(|state| found.value.state == state)
        });
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn waiting_deliveries(&self, webhook: WebhookId) -> Result<Vec<Waiting>, StoreError> {
        let pending = self.0.webhooks.of(webhook).filter(|found| is_pending(found));
        Ok(pending.map(|found| Waiting::of(&found.value)).collect())
    }

    async fn oldest_finished(
        &self,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let finished = self.0.webhooks.of(webhook).filter(|found| !is_pending(found));
        Ok(finished.take(limit).map(|found| found.value.id).collect())
    }
}
