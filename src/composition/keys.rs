//! The keys of a data directory; a store that is not kept has keys that are not kept either.

use std::sync::Arc;

use super::settings::{Settings, StoreLocation};
use crate::application::ports::sealer::Sealer;
use crate::application::ports::signer::Signer;
use crate::infrastructure::keys::file::{KeyError, kept_in, passing};
use crate::infrastructure::keys::seal::AesSealer;
use crate::infrastructure::keys::sign::KeySigner;
use crate::presentation::cli::exit::{CliError, code};

/// What secrets are sealed with before they are stored.
pub(super) fn sealer(settings: &Settings) -> Result<Arc<dyn Sealer>, CliError> {
    let made = key(settings, "seal.key").and_then(|key| AesSealer::new(&key));
    let lost = "put back the file; without it, move it away and rotate the secrets of all webhooks";
    let read = "own it, take away the rights of others (chmod 600), and rotate the secrets that it sealed: others may have read it";
    Ok(Arc::new(made.map_err(|error| refused(&error, lost, read))?))
}

/// What the audit is signed with.
pub(super) fn signer(settings: &Settings) -> Result<Arc<dyn Signer>, CliError> {
    let made = key(settings, "audit.key").and_then(|key| KeySigner::new(&key));
    let lost = "put back the file; without it, move it away: entries signed with it are no longer vouched for";
    let read = "own it and take away the rights of others (chmod 600); others may have read it";
    Ok(Arc::new(made.map_err(|error| refused(&error, lost, read))?))
}

fn key(settings: &Settings, name: &str) -> Result<[u8; 32], KeyError> {
    match settings.store.location {
        StoreLocation::Redb(_) => kept_in(&settings.server.data_dir.join(name)),
        StoreLocation::Memory => passing(),
    }
}

fn refused(error: &KeyError, lost: &str, read: &str) -> CliError {
    let (exit, remedy) = match error {
        KeyError::Permissions { .. } => (code::NOT_PERMITTED, read),
        KeyError::Malformed { .. } => (code::CONFIG, lost),
        KeyError::Failed(_) => (code::FAILED, "see that the disk has room and is in order"),
    };
    CliError::new(exit, error.to_string()).remedy(remedy)
}
