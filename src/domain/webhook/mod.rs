//! Webhooks: addresses that are told of events, what they want to hear, and how they know who speaks.
//!
//! Invariant: a secret leaves the server in the answer to creation or rotation only, and is kept sealed;
//! `Debug` hides it.
//! Invariant: what the sender notes while it works lies in `Progress`, so that an `ETag` changes only
//! when a person changes something.

pub mod delivery;
pub mod progress;
pub mod waiting;

use std::time::Duration;

use super::event::EventType;
use super::field::{FieldError, FieldErrors};
use super::ids::{TenantId, WebhookId};
use super::time::Timestamp;

/// Webhooks of one tenant.
pub const MOST: u64 = 50;
/// Patterns of one webhook.
const MOST_PATTERNS: usize = 50;
/// Longest address.
const MOST_URL_BYTES: usize = 2048;
/// How long the secret before a rotation goes on signing.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// What a webhook wants to hear: one type, or a family such as `session.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPattern(String);

impl EventPattern {
    /// A type or a family that exists.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_family = |family: &str| {
            EventType::ALL.iter().any(|known| known.as_str().split('.').next() == Some(family))
        };
        let is_known =
            EventType::parse(text).is_some() || text.strip_suffix(".*").is_some_and(is_family);
        is_known.then(|| Self(text.to_owned()))
    }

    /// A pattern that was stored, which may be of a type that this version does not write.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an event is meant.
    #[must_use]
    pub fn matches(&self, event_type: EventType) -> bool {
        let name = event_type.as_str();
        match self.0.strip_suffix(".*") {
            Some(family) => name.split('.').next() == Some(family),
            None => name == self.0,
        }
    }
}

/// What both sides sign and verify with: `whsec_` and the base64 of random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps what was made or stored.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, to be stored, signed with, or shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("whsec_…")
    }
}

/// A secret as it is kept: readable only with the key of the server, and only for its own webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps what was sealed.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be stored or opened.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("sealed")
    }
}

/// A secret and how long it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The secret, sealed.
    pub sealed: Sealed,
    /// From then on it signs nothing; the current one has no end.
    pub expires_at: Option<Timestamp>,
}

/// An address that is told of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Its identity.
    pub id: WebhookId,
    /// Whose events.
    pub tenant_id: TenantId,
    /// Where messages are sent.
    pub url: String,
    /// For people.
    pub description: Option<String>,
    /// What it wants to hear; everything when empty.
    pub event_types: Vec<EventPattern>,
    /// Whether a person wants it to be told.
    pub is_active: bool,
    /// Newest first; each message is signed with all that are valid.
    pub keys: Vec<SigningKey>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a person last changed it.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether it wants to hear of such events.
    #[must_use]
    pub fn wants(&self, event_type: EventType) -> bool {
        self.event_types.is_empty() || self.event_types.iter().any(|one| one.matches(event_type))
    }

    /// Whether it is one that could have been made here, whoever says so. What it wants to hear may be
    /// known to another version alone.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        checked_url(&self.url, &mut errors);
        checked_description(self.description.clone(), &mut errors);
        let is_short = self.event_types.len() <= MOST_PATTERNS;
        errors.require(is_short, "/event_types", "too_long", "may have at most 50 entries");
        errors.into_result(())
    }

    /// What a sealed secret of this webhook is bound to: it opens for no other.
    #[must_use]
    pub fn binding(tenant: TenantId, id: WebhookId) -> Vec<u8> {
        [b"webhook-secret/1/".as_slice(), tenant.as_bytes(), id.as_bytes()].concat()
    }

    /// The sealed secrets that sign a message now.
    pub fn sealed(&self, now: Timestamp) -> impl Iterator<Item = &Sealed> {
        let valid = self.keys.iter().filter(move |key| key.expires_at.is_none_or(|end| now < end));
        valid.map(|key| &key.sealed)
    }

    /// Signs with this one from now on, and with the one before for a while.
    pub fn rotate(&mut self, sealed: Sealed, now: Timestamp) {
        self.keys.truncate(1);
        for key in &mut self.keys {
            key.expires_at = Some(now.after(OVERLAP));
        }
        self.keys.insert(0, SigningKey { sealed, expires_at: None });
        self.updated_at = now;
    }

    /// Takes over what was changed; the names of the fields that differ.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn change(
        &mut self,
        patch: WebhookPatch,
        now: Timestamp,
    ) -> Result<Vec<&'static str>, Vec<FieldError>> {
        let WebhookPatch { url, description, event_types, is_active } = patch;
        let before = self.clone();
        let mut errors = FieldErrors::default();
        if let Some(url) = url {
            self.url = checked_url(&url, &mut errors);
        }
        if let Some(description) = description {
            self.description = checked_description(description, &mut errors);
        }
        if let Some(event_types) = event_types {
            self.event_types = checked_patterns(&event_types, &mut errors);
        }
        self.is_active = is_active.unwrap_or(self.is_active);
        errors.into_result(())?;
        let mut changed = Vec::new();
        let mut note = |differs: bool, name| changed.extend(differs.then_some(name));
        note(before.url != self.url, "url");
        note(before.description != self.description, "description");
        note(before.event_types != self.event_types, "event_types");
        note(before.is_active != self.is_active, "is_active");
        if !changed.is_empty() {
            self.updated_at = now;
        }
        Ok(changed)
    }
}

/// A webhook as it was asked for.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of the webhook")]
pub struct WebhookDraft {
    pub url: String,
    pub description: Option<String>,
    pub event_types: Vec<String>,
    pub is_active: Option<bool>,
    /// Begin behind this event; now when omitted.
    pub after: Option<u64>,
}

impl WebhookDraft {
    /// Address, description and patterns as they will be kept.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn check(&self) -> Result<(String, Option<String>, Vec<EventPattern>), Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let url = checked_url(&self.url, &mut errors);
        let description = checked_description(self.description.clone(), &mut errors);
        let patterns = checked_patterns(&self.event_types, &mut errors);
        errors.into_result((url, description, patterns))
    }
}

/// What is to become different; what is omitted stays.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of the webhook")]
pub struct WebhookPatch {
    pub url: Option<String>,
    pub description: Option<Option<String>>,
    pub event_types: Option<Vec<String>>,
    pub is_active: Option<bool>,
}

fn checked_url(url: &str, errors: &mut FieldErrors) -> String {
    let url = url.trim();
    errors.require(!url.is_empty(), "/url", "required", "is required");
    let is_short = url.len() <= MOST_URL_BYTES;
    errors.require(is_short, "/url", "too_long", "may have at most 2048 bytes");
    url.to_owned()
}

fn checked_description(text: Option<String>, errors: &mut FieldErrors) -> Option<String> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())?;
    errors.length("/description", &text, 0, 1000);
    Some(text)
}

fn checked_patterns(texts: &[String], errors: &mut FieldErrors) -> Vec<EventPattern> {
    let mut patterns = Vec::with_capacity(texts.len());
    if texts.len() > MOST_PATTERNS {
        errors.add("/event_types", "too_long", "may have at most 50 entries");
        return patterns;
    }
    for (index, text) in texts.iter().enumerate() {
        match EventPattern::parse(text) {
            Some(pattern) if !patterns.contains(&pattern) => patterns.push(pattern),
            Some(_) => {}
            None => errors.add(
                format!("/event_types/{index}"),
                "invalid",
                "must be the type of an event such as session.failed, or a family such as session.*",
            ),
        }
    }
    patterns
}

#[cfg(test)]
mod tests;
