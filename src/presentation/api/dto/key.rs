//! API keys on the wire.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::identity::keys::{Holder, KeyView, NewKey};
use crate::domain::ids::{KeyId, TenantId, UserId};
use crate::domain::tenant::key::{ApiKey, KeyKind, LONGEST_GRACE, Role};
use crate::domain::tenant::network::{MOST_NETWORKS, Networks, parse_network};
use crate::domain::tenant::scope::{Scope, Scopes};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::presentation::api::fields::{Fields, FromFields};

/// A key that programs and people act with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct KeyDto {
    /// Its identity.
    pub id: KeyId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it opens.
    pub kind: KeyKind,
    /// Who acts with it; null for a program of its own.
    pub user_id: Option<UserId>,
    /// The key that a browser was signed in with; null for other kinds, and for a browser that came through
    /// an identity provider.
    pub opened_by: Option<KeyId>,
    /// For people.
    pub name: String,
    /// The first twelve characters of its secret, by which people recognise it.
    pub prefix: String,
    /// Its rights.
    pub role: Role,
    /// What it may be used for: `*`, `<area>:read`, `<area>:write`, `agents:register`, `metrics`.
    #[schema(example = json!(["sessions:read", "sessions:write"]))]
    pub scopes: Vec<String>,
    /// May act in every tenant.
    pub is_system: bool,
    /// From where it is accepted; from anywhere when empty.
    #[schema(example = json!(["10.0.0.0/8"]))]
    pub networks: Vec<String>,
    /// When it was last used. Up to a minute of it is forgotten when the server is killed.
    pub last_used_at: Option<Timestamp>,
    /// The key itself, `iok_…`. Only in the answer to creation and rotation; a repetition of such a
    /// request does not show it again.
    pub secret: Option<String>,
    /// Until when the secret before the last rotation is accepted, too.
    pub previous_secret_until: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused; null for no end.
    pub expires_at: Option<Timestamp>,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
    /// Counts the accepted changes.
    pub revision: u64,
}

impl From<&KeyView> for KeyDto {
    fn from(view: &KeyView) -> Self {
        let KeyView { key: Versioned { version, value }, secret, last_used_at } = view.clone();
        let ApiKey {
            id,
            tenant_id,
            kind,
            user_id,
            opened_by,
            name,
            prefix,
            secrets,
            role,
            follows: _,
            scopes,
            is_system,
            networks,
            invited: _,
            created_by,
            created_at,
            expires_at,
            revoked_at,
        } = value;
        Self {
            id,
            tenant_id,
            kind,
            user_id,
            opened_by: opened_by.map(|opened| opened.key),
            name,
            prefix,
            role,
            scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
            is_system,
            networks: networks.texts(),
            last_used_at,
            secret,
            previous_secret_until: secrets.get(1).and_then(|secret| secret.expires_at),
            created_by,
            created_at,
            expires_at,
            revoked_at,
            revision: version.get(),
        }
    }
}

/// A key to be made.
#[derive(Debug, ToSchema)]
#[schema(as = CreateKey, example = json!({
    "name": "ci", "role": "member", "scopes": ["sessions:read", "sessions:write"],
}))]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct CreateKeyBody {
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    pub role: Role,
    /// All that the caller's own key has, when omitted.
    #[schema(max_items = 32)]
    pub scopes: Option<Vec<String>>,
    /// In 90 days when omitted, or with the caller's own key; null for no end.
    pub expires_at: Option<Timestamp>,
    /// Networks such as `10.0.0.0/8`, or addresses. Those of the caller's own key when omitted.
    #[schema(max_items = 32)]
    pub networks: Option<Vec<String>>,
    /// Who will act with it; the caller when omitted.
    pub user_id: Option<UserId>,
    /// It belongs to nobody: a program will act with it.
    #[schema(default = false)]
    pub service: Option<bool>,
    /// `enrolment` for one that registers a single external agent, once, and belongs to nobody.
    pub kind: Option<KeyKind>,
}

/// The body of `POST /keys`, read.
pub struct CreateKey(pub NewKey);

impl FromFields for CreateKey {
    fn read(fields: &mut Fields) -> Self {
        let name = fields.required_text("name");
        let kind = fields.word("kind").unwrap_or(KeyKind::Key);
        let is_enrolment = kind == KeyKind::Enrolment;
        if !is_enrolment && kind != KeyKind::Key {
            fields.wrong("kind", "invalid", "must be key or enrolment");
        }
        let role = fields.word("role").or(is_enrolment.then_some(Role::Member));
        if role.is_none() {
            fields.require_one("role", "must be viewer, member, lead or admin");
        }
        let expires_at = fields.nullable("expires_at", time);
        let (scopes, networks) = (scopes(fields), networks(fields));
        let role = role.unwrap_or(Role::Viewer);
        let mut holder = holder(fields);
        if is_enrolment {
            if scopes.is_some() || holder != Holder::Maker {
                fields.wrong("kind", "invalid", "an enrolment has its own scope and no holder");
            }
            holder = Holder::Nobody;
        }
        Self(NewKey { kind, name, role, scopes, expires_at, networks, holder })
    }
}

fn time(fields: &mut Fields, name: &'static str) -> Option<Timestamp> {
    let time = Timestamp::parse(&fields.text(name)?);
    if time.is_none() {
        fields.wrong(name, "invalid", "must be a time such as 2026-01-31T09:30:00.000Z, or null");
    }
    time
}

fn holder(fields: &mut Fields) -> Holder {
    let user = fields.text("user_id");
    let is_service = fields.flag("service") == Some(true);
    match user.map(|text| UserId::parse(&text)) {
        Some(Some(_)) if is_service => {
            fields.wrong("user_id", "invalid", "must be left out of a key that is for a service");
            Holder::Nobody
        }
        Some(Some(user)) => Holder::User(user),
        Some(None) => {
            fields.wrong("user_id", "invalid", "must be the id of a user");
            Holder::Nobody
        }
        None if is_service => Holder::Nobody,
        None => Holder::Maker,
    }
}

fn networks(fields: &mut Fields) -> Option<Networks> {
    let values = fields.list("networks")?;
    if values.len() > MOST_NETWORKS {
        fields.wrong("networks", "too_many", format!("must be {MOST_NETWORKS} at the most"));
    }
    let mut networks = Vec::new();
    for (index, value) in values.iter().enumerate() {
        match value.as_str().and_then(parse_network) {
            Some(network) => networks.push(network),
            None => fields.wrong_at("networks", index, "must be a network such as 10.0.0.0/8"),
        }
    }
    Some(Networks::of(networks))
}

fn scopes(fields: &mut Fields) -> Option<Scopes> {
    let values = fields.list("scopes")?;
    let mut scopes = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        match value.as_str().and_then(Scope::parse) {
            Some(scope) => scopes.push(scope),
            None => fields.wrong_at(
                "scopes",
                index,
                "must be *, AREA:read, AREA:write, agents:register or metrics",
            ),
        }
    }
    if values.is_empty() {
        fields.wrong("scopes", "too_few", "must name at least one scope, or be left out");
    }
    Some(Scopes::of(scopes))
}

/// How a key is rotated.
#[derive(Debug, ToSchema)]
#[schema(as = RotateKey, example = json!({ "grace_seconds": 3600 }))]
pub struct RotateKeyBody {
    /// How long the secret before is accepted beside the new one; a day when omitted.
    #[schema(minimum = 0, maximum = 86_400, default = 86_400)]
    pub grace_seconds: Option<u32>,
}

/// The body of `POST /keys/{id}/rotate`, read.
pub struct RotateKey(pub Option<Duration>);

impl FromFields for RotateKey {
    fn read(fields: &mut Fields) -> Self {
        let seconds: Option<u32> = fields.integer("grace_seconds");
        let grace = seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
        if grace.is_some_and(|grace| grace > LONGEST_GRACE) {
            fields.wrong("grace_seconds", "out_of_range", "must be 0 to 86400");
        }
        Self(grace)
    }
}
