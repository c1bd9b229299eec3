//! Sessions that are graphs of tasks: how they begin, are held, end, and get the children that work.
//!
//! Invariant: a child that executes a task comes into being in the commit that gives it the task.

use super::SessionService;
use super::change::{By, Change, counter_changes, item_id};
use super::checkpoint::state_of;
use super::control::apply;
use super::limits::{bounds_in, has_room, to_queue};
use super::not_yet::not_yet;
use super::refused;
use super::spawn::of_child;
use super::usage;
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::store::{CommitError, Sequence};
use crate::application::principal::RequestContext;
use crate::domain::attention::{AttentionKind, News};
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::session::attempt::SessionError;
use crate::domain::session::checkpoint::CheckpointTrigger;
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::life::Outcome;
use crate::domain::session::metrics::RateSource;
use crate::domain::session::spec::ExecutionMode;
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{Lineage, Session, SessionCode};
use crate::domain::task::Task;
use crate::domain::task::run::Outcome as GraphOutcome;
use crate::domain::version::{Version, Versioned};

/// Who executes graphs.
pub const EXECUTOR: &str = "executor";

impl SessionService {
    /// Whether the tasks of a session can be executed: it did not begin yet, or it is a graph that can be
    /// started.
    ///
    /// # Errors
    /// `SessionNotFound`, `NotNow`.
    pub async fn check_graph(&self, tenant: TenantId, id: SessionId) -> Result<(), AppError> {
        let found = self.snapshot(tenant).await?.session(id).await?;
        let session = found.ok_or(AppError::SessionNotFound)?.value;
        let is_fresh = session.status() == SessionStatus::Pending && session.run.attempt == 0;
        let goes_on = session.is_graph() && !session.status().is_final();
        if is_fresh || goes_on { Ok(()) } else { Err(not_a_graph(&session)) }
    }

    /// Makes a graph of a session that did not begin yet, and queues it.
    ///
    /// # Errors
    /// `Transition`, `NotNow` when an agent of its own works or worked on it, `QuotaExceeded`.
    pub async fn start_graph(
        &self,
        ctx: &RequestContext,
        id: SessionId,
    ) -> Result<Versioned<Session>, AppError> {
        let decide = |change: &mut Change| {
            let session = &mut change.session;
            if session.is_graph() {
                return Ok(());
            }
            if session.status() != SessionStatus::Pending || session.run.attempt > 0 {
                return Err(not_a_graph(session));
            }
            session.spec.execution_mode = ExecutionMode::TaskGraph;
            change.updated(&["execution_mode"], self.clock.now());
            Ok(())
        };
        let unasked = RequestContext { if_match: None, repeat: None, ..ctx.clone() };
        let (session, ()) = self.change(By::Caller(&unasked), id, "execute", None, decide).await?;
        let is_under_way = session.value.status().is_executing()
            || session.value.status() == SessionStatus::Queued;
        if is_under_way { Ok(session) } else { self.start(&unasked, id).await }
    }

    /// Lets a graph that is queued run; whether it does.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin_graph(&self, tenant: TenantId, id: SessionId) -> Result<bool, AppError> {
        let bounds = self.bounds(tenant).await?;
        let by = By::Part(tenant, EXECUTOR);
        let uuid = self.ids.uuid();
        let decide = |change: &mut Change| {
            let is_queued = change.session.status() == SessionStatus::Queued;
            if !is_queued || usage::obstacle(&change.session, &bounds).is_some() {
                return Ok(change.session.status().is_executing());
            }
            let now = self.clock.now();
            apply(change, |session| session.begin_graph(by.cause(now)))?;
            // What it can be retried from.
            let state = state_of(change, None);
            change.checkpoint(uuid, CheckpointTrigger::Start, state, now);
            Ok(true)
        };
        Ok(self.change(by, id, "begin", None, decide).await?.1)
    }

    /// Does what was asked of a graph: to pause at once, or to go on.
    ///
    /// # Errors
    /// The store's.
    pub async fn heed_graph(
        &self,
        tenant: TenantId,
        id: SessionId,
    ) -> Result<Versioned<Session>, AppError> {
        let by = By::Part(tenant, EXECUTOR);
        let bounds = self.bounds(tenant).await?;
        let decide = |change: &mut Change| {
            let (now, session) = (self.clock.now(), &change.session);
            if session.status().is_executing() && session.run.pause_wanted.is_some() {
                return apply(change, |session| session.pause(by.cause(now)));
            }
            let resumes = session.status() == SessionStatus::Paused && session.run.resume_wanted;
            if resumes && usage::obstacle(session, &bounds).is_none() {
                return apply(change, |session| session.resume_graph(by.cause(now)));
            }
            Ok(())
        };
        Ok(self.change(by, id, "heed", None, decide).await?.0)
    }

    /// A child that executes a task is paused with its root, or goes on with it.
    ///
    /// # Errors
    /// The store's.
    pub async fn hold_child(
        &self,
        tenant: TenantId,
        id: SessionId,
        is_held: bool,
    ) -> Result<(), AppError> {
        let by = By::Part(tenant, EXECUTOR);
        let decide = |change: &mut Change| {
            let (now, session) = (self.clock.now(), &mut change.session);
            if is_held && session.status().is_executing() && session.run.pause_wanted.is_none() {
                session.run.pause_wanted = Some(now);
                change.updated(&["pause_requested"], now);
            } else if !is_held && session.status() == SessionStatus::Paused {
                if !session.run.resume_wanted {
                    session.run.resume_wanted = true;
                    change.updated(&["resume_requested"], now);
                }
            } else if !is_held && session.run.pause_wanted.take().is_some() {
                change.updated(&["pause_requested"], now);
            }
            Ok(())
        };
        match self.change(by, id, "hold", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A graph whose leaves have all settled ends as they did; one without leaves fails.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_graph(
        &self,
        tenant: TenantId,
        id: SessionId,
        outcome: Option<GraphOutcome>,
    ) -> Result<(), AppError> {
        let by = By::Part(tenant, EXECUTOR);
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            if !change.session.status().is_executing() {
                return Ok(());
            }
            let ended = outcome.filter(|outcome| outcome.status != SessionStatus::Failed);
            let Some(ended) = ended else {
                let error = SessionError {
                    error_type: "all_tasks_failed".to_owned(),
                    message: match outcome {
                        Some(_) => "none of its tasks was completed".to_owned(),
                        None => "it has no tasks".to_owned(),
                    },
                    context: outcome.map(|outcome| outcome.payload()).unwrap_or_default(),
                    retryable: false,
                    occurred_at: now,
                };
                return apply(change, |session| session.fail(error, 0.5, by.cause(now)));
            };
            let told = Outcome {
                result: ended.payload(),
                success_rate: Some(ended.success_rate),
                source: Some(RateSource::Tasks),
                confidence_score: None,
            };
            if ended.status == SessionStatus::Completed {
                return apply(change, |session| session.complete(told, by.cause(now)));
            }
            apply(change, |session| session.partially_complete(told, by.cause(now)))
        };
        match self.change(by, id, "end", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A child whose task was taken from it ends, as it would with its parent.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_executing(
        &self,
        tenant: TenantId,
        id: SessionId,
        reason: &str,
    ) -> Result<(), AppError> {
        self.end_child(tenant, id, reason).await
    }

    /// The child of a graph that is to execute a task, queued at once; `join` says what becomes true with
    /// it. `None` when there is no room for it just now.
    ///
    /// # Errors
    /// The store's; `Stale` races come back as `Contended`.
    pub async fn execute_task(
        &self,
        root: &Session,
        task: TaskId,
        draft: SessionDraft,
        join: impl FnOnce(SessionId) -> Result<ChangeSet, AppError> + Send,
    ) -> Result<Option<Versioned<Session>>, AppError> {
        if self.store.health().short_of_room.is_some() {
            return Ok(None);
        }
        let tenant = root.tenant_id;
        let snapshot = self.snapshot(tenant).await?;
        let bounds = bounds_in(&*snapshot, self.clock.now()).await?;
        let Some((budget_usd, token_budget)) = self.share_of(&*snapshot, root).await? else {
            return Ok(None);
        };
        drop(snapshot);
        if has_room(&bounds.purse).is_err() {
            return Ok(None);
        }
        let draft = SessionDraft {
            agent: root.spec.agent.clone(),
            model_identifier: root.spec.model_identifier.clone(),
            workspace: of_child(root.spec.workspace.clone()),
            permission_policy: Some(root.spec.permission_policy.clone()),
            exclude_from_training: root.spec.exclude_from_training,
            budget_usd,
            token_budget,
            ..draft
        };
        let mut spec = draft.accept()?;
        not_yet(&spec)?;
        let number = self.store.allocate(tenant, Sequence::SessionCodes).await?;
        let (code, now) = (SessionCode::new(number), self.clock.now());
        spec.name_by_code(code);
        let lineage = Lineage {
            parent_id: Some(root.id),
            depth: root.lineage.depth + 1,
            task_id: Some(task),
            ..Lineage::default()
        };
        let id = SessionId::new(self.ids.uuid());
        let by = By::Part(tenant, EXECUTOR);
        let (mut session, created) =
            Session::create(id, tenant, code, spec, lineage, by.name(), now);
        if usage::check(&session, &bounds.purse).is_err() {
            return Ok(None);
        }
        let started = session.start(by.cause(now)).map_err(|no| refused(&session, no))?;
        let mut set = join(id)?
            .write(Write::Session(Put { expect: Expect::Absent, value: session.clone() }))
            .count(Counter::SessionCodes, CounterChange::AtLeast(number))
            .events([created])
            .events(started)
            .guard(Guard::SessionIn { session: root.id, statuses: &[SessionStatus::Running] });
        set.counters.extend(counter_changes(None, &session));
        set.guards.extend(to_queue(&bounds.quotas));
        match self.store.commit(set).await {
            Ok(_) => {
                self.wake.scheduler();
                Ok(Some(Versioned { version: Version::FIRST, value: session }))
            }
            Err(CommitError::Exceeded { .. }) => Ok(None),
            Err(CommitError::Stale | CommitError::Refused) => Err(AppError::Contended),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks people to look at a graph in which a task waits for what cannot come any more; once for each
    /// task and attempt.
    ///
    /// # Errors
    /// The store's.
    pub async fn ask_about_task(&self, root: SessionId, task: &Task) -> Result<(), AppError> {
        let tenant = task.tenant_id;
        let about = format!("task:{}:{}", task.id, task.work.attempt);
        let mark = News::fingerprint_of(root, &about);
        if self.is_told(tenant, root, &mark).await? {
            return Ok(());
        }
        let uuid = self.ids.uuid();
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let is_known = change.items.iter().any(|item| item.fingerprint == mark);
            if !change.session.status().is_executing() || is_known {
                return Ok(());
            }
            let title = format!("a task waits for what cannot come any more: {}", task.spec.title);
            let news = News {
                tenant_id: tenant,
                session_id: root,
                attempt: change.session.run.attempt,
                kind: AttentionKind::Review,
                title: title.chars().take(200).collect(),
                payload: serde_json::json!({ "reason": "task_blocked", "task_id": task.id }),
                about: about.clone(),
            };
            change.raise(news.item(item_id(uuid), now), now);
            change.session.stamps.updated_at = now;
            Ok(())
        };
        match self.change(By::Part(tenant, EXECUTOR), root, "task_blocked", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn not_a_graph(session: &Session) -> AppError {
    AppError::NotNow {
        code: session.code.to_string(),
        status: session.status(),
        what: "it has ended, or an agent of its own works or worked on it; make a new session for the tasks",
    }
}
