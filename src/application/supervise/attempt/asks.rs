//! What an agent asks people: items are raised and closed by what the agent says is open, and what
//! people decide is told to it, once for each time that it asked.
//!
//! Invariant: an answer goes only to an ask that this run was told of, and to nothing that the agent
//! asks under the same name afterwards. What was decided before the
//! agent asks again waits until it does, or until the turn is over.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Supervisor;
use crate::application::error::AppError;
use crate::application::ports::driver::{Answer, Ask, Running};
use crate::application::session::ask::CALLED;
use crate::domain::attention::{AttentionItem, AttentionKind, AttentionState, Decision};
use crate::domain::ids::AttentionId;
use crate::domain::time::Timestamp;

/// An item of an earlier run, which the agent has not asked again for so long, is gone.
const ASKED_AGAIN_WITHIN: Duration = Duration::from_mins(1);
/// An answer that did not reach the agent is told again after this.
const TOLD_AGAIN: Duration = Duration::from_secs(1);
/// Asks of one run that may wait for an answer at once.
pub(super) const MOST_ASKS: usize = 100;
/// Items of a session that are looked at.
const ITEMS: usize = 1000;

impl Supervisor {
    /// Whether this would be one more than anybody can look through.
    pub(super) fn asks_too_much(&self, ask: &Ask) -> bool {
        let waiting = self.asks.keys().filter(|name| !self.answered.contains_key(*name));
        !self.asks.contains_key(&ask.agent_ref) && waiting.count() >= MOST_ASKS
    }

    /// The agent asks, for the first time or once more.
    pub(super) async fn asked(&mut self, running: &Running, ask: Ask) -> Result<(), AppError> {
        // It did not hear its answer, or this is an older word: it gets the same again, and nobody
        // else is asked.
        let told = self.answered.get(&ask.agent_ref);
        if let Some(told) = told.filter(|told| told.fingerprint == ask.fingerprint) {
            if let Err(error) =
                running.control.answer(&ask.agent_ref, &ask.fingerprint, answer_of(told)).await
            {
                tracing::debug!(%error, "An answer that was told already was not wanted again");
            }
            return Ok(());
        }
        // Under this name it wants something else now: what was decided before is not for this.
        self.answered.remove(&ask.agent_ref);
        let timeout = match ask.kind {
            AttentionKind::Question => self.tools.options.question_timeout,
            AttentionKind::Permission | AttentionKind::Review | AttentionKind::Budget => {
                self.tools.options.permission_timeout
            }
        };
        let item = self.tools.sessions.raise(self.holder, &ask, timeout).await?;
        let before = self.asks.insert(ask.agent_ref, item.id);
        let is_asked = |id: &AttentionId| self.asks.values().any(|known| known == id);
        if let Some(before) = before.filter(|id| !is_asked(id)) {
            self.tools.sessions.withdraw(self.holder, before).await?;
        }
        if item.state == AttentionState::Open { Ok(()) } else { self.deliver(running, &item).await }
    }

    /// The agent no longer waits for this answer; the item goes with the last ask behind it.
    pub(super) async fn ask_gone(&mut self, agent_ref: &str) -> Result<(), AppError> {
        let Some(item) = self.asks.remove(agent_ref) else { return Ok(()) };
        if self.asks.values().any(|other| *other == item) {
            return Ok(());
        }
        self.tools.sessions.withdraw(self.holder, item).await
    }

    /// These asks are open at the agent, and no others: items for whose answer nobody waits go.
    pub(super) async fn asks_are(&mut self, open: &[String]) -> Result<(), AppError> {
        let vanished = |agent_ref: &&String| !open.contains(*agent_ref);
        let gone: Vec<String> = self.asks.keys().filter(vanished).cloned().collect();
        for agent_ref in gone {
            self.ask_gone(&agent_ref).await?;
        }
        if self.tools.clock.now().since(self.began) < ASKED_AGAIN_WITHIN {
            return Ok(());
        }
        self.close_unasked(true).await
    }

    /// The turn is over: the agent waits for nothing, and what it was not told is nobody's answer.
    pub(super) async fn no_more_asks(&mut self) -> Result<(), AppError> {
        self.asks.clear();
        self.answered.clear();
        self.told_again_at = None;
        self.close_unasked(false).await?;
        let (tenant, session) = (self.holder.tenant, self.holder.session);
        for item in self.tools.attention.undelivered(tenant, session).await? {
            self.tools.attention.delivered(tenant, item.id).await?;
        }
        Ok(())
    }

    /// Closes open items behind which there is no ask of this run; those that came by a call stay while
    /// the agent may call again.
    async fn close_unasked(&self, keeps_called: bool) -> Result<(), AppError> {
        let (tenant, session) = (self.holder.tenant, self.holder.session);
        let snapshot = self.tools.sessions.readable(tenant).await?;
        let open = Some(AttentionState::Open);
        let items = snapshot.attention_items(Some(session), open, None, ITEMS).await?;
        drop(snapshot);
        let asked: BTreeSet<AttentionId> = self.asks.values().copied().collect();
        for item in items.iter().map(|found| &found.value) {
            let is_kept = keeps_called && item.agent_ref.starts_with(CALLED);
            if item.kind.blocks() && !is_kept && !asked.contains(&item.id) {
                self.tools.sessions.withdraw(self.holder, item.id).await?;
            }
        }
        Ok(())
    }

    /// Tells the agent what was decided and is not told yet.
    pub(super) async fn deliver_owed(&mut self, running: &Running) -> Result<(), AppError> {
        let (tenant, session) = (self.holder.tenant, self.holder.session);
        self.told_again_at = None;
        for item in self.tools.attention.undelivered(tenant, session).await? {
            self.deliver(running, &item).await?;
        }
        Ok(())
    }

    /// Answers every ask behind an item; what does not arrive is told again.
    async fn deliver(&mut self, running: &Running, item: &AttentionItem) -> Result<(), AppError> {
        let refs: Vec<String> = self
            .asks
            .iter()
            .filter(|(_, known)| **known == item.id)
            .map(|(agent_ref, _)| agent_ref.clone())
            .collect();
        let mut is_told = !refs.is_empty();
        for agent_ref in refs {
            if self.answered.contains_key(&agent_ref) {
                continue;
            }
            match running.control.answer(&agent_ref, &item.fingerprint, answer_of(item)).await {
                Ok(()) => {
                    self.answered.insert(agent_ref, item.clone());
                }
                Err(error) => {
                    let now: Timestamp = self.tools.clock.now();
                    let line =
                        format!("the answer to “{}” did not reach the agent: {error}", item.title);
                    self.outbox.log("warn", &line, now);
                    self.told_again_at = Some(now.after(TOLD_AGAIN));
                    is_told = false;
                }
            }
        }
        if is_told {
            self.tools.attention.delivered(self.holder.tenant, item.id).await?;
        }
        Ok(())
    }
}

/// What the agent is told of a settled item.
fn answer_of(item: &AttentionItem) -> Answer {
    match item.decision {
        Some(Decision::AllowOnce) => Answer::AllowOnce,
        Some(Decision::AllowAlways) => Answer::AllowAlways,
        Some(Decision::Answer) => Answer::Text(item.answer.clone().unwrap_or_default()),
        Some(Decision::Deny | Decision::Acknowledge) | None => {
            let by = item.resolved_by.as_deref().unwrap_or("somebody");
            Answer::Deny(match by {
                "deadline" => "nobody allowed this in time; go on without it".to_owned(),
                _ => "this was not allowed; go on without it".to_owned(),
            })
        }
    }
}
