//! Who a caller is, and which tenants there are.

pub mod quotas;
pub mod settings;

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::json;

use super::error::AppError;
use super::ports::changes::{ChangeSet, Expect, Put, Write};
use super::ports::clock::{Clock, Ids};
use super::ports::store::{CommitError, Store};
use super::principal::Principal;
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{ApiKey, Role};

/// Keys and tenants.
#[derive(Clone)]
pub struct IdentityService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    tenants: Arc<RwLock<Vec<Tenant>>>,
}

impl IdentityService {
    /// Over this store; `load` must be called before requests come.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, clock, ids, tenants: Arc::default() }
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
            prefix: secret.chars().take(12).collect(),
            hash,
            role: Role::Admin,
            is_system: true,
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
        let payload = json!({ "prefix": key.prefix, "role": key.role, "scopes": ["*"] });
        let event = DomainEvent::new(EventType::TenantKeyCreated, subject, now, payload);
        let set = ChangeSet::new(TenantId::BOOTSTRAP)
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
        let found = self.store.fleet().await?.api_key(hash).await?;
        let valid = found.map(|found| found.value).filter(|key| key.is_valid(self.clock.now()));
        Ok(valid.map(|key| {
            let principal =
                Principal { key: key.id, name: key.name, role: key.role, is_system: key.is_system };
            (principal, key.tenant_id)
        }))
    }

    /// The active tenant with this id or slug.
    #[must_use]
    pub fn tenant(&self, reference: &str) -> Option<Tenant> {
        let id = TenantId::parse(reference);
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let called = |tenant: &&Tenant| Some(tenant.id) == id || tenant.slug == reference;
        tenants.iter().find(|tenant| tenant.is_active && called(tenant)).cloned()
    }

    /// Every tenant.
    #[must_use]
    pub fn tenants(&self) -> Vec<Tenant> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
