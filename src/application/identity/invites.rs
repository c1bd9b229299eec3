//! Invitations: a secret that opens nothing but becoming a member, once.
//!
//! An invitation has the role that it names and the scopes of whoever made it, and so has the key that
//! comes of it. It may outlive the key that made it: it makes a person, who is listed and can be sent away.
//!
//! Invariant: the invitation is spent, the person made and their key made in one commit, so that it is
//! used once whatever happens. Whoever shows a wrong one learns nothing about why it is wrong.

use std::time::Duration;

use serde_json::{Value, json};

use super::IdentityService;
use super::keys::{self, KeyView};
use super::users;
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::people::PeopleWrite;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::CommitError;
use crate::application::principal::{RequestContext, Subject as Answer};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::FieldErrors;
use crate::domain::ids::{KeyId, UserId};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{ApiKey, Invited, KeyKind, KeySecret, LIFE, Role, prefix};
use crate::domain::tenant::network::Networks;
use crate::domain::tenant::user::{self, User, UserDraft, checked_email, checked_full_name};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// How long an invitation is good that names no end.
pub const USUAL_TIME: Duration = Duration::from_hours(7 * 24);
/// Longest time of an invitation.
pub const LONGEST_TIME: Duration = Duration::from_hours(30 * 24);
/// Shortest time of an invitation.
pub const SHORTEST_TIME: Duration = Duration::from_mins(1);
/// What people call the key that comes of an invitation.
const FIRST_KEY: &str = "first key";
/// Invitations that are looked through at once.
const PAGE: usize = 200;

/// An invitation to be made.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// Who is to come.
    pub email: String,
    /// What they are called, when that is known.
    pub full_name: Option<String>,
    /// What they will be.
    pub role: Role,
    /// How long it is good; seven days when omitted.
    pub time: Option<Duration>,
}

/// An invitation, and its secret right after that was made.
#[derive(Debug, Clone)]
pub struct InviteView {
    /// The invitation.
    pub invite: Versioned<ApiKey>,
    /// Told once.
    pub secret: Option<String>,
    /// Where a browser can take it; told once.
    pub link: Option<String>,
}

/// Somebody who came.
#[derive(Debug, Clone)]
pub struct Joined {
    /// Them.
    pub user: Versioned<User>,
    /// Their key, with its secret.
    pub key: KeyView,
    /// Where they are now.
    pub tenant: Tenant,
}

impl IdentityService {
    /// Invites somebody. Earlier invitations of theirs are withdrawn.
    ///
    /// # Errors
    /// `Invalid`, `EmailTaken`, `PrivilegeEscalation`, `QuotaExceeded`.
    pub async fn invite(
        &self,
        ctx: &RequestContext,
        new: &NewInvite,
    ) -> Result<InviteView, AppError> {
        let mut errors = FieldErrors::default();
        let email = checked_email(&new.email, &mut errors);
        let full_name = new.full_name.as_ref().map(|name| checked_full_name(name, &mut errors));
        let time = new.time.unwrap_or(USUAL_TIME);
        let rule = "must be 60 seconds to 30 days";
        let fits = (SHORTEST_TIME..=LONGEST_TIME).contains(&time);
        errors.require(fits, "/expires_in", "out_of_range", rule);
        errors.into_result(())?;
        if new.role > ctx.principal.role {
            return Err(AppError::PrivilegeEscalation);
        }
        let (secret, hash) = self.new_secret()?;
        let now = self.clock.now();
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        if snapshot.user_by_email(&email).await?.is_some() {
            return Err(AppError::EmailTaken);
        }
        let earlier = invites_of(snapshot.as_ref(), &email).await?;
        drop(snapshot);
        let value = ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id: ctx.tenant,
            kind: KeyKind::Invite,
            user_id: None,
            opened_by: None,
            name: "invitation".to_owned(),
            prefix: prefix(&secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: new.role,
            scopes: ctx.principal.scopes.clone(),
            is_system: false,
            networks: Networks::default(),
            invited: Some(Invited { email, full_name }),
            created_by: ctx.actor_name().to_owned(),
            created_at: now,
            expires_at: Some(now.after(time)),
            revoked_at: None,
        };
        let invite = Versioned { version: Version::FIRST, value };
        let view = InviteView { invite, secret: None, link: None };
        let less = i64::try_from(earlier.len()).unwrap_or(i64::MAX);
        let mut set = told(ctx, "invite", EventType::TenantKeyCreated, (None, &view), now)
            .write(Write::ApiKey(Put { expect: Expect::Absent, value: view.invite.value.clone() }))
            .guard(Guard::CounterAtMost { counter: Counter::ApiKeys, limit: keys::MOST })
            .count(Counter::ApiKeys, CounterChange::Add(1 - less))
            .remember(ctx.remembered(&Answer::Invite(&view), now));
        for old in earlier {
            let value = ApiKey { revoked_at: Some(now), ..old.value };
            let put = Put { expect: Expect::At(old.version), value };
            set = set.events([revoked(&put.value, now)]).write(Write::ApiKey(put));
        }
        match self.store.commit(set).await {
            Ok(_) => Ok(InviteView { secret: Some(secret), ..view }),
            Err(CommitError::Refused) => Err(AppError::Contended),
            Err(error) => Err(users::refused(error)),
        }
    }

    /// Invitations that are neither accepted nor withdrawn, oldest first, behind `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn invites(
        &self,
        ctx: &RequestContext,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Versioned<ApiKey>>, AppError> {
        Ok(self.store.snapshot(ctx.tenant).await?.invites(after, limit).await?)
    }

    /// An open invitation.
    ///
    /// # Errors
    /// `InviteNotFound`.
    pub async fn open_invite(
        &self,
        ctx: &RequestContext,
        id: KeyId,
    ) -> Result<Versioned<ApiKey>, AppError> {
        let found = self.store.snapshot(ctx.tenant).await?.api_key(id).await?;
        let is_open = |key: &ApiKey| key.kind == KeyKind::Invite && key.revoked_at.is_none();
        found.filter(|found| is_open(&found.value)).ok_or(AppError::InviteNotFound)
    }

    /// Withdraws an invitation: its secret opens nothing from now on.
    ///
    /// # Errors
    /// `InviteNotFound`, `VersionMismatch`.
    pub async fn withdraw_invite(&self, ctx: &RequestContext, id: KeyId) -> Result<(), AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.open_invite(ctx, id).await?;
            if let Some(expected) = ctx.if_match.filter(|read| *read != found.version.get()) {
                return Err(AppError::VersionMismatch { expected, actual: found.version.get() });
            }
            let now = self.clock.now();
            let value = ApiKey { revoked_at: Some(now), ..found.value.clone() };
            let put = Put { expect: Expect::At(found.version), value: value.clone() };
            let invite = Versioned { version: found.version.next(), value };
            let view = InviteView { invite, secret: None, link: None };
            let event = EventType::TenantKeyRevoked;
            let set = told(ctx, "withdraw_invite", event, (Some(&found.value), &view), now)
                .write(Write::ApiKey(put))
                .count(Counter::ApiKeys, CounterChange::Add(-1));
            match self.store.commit(set).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Makes a member of whoever shows an invitation; `None` for one that is unknown, over, spent or
    /// withdrawn, or whose tenant is switched off.
    ///
    /// # Errors
    /// `Invalid`, `EmailTaken`, `QuotaExceeded`.
    pub async fn accept_invite(
        &self,
        secret: &str,
        full_name: Option<&str>,
        request_id: &str,
    ) -> Result<Option<Joined>, AppError> {
        let hash = sha256(secret.as_bytes());
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let now = self.clock.now();
            let found = self.store.fleet().await?.api_key(hash).await?;
            let is_good = |key: &ApiKey| key.kind == KeyKind::Invite && key.accepts(&hash, now);
            let Some(found) = found.filter(|found| is_good(&found.value)) else { return Ok(None) };
            let Some(invited) = found.value.invited.clone() else { return Ok(None) };
            let Some(tenant) = self.tenant(&found.value.tenant_id.to_string()) else {
                return Ok(None);
            };
            let invite = &found.value;
            let draft = UserDraft {
                email: invited.email,
                full_name: full_name.map(str::to_owned).or(invited.full_name).unwrap_or_default(),
                role: invite.role,
                is_system_admin: false,
            };
            let ids = (UserId::new(self.ids.uuid()), tenant.id);
            let value = User::accept(&draft, ids, &invite.created_by, now)?;
            let user = Versioned { version: Version::FIRST, value };
            let (key, secret) = self.first_key(invite, &user.value, now)?;
            match self.store.commit(joining(&found, &user.value, &key, request_id, now)).await {
                Ok(_) => {
                    let key = Versioned { version: Version::FIRST, value: key };
                    let key = KeyView { key, secret: Some(secret), last_used_at: None };
                    return Ok(Some(Joined { user, key, tenant }));
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(users::refused(error)),
            }
        }
        Err(AppError::Contended)
    }

    fn first_key(
        &self,
        invite: &ApiKey,
        user: &User,
        now: Timestamp,
    ) -> Result<(ApiKey, String), AppError> {
        let (secret, hash) = self.new_secret()?;
        let key = ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id: invite.tenant_id,
            kind: KeyKind::Key,
            user_id: Some(user.id),
            opened_by: None,
            name: FIRST_KEY.to_owned(),
            prefix: prefix(&secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: invite.role,
            scopes: invite.scopes.clone(),
            is_system: false,
            networks: Networks::default(),
            invited: None,
            created_by: user.email.clone(),
            created_at: now,
            expires_at: Some(now.after(LIFE)),
            revoked_at: None,
        };
        Ok((key, secret))
    }
}

/// Everything that becomes true when somebody comes.
fn joining(
    invite: &Versioned<ApiKey>,
    user: &User,
    key: &ApiKey,
    request_id: &str,
    now: Timestamp,
) -> ChangeSet {
    let spent = ApiKey { revoked_at: Some(now), user_id: Some(user.id), ..invite.value.clone() };
    let subject = Subject { kind: SubjectKind::User, id: user.id.uuid() };
    let news = json!({ "role": user.role, "actor": user.email });
    let made = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
    let role = user.role.as_str().to_owned();
    let audit = AuditEntry {
        at: now,
        actor: Actor { kind: "user".to_owned(), id: user.id.to_string(), role: Some(role) },
        action: "accept_invite".to_owned(),
        subject,
        ok: true,
        reason: None,
        before: None,
        after: Some(joined_facts(user, key, &spent)),
        request_id: Some(request_id.to_owned()),
    };
    let person = Put { expect: Expect::Absent, value: user.clone() };
    ChangeSet::new(user.tenant_id)
        .events([
            DomainEvent::new(EventType::TenantUserAdded, subject, now, news),
            DomainEvent::new(EventType::TenantKeyCreated, made, now, keys::news(key)),
            revoked(&spent, now),
        ])
        .write(Write::People(PeopleWrite::User(person)))
        .write(Write::ApiKey(Put { expect: Expect::At(invite.version), value: spent }))
        .write(Write::ApiKey(Put { expect: Expect::Absent, value: key.clone() }))
        .guard(Guard::CounterAtMost { counter: Counter::Users, limit: user::MOST })
        .count(Counter::Users, CounterChange::Add(1))
        .audit(Some(audit))
}

fn joined_facts(user: &User, key: &ApiKey, invite: &ApiKey) -> Value {
    let mut facts = users::facts(user);
    facts["key"] = keys::facts(key);
    facts["invite_id"] = json!(invite.id);
    facts
}

/// The open invitations of an address.
async fn invites_of(
    snapshot: &dyn Snapshot,
    email: &str,
) -> Result<Vec<Versioned<ApiKey>>, AppError> {
    let is_theirs = |key: &Versioned<ApiKey>| {
        let invited = key.value.invited.as_ref();
        invited.is_some_and(|invited| user::folded(&invited.email) == user::folded(email))
    };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot.invites(after, PAGE).await?;
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.value.id);
        found.extend(page.into_iter().filter(is_theirs));
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn revoked(key: &ApiKey, now: Timestamp) -> DomainEvent {
    let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
    DomainEvent::new(EventType::TenantKeyRevoked, subject, now, keys::news(key))
}

/// A change set that tells of an invitation, and nothing else yet.
fn told(
    ctx: &RequestContext,
    action: &'static str,
    event: EventType,
    (before, after): (Option<&ApiKey>, &InviteView),
    now: Timestamp,
) -> ChangeSet {
    let key = &after.invite.value;
    let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
    let audit = AuditEntry {
        at: now,
        actor: ctx.actor(),
        action: action.to_owned(),
        subject,
        ok: true,
        reason: None,
        before: before.map(facts),
        after: Some(facts(key)),
        request_id: Some(ctx.request_id.clone()),
    };
    ChangeSet::new(ctx.tenant)
        .events([DomainEvent::new(event, subject, now, keys::news(key))])
        .audit(Some(audit))
}

/// What the audit keeps of an invitation.
fn facts(invite: &ApiKey) -> Value {
    let mut facts = keys::facts(invite);
    let invited = invite.invited.as_ref();
    facts["email"] = json!(invited.map(|invited| &invited.email));
    facts["full_name"] = json!(invited.and_then(|invited| invited.full_name.as_ref()));
    facts
}
