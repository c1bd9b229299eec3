//! Browsers: signed in with a link or a key, and signed out.
//!
//! What a browser shows is a key of a kind of its own, in the same table and under the same walls, so
//! that it is listed, revoked and watched like every other.
//!
//! Invariant: a browser may do what the key may that it was signed in with, and no longer than that key;
//! it signs no other browser in, so that who has stolen one is out with its end.

use std::net::IpAddr;
use std::time::Duration;

use super::IdentityService;
use super::keys::{facts, news};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::principal::RequestContext;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::KeyId;
use crate::domain::tenant::key::{ApiKey, BROWSER_LIFE, KeyKind, KeySecret, prefix};
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
/// Browsers of one key that are listed, those that have ended lately included.
const MOST_OF_ONE: u64 = 500;
/// Keys that are read at once.
const PAGE: usize = 500;

/// The key that signs a browser in.
#[derive(Debug, Clone)]
pub struct Opener {
    /// The key.
    pub key: ApiKey,
    /// When the secret that was shown of it ends, which may be before the key does.
    pub until: Option<Timestamp>,
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

/// A browser that was signed in.
pub struct SignedIn {
    /// What is kept of it.
    pub key: ApiKey,
    /// What it shows from now on; told once.
    pub secret: String,
}

impl IdentityService {
    /// What signs a browser in, once, with the rights of the caller's key.
    ///
    /// # Errors
    /// `PrivilegeEscalation` for a caller without a key: a browser, or nobody in particular; `Busy`.
    pub async fn login_link(&self, ctx: &RequestContext) -> Result<Lent, AppError> {
        let found = match ctx.principal.credential {
            Some(hash) => self.opener_with(hash).await?,
            None => None,
        };
        self.link_to(found.ok_or(AppError::PrivilegeEscalation)?)
    }

    /// The same for whoever has this secret; `None` when it is no key that is accepted.
    ///
    /// # Errors
    /// `Busy`, the store's.
    pub async fn login_link_of(&self, secret: &str) -> Result<Option<Lent>, AppError> {
        let found = self.opener_with(sha256(secret.as_bytes())).await?;
        found.map(|opener| self.link_to(opener)).transpose()
    }

    async fn opener_with(&self, hash: [u8; 32]) -> Result<Option<Opener>, AppError> {
        let found = self.key_of(hash).await?.filter(|(key, _)| key.kind == KeyKind::Key);
        Ok(found.map(|(key, _)| Opener { until: key.reach_of(&hash).until, key }))
    }

    fn link_to(&self, opener: Opener) -> Result<Lent, AppError> {
        let (secret, _) = self.secret_of(LINK)?;
        let taken = self.links.put(&secret, opener.key.id, opener, self.clock.now());
        let expires_at = taken.map_err(|_| AppError::Busy)?;
        Ok(Lent { secret, expires_at })
    }

    /// The key that opens the door to whoever shows this; a link is used up by it.
    ///
    /// # Errors
    /// `TenantNotFound` when the key's tenant is switched off; the store's.
    pub async fn opener(&self, proof: &Proof, peer: IpAddr) -> Result<Option<Opener>, AppError> {
        let found = match proof {
            Proof::Key(secret) => self.opener_with(sha256(secret.as_bytes())).await?,
            Proof::Link(secret) => self.opener_by_link(secret).await?,
        };
        let found = found.filter(|opener| opener.key.networks.admit(peer));
        if let Some(Opener { key, until: _ }) = found.as_ref().filter(|found| !found.key.is_system)
            && self.tenant(&key.tenant_id.to_string()).is_none()
        {
            return Err(AppError::TenantNotFound);
        }
        Ok(found)
    }

    /// The key behind a link, as it is by now.
    async fn opener_by_link(&self, secret: &str) -> Result<Option<Opener>, AppError> {
        let now = self.clock.now();
        let Some(Opener { key, until }) = self.links.take(secret, now) else { return Ok(None) };
        if until.is_some_and(|end| end <= now) {
            return Ok(None);
        }
        let found = self.usable_key(key.tenant_id, key.id).await?;
        Ok(found.map(|key| Opener { key, until }))
    }

    /// Signs a browser in with a key.
    ///
    /// # Errors
    /// `QuotaExceeded` when a key has signed in too many; the store's.
    pub async fn sign_in(
        &self,
        Opener { key: opener, until }: &Opener,
        device: &str,
        request_id: &str,
    ) -> Result<SignedIn, AppError> {
        let used = self.browsers_of(opener).await?;
        if used >= MOST_OF_ONE {
            return Err(AppError::QuotaExceeded { quota: "browsers", limit: MOST_OF_ONE, used });
        }
        let (secret, hash) = self.secret_of(BROWSER)?;
        let now = self.clock.now();
        let end = now.after(BROWSER_LIFE);
        let key = ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id: opener.tenant_id,
            kind: KeyKind::Browser,
            user_id: opener.user_id,
            opened_by: Some(opener.id),
            name: device.to_owned(),
            prefix: prefix(&secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: opener.role,
            scopes: opener.scopes.clone(),
            is_system: opener.is_system,
            networks: opener.networks.clone(),
            invited: None,
            created_by: opener.name.clone(),
            created_at: now,
            expires_at: Some(until.map_or(end, |of_key| of_key.min(end))),
            revoked_at: None,
        };
        let found = Versioned { version: Version::FIRST, value: key };
        let kind = ("sign_in", EventType::TenantKeyCreated);
        let set = change_of(opener, kind, None, &found, now, request_id);
        self.store.commit(set).await?;
        Ok(SignedIn { key: found.value, secret })
    }

    /// Browsers of a key that are listed.
    async fn browsers_of(&self, opener: &ApiKey) -> Result<u64, AppError> {
        let (mut count, mut after) = (0, None);
        loop {
            let snapshot = self.store.snapshot(opener.tenant_id).await?;
            let page = snapshot.api_keys(after, PAGE).await?;
            let own = page.iter().filter(|key| key.value.opened_by == Some(opener.id));
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
        let Some(hash) = ctx.principal.credential else { return Ok(()) };
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
            let (who, request_id) = (&found.value, &ctx.request_id);
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
    /// `Busy`.
    pub fn ticket(&self, ctx: &RequestContext) -> Result<Lent, AppError> {
        let (secret, _) = self.secret_of(TICKET)?;
        let (maker, value) = (ctx.principal.key, Holder(ctx.principal.credential));
        let taken = self.tickets.put(&secret, maker, value, self.clock.now());
        let expires_at = taken.map_err(|_| AppError::Busy)?;
        Ok(Lent { secret, expires_at })
    }

    /// Whose ticket this is; it is used up by this.
    #[must_use]
    pub fn redeem(&self, ticket: &str) -> Option<Holder> {
        self.tickets.take(ticket, self.clock.now())
    }
}

/// The change of a browser with its event and its entry in the audit.
fn change_of(
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
    let role = Some(who.role.as_str().to_owned());
    let audit = AuditEntry {
        at: now,
        actor: match who.user_id {
            Some(user) => Actor { kind: "user".to_owned(), id: user.to_string(), role },
            None => Actor { kind: "key".to_owned(), id: who.id.to_string(), role },
        },
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
