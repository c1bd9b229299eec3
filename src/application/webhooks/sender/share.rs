//! Who may send now: a bound on all messages under way, and one on those of each tenant, so that
//! the slow receivers of one tenant cannot hold up another.
//!
//! Invariant: whoever waits is served in the order of coming.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::application::webhooks::WebhookOptions;
use crate::domain::ids::TenantId;

/// The right to send one message; given back when dropped.
pub(super) struct Permit {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// The bounds.
pub(super) struct Shares {
    all: Arc<Semaphore>,
    of_each: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Shares {
    pub(super) fn new(options: &WebhookOptions) -> Self {
        Self {
            all: Arc::new(Semaphore::new(options.at_once_in_all.max(1))),
            of_each: options.at_once_of_tenant.max(1),
            tenants: Mutex::default(),
        }
    }

    /// Waits for the right to send for a tenant.
    pub(super) async fn permit(&self, tenant: TenantId) -> Result<Permit, AcquireError> {
        let own = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = || Arc::new(Semaphore::new(self.of_each));
            Arc::clone(tenants.entry(tenant).or_insert_with(fresh))
        };
        // One's own bound first: a tenant that has used its share does not queue for the rest.
        let own = own.acquire_owned().await?;
        Ok(Permit { _own: own, _all: Arc::clone(&self.all).acquire_owned().await? })
    }

    /// Forgets tenants for which nothing is under way.
    pub(super) fn tidy(&self) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|_, own| Arc::strong_count(own) > 1);
    }
}
