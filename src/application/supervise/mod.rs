//! One supervisor per running attempt, and what happens to open attempts at start-up.

pub mod attempt;
pub mod outbox;
pub mod recover;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::attempt::Supervisor;
use super::agent::AgentService;
use super::attention::AttentionService;
use super::error::AppError;
use super::events::Deltas;
use super::inside::Door;
use super::judge::JudgeService;
use super::ports::clock::Clock;
use super::ports::journal::Journal;
use super::ports::workspaces::Workspaces;
use super::session::SessionService;
use super::session::report::Holder;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::redact::Redactor;

/// Times that supervisors keep.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// A turn that a pause waits for is aborted after this.
    pub pause_grace: Duration,
    /// A checkpoint between turns is taken this often.
    pub checkpoint_interval: Duration,
    /// An unanswered permission is denied after this.
    pub permission_timeout: Duration,
    /// An unanswered question gets its default after this.
    pub question_timeout: Duration,
    /// A driver that has not started a run after this has failed.
    pub start_timeout: Duration,
    /// What log and transcript of one session may weigh together; 0 sets no bound.
    pub journal_bytes: u64,
    /// What agents say passes it before anything else is done with it.
    pub redactor: Redactor,
}

impl Default for SupervisorOptions {
    fn default() -> Self {
        Self {
            pause_grace: Duration::from_secs(30),
            checkpoint_interval: Duration::from_mins(5),
            permission_timeout: Duration::from_mins(15),
            question_timeout: Duration::from_hours(1),
            start_timeout: Duration::from_mins(1),
            journal_bytes: 64 * 1024 * 1024,
            redactor: Redactor::default(),
        }
    }
}

/// What every supervisor works with.
pub struct Tools {
    /// Reports become changes through this.
    pub sessions: SessionService,
    /// Asks become items through this.
    pub attention: AttentionService,
    /// Drivers.
    pub agents: AgentService,
    /// Logs and transcripts.
    pub journal: Arc<dyn Journal>,
    /// Gates.
    pub judge: JudgeService,
    /// Files.
    pub workspaces: Arc<dyn Workspaces>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Words as they come.
    pub deltas: Deltas,
    /// The way in for agents at work; `None` offers them none.
    pub door: Option<Door>,
    /// Times.
    pub options: SupervisorOptions,
}

/// Starts supervisors and ends them at shutdown.
#[derive(Clone)]
pub struct Supervisors {
    tools: Arc<Tools>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Supervisors {
    /// Supervisors are spawned on the tracker and end with the token.
    #[must_use]
    pub fn new(tools: Tools, tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self { tools: Arc::new(tools), tracker, stop }
    }

    /// Takes up a verification that somebody was promised and that nobody is at, such as one that an
    /// earlier server was killed in.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify_if_promised(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<(), AppError> {
        let judge = self.tools.judge.clone();
        if !judge.owes(tenant, id).await? {
            return Ok(());
        }
        let stop = self.stop.clone();
        self.tracker.spawn(Box::pin(async move {
            tokio::select! {
                biased;
                () = judge.keep_promise(tenant, id) => {}
                () = stop.cancelled() => {}
            }
        }));
        Ok(())
    }

    /// Supervises the run behind this lease, unless that is done already.
    pub fn launch(&self, holder: Holder) {
        let Some(bell) = self.tools.sessions.wake.supervise(holder.session) else { return };
        let supervisor = Supervisor::new(Arc::clone(&self.tools), holder, bell);
        self.tracker.spawn(Box::pin(supervisor.run(self.stop.clone())));
    }
}
