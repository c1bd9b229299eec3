//! API keys of a tenant: made, listed, rotated and revoked by its administrators.
//!
//! Invariant: nobody makes a key, or gets the secret of one, that may do more than their own. A secret is told once,
//! to whoever asked for it, and is neither stored nor remembered for a repetition.

use std::time::Duration;

use serde_json::{Value, json};

use super::IdentityService;
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::store::CommitError;
use crate::application::principal::{RequestContext, Subject as Answer};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::AuditEntry;
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::FieldErrors;
use crate::domain::ids::KeyId;
use crate::domain::tenant::key::{
    ApiKey, KeySecret, LIFE, LONGEST_GRACE, Role, checked_name, prefix,
};
use crate::domain::tenant::scope::Scopes;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// Most keys of a tenant that are not revoked.
pub const MOST: u64 = 1000;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// For people, 1–100 characters.
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// What it may be used for; everything that its maker may when omitted.
    pub scopes: Option<Scopes>,
    /// Outer `None`: in 90 days; inner `None`: never.
    pub expires_at: Option<Option<Timestamp>>,
}

/// A key, and its secret right after that was made.
#[derive(Debug, Clone)]
pub struct KeyView {
    /// The key.
    pub key: Versioned<ApiKey>,
    /// Told once.
    pub secret: Option<String>,
}

impl IdentityService {
    /// Makes a key.
    ///
    /// # Errors
    /// `Invalid`, `PrivilegeEscalation`, `QuotaExceeded`.
    pub async fn create_key(
        &self,
        ctx: &RequestContext,
        new: &NewKey,
    ) -> Result<KeyView, AppError> {
        let now = self.clock.now();
        let mut errors = FieldErrors::default();
        let name = checked_name(&new.name, &mut errors);
        let expires_at = new.expires_at.unwrap_or(Some(now.after(LIFE)));
        if expires_at.is_some_and(|end| end <= now) {
            errors.add("/expires_at", "out_of_range", "must lie ahead, or be null for no end");
        }
        errors.into_result(())?;
        let scopes = new.scopes.clone().unwrap_or_else(|| ctx.principal.scopes.clone());
        if new.role > ctx.principal.role || !ctx.principal.scopes.cover(&scopes) {
            return Err(AppError::PrivilegeEscalation);
        }
        let (secret, hash) = self.new_secret()?;
        let key = ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id: ctx.tenant,
            name,
            prefix: prefix(&secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: new.role,
            scopes,
            is_system: false,
            created_by: ctx.actor_name().to_owned(),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let key = Versioned { version: Version::FIRST, value: key };
        let made = KeyView { key, secret: None };
        let kind = ("create_key", EventType::TenantKeyCreated);
        let set = change_of(ctx, kind, None, &made, now)
            .guard(Guard::CounterAtMost { counter: Counter::ApiKeys, limit: MOST })
            .count(Counter::ApiKeys, CounterChange::Add(1));
        match self.store.commit(set).await {
            Ok(_) => Ok(KeyView { secret: Some(secret), ..made }),
            Err(CommitError::Exceeded { counter: _, limit, used }) => {
                Err(AppError::QuotaExceeded { quota: "keys", limit, used })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The keys of a tenant, oldest first, behind `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(
        &self,
        ctx: &RequestContext,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Versioned<ApiKey>>, AppError> {
        Ok(self.store.snapshot(ctx.tenant).await?.api_keys(after, limit).await?)
    }

    /// A key.
    ///
    /// # Errors
    /// `KeyNotFound`.
    pub async fn key(
        &self,
        ctx: &RequestContext,
        id: KeyId,
    ) -> Result<Versioned<ApiKey>, AppError> {
        let found = self.store.snapshot(ctx.tenant).await?.api_key(id).await?;
        found.ok_or(AppError::KeyNotFound)
    }

    /// Another secret for a key; the one before is accepted for a while, a day at the most.
    ///
    /// # Errors
    /// `KeyNotFound`, `KeyRevoked`, `PrivilegeEscalation`, `VersionMismatch`.
    pub async fn rotate_key(
        &self,
        ctx: &RequestContext,
        id: KeyId,
        grace: Option<Duration>,
    ) -> Result<KeyView, AppError> {
        let grace = grace.unwrap_or(LONGEST_GRACE);
        let (secret, hash) = self.new_secret()?;
        let rotated = |key: &mut ApiKey, now: Timestamp| {
            // Whoever makes a secret has it, and may do with it what its key may.
            if key.role > ctx.principal.role || !ctx.principal.scopes.cover(&key.scopes) {
                return Err(AppError::PrivilegeEscalation);
            }
            if key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= now) {
                return Err(AppError::KeyRevoked);
            }
            key.rotate(&secret, hash, now, grace);
            Ok(())
        };
        let kind = ("rotate_key", EventType::TenantKeyRotated);
        let key = self.change_key(ctx, id, kind, rotated).await?;
        Ok(KeyView { key, secret: Some(secret) })
    }

    /// Revokes a key: it is refused from the next request on. It stays listed.
    ///
    /// # Errors
    /// `KeyNotFound`, `OwnKey`, `PrivilegeEscalation`, `VersionMismatch`.
    pub async fn revoke_key(&self, ctx: &RequestContext, id: KeyId) -> Result<(), AppError> {
        // Whoever revokes can still undo what was wrong.
        if ctx.principal.key == id {
            return Err(AppError::OwnKey);
        }
        let revoked = |key: &mut ApiKey, now| {
            key.revoked_at.get_or_insert(now);
            Ok(())
        };
        let kind = ("revoke_key", EventType::TenantKeyRevoked);
        self.change_key(ctx, id, kind, revoked).await.map(drop)
    }

    async fn change_key(
        &self,
        ctx: &RequestContext,
        id: KeyId,
        kind: (&'static str, EventType),
        change: impl Fn(&mut ApiKey, Timestamp) -> Result<(), AppError> + Send + Sync,
    ) -> Result<Versioned<ApiKey>, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.key(ctx, id).await?;
            if let Some(expected) = ctx.if_match.filter(|read| *read != found.version.get()) {
                return Err(AppError::VersionMismatch { expected, actual: found.version.get() });
            }
            if found.value.is_system && !ctx.principal.is_system {
                return Err(AppError::PrivilegeEscalation);
            }
            let (now, mut value) = (self.clock.now(), found.value.clone());
            change(&mut value, now)?;
            if value == found.value {
                return Ok(found);
            }
            let key = Versioned { version: found.version.next(), value };
            let view = KeyView { key, secret: None };
            let mut set = change_of(ctx, kind, Some(&found), &view, now);
            if view.key.value.revoked_at.is_some() {
                set = set.count(Counter::ApiKeys, CounterChange::Add(-1));
            }
            match self.store.commit(set).await {
                Ok(_) => return Ok(view.key),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// `iok_` and 32 random bytes, URL-safe; with its hash.
    fn new_secret(&self) -> Result<(String, [u8; 32]), AppError> {
        let random = self.ids.secret().map_err(|error| AppError::Internal(Box::new(error)))?;
        let secret = format!("iok_{random}");
        let hash = sha256(secret.as_bytes());
        Ok((secret, hash))
    }
}

/// The change of a key with its event, its entry in the audit and its answer.
fn change_of(
    ctx: &RequestContext,
    (action, event): (&'static str, EventType),
    before: Option<&Versioned<ApiKey>>,
    view: &KeyView,
    now: Timestamp,
) -> ChangeSet {
    let key = &view.key.value;
    let expect = before.map_or(Expect::Absent, |before| Expect::At(before.version));
    let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
    let audit = AuditEntry {
        at: now,
        actor: ctx.actor(),
        action: action.to_owned(),
        subject,
        ok: true,
        reason: None,
        before: before.map(|before| facts(&before.value)),
        after: Some(facts(key)),
        request_id: Some(ctx.request_id.clone()),
    };
    ChangeSet::new(ctx.tenant)
        .write(Write::ApiKey(Put { expect, value: key.clone() }))
        .events([DomainEvent::new(event, subject, now, news(key))])
        .audit(Some(audit))
        .remember(ctx.remembered(&Answer::Key(view), now))
}

/// What events tell of a key.
pub(super) fn news(key: &ApiKey) -> Value {
    let scopes: Vec<String> = key.scopes.iter().map(|scope| scope.to_string()).collect();
    json!({ "prefix": key.prefix, "role": key.role, "scopes": scopes })
}

/// What the audit keeps of a key: everything but what its secrets are found by.
fn facts(key: &ApiKey) -> Value {
    let scopes: Vec<String> = key.scopes.iter().map(|scope| scope.to_string()).collect();
    json!({
        "name": key.name, "prefix": key.prefix, "role": key.role, "scopes": scopes,
        "expires_at": key.expires_at, "revoked_at": key.revoked_at,
    })
}
