//! What a folder really is, and what lies above it: for deciding whether somebody may work there.
//!
//! Invariant: folders are compared by what they are (device and number) and not by what they are called:
//! a link, a second mount or another spelling of a name changes nothing.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat, fstatfs, openat, openat2,
};

/// Where devices and the kernel's own figures lie, which look like files and are none.
const OF_THE_KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Source: `SYSFS_MAGIC` in the kernel's `linux/magic.h`.
const SYSFS_MAGIC: u64 = 0x6265_6572;
/// More folders than this above each other are not looked at.
const MAX_DEPTH: usize = 4096;

/// A folder that was opened, and stays what it is whatever happens to its name.
pub(super) struct Ground(OwnedFd);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Ground {
    /// Opens a folder whose path has no symbolic link in it; one that was put there in the meantime
    /// is an error.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
        match opened {
            Err(rustix::io::Errno::NOSYS) => {
                Ok(Self(openat(CWD, path, flags | OFlags::NOFOLLOW, Mode::empty())?))
            }
            opened => Ok(Self(opened?)),
        }
    }

    /// Whether this is the other folder or lies in it.
    pub(super) fn lies_in(&self, other: &Self) -> io::Result<bool> {
        let wanted = identity(&other.0)?;
        let mut here = self.0.try_clone()?;
        for _ in 0..MAX_DEPTH {
            let own = identity(&here)?;
            if own == wanted {
                return Ok(true);
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let above = openat(&here, "..", flags, Mode::empty())?;
            if identity(&above)? == own {
                return Ok(false);
            }
            here = above;
        }
        Err(io::Error::other("it lies too deep"))
    }

    /// Whether this is a place of the kernel.
    pub(super) fn is_of_the_kernel(&self, path: &Path) -> io::Result<bool> {
        let about = fstatfs(&self.0)?;
        let kind = u64::try_from(about.f_type).unwrap_or_default();
        let is_special =
            kind == u64::try_from(PROC_SUPER_MAGIC).unwrap_or(1) || kind == SYSFS_MAGIC;
        Ok(is_special || OF_THE_KERNEL.iter().any(|place| path.starts_with(place)))
    }
}

fn identity(folder: impl AsFd) -> io::Result<Identity> {
    let about = fstat(folder)?;
    Ok(Identity(about.st_dev, about.st_ino))
}
