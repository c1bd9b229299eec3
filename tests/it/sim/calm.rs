//! A server in calm weather is watched until everything has come to its end: whoever waits says for
//! what, and who could work does not wait for long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orchestrator::application::ports::store::Store;
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::schedule::blocker::BlockerCode;
use orchestrator::domain::session::Session;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::version::Versioned;

use super::caller::caller;
use super::life::{Ground, Server};

/// How often it is looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(10);
/// Whoever could work is given to an agent within so many looks.
const WITHIN: u32 = 5;

/// What is seen of a server.
pub(crate) struct Watch<'a> {
    ground: &'a Ground,
    server: &'a Server,
    store: &'a dyn Store,
    /// Looks at which somebody waited who could have worked, one after another.
    waited: BTreeMap<SessionId, u32>,
    /// What must not be.
    pub(crate) problems: BTreeSet<String>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(ground: &'a Ground, server: &'a Server, store: &'a dyn Store) -> Self {
        let (waited, problems) = (BTreeMap::new(), BTreeSet::new());
        Self { ground, server, store, waited, problems }
    }

    /// What has not come to its end yet.
    pub(crate) async fn unrest(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let fleet = self.store.fleet().await.expect("readable");
        let found = fleet.sessions_in(SessionStatus::ALL).await.expect("readable");
        let owed = fleet.owed_children(10).await.expect("readable");
        drop(fleet);
        let executing: Vec<&Session> =
            found.iter().map(|it| &it.value).filter(|it| it.status().is_executing()).collect();
        for session in found.iter().map(|found| &found.value) {
            let status = session.status();
            let is_free = self.may_begin(session, &found).await;
            // Without a budget left it waits for a person, and says so; behind one that failed or
            // waits itself, too.
            let waits_for_nobody = status.is_terminal()
                || status == SessionStatus::Pending
                    && (!session.run.start_wanted || session.is_exhausted() || !is_free);
            if !waits_for_nobody {
                left.push(self.why(session, &executing).await);
            }
        }
        left.extend(owed.iter().map(|owed| format!("I8: {} owes its children", owed.parent)));
        left.extend(self.left_behind(&found));
        left
    }

    /// Whether all that a session comes after have completed, be they deleted since.
    async fn may_begin(&self, session: &Session, found: &[Versioned<Session>]) -> bool {
        for id in session.waits_for() {
            let mut other = found.iter().find(|other| other.value.id == id).cloned();
            if other.is_none() {
                let snapshot = self.store.snapshot(session.tenant_id).await.expect("readable");
                other = snapshot.deleted_session(id).await.expect("readable");
            }
            if other.is_none_or(|other| other.value.status() != SessionStatus::Completed) {
                return false;
            }
        }
        true
    }

    /// Why a session has not come to its end.
    async fn why(&mut self, session: &Session, executing: &[&Session]) -> String {
        let (id, code, status) = (session.id, session.code, session.status());
        let ctx = caller(session.tenant_id, "why");
        let why = match self.server.sessions.explain(&ctx, &self.server.queue, id).await {
            Ok(why) => why,
            Err(error) => return format!("I8: {code} is {status}: {error}"),
        };
        // It may have moved on since it was read.
        if why.state == status && !status.is_executing() && why.blockers.is_empty() {
            self.problems.insert(format!("I8: {code} is {status} and does not say why"));
        }
        let waits_for_turn = why.blockers.iter().all(|blocker| {
            matches!(
                blocker.code,
                BlockerCode::SlotsFull
                    | BlockerCode::NoAgentCapacity
                    | BlockerCode::AgentUnavailable
            )
        });
        let is_queued = status == SessionStatus::Queued
            || status == SessionStatus::Paused && session.run.resume_wanted;
        if is_queued && waits_for_turn && self.has_room(session, executing) {
            let looks = self.waited.entry(id).or_default();
            *looks += 1;
            if *looks >= WITHIN {
                let text = format!("G-05: {code} could work and is {status}: {}", why.summary);
                self.problems.insert(text);
            }
        } else {
            self.waited.remove(&id);
        }
        format!("I8: {code} of {} stays {status}: {}", session.tenant_id, why.summary)
    }

    /// Whether there is a slot for a session at an agent that it may be given to.
    fn has_room(&self, session: &Session, executing: &[&Session]) -> bool {
        let (slots, [first, second]) = self.ground.slots;
        let is_free = |(name, capacity): (&str, u32)| {
            let wanted = session.spec.agent.as_deref().is_none_or(|agent| agent == name);
            let at_it = executing.iter().filter(|other| {
                other.tenant_id == session.tenant_id
                    && other.run.lease.as_ref().is_some_and(|lease| lease.agent_name == name)
            });
            wanted && at_it.count() < usize::try_from(capacity).expect("small")
        };
        let agents = [("AGENT-OPENCODE", first), ("AGENT-SIMULATED", second)];
        executing.len() < slots && agents.into_iter().any(is_free)
    }

    /// Folders and runs that nobody needs any more.
    fn left_behind(&self, found: &[Versioned<Session>]) -> Vec<String> {
        let mut left = Vec::new();
        let session = |id: SessionId| found.iter().map(|it| &it.value).find(move |it| it.id == id);
        for id in self.ground.files.folders() {
            if session(id).is_none_or(|session| session.status().is_terminal()) {
                left.push(format!("I13: {id} has ended, its folder is there"));
            }
        }
        for (id, token) in self.ground.town.open() {
            if !session(id).is_some_and(|session| session.is_held_by(token)) {
                left.push(format!("I13: {id} has a run open under {token}"));
            }
        }
        left
    }
}
