//! Webhooks and what was told to them.

use super::*;
use crate::domain::webhook::delivery::{self, Delivery, DeliveryState, Told};
use crate::domain::webhook::progress::{Disabled, Progress};
use crate::domain::webhook::waiting::Waiting;
use crate::domain::webhook::{EventPattern, Sealed, SigningKey, Webhook};

#[test]
fn webhooks_are_written_as_ever() {
    let (webhook_id, tenant_id) = (WebhookId::new(id(11)), TenantId::new(id(1)));
    let webhook = Webhook {
        id: webhook_id,
        tenant_id,
        url: "https://u".to_owned(),
        description: Some("d".to_owned()),
        event_types: EventPattern::parse("session.*").into_iter().collect(),
        is_active: true,
        keys: vec![SigningKey {
            sealed: Sealed::new(b"whsec_s".to_vec()),
            expires_at: Some(at(1)),
        }],
        created_by: "me".to_owned(),
        created_at: at(0),
        updated_at: at(2),
    };
    check("webhook", &versioned(webhook));
    let progress = Progress {
        webhook_id,
        tenant_id,
        cursor: 9,
        failing_since: Some(at(1)),
        last_error: Some("e".to_owned()),
        last_success_at: Some(at(2)),
        recovered_at: Some(at(3)),
        resume_at: Some(at(4)),
        unanswered: 2,
        rest_until: Some(at(6)),
        disabled: Some(Disabled { at: at(5), reason: "r".to_owned() }),
        logged: 3,
    };
    check("webhook_progress", &versioned(progress));
    let subject = Subject { kind: SubjectKind::Session, id: id(2) };
    let event_type = EventType::SessionFailed;
    let gap = Told::Gap { requested: 1, oldest: 2, subject: Some(subject) };
    for (name, told) in [
        ("delivery", Told::Event { seq: 4, event_type, subject }),
        ("delivery_gap", gap),
        ("delivery_test", Told::Test),
    ] {
        let attempt = delivery::Attempt {
            at: at(1),
            duration_ms: 2,
            status: Some(500),
            error: Some("e".to_owned()),
            response: Some("r".to_owned()),
        };
        let delivery = Delivery {
            id: DeliveryId::new(id(12)),
            webhook_id,
            tenant_id,
            message_id: "msg_1".to_owned(),
            told,
            redelivery_of: Some(DeliveryId::new(id(13))),
            state: DeliveryState::Pending,
            attempts: vec![attempt],
            failures: 1,
            next_attempt_at: Some(at(3)),
            behind: Some(7),
            created_at: at(0),
            finished_at: Some(at(4)),
        };
        check(name, &versioned(delivery));
    }
    let waiting = Waiting {
        id: DeliveryId::new(id(12)),
        subject: Some(subject),
        seq: 4,
        behind: Some(7),
        is_by_hand: false,
        next_attempt_at: Some(at(3)),
        last_attempt_at: Some(at(1)),
        created_at: at(0),
    };
    check("delivery_waiting", &waiting);
}
