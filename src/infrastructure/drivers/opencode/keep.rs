//! The keeper of a host's server: starts it, looks after it, has another take over from it, ends it.
//!
//! Invariant: a server that still answers is ended only after every run has left it, in peace or at the end of
//! its patience. One that does not is killed only after every run has saved what there is.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::Attach;
use super::child::{self, Child, Started, weigh};
use super::client::Client;
use super::host::{Fate, Host, Order, Server, State};
use super::policy::{Advice, Bounds, Facts, advise};
use crate::application::ports::driver::DriverError;
use crate::application::ports::hosts::HostProbe;
use crate::domain::session::attempt::ErrorType;
use crate::domain::time::Timestamp;

/// Looks at the health between two looks at the memory, which cost more.
const WEIGHED_EVERY: u32 = 10;
/// Starts that may fail in a row while runs wait.
const START_TRIES: u32 = 5;
/// Longest wait between two starts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a server that uses far too much memory is kept for its runs' sake.
const AT_ONCE: Duration = Duration::from_secs(10);
/// After this a server is tried to be replaced again, after the one in its place did not start.
const REPLACE_AGAIN: Duration = Duration::from_mins(1);

enum End {
    Died(String),
    /// It is alive and does not answer.
    Wedged(String),
    Idle,
    Cancelled,
    /// Another is to take its place at once.
    Outgrown,
    /// Another took its place already, and its runs have so long.
    Replaced(Box<Started>, Duration),
}

/// What is remembered from one look to the next.
struct Vigil {
    looks: u32,
    idle_since: Option<Timestamp>,
    deep_at: Timestamp,
    /// Before this it is not tried to replace the server.
    not_before: Timestamp,
}

impl Host {
    pub(super) async fn keep(self: &Arc<Self>) {
        let mut generation = 0;
        loop {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                () = self.wanted.notified() => {}
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
            let server = Server::new(client, version, self.clock.now());
            Ok::<_, DriverError>(Arc::new(Server { generation: *generation, ..server }))
        };
        match checked.await {
            Ok(server) => {
                self.story().starts = *generation;
                self.set(State::Up(server), None);
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => {}
                    () = self.suspected.notified() => {}
                }
                self.set(State::Stopped(None), None);
            }
            Err(error) => {
                let why = error.message.clone();
                self.set(State::Failed(error), Some(&why));
            }
        }
    }

    /// Keeps a server of our own until nobody needs it or it cannot be started.
    async fn supervise(self: &Arc<Self>, generation: &mut u64) {
        let (mut failures, mut next) = (0_u32, None);
        loop {
            let started = if let Some(started) = next.take() {
                Ok(started)
            } else {
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => return,
                    started = self.start() => started,
                }
            };
            let started = match started {
                Ok(started) => started,
                Err(error) => {
                    failures += 1;
                    warn!(%error, failures, host = self.id, "OpenCode could not be started");
                    let never_ran = *generation == 0;
                    if never_ran || !error.retryable || self.is_idle() || failures >= START_TRIES {
                        let why = error.message.clone();
                        self.set(State::Failed(error), Some(&why));
                        return;
                    }
                    self.pause(failures).await;
                    continue;
                }
            };
            *generation += 1;
            let since = self.clock.now();
            match self.watch(started, *generation).await {
                End::Cancelled | End::Idle => return,
                End::Outgrown => {
                    failures = 0;
                    continue;
                }
                End::Replaced(started, _) => {
                    failures = 0;
                    next = Some(*started);
                    continue;
                }
                End::Died(reason) | End::Wedged(reason) => {
                    warn!(reason, host = self.id, "The OpenCode server is gone; it is replaced");
                }
            }
            // A server that lived a while was a good one; one that dies at once counts as failed.
            let lived = self.clock.now().since(since);
            failures = if lived > Duration::from_mins(1) { 0 } else { failures + 1 };
            if failures >= START_TRIES {
                let why = "the OpenCode server ends again and again right after its start";
                let error = DriverError::new(ErrorType::AgentLost, why);
                self.set(State::Failed(error), Some(why));
                return;
            }
            self.pause(failures.saturating_sub(1)).await;
        }
    }

    async fn start(&self) -> Result<Started, DriverError> {
        let granted = self.granted();
        child::start(&self.options, &self.layout, &granted, &self.clock, &self.tasks).await
    }

    /// Watches one server from its start to its end.
    async fn watch(self: &Arc<Self>, started: Started, generation: u64) -> End {
        let Started { mut child, client, version, reach } = started;
        info!(version, generation, host = self.id, "OpenCode server is ready");
        let server = Arc::new(Server {
            generation,
            readable: Some(self.layout.tool_output()),
            reach,
            process: child.process_of(),
            ..Server::new(client, version, self.clock.now())
        });
        // What was said of the server before this one is not meant.
        drop(self.take_order());
        {
            let mut story = self.story();
            story.starts += 1;
            (story.asked, story.misses, story.probe) = (false, 0, None);
        }
        self.set(State::Up(Arc::clone(&server)), None);
        let end = self.look_after(&mut child, &server).await;
        match end {
            End::Replaced(started, patience) => {
                let until = self.clock.now().after(patience);
                let host = Arc::clone(self);
                let leaving = host.leaving.token();
                self.tasks.spawn(async move {
                    host.retire(child, server, until).await;
                    drop(leaving);
                });
                return End::Replaced(started, patience);
            }
            End::Wedged(reason) => {
                self.give_up(&mut child, &server, &reason).await;
                child.kill(&self.clock, None).await;
                self.story().wedged = None;
                self.changed(None);
                return End::Wedged(reason);
            }
            End::Died(ref reason) => {
                self.set(State::Starting, Some(reason));
                child.kill(&self.clock, None).await;
            }
            End::Idle | End::Cancelled | End::Outgrown => {
                child.kill(&self.clock, Some(&server.client)).await;
            }
        }
        end
    }

    /// Looks at a server again and again until something becomes of it.
    async fn look_after(&self, child: &mut Child, server: &Arc<Server>) -> End {
        let now = self.clock.now();
        let mut vigil = Vigil { looks: 0, idle_since: None, deep_at: now, not_before: now };
        loop {
            let order = tokio::select! {
                biased;
                reason = child.ended() => return End::Died(reason),
                () = self.cancel.cancelled() => return End::Cancelled,
                () = self.ordered.notified() => self.take_order(),
                () = self.suspected.notified() => None,
                () = self.clock.sleep(self.options.probe_every) => None,
            };
            let advice = match order {
                Some(Order::Outgrown) => return End::Outgrown,
                Some(Order::Rest) => return End::Idle,
                Some(Order::Recycle(why)) => Advice::Replace { why, at_once: false },
                None => self.look(&mut vigil, server).await,
            };
            match advice {
                Advice::Keep => {}
                Advice::Wedged(why) => return End::Wedged(why),
                Advice::Sleep(why) => {
                    if self.fall_asleep(&server.version, &why) {
                        return End::Idle;
                    }
                }
                Advice::Replace { why, at_once } => {
                    let patience = if at_once { AT_ONCE } else { self.options.move_grace };
                    if let Some(started) = self.start_another(server, &why, &mut vigil).await {
                        return End::Replaced(Box::new(started), patience);
                    }
                }
            }
        }
    }

    async fn look(&self, vigil: &mut Vigil, server: &Server) -> Advice {
        let (options, now) = (&self.options, self.clock.now());
        let before = self.story().misses;
        // A server that says that it is well is believed only as long as it also does something.
        let is_deep = before > 0 || now >= vigil.deep_at;
        if is_deep {
            vigil.deep_at = now.after(options.deep_probe_every);
        }
        let misses = self.probe(server, is_deep).await;
        vigil.looks = vigil.looks.wrapping_add(1);
        let due = vigil.looks.is_multiple_of(WEIGHED_EVERY);
        if due {
            self.tidy().await;
        }
        let rss_bytes = match &server.process {
            Some((marker, keeper)) if due => Some(weigh(marker, *keeper).await.server_bytes),
            _ => None,
        };
        let now = self.clock.now();
        vigil.idle_since = self.is_idle().then(|| vigil.idle_since.unwrap_or(now));
        let facts = Facts {
            rss_bytes,
            age: now.since(server.started_at),
            served: server.served(),
            misses,
            idle: vigil.idle_since.map(|since| now.since(since)),
        };
        match advise(&facts, &bounds(options)) {
            Advice::Replace { .. } if now < vigil.not_before => Advice::Keep,
            advice @ (Advice::Keep
            | Advice::Sleep(_)
            | Advice::Replace { .. }
            | Advice::Wedged(_)) => advice,
        }
    }

    /// Asks the server something, and keeps how that went; the number of failures in a row.
    async fn probe(&self, server: &Server, is_deep: bool) -> u32 {
        let (began, time) = (self.clock.now(), self.options.health_timeout);
        let home = self.layout.home().display().to_string();
        let answer = if is_deep {
            server.client.conversations(&home, time).await
        } else {
            server.client.health(time).await.map(drop)
        };
        let at = self.clock.now();
        let error = answer.err().map(|error| error.to_string());
        let mut story = self.story();
        story.misses = if error.is_some() { story.misses + 1 } else { 0 };
        story.probe = Some(HostProbe { at, latency: at.since(began), is_deep, error });
        story.misses
    }

    /// Starts the server that is to take over; `None` when it does not start, and the old one goes on.
    async fn start_another(
        &self,
        server: &Arc<Server>,
        why: &str,
        vigil: &mut Vigil,
    ) -> Option<Started> {
        if self.story().draining.is_some() {
            self.story().asked = false;
            return None;
        }
        info!(why, host = self.id, "The OpenCode server is replaced");
        {
            let mut story = self.story();
            (story.asked, story.draining) = (false, Some(Arc::clone(server)));
        }
        // From here on nobody begins to work with the old one.
        self.set(State::Starting, Some(why));
        let started = tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            started = self.start() => Some(started),
        };
        match started {
            Some(Ok(started)) => return Some(started),
            Some(Err(error)) => {
                warn!(%error, host = self.id, "The OpenCode server could not be replaced");
                vigil.not_before = self.clock.now().after(REPLACE_AGAIN);
                self.story().draining = None;
                let why = format!("it could not be replaced: {error}");
                self.set(State::Up(Arc::clone(server)), Some(&why));
            }
            None => {}
        }
        None
    }

    /// Waits until all runs have left a server that another took over from, and ends it.
    async fn retire(&self, mut child: Child, server: Arc<Server>, until: Timestamp) {
        server.fate.send_replace(Fate::Replaced { until });
        server.users.close();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            () = server.users.wait() => {}
            // Its runs notice by themselves.
            _ = child.ended() => {}
        }
        child.kill(&self.clock, Some(&server.client)).await;
        server.gone.cancel();
        info!(generation = server.generation, host = self.id, "The OpenCode server was replaced");
        self.story().draining = None;
        self.changed(None);
    }

    /// Waits until all runs have saved what there is.
    async fn give_up(&self, child: &mut Child, server: &Arc<Server>, reason: &str) {
        warn!(reason, host = self.id, "The OpenCode server does not answer; its runs are saved");
        self.story().wedged = Some(Arc::clone(server));
        self.set(State::Starting, Some(reason));
        server.fate.send_replace(Fate::Wedged);
        server.users.close();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            () = server.users.wait() => {}
            _ = child.ended() => {}
        }
    }

    /// What the server writes on the disk stays small however long it works.
    async fn tidy(&self) {
        let layout = self.layout.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || layout.tidy()).await {
            warn!(%error, "What OpenCode left on the disk could not be looked through");
        }
    }

    async fn pause(&self, failures: u32) {
        let wait =
            Duration::from_millis(250).saturating_mul(2_u32.saturating_pow(failures.min(10)));
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            () = self.clock.sleep(wait.min(LONGEST_WAIT)) => {}
        }
    }
}

fn bounds(options: &super::Options) -> Bounds {
    Bounds {
        soft_rss_bytes: options.recycle_rss_bytes,
        hard_rss_bytes: options.max_rss_bytes,
        age: options.recycle_age,
        served: options.recycle_served,
        misses: options.probe_failures,
        idle: options.idle_time,
        settled: options.settled,
    }
}
