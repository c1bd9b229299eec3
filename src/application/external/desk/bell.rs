//! Bells: who waits for something new for an agent, and what they find.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::Desk;
use crate::domain::eap::notice::Notice;
use crate::domain::ids::{AgentId, SessionId};

/// Whoever is to know that there is something new for an agent.
pub(super) struct Rings {
    /// One of those that fetch it.
    pub(super) one: Notify,
    /// Everybody who watches.
    pub(super) all: watch::Sender<()>,
}

impl Default for Rings {
    fn default() -> Self {
        Self { one: Notify::new(), all: watch::channel(()).0 }
    }
}

impl Rings {
    pub(super) fn ring(&self) {
        self.one.notify_one();
        self.all.send_replace(());
    }
}

/// What lies here for an agent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Lying {
    /// Work that waits to be fetched: its right and its name.
    pub work: Vec<(u64, SessionId)>,
    /// What it is to know.
    pub notices: Vec<Notice>,
}

/// Rings when there is something new for an agent; forgotten when nobody needs it any more.
pub struct Bell {
    pub(super) desk: Desk,
    pub(super) agent: AgentId,
    pub(super) rings: Option<Arc<Rings>>,
    pub(super) watching: watch::Receiver<()>,
}

impl Bell {
    /// Waits until it rings for whoever fetches: one of them hears it, and a ring that nobody waited for is
    /// kept.
    pub(in crate::application::external) async fn rang(&self) {
        if let Some(rings) = &self.rings {
            rings.one.notified().await;
        }
    }

    /// Waits until there may be something new to look at; everybody who watches hears it, and rings that
    /// came while nobody listened are one.
    pub async fn watched(&mut self) {
        if self.watching.changed().await.is_err() {
            // Its other end lives as long as this.
            std::future::pending::<()>().await;
        }
    }

    /// What lies here for the agent now.
    #[must_use]
    pub fn lying(&self) -> Lying {
        self.desk.lying(self.agent)
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.rings = None;
        self.desk.state().tidy(self.agent);
    }
}
