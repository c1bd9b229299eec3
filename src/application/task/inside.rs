//! Tasks as agents at work see them: those of their own session, or of the graph that they work for.

use super::error::TaskRefused;
use super::view::TaskView;
use super::{Ask, TaskService, Where};
use crate::application::error::AppError;
use crate::application::inside::Insider;
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::task::status::TaskStatus;
use crate::domain::tenant::right::Lack;

/// What an agent sees of tasks.
#[derive(Debug)]
pub struct Seen {
    /// The session that they belong to.
    pub session: SessionId,
    /// The task that the agent works on.
    pub own: Option<TaskId>,
    /// All of them, by id.
    pub tasks: Vec<TaskView>,
}

/// What an agent says of a task; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// How far it is, 0–99.
    pub progress: Option<u64>,
    /// Where it is to stand.
    pub status: Option<TaskStatus>,
    /// What goes with that.
    pub ask: Ask,
}

impl TaskService {
    /// The tasks of the session that an agent works on; for one that executes a task, those of its graph.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn seen_by(&self, who: &Insider) -> Result<Seen, AppError> {
        let (session, own) = self.place_of(who).await?;
        let board = self.board(who.tenant, Where::Session(session)).await?;
        let ids: Vec<TaskId> = board.tasks().map(|task| task.id).collect();
        Ok(Seen { session, own, tasks: board.views(&ids)? })
    }

    /// Takes over what an agent says of a task: of its own when none is named.
    ///
    /// # Errors
    /// `TaskNotFound`, `Forbidden` for the task of another agent, `InvalidTransition`, `Invalid`.
    pub async fn told_by(
        &self,
        who: &Insider,
        request_id: &str,
        task: Option<TaskId>,
        told: &Told,
    ) -> Result<TaskView, AppError> {
        let (session, own) = self.place_of(who).await?;
        let id = task.or(own).ok_or(TaskRefused::NotFound)?;
        let board = self.board(who.tenant, Where::Session(session)).await?;
        let mut view = board.view(id)?;
        if own.is_some_and(|own| own != id) {
            return Err(Lack::OwnRoom.into());
        }
        if own.is_some() && told.status.is_some() {
            let what = "the task stands as your session does: end your work instead";
            return Err(TaskRefused::AlreadyStarted(what).into());
        }
        let ctx = who.context(request_id);
        if let Some(percentage) = told.progress {
            view = self.progress(&ctx, id, percentage).await?;
        }
        if let Some(status) = told.status {
            view = self.bring_to(&ctx, id, status, &told.ask).await?;
        }
        Ok(view)
    }

    async fn place_of(&self, who: &Insider) -> Result<(SessionId, Option<TaskId>), AppError> {
        let found = self.snapshot(who.tenant).await?.session(who.session).await?;
        let lineage = found.ok_or(AppError::SessionNotFound)?.value.lineage;
        Ok(match (lineage.task_id, lineage.parent_id) {
            (Some(task), Some(root)) => (root, Some(task)),
            (_, _) => (who.session, None),
        })
    }
}
