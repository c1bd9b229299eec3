//! Webhooks, how far they were told, and their deliveries.

use serde::{Deserialize, Serialize};

use super::event::SubjectV1;
use super::{Payload, Record, Unreadable, Unstorable, millis, time, word};
use crate::domain::event::EventType;
use crate::domain::ids::{DeliveryId, TenantId, WebhookId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::domain::webhook::delivery::{Attempt, Delivery, DeliveryState, Told};
use crate::domain::webhook::progress::{Disabled, Progress};
use crate::domain::webhook::waiting::Waiting;
use crate::domain::webhook::{EventPattern, Sealed, SigningKey, Webhook};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct WebhookV1 {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    url: String,
    description: Option<String>,
    event_types: Vec<String>,
    is_active: bool,
    keys: Vec<(Vec<u8>, Option<i64>)>,
    created_by: String,
    created_at: i64,
    updated_at: i64,
}

impl Record for Versioned<Webhook> {
    const KIND: u8 = 20;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Webhook {
            id,
            tenant_id,
            url,
            description,
            event_types,
            is_active,
            keys,
            created_by,
            created_at,
            updated_at,
        } = &self.value;
        let key = |SigningKey { sealed, expires_at }: &SigningKey| {
            (sealed.bytes().to_vec(), millis(*expires_at))
        };
        Ok(codec::encode(&WebhookV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            url: url.clone(),
            description: description.clone(),
            event_types: event_types.iter().map(|one| one.as_str().to_owned()).collect(),
            is_active: *is_active,
            keys: keys.iter().map(key).collect(),
            created_by: created_by.clone(),
            created_at: created_at.millis(),
            updated_at: updated_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let WebhookV1 {
            version,
            id,
            tenant_id,
            url,
            description,
            event_types,
            is_active,
            keys,
            created_by,
            created_at,
            updated_at,
        } = payload.parse(1)?;
        let key = |(sealed, expires_at)| SigningKey {
            sealed: Sealed::new(sealed),
            expires_at: time(expires_at),
        };
        let value = Webhook {
            id: WebhookId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            url,
            description,
            event_types: event_types.into_iter().map(EventPattern::stored).collect(),
            is_active,
            keys: keys.into_iter().map(key).collect(),
            created_by,
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct ProgressV1 {
    version: u64,
    webhook_id: [u8; 16],
    tenant_id: [u8; 16],
    cursor: u64,
    failing_since: Option<i64>,
    last_error: Option<String>,
    last_success_at: Option<i64>,
    recovered_at: Option<i64>,
    resume_at: Option<i64>,
    unanswered: u32,
    rest_until: Option<i64>,
    disabled: Option<(i64, String)>,
    logged: u64,
}

impl Record for Versioned<Progress> {
    const KIND: u8 = 21;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Progress {
            webhook_id,
            tenant_id,
            cursor,
            failing_since,
            last_error,
            last_success_at,
            recovered_at,
            resume_at,
            unanswered,
            rest_until,
            disabled,
            logged,
        } = &self.value;
        let why = |Disabled { at, reason }: &Disabled| (at.millis(), reason.clone());
        Ok(codec::encode(&ProgressV1 {
            version: self.version.get(),
            webhook_id: *webhook_id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            cursor: *cursor,
            failing_since: millis(*failing_since),
            last_error: last_error.clone(),
            last_success_at: millis(*last_success_at),
            recovered_at: millis(*recovered_at),
            resume_at: millis(*resume_at),
            unanswered: *unanswered,
            rest_until: millis(*rest_until),
            disabled: disabled.as_ref().map(why),
            logged: *logged,
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let ProgressV1 {
            version,
            webhook_id,
            tenant_id,
            cursor,
            failing_since,
            last_error,
            last_success_at,
            recovered_at,
            resume_at,
            unanswered,
            rest_until,
            disabled,
            logged,
        } = payload.parse(1)?;
        let why = |(at, reason)| Disabled { at: Timestamp::from_millis(at), reason };
        let value = Progress {
            webhook_id: WebhookId::from_bytes(webhook_id),
            tenant_id: TenantId::from_bytes(tenant_id),
            cursor,
            failing_since: time(failing_since),
            last_error,
            last_success_at: time(last_success_at),
            recovered_at: time(recovered_at),
            resume_at: time(resume_at),
            unanswered,
            rest_until: time(rest_until),
            disabled: disabled.map(why),
            logged,
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
enum ToldV1 {
    Event { seq: u64, event_type: String, subject: SubjectV1 },
    Gap { requested: u64, oldest: u64, subject: Option<SubjectV1> },
    Test,
}

#[derive(Serialize, Deserialize)]
struct AttemptV1 {
    at: i64,
    duration_ms: u64,
    status: Option<u16>,
    error: Option<String>,
    response: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct DeliveryV1 {
    version: u64,
    id: [u8; 16],
    webhook_id: [u8; 16],
    tenant_id: [u8; 16],
    message_id: String,
    told: ToldV1,
    redelivery_of: Option<[u8; 16]>,
    state: String,
    attempts: Vec<AttemptV1>,
    failures: u32,
    next_attempt_at: Option<i64>,
    behind: Option<u64>,
    created_at: i64,
    finished_at: Option<i64>,
}

fn told_v1(told: &Told) -> ToldV1 {
    match told {
        Told::Event { seq, event_type, subject } => ToldV1::Event {
            seq: *seq,
            event_type: event_type.as_str().to_owned(),
            subject: SubjectV1::of(*subject),
        },
        Told::Gap { requested, oldest, subject } => ToldV1::Gap {
            requested: *requested,
            oldest: *oldest,
            subject: subject.map(SubjectV1::of),
        },
        Told::Test => ToldV1::Test,
    }
}

fn told(told: ToldV1) -> Result<Told, Unreadable> {
    Ok(match told {
        ToldV1::Event { seq, event_type, subject } => Told::Event {
            seq,
            event_type: word(&event_type, EventType::parse, "told.event_type")?,
            subject: subject.domain()?,
        },
        ToldV1::Gap { requested, oldest, subject } => {
            let subject = subject.map(SubjectV1::domain).transpose()?;
            Told::Gap { requested, oldest, subject }
        }
        ToldV1::Test => Told::Test,
    })
}

fn attempt_v1(attempt: &Attempt) -> AttemptV1 {
    let Attempt { at, duration_ms, status, error, response } = attempt.clone();
    AttemptV1 { at: at.millis(), duration_ms, status, error, response }
}

fn attempt(attempt: AttemptV1) -> Attempt {
    let AttemptV1 { at, duration_ms, status, error, response } = attempt;
    Attempt { at: Timestamp::from_millis(at), duration_ms, status, error, response }
}

impl Record for Versioned<Delivery> {
    const KIND: u8 = 22;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Delivery {
            id,
            webhook_id,
            tenant_id,
            message_id,
            told,
            redelivery_of,
            state,
            attempts,
            failures,
            next_attempt_at,
            behind,
            created_at,
            finished_at,
        } = &self.value;
        Ok(codec::encode(&DeliveryV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            webhook_id: *webhook_id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            message_id: message_id.clone(),
            told: told_v1(told),
            redelivery_of: redelivery_of.map(|id| *id.as_bytes()),
            state: state.as_str().to_owned(),
            attempts: attempts.iter().map(attempt_v1).collect(),
            failures: *failures,
            next_attempt_at: millis(*next_attempt_at),
            behind: *behind,
            created_at: created_at.millis(),
            finished_at: millis(*finished_at),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let DeliveryV1 {
            version,
            id,
            webhook_id,
            tenant_id,
            message_id,
            told: what,
            redelivery_of,
            state,
            attempts,
            failures,
            next_attempt_at,
            behind,
            created_at,
            finished_at,
        } = payload.parse(1)?;
        let value = Delivery {
            id: DeliveryId::from_bytes(id),
            webhook_id: WebhookId::from_bytes(webhook_id),
            tenant_id: TenantId::from_bytes(tenant_id),
            message_id,
            told: told(what)?,
            redelivery_of: redelivery_of.map(DeliveryId::from_bytes),
            state: word(&state, DeliveryState::parse, "state")?,
            attempts: attempts.into_iter().map(attempt).collect(),
            failures,
            next_attempt_at: time(next_attempt_at),
            behind,
            created_at: Timestamp::from_millis(created_at),
            finished_at: time(finished_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct WaitingV1 {
    id: [u8; 16],
    subject: Option<SubjectV1>,
    seq: u64,
    behind: Option<u64>,
    is_by_hand: bool,
    next_attempt_at: Option<i64>,
    last_attempt_at: Option<i64>,
    created_at: i64,
}

impl Record for Waiting {
    const KIND: u8 = 23;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self {
            id,
            subject,
            seq,
            behind,
            is_by_hand,
            next_attempt_at,
            last_attempt_at,
            created_at,
        } = self;
        Ok(codec::encode(&WaitingV1 {
            id: *id.as_bytes(),
            subject: subject.map(SubjectV1::of),
            seq: *seq,
            behind: *behind,
            is_by_hand: *is_by_hand,
            next_attempt_at: millis(*next_attempt_at),
            last_attempt_at: millis(*last_attempt_at),
            created_at: created_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let WaitingV1 {
            id,
            subject,
            seq,
            behind,
            is_by_hand,
            next_attempt_at,
            last_attempt_at,
            created_at,
        } = payload.parse(1)?;
        Ok(Self {
            id: DeliveryId::from_bytes(id),
            subject: subject.map(SubjectV1::domain).transpose()?,
            seq,
            behind,
            is_by_hand,
            next_attempt_at: time(next_attempt_at),
            last_attempt_at: time(last_attempt_at),
            created_at: Timestamp::from_millis(created_at),
        })
    }
}
