//! The executor of graphs: gives leaves to child sessions, follows them, and ends the root.
//!
//! Invariant: it decides from what is stored alone. What it remembers only tells where to look again; a
//! server that begins anew goes on where the last one stopped.
//! Invariant: nothing here waits for an agent: each look reads, decides, commits and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::TaskService;
use super::board::Board;
use super::execute::{event, open};
use super::follow::follow_child;
use crate::application::error::AppError;
use crate::application::ports::reads::{Order, SessionFilter, SessionQuery, Snapshot};
use crate::application::ports::store::CommitError;
use crate::application::session::graph::EXECUTOR;
use crate::domain::event::{EventType, StoredEvent};
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::session::Cause;
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::task::Task;
use crate::domain::task::book::Execution;
use crate::domain::task::child::Given;
use crate::domain::task::run::{Facts, Leaves, Options};
use crate::domain::task::status::TaskStatus;
use crate::domain::time::Timestamp;

/// How often graphs that are executed are looked at, whatever was heard.
const LOOK: Duration = Duration::from_secs(2);
/// Of those looks, every so often sessions are looked for that are to begin.
const SEEK_EVERY: u64 = 15;
/// Steps of one graph in one look.
const STEPS: usize = 1000;
/// Open children that are read at once.
const PAGE: usize = 200;

/// A root session and its tenant.
type Root = (TenantId, SessionId);

/// Executes graphs until it is stopped.
pub struct Executor {
    tasks: TaskService,
    /// The root that a session belongs to, as far as it was seen.
    roots: BTreeMap<SessionId, Root>,
}

/// What is looked at next.
enum Wanted {
    /// Every graph that is executed or is to be.
    Everything,
    /// Every graph that is executed.
    Runs,
    /// Those of which something was heard.
    These(BTreeSet<Root>),
}

/// What a look at a graph came to.
enum Step {
    /// Something was changed: it is looked at again.
    Again,
    /// Nothing can be done now.
    Rest,
}

impl Executor {
    /// Over these use cases.
    #[must_use]
    pub const fn new(tasks: TaskService) -> Self {
        Self { tasks, roots: BTreeMap::new() }
    }

    /// Executes until cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut feed = self.tasks.store.feed();
        let (mut wanted, mut looks) = (Wanted::Everything, 0_u64);
        loop {
            let looked = async {
                match &wanted {
                    Wanted::These(roots) => self.advance_all(roots.iter().copied()).await,
                    Wanted::Runs => self.look(false).await,
                    Wanted::Everything => self.look(true).await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = looked => {}
            }
            let (clock, wake) = (Arc::clone(&self.tasks.clock), self.tasks.wake.clone());
            wanted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                heard = self.heard(&mut feed) => match heard {
                    Some(wanted) => wanted,
                    None => return,
                },
                () = wake.graphs_rang() => Wanted::Runs,
                () = clock.sleep(LOOK) => {
                    looks += 1;
                    if looks.is_multiple_of(SEEK_EVERY) { Wanted::Everything } else { Wanted::Runs }
                }
            };
        }
    }

    /// Waits for news of sessions that belong to a graph, or may; `None` when no news will come.
    async fn heard(&self, feed: &mut Receiver<Arc<Vec<StoredEvent>>>) -> Option<Wanted> {
        loop {
            let batch = match feed.recv().await {
                Ok(batch) => batch,
                Err(RecvError::Lagged(_)) => return Some(Wanted::Everything),
                Err(RecvError::Closed) => return None,
            };
            let mut roots = BTreeSet::new();
            for stored in batch.iter() {
                let kind = stored.event.event_type;
                let session = SessionId::new(stored.event.subject.id);
                let moves = matches!(
                    kind,
                    EventType::SessionStatusChanged
                        | EventType::SessionUpdated
                        | EventType::SessionDeleted
                );
                if moves {
                    roots.extend(self.roots.get(&session));
                }
                if kind == EventType::SessionQueued && !self.roots.contains_key(&session) {
                    roots.insert((stored.tenant_id, session));
                }
            }
            if !roots.is_empty() {
                return Some(Wanted::These(roots));
            }
        }
    }

    /// Looks at every graph that is executed, and at those that are to be when these are sought, too.
    async fn look(&mut self, seek: bool) {
        let found = async {
            let fleet = self.tasks.store.fleet().await?;
            let mut roots: BTreeSet<Root> = fleet.task_runs().await?.into_iter().collect();
            if !seek {
                return Ok(roots);
            }
            let statuses = [SessionStatus::Queued, SessionStatus::Running, SessionStatus::Paused];
            let open = fleet.sessions_in(&statuses).await?;
            let graphs = open.iter().map(|found| &found.value).filter(|one| one.is_graph());
            roots.extend(graphs.map(|session| (session.tenant_id, session.id)));
            Ok::<_, AppError>(roots)
        };
        match found.await {
            Ok(roots) => {
                self.advance_all(roots.into_iter()).await;
            }
            Err(error) => tracing::warn!(%error, "Graphs of tasks could not be looked for"),
        }
    }

    async fn advance_all(&mut self, roots: impl Iterator<Item = Root>) {
        for root in roots {
            for _ in 0..STEPS {
                match self.advance(root).await {
                    Ok(Step::Again) | Err(AppError::Contended) => {}
                    Ok(Step::Rest) => break,
                    Err(error) => {
                        let (_, session) = root;
                        tracing::warn!(session.id = %session, %error, "The tasks of session {session} could not be executed; it is tried again");
                        break;
                    }
                }
            }
        }
    }

    /// One step of a graph: at most one commit of its tasks.
    async fn advance(&mut self, at: Root) -> Result<Step, AppError> {
        let (tenant, id) = at;
        let tasks = self.tasks.clone();
        let snapshot = tasks.snapshot(tenant).await?;
        let Some(root) = snapshot.session(id).await?.map(|found| found.value) else {
            return self.close(at, None).await;
        };
        if !root.is_graph() {
            return Ok(Step::Rest);
        }
        self.roots.insert(id, at);
        let now = tasks.clock.now();
        let cause = Cause::by(EXECUTOR, now);
        let mut board = Board::read(&*snapshot, tenant, id, now).await?;
        if root.status().is_terminal() {
            drop(snapshot);
            return self.close(at, Some(&root)).await;
        }
        if root.status() == SessionStatus::Queued {
            drop(snapshot);
            return self.begin(board, &root, cause).await;
        }
        let wants = root.run.pause_wanted.is_some() || root.run.resume_wanted;
        let children = open_children(&*snapshot, id).await?;
        if wants {
            drop(snapshot);
            return self.heed(&root, &children).await;
        }
        if root.status() == SessionStatus::Paused {
            // Whoever waited for an agent when it was paused may have begun since.
            for child in children.values().filter(|child| is_at_work(child)) {
                tasks.sessions.hold_child(tenant, child.id, true).await?;
            }
        }
        if !board.book.is_running() {
            // Begun, and its book closed by nobody but this: there is nothing to give out.
            return Ok(Step::Rest);
        }
        board.settle(cause)?;
        let over = self.follow(&*snapshot, &mut board, &children, cause).await?;
        drop(snapshot);
        for (child, reason) in over {
            tasks.sessions.end_executing(tenant, child, reason).await?;
        }
        end_at_first_failure(&mut board, cause)?;
        let reviews: Vec<Task> =
            board.reviews().iter().filter_map(|id| board.task(*id).ok().cloned()).collect();
        if !board.is_idle() {
            commit(&tasks, board, now).await?;
            for task in &reviews {
                tasks.sessions.ask_about_task(id, task).await?;
            }
            return Ok(Step::Again);
        }
        for task in &reviews {
            tasks.sessions.ask_about_task(id, task).await?;
        }
        if !root.status().is_executing() {
            return Ok(Step::Rest);
        }
        let leaves = board.executed();
        let facts = leaves.iter().filter_map(|leaf| board.run.facts(*leaf));
        let outcome = Leaves::of(facts).outcome();
        if outcome.is_some() || leaves.is_empty() {
            tasks.sessions.end_graph(tenant, id, outcome).await?;
            return Ok(Step::Again);
        }
        self.give_out(board, &root, &leaves, cause).await
    }

    /// A queued root begins: its book first, so that nobody who dies in between is forgotten.
    async fn begin(
        &self,
        mut board: Board,
        root: &Session,
        cause: Cause<'_>,
    ) -> Result<Step, AppError> {
        let tasks = &self.tasks;
        if !board.book.is_running() {
            let usual = Options::accept(None, None)?;
            let before = board.book.execution;
            let execution = Execution {
                task_id: before.and_then(|before| before.task_id),
                max_parallel: before.map_or(usual.max_parallel, |before| before.max_parallel),
                fail_fast: before.is_some_and(|before| before.fail_fast),
                started_at: cause.at,
                ended_at: None,
            };
            open(&mut board, execution, cause)?;
            commit(tasks, board, cause.at).await?;
        }
        let runs = tasks.sessions.begin_graph(root.tenant_id, root.id).await?;
        Ok(if runs { Step::Again } else { Step::Rest })
    }

    /// The root was asked to pause, or to go on: so are its children, and then it does.
    async fn heed(
        &self,
        root: &Session,
        children: &BTreeMap<SessionId, Session>,
    ) -> Result<Step, AppError> {
        let (sessions, tenant) = (&self.tasks.sessions, root.tenant_id);
        let is_held = root.run.pause_wanted.is_some();
        if !is_held && sessions.obstacle(root).await?.is_some() {
            return Ok(Step::Rest);
        }
        for child in children.values().filter(|child| child.lineage.task_id.is_some()) {
            sessions.hold_child(tenant, child.id, is_held).await?;
        }
        let now = sessions.heed_graph(tenant, root.id).await?.value;
        Ok(if now.status() == root.status() { Step::Rest } else { Step::Again })
    }

    /// Every task that somebody works on follows its child; children whose tasks were taken from them.
    async fn follow(
        &mut self,
        snapshot: &dyn Snapshot,
        board: &mut Board,
        open: &BTreeMap<SessionId, Session>,
        cause: Cause<'_>,
    ) -> Result<Vec<(SessionId, &'static str)>, AppError> {
        let root = (board.book.tenant_id, board.session());
        let given: Vec<(TaskId, SessionId)> = board
            .tasks()
            .filter(|task| task.status().is_active())
            .filter_map(|task| Some((task.id, task.work.child_session_id?)))
            .collect();
        let executed: BTreeSet<SessionId> = given.iter().map(|(_, child)| *child).collect();
        for (id, child) in given {
            self.roots.insert(child, root);
            let session = match open.get(&child) {
                Some(session) => Some(session.clone()),
                None => ended(snapshot, child).await?,
            };
            follow_child(board, id, session.as_ref(), cause)?;
        }
        let own = open.values().filter(|child| child.lineage.task_id.is_some());
        let lost = own.filter(|child| !executed.contains(&child.id));
        Ok(lost.map(|child| (child.id, "its task was taken from it")).collect())
    }

    /// Gives the first leaf that can be out; each in a commit of its own.
    async fn give_out(
        &mut self,
        mut board: Board,
        root: &Session,
        leaves: &[TaskId],
        cause: Cause<'_>,
    ) -> Result<Step, AppError> {
        let next = board.run.next().find(|leaf| leaves.contains(leaf));
        let Some(leaf) = next else { return Ok(Step::Rest) };
        let task = board.task(leaf)?;
        let results: Vec<(String, serde_json::Map<String, serde_json::Value>)> = task
            .dependencies
            .iter()
            .filter_map(|need| board.task(need.target_task_id).ok())
            .filter_map(|target| Some((target.spec.title.clone(), target.work.result.clone()?)))
            .collect();
        let given: Vec<Given<'_>> =
            results.iter().map(|(title, result)| Given { title, result }).collect();
        let draft = task.child_session(&root.spec.initial_prompt, &given);
        let join = |child: SessionId| {
            board.act(leaf, cause, |task, gates| task.assign(None, Some(child), gates, cause))?;
            Ok(board.finish(cause.at))
        };
        let made = self.tasks.sessions.execute_task(root, leaf, draft, join).await?;
        let Some(made) = made else { return Ok(Step::Rest) };
        self.roots.insert(made.value.id, (root.tenant_id, root.id));
        Ok(Step::Again)
    }

    /// The root has ended or is gone: its tasks are given out no more.
    async fn close(&mut self, at: Root, root: Option<&Session>) -> Result<Step, AppError> {
        let ((tenant, id), tasks) = (at, self.tasks.clone());
        let snapshot = tasks.snapshot(tenant).await?;
        let now = tasks.clock.now();
        let cause = Cause::by(EXECUTOR, now);
        let mut board = Board::read(&*snapshot, tenant, id, now).await?;
        let Some(execution) = board.book.execution.filter(Execution::is_open) else {
            self.roots.retain(|_, root| *root != at);
            return Ok(Step::Rest);
        };
        board.settle(cause)?;
        let children = open_children(&*snapshot, id).await?;
        self.follow(&*snapshot, &mut board, &children, cause).await?;
        drop(snapshot);
        let leaves = board.executed();
        // What can be taken back goes on later; what cannot ends here.
        let is_final = root.is_none_or(|root| {
            !matches!(root.status(), SessionStatus::Failed | SessionStatus::Timeout)
        });
        if is_final {
            for leaf in &leaves {
                let decisions = board.run.cancel(*leaf);
                board.carry_out(decisions, cause)?;
            }
        }
        board.book.execution = Some(Execution { ended_at: Some(now), ..execution });
        board.touch();
        let facts = leaves.iter().filter_map(|leaf| board.run.facts(*leaf));
        let Leaves { completed, failed, skipped, cancelled, .. } = Leaves::of(facts);
        let payload = serde_json::json!({
            "session_id": id, "completed": completed, "failed": failed, "skipped": skipped,
            "cancelled": cancelled,
        });
        let told = event(&board, EventType::TaskGraphCompleted, payload, cause);
        board.tell([told]);
        commit(&tasks, board, now).await?;
        Ok(Step::Again)
    }
}

/// Whether a child executes a task, and nobody asked it to pause.
fn is_at_work(child: &Session) -> bool {
    let executes = child.lineage.task_id.is_some() && child.status().is_executing();
    executes && child.run.pause_wanted.is_none()
}

/// Where only a part of the tasks is executed, its first failure that stays ends that part alone.
fn end_at_first_failure(board: &mut Board, cause: Cause<'_>) -> Result<(), AppError> {
    let Some(execution) = board.book.execution.filter(|execution| execution.fail_fast) else {
        return Ok(());
    };
    let Some(part) = execution.task_id else { return Ok(()) };
    let has_failed = |facts: Facts| facts.status == TaskStatus::Failed && facts.retries_left == 0;
    let leaves = board.executed();
    if leaves.iter().filter_map(|leaf| board.run.facts(*leaf)).any(has_failed) {
        let decisions = board.run.cancel(part);
        board.carry_out(decisions, cause)?;
    }
    Ok(())
}

async fn commit(tasks: &TaskService, board: Board, now: Timestamp) -> Result<(), AppError> {
    match tasks.store.commit(board.finish(now)).await {
        Ok(_) => Ok(()),
        Err(CommitError::Stale) => Err(AppError::Contended),
        Err(error) => Err(error.into()),
    }
}

/// The children of a root that have not ended.
async fn open_children(
    snapshot: &dyn Snapshot,
    root: SessionId,
) -> Result<BTreeMap<SessionId, Session>, AppError> {
    let (mut found, mut after) = (BTreeMap::new(), None);
    loop {
        let filter = SessionFilter {
            parent_id: Some(root),
            statuses: SessionStatus::OPEN.to_vec(),
            ..SessionFilter::default()
        };
        let order = Order::OldestFirst;
        let query = SessionQuery { filter, order, after, limit: PAGE, count: false };
        let page = snapshot.sessions(query).await?;
        found.extend(page.items.into_iter().map(|one| (one.value.id, one.value)));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// A session that has ended, deleted or not.
async fn ended(snapshot: &dyn Snapshot, id: SessionId) -> Result<Option<Session>, AppError> {
    let found = match snapshot.session(id).await? {
        Some(found) => Some(found),
        None => snapshot.deleted_session(id).await?,
    };
    Ok(found.map(|found| found.value))
}
