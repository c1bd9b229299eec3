//! Fencing tokens for leases and locks, from one durable counter of the tenant.
//!
//! Invariant: a token is larger than every one before, across restarts. The counter is raised to the end
//! of a block before any token of the block is given, so that a grant needs no commit of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Counter, CounterChange};
use crate::application::ports::store::{Sequence, Store};
use crate::domain::ids::TenantId;
use crate::domain::lock::{MOST_NAMES, Tokens};

/// Tokens that one commit reserves.
const BLOCK: u64 = 4096;
/// With fewer than this another block is waited for.
const LOW: u64 = MOST_NAMES as u64 * 4;

/// The tokens of one tenant.
#[derive(Default)]
pub struct Block {
    tokens: Mutex<Tokens>,
    /// Held by whoever reserves the next block.
    reserving: tokio::sync::Mutex<()>,
}

impl Block {
    /// What is left. Held for a moment only.
    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokens of all tenants.
#[derive(Clone)]
pub struct FencingTokens {
    store: Arc<dyn Store>,
    blocks: Arc<Mutex<HashMap<TenantId, Arc<Block>>>>,
}

impl FencingTokens {
    /// From the counters of this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, blocks: Arc::default() }
    }

    /// The tokens of a tenant.
    #[must_use]
    pub fn of(&self, tenant: TenantId) -> Arc<Block> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(blocks.entry(tenant).or_default())
    }

    /// The next token of a tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn next(&self, tenant: TenantId) -> Result<u64, AppError> {
        let block = self.of(tenant);
        loop {
            self.ready(tenant, &block).await?;
            if let Some(token) = block.tokens().take() {
                return Ok(token);
            }
        }
    }

    /// Sees to it that there are enough. Half a block ahead one caller pays for all; others wait only
    /// when next to nothing is left.
    ///
    /// # Errors
    /// The store's.
    pub async fn ready(&self, tenant: TenantId, block: &Block) -> Result<(), AppError> {
        let left = block.tokens().left();
        if left >= BLOCK / 2 {
            return Ok(());
        }
        let held = if left >= LOW {
            let Ok(held) = block.reserving.try_lock() else { return Ok(()) };
            held
        } else {
            block.reserving.lock().await
        };
        let (left, end) = {
            let tokens = block.tokens();
            (tokens.left(), tokens.end())
        };
        if left >= BLOCK / 2 {
            return Ok(());
        }
        let reserved = self.reserve(tenant, end).await;
        drop(held);
        match reserved {
            Ok((first, end)) => {
                let mut tokens = block.tokens();
                match first {
                    Some(first) => *tokens = Tokens::new(first, end),
                    None => tokens.extend(end),
                }
                Ok(())
            }
            // Those that are left will do for now.
            Err(_) if left >= LOW => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Raises the counter; the first number when none was taken before, and the last one.
    async fn reserve(&self, tenant: TenantId, end: u64) -> Result<(Option<u64>, u64), AppError> {
        let first = match end {
            0 => Some(self.store.allocate(tenant, Sequence::FencingTokens).await?),
            _ => None,
        };
        let end = first.map_or(end, |first| first - 1) + BLOCK;
        let raise = CounterChange::AtLeast(end);
        let set = ChangeSet::new(tenant).count(Counter::FencingTokens, raise);
        self.store.commit(set).await?;
        Ok((first, end))
    }
}
