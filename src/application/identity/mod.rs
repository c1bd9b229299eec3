//! Who a caller is, and which tenants there are.

pub mod keys;
pub mod quotas;
pub mod settings;
pub mod tenants;

use std::sync::{Arc, PoisonError, RwLock};

use super::agent::BuiltIn;
use super::error::AppError;
use super::ports::changes::{ChangeSet, Counter, CounterChange, Expect, Put, Write};
use super::ports::clock::{Clock, Ids};
use super::ports::store::{CommitError, Store};
use super::principal::Principal;
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{ApiKey, KeySecret, Role, prefix};
use crate::domain::tenant::scope::Scopes;

/// Keys and tenants.
#[derive(Clone)]
pub struct IdentityService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    tenants: Arc<RwLock<Vec<Tenant>>>,
    built_in: Arc<[BuiltIn]>,
}

impl IdentityService {
    /// Over this store; `load` must be called before requests come.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, clock, ids, tenants: Arc::default(), built_in: Arc::default() }
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
            name: "administrator".to_owned(),
            prefix: prefix(secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: Role::Admin,
            scopes: Scopes::all(),
            is_system: true,
            created_by: "orchestrator".to_owned(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
        let event = DomainEvent::new(EventType::TenantKeyCreated, subject, now, keys::news(&key));
        let set = ChangeSet::new(TenantId::BOOTSTRAP)
            .count(Counter::ApiKeys, CounterChange::Add(1))
            .write(Write::ApiKey(Put { expect: Expect::Absent, value: key }))
            .events([event]);
        self.store.commit(set).await?;
        Ok(())
    }

    /// Who shows this secret, and whose key it is; `None` for an unknown, expired or revoked one.
    /// Keys are found by the hash of the whole secret, so that no comparison leaks how much of it
    /// was right.
    ///
    /// # Errors
    /// The store's.
    pub async fn authenticate(
        &self,
        secret: &str,
    ) -> Result<Option<(Principal, TenantId)>, AppError> {
        let hash = sha256(secret.as_bytes());
        let valid = self.key_of(hash).await?;
        Ok(valid.map(|key| {
            let ApiKey { id, tenant_id, name, role, scopes, is_system, .. } = key;
            let credential = Some(hash);
            (Principal { key: id, credential, name, role, scopes, is_system }, tenant_id)
        }))
    }

    /// Whether a secret that was accepted before still is.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_accepted(&self, credential: [u8; 32]) -> Result<bool, AppError> {
        Ok(self.key_of(credential).await?.is_some())
    }

    async fn key_of(&self, hash: [u8; 32]) -> Result<Option<ApiKey>, AppError> {
        let found = self.store.fleet().await?.api_key(hash).await?;
        let now = self.clock.now();
        Ok(found.map(|found| found.value).filter(|key| key.accepts(&hash, now)))
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

    /// Every tenant.
    #[must_use]
    pub fn tenants(&self) -> Vec<Tenant> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
