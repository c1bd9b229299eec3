//! Agents, tenants and keys: what is found by a name or a secret, which only one of them may have.

use super::keys::{self, Key};
use super::plan::Planner;
use super::records::Reference;
use super::rows::Rows;
use super::tables::Table;
use crate::application::ports::changes::Put;
use crate::application::ports::store::{CommitError, StoreError};
use crate::domain::agent::Agent;
use crate::domain::ids::AgentId;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{ApiKey, KeySecret};
use crate::domain::version::Versioned;

impl<R: Rows> Planner<'_, R> {
    pub(super) fn agent_is_open(&self, id: AgentId) -> Result<bool, StoreError> {
        let key = keys::agent(self.tenant, id);
        let found: Option<Versioned<Agent>> = self.rows.record(Table::Agents, &key)?;
        Ok(found.is_some_and(|agent| agent.value.is_open()))
    }

    pub(super) fn put_agent(&mut self, put: Put<Agent>) -> Result<(), CommitError> {
        let key = keys::agent(self.tenant, put.value.id);
        let (old, Agent { id, name, deleted_at, .. }) = self.put(Table::Agents, key, put)?;
        let key = keys::agent_name(self.tenant, &name);
        let own = Reference(*id.as_bytes());
        let had = old.filter(|old| old.deleted_at.is_none()).map(|old| old.name);
        if deleted_at.is_some() {
            if let Some(had) = had {
                self.plan.remove(Table::AgentsByName, keys::agent_name(self.tenant, &had));
            }
            return Ok(());
        }
        match self.rows.record::<Reference>(Table::AgentsByName, &key)? {
            Some(holder) if holder != own => return Err(CommitError::Refused),
            Some(_) => {}
            None => self.plan.insert(Table::AgentsByName, key, &own)?,
        }
        if let Some(had) = had.filter(|had| *had != name) {
            self.plan.remove(Table::AgentsByName, keys::agent_name(self.tenant, &had));
        }
        Ok(())
    }

    pub(super) fn put_tenant(&mut self, put: Put<Tenant>) -> Result<(), CommitError> {
        let (_, Tenant { id, slug, .. }) =
            self.put(Table::Tenants, keys::tenant(self.tenant), put)?;
        let (key, own) = (keys::tenant_slug(&slug), Reference(*id.as_bytes()));
        match self.rows.record::<Reference>(Table::TenantsBySlug, &key)? {
            Some(holder) if holder != own => Err(CommitError::Refused),
            Some(_) => Ok(()),
            None => self.plan.insert(Table::TenantsBySlug, key, &own),
        }
    }

    pub(super) fn put_api_key(&mut self, put: Put<ApiKey>) -> Result<(), CommitError> {
        let (old, now) = self.put(Table::ApiKeys, keys::api_key(self.tenant, put.value.id), put)?;
        let entry = |secret: &KeySecret| keys::api_key_by_secret(&secret.hash, self.tenant, now.id);
        let before: Vec<Key> = old.iter().flat_map(|old| &old.secrets).map(entry).collect();
        let after: Vec<Key> = now.secrets.iter().map(entry).collect();
        for secret in now.secrets.iter().filter(|secret| !before.contains(&entry(secret))) {
            // A secret opens one door.
            let known = keys::api_keys_by_secret(&secret.hash);
            if !self.rows.keys(Table::ApiKeysBySecret, &known, 1)?.is_empty() {
                return Err(CommitError::Refused);
            }
        }
        for key in before.iter().filter(|key| !after.contains(key)) {
            self.plan.remove(Table::ApiKeysBySecret, key.clone());
        }
        self.index_holder(old.as_ref(), &now);
        for key in after.into_iter().filter(|key| !before.contains(key)) {
            self.plan.mark(Table::ApiKeysBySecret, key);
        }
        Ok(())
    }
}
