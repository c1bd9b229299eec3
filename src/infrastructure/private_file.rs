//! Files that only their owner may read.
//!
//! Invariant: under its name a file is complete and durable, or what it was before.

use std::fs;
use std::io::{ErrorKind, Result, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes one.
///
/// # Errors
/// The system's; nothing is changed then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    // What an earlier attempt left may have rights of its own.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let done = written.and_then(|()| fs::rename(&fresh, path));
    if done.is_err() {
        drop(fs::remove_file(&fresh));
    }
    done?;
    path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
}
