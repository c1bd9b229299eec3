//! Reading tasks.

use std::collections::BTreeMap;

use super::board::Board;
use super::error::TaskRefused;
use super::view::TaskView;
use super::{TaskService, Where};
use crate::application::error::AppError;
use crate::application::ports::reads::Snapshot;
use crate::application::principal::RequestContext;
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::task::Task;
use crate::domain::task::rollup::{Breakdown, Statistics, Summary};
use crate::domain::task::spec::TaskPriority;
use crate::domain::task::status::TaskStatus;
use crate::domain::task::view::{GraphView, TreeNode};

/// Rows that one page looks at.
const LOOKED_AT: usize = 2000;
/// Rows that are read at once.
const PIECE: usize = 200;
/// Tasks that statistics of all sessions look at.
const COUNTED: usize = 100_000;

/// Which tasks a list wants; empty and `None` mean any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskFilter {
    /// Of this session.
    pub session: Option<SessionId>,
    /// Parts of this task.
    pub parent: Option<TaskId>,
    /// In one of these statuses.
    pub statuses: Vec<TaskStatus>,
    /// Of this urgency.
    pub priority: Option<TaskPriority>,
    /// Of this type.
    pub task_type: Option<String>,
    /// All of these.
    pub tags: Vec<String>,
}

impl TaskFilter {
    fn matches(&self, task: &Task) -> bool {
        self.session.is_none_or(|session| session == task.session_id)
            && self.parent.is_none_or(|parent| task.place.parent_task_id == Some(parent))
            && (self.statuses.is_empty() || self.statuses.contains(&task.status()))
            && self.priority.is_none_or(|priority| priority == task.spec.priority)
            && self.task_type.as_ref().is_none_or(|kind| *kind == task.spec.task_type)
            && self.tags.iter().all(|tag| task.spec.tags.contains(tag))
    }
}

/// One page of tasks.
#[derive(Debug)]
pub struct TaskPage {
    /// The tasks, oldest first.
    pub items: Vec<TaskView>,
    /// Where the next page begins. A page may be short and still have one: work per request is bounded.
    pub next: Option<TaskId>,
}

/// The graph of a task, with how it stands.
#[derive(Debug)]
pub struct TaskGraph {
    /// Of which task.
    pub task_id: TaskId,
    /// The graph.
    pub graph: GraphView,
}

impl TaskService {
    /// One task.
    ///
    /// # Errors
    /// `TaskNotFound`.
    pub async fn get(&self, ctx: &RequestContext, id: TaskId) -> Result<TaskView, AppError> {
        let board = self.board(ctx.tenant, Where::Task(id)).await?;
        Ok(TaskView { made: false, ..board.view(id)? })
    }

    /// Tasks in order of creation.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        ctx: &RequestContext,
        filter: &TaskFilter,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<TaskPage, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        let (ids, next) = match filter.session {
            Some(session) => {
                let all = snapshot.tasks_of(session).await?;
                let behind = all.into_iter().map(|found| found.value);
                let mut wanted: Vec<Task> = behind
                    .filter(|task| after.is_none_or(|after| task.id > after))
                    .filter(|task| filter.matches(task))
                    .take(limit + 1)
                    .collect();
                let has_more = wanted.len() > limit;
                wanted.truncate(limit);
                let next = wanted.last().map(|task| task.id).filter(|_| has_more);
                (wanted, next)
            }
            None => looked_for(&*snapshot, filter, after, limit).await?,
        };
        let mut by_session: BTreeMap<SessionId, Vec<TaskId>> = BTreeMap::new();
        for task in &ids {
            by_session.entry(task.session_id).or_default().push(task.id);
        }
        let mut shown = BTreeMap::new();
        for (session, own) in by_session {
            // With a session that was deleted its tasks are gone, too.
            if snapshot.session(session).await?.is_none() {
                continue;
            }
            let board = Board::read(&*snapshot, ctx.tenant, session, self.clock.now()).await?;
            shown.extend(board.views(&own)?.into_iter().map(|view| (view.task.value.id, view)));
        }
        let items = ids.iter().filter_map(|task| shown.remove(&task.id));
        Ok(TaskPage { items: items.collect(), next })
    }

    /// The direct parts of a task, in order.
    ///
    /// # Errors
    /// `TaskNotFound`.
    pub async fn subtasks(
        &self,
        ctx: &RequestContext,
        id: TaskId,
    ) -> Result<Vec<TaskView>, AppError> {
        let board = self.board(ctx.tenant, Where::Task(id)).await?;
        let parts: Vec<TaskId> = board.parts(id).iter().map(|task| task.id).collect();
        board.views(&parts)
    }

    /// A task with everything below it.
    ///
    /// # Errors
    /// `TaskNotFound`.
    pub async fn tree(
        &self,
        ctx: &RequestContext,
        id: TaskId,
    ) -> Result<(TreeNode, Summary), AppError> {
        let board = self.board(ctx.tenant, Where::Task(id)).await?;
        let all = board.copies();
        let breakdown = Breakdown::of(&all)?;
        let tree = breakdown.tree(id).ok_or(TaskRefused::NotFound)?;
        let summary = breakdown.summary(id, self.clock.now()).ok_or(TaskRefused::NotFound)?;
        Ok((tree, summary))
    }

    /// The graph of a task: when each leaf can start and must, and what the end hangs on.
    ///
    /// # Errors
    /// `TaskNotFound`.
    pub async fn graph(&self, ctx: &RequestContext, id: TaskId) -> Result<TaskGraph, AppError> {
        let board = self.board(ctx.tenant, Where::Task(id)).await?;
        let own: Vec<Task> = board
            .whole(id)
            .into_iter()
            .map(|part| board.task(part).cloned())
            .collect::<Result<_, AppError>>()?;
        let graph = Breakdown::of(&own)?.graph(self.clock.now())?;
        Ok(TaskGraph { task_id: id, graph })
    }

    /// How many tasks are what, of a session or of all.
    ///
    /// # Errors
    /// The store's.
    pub async fn statistics(
        &self,
        ctx: &RequestContext,
        session: Option<SessionId>,
    ) -> Result<Statistics, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        let found = match session {
            Some(session) => snapshot.tasks_of(session).await?,
            None => snapshot.tasks(None, COUNTED).await?,
        };
        Ok(Statistics::of(found.iter().map(|found| &found.value), self.clock.now()))
    }
}

/// Tasks of any session that are wanted, and where the next page begins.
async fn looked_for(
    snapshot: &dyn Snapshot,
    filter: &TaskFilter,
    after: Option<TaskId>,
    limit: usize,
) -> Result<(Vec<Task>, Option<TaskId>), AppError> {
    let (mut wanted, mut seen, mut behind) = (Vec::new(), 0, after);
    loop {
        let found = snapshot.tasks(behind, PIECE).await?;
        let is_last = found.len() < PIECE;
        for task in found.into_iter().map(|found| found.value) {
            if wanted.len() == limit {
                return Ok((wanted, behind));
            }
            behind = Some(task.id);
            seen += 1;
            if filter.matches(&task) {
                wanted.push(task);
            }
        }
        if is_last {
            return Ok((wanted, None));
        }
        if seen >= LOOKED_AT {
            return Ok((wanted, behind));
        }
    }
}
