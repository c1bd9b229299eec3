//! Whether agents with some settings could work: their program is there, and has answered once.
//!
//! Invariant: as long as the same file lies there, a probe that went well is not repeated, and one that
//! failed not before a while: nothing is started every half minute only to be ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::Host;
use super::program::{Identity, Program};
use super::start::greet;
use crate::application::ports::driver::{DriverError, ProbeReport};
use crate::domain::canonical::canonical_hash;
use crate::domain::ids::TenantId;
use crate::domain::session::attempt::ErrorType;
use crate::domain::time::Timestamp;

/// A program that failed is not tried again before this.
const TRIED_AGAIN: Duration = Duration::from_mins(5);
/// Settings that are remembered.
const MAX_KNOWN: usize = 1000;

/// What one program answered.
#[derive(Debug)]
struct Known {
    identity: Identity,
    at: Timestamp,
    found: Result<ProbeReport, DriverError>,
}

/// Held while the program of these settings is asked.
type Slot = Arc<tokio::sync::Mutex<Option<Known>>>;

/// What programs answered, by whose they are and the settings that name them.
#[derive(Debug, Default)]
pub(super) struct Probes {
    known: Mutex<HashMap<String, Slot>>,
}

impl Probes {
    fn slot(&self, tenant: TenantId, config: &Map<String, Value>) -> Slot {
        let key = canonical_hash(&json!([tenant, config]));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN && !known.contains_key(&key) {
            known.clear();
        }
        Arc::clone(known.entry(key).or_default())
    }
}

/// Whether an agent of this tenant with these settings could work now.
pub(super) async fn probe(
    host: &Host,
    tenant: TenantId,
    config: &Map<String, Value>,
) -> Result<ProbeReport, DriverError> {
    // One tenant's program must not find at home what another's left there.
    let home = host.options.state_dir.join("acp").join(format!("probe-{tenant}"));
    let (options, own, folder) = (Arc::clone(&host.options), config.clone(), home.clone());
    let look =
        move || Program::of(tenant, &own, &options, &folder).map(|program| program.identity());
    let identity = spawn_blocking(look).await.map_err(|error| {
        DriverError::new(ErrorType::Internal, format!("the agent's program: {error}"))
    })??;
    let slot = host.probes.slot(tenant, config);
    let mut known = slot.lock().await;
    let now = host.clock.now();
    if let Some(known) = known.as_ref().filter(|known| known.identity == identity)
        && (known.found.is_ok() || now.since(known.at) < TRIED_AGAIN)
    {
        return known.found.clone();
    }
    // This is what stays when whoever asks does not wait for the answer.
    let message = "the agent did not answer `initialize` while it was waited for";
    let late = Err(DriverError::new(ErrorType::DispatchFailed, message));
    *known = Some(Known { identity: identity.clone(), at: now, found: late });
    let found = match greet(host, (tenant, config), home, None).await {
        Ok((link, greeting)) => {
            link.end().await;
            let version = match greeting.version.as_str() {
                "" => "unknown".to_owned(),
                version => version.to_owned(),
            };
            Ok(ProbeReport { version, details: greeting.facts })
        }
        Err(error) => Err(error),
    };
    *known = Some(Known { identity, at: host.clock.now(), found: found.clone() });
    found
}
