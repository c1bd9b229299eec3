//! Tasks in the embedded store: what is written of them, and how they are read.
//!
//! Invariant: a task that is not deleted has an entry by its id, and a session has one among the runs
//! exactly while its tasks are given out.

use async_trait::async_trait;

use super::keys::{self, Key};
use super::plan::Planner;
use super::records::Reference;
use super::rows::{Direction, Rows, View, decode, flow};
use super::snapshot::RedbSnapshot;
use super::tables::Table;
use crate::application::ports::changes::Put;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::tasks::{TaskReads, TaskWrite};
use crate::domain::decompose::template::OwnTemplate;
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::task::Task;
use crate::domain::task::book::Book;
use crate::domain::version::{Version, Versioned};

impl<R: Rows> Planner<'_, R> {
    /// The plan of one write about tasks.
    pub(super) fn put_task(&mut self, write: TaskWrite) -> Result<(), CommitError> {
        let tenant = self.tenant;
        match write {
            TaskWrite::Task(put) => self.keep_task(put),
            TaskWrite::Book(put) => {
                let key = keys::session(tenant, put.value.session_id);
                let (_, now) = self.put(Table::TaskBooks, key.clone(), put)?;
                if now.is_running() {
                    self.plan.mark(Table::TaskRuns, key);
                } else {
                    self.plan.remove(Table::TaskRuns, key);
                }
                Ok(())
            }
            TaskWrite::Template(put) => {
                let key = keys::template(tenant, &put.value.template.key);
                self.put(Table::Templates, key, put).map(|_| ())
            }
            TaskWrite::DropTemplate(version, key) => self.drop_template(version, &key),
        }
    }

    fn keep_task(&mut self, put: Put<Task>) -> Result<(), CommitError> {
        let Task { id, session_id, .. } = put.value;
        let key = keys::task(self.tenant, session_id, id);
        let (old, now) = self.put(Table::Tasks, key, put)?;
        let by_id = keys::task_by_id(self.tenant, id);
        if now.deleted_at.is_some() {
            self.plan.remove(Table::TasksById, by_id);
        } else if old.is_none() {
            let own = Reference(*session_id.as_bytes());
            self.plan.insert(Table::TasksById, by_id, &own)?;
        }
        Ok(())
    }

    fn drop_template(&mut self, version: Version, key: &str) -> Result<(), CommitError> {
        let key = keys::template(self.tenant, key);
        let found: Option<Versioned<OwnTemplate>> = self.rows.record(Table::Templates, &key)?;
        found.filter(|found| found.version == version).ok_or(CommitError::Stale)?;
        self.plan.remove(Table::Templates, key);
        Ok(())
    }

    /// Nothing is left of the tasks of a session.
    pub(super) fn purge_tasks(&mut self, session: SessionId) -> Result<(), CommitError> {
        let tenant = self.tenant;
        for key in self.rows.keys(Table::Tasks, &keys::tasks_of(tenant, session), usize::MAX)? {
            if let Some(id) = keys::tail_id(&key).map(TaskId::from_bytes) {
                self.plan.remove(Table::TasksById, keys::task_by_id(tenant, id));
            }
            self.plan.remove(Table::Tasks, key);
        }
        let key = keys::session(tenant, session);
        self.plan.remove(Table::TaskBooks, key.clone());
        self.plan.remove(Table::TaskRuns, key);
        Ok(())
    }
}

fn one(
    view: &View<'_>,
    tenant: TenantId,
    id: TaskId,
) -> Result<Option<Versioned<Task>>, StoreError> {
    let by_id = keys::task_by_id(tenant, id);
    let Some(Reference(session)) = view.record(Table::TasksById, &by_id)? else { return Ok(None) };
    view.record(Table::Tasks, &keys::task(tenant, SessionId::from_bytes(session), id))
}

fn of_session(
    view: &View<'_>,
    tenant: TenantId,
    session: SessionId,
) -> Result<Vec<Versioned<Task>>, StoreError> {
    let (mut found, span) = (Vec::new(), keys::tasks_of(tenant, session));
    view.scan(Table::Tasks, &span, Direction::Up, &mut |key, bytes| {
        let task: Versioned<Task> = decode(view.shared(), Table::Tasks, key, bytes)?;
        if task.value.deleted_at.is_none() {
            found.push(task);
        }
        Ok(flow(true))
    })?;
    Ok(found)
}

fn listed(
    view: &View<'_>,
    tenant: TenantId,
    after: Option<TaskId>,
    limit: usize,
) -> Result<Vec<Versioned<Task>>, StoreError> {
    let mut span = keys::tasks_by_id(tenant);
    if let Some(after) = after {
        span = span.above(keys::task_by_id(tenant, after));
    }
    let mut found = Vec::new();
    for key in view.keys(Table::TasksById, &span, limit)? {
        let Some(id) = keys::tail_id(&key).map(TaskId::from_bytes) else { continue };
        match one(view, tenant, id) {
            Ok(task) => found.extend(task),
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

/// Sessions whose tasks are given out, of every tenant.
pub(super) fn runs(view: &View<'_>) -> Result<Vec<(TenantId, SessionId)>, StoreError> {
    let found = view.keys(Table::TaskRuns, &keys::everything(), usize::MAX)?;
    let named =
        |key: &Key| Some((keys::tenant_of(key)?, SessionId::from_bytes(keys::tail_id(key)?)));
    Ok(found.iter().filter_map(named).collect())
}

#[async_trait]
impl TaskReads for RedbSnapshot {
    async fn task(&self, id: TaskId) -> Result<Option<Versioned<Task>>, StoreError> {
        let tenant = self.tenant;
        self.reader.read(|view| one(view, tenant, id))
    }

    async fn tasks_of(&self, session: SessionId) -> Result<Vec<Versioned<Task>>, StoreError> {
        let tenant = self.tenant;
        self.range(move |view| of_session(view, tenant, session)).await
    }

    async fn tasks(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Task>>, StoreError> {
        let tenant = self.tenant;
        self.range(move |view| listed(view, tenant, after, limit)).await
    }

    async fn task_book(&self, session: SessionId) -> Result<Option<Versioned<Book>>, StoreError> {
        let key = keys::session(self.tenant, session);
        self.reader.read(|view| view.record(Table::TaskBooks, &key))
    }

    async fn template(&self, key: &str) -> Result<Option<Versioned<OwnTemplate>>, StoreError> {
        let key = keys::template(self.tenant, key);
        self.reader.read(|view| view.record(Table::Templates, &key))
    }

    async fn templates(&self) -> Result<Vec<Versioned<OwnTemplate>>, StoreError> {
        let span = keys::templates(self.tenant);
        let mut found: Vec<Versioned<OwnTemplate>> = self
            .range(move |view| {
                let mut found = Vec::new();
                view.scan(Table::Templates, &span, Direction::Up, &mut |key, bytes| {
                    match decode(view.shared(), Table::Templates, key, bytes) {
                        Ok(template) => found.push(template),
                        Err(StoreError::Quarantined) => {}
                        Err(other) => return Err(other),
                    }
                    Ok(flow(true))
                })?;
                Ok(found)
            })
            .await?;
        found.sort_by(|one, other| one.value.template.key.cmp(&other.value.template.key));
        Ok(found)
    }
}
