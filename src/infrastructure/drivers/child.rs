//! A child behind its guard: the words that start it, and its end.

use std::ffi::OsString;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin};
use tokio::task::spawn_blocking;
use tracing::debug;

use super::guard::{self, FOR_CHILD, Input};
use super::marker::Marker;
use crate::application::ports::clock::Clock;
use crate::infrastructure::sandbox::Confines;

/// How long a guard that was told to end its child is given for it.
const GUARD_PATIENCE: Duration = Duration::from_secs(3);

/// Everything that stands before the program: the guard and what it is told.
pub(super) fn behind(
    guard: &[String],
    marker: &Marker,
    confines: Option<&Confines>,
    input: Input,
) -> Vec<String> {
    let mut words = guard.to_vec();
    words.extend(["--marker".to_owned(), marker.entry()]);
    words.extend(confines.map(Confines::flags).unwrap_or_default());
    words.extend(input.flags());
    words.push("--".to_owned());
    words
}

/// The environment of the guard of a child that sees these variables. Of its own it has the marker, by which it is
/// found, and the place of temporary files; nothing that a tenant chose means anything to it.
pub(super) fn environment(
    child: Vec<(String, String)>,
    marker: &Marker,
) -> impl Iterator<Item = (OsString, OsString)> {
    let theirs =
        child.into_iter().map(|(name, value)| (format!("{FOR_CHILD}{name}").into(), value.into()));
    let temp = std::env::var_os("TMPDIR").map(|folder| ("TMPDIR".into(), folder));
    theirs.chain(temp).chain([(marker.name.clone().into(), marker.value.clone().into())])
}

/// Ends a child and everything that carries its marker; how many processes were left behind.
///
/// Closing the lifeline tells the guard to do so. A guard that does not, and a child without one, is killed.
pub(super) async fn end(
    process: &mut Child,
    lifeline: Option<ChildStdin>,
    is_guarded: bool,
    marker: &Marker,
    clock: &dyn Clock,
) -> usize {
    let group = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    drop(lifeline);
    let ends_itself = is_guarded
        && tokio::select! {
            _ = process.wait() => true,
            () = clock.sleep(GUARD_PATIENCE) => false,
        };
    if let (false, Some(group)) = (ends_itself, group) {
        if let Err(error) = kill_process_group(group, Signal::KILL) {
            debug!(%error, "The process group was gone already");
        }
        process.wait().await.ok();
    }
    let marker = marker.entry();
    spawn_blocking(move || guard::sweep(&marker)).await.unwrap_or(0)
}
