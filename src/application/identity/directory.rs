//! The tenants, as every request looks them up: by id or by slug, in memory.
//!
//! Invariant: of two states of a tenant the later one stays, in whichever order they are told.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::ids::TenantId;
use crate::domain::tenant::Tenant;
use crate::domain::version::Versioned;

/// Every tenant.
#[derive(Default)]
pub(super) struct Directory(RwLock<Known>);

#[derive(Default)]
struct Known {
    by_id: HashMap<TenantId, Versioned<Arc<Tenant>>>,
    by_slug: HashMap<String, TenantId>,
}

impl Directory {
    /// Takes a tenant up as it was read or stored.
    pub(super) fn note(&self, found: &Versioned<Tenant>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Versioned { version, value } = found;
        if known.by_id.get(&value.id).is_some_and(|known| known.version >= *version) {
            return;
        }
        // A slug is given once and never changed.
        known.by_slug.insert(value.slug.clone(), value.id);
        let entry = Versioned { version: *version, value: Arc::new(value.clone()) };
        known.by_id.insert(value.id, entry);
    }

    /// The tenant with this id.
    pub(super) fn get(&self, id: TenantId) -> Option<Arc<Tenant>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.by_id.get(&id).map(|found| Arc::clone(&found.value))
    }

    /// The tenant with this id or slug.
    pub(super) fn find(&self, reference: &str) -> Option<Arc<Tenant>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let id = match TenantId::parse(reference) {
            Some(id) if known.by_id.contains_key(&id) => id,
            Some(_) | None => *known.by_slug.get(reference)?,
        };
        known.by_id.get(&id).map(|found| Arc::clone(&found.value))
    }

    /// Every tenant, in order of creation.
    pub(super) fn all(&self) -> Vec<Arc<Tenant>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.by_id.values().map(|found| Arc::clone(&found.value)).collect();
        all.sort_unstable_by_key(|tenant| tenant.id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::domain::version::Version;

    #[test]
    fn an_older_state_does_not_come_back() {
        let directory = Directory::default();
        let tenant = Tenant::bootstrap(Timestamp::from_millis(0));
        let off = Tenant { is_active: false, ..tenant.clone() };
        directory.note(&Versioned { version: Version::FIRST.next(), value: off });
        directory.note(&Versioned { version: Version::FIRST, value: tenant.clone() });
        for found in [directory.get(tenant.id), directory.find(&tenant.slug)] {
            assert!(!found.expect("known").is_active);
        }
        assert_eq!(directory.all().len(), 1);
        assert!(directory.find("another").is_none());
    }
}
