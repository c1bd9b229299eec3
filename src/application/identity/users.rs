//! People of a tenant: let in, changed and sent away by its administrators.
//!
//! A tenant never loses its last administrator by the hand of one of its people. Whoever acts with a key
//! that belongs to nobody may send the last one away: that key shows that somebody can still administrate.
//!
//! Invariant: the keys of somebody who is sent away or switched off are revoked in the same commit, all
//! of them, and the invitations of their address with them. Nobody gets more rights from somebody who has
//! less, nor for longer or from elsewhere.

use serde_json::{Value, json};

use super::IdentityService;
use super::keys;
use super::open_invites::OpenInvites;
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::people::PeopleWrite;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::CommitError;
use crate::application::principal::{Principal, RequestContext, Subject as Answer};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::UserId;
use crate::domain::tenant::key::{ApiKey, Role};
use crate::domain::tenant::user::{MOST, User, UserDraft, UserPatch};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// People that are looked through at once.
const PAGE: usize = 200;

/// Keys that change with their holder.
#[derive(Default)]
struct Followers {
    keys: Vec<(Version, ApiKey)>,
    revoked: bool,
}

impl IdentityService {
    /// Lets somebody in, without a key; `create_key` makes one for them.
    ///
    /// # Errors
    /// `Invalid`, `EmailTaken`, `PrivilegeEscalation`, `QuotaExceeded`.
    pub async fn create_user(
        &self,
        ctx: &RequestContext,
        draft: UserDraft,
    ) -> Result<Versioned<User>, AppError> {
        let now = self.clock.now();
        let ids = (UserId::new(self.ids.uuid()), ctx.tenant);
        let value = User::accept(&draft, ids, ctx.actor_name(), now)?;
        if value.role > ctx.principal.role || (value.is_system_admin && !ctx.principal.is_system) {
            return Err(AppError::PrivilegeEscalation);
        }
        let user = Versioned { version: Version::FIRST, value };
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            if snapshot.user_by_email(&user.value.email).await?.is_some() {
                return Err(AppError::EmailTaken);
            }
            let invites = OpenInvites::of(snapshot.as_ref(), &user.value.email).await?;
            drop(snapshot);
            let put = Put { expect: Expect::Absent, value: user.value.clone() };
            let event = EventType::TenantUserAdded;
            let set = Change::of("create_user", event, None, Some(&user.value))
                .set(ctx, now)
                .write(Write::People(PeopleWrite::User(put)))
                .guard(Guard::CounterAtMost { counter: Counter::Users, limit: MOST })
                .count(Counter::Users, CounterChange::Add(1))
                .remember(ctx.remembered(&Answer::User(&user), now));
            match self.store.commit(invites.end(set, None, now)).await {
                Ok(_) => return Ok(user),
                // Somebody has the address by now, or was invited.
                Err(CommitError::Stale | CommitError::Refused) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Err(AppError::Contended)
    }

    /// People in order of their coming, behind `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn users(
        &self,
        ctx: &RequestContext,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Versioned<User>>, AppError> {
        Ok(self.store.snapshot(ctx.tenant).await?.users(after, limit).await?)
    }

    /// Somebody.
    ///
    /// # Errors
    /// `UserNotFound`.
    pub async fn user(
        &self,
        ctx: &RequestContext,
        id: UserId,
    ) -> Result<Versioned<User>, AppError> {
        let found = self.store.snapshot(ctx.tenant).await?.user(id).await?;
        found.ok_or(AppError::UserNotFound)
    }

    /// Who acts, when it is somebody; they may be at home in another tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn acting_user(
        &self,
        ctx: &RequestContext,
    ) -> Result<Option<Versioned<User>>, AppError> {
        let (Some(id), Some(home)) = (ctx.principal.user, ctx.principal.home) else {
            return Ok(None);
        };
        Ok(self.store.snapshot(home).await?.user(id).await?)
    }

    /// Changes somebody. Keys that were made with all rights of their role have those of the new one; the
    /// others stay as they are, and none has more than its holder. Whoever raises somebody gives no more
    /// than they have: a key that lasts longer than theirs, or is accepted from elsewhere, stays at the
    /// role before for good.
    ///
    /// # Errors
    /// `UserNotFound`, `Invalid`, `EmailTaken`, `PrivilegeEscalation`, `LastAdministrator`,
    /// `VersionMismatch`.
    pub async fn change_user(
        &self,
        ctx: &RequestContext,
        id: UserId,
        patch: &UserPatch,
    ) -> Result<Versioned<User>, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            let found = touched(ctx, snapshot.as_ref(), id).await?;
            let value = found.value.changed(patch)?;
            if value == found.value {
                return Ok(found);
            }
            let makes_system = value.is_system_admin && !ctx.principal.is_system;
            if value.role > ctx.principal.role || makes_system {
                return Err(AppError::PrivilegeEscalation);
            }
            let now = self.clock.now();
            let keys = snapshot.keys_of(id).await?;
            let followers = Followers::of(ctx, (&found.value, &value), keys, now)?;
            let invites = Followers::invites(snapshot.as_ref(), &found.value, &value).await?;
            let guard = if found.value.administrates() && !value.administrates() {
                another_administrator(ctx, snapshot.as_ref(), id).await?
            } else {
                None
            };
            drop(snapshot);
            let put = Put { expect: Expect::At(found.version), value: value.clone() };
            let (before, after) = (Some(&found.value), Some(&value));
            let set = Change::of("update_user", EventType::TenantUserUpdated, before, after)
                .set(ctx, now)
                .write(Write::People(PeopleWrite::User(put)));
            let set = guard.into_iter().fold(followers.join(set, id, now), ChangeSet::guard);
            let set = invites.into_iter().fold(set, |set, open| open.end(set, None, now));
            match self.store.commit(set).await {
                Ok(_) => return Ok(Versioned { version: found.version.next(), value }),
                // An address that is taken, another key or another administrator: all is looked at anew.
                Err(CommitError::Stale | CommitError::Refused) => {
                    self.check_address(ctx, id, &value).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Sends somebody away for good.
    ///
    /// # Errors
    /// `UserNotFound`, `PrivilegeEscalation`, `LastAdministrator`, `VersionMismatch`.
    pub async fn remove_user(&self, ctx: &RequestContext, id: UserId) -> Result<(), AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            let found = touched(ctx, snapshot.as_ref(), id).await?;
            let now = self.clock.now();
            let followers = Followers::revoked(snapshot.keys_of(id).await?, now);
            let invites = OpenInvites::of(snapshot.as_ref(), &found.value.email).await?;
            let guard = if found.value.administrates() {
                another_administrator(ctx, snapshot.as_ref(), id).await?
            } else {
                None
            };
            drop(snapshot);
            let event = EventType::TenantUserRemoved;
            let set = Change::of("remove_user", event, Some(&found.value), None)
                .set(ctx, now)
                .write(Write::People(PeopleWrite::RemoveUser(found.version, id)))
                .count(Counter::Users, CounterChange::Add(-1));
            let set = guard.into_iter().fold(followers.join(set, id, now), ChangeSet::guard);
            let set = invites.end(set, None, now);
            match self.store.commit(set).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Stale | CommitError::Refused) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Whether the address of somebody is theirs to take.
    async fn check_address(
        &self,
        ctx: &RequestContext,
        id: UserId,
        user: &User,
    ) -> Result<(), AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        match snapshot.user_by_email(&user.email).await? {
            Some(holder) if holder != id => Err(AppError::EmailTaken),
            Some(_) | None => Ok(()),
        }
    }
}

/// A commit that lets somebody in is refused only for their address.
pub(super) fn refused(error: CommitError) -> AppError {
    if let CommitError::Exceeded { counter, limit, used } = error {
        let quota = if counter == Counter::Users { "users" } else { "keys" };
        return AppError::QuotaExceeded { quota, limit, used };
    }
    if matches!(error, CommitError::Refused) { AppError::EmailTaken } else { error.into() }
}

/// Somebody whom the caller may change, as the caller knows them.
async fn touched(
    ctx: &RequestContext,
    snapshot: &dyn Snapshot,
    id: UserId,
) -> Result<Versioned<User>, AppError> {
    let found = snapshot.user(id).await?.ok_or(AppError::UserNotFound)?;
    if let Some(expected) = ctx.if_match.filter(|read| *read != found.version.get()) {
        return Err(AppError::VersionMismatch { expected, actual: found.version.get() });
    }
    let is_above = found.value.role > ctx.principal.role;
    if is_above || (found.value.is_system_admin && !ctx.principal.is_system) {
        return Err(AppError::PrivilegeEscalation);
    }
    Ok(found)
}

/// What must stay as it is while somebody ceases to administrate: another administrator. Nothing, when
/// the caller does not depend on any.
async fn another_administrator(
    ctx: &RequestContext,
    snapshot: &dyn Snapshot,
    id: UserId,
) -> Result<Option<Guard>, AppError> {
    let Some(own) = ctx.principal.user.filter(|_| !ctx.principal.is_system) else {
        return Ok(None);
    };
    let stays = |user: &Versioned<User>| user.value.id != id && user.value.administrates();
    let guard = |user: &Versioned<User>| Some(Guard::UserAt(user.value.id, user.version));
    if let Some(caller) = snapshot.user(own).await?.filter(stays) {
        return Ok(guard(&caller));
    }
    let mut after = None;
    loop {
        let page = snapshot.users(after, PAGE).await?;
        if let Some(found) = page.iter().find(|user| stays(user)) {
            return Ok(guard(found));
        }
        match page.last().filter(|_| page.len() == PAGE) {
            Some(last) => after = Some(last.value.id),
            None => return Err(AppError::LastAdministrator),
        }
    }
}

impl Followers {
    /// The keys that a change of somebody changes too.
    fn of(
        ctx: &RequestContext,
        (before, after): (&User, &User),
        keys: Vec<Versioned<ApiKey>>,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        if !after.is_active {
            return Ok(Self::revoked(keys, now));
        }
        let Principal { scopes, reach, .. } = &ctx.principal;
        let mut changed = Vec::new();
        for Versioned { version, value: key } in keys {
            let had = key.role.min(before.role);
            let wanted = if key.follows { after.role } else { key.role };
            let of_system = after.is_system_admin && !before.is_system_admin;
            let gets_system = of_system && wanted == Role::Admin;
            let gains = wanted.min(after.role) > had || gets_system;
            // Whoever raises somebody gives these keys more of what they are for.
            if gains && key.ended_at(now).is_none() && !scopes.cover(&key.scopes) {
                return Err(AppError::PrivilegeEscalation);
            }
            let is_beyond = gains && !reach.covers(&key.reach());
            if is_beyond && gets_system && had == Role::Admin {
                return Err(AppError::PrivilegeEscalation);
            }
            let (role, follows) = if is_beyond { (had, false) } else { (wanted, key.follows) };
            if (role, follows) != (key.role, key.follows) {
                changed.push((version, ApiKey { role, follows, ..key }));
            }
        }
        Ok(Self { keys: changed, revoked: false })
    }

    /// The open invitations that end with a change: those of an address that somebody takes, and of
    /// somebody who has less than before.
    async fn invites(
        snapshot: &dyn Snapshot,
        before: &User,
        after: &User,
    ) -> Result<Option<OpenInvites>, AppError> {
        let is_less = !after.is_active || after.role < before.role;
        if !is_less && after.email == before.email {
            return Ok(None);
        }
        Ok(Some(OpenInvites::of(snapshot, &after.email).await?))
    }

    /// All of them are refused from now on.
    fn revoked(keys: Vec<Versioned<ApiKey>>, now: Timestamp) -> Self {
        let revoke =
            |key: Versioned<ApiKey>| (key.version, ApiKey { revoked_at: Some(now), ..key.value });
        Self { keys: keys.into_iter().map(revoke).collect(), revoked: true }
    }

    /// The change set with them.
    fn join(self, mut set: ChangeSet, holder: UserId, now: Timestamp) -> ChangeSet {
        if self.revoked {
            let known = self.keys.iter().map(|(_, key)| key.id).collect();
            // A browser that was signed in has no place among the keys.
            let browser = |key: &ApiKey| ApiKey { revoked_at: None, ..key.clone() }.is_counted();
            let counted = self.keys.iter().filter(|(_, key)| browser(key)).count();
            let less = i64::try_from(counted).unwrap_or(i64::MAX);
            set = set
                .guard(Guard::NoOtherKeys { user: holder, known })
                .count(Counter::ApiKeys, CounterChange::Add(-less));
        }
        for (version, key) in self.keys {
            if self.revoked {
                let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
                let news = keys::news(&key);
                let event = EventType::TenantKeyRevoked;
                set = set.events([DomainEvent::new(event, subject, now, news)]);
            }
            set = set.write(Write::ApiKey(Put { expect: Expect::At(version), value: key }));
        }
        set
    }
}

/// A change of somebody, to be told.
struct Change<'a> {
    action: &'static str,
    event: EventType,
    before: Option<&'a User>,
    after: Option<&'a User>,
}

impl<'a> Change<'a> {
    const fn of(
        action: &'static str,
        event: EventType,
        before: Option<&'a User>,
        after: Option<&'a User>,
    ) -> Self {
        Self { action, event, before, after }
    }

    /// A change set that tells of it, and nothing else yet.
    fn set(&self, ctx: &RequestContext, now: Timestamp) -> ChangeSet {
        let Some(user) = self.after.or(self.before) else { return ChangeSet::new(ctx.tenant) };
        let subject = Subject { kind: SubjectKind::User, id: user.id.uuid() };
        let mut news = json!({ "role": user.role, "actor": ctx.actor_name() });
        if let (Some(before), Some(after)) = (self.before, self.after) {
            news["changed"] = changed(before, after);
        }
        let audit = AuditEntry {
            at: now,
            actor: ctx.actor(),
            action: self.action.to_owned(),
            subject,
            ok: true,
            reason: None,
            before: self.before.map(facts),
            after: self.after.map(facts),
            request_id: Some(ctx.request_id.clone()),
        };
        ChangeSet::new(ctx.tenant)
            .events([DomainEvent::new(self.event, subject, now, news)])
            .audit(Some(audit))
    }
}

/// The names of what differs.
fn changed(before: &User, after: &User) -> Value {
    let (before, after) = (facts(before), facts(after));
    let members = after.as_object().into_iter().flatten();
    let names = members.filter(|(name, value)| before[name.as_str()] != **value);
    names.map(|(name, _)| Value::String(name.clone())).collect()
}

/// What the audit keeps of somebody.
pub(super) fn facts(user: &User) -> Value {
    json!({
        "email": user.email, "full_name": user.full_name, "role": user.role,
        "is_active": user.is_active, "is_system_admin": user.is_system_admin,
        "identity_provider": user.identity.as_ref().map(|identity| &identity.issuer),
    })
}
