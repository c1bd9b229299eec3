//! A host: a folder of conversations, and the server that works on it, started when first needed.
//!
//! Invariant: at most one server is in use at a time, but while another takes over from it; then each run
//! works with one of the two. The death of a server is always followed by the death of its tools.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Options;
use super::child::{Weight, weigh};
use super::client::Client;
use super::layout::Layout;
use super::policy::{Seen, Standing};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::DriverError;
use crate::application::ports::hosts::{
    HostLimits, HostNews, HostProbe, HostReport, HostServer, HostState, NotRecycled,
};
use crate::domain::agent::AgentKind;
use crate::domain::ids::TenantId;
use crate::domain::session::attempt::ErrorType;
use crate::domain::time::Timestamp;
use crate::infrastructure::sandbox::Reach;

/// What becomes of those who work with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// They go on.
    Serves,
    /// They go over to the next one at a good moment, at the latest then.
    Replaced { until: Timestamp },
    /// They save what there is, and wait for the next one: this one is killed.
    Wedged,
}

/// A server that can be spoken to.
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) version: String,
    /// Rises with every start.
    pub(super) generation: u64,
    /// Where its agents may read although it lies outside their directory.
    pub(super) readable: Option<PathBuf>,
    /// What its sandbox lets it reach; `None` without one.
    pub(super) reach: Option<Reach>,
    pub(super) fate: watch::Sender<Fate>,
    pub(super) started_at: Timestamp,
    /// What its processes carry, and the process that keeps them; `None` when they are not ours.
    pub(super) process: Option<(String, u32)>,
    /// Those who work with it.
    pub(super) users: TaskTracker,
    /// Cancelled once another one took over from it and it has ended.
    pub(super) gone: CancellationToken,
    pub(super) served: AtomicU64,
}

impl Server {
    pub(super) fn new(client: Client, version: String, at: Timestamp) -> Self {
        Self {
            client,
            version,
            generation: 0,
            readable: None,
            reach: None,
            fate: watch::Sender::new(Fate::Serves),
            started_at: at,
            process: None,
            users: TaskTracker::new(),
            gone: CancellationToken::new(),
            served: AtomicU64::new(0),
        }
    }

    /// Whoever holds this works with the server: it is not ended in peace before.
    pub(super) fn used(&self) -> TaskTrackerToken {
        self.users.token()
    }

    /// A run begins here.
    pub(super) fn serve(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    async fn report(&self) -> HostServer {
        let weight = match &self.process {
            Some((marker, keeper)) => Some(weigh(marker, *keeper).await),
            None => None,
        };
        HostServer {
            pid: weight.and_then(|weight| weight.pid),
            version: self.version.clone(),
            started_at: self.started_at,
            running: self.users.len(),
            served: self.served(),
            rss_bytes: weight.map(|Weight { server_bytes, .. }| server_bytes),
            tools_rss_bytes: weight.map(|Weight { tools_bytes, .. }| tools_bytes),
        }
    }
}

#[derive(Clone)]
pub(super) enum State {
    /// No server runs; the version of the last one, when there was one and it behaved.
    Stopped(Option<String>),
    Starting,
    Up(Arc<Server>),
    Failed(DriverError),
}

/// What is wanted of the keeper.
pub(super) enum Order {
    /// Another server is to take over at once; nobody works with this one.
    Outgrown,
    /// It was put to sleep.
    Rest,
    /// Another one is to take over, for this reason.
    Recycle(String),
}

/// What is told of the host beside its state.
pub(super) struct Story {
    /// It was asked for that the server is replaced, and the keeper has not come to it.
    pub(super) asked: bool,
    /// The server whose runs are being moved.
    pub(super) draining: Option<Arc<Server>>,
    /// The server that does not answer and is still alive.
    pub(super) wedged: Option<Arc<Server>>,
    pub(super) reason: Option<String>,
    pub(super) probe: Option<HostProbe>,
    pub(super) starts: u64,
    pub(super) misses: u32,
    told: HostState,
}

/// What hosts share.
pub(super) struct Surroundings {
    pub(super) options: Arc<Options>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: TaskTracker,
    /// Ends all servers and every run.
    pub(super) cancel: CancellationToken,
    /// What happens to hosts; what does not fit is not told.
    pub(super) news: mpsc::Sender<HostNews>,
}

/// A host and the keeper of its server.
pub(super) struct Host {
    pub(super) options: Arc<Options>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: TaskTracker,
    /// Ends the server and every run.
    pub(super) cancel: CancellationToken,
    pub(super) id: String,
    tenant: Option<TenantId>,
    number: u32,
    pub(super) layout: Layout,
    pub(super) state: watch::Sender<State>,
    story: Mutex<Story>,
    news: mpsc::Sender<HostNews>,
    keeper_runs: AtomicBool,
    pub(super) wanted: Notify,
    pub(super) suspected: Notify,
    pub(super) ordered: Notify,
    order: Mutex<Option<Order>>,
    /// Folders outside of our own that runs work in; servers are started with all of them.
    granted: Mutex<Vec<PathBuf>>,
    /// Held while a run looks whether the server reaches its folders.
    pub(super) covering: tokio::sync::Mutex<()>,
    over: CancellationToken,
    /// Servers that another one has taken over from.
    pub(super) leaving: TaskTracker,
    places: Arc<Semaphore>,
    most: usize,
    /// Held while the server boots the instance of a directory: many at once make it deaf.
    pub(super) boot: tokio::sync::Mutex<()>,
}

impl Host {
    /// A host of this name, owner and number; nothing is started.
    pub(super) fn new(
        around: Surroundings,
        (id, tenant, number): (String, Option<TenantId>, u32),
        layout: Layout,
    ) -> Arc<Self> {
        let Surroundings { options, clock, tasks, cancel, news } = around;
        let most = if tenant.is_some() { options.host_runs } else { options.max_runs };
        let story = Story {
            asked: false,
            draining: None,
            wedged: None,
            reason: None,
            probe: None,
            starts: 0,
            misses: 0,
            told: HostState::Stopped,
        };
        Arc::new(Self {
            options,
            clock,
            tasks,
            cancel,
            id,
            tenant,
            number,
            layout,
            state: watch::Sender::new(State::Stopped(None)),
            story: Mutex::new(story),
            news,
            keeper_runs: AtomicBool::new(false),
            wanted: Notify::new(),
            suspected: Notify::new(),
            ordered: Notify::new(),
            order: Mutex::default(),
            granted: Mutex::default(),
            covering: tokio::sync::Mutex::new(()),
            over: CancellationToken::new(),
            leaving: TaskTracker::new(),
            places: Arc::new(Semaphore::new(most)),
            most,
            boot: tokio::sync::Mutex::new(()),
        })
    }

    /// A place for one more run; `None` when all are taken.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Runs that have a place.
    pub(super) fn taken(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.taken() == 0
    }

    pub(super) fn seen(&self) -> Seen {
        let is_well = self.story().misses == 0;
        let standing = match &*self.state.borrow() {
            State::Up(_) if is_well => Standing::Well,
            State::Up(_) | State::Starting => Standing::Unsure,
            State::Stopped(_) | State::Failed(_) => Standing::Asleep,
        };
        Seen { number: self.number, standing, running: self.taken() }
    }

    /// The server, started if need be. While it is being replaced this waits.
    pub(super) async fn server(self: &Arc<Self>) -> Result<Arc<Server>, DriverError> {
        if self.cancel.is_cancelled() {
            return Err(ended());
        }
        if !self.keeper_runs.swap(true, Ordering::AcqRel) {
            let keeper = Arc::clone(self);
            self.tasks.spawn(async move {
                keeper.keep().await;
                keeper.over.cancel();
            });
        }
        let mut states = self.state.subscribe();
        loop {
            let woken = self.state.send_if_modified(|state| {
                let asleep = matches!(state, State::Stopped(_) | State::Failed(_));
                if asleep {
                    *state = State::Starting;
                }
                asleep
            });
            if woken {
                self.changed(None);
            }
            self.wanted.notify_one();
            let settled = states.wait_for(|state| !matches!(state, State::Starting));
            let state = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(ended()),
                state = settled => state.map_err(|_| ended())?.clone(),
            };
            match state {
                State::Up(server) => return Ok(server),
                State::Failed(error) => return Err(error),
                // It fell asleep, or was given up, between our call and its answer.
                State::Stopped(_) | State::Starting => {}
            }
        }
    }

    /// The version of a server that behaved and fell asleep; a run would wake it.
    pub(super) fn asleep(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Stopped(version) => version.clone(),
            State::Starting | State::Up(_) | State::Failed(_) => None,
        }
    }

    /// Whether a server runs, or is being started.
    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_) | State::Starting)
    }

    /// Says that the server did not behave: it is looked at now instead of at the next probe.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// The folders outside of our own that servers are started with.
    pub(super) fn granted(&self) -> Vec<PathBuf> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the server replaced by one that is started with these folders too; nobody may be working.
    pub(super) fn outgrow(&self, folders: Vec<PathBuf>) {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).extend(folders);
        self.set(State::Starting, Some("a sandbox that reaches one more folder is needed"));
        self.give(Order::Outgrown);
    }

    /// Puts a server to sleep that nobody uses.
    pub(super) fn rest(&self, why: &str) {
        let version = match &*self.state.borrow() {
            State::Up(server) => server.version.clone(),
            State::Stopped(_) | State::Starting | State::Failed(_) => return,
        };
        if self.fall_asleep(&version, why) {
            self.give(Order::Rest);
        }
    }

    /// Has the server replaced, whoever works with it.
    pub(super) fn recycle(&self, reason: &str) -> Result<(), NotRecycled> {
        if self.tenant.is_none() {
            return Err(NotRecycled::Foreign);
        }
        match self.standing() {
            HostState::Ready => {
                self.story().asked = true;
                self.changed(Some(reason));
                self.give(Order::Recycle(reason.to_owned()));
                Ok(())
            }
            state @ (HostState::Starting
            | HostState::Draining
            | HostState::Wedged
            | HostState::Stopped) => Err(NotRecycled::State(state)),
        }
    }

    /// Takes the server out of use, unless a run took a place in the meantime.
    pub(super) fn fall_asleep(&self, version: &str, why: &str) -> bool {
        let asleep = self.state.send_if_modified(|state| {
            let idle = self.is_idle() && matches!(state, State::Up(_));
            if idle {
                *state = State::Stopped(Some(version.to_owned()));
            }
            idle
        });
        if asleep {
            self.story().asked = false;
            self.changed(Some(why));
        }
        asleep
    }

    /// Returns once no server of ours is alive and none will be.
    pub(super) async fn finished(&self) {
        if self.keeper_runs.load(Ordering::Acquire) {
            self.over.cancelled().await;
            self.leaving.close();
            self.leaving.wait().await;
        }
    }

    pub(super) async fn report(&self) -> HostReport {
        let (draining, wedged, reason, probe, starts) = {
            let Story { draining, wedged, reason, probe, starts, .. } = &*self.story();
            (draining.clone(), wedged.clone(), reason.clone(), probe.clone(), *starts)
        };
        let current = match &*self.state.borrow() {
            State::Up(server) => Some(Arc::clone(server)),
            State::Stopped(_) | State::Starting | State::Failed(_) => None,
        };
        let (server, next) = match draining.or(wedged) {
            Some(old) => {
                let next = current.filter(|current| !Arc::ptr_eq(current, &old));
                (Some(old), next)
            }
            None => (current, None),
        };
        let state = self.standing();
        let server = match server {
            Some(server) => Some(server.report().await),
            None => None,
        };
        let replacement = match next {
            Some(next) => Some(next.report().await),
            None => None,
        };
        let limits = HostLimits {
            running: self.most,
            served: self.options.recycle_served,
            age: self.options.recycle_age,
            soft_rss_bytes: self.options.recycle_rss_bytes,
            hard_rss_bytes: self.options.max_rss_bytes,
        };
        let (id, tenant, kind) = (self.id.clone(), self.tenant, AgentKind::Opencode);
        HostReport { id, kind, tenant, state, server, replacement, starts, probe, reason, limits }
    }

    /// Changes the state, and says so.
    pub(super) fn set(&self, state: State, why: Option<&str>) {
        self.state.send_replace(state);
        self.changed(why);
    }

    pub(super) fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn give(&self, order: Order) {
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
        self.ordered.notify_one();
    }

    pub(super) fn take_order(&self) -> Option<Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn standing(&self) -> HostState {
        let story = self.story();
        if story.wedged.is_some() {
            return HostState::Wedged;
        }
        if story.asked || story.draining.is_some() {
            return HostState::Draining;
        }
        match &*self.state.borrow() {
            State::Starting => HostState::Starting,
            State::Up(_) => HostState::Ready,
            State::Stopped(_) | State::Failed(_) => HostState::Stopped,
        }
    }

    /// Tells how the host stands, if that is new.
    pub(super) fn changed(&self, why: Option<&str>) {
        let new = self.standing();
        let mut story = self.story();
        if let Some(why) = why {
            story.reason = Some(why.to_owned());
        }
        let old = std::mem::replace(&mut story.told, new);
        if old != new {
            let (id, tenant, reason) = (self.id.clone(), self.tenant, story.reason.clone());
            // Nobody may listen, and the state can be asked for at any time.
            self.news.try_send(HostNews { id, tenant, old, new, reason }).ok();
        }
    }
}

fn ended() -> DriverError {
    DriverError::new(ErrorType::AgentLost, "the OpenCode driver is shutting down")
}
