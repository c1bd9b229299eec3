//! Backups: the whole store as one file that can be carried away, checked and put back. And exports:
//! its records as lines that anybody can read.
//!
//! An archive is a tar of `manifest.json` and `store.redb`, compressed with zstd, and behind it a
//! frame that every reader of zstd skips: the SHA-256 of all bytes before it.
//!
//! Invariant: what is in an archive was true at one moment. An archive has its name only once it was
//! read back in full, and a store is put back only from one that was.
//! Invariant: any changed bit of an archive is found.

mod check;
mod copy;
mod export;
mod import;
mod pack;
mod redact;
mod restore;
mod rules;
mod serve;
mod shape;
mod unpack;
mod whole;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

pub use self::import::{Imported, import};
pub use self::restore::{Restored, restore};
pub(super) use self::serve::Desk;
pub use self::unpack::verify;
use super::medium::{OpenError, own_file};
use crate::domain::time::Timestamp;

/// The form of an archive that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// Name of the description in an archive.
const MANIFEST: &str = "manifest.json";
/// Name of the store in an archive.
const STORE: &str = "store.redb";

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form of the archive.
    pub format: u32,
    /// Version of the product that made it.
    pub version: String,
    /// Layout of the store in it.
    pub layout: u32,
    /// When it was asked for, as an instant for people.
    pub made_at: Timestamp,
    /// Who asked.
    pub made_by: String,
    /// Why, when that was said.
    pub reason: Option<String>,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    /// Rows that were damaged already.
    pub damaged: u64,
    /// The store as a file.
    pub store: Contained,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contained {
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.values().sum()
    }
}

/// Why an archive is not taken, or nothing was put back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    /// It is not as it was written.
    #[error("it cannot be used: {0}")]
    Broken(String),
    /// A newer version of the product made it.
    #[error(
        "the archive has format {found}, this version reads up to {FORMAT}: install {made_by} or newer"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// The version that made it.
        made_by: String,
    },
    /// A store is there, which nothing is written over.
    #[error("{} holds a store already", .0.display())]
    Occupied(PathBuf),
    /// The store in it, or the directory it is to go to.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A file.
    #[error("{what}: {source}")]
    File {
        /// Which, and what was done.
        what: String,
        /// The system's.
        source: io::Error,
    },
}

impl From<tokio::task::JoinError> for ArchiveFault {
    fn from(error: tokio::task::JoinError) -> Self {
        OpenError::failed(error).into()
    }
}

impl ArchiveFault {
    /// The exit code of a command that ends with it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Broken(_) => 65,
            Self::Newer { .. } => 78,
            Self::Occupied(_) | Self::File { .. } => 1,
            Self::Store(error) => error.exit_code(),
        }
    }

    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = path.display().to_string();
        move |source| Self::File { what, source }
    }

    fn broken(what: impl std::fmt::Display) -> Self {
        Self::Broken(format!("{what}"))
    }
}

/// The version that an archive names, as it can be shown.
fn shown(version: Option<&str>) -> String {
    let version = version.unwrap_or("the version that made it");
    version.chars().filter(|letter| !letter.is_control()).take(40).collect()
}

/// Tells the files apart that need a name for a moment.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file without a name in this folder: whatever happens to the process, nothing is left of it.
fn nameless(folder: &Path) -> io::Result<File> {
    let unlinked = OFlags::TMPFILE.bits();
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let made = options.custom_flags(i32::try_from(unlinked).unwrap_or_default()).open(folder);
    if made.is_ok() {
        return made;
    }
    // Not every file system can do that.
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let place = folder.join(format!(".orchestrator-copy-{process}-{number}"));
    let file = own_file(&place, true)?;
    file.set_len(0)?;
    std::fs::remove_file(&place)?;
    Ok(file)
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a text cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
