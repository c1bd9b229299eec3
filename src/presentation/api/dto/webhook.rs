//! Webhooks and their deliveries on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::webhooks::WebhookView;
use crate::domain::ids::{DeliveryId, TenantId, WebhookId};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::domain::webhook::delivery::{Attempt, Delivery, DeliveryState, Told};
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::{EventPattern, Webhook, WebhookDraft, WebhookPatch};
use crate::presentation::api::fields::{Fields, FromFields};

/// An address that is told of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookDto {
    /// Its identity.
    pub id: WebhookId,
    /// Whose events.
    pub tenant_id: TenantId,
    /// Where messages are sent.
    pub url: String,
    /// For people.
    pub description: Option<String>,
    /// What it wants to hear: types, or families such as `session.*`; everything when empty.
    pub event_types: Vec<String>,
    /// Whether a person wants it to be told.
    pub is_active: bool,
    /// `ok`, `failing`, `disabled` by the product, or `off`.
    #[schema(value_type = String, example = "ok")]
    pub state: &'static str,
    /// No message was accepted since.
    pub failing_since: Option<Timestamp>,
    /// What the newest failure was.
    pub last_error: Option<String>,
    /// When a message was last accepted.
    pub last_success_at: Option<Timestamp>,
    /// When the product switched it off; switching `is_active` on takes it up again.
    pub disabled_at: Option<Timestamp>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// Nothing is sent before: the receiver asked for silence, or did not answer several times.
    pub resume_at: Option<Timestamp>,
    /// Events up to this number were delivered, are not wanted, or wait behind one that failed.
    pub cursor: u64,
    /// What messages are signed with: `whsec_` and base64. Only in the answer to creation and
    /// rotation.
    pub secret: Option<String>,
    /// Until when messages are signed with the secret before, too.
    pub previous_secret_until: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a person last changed it.
    pub updated_at: Timestamp,
    /// Counts the accepted changes.
    pub revision: u64,
}

impl From<&WebhookView> for WebhookDto {
    fn from(view: &WebhookView) -> Self {
        let WebhookView { webhook: Versioned { version, value }, progress, secret } = view.clone();
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
        } = value;
        let Progress {
            webhook_id: _,
            tenant_id: _,
            cursor,
            failing_since,
            last_error,
            last_success_at,
            recovered_at: _,
            resume_at,
            unanswered: _,
            rest_until,
            disabled,
            logged: _,
        } = progress;
        let state = match (&disabled, is_active, failing_since) {
            (Some(_), true, _) => "disabled",
            (_, false, _) => "off",
            (None, true, Some(_)) => "failing",
            (None, true, None) => "ok",
        };
        let (disabled_at, disabled_reason) =
            disabled.map(|disabled| (disabled.at, disabled.reason)).unzip();
        Self {
            id,
            tenant_id,
            url,
            description,
            event_types: event_types
                .iter()
                .map(|one| EventPattern::as_str(one).to_owned())
                .collect(),
            is_active,
            state,
            failing_since,
            last_error,
            last_success_at,
            disabled_at,
            disabled_reason,
            resume_at: resume_at.max(rest_until),
            cursor,
            secret: secret.map(|secret| secret.expose().to_owned()),
            previous_secret_until: keys.get(1).and_then(|key| key.expires_at),
            created_by,
            created_at,
            updated_at,
            revision: version.get(),
        }
    }
}

/// One message to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryDto {
    /// Its identity.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// The name of the message, sent as `webhook-id`, the same at every attempt.
    pub message_id: String,
    /// Type of the message: that of the event, `gap` or `test`.
    pub r#type: String,
    /// Number of the event.
    pub seq: Option<u64>,
    /// The delivery that was done again.
    pub redelivery_of: Option<DeliveryId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// What was tried, oldest first; at most the newest twelve.
    pub attempts: Vec<AttemptDto>,
    /// When it is tried next; null when it is finished, or waits for the one before.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
    /// Counts its changes.
    pub revision: u64,
}

/// One attempt to send a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct AttemptDto {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// Status of the answer.
    pub status_code: Option<u16>,
    /// Why it counts as a failure.
    pub error: Option<String>,
    /// How the answer's body begins.
    pub response: Option<String>,
}

impl From<&Versioned<Delivery>> for DeliveryDto {
    fn from(found: &Versioned<Delivery>) -> Self {
        let Delivery {
            id,
            webhook_id,
            tenant_id: _,
            message_id,
            told,
            redelivery_of,
            state,
            attempts,
            failures: _,
            next_attempt_at,
            behind: _,
            created_at,
            finished_at,
        } = found.value.clone();
        let (kind, seq) = match told {
            Told::Event { seq, event_type, subject: _ } => (event_type.as_str(), Some(seq)),
            Told::Gap { requested: _, oldest: _, subject: _ } => ("gap", None),
            Told::Test => ("test", None),
        };
        let attempt = |attempt: Attempt| {
            let Attempt { at, duration_ms, status, error, response } = attempt;
            AttemptDto { at, duration_ms, status_code: status, error, response }
        };
        Self {
            id,
            webhook_id,
            message_id,
            r#type: kind.to_owned(),
            seq,
            redelivery_of,
            state,
            attempts: attempts.into_iter().map(attempt).collect(),
            next_attempt_at,
            created_at,
            finished_at,
            revision: found.version.get(),
        }
    }
}

/// A webhook to be made.
#[derive(Debug, ToSchema)]
#[schema(as = CreateWebhook, example = json!({
    "url": "https://hooks.example.org/orchestrator", "event_types": ["session.failed", "usage.*"]
}))]
pub struct CreateWebhookBody {
    /// `https://…`; `http://` only to addresses that the server's settings list.
    #[schema(min_length = 1, max_length = 2048)]
    pub url: String,
    /// For people.
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// Types such as `session.failed`, or families such as `session.*`; everything when empty.
    #[schema(max_items = 50)]
    pub event_types: Option<Vec<String>>,
    /// `true` when omitted.
    pub is_active: Option<bool>,
    /// Begin behind this event, 0 with the oldest that is kept; now when omitted.
    pub after: Option<u64>,
}

/// The body of `POST /webhooks`, read.
pub struct CreateWebhook(pub WebhookDraft);

impl FromFields for CreateWebhook {
    /// Addresses of receivers often carry what lets one in.
    const AS_SENT: &'static [&'static str] = &["url"];

    fn read(fields: &mut Fields) -> Self {
        Self(WebhookDraft {
            url: fields.required_text("url"),
            description: fields.text("description"),
            event_types: fields.texts("event_types"),
            is_active: fields.flag("is_active"),
            after: fields.integer("after"),
        })
    }
}

/// Fields to change; what is omitted stays.
#[derive(Debug, ToSchema)]
#[schema(as = PatchWebhook, example = json!({ "event_types": ["session.*"], "is_active": true }))]
pub struct PatchWebhookBody {
    /// `https://…`; `http://` only to addresses that the server's settings list.
    #[schema(min_length = 1, max_length = 2048)]
    pub url: Option<String>,
    /// Null clears it.
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// Everything when empty.
    #[schema(max_items = 50)]
    pub event_types: Option<Vec<String>>,
    /// `true` also takes up a webhook that the product switched off.
    pub is_active: Option<bool>,
}

/// The body of `PATCH /webhooks/{id}`, read.
pub struct PatchWebhook(pub WebhookPatch);

impl FromFields for PatchWebhook {
    const AS_SENT: &'static [&'static str] = &["url"];

    fn read(fields: &mut Fields) -> Self {
        let types_given = fields.has("event_types");
        Self(WebhookPatch {
            url: fields.text("url"),
            description: fields.nullable("description", Fields::text),
            event_types: Some(fields.texts("event_types")).filter(|_| types_given),
            is_active: fields.flag("is_active"),
        })
    }
}
