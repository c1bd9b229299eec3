//! Time, identities and chance of a simulation, all of it from one seed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use orchestrator::application::ports::clock::{Clock, Ids, NoSecret};
use orchestrator::domain::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Handle;
use tokio::time::Instant;
use uuid::Uuid;

/// Simulated time. While a life goes on it is the paused clock of that life's runtime, which jumps
/// to the next sleeper whenever nobody has anything to do; between lives it stands still.
///
/// Threads outside the runtime, such as the writer of the embedded store, see the time that was last
/// asked for inside: whoever they work for waits meanwhile.
pub(crate) struct SimClock(Mutex<Shown>);

struct Shown {
    base: Timestamp,
    since: Option<Instant>,
    last: Timestamp,
}

impl SimClock {
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self(Mutex::new(Shown { base: now, since: None, last: now }))
    }

    /// A life begins; called inside its runtime.
    pub(crate) fn go(&self) {
        self.0.lock().expect("whole").since = Some(Instant::now());
    }

    /// The life is over, and nothing happens for a while; called inside its runtime.
    pub(crate) fn halt(&self, down_for: Duration) {
        let now = self.now().after(down_for);
        *self.0.lock().expect("whole") = Shown { base: now, since: None, last: now };
    }
}

impl SimClock {
    /// Between lives somebody sets the clock by so many milliseconds.
    pub(crate) fn set_by(&self, millis: i64) {
        let mut shown = self.0.lock().expect("whole");
        let now = Timestamp::from_millis(shown.base.millis() + millis);
        *shown = Shown { base: now, since: None, last: now };
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let mut shown = self.0.lock().expect("whole");
        if let Some(since) = shown.since
            && Handle::try_current().is_ok()
        {
            shown.last = shown.base.after(since.elapsed());
        }
        shown.last
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Identities that rise, and chance.
pub(crate) struct SimIds {
    state: Mutex<(StdRng, u64)>,
}

impl SimIds {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: Mutex::new((StdRng::seed_from_u64(seed), 0)) }
    }
}

impl Ids for SimIds {
    fn uuid(&self) -> Uuid {
        let mut state = self.state.lock().expect("whole");
        state.1 += 1;
        let mut bytes = [0; 10];
        bytes[3..].copy_from_slice(&state.1.to_be_bytes()[1..]);
        uuid::Builder::from_unix_timestamp_millis(1_750_000_000_000, &bytes).into_uuid()
    }

    fn chance(&self) -> f64 {
        self.state.lock().expect("whole").0.random()
    }

    fn secret(&self) -> Result<String, NoSecret> {
        let bytes: [u8; 32] = self.state.lock().expect("whole").0.random();
        Ok(orchestrator::domain::canonical::hex(&bytes))
    }
}
