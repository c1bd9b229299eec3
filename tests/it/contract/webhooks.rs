//! Webhooks, how far they were told, and their deliveries.

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::reads::Snapshot;
use orchestrator::application::ports::store::{CommitError, Store};
use orchestrator::application::ports::webhooks::WebhookWrite;
use orchestrator::domain::ids::{DeliveryId, TenantId, WebhookId};
use orchestrator::domain::version::Version;
use orchestrator::domain::webhook::delivery::{Addressed, Delivery, DeliveryState};
use orchestrator::domain::webhook::progress::Progress;
use orchestrator::domain::webhook::waiting::Waiting;
use orchestrator::domain::webhook::{EventPattern, Sealed, SigningKey, Webhook};
use uuid::Uuid;

use super::fixtures::{Kit, TENANT, at, neighbour};
use super::for_both_stores;

for_both_stores!(
    a_webhook_is_kept_with_its_progress_and_deliveries,
    a_webhook_goes_with_everything_of_it,
    webhooks_of_other_tenants_do_not_exist,
    a_lost_race_about_a_delivery_is_told,
);

fn id(number: u128) -> WebhookId {
    WebhookId::new(Uuid::from_u128(number))
}

fn webhook(tenant_id: TenantId, number: u128) -> Webhook {
    let sealed = Sealed::new(format!("sealed {number}").into_bytes());
    Webhook {
        id: id(number),
        tenant_id,
        url: "https://example.org/x".to_owned(),
        description: Some("for tests".to_owned()),
        event_types: EventPattern::parse("session.*").into_iter().collect(),
        is_active: true,
        keys: vec![SigningKey { sealed, expires_at: Some(at(9)) }],
        created_by: "somebody".to_owned(),
        created_at: at(0),
        updated_at: at(1),
    }
}

fn delivery(tenant_id: TenantId, hook: u128, number: u128) -> Delivery {
    let delivery = DeliveryId::new(Uuid::from_u128(number));
    Delivery::test(Addressed { id: delivery, webhook_id: id(hook), tenant_id }, at(2))
}

fn fresh(value: Delivery) -> Write {
    Write::Webhook(WebhookWrite::Delivery(Put { expect: Expect::Absent, value }))
}

/// A webhook with three deliveries, of which the second is finished.
async fn filled(store: &dyn Store, tenant: TenantId, number: u128) {
    let mut done = delivery(tenant, number, 2);
    done.give_up("no", at(3));
    let value = webhook(tenant, number);
    let progress = Progress::new(tenant, id(number), 7);
    let set = ChangeSet::new(tenant)
        .write(Write::Webhook(WebhookWrite::Webhook(Put { expect: Expect::Absent, value })))
        .write(Write::Webhook(WebhookWrite::Progress(Put {
            expect: Expect::Absent,
            value: progress,
        })))
        .write(fresh(delivery(tenant, number, 1)))
        .write(fresh(done))
        .write(fresh(delivery(tenant, number, 3)));
    store.commit(set).await.expect("stored");
}

fn numbers(found: &[orchestrator::domain::version::Versioned<Delivery>]) -> Vec<u128> {
    found.iter().map(|one| one.value.id.uuid().as_u128()).collect()
}

/// What waits of a webhook; each says the same as its delivery.
async fn waiting(snapshot: &dyn Snapshot, number: u128) -> Vec<u128> {
    let found = snapshot.waiting_deliveries(id(number)).await.expect("read");
    for one in &found {
        let delivery = snapshot.delivery(id(number), one.id).await.expect("read");
        assert_eq!(*one, Waiting::of(&delivery.expect("it is there").value));
    }
    found.iter().map(|one| one.id.uuid().as_u128()).collect()
}

async fn a_webhook_is_kept_with_its_progress_and_deliveries(kit: Kit) {
    filled(&*kit.store, TENANT, 1).await;
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let found = snapshot.webhook(id(1)).await.expect("read").expect("it is there");
    assert_eq!((found.version, &found.value), (Version::FIRST, &webhook(TENANT, 1)));
    assert_eq!(snapshot.webhooks().await.expect("read"), [found]);
    let progress = snapshot.webhook_progress(id(1)).await.expect("read").expect("it is there");
    assert_eq!(progress.value.cursor, 7);
    let page = async |state, before: Option<u128>, limit| {
        let before = before.map(|number| DeliveryId::new(Uuid::from_u128(number)));
        let found = snapshot.deliveries(id(1), state, before, limit).await;
        numbers(&found.expect("read"))
    };
    assert_eq!(page(None, None, 9).await, [3, 2, 1], "newest first");
    assert_eq!(page(None, Some(3), 1).await, [2]);
    assert_eq!(page(Some(DeliveryState::Failed), None, 9).await, [2]);
    let pending = waiting(&*snapshot, 1).await;
    assert_eq!(pending, [1, 3], "oldest first");
    let finished = snapshot.oldest_finished(id(1), 9).await.expect("read");
    assert_eq!(finished, [DeliveryId::new(Uuid::from_u128(2))]);
    // The first is finished now, the second forgotten.
    let first = DeliveryId::new(Uuid::from_u128(1));
    let first = snapshot.delivery(id(1), first).await.expect("read").expect("it is there");
    let mut value = first.value;
    value.give_up("no", at(4));
    let put = Put { expect: Expect::At(first.version), value };
    let set = ChangeSet::new(TENANT)
        .write(Write::Webhook(WebhookWrite::Delivery(put)))
        .write(Write::Webhook(WebhookWrite::DropDelivery(id(1), finished[0])));
    kit.store.commit(set).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let all = snapshot.deliveries(id(1), None, None, 9).await.expect("read");
    assert_eq!(numbers(&all), [3, 1]);
    assert_eq!(all[1].value.attempts.len(), 1);
    assert_eq!(waiting(&*snapshot, 1).await, [3]);
}

async fn a_webhook_goes_with_everything_of_it(kit: Kit) {
    filled(&*kit.store, TENANT, 1).await;
    filled(&*kit.store, TENANT, 2).await;
    let drop =
        |version| ChangeSet::new(TENANT).write(Write::Webhook(WebhookWrite::Drop(version, id(1))));
    let stale = kit.store.commit(drop(Version::new(9))).await;
    assert!(matches!(stale, Err(CommitError::Stale)), "{stale:?}");
    kit.store.commit(drop(Version::FIRST)).await.expect("gone");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.webhook(id(1)).await.expect("read").is_none());
    assert!(snapshot.webhook_progress(id(1)).await.expect("read").is_none());
    assert!(snapshot.deliveries(id(1), None, None, 9).await.expect("read").is_empty());
    assert!(waiting(&*snapshot, 1).await.is_empty());
    assert_eq!(snapshot.deliveries(id(2), None, None, 9).await.expect("read").len(), 3);
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert_eq!(fleet.webhooks().await.expect("read"), [(TENANT, id(2))]);
}

async fn webhooks_of_other_tenants_do_not_exist(kit: Kit) {
    filled(&*kit.store, neighbour(), 1).await;
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    assert!(snapshot.webhooks().await.expect("read").is_empty());
    assert!(snapshot.webhook(id(1)).await.expect("read").is_none());
    assert!(snapshot.deliveries(id(1), None, None, 9).await.expect("read").is_empty());
    let foreign = ChangeSet::new(TENANT).write(fresh(delivery(neighbour(), 1, 8)));
    assert!(kit.store.commit(foreign).await.is_err(), "it names another tenant");
    let fleet = kit.store.fleet().await.expect("a fleet");
    assert_eq!(fleet.webhooks().await.expect("read"), [(neighbour(), id(1))]);
}

async fn a_lost_race_about_a_delivery_is_told(kit: Kit) {
    filled(&*kit.store, TENANT, 1).await;
    let again = ChangeSet::new(TENANT).write(fresh(delivery(TENANT, 1, 1)));
    assert!(matches!(kit.store.commit(again).await, Err(CommitError::Stale)));
    let twice = ChangeSet::new(TENANT)
        .write(fresh(delivery(TENANT, 1, 5)))
        .write(fresh(delivery(TENANT, 1, 5)));
    assert!(kit.store.commit(twice).await.is_err(), "one record twice in one set");
}
