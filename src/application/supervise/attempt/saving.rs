//! How the work of a run is saved: at the end of a turn, and before something that it might not survive.

use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use crate::application::error::AppError;

/// Longest time for a checkpoint while the server goes down.
const LAST_WORDS: Duration = Duration::from_secs(4);

impl Supervisor {
    /// Saves the working tree; what fails is logged and the last known state stands.
    pub(super) async fn save(&mut self, what: &str) -> Option<String> {
        let session = self.held_session().await.ok().flatten()?;
        let workspace = session.run.workspace.as_ref()?;
        let message = format!("{}: {what}", session.code);
        match self.tools.workspaces.checkpoint(session.id, workspace, &message).await {
            Ok(saved) => saved,
            Err(error) => {
                let line = format!("the work could not be saved: {error}");
                self.outbox.log("error", &line, self.tools.clock.now());
                None
            }
        }
    }

    /// Another server of the agent takes over: what there is can be gone on from.
    pub(super) async fn save_before_a_move(&mut self, reason: &str) -> Result<(), AppError> {
        self.outbox.log("info", reason, self.tools.clock.now());
        self.count().await?;
        self.outbox.flush().await;
        let saved = self.save("move").await;
        self.tools.sessions.periodic_checkpoint(self.holder, saved.as_deref()).await
    }

    pub(super) async fn save_before_shutdown(&mut self) {
        let (id, clock) = (self.holder.session, Arc::clone(&self.tools.clock));
        let marked = tokio::select! {
            biased;
            marked = self.mark_before_shutdown() => marked,
            () = clock.sleep(LAST_WORDS) => {
                Err(AppError::StoreReadOnly("it took no checkpoint in time".to_owned()))
            }
        };
        if let Err(error) = marked {
            tracing::info!(session.id = %id, %error, "No checkpoint at shutdown");
        }
        self.outbox.flush().await;
    }

    async fn mark_before_shutdown(&mut self) -> Result<(), AppError> {
        let saved = self.save("shutdown").await;
        self.tools.sessions.periodic_checkpoint(self.holder, saved.as_deref()).await
    }
}
