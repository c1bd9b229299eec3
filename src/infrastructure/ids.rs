//! Identities and chance from the operating system.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::{RngExt, TryRng};
use uuid::Uuid;

use crate::application::ports::clock::{Ids, NoSecret};

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

    fn secret(&self) -> Result<String, NoSecret> {
        let mut bytes = [0; 32];
        rand::rngs::SysRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| NoSecret(error.to_string()))?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }
}
