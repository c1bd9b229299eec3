//! Telling somebody outside: one signed message to one address.
//!
//! Invariant: a message goes to an address that was checked in the same breath; where a name leads is
//! looked up and judged for every connection, and a redirect is never followed.

use async_trait::async_trait;

use super::clock::NoSecret;
use crate::domain::webhook::Secret;
use crate::domain::webhook::delivery::Answer;

/// A message as it is sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where to.
    pub url: String,
    /// Its name, the same at every attempt.
    pub id: String,
    /// Its bytes, the same at every attempt.
    pub body: Vec<u8>,
    /// It is signed with each of them.
    pub secrets: Vec<Secret>,
}

/// Why nothing is sent to an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no address that messages can be sent to.
    #[error("{0}")]
    Malformed(String),
    /// Its name leads nowhere.
    #[error("{0}")]
    Unknown(String),
    /// It leads where the server may not go.
    #[error("{0}")]
    Denied(String),
}

/// Sends messages.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Whether messages may be sent there now.
    ///
    /// # Errors
    /// `AddressError`.
    async fn check(&self, url: &str) -> Result<(), AddressError>;

    /// Sends once and tells what came of it; ends within the time that it was given.
    async fn send(&self, message: &Message) -> Answer;

    /// A new secret.
    ///
    /// # Errors
    /// `NoSecret`.
    fn new_secret(&self) -> Result<Secret, NoSecret>;
}
