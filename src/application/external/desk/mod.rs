//! Where work waits for external agents, and where what they say reaches its supervisor.
//!
//! Invariant: what lies here can be lost with the process: each run is laid out again by its supervisor,
//! from what is stored. An agent is handed a piece of work only after that is durable, and possibly twice,
//! with the same idempotency key.

mod bell;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::bell::Rings;
pub use self::bell::{Bell, Lying};
use crate::application::ports::driver::AgentEvent;
use crate::domain::eap::notice::Notice;
use crate::domain::ids::{AgentId, SessionId};

/// Notices that wait for one agent; the oldest goes first.
const MOST_NOTICES: usize = 100;

/// A piece of work for an agent.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// Which session; the name of the work, too.
    pub(super) session: SessionId,
    /// Who is to do it.
    pub(super) agent: AgentId,
    /// Number of the attempt.
    pub(super) attempt: u32,
    /// The right to it.
    pub(super) fencing_token: u64,
    /// It is brought to the agent, which does not fetch it.
    pub(super) is_brought: bool,
    /// What the agent is told with it.
    pub(super) prompt: Uuid,
    /// The assignment, but for the end of its lease.
    pub(super) document: Map<String, Value>,
}

/// Where a piece of work lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting,
    /// Somebody takes it just now.
    Leaving,
    Taken,
}

struct Job {
    offer: Arc<Offer>,
    place: Place,
    /// To its supervisor.
    events: mpsc::Sender<AgentEvent>,
    /// The run is over for its supervisor.
    over: CancellationToken,
    /// The agent gave its result, or was told to end.
    is_over_for_agent: bool,
    /// The agent spoke of it since it took it.
    is_spoken_of: bool,
    /// Of work that is brought: the agent said that it has begun.
    is_accepted: bool,
}

impl Job {
    /// Whether the agent has it, knows that, and has not ended it. While work is being brought, nobody but
    /// the agent knows how far it is.
    fn is_its_own(&self) -> bool {
        let has_it = self.is_accepted || !self.offer.is_brought;
        self.place == Place::Taken && has_it && !self.is_over_for_agent
    }
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<(AgentId, SessionId), Job>,
    notices: BTreeMap<AgentId, VecDeque<Posted>>,
    bells: BTreeMap<AgentId, Arc<Rings>>,
}

/// A notice, and whether an answer with it was sent.
struct Posted {
    notice: Notice,
    is_sent: bool,
}

/// The desk.
#[derive(Clone, Default)]
pub(super) struct Desk(Arc<Mutex<State>>);

/// A piece of work that its agent holds.
#[derive(Clone)]
pub(super) struct Held {
    /// What it is.
    pub(super) offer: Arc<Offer>,
    /// To its supervisor.
    pub(super) events: mpsc::Sender<AgentEvent>,
    /// The run is over for its supervisor.
    pub(super) over: CancellationToken,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays a piece of work out. `is_taken` when the agent has it already, from before a restart.
    pub(super) fn lay_out(
        &self,
        offer: Offer,
        is_taken: bool,
        events: mpsc::Sender<AgentEvent>,
    ) -> CancellationToken {
        let over = CancellationToken::new();
        let place = if is_taken { Place::Taken } else { Place::Waiting };
        let (agent, key) = (offer.agent, (offer.agent, offer.session));
        let offer = Arc::new(offer);
        let over_for = over.clone();
        let job = Job {
            offer,
            place,
            events,
            over: over_for,
            is_over_for_agent: false,
            is_spoken_of: false,
            is_accepted: false,
        };
        let mut state = self.state();
        if let Some(before) = state.jobs.insert(key, job) {
            before.over.cancel();
        }
        state.bell(agent).ring();
        over
    }

    /// Takes a piece of work off the desk; whether its agent still works on it.
    pub(super) fn clear(&self, agent: AgentId, session: SessionId, fencing_token: u64) -> bool {
        let mut state = self.state();
        let is_it = |job: &Job| job.offer.fencing_token == fencing_token;
        if !state.jobs.get(&(agent, session)).is_some_and(is_it) {
            return false;
        }
        let job = state.jobs.remove(&(agent, session));
        state.tidy(agent);
        job.is_some_and(|job| {
            job.over.cancel();
            job.place == Place::Taken && !job.is_over_for_agent
        })
    }

    /// The agent is done with a piece of work, or was told to end it; whether it was not before.
    pub(super) fn end_for_agent(
        &self,
        agent: AgentId,
        session: SessionId,
        fencing_token: u64,
    ) -> bool {
        let mut state = self.state();
        let job = state.jobs.get_mut(&(agent, session));
        let job = job.filter(|job| job.offer.fencing_token == fencing_token);
        job.is_some_and(|job| {
            let works = job.place == Place::Taken && !job.is_over_for_agent;
            job.is_over_for_agent = true;
            works
        })
    }

    /// Whether a piece of work waits to be taken.
    #[must_use]
    pub(super) fn waits(&self, agent: AgentId, session: SessionId, fencing_token: u64) -> bool {
        let state = self.state();
        let job = state.jobs.get(&(agent, session));
        let job = job.filter(|job| job.offer.fencing_token == fencing_token);
        job.is_some_and(|job| job.place == Place::Waiting)
    }

    /// The agent says that it has begun with what was brought to it.
    pub(super) fn accept(&self, agent: AgentId, session: SessionId, fencing_token: u64) {
        let mut state = self.state();
        let job = state.jobs.get_mut(&(agent, session));
        if let Some(job) = job.filter(|job| job.offer.fencing_token == fencing_token) {
            job.is_accepted = true;
        }
    }

    /// How many pieces of work an agent has taken and not ended.
    #[must_use]
    pub(super) fn taken(&self, agent: AgentId) -> u32 {
        let taken = self.state().jobs_of(agent).filter(|job| job.is_its_own()).count();
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    /// Pieces of work that wait for an agent, newest first.
    #[must_use]
    pub(super) fn waiting(&self, agent: AgentId) -> Vec<(SessionId, u64)> {
        let state = self.state();
        let mut waiting: Vec<(SessionId, u64)> = state
            .jobs_of(agent)
            .filter(|job| job.place == Place::Waiting)
            .map(|job| (job.offer.session, job.offer.fencing_token))
            .collect();
        waiting.sort_by_key(|(_, fencing_token)| std::cmp::Reverse(*fencing_token));
        waiting
    }

    /// The work that an agent holds by this right.
    #[must_use]
    pub(super) fn held(
        &self,
        agent: AgentId,
        session: SessionId,
        fencing_token: u64,
    ) -> Option<Held> {
        let mut state = self.state();
        let job = state.jobs.get_mut(&(agent, session))?;
        let is_it = job.offer.fencing_token == fencing_token && !job.events.is_closed();
        job.is_spoken_of |= is_it;
        is_it.then(|| Held {
            offer: Arc::clone(&job.offer),
            events: job.events.clone(),
            over: job.over.clone(),
        })
    }

    /// An agent says that it has less work than it took: what it never spoke of may not have arrived, and
    /// lies on the desk again, by the same right and under the same key.
    pub(super) fn lay_out_again(&self, agent: AgentId) {
        let mut state = self.state();
        let first = SessionId::new(Uuid::nil());
        let own = state.jobs.range_mut((agent, first)..).take_while(|((of, _), _)| *of == agent);
        for (_, job) in own {
            if job.place == Place::Taken && !job.is_spoken_of && !job.offer.is_brought {
                job.place = Place::Waiting;
            }
        }
        state.bell(agent).ring();
    }

    /// Begins to hand the oldest piece of work to its agent, or one that it asked for by name.
    #[must_use]
    pub(super) fn begin_to_hand(
        &self,
        agent: AgentId,
        session: Option<SessionId>,
    ) -> Option<Handing> {
        let mut state = self.state();
        let waiting = state.jobs_of(agent).filter(|job| {
            job.place == Place::Waiting
                && !job.events.is_closed()
                && session.map_or(!job.offer.is_brought, |wanted| wanted == job.offer.session)
        });
        let oldest = waiting.min_by_key(|job| job.offer.fencing_token)?.offer.session;
        let job = state.jobs.get_mut(&(agent, oldest))?;
        job.place = Place::Leaving;
        let (offer, events) = (Arc::clone(&job.offer), job.events.clone());
        drop(state);
        Some(Handing { desk: self.clone(), offer, events, is_done: false })
    }

    /// What rings when there is something new for an agent.
    #[must_use]
    pub(super) fn bell(&self, agent: AgentId) -> Bell {
        let rings = self.state().bell(agent);
        let watching = rings.all.subscribe();
        Bell { desk: self.clone(), agent, rings: Some(rings), watching }
    }

    /// What waits to be fetched by an agent, oldest first, and what it is to know. Looking hands nothing
    /// over, and nothing counts as sent by it.
    #[must_use]
    pub(super) fn lying(&self, agent: AgentId) -> Lying {
        let state = self.state();
        let waits = |job: &&Job| job.place == Place::Waiting && !job.offer.is_brought;
        let name = |job: &Job| (job.offer.fencing_token, job.offer.session);
        let mut work: Vec<(u64, SessionId)> =
            state.jobs_of(agent).filter(waits).map(name).collect();
        work.sort_unstable();
        let notices = state.notices.get(&agent).into_iter().flatten();
        Lying { work, notices: notices.map(|posted| posted.notice.clone()).collect() }
    }

    /// Leaves a notice for an agent.
    pub(super) fn post(&self, agent: AgentId, notice: Notice) {
        let mut state = self.state();
        let posted = state.notices.entry(agent).or_default();
        if posted.iter().any(|known| known.notice == notice) {
            return;
        }
        if posted.len() == MOST_NOTICES {
            posted.pop_front();
        }
        posted.push_back(Posted { notice, is_sent: false });
        state.bell(agent).ring();
    }

    /// An agent called: what was sent to it with an earlier answer has arrived.
    pub(super) fn acknowledge(&self, agent: AgentId) {
        let mut state = self.state();
        if let Some(posted) = state.notices.get_mut(&agent) {
            posted.retain(|posted| !posted.is_sent);
            if posted.is_empty() {
                state.notices.remove(&agent);
                state.tidy(agent);
            }
        }
    }

    /// All notices for an agent, to be sent with an answer.
    #[must_use]
    pub(super) fn notices(&self, agent: AgentId) -> Vec<Notice> {
        let mut state = self.state();
        let posted = state.notices.get_mut(&agent).into_iter().flatten();
        let send = |posted: &mut Posted| {
            posted.is_sent = true;
            posted.notice.clone()
        };
        posted.map(send).collect()
    }

    /// The oldest notice for an agent that was not sent yet, to be sent.
    #[must_use]
    pub(super) fn notice(&self, agent: AgentId) -> Option<Notice> {
        let mut state = self.state();
        let posted = state.notices.get_mut(&agent)?;
        let posted = posted.iter_mut().find(|posted| !posted.is_sent)?;
        posted.is_sent = true;
        Some(posted.notice.clone())
    }
}

impl State {
    fn jobs_of(&self, agent: AgentId) -> impl Iterator<Item = &Job> {
        let first = SessionId::new(Uuid::nil());
        self.jobs
            .range((agent, first)..)
            .take_while(move |((of, _), _)| *of == agent)
            .map(|(_, job)| job)
    }

    fn bell(&mut self, agent: AgentId) -> Arc<Rings> {
        Arc::clone(self.bells.entry(agent).or_default())
    }

    /// Bells are kept while somebody has hold of them, or something lies here for the agent.
    fn tidy(&mut self, agent: AgentId) {
        let is_idle = self.bells.get(&agent).is_some_and(|bell| Arc::strong_count(bell) == 1);
        if is_idle && self.jobs_of(agent).next().is_none() && !self.notices.contains_key(&agent) {
            self.bells.remove(&agent);
        }
    }
}

/// A piece of work on its way to its agent; it lies on the desk again when it does not get there.
pub(super) struct Handing {
    desk: Desk,
    offer: Arc<Offer>,
    events: mpsc::Sender<AgentEvent>,
    is_done: bool,
}

impl Handing {
    /// Makes durable that the agent has it; `None` when the run is over meanwhile.
    pub(super) async fn hand_over(mut self) -> Option<Arc<Offer>> {
        let handle = handle_of(self.offer.fencing_token);
        let (stored, is_stored) = oneshot::channel();
        let told = self.events.send(AgentEvent::Handshake { handle, stored }).await;
        let is_durable = told.is_ok() && is_stored.await.is_ok();
        self.is_done = true;
        if !is_durable {
            let Offer { agent, session, fencing_token, .. } = *self.offer;
            self.desk.clear(agent, session, fencing_token);
            return None;
        }
        self.put(Place::Taken);
        Some(Arc::clone(&self.offer))
    }

    fn put(&self, place: Place) {
        let mut state = self.desk.state();
        let Offer { agent, session, fencing_token, .. } = *self.offer;
        let job = state.jobs.get_mut(&(agent, session));
        if let Some(job) = job.filter(|job| job.offer.fencing_token == fencing_token) {
            job.place = place;
        }
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        if !self.is_done {
            self.put(Place::Waiting);
            self.desk.state().bell(self.offer.agent).ring();
        }
    }
}

/// What is stored of a run that its agent has.
#[must_use]
pub(super) fn handle_of(fencing_token: u64) -> Value {
    json!({ "external": fencing_token })
}

/// Whether this is what is stored of a run that the agent has by this right.
#[must_use]
pub(super) fn is_handle_of(handle: &Value, fencing_token: u64) -> bool {
    handle.get("external").and_then(Value::as_u64) == Some(fencing_token)
}

#[cfg(test)]
mod tests;
