//! Having the tasks of a session executed.

use serde_json::json;

use super::board::Board;
use super::create::task_of;
use super::error::TaskRefused;
use super::view::TaskView;
use super::{Answer, Command, TaskService, Where};
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::ids::TaskId;
use crate::domain::session::Cause;
use crate::domain::task::book::Execution;
use crate::domain::task::rollup::Breakdown;
use crate::domain::task::run::Options;
use crate::domain::task::status::TaskStatus;

impl TaskService {
    /// Has a task executed with everything below it, by children of its session, which begins with it.
    ///
    /// # Errors
    /// `TaskNotFound`, `Invalid`; `TaskAlreadyStarted` while tasks of the session are executed; those of
    /// starting a session.
    pub async fn execute(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        (max_parallel, fail_fast): (Option<u32>, Option<bool>),
    ) -> Result<TaskView, AppError> {
        let options = Options::accept(max_parallel, fail_fast)?;
        let snapshot = self.snapshot(ctx.tenant).await?;
        let session = super::session_of(&*snapshot, id).await?;
        drop(snapshot);
        self.sessions.check_graph(ctx.tenant, session).await?;
        let decide = |board: &mut Board, cause: Cause<'_>| {
            if board.book.is_running() {
                let what = "tasks of this session are executed already";
                return Err(TaskRefused::AlreadyStarted(what).into());
            }
            let execution = Execution {
                task_id: Some(id),
                max_parallel: options.max_parallel,
                fail_fast: options.fail_fast,
                started_at: cause.at,
                ended_at: None,
            };
            open(board, execution, cause)?;
            Ok(Answer::Task(Box::new(board.view(id)?)))
        };
        let command = Command { action: "execute", reason: None };
        let view = task_of(self.change(ctx, Where::Task(id), command, decide).await?);
        self.sessions.start_graph(ctx, session).await?;
        self.wake.graphs();
        Ok(view)
    }
}

/// Tasks are given out from now on; what failed before is tried again.
pub(super) fn open(
    board: &mut Board,
    execution: Execution,
    cause: Cause<'_>,
) -> Result<(), AppError> {
    let was_before = board.book.execution.is_some();
    board.book.execution = Some(execution);
    board.begin_anew(cause)?;
    if was_before {
        let failed: Vec<TaskId> = board
            .executed()
            .into_iter()
            .filter(|leaf| board.task(*leaf).is_ok_and(|task| task.status() == TaskStatus::Failed))
            .collect();
        for leaf in failed {
            board.act(leaf, cause, |task, _| task.retry(cause))?;
        }
    }
    board.touch();
    let told = started(board, cause)?;
    board.tell([told]);
    Ok(())
}

/// That a graph is executed: of the task that was named, or of the session.
fn started(board: &Board, cause: Cause<'_>) -> Result<DomainEvent, AppError> {
    let all = board.copies();
    let path = Breakdown::of(&all)?.graph(cause.at)?.critical_path;
    let payload = json!({
        "session_id": board.session(), "leaves": board.executed().len(), "critical_path": path,
    });
    Ok(event(board, EventType::TaskGraphStarted, payload, cause))
}

/// An event about the graph that is executed.
pub(super) fn event(
    board: &Board,
    event_type: EventType,
    payload: serde_json::Value,
    cause: Cause<'_>,
) -> DomainEvent {
    use crate::domain::event::{Subject, SubjectKind};
    let named = board.book.execution.and_then(|execution| execution.task_id);
    let subject = match named {
        Some(id) => Subject { kind: SubjectKind::Task, id: id.uuid() },
        None => Subject::session(board.session()),
    };
    DomainEvent::new(event_type, subject, cause.at, payload)
}
