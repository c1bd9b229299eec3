//! What the programs that we start may use of the machine.
//!
//! Memory, processors and the number of processes are not among it: address space says nothing about the
//! programs of today, which reserve what they never use, and the kernel counts processes by user.
//! That is for control groups, which belong to whoever starts the server.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer open files than this break ordinary programs.
const LEAST_FILES: u64 = 1024;
/// Open files that a program of ours had before it asked for more.
static USUAL_FILES: OnceLock<u64> = OnceLock::new();

/// Limits of one child.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Open files at once; 0 sets no limit.
    files: u64,
    /// Largest file in MiB; 0 sets no limit.
    file_mb: u64,
}

impl Limits {
    /// The limits of children of this process, which write files of at most this size.
    #[must_use]
    pub fn with(file_mb: u32) -> Self {
        let files = USUAL_FILES.get().copied().unwrap_or_default();
        Self { files, file_mb: u64::from(file_mb) }
    }

    /// The flags by which the guard is told.
    #[must_use]
    pub fn flags(self) -> Vec<String> {
        let Self { files, file_mb } = self;
        let set = [("--files", files), ("--file-mb", file_mb)];
        let set = set.into_iter().filter(|(_, value)| *value > 0);
        set.flat_map(|(flag, value)| [flag.to_owned(), value.to_string()]).collect()
    }

    /// Takes one flag back; `None` when it is none of these.
    pub(super) fn set(&mut self, flag: &str, value: &str) -> Option<()> {
        let value = value.parse().ok()?;
        match flag {
            "--files" => self.files = value,
            "--file-mb" => self.file_mb = value,
            _ => return None,
        }
        Some(())
    }

    /// From here on for this process and whatever it starts. A limit that is lower already stays.
    pub(super) fn put_in_force(self) {
        lower(Resource::Core, 0, true);
        if self.files > 0 {
            lower(Resource::Nofile, self.files, false);
        }
        if self.file_mb > 0 {
            lower(Resource::Fsize, self.file_mb.saturating_mul(1024 * 1024), true);
        }
    }
}

/// As many descriptors as this process may have: a thousand connections need more than it usually starts
/// with. What it had is remembered for its children.
pub fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current.unwrap_or(LEAST_FILES).max(LEAST_FILES);
    USUAL_FILES.get_or_init(|| before);
    limit.current = limit.maximum;
    // Without the right to raise it, those who come when there is none left have to wait.
    setrlimit(Resource::Nofile, limit).ok();
}

fn lower(resource: Resource, to: u64, for_good: bool) {
    let limit = getrlimit(resource);
    let at_most = |now: Option<u64>| Some(now.map_or(to, |now| now.min(to)));
    let maximum = if for_good { at_most(limit.maximum) } else { limit.maximum };
    let lowered = Rlimit { current: at_most(limit.current), maximum };
    // What may not be changed stays as whoever started us wanted it.
    setrlimit(resource, lowered).ok();
}
