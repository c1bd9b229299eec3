//! What tenants use: telling of bounds that come near, summing up the days, prices, and the figures.
//!
//! Invariant: everything here follows from records, counters and prices that are stored; a look that
//! was missed is made up for by the next one.

pub mod limits;
pub mod prices;
pub mod query;
pub mod rollup;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::AppError;
use super::ports::clock::Clock;
use super::ports::store::Store;
use super::session::SessionService;
use crate::domain::ids::TenantId;

/// How often all tenants are looked at, whatever happened.
const AT_LEAST_EVERY: Duration = Duration::from_mins(1);

/// The use cases of use.
#[derive(Clone)]
pub struct UsageService {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sessions: SessionService,
}

impl UsageService {
    /// Use cases over the store; sessions are told of what concerns them.
    #[must_use]
    pub const fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sessions: SessionService,
    ) -> Self {
        Self { store, clock, sessions }
    }

    /// Tells of bounds and sums up days, until cancelled.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(Box::pin(self.watch(&stop)), Box::pin(self.sum_up(&stop)));
    }

    /// Every tenant.
    async fn tenants(&self) -> Result<Vec<TenantId>, AppError> {
        let tenants = self.store.fleet().await?.tenants().await?;
        Ok(tenants.into_iter().map(|tenant| tenant.value.id).collect())
    }
}
