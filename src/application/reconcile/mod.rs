//! Idempotent scans of stored state: whatever is due, owed or left over is found here, whoever
//! forgot it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::agent::AgentService;
use super::attention::AttentionService;
use super::error::AppError;
use super::ports::clock::Clock;
use super::ports::store::Store;
use super::scheduler::wake::Wake;
use super::session::SessionService;
use super::session::report::Holder;
use super::supervise::Supervisors;
use crate::domain::session::status::SessionStatus;

/// Rows that one scan takes on.
const BATCH: usize = 500;

/// The scans and what they work with.
pub struct Reconciler {
    /// Where to look.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Deadlines of sessions.
    pub sessions: SessionService,
    /// Deadlines of items.
    pub attention: AttentionService,
    /// Supervisors that are missing.
    pub supervisors: Supervisors,
}

impl Reconciler {
    /// Scans until cancelled: deadlines every second, the rest more rarely.
    pub async fn run(self, stop: CancellationToken) {
        let mut round: u64 = 0;
        loop {
            if let Err(error) = self.scan(round).await {
                tracing::warn!(%error, "A scan of what is due failed; it is repeated in a second");
            }
            round += 1;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// One round of scans.
    ///
    /// # Errors
    /// The store's.
    pub async fn scan(&self, round: u64) -> Result<(), AppError> {
        self.sessions_due().await?;
        self.attention_due().await?;
        if round.is_multiple_of(5) {
            self.unsupervised().await?;
        }
        if round.is_multiple_of(60) {
            self.store.forget_expired(self.clock.now(), BATCH).await?;
        }
        Ok(())
    }

    /// Probes the agents now and then, beside the scans, since an agent may take its time.
    pub async fn probe(
        agents: AgentService,
        clock: Arc<dyn Clock>,
        wake: Wake,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = agents.probe_all() => wake.scheduler(),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(Duration::from_secs(30)) => {}
            }
        }
    }

    async fn sessions_due(&self) -> Result<(), AppError> {
        let due = self.store.fleet().await?.due_sessions(self.clock.now(), BATCH).await?;
        for (tenant, id) in due {
            self.sessions.do_what_is_due(tenant, id).await?;
        }
        Ok(())
    }

    async fn attention_due(&self) -> Result<(), AppError> {
        let due = self.store.fleet().await?.due_attention(self.clock.now(), BATCH).await?;
        for (tenant, id) in due {
            self.attention.expire(tenant, id).await?;
        }
        Ok(())
    }

    /// A session that executes without a supervisor gets one again.
    async fn unsupervised(&self) -> Result<(), AppError> {
        let statuses = [SessionStatus::Running, SessionStatus::Degraded];
        for session in self.store.fleet().await?.sessions_in(&statuses).await? {
            let (tenant, id) = (session.value.tenant_id, session.value.id);
            if self.sessions.wake.is_supervised(id) {
                continue;
            }
            if let Some(fencing_token) = self.sessions.disconnected(tenant, id).await? {
                self.supervisors.launch(Holder { tenant, session: id, fencing_token });
            }
        }
        Ok(())
    }
}
