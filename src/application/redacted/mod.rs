//! Ports behind which secrets do not get: what agents, gates and receivers of webhooks say is redacted
//! where it comes in, before anything of it is stored, told or logged.
//!
//! Invariant: the text that is kept is the text that everybody sees; nothing keeps the original.

mod agent;
mod ports;

pub use agent::Words;
pub use ports::{RedactedGates, RedactedJournal, RedactedNotifier};
