//! A disk in memory that loses power, fails and lies.
//!
//! Writes reach `current` at once and `durable` at a sync. When the power goes, each write since the
//! last sync is lost, kept as part of a prefix, or kept sector by sector.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use orchestrator::infrastructure::storage::redb::Medium;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::{Builder, Database, DatabaseError, StorageBackend};

const SECTOR: usize = 512;

/// What is left of the writes since the last sync when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing.
    All,
    /// The first few.
    Prefix,
    /// Each sector by chance.
    Torn,
}

impl Loss {
    pub(crate) const EACH: [Self; 3] = [Self::All, Self::Prefix, Self::Torn];
}

/// Which calls fail while a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Writes and growth: no space.
    NoSpace,
    /// Syncs: I/O error.
    Sync,
    /// Writes: I/O error.
    Write,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, mut keep: impl FnMut() -> bool) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => {
                if bytes.len() < offset + data.len() {
                    bytes.resize(offset + data.len(), 0);
                }
                let mut from = 0;
                while from < data.len() {
                    let end = data.len().min(from + SECTOR - (offset + from) % SECTOR);
                    if keep() {
                        bytes[offset + from..offset + end].copy_from_slice(&data[from..end]);
                    }
                    from = end;
                }
            }
        }
    }
}

/// The state of the disk.
#[derive(Debug, Default)]
pub(crate) struct State {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    is_lying: bool,
    /// Writes and syncs until the power goes.
    power_for: Option<u64>,
    is_dead: bool,
    /// Calls until the fault begins.
    fault: Option<(Fault, u64)>,
    read_bytes: u64,
}

/// A disk that a store can lie on; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk with these bytes.
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        let state = State { durable: bytes.clone(), current: bytes, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the disk")
    }

    /// Syncs do nothing from now on, and say that they did.
    pub(crate) fn lie(&self) {
        self.state().is_lying = true;
    }

    /// The power goes after this many writes and syncs.
    pub(crate) fn power_for(&self, calls: u64) {
        self.state().power_for = Some(calls);
    }

    /// Takes the power now.
    pub(crate) fn cut(&self) {
        self.state().is_dead = true;
    }

    /// A fault begins after this many calls of its kind, and lasts until `heal`.
    pub(crate) fn fail_after(&self, fault: Fault, calls: u64) {
        self.state().fault = Some((fault, calls));
    }

    pub(crate) fn heal(&self) {
        self.state().fault = None;
    }

    /// Bytes that were ever read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.state().read_bytes
    }

    /// All bytes as they are.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().current.clone()
    }

    /// What is found when the power comes back.
    pub(crate) fn after_power_loss(&self, loss: Loss, seed: u64) -> Self {
        let state = self.state();
        let mut chance = StdRng::seed_from_u64(seed);
        let mut bytes = state.durable.clone();
        let kept = chance.random_range(0..=state.pending.len());
        for (index, change) in state.pending.iter().enumerate() {
            match loss {
                Loss::Prefix if index < kept => change.apply(&mut bytes, || true),
                Loss::All | Loss::Prefix => {}
                Loss::Torn => change.apply(&mut bytes, || chance.random_bool(0.5)),
            }
        }
        Self::with(bytes)
    }
}

impl State {
    fn check_power(&mut self) -> io::Result<()> {
        if let Some(calls) = &mut self.power_for {
            self.is_dead |= *calls == 0;
            *calls = calls.saturating_sub(1);
        }
        if self.is_dead { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    fn check_fault(&mut self, kinds: &[Fault]) -> io::Result<()> {
        if let Some((fault, calls)) = &mut self.fault
            && kinds.contains(fault)
        {
            if *calls == 0 {
                let number = if *fault == Fault::NoSpace { 28 } else { 5 };
                return Err(io::Error::from_raw_os_error(number));
            }
            *calls -= 1;
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.current, || true);
        self.pending.push(change);
    }
}

#[derive(Debug)]
struct Backend(Disk);

fn place(number: u64) -> usize {
    usize::try_from(number).expect("disks of tests are small")
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.0.state().current.len()).expect("disks of tests are small"))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.0.state();
        state.read_bytes += u64::try_from(out.len()).expect("disks of tests are small");
        let range = place(offset)..place(offset) + out.len();
        let found = state.current.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.state();
        state.check_power()?;
        state.check_fault(&[Fault::NoSpace])?;
        state.change(Change::Length(place(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.state();
        state.check_power()?;
        state.check_fault(&[Fault::Sync])?;
        if !state.is_lying {
            let State { durable, pending, .. } = &mut *state;
            for change in pending.drain(..) {
                change.apply(durable, || true);
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.state();
        state.check_power()?;
        state.check_fault(&[Fault::NoSpace, Fault::Write])?;
        state.change(Change::Write(place(offset), data.to_vec()));
        Ok(())
    }
}

impl Medium for Disk {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(Backend(self.clone()))
    }

    fn probe(&self) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        state.check_fault(&[Fault::NoSpace, Fault::Sync, Fault::Write])
    }

    fn size_bytes(&self) -> Option<u64> {
        u64::try_from(self.state().current.len()).ok()
    }
}
