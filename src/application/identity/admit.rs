//! Who somebody becomes whom an identity provider vouches for.
//!
//! The provider's own name for them decides. Only where nobody has that name does the e-mail address
//! decide, once: from then on the two are tied together, so that whoever is given the address later is
//! not taken for who had it before.
//!
//! Invariant: nobody gets more by this than their tenant gave them, and nobody new is more than a
//! member; a person is tied, or made, in the commit that signs the first browser in.

use serde_json::json;

use super::IdentityService;
use super::browsers::{Behind, MOST_OF_ONE, SignedIn, change_of};
use super::open_invites::OpenInvites;
use super::users;
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::identity_provider::Vouched;
use crate::application::ports::people::PeopleWrite;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::CommitError;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::UserId;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::joining::JoinMode;
use crate::domain::tenant::key::{ApiKey, KeyKind, Role, is_presentable};
use crate::domain::tenant::user::{MOST, ProviderIdentity, User, UserDraft};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// Longest name that people have.
const LONGEST_NAME: usize = 200;

/// Somebody who came from an identity provider.
pub(super) struct Arrival<'a> {
    /// Where to, by slug.
    pub(super) tenant: &'a str,
    /// The provider.
    pub(super) issuer: &'a str,
    /// Who they are to it.
    pub(super) vouched: &'a Vouched,
    /// Whether the settings let them come without an invitation.
    pub(super) may_join: bool,
    /// What their browser is called.
    pub(super) device: &'a str,
    /// Which request.
    pub(super) request_id: &'a str,
}

/// Who they are here.
enum Found {
    /// Somebody who came this way before.
    Tied(Versioned<User>),
    /// Somebody with their address, tied from now on.
    Tie(Versioned<User>, User),
    /// Nobody yet.
    New(User),
}

impl IdentityService {
    /// Signs in whoever this is here; `None` when it is nobody, or nobody who may.
    ///
    /// # Errors
    /// `TooManyBrowsers`, the store's.
    pub(super) async fn admit(&self, who: &Arrival<'_>) -> Result<Option<SignedIn>, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let Some(tenant) = self.tenant(who.tenant) else { return Ok(None) };
            let now = self.clock.now();
            let snapshot = self.store.snapshot(tenant.id).await?;
            let Some(found) = self.found(snapshot.as_ref(), &tenant, who, now).await? else {
                return Ok(None);
            };
            let user = found.user();
            let keys = snapshot.keys_of(user.id).await?;
            let invites = OpenInvites::of(snapshot.as_ref(), &user.email).await?;
            drop(snapshot);
            let browsers = keys.iter().filter(|key| is_direct(&key.value));
            if browsers.fold(0, |count, _| count + 1) >= MOST_OF_ONE {
                return Err(AppError::TooManyBrowsers { limit: MOST_OF_ONE });
            }
            let signed = self.new_browser(Behind::user(user), who.device, now)?;
            let is_new = matches!(found, Found::New(_));
            let mut set = found.set(&signed, who, now);
            if is_new {
                set = invites.end(set, None, now);
            }
            match self.store.commit(set).await {
                Ok(_) => return Ok(Some(signed)),
                // Somebody else was quicker: they may be here by now, or no longer.
                Err(CommitError::Stale | CommitError::Refused) => {}
                Err(error) => return Err(users::refused(error)),
            }
        }
        Err(AppError::Contended)
    }

    async fn found(
        &self,
        snapshot: &dyn Snapshot,
        tenant: &Tenant,
        who: &Arrival<'_>,
        now: Timestamp,
    ) -> Result<Option<Found>, AppError> {
        let Arrival { issuer, vouched, .. } = who;
        let identity =
            ProviderIdentity { issuer: (*issuer).to_owned(), subject: vouched.subject.clone() };
        if let Some(id) = snapshot.user_by_identity(&identity).await? {
            let tied = snapshot.user(id).await?.filter(|user| user.value.is_active);
            return Ok(tied.map(Found::Tied));
        }
        if let Some(id) = snapshot.user_by_email(&vouched.email).await? {
            let free =
                |user: &Versioned<User>| user.value.is_active && user.value.identity.is_none();
            let free = snapshot.user(id).await?.filter(free);
            return Ok(free.map(|before| {
                let user = User { identity: Some(identity), ..before.value.clone() };
                Found::Tie(before, user)
            }));
        }
        if tenant.joining != JoinMode::IdentityProvider || !who.may_join {
            return Ok(None);
        }
        let draft = UserDraft {
            email: vouched.email.clone(),
            full_name: full_name(vouched),
            role: Role::Member,
            is_system_admin: false,
        };
        let ids = (UserId::new(self.ids.uuid()), tenant.id);
        // An address that is none of ours is nobody's.
        let Ok(user) = User::accept(&draft, ids, issuer, now) else { return Ok(None) };
        Ok(Some(Found::New(User { identity: Some(identity), ..user })))
    }
}

/// Whether a browser was signed in without a key.
fn is_direct(key: &ApiKey) -> bool {
    key.kind == KeyKind::Browser && key.opened_by.is_none()
}

/// What they are called: as the provider says when that can be shown, else by their address.
fn full_name(vouched: &Vouched) -> String {
    let told = vouched.full_name.as_deref().map(str::trim).unwrap_or_default();
    let fits = (1..=LONGEST_NAME).contains(&told.chars().count()) && is_presentable(told);
    let name = if fits { told } else { &vouched.email };
    name.chars().take(LONGEST_NAME).collect()
}

impl Found {
    const fn user(&self) -> &User {
        match self {
            Self::Tied(Versioned { value, .. }) | Self::Tie(_, value) | Self::New(value) => value,
        }
    }

    /// Everything that becomes true when they come.
    fn set(self, signed: &SignedIn, who: &Arrival<'_>, now: Timestamp) -> ChangeSet {
        let browser = Versioned { version: Version::FIRST, value: signed.key.clone() };
        let kind = ("sign_in", EventType::TenantKeyCreated);
        let mut set = change_of(&signed.key, kind, None, &browser, now, who.request_id);
        let user = self.user();
        let subject = Subject { kind: SubjectKind::User, id: user.id.uuid() };
        let (news, facts) = (json!({ "role": user.role, "actor": user.email }), users::facts(user));
        let mut told = json!({ "identity_provider": who.issuer });
        let set_of = |set: ChangeSet, event, news, put| {
            set.events([DomainEvent::new(event, subject, now, news)])
                .write(Write::People(PeopleWrite::User(put)))
        };
        set = match self {
            Self::Tied(found) => set.guard(Guard::UserAt(found.value.id, found.version)),
            Self::Tie(before, user) => {
                told["linked"] = facts;
                let mut news = news;
                news["changed"] = json!(["identity_provider"]);
                let put = Put { expect: Expect::At(before.version), value: user };
                set_of(set, EventType::TenantUserUpdated, news, put)
            }
            Self::New(user) => {
                told["joined"] = facts;
                let put = Put { expect: Expect::Absent, value: user };
                set_of(set, EventType::TenantUserAdded, news, put)
                    .guard(Guard::CounterAtMost { counter: Counter::Users, limit: MOST })
                    .count(Counter::Users, CounterChange::Add(1))
            }
        };
        if let Some(after) = set.audit.as_mut().and_then(|entry| entry.after.as_mut()) {
            after["through"] = told;
        }
        set
    }
}
