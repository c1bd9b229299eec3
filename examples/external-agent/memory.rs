//! What the agent keeps in its file.

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What outlives the process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) agent_id: String,
    pub(crate) auth_token: String,
    /// Seconds between two heartbeats.
    pub(crate) interval: u64,
    /// By idempotency key.
    pub(crate) held: BTreeMap<String, Held>,
}

/// A piece of work that it has, and its result when there is one that may not have arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) work: Value,
    pub(crate) result: Option<Value>,
}

impl Memory {
    pub(crate) fn read(file: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    /// Replaces the file in one step: a power cut leaves the old one or the new one. It holds a secret.
    pub(crate) fn write(&self, file: &Path) -> std::io::Result<()> {
        let beside = file.with_extension("new");
        let mut options = std::fs::File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        serde_json::to_writer(options.open(&beside)?, self)?;
        std::fs::rename(beside, file)
    }
}
