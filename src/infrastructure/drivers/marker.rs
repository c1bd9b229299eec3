//! The variable that every process of one program of ours carries, so that all of them can be found.

use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::application::ports::driver::DriverError;
use crate::domain::canonical::sha256_hex;
use crate::domain::session::attempt::ErrorType;

/// The variable and its value.
#[derive(Debug, Clone)]
pub(super) struct Marker {
    pub(super) name: String,
    pub(super) value: String,
}

impl Marker {
    /// A marker for one start of a program that keeps its state in this folder.
    pub(super) fn fresh(name: &str, state_dir: &Path) -> Result<Self, DriverError> {
        let value = format!("{}:{}", place(state_dir), random_hex(8)?);
        Ok(Self { name: name.to_owned(), value })
    }

    /// As `NAME=VALUE`.
    pub(super) fn entry(&self) -> String {
        format!("{}={}", self.name, self.value)
    }

    /// What every program that was ever started on this state folder carries.
    pub(super) fn any(name: &str, state_dir: &Path) -> String {
        format!("{name}={}:*", place(state_dir))
    }
}

/// `count` bytes of the system's generator as lower-case hex.
pub(super) fn random_hex(count: usize) -> Result<String, DriverError> {
    let mut bytes = vec![0_u8; count];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        DriverError::new(ErrorType::Internal, format!("the system gives no random bytes: {error}"))
    })?;
    Ok(bytes.iter().fold(String::with_capacity(count * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    }))
}

/// Whether a variable of this name is likely to hold a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL"].iter().any(|word| name.contains(word))
}

fn place(state_dir: &Path) -> String {
    let path = std::fs::canonicalize(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    sha256_hex(path.as_os_str().as_encoded_bytes())[..16].to_owned()
}
