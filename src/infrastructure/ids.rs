//! Identities and chance from the operating system.

use rand::RngExt;
use uuid::Uuid;

use crate::application::ports::clock::Ids;

/// `UUIDv7` that rise within the process, and the thread's generator.
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that the rule points to")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn chance(&self) -> f64 {
        rand::rng().random()
    }
}
