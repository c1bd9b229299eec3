//! What external agents and we know each other by.
//!
//! Invariant: an agent's own token is kept as a hash alone. What we show to it follows from the server's key,
//! the agent and that hash, so that it need not be kept, and changes with it.

use std::sync::Arc;

use crate::application::error::AppError;
use crate::application::ports::sealer::Sealer;
use crate::application::ports::store::Store;
use crate::domain::ids::{AgentId, KeyId, TenantId};
use crate::domain::tenant::key::{ApiKey, KeyKind, KeySecret};
use crate::domain::time::Timestamp;

/// The key that an agent's token opens has the id of the agent.
#[must_use]
pub const fn key_of(agent: AgentId) -> KeyId {
    KeyId::new(agent.uuid())
}

/// The agent that a key of this kind is for.
#[must_use]
pub const fn agent_of(key: KeyId) -> AgentId {
    AgentId::new(key.uuid())
}

/// Makes what we show to external agents.
#[derive(Clone)]
pub(super) struct DispatchTokens {
    store: Arc<dyn Store>,
    sealer: Arc<dyn Sealer>,
}

impl DispatchTokens {
    /// From this server's key.
    #[must_use]
    pub(super) fn new(store: Arc<dyn Store>, sealer: Arc<dyn Sealer>) -> Self {
        Self { store, sealer }
    }

    /// What an agent with this key is shown; `None` when it has no secret.
    #[must_use]
    pub(super) fn for_key(&self, key: &ApiKey) -> Option<String> {
        let newest = key.secrets.first().filter(|_| key.kind == KeyKind::Agent)?;
        Some(self.for_secret(key, newest))
    }

    fn for_secret(&self, key: &ApiKey, secret: &KeySecret) -> String {
        let purpose = [b"dispatch".as_slice(), key.id.as_bytes(), &secret.hash].concat();
        self.sealer.derive(&purpose)
    }

    /// What an agent is shown, and what it was shown before that was replaced, while its own token of
    /// that time is accepted, too; `None` for one that has no token of its own.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn of(
        &self,
        tenant: TenantId,
        agent: AgentId,
        now: Timestamp,
    ) -> Result<Option<(String, Option<String>)>, AppError> {
        let key = self.store.snapshot(tenant).await?.api_key(key_of(agent)).await?;
        Ok(key.and_then(|found| {
            let key = found.value;
            let is_good = |secret: &&KeySecret| secret.expires_at.is_some_and(|end| now < end);
            let before = key.secrets.get(1).filter(is_good);
            let before = before.map(|secret| self.for_secret(&key, secret));
            Some((self.for_key(&key)?, before))
        }))
    }
}
