//! What the store lies on: a file in a directory of its own, or any backend in tests of faults.
//!
//! Invariant: a directory or file that others can change or that belongs to somebody else is
//! refused; nothing is written before the file is locked.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError};
use rustix::fs::FallocateFlags;

use super::space::Room;

/// Name of the store's file.
const STORE_FILE: &str = "store.redb";
/// Name of that file while it is made.
const NEW_FILE: &str = "store.redb.new";
/// Names the process that holds the directory, and is locked by it.
const PID_FILE: &str = "server.pid";
/// Written and removed to see whether the disk takes writes again.
const PROBE_FILE: &str = "store.probe";
/// Takes up room that is given back in need.
const BALLAST_FILE: &str = "store.ballast";
/// Room that must be there before writing resumes.
const PROBE_BYTES: usize = 1024 * 1024;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the directory.
    #[error("{} is held by another server{}", dir.display(), holder(*pid))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process, when it could be read.
        pid: Option<u32>,
    },
    /// The directory or the file is open to others.
    #[error("{}: {problem}", path.display())]
    Permissions {
        /// What is wrong.
        path: PathBuf,
        /// How.
        problem: String,
    },
    /// The file is damaged; it was not changed.
    #[error("the store is damaged: {reason}")]
    Damaged {
        /// What the engine said.
        reason: String,
    },
    /// A newer version of the product wrote the file; it was not changed.
    #[error(
        "the store has layout {found}, this version reads up to {supported}: install the version that wrote it ({made_by} or newer)"
    )]
    Newer {
        /// Layout of the file.
        found: u32,
        /// Newest layout that this version knows.
        supported: u32,
        /// Version that made the file.
        made_by: String,
    },
    /// The disk or the system failed.
    #[error("the store cannot be opened")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl OpenError {
    /// The exit code of a process that cannot go on because of it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Damaged { .. } => 65,
            Self::Failed(_) => 69,
            Self::Held { .. } => 75,
            Self::Permissions { .. } => 77,
            Self::Newer { .. } => 78,
        }
    }

    pub(super) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// Something that a database can be opened on, more than once.
pub trait Medium: Send + Sync {
    /// Opens the database.
    ///
    /// # Errors
    /// As redb says.
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError>;

    /// Whether writes would succeed now, found out without the database.
    ///
    /// # Errors
    /// Why they would not.
    fn probe(&self) -> io::Result<()>;

    /// Size of the store, when it has one.
    fn size_bytes(&self) -> Option<u64>;

    /// Where files that take part for a while may lie.
    fn folder(&self) -> PathBuf {
        std::env::temp_dir()
    }

    /// Room on the disk; `None` where it cannot be told.
    fn room(&self) -> Option<Room> {
        None
    }

    /// Whether a ballast lies on the disk.
    fn has_ballast(&self) -> bool {
        false
    }

    /// Takes up this much room, to be given back in need.
    ///
    /// # Errors
    /// Why it could not be had; then none is taken.
    fn take_ballast(&self, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives that room back.
    ///
    /// # Errors
    /// Why it is still taken.
    fn drop_ballast(&self) -> io::Result<()> {
        Ok(())
    }

    /// The database is closed for good; whoever waits for the medium may have it.
    fn release(&self) {}
}

/// The file of a store that has no name yet.
#[derive(Debug, Clone)]
pub(super) struct Unnamed(PathBuf);

impl Unnamed {
    /// The file itself.
    pub(super) fn file(&self) -> io::Result<File> {
        own_file(&self.0, true)
    }

    /// Removes it, when it is there.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl Medium for Unnamed {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_file(self.file()?)
    }

    fn probe(&self) -> io::Result<()> {
        Ok(())
    }

    fn size_bytes(&self) -> Option<u64> {
        None
    }
}

/// A file in a directory that this process holds.
pub(super) struct FileMedium {
    dir: PathBuf,
    /// Locked as long as it is open. The engine's own lock is given up while a handle is reopened.
    lock: File,
    /// What was not there before: folders, the innermost first, and the file that is locked.
    made: Vec<PathBuf>,
    made_lock: bool,
}

impl FileMedium {
    /// Checks the directory, made when it is missing, and locks it.
    pub(super) fn hold(dir: &Path) -> Result<Self, OpenError> {
        let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
        let made = dir.ancestors().take_while(missing).map(Path::to_owned).collect();
        if !dir.exists() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(|error| not_ours(dir, error))?;
        }
        check_owner(dir, 0o022)?;
        let (path, pid_file) = (dir.join(STORE_FILE), dir.join(PID_FILE));
        for file in [&path, &pid_file].into_iter().filter(|file| file.exists()) {
            check_owner(file, 0o077)?;
        }
        let made_lock = !pid_file.exists();
        let lock = own_file(&pid_file, true).map_err(|error| not_ours(&pid_file, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(dir)),
            Err(TryLockError::Error(error)) => return Err(OpenError::failed(error)),
        }
        // Whoever held it may have left and taken the file along: then another one may be locked.
        if !is_at(&lock, &pid_file) {
            return Err(held(dir));
        }
        if fs::metadata(&path).is_ok_and(|facts| facts.len() == 0) {
            return Err(OpenError::Damaged { reason: "the file is empty".to_owned() });
        }
        Ok(Self { dir: dir.to_owned(), lock, made, made_lock })
    }

    /// Leaves the directory as it was found, and gives up the lock.
    pub(super) fn leave(self) {
        let lock = self.dir.join(PID_FILE);
        let left = if self.made_lock { fs::remove_file(lock) } else { Ok(()) };
        // One with something in it is somebody's, as are those around it.
        let kept = self.made.iter().find(|dir| fs::remove_dir(dir).is_err());
        if let Err(error) = left {
            tracing::warn!(%error, "{} could not be left as it was", self.dir.display());
        } else if let Some(kept) = kept {
            tracing::debug!("{} was made and is not empty", kept.display());
        }
        self.release();
    }

    /// The store's file.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(STORE_FILE)
    }

    /// The error of a file that another process has opened past the lock of the directory.
    pub(super) fn held(&self) -> OpenError {
        OpenError::Held { dir: self.dir.clone(), pid: None }
    }

    /// Makes the file of a new store: complete and synced before it has its name.
    pub(super) fn make(
        &self,
        fill: impl FnOnce(&dyn Medium) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        if self.path().exists() {
            return Ok(());
        }
        let unnamed = self.unnamed()?;
        fill(&unnamed)?;
        self.name(&unnamed)
    }

    /// A place for a store that has no name yet; what an earlier try left there is gone.
    pub(super) fn unnamed(&self) -> Result<Unnamed, OpenError> {
        let unnamed = Unnamed(self.dir.join(NEW_FILE));
        unnamed.remove().map_err(OpenError::failed)?;
        Ok(unnamed)
    }

    /// Gives a complete store its name.
    pub(super) fn name(&self, unnamed: &Unnamed) -> Result<(), OpenError> {
        let named = File::open(&unnamed.0)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&unnamed.0, self.path()));
        named.and_then(|()| self.sync_names()).map_err(OpenError::failed)
    }

    /// Keeps a copy of the store beside it, in place of an earlier one of this name.
    pub(super) fn keep_copy(&self, suffix: &str) -> Result<(), OpenError> {
        let kept = self.dir.join(format!("{STORE_FILE}.before-{suffix}"));
        let fresh = kept.with_extension("copy");
        let copied = own_file(&self.path(), false).and_then(|mut from| {
            let mut to = own_file(&fresh, true)?;
            to.set_len(0)?;
            io::copy(&mut from, &mut to)?;
            to.sync_all()?;
            fs::rename(&fresh, &kept)
        });
        if copied.is_err() {
            // Whatever came of it is of no use.
            drop(fs::remove_file(&fresh));
        }
        copied.and_then(|()| self.sync_names()).map_err(OpenError::failed)
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.dir).and_then(|dir| dir.sync_all())
    }

    /// Names this process as the holder.
    pub(super) fn sign(&self) -> io::Result<()> {
        let mut lock = &self.lock;
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())
    }
}

impl Medium for FileMedium {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_file(own_file(&self.path(), false)?)
    }

    fn probe(&self) -> io::Result<()> {
        let path = self.dir.join(PROBE_FILE);
        let written = own_file(&path, true).and_then(|mut file| {
            file.write_all(&vec![0xA5; PROBE_BYTES])?;
            file.sync_all()
        });
        let removed = fs::remove_file(&path);
        written.and(removed)
    }

    fn size_bytes(&self) -> Option<u64> {
        fs::metadata(self.path()).ok().map(|facts| facts.len())
    }

    fn folder(&self) -> PathBuf {
        self.dir.clone()
    }

    fn room(&self) -> Option<Room> {
        room(&self.dir).ok()
    }

    fn has_ballast(&self) -> bool {
        self.dir.join(BALLAST_FILE).exists()
    }

    fn take_ballast(&self, bytes: u64) -> io::Result<()> {
        let path = self.dir.join(BALLAST_FILE);
        let taken = own_file(&path, true).and_then(|file| occupy(&file, bytes));
        if taken.is_err()
            && let Err(error) = self.drop_ballast()
        {
            tracing::warn!(%error, "{} is of no use and could not be removed", path.display());
        }
        taken
    }

    fn drop_ballast(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.join(BALLAST_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "The directory stays locked until the process ends");
        }
    }
}

/// Room on the disk that a folder lies on.
///
/// # Errors
/// The system's.
pub fn room(dir: &Path) -> io::Result<Room> {
    let about = rustix::fs::statvfs(dir)?;
    Ok(Room {
        free: about.f_bavail.saturating_mul(about.f_frsize),
        total: about.f_blocks.saturating_mul(about.f_frsize),
    })
}

/// Makes the file hold this many bytes of the disk, not of holes.
fn occupy(mut file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        done => return Ok(done?),
    }
    let block = vec![0xA5; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let part = block.len().min(usize::try_from(left).unwrap_or(block.len()));
        file.write_all(&block[..part])?;
        left -= u64::try_from(part).unwrap_or(left);
    }
    file.sync_all()
}

/// Whether this file is the one that is found there.
fn is_at(file: &File, path: &Path) -> bool {
    let own = file.metadata().map(|facts| (facts.dev(), facts.ino()));
    let found = fs::metadata(path).map(|facts| (facts.dev(), facts.ino()));
    own.ok().zip(found.ok()).is_some_and(|(own, found)| own == found)
}

fn held(dir: &Path) -> OpenError {
    let text = fs::read_to_string(dir.join(PID_FILE)).unwrap_or_default();
    OpenError::Held { dir: dir.to_owned(), pid: text.trim().parse().ok() }
}

/// Opens a file for this user alone, without following a link.
pub(super) fn own_file(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(create)
        .truncate(false)
        .mode(0o600)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default())
        .open(path)
}

fn not_ours(path: &Path, error: io::Error) -> OpenError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        OpenError::Permissions { path: path.to_owned(), problem: error.to_string() }
    } else {
        OpenError::failed(error)
    }
}

fn check_owner(path: &Path, forbidden: u32) -> Result<(), OpenError> {
    let facts = fs::metadata(path).map_err(|error| not_ours(path, error))?;
    let refuse = |problem: String| OpenError::Permissions { path: path.to_owned(), problem };
    if facts.uid() != rustix::process::geteuid().as_raw() {
        return Err(refuse(format!("belongs to the user {}", facts.uid())));
    }
    if facts.mode() & forbidden != 0 {
        let mode = facts.mode() & 0o777;
        return Err(refuse(format!("is open to other users (mode {mode:03o}); run chmod go-rwx")));
    }
    Ok(())
}
