//! Whether the sandbox of the server reaches the folders of a run, and another server when it does not: what
//! a process may reach is settled when it starts.
//!
//! Invariant: a server is replaced for this only while nobody works with it; until then the run waits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::info;

use super::child;
use super::host::{Host, Server};
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::sandbox::folders_of;

/// Sees to it that the server of the host reaches this folder, for a run that has a place there.
pub(super) async fn cover(host: &Arc<Host>, folder: &str) -> Result<(), DriverError> {
    let _one_at_a_time = host.covering.lock().await;
    let is_confined = host.options.attach.is_none()
        && child::confines(&host.options, &host.layout, &[]).is_some();
    if !is_confined {
        return Ok(());
    }
    let own = host.options.workspaces.clone();
    let folder = PathBuf::from(folder);
    let server = host.server().await?;
    let missing = blocking(move || {
        let mut needed = needed_by(&folder, own.as_deref());
        needed.retain(|folder| !reaches(&server, folder));
        needed
    });
    let missing = missing.await?;
    if missing.is_empty() {
        return Ok(());
    }
    let (asked, mut granted) = (Arc::clone(host), host.granted());
    granted.extend(missing.iter().cloned());
    let wanted = missing.clone();
    if !blocking(move || would_reach(&asked, &granted, &wanted)).await? {
        return Ok(());
    }
    // The place of the run itself is taken already.
    if host.taken() > 1 {
        return Err(DriverError::full(
            "the sandbox of the OpenCode server that runs does not reach this folder; another one is \
             started once no session works with it",
        ));
    }
    info!("The OpenCode server is replaced by one whose sandbox reaches one more folder");
    host.outgrow(missing);
    host.server().await.map(drop)
}

async fn blocking<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DriverError> {
    let failed = |_| DriverError::new(ErrorType::Internal, "the folders could not be looked at");
    spawn_blocking(look).await.map_err(failed)
}

/// The folders that a run changes, but for those that every server reaches.
fn needed_by(folder: &Path, own: Option<&Path>) -> Vec<PathBuf> {
    let is_ours =
        own.is_some_and(|own| own.canonicalize().is_ok_and(|own| folder.starts_with(own)));
    let itself = (!is_ours).then(|| folder.to_owned());
    itself.into_iter().chain(folders_of(folder)).collect()
}

fn reaches(server: &Server, folder: &Path) -> bool {
    server.reach.as_ref().is_none_or(|reach| reach.covers(folder))
}

/// Whether a server that is started now would; what no sandbox grants is not worth another start.
fn would_reach(host: &Host, granted: &[PathBuf], needed: &[PathBuf]) -> bool {
    child::confines(&host.options, &host.layout, granted).is_none_or(|confines| {
        let reach = confines.reach();
        needed.iter().all(|folder| reach.covers(folder))
    })
}
