//! All tasks of a session at one moment, and what is to become of them.
//!
//! Invariant: whatever one move brings about is carried out here before anything is stored, so that what
//! is stored is settled. The change set of a board also writes the book of the session: two boards that were
//! read at the same moment are never both stored.

use std::collections::BTreeMap;

use serde_json::json;

use super::error::TaskRefused;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::reads::Snapshot;
use crate::application::ports::tasks::TaskWrite;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::session::Cause;
use crate::domain::task::Task;
use crate::domain::task::book::Book;
use crate::domain::task::life::Gates;
use crate::domain::task::run::{Decision, Facts, Run};
use crate::domain::task::status::{InvalidTransition, TaskStatus, Trigger};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// Most tasks of one session.
pub(super) const MOST_TASKS: usize = 20_000;

/// The tasks of a session.
pub struct Board {
    /// How they are executed.
    pub book: Book,
    /// Where they stand and what follows.
    pub run: Run,
    book_before: Option<Versioned<Book>>,
    before: BTreeMap<TaskId, Versioned<Task>>,
    tasks: BTreeMap<TaskId, Task>,
    events: Vec<DomainEvent>,
    reviews: Vec<TaskId>,
    /// What followed at once from what was read.
    owed: Vec<Decision>,
    is_touched: bool,
}

impl Board {
    /// Reads the tasks of a session.
    ///
    /// # Errors
    /// The store's.
    pub async fn read(
        snapshot: &dyn Snapshot,
        tenant: TenantId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        let book_before = snapshot.task_book(session).await?;
        let fresh = || Book::new(tenant, session, now);
        let book = book_before.as_ref().map_or_else(fresh, |found| found.value.clone());
        let found = snapshot.tasks_of(session).await?;
        let tasks: Vec<Task> = found.iter().map(|found| found.value.clone()).collect();
        let (run, owed) = Run::of(&tasks, book.options())?;
        Ok(Self {
            book,
            run,
            book_before,
            before: found.into_iter().map(|found| (found.value.id, found)).collect(),
            tasks: tasks.into_iter().map(|task| (task.id, task)).collect(),
            events: Vec::new(),
            reviews: Vec::new(),
            owed,
            is_touched: false,
        })
    }

    /// The root session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.book.session_id
    }

    /// One of the tasks.
    ///
    /// # Errors
    /// `TaskNotFound`.
    pub fn task(&self, id: TaskId) -> Result<&Task, AppError> {
        self.tasks.get(&id).ok_or_else(|| TaskRefused::NotFound.into())
    }

    /// Every task, by id.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    /// Copies of all of them, by id.
    #[must_use]
    pub fn copies(&self) -> Vec<Task> {
        self.tasks.values().cloned().collect()
    }

    /// The direct parts of a task, in order of their places.
    #[must_use]
    pub fn parts(&self, id: TaskId) -> Vec<&Task> {
        let all = self.tasks.values();
        let mut parts: Vec<&Task> =
            all.filter(|task| task.place.parent_task_id == Some(id)).collect();
        parts.sort_by_key(|task| (task.place.position, task.id));
        parts
    }

    /// A task with everything below it, each before its parts.
    #[must_use]
    pub fn whole(&self, id: TaskId) -> Vec<TaskId> {
        let forest = self.run.forest();
        let numbers = forest.number(id).map(|number| forest.whole(number).to_vec());
        numbers.unwrap_or_default().into_iter().map(|number| forest.id(number)).collect()
    }

    /// Whether it has no parts.
    #[must_use]
    pub fn is_leaf(&self, id: TaskId) -> bool {
        let forest = self.run.forest();
        forest.number(id).is_none_or(|number| forest.is_leaf(number))
    }

    /// The leaves that are executed: all of them, or those below the task that was named.
    #[must_use]
    pub fn executed(&self) -> Vec<TaskId> {
        let named = self.book.execution.and_then(|execution| execution.task_id);
        let all = match named {
            Some(id) => self.whole(id),
            None => self.tasks.keys().copied().collect(),
        };
        all.into_iter().filter(|id| self.is_leaf(*id)).collect()
    }

    /// The version that a task has once this is stored.
    #[must_use]
    pub fn version(&self, id: TaskId) -> Version {
        match (self.before.get(&id), self.tasks.get(&id)) {
            (Some(before), Some(now)) if before.value == *now => before.version,
            (Some(before), _) => before.version.next(),
            (None, _) => Version::FIRST,
        }
    }

    /// The version that a task was read in.
    #[must_use]
    pub fn version_before(&self, id: TaskId) -> Option<Version> {
        self.before.get(&id).map(|before| before.version)
    }

    /// Carries out what followed at once from what was read.
    ///
    /// # Errors
    /// A decision that is no legal move: a fault of the product.
    pub fn settle(&mut self, cause: Cause<'_>) -> Result<(), AppError> {
        let owed = std::mem::take(&mut self.owed);
        self.carry_out(owed, cause)
    }

    /// Moves a leaf, and everything that follows.
    ///
    /// # Errors
    /// What the move refuses.
    pub fn act(
        &mut self,
        id: TaskId,
        cause: Cause<'_>,
        act: impl FnOnce(&mut Task, Gates) -> Result<Vec<DomainEvent>, InvalidTransition>,
    ) -> Result<(), AppError> {
        if !self.is_leaf(id) {
            let title = self.task(id)?.spec.title.clone();
            return Err(TaskRefused::Container { title }.into());
        }
        let gates = self.run.gates(id);
        let task = self.tasks.get_mut(&id).ok_or(TaskRefused::NotFound)?;
        let told = act(task, gates).map_err(|refused| TaskRefused::Transition {
            title: task.spec.title.clone(),
            refused,
        })?;
        self.events.extend(told);
        let facts = Facts::from(&*task);
        let decisions = self.run.note(id, facts);
        self.carry_out(decisions, cause)
    }

    /// Changes a task in a way that moves nothing.
    ///
    /// # Errors
    /// What the change refuses.
    pub fn change<T>(
        &mut self,
        id: TaskId,
        change: impl FnOnce(&mut Task) -> Result<T, AppError>,
    ) -> Result<T, AppError> {
        change(self.tasks.get_mut(&id).ok_or(TaskRefused::NotFound)?)
    }

    /// More tasks; whoever adds them begins the course anew.
    pub fn add(&mut self, task: Task) {
        self.tasks.insert(task.id, task);
    }

    /// Tells what happened.
    pub fn tell(&mut self, events: impl IntoIterator<Item = DomainEvent>) {
        self.events.extend(events);
    }

    /// Begins the course anew after the shape of the graph, or what holds for a task, was changed.
    ///
    /// # Errors
    /// `Cycle`.
    pub fn begin_anew(&mut self, cause: Cause<'_>) -> Result<(), AppError> {
        let standing: Vec<Task> =
            self.tasks.values().filter(|task| task.deleted_at.is_none()).cloned().collect();
        let (run, decisions) = Run::of(&standing, self.book.options())?;
        self.run = run;
        self.carry_out(decisions, cause)
    }

    /// Carries out what follows by the rules.
    ///
    /// # Errors
    /// A decision that is no legal move: a fault of the product.
    pub fn carry_out(
        &mut self,
        decisions: Vec<Decision>,
        cause: Cause<'_>,
    ) -> Result<(), AppError> {
        for decision in decisions {
            match decision {
                Decision::Move { task, verb, reason } => {
                    let gates = self.run.gates(task);
                    let found = self.tasks.get_mut(&task).ok_or(TaskRefused::NotFound)?;
                    let because = cause.because(reason);
                    let told = if verb == Trigger::Complete {
                        let result = found.work.result.clone();
                        found.complete(result, gates, because)
                    } else {
                        found.step(verb, because)
                    };
                    self.events.extend(told.map_err(|no| refused(found, no))?);
                }
                Decision::RollUp { task, to } => {
                    let found = self.tasks.get_mut(&task).ok_or(TaskRefused::NotFound)?;
                    let told = found.roll_up(to, Cause::by(cause.actor, cause.at));
                    self.events.extend(told.map_err(|no| refused(found, no))?);
                }
                Decision::Satisfied { source, target } => {
                    self.tell_satisfied(source, target, cause.at);
                }
                Decision::Review { task } => self.reviews.push(task),
            }
        }
        Ok(())
    }

    fn tell_satisfied(&mut self, source: TaskId, target: TaskId, now: Timestamp) {
        let Some(task) = self.tasks.get(&source) else { return };
        let found = task.dependencies.iter().find(|one| one.target_task_id == target);
        if let Some(dependency) = found {
            let kind = EventType::TaskDependencySatisfied;
            self.events.push(task.dependency_event(kind, dependency, true, now));
        }
    }

    /// Tasks that wait for what cannot come any more.
    #[must_use]
    pub fn reviews(&self) -> &[TaskId] {
        &self.reviews
    }

    /// The book is to be written though no task is.
    pub const fn touch(&mut self) {
        self.is_touched = true;
    }

    /// Whether there is anything to store.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.is_touched && self.events.is_empty() && self.changed().next().is_none()
    }

    fn changed(&self) -> impl Iterator<Item = (&Task, Expect)> {
        self.tasks.values().filter_map(|task| match self.before.get(&task.id) {
            None => Some((task, Expect::Absent)),
            Some(before) if before.value == *task => None,
            Some(before) => Some((task, Expect::At(before.version))),
        })
    }

    /// What makes it true.
    #[must_use]
    pub fn finish(mut self, now: Timestamp) -> ChangeSet {
        let mut set = ChangeSet::new(self.book.tenant_id);
        for (task, expect) in self.changed() {
            let put = Put { expect, value: task.clone() };
            set.writes.push(Write::Task(TaskWrite::Task(put)));
        }
        self.book.updated_at = now;
        let expect = self.book_before.as_ref().map_or(Expect::Absent, |it| Expect::At(it.version));
        set.writes.push(Write::Task(TaskWrite::Book(Put { expect, value: self.book })));
        set.events = self.events;
        set
    }
}

fn refused(task: &Task, refused: InvalidTransition) -> AppError {
    TaskRefused::Transition { title: task.spec.title.clone(), refused }.into()
}

/// What the audit keeps of a task.
pub(super) fn facts(task: &Task) -> serde_json::Value {
    json!({
        "title": task.spec.title, "status": task.status(), "session_id": task.session_id,
        "parent_task_id": task.place.parent_task_id, "priority": task.spec.priority,
        "attempt": task.work.attempt,
    })
}

/// Whether anybody works on it, or is about to.
pub(super) const fn is_busy(status: TaskStatus) -> bool {
    status.is_active()
}
