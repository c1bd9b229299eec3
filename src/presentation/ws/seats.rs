//! Places for connections that stay: sockets and live streams.
//!
//! Invariant: a place is given back when its holder is dropped, however that comes about; it ends
//! within a second when the secret that was shown for it is no longer accepted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::application::error::AppError;
use crate::application::principal::{Rank, RequestContext};
use crate::domain::ids::{KeyId, TenantId};
use crate::presentation::api::codes::ErrorCode;
use crate::presentation::api::problem::Problem;
use crate::presentation::api::state::{AppState, WsOptions};

/// Time between two looks at the secrets behind the places.
const LOOK: Duration = Duration::from_millis(500);

/// All places of the server.
#[derive(Clone, Default)]
pub struct Seats(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    total: usize,
    tenants: HashMap<TenantId, usize>,
    principals: HashMap<(TenantId, KeyId), usize>,
    /// What ends the places of a secret in a tenant, and how many there are of them.
    shown: HashMap<Shown, (CancellationToken, usize)>,
}

/// In which tenant, by which secret (none in `--dev`), and with which rights.
type Shown = (TenantId, Option<[u8; 32]>, Rank);

/// One place.
pub struct Seat {
    all: Seats,
    tenant: TenantId,
    key: KeyId,
    credential: Option<[u8; 32]>,
    rank: Rank,
    over: CancellationToken,
}

impl Seat {
    /// Cancelled when the secret that was shown for the place is no longer accepted, or its tenant is
    /// switched off.
    #[must_use]
    pub const fn over(&self) -> &CancellationToken {
        &self.over
    }
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
        let (credential, rank) = (ctx.principal.credential, ctx.principal.rank());
        let (over, places) = taken.shown.entry((tenant, credential, rank)).or_default();
        *places += 1;
        // Those of before are on their way out; the secret is accepted again.
        if over.is_cancelled() {
            *over = CancellationToken::new();
        }
        let over = over.clone();
        drop(taken);
        Ok(Seat { all: self.clone(), tenant, key, credential, rank, over })
    }

    /// What stands behind all places.
    fn shown(&self) -> Vec<Shown> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.shown.keys().copied().collect()
    }

    /// Ends the places of a secret in a tenant.
    fn end(&self, shown: &Shown) {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((over, _)) = taken.shown.get(shown) {
            over.cancel();
        }
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
        let shown = (self.tenant, self.credential, self.rank);
        if let Some((_, places)) = taken.shown.get_mut(&shown) {
            *places -= 1;
            if *places == 0 {
                taken.shown.remove(&shown);
            }
        }
    }
}

/// Ends places whose secret was revoked, replaced or has come to its end or to other rights, and those
/// in a tenant that was switched off, until the server goes down. There are a thousand places at the most, so that all are
/// looked at: nothing depends on news that might be missed.
pub async fn watch(app: AppState) {
    loop {
        tokio::select! {
            biased;
            () = app.shutdown.cancelled() => return,
            () = app.clock.sleep(LOOK) => {}
        }
        for shown in app.seats.shown() {
            match is_accepted(&app, shown).await {
                Ok(true) => {}
                Ok(false) => app.seats.end(&shown),
                Err(error) => tracing::debug!(%error, "A key could not be looked at"),
            }
        }
    }
}

async fn is_accepted(app: &AppState, (tenant, credential, rank): Shown) -> Result<bool, AppError> {
    if app.identity.active_tenant(tenant).is_none() {
        return Ok(false);
    }
    match credential {
        Some(credential) => app.identity.is_accepted(credential, rank).await,
        None => Ok(true),
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
