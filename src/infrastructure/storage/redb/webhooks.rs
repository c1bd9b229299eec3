//! Webhooks in the embedded store: what is written of them, and how they are read.
//!
//! Invariant: a delivery has an entry in the index of pending ones exactly while it is pending.

use async_trait::async_trait;

use super::keys::{self, Key};
use super::plan::Planner;
use super::rows::{Direction, Rows, View, decode, flow};
use super::snapshot::RedbSnapshot;
use super::tables::Table;
use crate::application::ports::changes::Put;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::webhooks::{WebhookReads, WebhookWrite};
use crate::domain::ids::{DeliveryId, TenantId, WebhookId};
use crate::domain::version::{Version, Versioned};
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Delivery, DeliveryState};
use crate::domain::webhook::progress::Progress;

impl<R: Rows> Planner<'_, R> {
    /// The plan of one write about a webhook.
    pub(super) fn put_webhook(&mut self, write: WebhookWrite) -> Result<(), CommitError> {
        let tenant = self.tenant;
        match write {
            WebhookWrite::Webhook(put) => {
                let key = keys::webhook(tenant, put.value.id);
                self.put(Table::Webhooks, key, put).map(|_| ())
            }
            WebhookWrite::Progress(put) => {
                let key = keys::webhook(tenant, put.value.webhook_id);
                self.put(Table::WebhookProgress, key, put).map(|_| ())
            }
            WebhookWrite::Delivery(put) => self.put_delivery(put),
            WebhookWrite::DropDelivery(webhook, id) => {
                let key = keys::delivery(tenant, webhook, id);
                self.plan.remove(Table::PendingDeliveries, key.clone());
                self.plan.remove(Table::Deliveries, key);
                Ok(())
            }
            WebhookWrite::Drop(version, id) => self.drop_webhook(version, id),
        }
    }

    fn put_delivery(&mut self, put: Put<Delivery>) -> Result<(), CommitError> {
        let key = keys::delivery(self.tenant, put.value.webhook_id, put.value.id);
        let (_, now) = self.put(Table::Deliveries, key.clone(), put)?;
        if now.state == DeliveryState::Pending {
            self.plan.mark(Table::PendingDeliveries, key);
        } else {
            self.plan.remove(Table::PendingDeliveries, key);
        }
        Ok(())
    }

    fn drop_webhook(&mut self, version: Version, id: WebhookId) -> Result<(), CommitError> {
        let key = keys::webhook(self.tenant, id);
        let found: Option<Versioned<Webhook>> = self.rows.record(Table::Webhooks, &key)?;
        found.filter(|found| found.version == version).ok_or(CommitError::Stale)?;
        self.plan.remove(Table::Webhooks, key.clone());
        self.plan.remove(Table::WebhookProgress, key);
        let span = keys::deliveries(self.tenant, id);
        self.remove_all(Table::Deliveries, &span)?;
        self.remove_all(Table::PendingDeliveries, &span)?;
        Ok(())
    }
}

/// Walks the deliveries of a webhook and keeps what is wanted, at most `limit`; damaged ones are
/// left out.
fn walk<T>(
    view: &View<'_>,
    span: &keys::Span,
    direction: Direction,
    limit: usize,
    mut keep: impl FnMut(Versioned<Delivery>) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    view.scan(Table::Deliveries, span, direction, &mut |key, bytes| {
        match decode(view.shared(), Table::Deliveries, key, bytes) {
            Ok(delivery) => found.extend(keep(delivery)),
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
        Ok(flow(found.len() < limit))
    })?;
    Ok(found)
}

/// The deliveries under these keys; damaged ones are left out.
fn each(view: &View<'_>, keys: &[Key]) -> Result<Vec<Versioned<Delivery>>, StoreError> {
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        match view.record(Table::Deliveries, key) {
            Ok(delivery) => found.extend(delivery),
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

/// Every webhook of every tenant, by its key.
pub(super) fn everyone(view: &View<'_>) -> Result<Vec<(TenantId, WebhookId)>, StoreError> {
    let keys = view.keys(Table::Webhooks, &keys::everything(), usize::MAX)?;
    let named =
        |key: &Key| Some((keys::tenant_of(key)?, WebhookId::from_bytes(keys::tail_id(key)?)));
    Ok(keys.iter().filter_map(named).collect())
}

#[async_trait]
impl WebhookReads for RedbSnapshot {
    async fn webhooks(&self) -> Result<Vec<Versioned<Webhook>>, StoreError> {
        let span = keys::webhooks(self.tenant);
        self.range(move |view| view.records(Table::Webhooks, &span, usize::MAX)).await
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<Versioned<Webhook>>, StoreError> {
        let key = keys::webhook(self.tenant, id);
        self.reader.read(|view| view.record(Table::Webhooks, &key))
    }

    async fn webhook_progress(
        &self,
        id: WebhookId,
    ) -> Result<Option<Versioned<Progress>>, StoreError> {
        let key = keys::webhook(self.tenant, id);
        self.reader.read(|view| view.record(Table::WebhookProgress, &key))
    }

    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Versioned<Delivery>>, StoreError> {
        let key = keys::delivery(self.tenant, webhook, id);
        self.reader.read(|view| view.record(Table::Deliveries, &key))
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Delivery>>, StoreError> {
        let mut span = keys::deliveries(self.tenant, webhook);
        if let Some(before) = before {
            span = span.below(keys::delivery(self.tenant, webhook, before));
        }
        self.range(move |view| {
            walk(view, &span, Direction::Down, limit, |found| {
                state.is_none_or(|state| found.value.state == state).then_some(found)
            })
        })
        .await
    }

    async fn pending_deliveries(
        &self,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<Versioned<Delivery>>, StoreError> {
        let span = keys::deliveries(self.tenant, webhook);
        self.range(move |view| each(view, &view.keys(Table::PendingDeliveries, &span, limit)?))
            .await
    }

    async fn oldest_finished(
        &self,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let span = keys::deliveries(self.tenant, webhook);
        self.range(move |view| {
            walk(view, &span, Direction::Up, limit, |found| {
                (found.value.state != DeliveryState::Pending).then_some(found.value.id)
            })
        })
        .await
    }
}
