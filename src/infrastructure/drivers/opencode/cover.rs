//! Whether the sandbox of the server reaches the folders of a run, and another server when it does not: what
//! a process may reach is settled when it starts.
//!
//! Invariant: a server is replaced for this only while nobody works with it; until then the run waits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tracing::info;

use super::child;
use super::host::{Host, Server};
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::sandbox::folders_of;

/// A place for a run in this folder, with a server that reaches it.
pub(super) async fn place(
    host: &Arc<Host>,
    folder: &str,
) -> Result<OwnedSemaphorePermit, DriverError> {
    let _one_at_a_time = host.covering.lock().await;
    let full = |text: String| DriverError::full(text);
    let permit = || {
        let limit = host.options.max_runs;
        host.place().ok_or_else(|| full(format!("OpenCode works on {limit} runs already")))
    };
    let is_confined =
        host.options.attach.is_none() && child::confines(&host.options, &[]).is_some();
    if !is_confined {
        return permit();
    }
    let is_idle = host.is_idle();
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
        return permit();
    }
    let (options, mut granted) = (Arc::clone(&host.options), host.granted());
    granted.extend(missing.iter().cloned());
    let wanted = missing.clone();
    if !blocking(move || would_reach(&options, &granted, &wanted)).await? {
        return permit();
    }
    if !is_idle {
        return Err(full(
            "the sandbox of the OpenCode server that runs does not reach this folder; another one is \
             started once no session works with it"
                .to_owned(),
        ));
    }
    info!("The OpenCode server is replaced by one whose sandbox reaches one more folder");
    host.outgrow(missing);
    host.server().await?;
    permit()
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
fn would_reach(options: &super::Options, granted: &[PathBuf], needed: &[PathBuf]) -> bool {
    child::confines(options, granted).is_none_or(|confines| {
        let reach = confines.reach();
        needed.iter().all(|folder| reach.covers(folder))
    })
}
