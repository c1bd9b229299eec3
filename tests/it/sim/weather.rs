//! What goes wrong and when: decided by the seed, asked by every simulated part.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::store::CommitError;
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

use super::time::SimClock;

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Busy,
    Stale,
    Full,
    DiesBefore,
    DiesAfter,
    /// It is made, and whoever asked for it is told that it failed.
    Unsure,
}

struct Sky {
    chance: StdRng,
    /// Nothing goes wrong any more.
    is_calm: bool,
    /// Commits until the process dies.
    dies_in: Option<u32>,
    crash: CancellationToken,
    /// The disk is full until then.
    full_until: Timestamp,
    /// The disk is short of room until then.
    short_until: Timestamp,
    /// What was seen that must not be, at the moment when it was.
    seen: BTreeSet<String>,
    /// Sessions that something went wrong for, which may end them.
    struck: BTreeSet<SessionId>,
}

/// The faults of one simulation.
pub(crate) struct Weather {
    clock: std::sync::Arc<SimClock>,
    sky: Mutex<Sky>,
}

impl Weather {
    pub(crate) fn new(clock: std::sync::Arc<SimClock>, seed: u64) -> Self {
        let sky = Sky {
            chance: StdRng::seed_from_u64(seed),
            is_calm: false,
            dies_in: None,
            crash: CancellationToken::new(),
            full_until: Timestamp::EPOCH,
            short_until: Timestamp::EPOCH,
            seen: BTreeSet::new(),
            struck: BTreeSet::new(),
        };
        Self { clock, sky: Mutex::new(sky) }
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.sky.lock().expect("whole")
    }

    /// A new life, which ends at the commit of this number; the token tells of its end.
    pub(crate) fn begin(&self, dies_in: Option<u32>, is_calm: bool) -> CancellationToken {
        let mut sky = self.sky();
        sky.crash = CancellationToken::new();
        (sky.dies_in, sky.is_calm) = (dies_in, is_calm);
        if is_calm {
            (sky.full_until, sky.short_until) = (Timestamp::EPOCH, Timestamp::EPOCH);
        }
        sky.crash.clone()
    }

    /// Whether something of this chance goes wrong now.
    pub(crate) fn strikes(&self, chance: f64) -> bool {
        let mut sky = self.sky();
        !sky.is_calm && sky.chance.random_bool(chance)
    }

    /// Whether something of this chance goes wrong now for a session, which may end it.
    pub(crate) fn strikes_at(&self, session: SessionId, chance: f64) -> bool {
        let strikes = self.strikes(chance);
        if strikes {
            self.sky().struck.insert(session);
        }
        strikes
    }

    /// Whether something went wrong for a session that may have ended it.
    pub(crate) fn struck(&self, session: SessionId) -> bool {
        self.sky().struck.contains(&session)
    }

    /// Any number below this one.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.sky().chance.random_range(0..bound)
    }

    /// Something was seen that must not be.
    pub(crate) fn saw(&self, problem: String) {
        self.sky().seen.insert(problem);
    }

    /// Everything that was seen.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.sky().seen.iter().cloned().collect()
    }

    pub(crate) fn is_full(&self) -> bool {
        let now = self.clock.now();
        self.sky().full_until > now
    }

    pub(crate) fn is_short(&self) -> bool {
        let now = self.clock.now();
        self.sky().short_until > now
    }

    /// What becomes of the commit that is asked for now.
    pub(crate) fn fate(&self) -> Fate {
        let now = self.clock.now();
        let mut sky = self.sky();
        if let Some(left) = &mut sky.dies_in {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return if sky.chance.random_bool(0.5) {
                    Fate::DiesBefore
                } else {
                    Fate::DiesAfter
                };
            }
        }
        if sky.is_calm {
            return Fate::Done;
        }
        if sky.full_until > now {
            return Fate::Full;
        }
        match sky.chance.random_range(0..1000) {
            0..10 => Fate::Busy,
            10..35 => Fate::Stale,
            35..38 => {
                sky.full_until = now.after(Duration::from_secs(sky.chance.random_range(1..20)));
                Fate::Full
            }
            38..41 => {
                sky.short_until = now.after(Duration::from_secs(sky.chance.random_range(1..60)));
                Fate::Done
            }
            41..50 => Fate::Unsure,
            _ => Fate::Done,
        }
    }

    /// What becomes of a chore of the store, or of lines for the journal.
    pub(crate) fn chore(&self) -> Result<(), CommitError> {
        if self.is_full() {
            return Err(CommitError::ReadOnly("the disk is full".to_owned()));
        }
        if self.strikes(0.01) { Err(CommitError::Busy) } else { Ok(()) }
    }

    /// The process dies here and now: nothing that it does afterwards has any effect.
    pub(crate) async fn die<T>(&self) -> T {
        self.sky().crash.cancel();
        pending().await
    }

    /// Everything takes a moment; who is dead waits for ever.
    pub(crate) async fn moment(&self) {
        self.alive().await;
        let millis = match self.below(20) {
            0 => self.below(40),
            1..6 => 1 + self.below(3),
            _ => 0,
        };
        if millis > 0 {
            self.clock.sleep(Duration::from_millis(millis)).await;
            self.alive().await;
        }
    }

    async fn alive(&self) {
        let is_dead = self.sky().crash.is_cancelled();
        if is_dead {
            pending::<()>().await;
        }
    }
}
