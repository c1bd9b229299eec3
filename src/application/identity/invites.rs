//! Invitations: a secret that opens nothing but becoming a member, once.
//!
//! An invitation has the role that it names, and the scopes, the networks and the end of what was shown
//! for it; so has the key that comes of it. It is as good as the word of whoever gave it: it makes nobody
//! once they are gone, switched off or less than what it makes.
//!
//! Invariant: the invitation is spent, the person made and their key made in one commit, so that it is
//! used once whatever happens. Whoever shows a wrong one learns nothing about why it is wrong. An address
//! has one open invitation at the most.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::IdentityService;
use super::keys::{self, KeyView};
use super::open_invites::{OpenInvites, revoked};
use super::users;
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::people::PeopleWrite;
use crate::application::ports::store::CommitError;
use crate::application::principal::{Principal, RequestContext, Subject as Answer};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::FieldErrors;
use crate::domain::ids::{KeyId, UserId};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{
    ApiKey, Invited, Inviter, InviterId, KeyKind, KeySecret, LIFE, Role, prefix,
};
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
    pub tenant: Arc<Tenant>,
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
        let (email, full_name, time) = checked(new)?;
        if new.role > ctx.principal.role {
            return Err(AppError::PrivilegeEscalation);
        }
        let by = self.inviter(&ctx.principal).await?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let (secret, hash) = self.new_secret()?;
            let now = self.clock.now();
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            if snapshot.user_by_email(&email).await?.is_some() {
                return Err(AppError::EmailTaken);
            }
            let earlier = OpenInvites::of(snapshot.as_ref(), &email).await?;
            drop(snapshot);
            let own = &ctx.principal.reach;
            let (email, full_name) = (email.clone(), full_name.clone());
            let end = now.after(time);
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
                follows: false,
                scopes: ctx.principal.scopes.clone(),
                is_system: false,
                networks: own.networks.clone(),
                invited: Some(Invited { email, full_name, by, until: own.until }),
                created_by: ctx.actor_name().to_owned(),
                created_at: now,
                expires_at: Some(own.until.map_or(end, |until| until.min(end))),
                revoked_at: None,
            };
            let invite = Versioned { version: Version::FIRST, value };
            let view = InviteView { invite, secret: None, link: None };
            match self.store.commit(inviting(ctx, &view, earlier, now)).await {
                Ok(_) => return Ok(InviteView { secret: Some(secret), ..view }),
                // Somebody else invited them, or they came: all is looked at anew.
                Err(CommitError::Stale | CommitError::Refused) => {}
                Err(error) => return Err(users::refused(error)),
            }
        }
        Err(AppError::Contended)
    }

    /// Who invites, as they will be looked for.
    async fn inviter(&self, principal: &Principal) -> Result<Option<Inviter>, AppError> {
        let Some(home) = principal.home else { return Ok(None) };
        let who = if let Some(user) = principal.user {
            InviterId::User(user)
        } else {
            // A browser comes and goes; the key that it was signed in with stays.
            let own = self.store.snapshot(home).await?.api_key(principal.key).await?;
            let shown = own.and_then(|own| own.value.opened_by);
            InviterId::Key(shown.map_or(principal.key, |shown| shown.key))
        };
        Ok(Some(Inviter { home, who }))
    }

    /// Whether the word of whoever invited still counts.
    async fn is_vouched_for(&self, invite: &ApiKey, by: Option<Inviter>) -> Result<bool, AppError> {
        let Some(Inviter { home, who }) = by else { return Ok(true) };
        let (snapshot, now) = (self.store.snapshot(home).await?, self.clock.now());
        let is_at_home = home == invite.tenant_id;
        Ok(match who {
            InviterId::User(id) => snapshot.user(id).await?.is_some_and(|found| {
                let User { role, is_active, is_system_admin, .. } = found.value;
                is_active && role >= invite.role && (is_at_home || is_system_admin)
            }),
            InviterId::Key(id) => snapshot.api_key(id).await?.is_some_and(|found| {
                let key = found.value;
                let is_good = key.ended_at(now).is_none() && key.role >= invite.role;
                is_good && (is_at_home || key.is_system)
            }),
        })
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
    /// withdrawn, that is not accepted from there, whose inviter is gone, or whose tenant is switched off.
    ///
    /// # Errors
    /// `Invalid`, `EmailTaken`, `QuotaExceeded`.
    pub async fn accept_invite(
        &self,
        secret: &str,
        full_name: Option<&str>,
        peer: IpAddr,
        request_id: &str,
    ) -> Result<Option<Joined>, AppError> {
        let hash = sha256(secret.as_bytes());
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let now = self.clock.now();
            let found = self.store.fleet().await?.api_key(hash).await?;
            let is_good = |key: &ApiKey| {
                let is_open = key.kind == KeyKind::Invite && key.accepts(&hash, now);
                is_open && key.networks.admit(peer)
            };
            let Some(found) = found.filter(|found| is_good(&found.value)) else { return Ok(None) };
            let invite = &found.value;
            let Some(invited) = invite.invited.clone() else { return Ok(None) };
            let Some(tenant) = self.active_tenant(invite.tenant_id) else {
                return Ok(None);
            };
            if !self.is_vouched_for(invite, invited.by).await? {
                return Ok(None);
            }
            let draft = UserDraft {
                email: invited.email.clone(),
                full_name: full_name.map(str::to_owned).or(invited.full_name).unwrap_or_default(),
                role: invite.role,
                is_system_admin: false,
            };
            let ids = (UserId::new(self.ids.uuid()), tenant.id);
            let value = User::accept(&draft, ids, &invite.created_by, now)?;
            let user = Versioned { version: Version::FIRST, value };
            let snapshot = self.store.snapshot(tenant.id).await?;
            if snapshot.user_by_email(&invited.email).await?.is_some() {
                return Err(AppError::EmailTaken);
            }
            let open = OpenInvites::of(snapshot.as_ref(), &invited.email).await?;
            drop(snapshot);
            let (key, secret) = self.first_key(invite, invited.until, &user.value, now)?;
            let set = joining(&found, &user.value, &key, request_id, now);
            match self.store.commit(open.end(set, Some(invite.id), now)).await {
                Ok(_) => {
                    let key = Versioned { version: Version::FIRST, value: key };
                    let key = KeyView { key, secret: Some(secret), last_used_at: None };
                    return Ok(Some(Joined { user, key, tenant }));
                }
                // Somebody else was quicker with it, or something about the address changed.
                Err(CommitError::Stale | CommitError::Refused) => {}
                Err(error) => return Err(users::refused(error)),
            }
        }
        Err(AppError::Contended)
    }

    fn first_key(
        &self,
        invite: &ApiKey,
        until: Option<Timestamp>,
        user: &User,
        now: Timestamp,
    ) -> Result<(ApiKey, String), AppError> {
        let (secret, hash) = self.new_secret()?;
        let end = now.after(LIFE);
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
            follows: true,
            scopes: invite.scopes.clone(),
            is_system: false,
            networks: invite.networks.clone(),
            invited: None,
            created_by: user.email.clone(),
            created_at: now,
            expires_at: Some(until.map_or(end, |until| until.min(end))),
            revoked_at: None,
        };
        Ok((key, secret))
    }
}

/// What is wanted, without what may not be.
fn checked(new: &NewInvite) -> Result<(String, Option<String>, Duration), AppError> {
    let mut errors = FieldErrors::default();
    let email = checked_email(&new.email, &mut errors);
    let full_name = new.full_name.as_ref().map(|name| checked_full_name(name, &mut errors));
    let time = new.time.unwrap_or(USUAL_TIME);
    let rule = "must be 60 seconds to 30 days";
    let fits = (SHORTEST_TIME..=LONGEST_TIME).contains(&time);
    errors.require(fits, "/expires_in", "out_of_range", rule);
    Ok(errors.into_result((email, full_name, time))?)
}

/// Everything that becomes true when somebody is invited.
fn inviting(
    ctx: &RequestContext,
    view: &InviteView,
    earlier: OpenInvites,
    now: Timestamp,
) -> ChangeSet {
    let put = Put { expect: Expect::Absent, value: view.invite.value.clone() };
    let set = told(ctx, "invite", EventType::TenantKeyCreated, (None, view), now)
        .write(Write::ApiKey(put))
        .guard(Guard::CounterAtMost { counter: Counter::ApiKeys, limit: keys::MOST })
        .count(Counter::ApiKeys, CounterChange::Add(1))
        .remember(ctx.remembered(&Answer::Invite(view), now));
    earlier.end(set, None, now)
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
    let audit = AuditEntry {
        at: now,
        actor: Actor::holding(invite.value.id, Some(user.id), user.role),
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
