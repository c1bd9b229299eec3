//! The way to command a run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::application::ports::clock::Clock;
use crate::application::ports::driver::{Answer, DriverError, Prompt, RunControl};

/// How long the end of a run may take.
const CLOSE_TIME: Duration = Duration::from_secs(10);

/// What a run is told.
#[derive(Debug)]
pub(super) enum Order {
    Prompt(Prompt),
    Abort,
    /// The answer to the ask with this name and fingerprint.
    Answer((String, String), Answer),
}

/// What the task of a run and its commander share.
pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    /// Ends the run.
    pub(super) cancel: CancellationToken,
    /// The run is over.
    pub(super) ended: CancellationToken,
    /// Every run ends.
    pub(super) shutdown: CancellationToken,
    /// How long an agent may be silent.
    pub(super) silence: Duration,
}

impl Shared {
    pub(super) fn is_shutdown(&self) -> bool {
        self.shutdown.is_cancelled()
    }
}

/// Commands a run.
pub(super) struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) orders: mpsc::Sender<Order>,
}

impl Control {
    /// A run that is over takes nothing more; that is no error.
    async fn order(&self, order: Order) {
        tokio::select! {
            sent = self.orders.send(order) => drop(sent),
            () = self.shared.ended.cancelled() => {}
        }
    }
}

#[async_trait]
impl RunControl for Control {
    async fn prompt(&self, prompt: Prompt) -> Result<(), DriverError> {
        self.order(Order::Prompt(prompt)).await;
        Ok(())
    }

    async fn abort(&self) -> Result<(), DriverError> {
        self.order(Order::Abort).await;
        Ok(())
    }

    async fn answer(
        &self,
        agent_ref: &str,
        fingerprint: &str,
        answer: Answer,
    ) -> Result<(), DriverError> {
        let asked = (agent_ref.to_owned(), fingerprint.to_owned());
        self.order(Order::Answer(asked, answer)).await;
        Ok(())
    }

    async fn close(&self) {
        self.shared.cancel.cancel();
        tokio::select! {
            () = self.shared.ended.cancelled() => {}
            () = self.shared.clock.sleep(CLOSE_TIME) => {}
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}
