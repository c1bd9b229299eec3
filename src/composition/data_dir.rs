//! The data directory: for its owner alone, with everything that lies in it.
//!
//! Invariant: what others could have changed, and a secret that others could have read, is refused and
//! not repaired.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use crate::presentation::cli::exit::{CliError, code};

/// Makes the directory, or sees that one that is there is ours; others may not even look into it.
///
/// # Errors
/// For one that cannot be made, belongs to somebody else or may be written by others.
pub(super) fn make(dir: &Path) -> Result<(), CliError> {
    let cannot = |problem: std::io::Error| {
        CliError::new(code::NOT_PERMITTED, format!("{} cannot be made: {problem}", dir.display()))
            .remedy("choose a folder that you may write to: --data-dir DIR")
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(cannot)?;
    let mode = ours(dir, 0o022, "may be written by other users")?;
    if mode.is_some_and(|mode| mode & 0o077 != 0) {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(cannot)?;
    }
    Ok(())
}

/// Sees that a secret that lies in a file, if it is there, is for its owner alone.
///
/// # Errors
/// For one that belongs to somebody else or is open to others.
pub(super) fn private(file: &Path) -> Result<(), CliError> {
    ours(file, 0o077, "is open to other users").map(drop)
}

/// The mode of what is there; `None` for what is not.
fn ours(path: &Path, closed: u32, open: &str) -> Result<Option<u32>, CliError> {
    let refuse = |problem: String| {
        CliError::new(code::NOT_PERMITTED, format!("{} {problem}", path.display())).remedy(
            "own it, and take away the rights of others: chmod -R go-rwx on the data directory; a key \
             that others may have read has to be rotated: orchestrator key rotate",
        )
    };
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(format!("cannot be looked at: {error}"))),
    };
    if about.uid() != rustix::process::geteuid().as_raw() {
        return Err(refuse(format!("belongs to the user {}", about.uid())));
    }
    let mode = about.mode() & 0o777;
    if mode & closed == 0 {
        Ok(Some(mode))
    } else {
        Err(refuse(format!("{open} (mode {mode:03o})")))
    }
}
