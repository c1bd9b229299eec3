//! External agents: how they are reached, and where they meet their supervisors.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::graph::THIS_MACHINE;
use super::settings::Settings;
use crate::application::external::{Exchange, ExternalRules, Ports};
use crate::application::ports::artifacts::ArtifactFiles;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::sealer::Sealer;
use crate::application::ports::store::Store;
use crate::infrastructure::artifacts::ArtifactFolder;
use crate::infrastructure::push::HttpPush;
use crate::infrastructure::webhooks::egress::{Allowed, Egress, SystemLookup};

/// What helps where an agent may not be called.
const LIST_IT: &str = "have an administrator of the server list it in \
                       `agents.external.allowed_hosts` or `agents.external.allowed_networks`";

/// What is kept, time, and identities.
type World<'a> = (&'a Arc<dyn Store>, &'a Arc<dyn Clock>, &'a Arc<dyn Ids>);

/// The ports, and the exchange over them.
pub(super) fn exchange(
    settings: &Settings,
    (store, clock, ids): World<'_>,
    sealer: &Arc<dyn Sealer>,
    stop: &CancellationToken,
) -> Result<(Ports, Exchange), reqwest::Error> {
    let wanted = &settings.agents.external;
    let mut networks = wanted.allowed_networks.clone();
    networks.extend(THIS_MACHINE);
    let allowed = Allowed {
        hosts: wanted.allowed_hosts.clone(),
        networks,
        own: Some(settings.server.listen),
        remedy: Some(LIST_IT),
    };
    let egress = Egress::new(allowed, Arc::new(SystemLookup));
    let ports = Ports {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
        sealer: Arc::clone(sealer),
        push: Arc::new(HttpPush::new(egress, Arc::clone(clock), wanted.calls)?),
        files: artifacts(settings),
    };
    let rules = ExternalRules {
        liveness: settings.agents.rules.liveness,
        lease: wanted.lease,
        token_grace: wanted.token_grace,
    };
    let exchange = Exchange::new(&ports, rules, stop);
    Ok((ports, exchange))
}

/// Where files are kept that agents bring back.
pub(super) fn artifacts(settings: &Settings) -> Arc<dyn ArtifactFiles> {
    Arc::new(ArtifactFolder::new(settings.server.data_dir.join("artifacts")))
}
