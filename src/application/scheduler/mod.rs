//! Who runs next: a thin loop round the pure decision in `tick`.
//!
//! Invariant: the state in memory is a view of stored sessions, rebuilt at start and whenever the
//! event feed had a gap; losing it loses nothing.

pub mod tick;
pub mod wake;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use self::tick::{AgentSlot, Grant, LOOKING, Needs, State};
use super::agent::AgentService;
use super::error::AppError;
use super::ports::clock::Clock;
use super::ports::store::Store;
use super::session::SessionService;
use super::session::explain::Blocker;
use super::session::report::Holder;
use super::supervise::Supervisors;
use crate::domain::event::{EventType, StoredEvent, SubjectKind};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// The line of waiting sessions, as others may look at it.
#[derive(Clone, Default)]
pub struct Queue(Arc<Mutex<State>>);

impl Queue {
    /// An empty line of an instance that executes at most this many sessions at once.
    #[must_use]
    pub fn new(max_running: usize) -> Self {
        Self(Arc::new(Mutex::new(State::new(max_running, Vec::new()))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Place of a session among all that wait, from 1.
    #[must_use]
    pub fn position(&self, id: SessionId, now: Timestamp) -> Option<usize> {
        self.state().position(id, now)
    }

    /// Sessions that execute now.
    #[must_use]
    pub fn executing(&self) -> usize {
        self.state().executing()
    }

    /// Why a waiting session was not given to an agent yet; `None` when it is about to be.
    #[must_use]
    pub fn why(&self, session: &Session) -> Option<Blocker> {
        let state = self.state();
        let since = Some(session.status_updated_at());
        let blocker = |code, text: String, remedy: &str, command: Option<&str>| Blocker {
            code,
            text,
            object: None,
            since,
            remedy: remedy.to_owned(),
            command: command.map(str::to_owned),
        };
        match state.place(&Needs::of(session)) {
            Err((code, text)) => {
                let (remedy, command) = remedy(code);
                Some(blocker(code, text, remedy, Some(command)))
            }
            Ok(_) if state.executing() >= state.max_running => {
                let text = format!("all {} slots of this server are taken", state.max_running);
                let remedy = "wait for a session to end, or raise scheduler.max_running_sessions";
                let command = Some("orchestrator session list --status running");
                Some(blocker(BlockerCode::SlotsFull, text, remedy, command))
            }
            Ok(_) => None,
        }
    }
}

/// What helps against the refusals of `State::place`, and the command that does or shows it.
fn remedy(code: BlockerCode) -> (&'static str, &'static str) {
    if code == BlockerCode::NoAgentCapacity {
        return (
            "wait for a session to end, or stop one",
            "orchestrator session list --status running",
        );
    }
    if code == BlockerCode::NoAgentCapability {
        let remedy = "create the session with capabilities that an agent has";
        return (remedy, "orchestrator doctor");
    }
    if code == BlockerCode::AgentUnavailable {
        return ("wait a moment, or see which agents there are", "orchestrator doctor");
    }
    let remedy = "install the agent (npm install -g opencode-ai), or set agents.opencode.command; \
                  `orchestrator doctor` tells more";
    (remedy, "orchestrator doctor")
}

/// A session that could not be given out is tried again after this.
const REST: Duration = Duration::from_secs(5);

/// The loop that gives waiting sessions to agents.
pub struct Scheduler {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    sessions: SessionService,
    agents: AgentService,
    supervisors: Supervisors,
    queue: Queue,
    at_least_every: Duration,
}

impl Scheduler {
    /// A scheduler over these services, which looks at least so often even if nobody rings.
    #[must_use]
    pub const fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sessions: SessionService,
        agents: AgentService,
        supervisors: Supervisors,
        queue: Queue,
        at_least_every: Duration,
    ) -> Self {
        Self { store, clock, sessions, agents, supervisors, queue, at_least_every }
    }

    /// Schedules until cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let mut feed = self.store.feed();
        let mut rebuild = true;
        let mut resting = BTreeMap::new();
        loop {
            if rebuild {
                match self.load().await {
                    Ok(()) => rebuild = false,
                    Err(error) => tracing::warn!(%error, "The waiting sessions could not be read"),
                }
            }
            rebuild |= self.catch_up(&mut feed).await;
            self.look_at_agents().await;
            self.pass_over(&mut resting).await;
            let grants = self.queue.state().tick(self.clock.now());
            for grant in grants {
                let who = (grant.tenant, grant.session);
                if !self.carry_out(grant).await {
                    resting.insert(who, self.clock.now().after(REST));
                }
            }
            match self.wait(&mut feed, &stop).await {
                Some(missed) => rebuild |= missed,
                None => return,
            }
        }
    }

    /// Sessions that could not be given out take no slot from others until they are tried again.
    async fn pass_over(&self, resting: &mut BTreeMap<(TenantId, SessionId), Timestamp>) {
        let now = self.clock.now();
        for ((tenant, id), until) in &*resting {
            self.queue.state().forget(*id);
            if *until <= now
                && let Err(error) = self.look_at(*tenant, *id).await
            {
                tracing::warn!(session.id = %id, %error, "Session {id} could not be read again");
            }
        }
        resting.retain(|_, until| *until > now);
    }

    /// Waits until there may be something to give out, and tells whether events were missed;
    /// `None` when it is time to end. Events that move no session and no agent wake nobody: a
    /// burst of new sessions that wait for their start costs no look at the agents.
    async fn wait(
        &self,
        feed: &mut tokio::sync::broadcast::Receiver<Arc<Vec<StoredEvent>>>,
        stop: &CancellationToken,
    ) -> Option<bool> {
        let mut longest = self.clock.sleep(self.at_least_every);
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                () = self.sessions.wake.scheduler_rang() => return Some(false),
                () = &mut longest => return Some(false),
                news = feed.recv() => match news {
                    Ok(batch) if !batch.iter().any(matters) => {}
                    Ok(batch) => return Some(self.note(&batch).await.is_err()),
                    Err(RecvError::Lagged(_)) => return Some(true),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    /// Rebuilds the view from what is stored.
    async fn load(&self) -> Result<(), AppError> {
        let statuses = [
            SessionStatus::Queued,
            SessionStatus::Running,
            SessionStatus::Degraded,
            SessionStatus::Paused,
        ];
        let sessions = self.store.fleet().await?.sessions_in(&statuses).await?;
        let mut state = self.queue.state();
        let max_running = state.max_running;
        let agents = std::mem::take(&mut state.agents);
        *state = State::new(max_running, agents);
        for session in &sessions {
            state.observe(&session.value);
        }
        Ok(())
    }

    /// Takes note of everything that is in the feed already; `true` when there was a gap.
    async fn catch_up(
        &self,
        feed: &mut tokio::sync::broadcast::Receiver<Arc<Vec<StoredEvent>>>,
    ) -> bool {
        loop {
            match feed.try_recv() {
                Ok(batch) => {
                    if self.note(&batch).await.is_err() {
                        return true;
                    }
                }
                Err(TryRecvError::Lagged(_)) => return true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
            }
        }
    }

    async fn note(&self, batch: &[StoredEvent]) -> Result<(), AppError> {
        let mut seen: Vec<(TenantId, SessionId)> = batch
            .iter()
            .filter(|event| event.event.subject.kind == SubjectKind::Session && matters(event))
            .map(|event| (event.tenant_id, SessionId::new(event.event.subject.id)))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        for (tenant, id) in seen {
            self.look_at(tenant, id).await?;
        }
        Ok(())
    }

    async fn look_at(&self, tenant: TenantId, id: SessionId) -> Result<(), AppError> {
        let found = self.store.snapshot(tenant).await?.session(id).await?;
        let mut state = self.queue.state();
        match found {
            Some(session) => state.observe(&session.value),
            None => state.forget(id),
        }
        Ok(())
    }

    async fn look_at_agents(&self) {
        let Ok(fleet) = self.store.fleet().await else { return };
        let Ok(tenants) = fleet.tenants().await else { return };
        let liveness = self.agents.liveness();
        let mut slots = Vec::new();
        for tenant in tenants {
            for agent in self.agents.list(tenant.value.id).await.unwrap_or_default() {
                let down = match liveness.get(&agent.kind) {
                    Some(seen) => seen.result.as_ref().err().cloned(),
                    None if self.agents.driver(agent.kind).is_none() => {
                        Some(format!("this server does not speak to {} agents", agent.kind))
                    }
                    None => Some(LOOKING.to_owned()),
                };
                slots.push(AgentSlot { agent, down });
            }
        }
        self.queue.state().agents = slots;
    }

    /// `false` when the session could not be given out.
    async fn carry_out(&self, grant: Grant) -> bool {
        let (tenant, id) = (grant.tenant, grant.session);
        match self.sessions.grant(tenant, id, &grant.agent).await {
            Ok(Some(fencing_token)) => {
                tracing::info!(session.id = %id, agent = %grant.agent.name, fencing_token,
                    "Session {id} was given to {}", grant.agent.name);
                self.supervisors.launch(Holder { tenant, session: id, fencing_token });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(session.id = %id, %error, "Session {id} could not be dispatched");
                return false;
            }
        }
        if let Err(error) = self.look_at(tenant, id).await {
            tracing::warn!(session.id = %id, %error, "Session {id} could not be read again");
        }
        true
    }
}

/// Whether an event can change what is given to whom: everything but the news of a session that
/// stays where it is.
fn matters(event: &StoredEvent) -> bool {
    event.event.subject.kind != SubjectKind::Session
        || matches!(
            event.event.event_type,
            EventType::SessionStatusChanged | EventType::SessionUpdated | EventType::SessionDeleted
        )
}
