//! Patterns, schedules, and what an attempt does to a delivery.

use std::time::Duration;

use uuid::Uuid;

use super::delivery::{Addressed, Answer, Attempt, Delivery, DeliveryState, Schedule};
use super::progress::Progress;
use super::waiting::Waiting;
use super::*;
use crate::domain::event::{DomainEvent, StoredEvent, Subject};
use crate::domain::ids::{DeliveryId, EventId, SessionId};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

fn schedule() -> Schedule {
    Schedule([1, 10, 100].map(Duration::from_secs).to_vec())
}

fn delivery() -> Delivery {
    let subject = Subject::session(SessionId::new(Uuid::from_u128(7)));
    let event = DomainEvent::new(EventType::SessionFailed, subject, at(0), serde_json::Value::Null);
    let (id, tenant_id) = (EventId::new(Uuid::from_u128(5)), TenantId::BOOTSTRAP);
    let stored = StoredEvent { id, seq: 3, tenant_id, event };
    let id = DeliveryId::new(Uuid::from_u128(9));
    let webhook_id = WebhookId::new(Uuid::from_u128(8));
    Delivery::of_event(Addressed { id, webhook_id, tenant_id }, &stored, at(0))
}

fn answer(at: Timestamp, status: u16) -> Answer {
    let error = (!(200..300).contains(&status)).then(|| format!("answered {status}"));
    let attempt = Attempt { at, duration_ms: 0, status: Some(status), error, response: None };
    Answer { attempt, retry_after: None, is_denied: false }
}

#[test]
fn a_pattern_is_a_type_or_a_family_that_exists() {
    let failed = EventType::SessionFailed;
    for (pattern, is_meant) in [
        ("session.failed", true),
        ("session.*", true),
        ("agent.*", false),
        ("session.paused", false),
    ] {
        let pattern = EventPattern::parse(pattern).expect("it exists");
        assert_eq!(pattern.matches(failed), is_meant, "{pattern:?}");
    }
    for wrong in
        ["", "*", ".*", "session", "session.", "sess.*", "session.f*", "SESSION.*", "a.b.*"]
    {
        assert_eq!(EventPattern::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn everything_wrong_with_a_draft_is_told_at_once() {
    let draft = WebhookDraft {
        url: " ".to_owned(),
        description: Some("x".repeat(1001)),
        event_types: vec!["session.*".to_owned(), "nothing.*".to_owned()],
        ..WebhookDraft::default()
    };
    let errors = draft.check().expect_err("it is wrong");
    let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/url", "/description", "/event_types/1"]);
}

#[test]
fn the_secret_before_signs_for_a_while_and_the_one_before_that_no_more() {
    let sealed = |name: &str| Sealed::new(name.as_bytes().to_vec());
    let keys = vec![SigningKey { sealed: sealed("first"), expires_at: None }];
    let mut hook = Webhook {
        id: WebhookId::new(Uuid::nil()),
        tenant_id: TenantId::BOOTSTRAP,
        url: String::new(),
        description: None,
        event_types: Vec::new(),
        is_active: true,
        keys,
        created_by: String::new(),
        created_at: at(0),
        updated_at: at(0),
    };
    let valid = |hook: &Webhook, now: Timestamp| -> Vec<Vec<u8>> {
        hook.sealed(now).map(|sealed| sealed.bytes().to_vec()).collect()
    };
    hook.rotate(sealed("second"), at(0));
    assert_eq!(valid(&hook, at(1)), [b"second".to_vec(), b"first".to_vec()]);
    hook.rotate(sealed("third"), at(1));
    assert_eq!(valid(&hook, at(2)), [b"third".to_vec(), b"second".to_vec()]);
    assert_eq!(valid(&hook, at(1).after(OVERLAP)), [b"third".to_vec()]);
    let shown = format!("{hook:?} {:?}", Secret::new("whsec_open".to_owned()));
    assert!(!shown.contains("whsec_open") && !shown.contains("116"), "not shown by accident");
}

#[test]
fn failures_follow_the_schedule_to_its_end() {
    let (mut one, schedule) = (delivery(), schedule());
    let mut now = at(0);
    for wait in [1, 10, 100] {
        one.settle(&answer(now, 500), &schedule, 0.0);
        now = now.after(Duration::from_secs(wait));
        assert_eq!((one.state, one.next_attempt_at), (DeliveryState::Pending, Some(now)));
    }
    one.settle(&answer(now, 500), &schedule, 0.0);
    assert_eq!((one.state, one.next_attempt_at), (DeliveryState::Failed, None));
    assert_eq!((one.attempts.len(), one.finished_at), (4, Some(now)));
}

#[test]
fn a_receiver_that_asks_for_silence_gets_it_within_bounds() {
    let schedule = schedule();
    for (status, asked, expected) in
        [(503, 60, 60), (429, 0, 1), (503, 9_999_999, 86_400), (500, 60, 1)]
    {
        let mut one = delivery();
        let retry_after = Some(Duration::from_secs(asked));
        one.settle(&Answer { retry_after, ..answer(at(0), status) }, &schedule, 0.0);
        assert_eq!(one.next_attempt_at, Some(at(expected * 1000)), "{status} {asked}");
    }
}

#[test]
fn after_an_outage_what_waits_is_tried_early_and_that_costs_nothing() {
    let (mut one, schedule) = (delivery(), schedule());
    let mut progress = Progress::new(TenantId::BOOTSTRAP, one.webhook_id, 0);
    for second in [0, 1, 11] {
        one.settle(&answer(at(second * 1000), 500), &schedule, 0.0);
        let attempt = one.attempts.last().expect("an attempt");
        progress.failed(attempt, &schedule, at(second * 1000));
    }
    let planned = at(111_000);
    assert_eq!(Waiting::of(&one).due_at(&progress, &schedule), planned);
    progress.succeeded(at(30_000));
    let due = Waiting::of(&one).due_at(&progress, &schedule);
    assert_eq!(due, at(21_000), "ten seconds after the last try");
    one.settle(&answer(at(31_000), 500), &schedule, 0.0);
    assert_eq!((one.failures, one.next_attempt_at), (3, Some(planned)));
    let due = Waiting::of(&one).due_at(&progress, &schedule);
    assert_eq!(due, planned, "once for each recovery");
}

#[test]
fn a_receiver_that_does_not_answer_is_left_alone_longer_and_longer() {
    let (schedule, silence) = (schedule(), |error: &str| Attempt {
        at: at(0),
        duration_ms: 0,
        status: None,
        error: Some(error.to_owned()),
        response: None,
    });
    let mut progress = Progress::new(TenantId::BOOTSTRAP, delivery().webhook_id, 0);
    let mut rests = Vec::new();
    for _ in 0..8 {
        progress.failed(&silence("no answer"), &schedule, at(0));
        rests.push(progress.silence().map(|until| until.since(at(0)).as_secs()));
    }
    let expected = [None, None, Some(1), Some(2), Some(4), Some(8), Some(10), Some(10)];
    assert_eq!(rests, expected, "from the first wait of the schedule to the second");
    assert!(progress.is_silent());
    let refused = answer(at(0), 500).attempt;
    progress.failed(&refused, &schedule, at(0));
    assert_eq!((progress.is_silent(), progress.silence()), (false, None), "it answers");
    progress.failed(&silence("no answer"), &schedule, at(0));
    progress.resume_at = Some(at(5));
    progress.succeeded(at(1));
    assert_eq!((progress.unanswered, progress.silence()), (0, Some(at(5))), "as it asked");
}
