//! What the embedded store keeps when the world fails: power, disk, single bits.

mod bit_flips;
mod damaged;
pub(crate) mod disk;
mod history;
mod io_errors;
mod kill;
mod large;
mod power_loss;
mod retention;
mod space;

use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::clock::Clock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::redb::{Medium, OpenError, RedbOptions, RedbStore};

use self::disk::Disk;
use crate::contract::fixtures::SetClock;

/// Opens the store on a disk of the test.
fn open_on(disk: &Disk) -> Result<Arc<RedbStore>, OpenError> {
    open_on_medium(Box::new(disk.clone()))
}

/// Opens the store on anything.
fn open_on_medium(medium: Box<dyn Medium>) -> Result<Arc<RedbStore>, OpenError> {
    let options = RedbOptions {
        cache_bytes: 4 * 1024 * 1024,
        queue_capacity: 256,
        probe_every: Duration::from_millis(20),
        ..RedbOptions::new("/nowhere")
    };
    let clock = SetClock::new() as Arc<dyn Clock>;
    RedbStore::open_on(medium, options, clock, Arc::new(SystemIds))
}

/// Whether the long version was asked for.
#[expect(clippy::disallowed_methods, reason = "tests have no settings")]
fn is_deep() -> bool {
    std::env::var("ORCHESTRATOR_DEEP").is_ok()
}
