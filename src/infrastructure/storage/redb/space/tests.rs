//! Room that runs out in steps.

use std::io;
use std::sync::Mutex;

use redb::{Builder, Database, DatabaseError};

use super::*;

/// A disk of which only the room is of interest.
struct Disk {
    total: u64,
    used: Mutex<u64>,
    ballast: Mutex<u64>,
}

impl Disk {
    fn new(total: u64, used: u64) -> Self {
        Self { total, used: Mutex::new(used), ballast: Mutex::new(0) }
    }

    fn fill(&self, free: u64) {
        let ballast = *self.ballast.lock().expect("whole");
        *self.used.lock().expect("whole") = self.total - ballast - free;
    }
}

impl Medium for Disk {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(redb::backends::InMemoryBackend::new())
    }

    fn probe(&self) -> io::Result<()> {
        Ok(())
    }

    fn size_bytes(&self) -> Option<u64> {
        None
    }

    fn room(&self) -> Option<Room> {
        let used = *self.used.lock().expect("whole") + *self.ballast.lock().expect("whole");
        Some(Room { free: self.total - used, total: self.total })
    }

    fn has_ballast(&self) -> bool {
        *self.ballast.lock().expect("whole") > 0
    }

    fn take_ballast(&self, bytes: u64) -> io::Result<()> {
        *self.ballast.lock().expect("whole") = bytes;
        Ok(())
    }

    fn drop_ballast(&self) -> io::Result<()> {
        *self.ballast.lock().expect("whole") = 0;
        Ok(())
    }
}

const GIB: u64 = 1024 * MIB;
const USUAL: SpaceOptions = SpaceOptions { low_bytes: 128 * MIB, ballast_bytes: 16 * MIB };

#[test]
fn room_runs_out_in_steps_and_comes_back() {
    let (disk, space) = (Disk::new(100 * GIB, 0), Space::new(USUAL));
    space.begin(&disk);
    assert!(!disk.has_ballast(), "nothing is taken while the store is opened");
    space.look(&disk);
    assert!(disk.has_ballast() && space.shortage().is_none());
    assert_eq!(space.free(), Some(100 * GIB - 16 * MIB));
    disk.fill(127 * MIB);
    space.look(&disk);
    assert!(space.shortage().is_some_and(|why| why.starts_with("127 MiB")));
    assert!(disk.has_ballast() && !space.is_last());
    disk.fill(15 * MIB);
    space.look(&disk);
    assert!(!disk.has_ballast() && !space.is_last(), "the ballast gives room");
    assert_eq!(space.free(), Some(31 * MIB));
    disk.fill(MIB);
    space.look(&disk);
    assert!(space.is_last());
    disk.fill(130 * MIB);
    space.look(&disk);
    assert!(!disk.has_ballast() && !space.is_last() && space.shortage().is_none());
    disk.fill(144 * MIB);
    space.look(&disk);
    assert!(disk.has_ballast() && space.shortage().is_none());
}

#[test]
fn a_failed_commit_gets_the_room_of_the_ballast() {
    let (disk, space) = (Disk::new(100 * GIB, 0), Space::new(USUAL));
    space.look(&disk);
    disk.fill(0);
    space.commit_failed(&disk);
    assert!(!disk.has_ballast());
    assert_eq!(space.free(), Some(16 * MIB));
}

#[test]
fn an_earlier_ballast_is_taken_over_and_given_up_when_it_is_switched_off() {
    let (disk, space) = (Disk::new(100 * GIB, 0), Space::new(USUAL));
    disk.take_ballast(16 * MIB).expect("taken");
    disk.fill(MIB);
    space.begin(&disk);
    assert!(!disk.has_ballast(), "there is need of it at once");
    disk.take_ballast(16 * MIB).expect("taken");
    let off = Space::new(SpaceOptions { low_bytes: 0, ballast_bytes: 0 });
    off.begin(&disk);
    off.look(&disk);
    assert!(!disk.has_ballast() && off.shortage().is_none() && !off.is_last());
}

#[test]
fn marks_shrink_with_the_disk() {
    assert_eq!(USUAL.for_disk(100 * GIB), USUAL);
    let small = USUAL.for_disk(512 * MIB);
    assert_eq!(small, SpaceOptions { low_bytes: 32 * MIB, ballast_bytes: 4 * MIB });
    let tiny = USUAL.for_disk(8 * MIB);
    assert_eq!(tiny, SpaceOptions { low_bytes: MIB / 2, ballast_bytes: 0 });
    assert_eq!(USUAL.shortage(Room { free: 6 * MIB, total: 8 * MIB }), None);
}
