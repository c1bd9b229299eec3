//! Time, identities and chance, as the application gets them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::time::Timestamp;

/// No secret could be made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the system's random generator failed: {0}")]
pub struct NoSecret(pub String);

/// A clock that never goes back: wall time at start plus what a monotonic clock has counted since.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits; may be dropped at any time.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Identities and chance.
pub trait Ids: Send + Sync {
    /// A new `UUIDv7`, larger than every one that this process made before.
    fn uuid(&self) -> Uuid;
    /// Uniform in 0–1.
    fn chance(&self) -> f64;
    /// 32 bytes that nobody can guess, spelled so that they may stand in a URL.
    ///
    /// # Errors
    /// `NoSecret`.
    fn secret(&self) -> Result<String, NoSecret>;
}
