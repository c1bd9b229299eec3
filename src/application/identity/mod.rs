//! Who a caller is, and which tenants there are.

pub mod browsers;
pub mod invites;
pub mod keys;
pub mod one_time;
pub mod quotas;
pub mod settings;
pub mod tenants;
pub mod users;
mod uses;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use self::browsers::{Holder, LINK_LIFE, Opener, TICKET_LIFE};
use self::one_time::OneTime;
use self::uses::Uses;
use super::agent::BuiltIn;
use super::error::AppError;
use super::ports::changes::{ChangeSet, Counter, CounterChange, Expect, Put, Write};
use super::ports::clock::{Clock, Ids};
use super::ports::store::{CommitError, Store};
use super::principal::Principal;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{ApiKey, KeyKind, KeySecret, Role, prefix};
use crate::domain::tenant::network::Networks;
use crate::domain::tenant::scope::Scopes;
use crate::domain::tenant::user::User;

/// Keys and tenants.
#[derive(Clone)]
pub struct IdentityService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    tenants: Arc<RwLock<Vec<Tenant>>>,
    built_in: Arc<[BuiltIn]>,
    uses: Uses,
    links: Arc<OneTime<Opener>>,
    tickets: Arc<OneTime<Holder>>,
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
            uses: Uses::default(),
            links: Arc::new(OneTime::new(LINK_LIFE)),
            tickets: Arc::new(OneTime::new(TICKET_LIFE)),
        }
    }

    /// With the agents that every new tenant has from the start.
    #[must_use]
    pub fn with_agents(self, built_in: &[BuiltIn]) -> Self {
        Self { built_in: built_in.into(), ..self }
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
        let tenants = tenants.into_iter().map(|found| found.value).collect();
        *self.tenants.write().unwrap_or_else(PoisonError::into_inner) = tenants;
        Ok(())
    }

    /// Whether a key was ever made.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_keys(&self) -> Result<bool, AppError> {
        Ok(self.store.fleet().await?.has_api_keys().await?)
    }

    /// Makes the administrator's key from a secret that only its owner keeps. A secret that is
    /// known already changes nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn admit_administrator(&self, secret: &str) -> Result<(), AppError> {
        let hash = sha256(secret.as_bytes());
        if self.store.fleet().await?.api_key(hash).await?.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let key = ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id: TenantId::BOOTSTRAP,
            kind: KeyKind::Key,
            user_id: None,
            opened_by: None,
            name: "administrator".to_owned(),
            prefix: prefix(secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: Role::Admin,
            scopes: Scopes::all(),
            is_system: true,
            networks: Networks::default(),
            invited: None,
            created_by: "orchestrator".to_owned(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
        let audit = AuditEntry {
            at: now,
            actor: Actor { kind: "system".to_owned(), id: "orchestrator".to_owned(), role: None },
            action: "create_key".to_owned(),
            subject,
            ok: true,
            reason: Some("the administrator's key of this server".to_owned()),
            before: None,
            after: Some(keys::facts(&key)),
            request_id: None,
        };
        let event = DomainEvent::new(EventType::TenantKeyCreated, subject, now, keys::news(&key));
        let set = ChangeSet::new(TenantId::BOOTSTRAP)
            .count(Counter::ApiKeys, CounterChange::Add(1))
            .write(Write::ApiKey(Put { expect: Expect::Absent, value: key }))
            .events([event])
            .audit(Some(audit));
        self.store.commit(set).await?;
        Ok(())
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
    pub async fn is_accepted(&self, credential: [u8; 32], role: Role) -> Result<bool, AppError> {
        let valid = self.key_of(credential).await?;
        Ok(valid.is_some_and(|(key, holder)| Principal::of(key, holder, credential).role == role))
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
        if let Some(opener) = key.opened_by
            && self.usable_key(key.tenant_id, opener).await?.is_none()
        {
            return Ok(None);
        }
        self.held(key).await
    }

    /// A key with whoever holds it; `None` when they are switched off.
    async fn held(&self, key: ApiKey) -> Result<Option<(ApiKey, Option<User>)>, AppError> {
        let Some(id) = key.user_id else { return Ok(Some((key, None))) };
        let holder = self.store.fleet().await?.user(key.tenant_id, id).await?;
        let holder = holder.map(|found| found.value).filter(|holder| holder.is_active);
        Ok(holder.map(|holder| (key, Some(holder))))
    }

    /// A key that is accepted from whoever has its secret.
    async fn usable_key(&self, tenant: TenantId, id: KeyId) -> Result<Option<ApiKey>, AppError> {
        let found = self.store.snapshot(tenant).await?.api_key(id).await?;
        let now = self.clock.now();
        let is_usable = |key: &ApiKey| key.kind == KeyKind::Key && key.ended_at(now).is_none();
        match found.map(|found| found.value).filter(is_usable) {
            Some(key) => Ok(self.held(key).await?.map(|(key, _)| key)),
            None => Ok(None),
        }
    }

    /// The active tenant with this id or slug.
    #[must_use]
    pub fn tenant(&self, reference: &str) -> Option<Tenant> {
        self.any_tenant(reference).filter(|tenant| tenant.is_active)
    }

    /// The tenant with this id or slug, active or not.
    #[must_use]
    pub fn any_tenant(&self, reference: &str) -> Option<Tenant> {
        let id = TenantId::parse(reference);
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let called = |tenant: &&Tenant| Some(tenant.id) == id || tenant.slug == reference;
        tenants.iter().find(called).cloned()
    }

    /// How many requests a tenant may send in a minute; `None` is no bound.
    #[must_use]
    pub fn requests_per_minute(&self, id: TenantId) -> Option<u64> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().find(|tenant| tenant.id == id)?.quotas.requests_per_minute
    }

    /// Every tenant.
    #[must_use]
    pub fn tenants(&self) -> Vec<Tenant> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
