//! How a run leaves a server that is being replaced, or that does not answer any more.
//!
//! Invariant: before a run leaves, its supervisor has saved the work; the handle was durable before the first
//! prompt. What was asked of it stays pending, and is asked again, under the same identities, at the next server.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::control::ABORT_TIME;
use super::host::Fate;
use super::run::{Posting, Run, Stop};
use super::wire::Part;
use crate::application::ports::driver::AgentEvent;

/// How long the work may take to be saved. What is not saved then lies in its folder still.
const SAVE_TIME: Duration = Duration::from_mins(2);
/// Time between two looks whether an abort was heeded.
const LOOK: Duration = Duration::from_millis(50);

impl Run {
    /// Leaves the server if its time has come: at the end of a turn, or while no tool runs and nobody is asked,
    /// so that nothing is broken off that has effects; or because its patience is over.
    pub(super) async fn leave_if_due(&mut self) -> Result<(), Stop> {
        if self.seat.is_none() {
            return Ok(());
        }
        let fate = *self.fates.borrow();
        match fate {
            Fate::Serves => Ok(()),
            // The next one is started only after it was killed.
            Fate::Wedged => self.leave("it does not answer", true).await,
            Fate::Replaced { until } => {
                let is_late = self.shared.host.clock.now() >= until;
                if !is_late && !self.is_at_a_good_place() {
                    return Ok(());
                }
                let is_paused = self.pending.is_empty() || self.pause().await;
                self.leave("it is replaced", is_paused).await
            }
        }
    }

    fn is_at_a_good_place(&self) -> bool {
        self.pending.is_empty()
            || (!self.shared.aborting()
                && self.running_tools.is_empty()
                && self.shared.open_asks().is_empty())
    }

    /// Remembers which tools run. A subagent runs as long as the tool that called it.
    pub(super) fn note_tool(&mut self, part: &Part) {
        if part.kind != "tool" {
            return;
        }
        if part.state.status == "running" {
            self.running_tools.insert(part.id.clone());
        } else {
            self.running_tools.remove(&part.id);
        }
    }

    /// Has the server stop working on the conversation: two servers must never work on it at once. `false` when it
    /// did not.
    async fn pause(&mut self) -> bool {
        // Their answers would be about the abort, which is none of the agent's doing.
        self.replies = FuturesUnordered::new();
        let (client, shared) = (self.server.client.clone(), std::sync::Arc::clone(&self.shared));
        let paused = async {
            loop {
                let told = client.abort(&shared.session).await;
                let statuses = client.statuses(&shared.place).await;
                let is_idle = statuses.is_ok_and(|statuses| {
                    statuses.get(&shared.session).is_none_or(|status| status.kind == "idle")
                });
                if told.is_ok() && is_idle {
                    return;
                }
                shared.host.clock.sleep(LOOK).await;
            }
        };
        tokio::select! {
            biased;
            () = paused => true,
            () = self.shared.host.clock.sleep(ABORT_TIME) => {
                warn!("OpenCode did not pause a conversation that is to be moved");
                false
            }
        }
    }

    async fn leave(&mut self, why: &'static str, is_paused: bool) -> Result<(), Stop> {
        let (saved, waiting) = oneshot::channel();
        let reason = format!("OpenCode's server is left, since {why}");
        self.tell(AgentEvent::Moving { reason, saved }).await?;
        tokio::select! {
            biased;
            // Nobody saves it when the supervisor is gone; then this run ends, too.
            _ = waiting => {}
            () = self.shared.host.clock.sleep(SAVE_TIME) => {
                warn!("The work of a run was not saved in time and is left as it lies");
            }
        }
        let now = self.shared.host.clock.now();
        for pending in &mut self.pending {
            pending.posting = Posting::Due(now);
        }
        self.replies = FuturesUnordered::new();
        self.running_tools.clear();
        self.teller.was_deaf();
        self.tell(AgentEvent::StreamLost).await?;
        // Whatever the old server does from here on, nobody waits for it.
        self.seat = None;
        if !is_paused {
            // It works on until it ends, which it does once all have left it, at the latest when their time is over.
            self.server.gone.cancelled().await;
        }
        self.link.reopen();
        info!(generation = self.server.generation, "A run leaves its OpenCode server");
        Ok(())
    }
}
