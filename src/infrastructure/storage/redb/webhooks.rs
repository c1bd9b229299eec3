//! Webhooks in the embedded store: what is written of them, and how they are read.
//!
//! Invariant: a delivery has an entry in the index of pending ones exactly while it is pending.

use std::collections::HashSet;

use async_trait::async_trait;

use super::keys::{self, Key};
use super::plan::Planner;
use super::records;
use super::rows::{Direction, Rows, View, decode, flow};
use super::snapshot::RedbSnapshot;
use super::tables::Table;
use crate::application::ports::changes::Put;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::webhooks::{WebhookReads, WebhookWrite};
use crate::domain::ids::{DeliveryId, TenantId, WebhookId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Delivery, DeliveryState};
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::waiting::Waiting;

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
            return self.plan.insert(Table::PendingDeliveries, key, &Waiting::of(&now));
        }
        self.plan.remove(Table::PendingDeliveries, key);
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

/// Deliveries of a webhook in a state or any, newest first, at most `limit`; damaged ones are left
/// out.
fn newest(
    view: &View<'_>,
    span: &keys::Span,
    state: Option<DeliveryState>,
    limit: usize,
) -> Result<Vec<Versioned<Delivery>>, StoreError> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let keep = |found: &Versioned<Delivery>| state.is_none_or(|state| found.value.state == state);
    view.scan(Table::Deliveries, span, Direction::Down, &mut |key, bytes| {
        match decode(view.shared(), Table::Deliveries, key, bytes) {
            Ok(delivery) => found.extend(Some(delivery).filter(keep)),
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
        Ok(flow(found.len() < limit))
    })?;
    Ok(found)
}

/// What waits of a webhook. An entry that cannot be read is made again from its delivery; where that
/// cannot be read either, nothing but its identity is known.
fn waiting(view: &View<'_>, span: &keys::Span) -> Result<Vec<Waiting>, StoreError> {
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    view.scan(Table::PendingDeliveries, span, Direction::Up, &mut |key, bytes| {
        match records::open(key, bytes) {
            Ok(waiting) => found.push(waiting),
            Err(_) => broken.push(key.to_vec()),
        }
        Ok(flow(true))
    })?;
    for key in broken {
        match view.record::<Versioned<Delivery>>(Table::Deliveries, &key) {
            Ok(Some(delivery)) => found.push(Waiting::of(&delivery.value)),
            Ok(None) | Err(StoreError::Quarantined) => {
                found.extend(keys::tail_id(&key).map(DeliveryId::from_bytes).map(unknown));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

/// A delivery that waits, and of which nothing can be read. Ids begin with their time.
fn unknown(id: DeliveryId) -> Waiting {
    let millis = id.as_bytes()[..6].iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
    Waiting {
        id,
        subject: None,
        seq: 0,
        behind: None,
        is_by_hand: false,
        next_attempt_at: None,
        last_attempt_at: None,
        created_at: Timestamp::from_millis(millis),
    }
}

/// Finished deliveries by their keys alone: those that are in no index of pending ones.
fn finished(
    view: &View<'_>,
    span: &keys::Span,
    limit: usize,
) -> Result<Vec<DeliveryId>, StoreError> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let pending: HashSet<Key> =
        view.keys(Table::PendingDeliveries, span, usize::MAX)?.into_iter().collect();
    view.scan(Table::Deliveries, span, Direction::Up, &mut |key, _| {
        if !pending.contains(key) {
            found.extend(keys::tail_id(key).map(DeliveryId::from_bytes));
        }
        Ok(flow(found.len() < limit))
    })?;
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
        self.range(move |view| newest(view, &span, state, limit)).await
    }

    async fn waiting_deliveries(&self, webhook: WebhookId) -> Result<Vec<Waiting>, StoreError> {
        let span = keys::deliveries(self.tenant, webhook);
        self.range(move |view| waiting(view, &span)).await
    }

    async fn oldest_finished(
        &self,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let span = keys::deliveries(self.tenant, webhook);
        self.range(move |view| finished(view, &span, limit)).await
    }
}
