//! Folders whose sessions have ended or are deleted: whoever should have put them away did not.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::resting::Resting;
use super::{LEFT_OVER, Reconciler};
use crate::application::error::AppError;
use crate::application::session::put_away::PutAway;
use crate::domain::ids::{SessionId, TenantId};

/// Folders that are put away beside each other; git may take its time with each.
const AT_ONCE: usize = 4;
/// How long a folder rests that somebody works on.
const IN_USE: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Puts folders away, until cancelled.
    pub(super) async fn leftovers(&self, stop: &CancellationToken) {
        let mut resting = Resting::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                looked = self.put_away(&mut resting) => if let Err(error) = looked {
                    tracing::warn!(%error, "Folders that are left over could not be looked for");
                },
            }
            if !self.again(LEFT_OVER, stop).await {
                return;
            }
        }
    }

    async fn put_away(&self, resting: &mut Resting<SessionId>) -> Result<(), AppError> {
        let found = self.sessions.leftovers().await?;
        resting.keep(|id| found.iter().any(|(_, known)| known == id));
        let now = self.clock.now();
        let due: Vec<(TenantId, SessionId)> =
            found.into_iter().filter(|(_, id)| !resting.rests(id, now)).collect();
        let mut work = stream::iter(due)
            .map(|(tenant, id)| async move { (id, self.sessions.put_away_now(tenant, id).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((id, done)) = work.next().await {
            match done {
                Ok(PutAway::Gone | PutAway::Needed) => {
                    resting.done(&id);
                    continue;
                }
                // Nobody waits for a long judgement: the next look finds it again.
                Ok(PutAway::InUse) => {
                    resting.waits(id, self.clock.now(), IN_USE);
                    continue;
                }
                Ok(PutAway::Kept(reason)) => {
                    tracing::warn!(session.id = %id, %reason, "The workspace of session {id} stays: {reason}");
                }
                Err(error) => {
                    tracing::warn!(session.id = %id, %error, "The workspace of session {id} could not be put away");
                }
            }
            resting.failed(id, self.clock.now());
        }
        Ok(())
    }
}
