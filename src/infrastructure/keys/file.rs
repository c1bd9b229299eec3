//! A key of 32 bytes in a file of the data directory.
//!
//! Invariant: the file belongs to this user alone and is complete or not there. One that others could
//! read or change is refused, not repaired: whoever could read it may have done so.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::TryRng as _;

use crate::domain::canonical::{from_hex, hex};
use crate::infrastructure::private_file;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Others could read or change it.
    #[error("{} {problem}", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It is not one of ours.
    #[error("{} is no key of ours: it must have 64 hexadecimal digits", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system failed.
    #[error("a key cannot be had: {0}")]
    Failed(#[from] io::Error),
}

/// The key in a file, which is made when there is none.
///
/// # Errors
/// `KeyError`.
pub fn kept_in(path: &Path) -> Result<[u8; 32], KeyError> {
    if !path.try_exists()? {
        private_file::write(path, hex(&passing()?).as_bytes())?;
    }
    let path = path.to_owned();
    let mut file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)?;
    let facts = file.metadata()?;
    let refused = |problem: String| KeyError::Permissions { path: path.clone(), problem };
    if facts.uid() != rustix::process::geteuid().as_raw() {
        return Err(refused(format!("belongs to the user {}", facts.uid())));
    }
    if facts.mode() & 0o077 != 0 {
        let mode = facts.mode() & 0o777;
        return Err(refused(format!("is open to other users (mode {mode:03o})")));
    }
    let mut text = String::new();
    (&mut file).take(1024).read_to_string(&mut text)?;
    from_hex(text.trim()).ok_or(KeyError::Malformed { path })
}

/// A key that nobody keeps: what it is used for is lost with the process.
///
/// # Errors
/// `KeyError::Failed`.
pub fn passing() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_stays_in_its_file_and_one_that_others_could_read_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("seal.key");
        let first = kept_in(&file).expect("made");
        assert_eq!(kept_in(&file).expect("read"), first);
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660, 0o620] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("changed");
            assert!(matches!(kept_in(&file), Err(KeyError::Permissions { .. })), "{mode:o}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("changed");
        for text in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(66)] {
            fs::write(&file, text).expect("written");
            assert!(matches!(kept_in(&file), Err(KeyError::Malformed { .. })), "{text}");
            assert_eq!(fs::read_to_string(&file).expect("there"), text, "it is kept");
        }
        fs::remove_file(&file).expect("removed");
        std::os::unix::fs::symlink("/dev/zero", &file).expect("a link");
        assert!(kept_in(&file).is_err(), "no link is followed");
    }
}
