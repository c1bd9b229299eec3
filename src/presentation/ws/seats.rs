//! Places for connections that stay: sockets and live streams.
//!
//! Invariant: a place is given back when its holder is dropped, however that comes about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::application::principal::RequestContext;
use crate::domain::ids::{KeyId, TenantId};
use crate::presentation::api::codes::ErrorCode;
use crate::presentation::api::problem::Problem;
use crate::presentation::api::state::WsOptions;

/// All places of the server.
#[derive(Clone, Default)]
pub struct Seats(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    total: usize,
    tenants: HashMap<TenantId, usize>,
    principals: HashMap<(TenantId, KeyId), usize>,
}

/// One place.
pub struct Seat {
    all: Seats,
    tenant: TenantId,
    key: KeyId,
}

impl Seats {
    /// A place for this caller.
    ///
    /// # Errors
    /// `RATE_LIMITED` when the caller, its tenant or the server has no place left.
    pub fn take(&self, ctx: &RequestContext, options: &WsOptions) -> Result<Seat, Problem> {
        let (tenant, key) = (ctx.tenant, ctx.principal.key);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = taken.tenants.get(&tenant).copied().unwrap_or(0);
        let of_principal = taken.principals.get(&(tenant, key)).copied().unwrap_or(0);
        let full = [
            ("the server", taken.total, options.total),
            ("this tenant", of_tenant, options.per_tenant),
            ("this key", of_principal, options.per_principal),
        ];
        for (whose, used, limit) in full {
            if used >= limit {
                let detail = format!("{whose} has {limit} live connections already");
                return Err(Problem::new(ErrorCode::RateLimited, detail).retry_after(5));
            }
        }
        taken.total += 1;
        *taken.tenants.entry(tenant).or_default() += 1;
        *taken.principals.entry((tenant, key)).or_default() += 1;
        drop(taken);
        Ok(Seat { all: self.clone(), tenant, key })
    }

    /// Connections of a tenant.
    #[must_use]
    pub fn of(&self, tenant: TenantId) -> usize {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.tenants.get(&tenant).copied().unwrap_or(0)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(1);
        less(&mut taken.tenants, &self.tenant);
        less(&mut taken.principals, &(self.tenant, self.key));
    }
}

fn less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
