//! Locks that are shared by everybody who works for a tenant, wherever they are held.
//!
//! The queue is fair: see `domain::lock`, whose words this port speaks.

use async_trait::async_trait;

use crate::application::error::AppError;
use crate::domain::ids::{LockId, TenantId};
use crate::domain::lock::{Ask, Departed, Edge, Grant, LockName, Look, LossReason, Owner, Renewal};

/// How all locks of a tenant stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overview {
    /// Names from the one after `after` on, as many as were asked for.
    pub locks: Vec<Look>,
    /// Whether there are more.
    pub has_more: bool,
    /// Names that somebody holds or waits for.
    pub total: usize,
    /// Names that somebody holds.
    pub active: usize,
    /// Requests that wait.
    pub waiting: usize,
}

impl Overview {
    /// Who waits for whom, over the locks that are listed.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.locks.iter().flat_map(|look| &look.edges)
    }
}

/// Fair keyed locks with fencing tokens. A failing store is an error, and never looks like contention.
#[async_trait]
pub trait LockService: Send + Sync {
    /// Waits for all names of the request, or for none of them. Dropping the future gives up the places
    /// in the queues, and what was granted meanwhile.
    ///
    /// # Errors
    /// `Lock` when it is refused; the store's.
    async fn acquire(&self, tenant: TenantId, ask: Ask) -> Result<Vec<Grant>, AppError>;

    /// Lets a hold last from now on.
    ///
    /// # Errors
    /// `Lock` with `NotOwned`, `Lost` or `Stale`.
    async fn renew(&self, tenant: TenantId, renewal: &Renewal) -> Result<Grant, AppError>;

    /// Gives one hold back; `Some` with what is left of it, when it was taken more than once.
    ///
    /// # Errors
    /// `Lock` with `NotOwned`.
    async fn release(
        &self,
        tenant: TenantId,
        name: &LockName,
        lock_id: LockId,
        owner: Owner,
    ) -> Result<Option<Grant>, AppError>;

    /// Takes a name from whoever holds it; those who lost it.
    ///
    /// # Errors
    /// The store's.
    async fn force_release(
        &self,
        tenant: TenantId,
        name: &LockName,
    ) -> Result<Vec<Grant>, AppError>;

    /// Ends everything of somebody who is not there any more; how many holds that were.
    ///
    /// # Errors
    /// The store's.
    async fn end(
        &self,
        tenant: TenantId,
        gone: Departed,
        reason: LossReason,
    ) -> Result<usize, AppError>;

    /// Whether a hold with this token lasts: what a write asks that names one.
    ///
    /// # Errors
    /// The store's.
    async fn is_current(&self, tenant: TenantId, fencing_token: u64) -> Result<bool, AppError>;

    /// One name as it stands; `None` when nobody holds it or waits for it.
    ///
    /// # Errors
    /// The store's.
    async fn look(&self, tenant: TenantId, name: &LockName) -> Result<Option<Look>, AppError>;

    /// All names in byte order, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    async fn overview(
        &self,
        tenant: TenantId,
        after: Option<&LockName>,
        limit: usize,
    ) -> Result<Overview, AppError>;
}
