//! Who a caller is, and which tenants there are.

pub mod administrator;
mod admit;
pub mod browsers;
mod directory;
pub mod invites;
pub mod keys;
pub mod one_time;
mod open_invites;
pub mod provider;
pub mod quotas;
pub mod settings;
pub mod tenants;
pub mod users;
mod uses;

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Mutex;

use self::browsers::{Holder, LINK_LIFE, Opener, TICKET_LIFE};
use self::directory::Directory;
use self::one_time::OneTime;
use self::uses::Uses;
use super::error::AppError;
use super::ports::changes::{ChangeSet, Expect, Put, Write};
use super::ports::clock::{Clock, Ids};
use super::ports::store::{CommitError, Store};
use super::principal::{Principal, Rank};
use crate::domain::agent::draft::AgentDraft;
use crate::domain::canonical::sha256;
use crate::domain::ids::TenantId;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{ApiKey, KeyKind, OpenedBy};
use crate::domain::tenant::retention::Retention;
use crate::domain::tenant::user::User;

/// Keys and tenants.
#[derive(Clone)]
pub struct IdentityService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    tenants: Arc<Directory>,
    built_in: Arc<[AgentDraft]>,
    kept: Retention,
    uses: Uses,
    links: Arc<OneTime<Opener>>,
    tickets: Arc<OneTime<Holder>>,
    /// Whoever signs a browser in.
    signing_in: Arc<Mutex<()>>,
}

impl IdentityService {
    /// Over this store; `load` must be called before requests come.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self {
            store,
            clock,
            ids,
            tenants: Arc::default(),
            built_in: Arc::default(),
            kept: Retention::default(),
            uses: Uses::default(),
            links: Arc::new(OneTime::new(LINK_LIFE)),
            tickets: Arc::new(OneTime::new(TICKET_LIFE)),
            signing_in: Arc::default(),
        }
    }

    /// With the agents that every new tenant has from the start.
    #[must_use]
    pub fn with_agents(self, built_in: &[AgentDraft]) -> Self {
        Self { built_in: built_in.into(), ..self }
    }

    /// On a server that keeps things for so long, and for no tenant any longer.
    #[must_use]
    pub fn keeping(self, kept: Retention) -> Self {
        Self { kept, ..self }
    }

    /// Makes the bootstrap tenant on an empty store, and reads the tenants.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(&self) -> Result<(), AppError> {
        let mut tenants = self.store.fleet().await?.tenants().await?;
        if tenants.is_empty() {
            let tenant = Tenant::bootstrap(self.clock.now());
            let put = Put { expect: Expect::Absent, value: tenant };
            let set = ChangeSet::new(TenantId::BOOTSTRAP).write(Write::Tenant(put));
            match self.store.commit(set).await {
                Ok(_) | Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
            tenants = self.store.fleet().await?.tenants().await?;
        }
        for tenant in &tenants {
            self.tenants.note(tenant);
        }
        Ok(())
    }

    /// Whether a key was ever made.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_keys(&self) -> Result<bool, AppError> {
        Ok(self.store.fleet().await?.has_api_keys().await?)
    }

    /// Who shows this secret as one of this kind from this address, and whose key it is; `None` for an
    /// unknown, expired or revoked one, one of another kind, one that is not accepted from there, and
    /// one of somebody who is switched off.
    /// Keys are found by the hash of the whole secret, so that no comparison leaks how much of it
    /// was right.
    ///
    /// # Errors
    /// The store's.
    pub async fn authenticate(
        &self,
        secret: &str,
        kind: KeyKind,
        peer: IpAddr,
    ) -> Result<Option<(Principal, TenantId)>, AppError> {
        let hash = sha256(secret.as_bytes());
        let found = self.key_of(hash).await?;
        let valid = found.filter(|(key, _)| key.kind == kind && key.networks.admit(peer));
        Ok(valid.map(|(key, holder)| {
            self.uses.note(key.tenant_id, key.id, self.clock.now());
            let home = key.tenant_id;
            (Principal::of(key, holder, hash), home)
        }))
    }

    /// Who showed a secret with this hash, when it still is accepted from this address.
    ///
    /// # Errors
    /// The store's.
    pub async fn whoever_showed(
        &self,
        credential: [u8; 32],
        peer: IpAddr,
    ) -> Result<Option<(Principal, TenantId)>, AppError> {
        let found = self.key_of(credential).await?.filter(|(key, _)| key.networks.admit(peer));
        Ok(found.map(|(key, holder)| {
            let home = key.tenant_id;
            (Principal::of(key, holder, credential), home)
        }))
    }

    /// Whether a secret that was accepted before still is, with the same rights.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_accepted(&self, credential: [u8; 32], rank: Rank) -> Result<bool, AppError> {
        let valid = self.key_of(credential).await?;
        Ok(valid.is_some_and(|(key, holder)| Principal::of(key, holder, credential).rank() == rank))
    }

    /// The key that a secret opens, with who holds it.
    async fn key_of(&self, hash: [u8; 32]) -> Result<Option<(ApiKey, Option<User>)>, AppError> {
        let fleet = self.store.fleet().await?;
        let now = self.clock.now();
        // An invitation opens nothing but its own route.
        let opens = |key: &ApiKey| key.kind != KeyKind::Invite && key.accepts(&hash, now);
        let Some(key) = fleet.api_key(hash).await?.map(|found| found.value).filter(opens) else {
            return Ok(None);
        };
        drop(fleet);
        let Some(shown) = key.opened_by else { return self.held(key).await };
        let Some(opener) = self.opening_key(key.tenant_id, shown).await? else {
            return Ok(None);
        };
        self.held(ApiKey { role: key.role.min(opener.role), ..key }).await
    }

    /// A key with whoever holds it; `None` when they are switched off.
    async fn held(&self, key: ApiKey) -> Result<Option<(ApiKey, Option<User>)>, AppError> {
        let Some(id) = key.user_id else { return Ok(Some((key, None))) };
        let holder = self.store.fleet().await?.user(key.tenant_id, id).await?;
        let holder = holder.map(|found| found.value).filter(|holder| holder.is_active);
        Ok(holder.map(|holder| (key, Some(holder))))
    }

    /// The key that opened something, while the very secret that was shown for it is accepted.
    async fn opening_key(
        &self,
        tenant: TenantId,
        OpenedBy { key, secret }: OpenedBy,
    ) -> Result<Option<ApiKey>, AppError> {
        let found = self.store.snapshot(tenant).await?.api_key(key).await?;
        let now = self.clock.now();
        let is_usable = |key: &ApiKey| key.kind == KeyKind::Key && key.accepts(&secret, now);
        match found.map(|found| found.value).filter(is_usable) {
            Some(key) => Ok(self.held(key).await?.map(|(key, _)| key)),
            None => Ok(None),
        }
    }

    /// The active tenant with this id or slug.
    #[must_use]
    pub fn tenant(&self, reference: &str) -> Option<Arc<Tenant>> {
        self.any_tenant(reference).filter(|tenant| tenant.is_active)
    }

    /// The tenant with this id or slug, active or not.
    #[must_use]
    pub fn any_tenant(&self, reference: &str) -> Option<Arc<Tenant>> {
        self.tenants.find(reference)
    }

    /// The active tenant with this id.
    #[must_use]
    pub fn active_tenant(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.tenants.get(id).filter(|tenant| tenant.is_active)
    }

    /// How many requests a tenant may send in a minute; `None` is no bound.
    #[must_use]
    pub fn requests_per_minute(&self, id: TenantId) -> Option<u64> {
        self.tenants.get(id)?.quotas.requests_per_minute
    }

    /// Every tenant.
    #[must_use]
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.tenants.all()
    }
}
