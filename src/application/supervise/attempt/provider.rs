//! What a run tells of the provider of its model: whether it wants to be left alone.

use super::Supervisor;
use crate::application::error::AppError;
use crate::domain::ids::AgentId;
use crate::domain::time::Timestamp;

impl Supervisor {
    /// The provider limits the rate, or is overloaded: nothing new is given to this agent for it.
    pub(super) async fn leave_provider_alone(
        &self,
        said: &str,
        until: Option<Timestamp>,
    ) -> Result<(), AppError> {
        if let Some((agent, provider)) = self.provider().await? {
            let (cooldowns, now) = (self.tools.agents.cooldowns(), self.tools.clock.now());
            cooldowns.begin(agent, provider.as_deref(), said, until, now);
        }
        Ok(())
    }

    /// The provider answered again.
    pub(super) async fn provider_is_back(&self) -> Result<(), AppError> {
        if let Some((agent, provider)) = self.provider().await? {
            self.tools.agents.cooldowns().end(agent, provider.as_deref());
        }
        Ok(())
    }

    /// Who works here, and whose model it uses; `None` when the lease is gone.
    async fn provider(&self) -> Result<Option<(AgentId, Option<String>)>, AppError> {
        let Some(session) = self.held_session().await? else { return Ok(None) };
        let provider = session.spec.provider().map(str::to_owned);
        Ok(session.run.lease.map(|lease| (lease.agent_id, provider)))
    }
}
