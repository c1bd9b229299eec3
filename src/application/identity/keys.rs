//! API keys of a tenant: made, listed, rotated and revoked by its administrators.
//!
//! Invariant: nobody makes a key, or gets the secret of one, that may do more than their own, is accepted
//! for longer or from elsewhere. A secret is told once, to whoever asked for it, and is neither stored nor
//! remembered for a repetition.

use std::time::Duration;

use serde_json::{Value, json};

use super::IdentityService;
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::store::CommitError;
use crate::application::principal::{Principal, RequestContext, Subject as Answer};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::AuditEntry;
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{KeyId, UserId};
use crate::domain::tenant::key::{
    ApiKey, KeyKind, KeySecret, LIFE, LONGEST_GRACE, Role, checked_name, prefix,
};
use crate::domain::tenant::network::{Networks, Reach};
use crate::domain::tenant::scope::{Scope, Scopes};
use crate::domain::tenant::user::User;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// Most keys of a tenant that are not revoked; browsers that were signed in are no part of them.
pub const MOST: u64 = 1000;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// `Key` or `Enrolment`.
    pub kind: KeyKind,
    /// For people, 1–100 characters.
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// What it may be used for; everything that its maker may when omitted.
    pub scopes: Option<Scopes>,
    /// Outer `None`: in 90 days, or with the key of its maker; inner `None`: never.
    pub expires_at: Option<Option<Timestamp>>,
    /// From where it is accepted; from where its maker's is when omitted.
    pub networks: Option<Networks>,
    /// Who will act with it.
    pub holder: Holder,
}

/// Who acts with a key that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Whoever makes it; nobody, when they act with a key of nobody.
    Maker,
    /// A program.
    Nobody,
    /// Somebody of the tenant.
    User(UserId),
}

/// A key, and its secret right after that was made.
#[derive(Debug, Clone)]
pub struct KeyView {
    /// The key.
    pub key: Versioned<ApiKey>,
    /// Told once.
    pub secret: Option<String>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// Whether keys of this kind are shown among the keys of a tenant: invitations have a list of their own,
/// and those of agents are shown with them.
const fn is_listed(kind: KeyKind) -> bool {
    match kind {
        KeyKind::Key | KeyKind::Browser | KeyKind::Enrolment => true,
        KeyKind::Invite | KeyKind::Agent => false,
    }
}

impl IdentityService {
    /// Makes a key.
    ///
    /// # Errors
    /// `Invalid`, `UserNotFound`, `PrivilegeEscalation`, `QuotaExceeded`.
    pub async fn create_key(
        &self,
        ctx: &RequestContext,
        new: &NewKey,
    ) -> Result<KeyView, AppError> {
        let now = self.clock.now();
        let mut errors = FieldErrors::default();
        let name = checked_name(&new.name, &mut errors);
        let own = &ctx.principal.reach;
        let usual = now.after(LIFE);
        let expires_at =
            new.expires_at.unwrap_or_else(|| Some(own.until.map_or(usual, |end| end.min(usual))));
        let networks = new.networks.clone().unwrap_or_else(|| own.networks.clone());
        let reach = Reach { until: expires_at, networks };
        if expires_at.is_some_and(|end| end <= now) {
            errors.add("/expires_at", "out_of_range", "must lie ahead, or be null for no end");
        }
        errors.into_result(())?;
        let usual = match new.kind {
            KeyKind::Enrolment => Scopes::of([Scope::RegisterAgents]),
            KeyKind::Key | KeyKind::Browser | KeyKind::Invite | KeyKind::Agent => {
                ctx.principal.scopes.clone()
            }
        };
        let scopes = new.scopes.clone().unwrap_or(usual);
        let exceeds = new.role > ctx.principal.role || !ctx.principal.scopes.cover(&scopes);
        if exceeds || !own.covers(&reach) {
            return Err(AppError::PrivilegeEscalation);
        }
        let holder = self.holder(ctx, new).await?;
        let follows = holder.as_ref().is_some_and(|holder| holder.value.role == new.role);
        let (secret, hash) =
            self.secret_of(if new.kind == KeyKind::Enrolment { "ioe_" } else { "iok_" })?;
        let key = ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id: ctx.tenant,
            kind: new.kind,
            user_id: holder.as_ref().map(|holder| holder.value.id),
            opened_by: None,
            name,
            prefix: prefix(&secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: new.role,
            follows,
            scopes,
            is_system: false,
            networks: reach.networks,
            invited: None,
            created_by: ctx.actor_name().to_owned(),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let key = Versioned { version: Version::FIRST, value: key };
        let made = KeyView { key, secret: None, last_used_at: None };
        let kind = ("create_key", EventType::TenantKeyCreated);
        let there = holder.map(|holder| Guard::UserAt(holder.value.id, holder.version));
        let set = there
            .into_iter()
            .fold(change_of(ctx, kind, None, &made, now), ChangeSet::guard)
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

    /// Who is to act with a new key: somebody who is active, and may do what it may.
    async fn holder(
        &self,
        ctx: &RequestContext,
        new: &NewKey,
    ) -> Result<Option<Versioned<User>>, AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        let found = match (new.holder, ctx.principal.user) {
            (Holder::Nobody, _) | (Holder::Maker, None) => None,
            // Whoever is at home elsewhere is nobody here.
            (Holder::Maker, Some(own)) => snapshot.user(own).await?,
            (Holder::User(id), _) => Some(snapshot.user(id).await?.ok_or(AppError::UserNotFound)?),
        };
        let Some(holder) = found else { return Ok(None) };
        let User { role, is_active, is_system_admin, .. } = holder.value;
        if !is_active {
            let mut errors = FieldErrors::default();
            errors.add("/user_id", "inactive", "is switched off; switch them on first");
            errors.into_result(())?;
        }
        if new.role > role || (is_system_admin && !ctx.principal.is_system) {
            return Err(AppError::PrivilegeEscalation);
        }
        Ok(Some(holder))
    }

    /// The keys of a tenant, oldest first, behind `after`: those of this kind, else of every kind, but
    /// invitations, which are no keys.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(
        &self,
        ctx: &RequestContext,
        kind: Option<KeyKind>,
        mut after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeyView>, AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        let mut views = Vec::new();
        loop {
            let page = snapshot.api_keys(after, limit).await?;
            after = page.last().filter(|_| page.len() == limit).map(|last| last.value.id);
            let is_meant = |key: &Versioned<ApiKey>| {
                let own = key.value.kind;
                is_listed(own) && kind.is_none_or(|kind| kind == own)
            };
            for key in page.into_iter().filter(is_meant) {
                let id = key.value.id;
                let stored = snapshot.key_used(id).await?;
                let last_used_at = stored.max(self.uses.of(ctx.tenant, id));
                views.push(KeyView { key, secret: None, last_used_at });
            }
            if after.is_none() || views.len() >= limit {
                views.truncate(limit);
                return Ok(views);
            }
        }
    }

    /// A key.
    ///
    /// # Errors
    /// `KeyNotFound`.
    pub async fn key(&self, ctx: &RequestContext, id: KeyId) -> Result<KeyView, AppError> {
        let key = self.stored_key(ctx, id).await?;
        let last_used_at = self.last_used(ctx.tenant, id).await?;
        Ok(KeyView { key, secret: None, last_used_at })
    }

    async fn stored_key(
        &self,
        ctx: &RequestContext,
        id: KeyId,
    ) -> Result<Versioned<ApiKey>, AppError> {
        let found = self.store.snapshot(ctx.tenant).await?.api_key(id).await?;
        let found = found.filter(|found| is_listed(found.value.kind));
        found.ok_or(AppError::KeyNotFound)
    }

    /// Whether a key opens the system.
    async fn is_of_system(&self, key: &ApiKey) -> Result<bool, AppError> {
        let Some(id) = key.user_id else { return Ok(key.is_system) };
        let holder = self.store.snapshot(key.tenant_id).await?.user(id).await?;
        Ok(key.is_system || holder.is_some_and(|holder| holder.value.is_system_admin))
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
            if key.kind != KeyKind::Key {
                let message = "only a key gets another secret; revoke this and make a new one";
                let (pointer, code) = (String::new(), "not_a_key");
                let error = FieldError { pointer, code, message: message.to_owned() };
                return Err(AppError::Invalid(vec![error]));
            }
            // Whoever makes a secret has it, and may do with it what its key may.
            let Principal { role, scopes, reach, .. } = &ctx.principal;
            if key.role > *role || !scopes.cover(&key.scopes) || !reach.covers(&key.reach()) {
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
        let last_used_at = self.last_used(ctx.tenant, id).await?;
        Ok(KeyView { key, secret: Some(secret), last_used_at })
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
            let found = self.stored_key(ctx, id).await?;
            if let Some(expected) = ctx.if_match.filter(|read| *read != found.version.get()) {
                return Err(AppError::VersionMismatch { expected, actual: found.version.get() });
            }
            if !ctx.principal.is_system && self.is_of_system(&found.value).await? {
                return Err(AppError::PrivilegeEscalation);
            }
            let (now, mut value) = (self.clock.now(), found.value.clone());
            change(&mut value, now)?;
            if value == found.value {
                return Ok(found);
            }
            let key = Versioned { version: found.version.next(), value };
            let view = KeyView { key, secret: None, last_used_at: None };
            let mut set = change_of(ctx, kind, Some(&found), &view, now);
            if found.value.is_counted() && !view.key.value.is_counted() {
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
    pub(super) fn new_secret(&self) -> Result<(String, [u8; 32]), AppError> {
        self.secret_of("iok_")
    }

    /// The same behind another beginning.
    pub(super) fn secret_of(&self, beginning: &str) -> Result<(String, [u8; 32]), AppError> {
        let random = self.ids.secret().map_err(|error| AppError::Internal(Box::new(error)))?;
        let secret = format!("{beginning}{random}");
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
    json!({ "prefix": key.prefix, "kind": key.kind, "role": key.role, "scopes": scopes })
}

/// What the audit keeps of a key: everything but what its secrets are found by.
pub(super) fn facts(key: &ApiKey) -> Value {
    let scopes: Vec<String> = key.scopes.iter().map(|scope| scope.to_string()).collect();
    json!({
        "kind": key.kind, "name": key.name, "prefix": key.prefix, "role": key.role, "scopes": scopes,
        "user_id": key.user_id, "networks": key.networks.texts(),
        "expires_at": key.expires_at, "revoked_at": key.revoked_at,
    })
}
