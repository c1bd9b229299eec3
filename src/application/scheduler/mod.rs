//! Who runs next: a thin loop round the pure decision in `tick`.
//!
//! Invariant: the state in memory is a view of stored sessions, rebuilt at start and whenever the
//! event feed had a gap; losing it loses nothing.

pub mod admissions;
mod agents;
mod lines;
pub mod needs;
pub mod position;
mod promise;
pub mod queue;
mod refusal;
pub mod reserve;
pub mod roster;
pub mod tick;
pub mod trial;
pub mod wake;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use self::agents::Seen;
pub use self::queue::Queue;
use self::tick::Grant;
use super::agent::AgentService;
use super::error::AppError;
use super::ports::clock::Clock;
use super::ports::store::Store;
use super::session::SessionService;
use super::session::report::Holder;
use super::supervise::Supervisors;
use crate::domain::event::{EventType, StoredEvent, SubjectKind};
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// A session that could not be given out is tried again after this.
const REST: Duration = Duration::from_secs(5);

/// Sessions belong to no task graph yet, so that none of them can wait longer than another.
const SLACK: Option<Duration> = None;

/// What is to be read anew.
struct News {
    /// All sessions that wait or execute.
    sessions: bool,
    /// How tenants stand, and the agents of those that are new.
    everybody: bool,
    /// The agents of all tenants.
    all_agents: bool,
    /// Tenants whose agents may have changed.
    tenants: BTreeSet<TenantId>,
    /// Agents of which something changed.
    agents: BTreeSet<(TenantId, AgentId)>,
}

impl News {
    fn everything() -> Self {
        let (tenants, agents) = (BTreeSet::new(), BTreeSet::new());
        Self { sessions: true, everybody: true, all_agents: true, tenants, agents }
    }
}

/// What became of a grant.
enum Given {
    /// The session runs.
    Now,
    /// It no longer waits, or cannot begin just now.
    Later,
    /// It could not be given out.
    Failed,
}

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
        let (mut news, mut seen) = (News::everything(), Seen::default());
        let mut resting = BTreeMap::new();
        let mut next_look = self.clock.now().after(self.at_least_every);
        loop {
            if news.sessions {
                match self.load().await {
                    Ok(()) => news.sessions = false,
                    Err(error) => tracing::warn!(%error, "The waiting sessions could not be read"),
                }
            }
            self.catch_up(&mut feed, &mut news).await;
            self.look_at_agents(&mut seen, &mut news).await;
            self.pass_over(&mut resting).await;
            self.give_out(&mut resting).await;
            if self.wait(&mut feed, &stop, &mut news, &mut next_look).await.is_none() {
                return;
            }
        }
    }

    /// Gives out what can be, until no slot is left or nobody fits. Whoever could not be given out
    /// just now stands aside meanwhile, so that the slot goes to the next one.
    async fn give_out(&self, resting: &mut BTreeMap<(TenantId, SessionId), Timestamp>) {
        let mut aside = Vec::new();
        while self.may_begin() {
            let grants = self.queue.state().tick(self.clock.now());
            let mut all = true;
            for grant in grants {
                let who = (grant.tenant, grant.session);
                let given = self.carry_out(grant).await;
                all &= matches!(given, Given::Now);
                match given {
                    Given::Now => {}
                    Given::Later => aside.push(who),
                    Given::Failed => {
                        let until = self.clock.now().after(REST);
                        self.queue.state().rest(who.1, until);
                        resting.insert(who, until);
                    }
                }
            }
            if all {
                break;
            }
        }
        for (tenant, id) in aside {
            self.look_again(tenant, id).await;
        }
    }

    /// Whether the store can take what a run writes: below the low mark of the disk, and while writes
    /// are refused, nothing new begins.
    fn may_begin(&self) -> bool {
        let health = self.store.health();
        let may = health.read_only.is_none() && health.short_of_room.is_none();
        self.queue.note_room(may, self.clock.now());
        may
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

    /// Waits until there may be something to give out, and takes note of what is to be read anew;
    /// `None` when it is time to end. Events that move no session and no agent wake nobody: a
    /// burst of new sessions that wait for their start costs no look at the agents.
    async fn wait(
        &self,
        feed: &mut tokio::sync::broadcast::Receiver<Arc<Vec<StoredEvent>>>,
        stop: &CancellationToken,
        fresh: &mut News,
        next_look: &mut Timestamp,
    ) -> Option<()> {
        // However often somebody rings, it comes.
        let mut longest = self.clock.sleep(next_look.since(self.clock.now()));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = &mut longest => {
                    *next_look = self.clock.now().after(self.at_least_every);
                    fresh.everybody = true;
                    return Some(());
                }
                () = self.sessions.wake.scheduler_rang() => return Some(()),
                news = feed.recv() => match news {
                    Ok(batch) if !batch.iter().any(matters) => {}
                    Ok(batch) => {
                        self.note(&batch, fresh).await;
                        return Some(());
                    }
                    Err(RecvError::Lagged(_)) => {
                        *fresh = News::everything();
                        return Some(());
                    }
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
        state.forget_all();
        for session in &sessions {
            state.observe(&session.value, SLACK);
        }
        Ok(())
    }

    /// Takes note of everything that is in the feed already.
    async fn catch_up(
        &self,
        feed: &mut tokio::sync::broadcast::Receiver<Arc<Vec<StoredEvent>>>,
        news: &mut News,
    ) {
        loop {
            match feed.try_recv() {
                Ok(batch) => self.note(&batch, news).await,
                Err(TryRecvError::Lagged(_)) => return *news = News::everything(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Reads the sessions that events are about; one that cannot be read makes all be read again.
    async fn note(&self, batch: &[StoredEvent], news: &mut News) {
        let mut seen: Vec<(TenantId, SessionId)> = Vec::new();
        for event in batch.iter().filter(|event| matters(event)) {
            let subject = event.event.subject;
            if subject.kind == SubjectKind::Session {
                seen.push((event.tenant_id, SessionId::new(subject.id)));
            } else if subject.kind == SubjectKind::Agent {
                news.agents.insert((event.tenant_id, AgentId::new(subject.id)));
            } else {
                news.tenants.insert(event.tenant_id);
                news.everybody |= subject.kind == SubjectKind::Tenant;
            }
        }
        seen.sort_unstable();
        seen.dedup();
        for (tenant, id) in seen {
            if self.look_at(tenant, id).await.is_err() {
                news.sessions = true;
                return;
            }
        }
    }

    async fn look_at(&self, tenant: TenantId, id: SessionId) -> Result<(), AppError> {
        let found = self.store.snapshot(tenant).await?.session(id).await?;
        let mut state = self.queue.state();
        match found {
            Some(session) => state.observe(&session.value, SLACK),
            None => state.forget(id),
        }
        Ok(())
    }

    async fn carry_out(&self, grant: Grant) -> Given {
        let (tenant, id) = (grant.tenant, grant.session);
        let granting = self.queue.granting().await;
        if self.queue.state().is_held(&grant) {
            self.queue.state().take_back(id);
            return Given::Later;
        }
        let granted = self.sessions.grant(tenant, id, &grant.agent).await;
        drop(granting);
        match granted {
            Ok(Some(fencing_token)) => {
                tracing::info!(session.id = %id, agent = %grant.agent.name, fencing_token,
                    "Session {id} was given to {}", grant.agent.name);
                self.supervisors.launch(Holder { tenant, session: id, fencing_token });
            }
            Ok(None) => {
                self.queue.state().take_back(id);
                return Given::Later;
            }
            Err(error) => {
                tracing::warn!(session.id = %id, %error, "Session {id} could not be dispatched");
                self.queue.state().take_back(id);
                return Given::Failed;
            }
        }
        self.look_again(tenant, id).await;
        Given::Now
    }

    async fn look_again(&self, tenant: TenantId, id: SessionId) {
        if let Err(error) = self.look_at(tenant, id).await {
            tracing::warn!(session.id = %id, %error, "Session {id} could not be read again");
        }
    }
}

/// Whether an event can change what is given to whom: a session that moves, an agent, and of a tenant
/// its share, its bounds and what it holds. Everything else is no news here.
fn matters(event: &StoredEvent) -> bool {
    let kind = event.event.event_type;
    match event.event.subject.kind {
        SubjectKind::Session => matches!(
            kind,
            EventType::SessionStatusChanged | EventType::SessionUpdated | EventType::SessionDeleted
        ),
        SubjectKind::Tenant => matches!(
            kind,
            EventType::TenantUpdated
                | EventType::TenantQuotaChanged
                | EventType::TenantAdmissionsHeld
                | EventType::TenantAdmissionsReleased
                | EventType::UsageHardLimitReached
        ),
        SubjectKind::Agent => !matches!(
            kind,
            EventType::AgentTaskAssigned
                | EventType::AgentTaskAcknowledged
                | EventType::AgentTaskCompleted
                | EventType::AgentLeaseExpired
                | EventType::AgentTokenRotated
                | EventType::AgentRebalanced
                | EventType::AgentStateChanged
                | EventType::AgentLoadChanged
                | EventType::AgentTaskOverrun
        ),
        SubjectKind::Attention
        | SubjectKind::Key
        | SubjectKind::System
        | SubjectKind::Webhook
        | SubjectKind::User
        | SubjectKind::Context
        | SubjectKind::Lock
        | SubjectKind::Task => false,
    }
}

#[cfg(test)]
mod news {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::domain::event::{DomainEvent, Subject};
    use crate::domain::ids::EventId;

    #[test]
    fn of_a_tenant_only_what_changes_its_turn_is_news() {
        let is_news = |event_type: EventType, kind: SubjectKind| {
            let subject = Subject { kind, id: Uuid::nil() };
            let event = DomainEvent::new(event_type, subject, Timestamp::EPOCH, Value::Null);
            let (id, tenant_id) = (EventId::new(Uuid::nil()), TenantId::BOOTSTRAP);
            matters(&StoredEvent { id, seq: 1, tenant_id, event })
        };
        for event_type in [
            EventType::TenantUpdated,
            EventType::TenantQuotaChanged,
            EventType::TenantAdmissionsHeld,
            EventType::TenantAdmissionsReleased,
            EventType::UsageHardLimitReached,
        ] {
            assert!(is_news(event_type, SubjectKind::Tenant), "{event_type}");
        }
        for event_type in [
            EventType::UsageRollupCompleted,
            EventType::UsagePricesUpdated,
            EventType::UsageSoftLimitReached,
            EventType::TenantQuotaExceeded,
        ] {
            assert!(!is_news(event_type, SubjectKind::Tenant), "{event_type}");
        }
        assert!(is_news(EventType::AgentRegistered, SubjectKind::Agent));
        assert!(is_news(EventType::SessionStatusChanged, SubjectKind::Session));
        assert!(!is_news(EventType::UsageHardLimitReached, SubjectKind::Session));
        assert!(!is_news(EventType::SystemAlert, SubjectKind::System));
    }
}
