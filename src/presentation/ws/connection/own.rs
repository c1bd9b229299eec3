//! The socket of an external agent that showed its own token: it is told what waits for it and what it is to
//! know, the moment that there is such.
//!
//! Invariant: the socket tells and the routes act: nothing is handed over here, and nothing counts as
//! arrived because it was told here. What was told is told again by a new socket, and by the answers of the
//! routes, until the agent has acted on it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::frame::for_agent;
use super::{Connection, Step};
use crate::application::external::{Bell, Lying};
use crate::domain::eap::notice::Notice;
use crate::domain::ids::{AgentId, SessionId};

/// What is told to an agent.
pub(super) struct Own {
    /// Which agent.
    pub(super) agent: AgentId,
    bell: Bell,
    /// Work that it was told of and that still waits.
    work: BTreeSet<(u64, SessionId)>,
    /// Notices that it was told and that are still to be told.
    notices: Vec<Notice>,
}

/// What it is to be told now, by the names of the frames.
type Told = (&'static str, Value);

impl Own {
    /// Of an agent that was told nothing yet.
    pub(super) const fn new(agent: AgentId, bell: Bell) -> Self {
        Self { agent, bell, work: BTreeSet::new(), notices: Vec::new() }
    }

    /// What lies there now and was not told; what lies there no more is forgotten, so that it is told anew
    /// when it comes again.
    fn news(&mut self) -> Vec<Told> {
        let Lying { work, notices } = self.bell.lying();
        let agent = self.agent;
        let task = |(_, session): &(u64, SessionId)| {
            let payload = json!({ "agent_id": agent, "task_id": session, "session_id": session });
            ("agent.task_available", payload)
        };
        let notice = |notice: &Notice| {
            let mut payload = notice.document();
            payload.insert("agent_id".to_owned(), json!(agent));
            ("agent.notice", Value::Object(payload))
        };
        let fresh = work.iter().filter(|one| !self.work.contains(one)).map(task);
        let other = notices.iter().filter(|one| !self.notices.contains(one)).map(notice);
        let news = fresh.chain(other).collect();
        self.work = work.into_iter().collect();
        self.notices = notices;
        news
    }
}

/// Waits until there may be something new for the agent; for ever when the socket is somebody else's.
pub(super) async fn watched(own: &mut Option<Own>) {
    match own {
        Some(own) => own.bell.watched().await,
        None => std::future::pending().await,
    }
}

impl Connection {
    /// Tells an agent what is new on its desk.
    pub(super) async fn tell_what_lies(&mut self) -> Step {
        let Some(own) = &mut self.own else { return Ok(()) };
        let (agent, news) = (own.agent, own.news());
        for (name, payload) in news {
            let now = self.app.clock.now();
            self.send(for_agent(name, (self.ctx.tenant, agent), now, &payload)).await?;
        }
        self.flush().await
    }
}
