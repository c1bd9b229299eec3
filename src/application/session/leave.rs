//! Sessions whose agent was removed while it worked on them.
//!
//! Invariant: no work and no retry is lost by it: what is done is saved, and the session waits for
//! another agent as one that is to go on.

use super::SessionService;
use super::change::{By, Change};
use super::checkpoint::state_of;
use super::control::apply;
use super::next::{begin_anew, begin_elsewhere};
use super::report::SUPERVISOR;
use crate::application::error::AppError;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::session::checkpoint::CheckpointTrigger;
use crate::domain::session::status::Trigger;

impl SessionService {
    /// Takes a session away from an agent that was removed; `false` when that agent has nothing more to
    /// do for it. The conversation ends with the agent: the next one is told the task, and what people
    /// added to it.
    ///
    /// # Errors
    /// The store's.
    pub async fn leave_agent(
        &self,
        tenant: TenantId,
        id: SessionId,
        agent: AgentId,
    ) -> Result<bool, AppError> {
        let by = By::Part(tenant, SUPERVISOR);
        let works = |session: &Session| {
            let lease = session.run.lease.as_ref();
            session.status().is_executing()
                && session.run.prompt.is_some()
                && lease.is_some_and(|lease| lease.agent_id == agent)
        };
        let found = self.snapshot(tenant).await?.session(id).await?;
        if !found.is_some_and(|found| works(&found.value)) {
            return Ok(false);
        }
        let limit = self.options.checkpoint_timeout;
        let saved = self.save_work(by, id, Trigger::Pause, limit).await?;
        let uuids = [self.ids.uuid(), self.ids.uuid(), self.ids.uuid()];
        let decide = |change: &mut Change| {
            if !works(&change.session) {
                return Ok(false);
            }
            let now = self.clock.now();
            for item in &mut change.items {
                item.expire(SUPERVISOR, now);
                item.agent_ref.clear();
                if item.kind.blocks() {
                    change.session.unblock(now);
                }
            }
            let state = state_of(change, saved.clone());
            change.checkpoint(uuids[0], CheckpointTrigger::Pause, state, now);
            let session = &mut change.session;
            let first = begin_elsewhere(&session.spec.initial_prompt, uuids[1], now);
            begin_anew(session, first, uuids[2]);
            (session.run.handle, session.run.message_ref) = (None, None);
            let goes_on = session.run.pause_wanted.is_none();
            let cause = by.cause(now).because("its agent was removed");
            apply(change, |session| session.pause(cause))?;
            change.session.run.resume_wanted = goes_on;
            Ok(true)
        };
        Ok(self.change(by, id, "leave", None, decide).await?.1)
    }
}
