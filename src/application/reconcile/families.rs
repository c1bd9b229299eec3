//! Children whose parents ended abnormally: found by what their parents left owing.

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::resting::Resting;
use super::{BATCH, LEFT_OVER, Reconciler};
use crate::application::error::AppError;
use crate::application::ports::reads::OwedChildren;
use crate::domain::ids::SessionId;

/// Families that are looked after beside each other.
const AT_ONCE: usize = 4;

impl Reconciler {
    /// Treats children whenever an end is told and every few seconds, until cancelled.
    pub(super) async fn families(&self, stop: &CancellationToken) {
        let mut resting = Resting::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                looked = self.treat(&mut resting) => if let Err(error) = looked {
                    tracing::warn!(%error, "Children of ended sessions could not be looked for");
                },
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.sessions.wake.family_rang() => {}
                () = self.clock.sleep(LEFT_OVER) => {}
            }
        }
    }

    async fn treat(&self, resting: &mut Resting<SessionId>) -> Result<(), AppError> {
        let found = self.store.fleet().await?.owed_children(BATCH + resting.len()).await?;
        resting.keep(|id| found.iter().any(|owed| owed.parent == *id));
        let now = self.clock.now();
        let due: Vec<OwedChildren> =
            found.into_iter().filter(|owed| !resting.rests(&owed.parent, now)).collect();
        let mut work = stream::iter(due)
            .map(|OwedChildren { tenant, parent, at }| async move {
                (parent, self.sessions.treat_children(tenant, parent, at).await)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((parent, done)) = work.next().await {
            match done {
                Ok(()) => resting.done(&parent),
                Err(error) => {
                    tracing::warn!(session.id = %parent, %error, "Not every child of session {parent} could follow its end");
                    resting.failed(parent, self.clock.now());
                }
            }
        }
        Ok(())
    }
}
