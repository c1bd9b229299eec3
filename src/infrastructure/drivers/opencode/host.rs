//! The server that a driver works with: started when first needed, watched, replaced when it dies.
//!
//! Invariant: at most one supervised server is alive at a time, and its death is always followed
//! by the death of its tools before another is started.
//! Invariant: it is recycled only while no run holds a place.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::child::{self, Child, Started};
use super::client::Client;
use super::layout::Layout;
use super::{Attach, Options};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;
use crate::domain::time::Timestamp;
use crate::infrastructure::sandbox::Reach;

/// Health probes that may fail in a row.
const MISSES: u32 = 3;
/// Looks at the health between two looks at the memory, which cost more.
const WEIGHED_EVERY: u32 = 10;
/// Starts that may fail in a row while runs wait.
const START_TRIES: u32 = 5;
/// Longest wait between two starts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
}

#[derive(Clone)]
enum State {
    /// No server runs; the version of the last one, when there was one and it behaved.
    Stopped(Option<String>),
    Starting,
    Up(Arc<Server>),
    Failed(DriverError),
}

enum End {
    Died(String),
    Idle,
    Cancelled,
    /// Another is to take its place at once.
    Outgrown,
}

/// The keeper of the server.
pub(super) struct Host {
    pub(super) options: Arc<Options>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: TaskTracker,
    /// Ends the server and every run.
    pub(super) cancel: CancellationToken,
    state: watch::Sender<State>,
    keeper_runs: AtomicBool,
    wanted: Notify,
    suspected: Notify,
    outgrown: Notify,
    /// Folders outside of our own that runs work in; servers are started with all of them.
    granted: Mutex<Vec<PathBuf>>,
    /// Held while a run looks whether the server reaches its folders.
    pub(super) covering: tokio::sync::Mutex<()>,
    over: CancellationToken,
    places: Arc<Semaphore>,
    /// Held while the server boots the instance of a directory: many at once make it deaf.
    pub(super) boot: tokio::sync::Mutex<()>,
}

impl Host {
    pub(super) fn new(
        options: Arc<Options>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(options.max_runs));
        Arc::new(Self {
            options,
            clock,
            tasks,
            cancel,
            state: watch::Sender::new(State::Stopped(None)),
            keeper_runs: AtomicBool::new(false),
            wanted: Notify::new(),
            suspected: Notify::new(),
            outgrown: Notify::new(),
            granted: Mutex::default(),
            covering: tokio::sync::Mutex::new(()),
            over: CancellationToken::new(),
            places,
            boot: tokio::sync::Mutex::new(()),
        })
    }

    /// A place for one more run; `None` when all are taken.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
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
            self.state.send_if_modified(|state| {
                let asleep = matches!(state, State::Stopped(_) | State::Failed(_));
                if asleep {
                    *state = State::Starting;
                }
                asleep
            });
            self.wanted.notify_one();
            let settled = states.wait_for(|state| !matches!(state, State::Starting));
            let state = tokio::select! {
                state = settled => state.map_err(|_| ended())?.clone(),
                () = self.cancel.cancelled() => return Err(ended()),
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
        self.state.send_replace(State::Starting);
        self.outgrown.notify_one();
    }

    /// Returns once no server of ours is alive and none will be.
    pub(super) async fn finished(&self) {
        if self.keeper_runs.load(Ordering::Acquire) {
            self.over.cancelled().await;
        }
    }

    async fn keep(&self) {
        let mut generation = 0;
        loop {
            tokio::select! {
                () = self.wanted.notified() => {}
                () = self.cancel.cancelled() => return,
            }
            if !matches!(*self.state.borrow(), State::Starting) {
                continue;
            }
            match &self.options.attach {
                Some(attach) => self.attach(attach, &mut generation).await,
                None => self.supervise(&mut generation).await,
            }
        }
    }

    /// Checks a server that is not ours and hands it out; it is looked at again after a suspicion.
    async fn attach(&self, attach: &Attach, generation: &mut u64) {
        *generation += 1;
        let checked = async {
            let password = attach.password.clone();
            let clock = Arc::clone(&self.clock);
            let client = Client::new(&attach.url, &attach.username, password, clock)?;
            let version = child::checked_version(&client, &self.options).await?;
            let generation = *generation;
            Ok(Arc::new(Server { client, version, generation, readable: None, reach: None }))
        };
        match checked.await {
            Ok(server) => {
                self.state.send_replace(State::Up(server));
                tokio::select! {
                    () = self.suspected.notified() => {}
                    () = self.cancel.cancelled() => {}
                }
                self.state.send_replace(State::Stopped(None));
            }
            Err(error) => {
                self.state.send_replace(State::Failed(error));
            }
        }
    }

    /// Keeps a server of our own until nobody needs it or it cannot be started.
    async fn supervise(&self, generation: &mut u64) {
        let mut failures = 0_u32;
        loop {
            let granted = self.granted();
            let started = tokio::select! {
                started = child::start(&self.options, &granted, &self.clock, &self.tasks) => started,
                () = self.cancel.cancelled() => return,
            };
            let started = match started {
                Ok(started) => started,
                Err(error) => {
                    failures += 1;
                    warn!(%error, failures, "OpenCode could not be started");
                    let never_ran = *generation == 0;
                    if never_ran || !error.retryable || self.is_idle() || failures >= START_TRIES {
                        self.state.send_replace(State::Failed(error));
                        return;
                    }
                    self.pause(failures).await;
                    continue;
                }
            };
            *generation += 1;
            let since = self.clock.now();
            match self.watch(started, *generation, since).await {
                End::Cancelled | End::Idle => return,
                End::Outgrown => {
                    failures = 0;
                    continue;
                }
                End::Died(reason) => warn!(reason, "The OpenCode server is gone; it is replaced"),
            }
            // A server that lived a while was a good one; one that dies at once counts as failed.
            let lived = self.clock.now().since(since);
            failures = if lived > Duration::from_mins(1) { 0 } else { failures + 1 };
            if failures >= START_TRIES {
                let error = DriverError::new(
                    ErrorType::AgentLost,
                    "the OpenCode server ends again and again right after its start",
                );
                self.state.send_replace(State::Failed(error));
                return;
            }
            self.pause(failures.saturating_sub(1)).await;
        }
    }

    /// Watches one server from its start to its death.
    async fn watch(&self, started: Started, generation: u64, since: Timestamp) -> End {
        let Started { mut child, client, version, reach } = started;
        info!(version, generation, "OpenCode server is ready");
        let readable = Some(Layout::of(&self.options).tool_output());
        let server = Server {
            client: client.clone(),
            version: version.clone(),
            generation,
            readable,
            reach,
        };
        // What was said of the server before this one is not meant.
        self.outgrown.notified().now_or_never();
        self.state.send_replace(State::Up(Arc::new(server)));
        let (mut misses, mut looks, mut idle_since) = (0_u32, 0_u32, None);
        let end = loop {
            tokio::select! {
                reason = child.ended() => break End::Died(reason),
                () = self.cancel.cancelled() => break End::Cancelled,
                () = self.clock.sleep(self.options.probe_every) => {}
                () = self.suspected.notified() => {}
                () = self.outgrown.notified() => break End::Outgrown,
            }
            match client.health(self.options.health_timeout).await {
                Ok(_) => misses = 0,
                Err(_) => misses += 1,
            }
            if misses >= MISSES {
                break End::Died("it does not answer".to_owned());
            }
            looks = looks.wrapping_add(1);
            let due = looks.is_multiple_of(WEIGHED_EVERY);
            if due {
                self.tidy().await;
            }
            if !self.is_idle() {
                idle_since = None;
                continue;
            }
            let now = self.clock.now();
            let idle = now.since(*idle_since.get_or_insert(now)) >= self.options.idle_time;
            let spent = idle || (due && self.is_spent(&child, since).await);
            if spent && self.fall_asleep(&version) {
                break End::Idle;
            }
        };
        let gentle = match &end {
            End::Died(_) => {
                self.state.send_replace(State::Starting);
                None
            }
            End::Idle | End::Cancelled | End::Outgrown => Some(&client),
        };
        child.kill(&self.clock, gentle).await;
        end
    }

    pub(super) fn is_idle(&self) -> bool {
        self.places.available_permits() == self.options.max_runs
    }

    /// What the server writes on the disk stays small however long it works.
    async fn tidy(&self) {
        let layout = Layout::of(&self.options);
        if let Err(error) = tokio::task::spawn_blocking(move || layout.tidy()).await {
            warn!(%error, "What OpenCode left on the disk could not be looked through");
        }
    }

    async fn is_spent(&self, child: &Child, since: Timestamp) -> bool {
        self.clock.now().since(since) >= self.options.recycle_age
            || child.memory_bytes().await >= self.options.recycle_rss_bytes
    }

    /// Takes the server out of use, unless a run took a place in the meantime.
    fn fall_asleep(&self, version: &str) -> bool {
        self.state.send_if_modified(|state| {
            let idle = self.is_idle();
            if idle {
                *state = State::Stopped(Some(version.to_owned()));
            }
            idle
        })
    }

    async fn pause(&self, failures: u32) {
        let wait =
            Duration::from_millis(250).saturating_mul(2_u32.saturating_pow(failures.min(10)));
        tokio::select! {
            () = self.clock.sleep(wait.min(LONGEST_WAIT)) => {}
            () = self.cancel.cancelled() => {}
        }
    }
}

fn ended() -> DriverError {
    DriverError::new(ErrorType::AgentLost, "the OpenCode driver is shutting down")
}
