//! What tasks need of each other.

use super::board::Board;
use super::create::unlink;
use super::error::TaskRefused;
use super::view::DependencyView;
use super::{Answer, Command, TaskService, Where};
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::ids::{DependencyId, TaskId};
use crate::domain::session::Cause;
use crate::domain::task::dependency::DependencyDraft;

impl TaskService {
    /// What a task needs.
    ///
    /// # Errors
    /// `TaskNotFound`.
    pub async fn dependencies(
        &self,
        ctx: &RequestContext,
        id: TaskId,
    ) -> Result<Vec<DependencyView>, AppError> {
        let board = self.board(ctx.tenant, Where::Task(id)).await?;
        let own = &board.task(id)?.dependencies;
        Ok(own.iter().map(|one| board.dependency_view(id, one)).collect())
    }

    /// Lets a task need another one of its session.
    ///
    /// # Errors
    /// `Invalid`, `TaskNotFound`, `TaskAlreadyStarted`, `DependencyCycle`.
    pub async fn depend(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        draft: &DependencyDraft,
    ) -> Result<DependencyView, AppError> {
        let decide = |board: &mut Board, cause: Cause<'_>| {
            let added = self.link(board, id, draft.clone(), cause)?;
            board.begin_anew(cause)?;
            let found = board.task(id)?.dependencies.iter().find(|one| one.id == added);
            let found = found.ok_or(TaskRefused::DependencyNotFound)?;
            Ok(Answer::Dependency(Box::new(board.dependency_view(id, found))))
        };
        let command = Command { action: "depend", reason: None };
        match self.change(ctx, Where::Task(id), command, decide).await? {
            Answer::Dependency(view) => Ok(*view),
            Answer::Task(_) | Answer::Decomposed(_) | Answer::Done => {
                Err(TaskRefused::DependencyNotFound.into())
            }
        }
    }

    /// A task needs another one no more.
    ///
    /// # Errors
    /// `TaskNotFound`, `DependencyNotFound`.
    pub async fn free(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        dependency: DependencyId,
    ) -> Result<(), AppError> {
        let decide = |board: &mut Board, cause: Cause<'_>| {
            unlink(board, id, dependency, cause)?;
            board.begin_anew(cause)?;
            Ok(Answer::Done)
        };
        let command = Command { action: "free", reason: None };
        self.change(ctx, Where::Task(id), command, decide).await.map(|_| ())
    }
}
