//! Browsers: signed in with a link or a key, and signed out.
//!
//! What a browser shows is a key of a kind of its own, in the same table and under the same walls, so
//! that it is listed, revoked and watched like every other.
//!
//! Invariant: a browser may do what the key may that it was signed in with, and no longer than the very
//! secret that was shown for that, or what the person may whom an identity provider vouched for; it signs
//! no other browser in, so that who has stolen one is out with its end.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;

use super::IdentityService;
use super::keys::{facts, news};
use super::one_time::{Loan, Maker};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::principal::{Principal, RequestContext};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{KeyId, TenantId, UserId};
use crate::domain::tenant::key::{
    ApiKey, BROWSER_LIFE, KeyKind, KeySecret, OpenedBy, Role, prefix,
};
use crate::domain::tenant::network::Networks;
use crate::domain::tenant::scope::Scopes;
use crate::domain::tenant::user::User;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// How long a link signs somebody in.
pub const LINK_LIFE: Duration = Duration::from_mins(10);
/// How long a ticket opens a socket.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
/// What the secrets begin with, so that nobody takes one for the other.
pub const SECRETS: [&str; 4] = ["iok_", LINK, BROWSER, TICKET];
const LINK: &str = "iol_";
const BROWSER: &str = "iob_";
const TICKET: &str = "iot_";
/// Browsers of one key, or of one person without a key, that are listed, those that have ended lately included.
pub(super) const MOST_OF_ONE: u64 = 500;
/// Keys that are read at once.
const PAGE: usize = 500;

/// The key that signs a browser in.
#[derive(Debug, Clone)]
pub struct Opener {
    /// The key.
    pub key: ApiKey,
    /// When the secret that was shown of it ends, which may be before the key does.
    pub until: Option<Timestamp>,
    /// SHA-256 of that secret.
    pub secret: [u8; 32],
    /// Whoever shows it may act in every tenant.
    pub is_system: bool,
    /// The link that leads to it, which is used up by the browser that it opens.
    pub link: Option<Loan>,
}

/// Whoever holds a ticket, by the hash of what they showed for it; nobody in particular in `--dev`.
#[derive(Debug, Clone, Copy)]
pub struct Holder(pub Option<[u8; 32]>);

/// What somebody shows who signs in.
pub enum Proof {
    /// The secret of a link.
    Link(String),
    /// A key.
    Key(String),
}

/// A secret that is good for a while.
pub struct Lent {
    /// Told once.
    pub secret: String,
    /// From then on it is refused.
    pub expires_at: Timestamp,
}

/// Somebody who acts through a key, as people know them.
pub struct Known {
    /// Address of whoever holds the key, else its name.
    pub name: String,
    /// What their tenant is called.
    pub tenant_name: String,
    /// The short name of it.
    pub tenant_slug: String,
    /// Their rights.
    pub role: Role,
    /// May act in every tenant.
    pub is_system: bool,
}

/// A browser that was signed in.
pub struct SignedIn {
    /// What is kept of it.
    pub key: ApiKey,
    /// What it shows from now on; told once.
    pub secret: String,
}

/// What stands behind a browser, which has its rights and ends with it.
pub(super) struct Behind {
    tenant_id: TenantId,
    user_id: Option<UserId>,
    opened_by: Option<OpenedBy>,
    role: Role,
    follows: bool,
    scopes: Scopes,
    is_system: bool,
    networks: Networks,
    name: String,
    until: Option<Timestamp>,
}

impl Behind {
    fn key(Opener { key, until, secret, .. }: &Opener) -> Self {
        Self {
            tenant_id: key.tenant_id,
            user_id: key.user_id,
            opened_by: Some(OpenedBy { key: key.id, secret: *secret }),
            role: key.role,
            follows: key.follows,
            scopes: key.scopes.clone(),
            is_system: key.is_system,
            networks: key.networks.clone(),
            name: key.name.clone(),
            until: *until,
        }
    }

    /// Nothing but somebody who is known.
    pub(super) fn user(user: &User) -> Self {
        Self {
            tenant_id: user.tenant_id,
            user_id: Some(user.id),
            opened_by: None,
            role: user.role,
            follows: true,
            scopes: Scopes::all(),
            is_system: user.is_system_admin,
            networks: Networks::default(),
            name: user.email.clone(),
            until: None,
        }
    }
}

impl IdentityService {
    /// What signs a browser in, once, with the rights of the caller's key.
    ///
    /// # Errors
    /// `PrivilegeEscalation` for a caller without a key: a browser, or nobody in particular;
    /// `TooManyLinks`.
    pub async fn login_link(&self, ctx: &RequestContext) -> Result<Lent, AppError> {
        let found = match ctx.principal.credential {
            Some(hash) => self.opener_with(hash).await?,
            None => None,
        };
        let opener = found.ok_or(AppError::PrivilegeEscalation)?;
        self.link_to(opener, Some(&ctx.request_id)).await
    }

    /// The same for whoever has this secret; `None` when it is no key that is accepted.
    ///
    /// # Errors
    /// `TooManyLinks`, the store's.
    pub async fn login_link_of(&self, secret: &str) -> Result<Option<Lent>, AppError> {
        let found = self.opener_with(sha256(secret.as_bytes())).await?;
        match found {
            Some(opener) => self.link_to(opener, None).await.map(Some),
            None => Ok(None),
        }
    }

    async fn opener_with(&self, hash: [u8; 32]) -> Result<Option<Opener>, AppError> {
        let found = self.key_of(hash).await?.filter(|(key, _)| key.kind == KeyKind::Key);
        Ok(found.map(|(key, holder)| {
            let Principal { reach, is_system, .. } = Principal::of(key.clone(), holder, hash);
            Opener { until: reach.until, key, secret: hash, is_system, link: None }
        }))
    }

    /// A link is on record before anybody has it.
    async fn link_to(&self, opener: Opener, request_id: Option<&str>) -> Result<Lent, AppError> {
        let (secret, _) = self.secret_of(LINK)?;
        let now = self.clock.now();
        let key = &opener.key;
        let maker = Maker { key: key.id, tenant: key.tenant_id, is_system: opener.is_system };
        // What belongs to keys that have ended gives way before anything else does.
        for other in self.links.in_the_way_of(&maker, now) {
            let found = self.store.snapshot(other.tenant).await?.api_key(other.key).await?;
            if found.is_none_or(|key| key.value.ended_at(now).is_some()) {
                self.links.forget(other.key);
            }
        }
        let entry = AuditEntry {
            at: now,
            actor: Actor::holding(key.id, key.user_id, key.role),
            action: "create_login_link".to_owned(),
            subject: Subject { kind: SubjectKind::Key, id: key.id.uuid() },
            ok: true,
            reason: None,
            before: None,
            after: Some(json!({ "name": key.name, "expires_at": now.after(LINK_LIFE) })),
            request_id: request_id.map(str::to_owned),
        };
        self.store.commit(ChangeSet::new(key.tenant_id).audit(Some(entry))).await?;
        let taken = self.links.put(&secret, maker, opener, now);
        let expires_at = taken.map_err(|_| AppError::TooManyLinks)?;
        Ok(Lent { secret, expires_at })
    }

    /// The key that opens the door to whoever shows this. A link is nobody else's until the browser is
    /// signed in, which uses it up, or is not, which gives it back.
    ///
    /// # Errors
    /// `TenantNotFound` when the key's tenant is switched off; the store's.
    pub async fn opener(&self, proof: &Proof, peer: IpAddr) -> Result<Option<Opener>, AppError> {
        let found = match proof {
            Proof::Key(secret) => self.opener_with(sha256(secret.as_bytes())).await?,
            Proof::Link(secret) => self.opener_by_link(secret).await?,
        };
        self.admitted(found, peer)
    }

    /// Whoever a link would sign in; it is as good as before.
    ///
    /// # Errors
    /// `TenantNotFound` when the key's tenant is switched off; the store's.
    pub async fn shown_by(&self, link: &str, peer: IpAddr) -> Result<Option<Opener>, AppError> {
        let found = match self.links.look(link, self.clock.now()) {
            Some(opener) => self.as_it_is(opener).await?,
            None => None,
        };
        self.admitted(found, peer)
    }

    fn admitted(&self, found: Option<Opener>, peer: IpAddr) -> Result<Option<Opener>, AppError> {
        let Some(opener) = found else { return Ok(None) };
        let key = &opener.key;
        let is_off = !key.is_system && self.active_tenant(key.tenant_id).is_none();
        let is_admitted = key.networks.admit(peer);
        if is_admitted && !is_off {
            return Ok(Some(opener));
        }
        self.not_opened(&opener);
        if is_admitted { Err(AppError::TenantNotFound) } else { Ok(None) }
    }

    /// Whose key this is, as people know them.
    ///
    /// # Errors
    /// `TenantNotFound`, the store's.
    pub async fn known(&self, key: &ApiKey) -> Result<Known, AppError> {
        let tenant = self.tenants.get(key.tenant_id).ok_or(AppError::TenantNotFound)?;
        let holder = match key.user_id {
            Some(id) => self.store.fleet().await?.user(key.tenant_id, id).await?,
            None => None,
        };
        let who = Principal::of(key.clone(), holder.map(|found| found.value), [0; 32]);
        Ok(Known {
            name: who.name,
            tenant_name: tenant.name.clone(),
            tenant_slug: tenant.slug.clone(),
            role: who.role,
            is_system: who.is_system,
        })
    }

    /// The key behind a link, as it is by now.
    async fn opener_by_link(&self, secret: &str) -> Result<Option<Opener>, AppError> {
        let Some((opener, loan)) = self.links.lend(secret, self.clock.now()) else {
            return Ok(None);
        };
        let found = self.as_it_is(Opener { link: Some(loan), ..opener }).await;
        if found.is_err() {
            self.links.give_back(loan);
        }
        found
    }

    /// The same key as it is by now; `None` when the secret that was shown is no longer accepted.
    async fn as_it_is(&self, opener: Opener) -> Result<Option<Opener>, AppError> {
        let shown = OpenedBy { key: opener.key.id, secret: opener.secret };
        let found = self.opening_key(opener.key.tenant_id, shown).await?;
        Ok(found.map(|key| Opener { until: key.reach_of(&opener.secret).until, key, ..opener }))
    }

    /// Nobody is signed in with what was to open the door: a link is good as before.
    pub fn not_opened(&self, opener: &Opener) {
        if let Some(loan) = opener.link {
            self.links.give_back(loan);
        }
    }

    /// Signs a browser in with a key. A link that led to it is used up, unless nothing came of it.
    ///
    /// # Errors
    /// `TooManyBrowsers` when a key has signed in too many; the store's.
    pub async fn sign_in(
        &self,
        opener: &Opener,
        device: &str,
        request_id: &str,
    ) -> Result<SignedIn, AppError> {
        let signed = self.open_browser(opener, device, request_id).await;
        match opener.link {
            Some(loan) if signed.is_ok() => self.links.use_up(loan),
            Some(_) | None => self.not_opened(opener),
        }
        signed
    }

    async fn open_browser(
        &self,
        opener: &Opener,
        device: &str,
        request_id: &str,
    ) -> Result<SignedIn, AppError> {
        // One sign-in at a time: what is counted is still so when the browser is stored.
        let _turn = self.signing_in.lock().await;
        if self.browsers_of(&opener.key).await? >= MOST_OF_ONE {
            return Err(AppError::TooManyBrowsers { limit: MOST_OF_ONE });
        }
        let now = self.clock.now();
        let signed = self.new_browser(Behind::key(opener), device, now)?;
        let found = Versioned { version: Version::FIRST, value: signed.key.clone() };
        let kind = ("sign_in", EventType::TenantKeyCreated);
        let set = change_of(&opener.key, kind, None, &found, now, request_id);
        self.store.commit(set).await?;
        Ok(signed)
    }

    /// A browser that nobody has heard of yet.
    pub(super) fn new_browser(
        &self,
        behind: Behind,
        device: &str,
        now: Timestamp,
    ) -> Result<SignedIn, AppError> {
        let (secret, hash) = self.secret_of(BROWSER)?;
        let end = now.after(BROWSER_LIFE);
        let Behind {
            tenant_id,
            user_id,
            opened_by,
            role,
            follows,
            scopes,
            is_system,
            networks,
            name,
            until,
        } = behind;
        let key = ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id,
            kind: KeyKind::Browser,
            user_id,
            opened_by,
            name: device.to_owned(),
            prefix: prefix(&secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role,
            follows,
            scopes,
            is_system,
            networks,
            invited: None,
            created_by: name,
            created_at: now,
            expires_at: Some(until.map_or(end, |of_key| of_key.min(end))),
            revoked_at: None,
        };
        Ok(SignedIn { key, secret })
    }

    /// Browsers of a key that are listed.
    async fn browsers_of(&self, opener: &ApiKey) -> Result<u64, AppError> {
        let (mut count, mut after) = (0, None);
        loop {
            let snapshot = self.store.snapshot(opener.tenant_id).await?;
            let page = snapshot.api_keys(after, PAGE).await?;
            let own =
                page.iter().filter(|key| key.value.opened_by.is_some_and(|by| by.key == opener.id));
            count += own.fold(0, |count, _| count + 1);
            after = page.last().map(|key| key.value.id);
            if page.len() < PAGE {
                return Ok(count);
            }
        }
    }

    /// Ends the browser that asks for it; for a caller with a key there is nothing to end.
    ///
    /// # Errors
    /// The store's.
    pub async fn sign_out(&self, ctx: &RequestContext) -> Result<(), AppError> {
        match ctx.principal.credential {
            Some(hash) => self.end_browser(hash, &ctx.request_id).await,
            None => Ok(()),
        }
    }

    /// Ends the browser that shows this secret, because somebody else is signed in there now.
    ///
    /// # Errors
    /// The store's.
    pub async fn replace_browser(&self, secret: &str, request_id: &str) -> Result<(), AppError> {
        self.end_browser(sha256(secret.as_bytes()), request_id).await
    }

    async fn end_browser(&self, hash: [u8; 32], request_id: &str) -> Result<(), AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.store.fleet().await?.api_key(hash).await?;
            let Some(found) = found.filter(|key| key.value.kind == KeyKind::Browser) else {
                return Ok(());
            };
            if found.value.revoked_at.is_some() {
                return Ok(());
            }
            let now = self.clock.now();
            let value = ApiKey { revoked_at: Some(now), ..found.value.clone() };
            let ended = Versioned { version: found.version.next(), value };
            let kind = ("sign_out", EventType::TenantKeyRevoked);
            let who = &found.value;
            match self
                .store
                .commit(change_of(who, kind, Some(&found), &ended, now, request_id))
                .await
            {
                Ok(_) => return Ok(()),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// What opens one socket as the caller, for pages that cannot send headers.
    ///
    /// # Errors
    /// `TooManyLinks`.
    pub fn ticket(&self, ctx: &RequestContext) -> Result<Lent, AppError> {
        let (secret, _) = self.secret_of(TICKET)?;
        let Principal { key, home, is_system, credential, .. } = ctx.principal;
        let maker = Maker { key, tenant: home.unwrap_or(ctx.tenant), is_system };
        let taken = self.tickets.put(&secret, maker, Holder(credential), self.clock.now());
        let expires_at = taken.map_err(|_| AppError::TooManyLinks)?;
        Ok(Lent { secret, expires_at })
    }

    /// Whose ticket this is; it is used up by this.
    #[must_use]
    pub fn redeem(&self, ticket: &str) -> Option<Holder> {
        self.tickets.take(ticket, self.clock.now())
    }
}

/// The change of a browser with its event and its entry in the audit.
pub(super) fn change_of(
    who: &ApiKey,
    (action, event): (&'static str, EventType),
    before: Option<&Versioned<ApiKey>>,
    after: &Versioned<ApiKey>,
    now: Timestamp,
    request_id: &str,
) -> ChangeSet {
    let key = &after.value;
    let expect = before.map_or(Expect::Absent, |before| Expect::At(before.version));
    let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
    let audit = AuditEntry {
        at: now,
        actor: Actor::holding(who.id, who.user_id, who.role),
        action: action.to_owned(),
        subject,
        ok: true,
        reason: None,
        before: before.map(|before| facts(&before.value)),
        after: Some(facts(key)),
        request_id: Some(request_id.to_owned()),
    };
    ChangeSet::new(key.tenant_id)
        .write(Write::ApiKey(Put { expect, value: key.clone() }))
        .events([DomainEvent::new(event, subject, now, news(key))])
        .audit(Some(audit))
}
