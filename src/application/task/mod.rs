//! Use cases of tasks: the breakdown of a piece of work, who does which part of it and in which order.
//!
//! One file per family of verbs; all of them go through `TaskService::change`, which reads all tasks of
//! the session, lets the domain decide what follows from one move, and stores all of it or nothing.

pub mod board;
mod control;
mod create;
mod decompose;
mod depend;
pub mod error;
mod execute;
pub mod executor;
mod follow;
pub mod inside;
mod planner;
mod query;
mod templates;
pub mod view;

use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use self::board::Board;
use self::error::TaskRefused;
use self::view::{Decomposed, DependencyView, TaskView};
use super::agent::AgentService;
use super::error::AppError;
use super::ports::changes::ChangeSet;
use super::ports::clock::{Clock, Ids};
use super::ports::reads::Snapshot;
use super::ports::store::{CommitError, Store};
use super::principal::{RequestContext, Subject};
use super::scheduler::wake::Wake;
use super::session::{MAX_COMMIT_ATTEMPTS, SessionService};
use crate::domain::audit::AuditEntry;
use crate::domain::decompose::catalogue::Catalogue;
use crate::domain::event::{Subject as About, SubjectKind};
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::session::Cause;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

pub use self::control::{Ask, Completion};
pub use self::create::NewTask;
pub use self::query::{TaskFilter, TaskGraph, TaskPage};

/// What a use case of tasks answers with.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A task.
    Task(Box<TaskView>),
    /// A dependency of one.
    Dependency(Box<DependencyView>),
    /// What one was split into.
    Decomposed(Box<Decomposed>),
    /// That it was done.
    Done,
}

impl Answer {
    fn subject(&self) -> Option<Subject<'_>> {
        match self {
            Self::Task(view) => Some(Subject::Task(view)),
            Self::Dependency(view) => Some(Subject::Dependency(view)),
            Self::Decomposed(view) => Some(Subject::Decomposed(view)),
            Self::Done => None,
        }
    }
}

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// All tasks of a session.
    Session(SessionId),
    /// A task, and with it all of its session.
    Task(TaskId),
}

/// What a command is called, and why it is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command<'a> {
    /// The word of the audit.
    pub(crate) action: &'static str,
    /// As the caller says.
    pub(crate) reason: Option<&'a str>,
}

/// The use cases of tasks.
#[derive(Clone)]
pub struct TaskService(Arc<Parts>);

/// What they work with.
pub struct Parts {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    sessions: SessionService,
    agents: AgentService,
    wake: Wake,
    shipped: Catalogue,
}

impl Deref for TaskService {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl TaskService {
    /// Use cases over these ports; `shipped` are the templates of the product.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        (sessions, agents): (SessionService, AgentService),
        shipped: Catalogue,
    ) -> Self {
        let wake = sessions.wake().clone();
        Self(Arc::new(Parts { store, clock, ids, sessions, agents, wake, shipped }))
    }

    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, AppError> {
        Ok(self.store.snapshot(tenant).await?)
    }

    /// The tasks of the session that a task belongs to.
    async fn board(&self, tenant: TenantId, at: Where) -> Result<Board, AppError> {
        let snapshot = self.snapshot(tenant).await?;
        let session = match at {
            Where::Session(session) => session,
            Where::Task(task) => session_of(&*snapshot, task).await?,
        };
        if snapshot.session(session).await?.is_none() {
            return Err(match at {
                Where::Session(_) => AppError::SessionNotFound,
                Where::Task(_) => TaskRefused::NotFound.into(),
            });
        }
        Board::read(&*snapshot, tenant, session, self.clock.now()).await
    }

    /// Reads the tasks of a session, lets `decide` change them, stores what follows; decides again when
    /// the race was lost.
    ///
    /// # Errors
    /// What `decide` refuses; `VersionMismatch` for a caller who read another version; `Contended`.
    async fn change(
        &self,
        ctx: &RequestContext,
        at: Where,
        command: Command<'_>,
        decide: impl Fn(&mut Board, Cause<'_>) -> Result<Answer, AppError> + Send,
    ) -> Result<Answer, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let mut board = self.board(ctx.tenant, at).await?;
            let now = self.clock.now();
            let mut cause = Cause::by(ctx.actor_name(), now);
            cause.reason = command.reason;
            if let (Where::Task(id), Some(expected)) = (at, ctx.if_match) {
                let actual = board.version_before(id).ok_or(TaskRefused::NotFound)?.get();
                if expected != actual {
                    return Err(AppError::VersionMismatch { expected, actual });
                }
            }
            let before = match at {
                Where::Task(id) => Some(board::facts(board.task(id)?)),
                Where::Session(_) => None,
            };
            board.settle(Cause::by("dependencies", now))?;
            let answer = decide(&mut board, cause)?;
            let subject = answer.subject();
            let remembered = subject.as_ref().and_then(|subject| ctx.remembered(subject, now));
            if board.is_idle() && remembered.is_none() {
                return Ok(answer);
            }
            let session = board.session();
            let running = board.book.is_running();
            let about = about(at, &answer, session);
            let after = match (&answer, at) {
                (Answer::Task(view), _) => Some(board::facts(&view.task.value)),
                (Answer::Dependency(_) | Answer::Decomposed(_), Where::Task(id)) => {
                    Some(board::facts(board.task(id)?))
                }
                (Answer::Dependency(_) | Answer::Decomposed(_) | Answer::Done, _) => None,
            };
            let mut set = if board.is_idle() {
                ChangeSet::new(ctx.tenant)
            } else {
                let entry = audit(ctx, command, about, (before, after), now);
                board.finish(now).audit(Some(entry))
            };
            set = set.remember(remembered);
            match self.store.commit(set).await {
                Ok(_) => {
                    if running {
                        self.wake.graphs();
                    }
                    return Ok(answer);
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// The root session must be there, and take tasks.
    async fn open_session(&self, tenant: TenantId, id: SessionId) -> Result<(), AppError> {
        let found = self.snapshot(tenant).await?.session(id).await?;
        let session = found.ok_or(AppError::SessionNotFound)?.value;
        // What can be taken back takes more, too.
        let goes_on = matches!(session.status(), SessionStatus::Failed | SessionStatus::Timeout);
        if session.status().is_terminal() && !goes_on {
            return Err(AppError::NotNow {
                code: session.code.to_string(),
                status: session.status(),
                what: "it takes no more tasks; make a new session for them",
            });
        }
        Ok(())
    }
}

/// The session that a task belongs to.
async fn session_of(snapshot: &dyn Snapshot, id: TaskId) -> Result<SessionId, AppError> {
    let found = snapshot.task(id).await?.ok_or(TaskRefused::NotFound)?;
    Ok(found.value.session_id)
}

fn about(at: Where, answer: &Answer, session: SessionId) -> About {
    match (at, answer) {
        (Where::Task(id), _) => About { kind: SubjectKind::Task, id: id.uuid() },
        (Where::Session(_), Answer::Task(view)) => view.task.value.subject(),
        (Where::Session(_), Answer::Dependency(_) | Answer::Decomposed(_) | Answer::Done) => {
            About::session(session)
        }
    }
}

fn audit(
    ctx: &RequestContext,
    command: Command<'_>,
    subject: About,
    (before, after): (Option<Value>, Option<Value>),
    at: Timestamp,
) -> AuditEntry {
    AuditEntry {
        at,
        actor: ctx.actor(),
        action: command.action.to_owned(),
        subject,
        ok: true,
        reason: command.reason.map(str::to_owned),
        before,
        after,
        request_id: Some(ctx.request_id.clone()),
    }
}

impl From<TaskRefused> for AppError {
    fn from(refused: TaskRefused) -> Self {
        Self::Task(Box::new(refused))
    }
}
