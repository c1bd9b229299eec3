//! How agents do in the embedded store: work to be counted, figures, heartbeats.
//!
//! Invariant: work is counted once: its row goes in the commit that counts it, and only when it is there.

use async_trait::async_trait;

use super::keys;
use super::plan::Planner;
use super::rows::Rows;
use super::snapshot::RedbSnapshot;
use super::tables::Table;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::vitals::{VitalsReads, VitalsWrite};
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::vitals::Vitals;
use crate::domain::ids::AgentId;
use crate::domain::version::Versioned;

impl<R: Rows> Planner<'_, R> {
    /// The plan of one write about how an agent does.
    pub(super) fn put_vitals(&mut self, write: VitalsWrite) -> Result<(), CommitError> {
        let tenant = self.tenant;
        match write {
            VitalsWrite::Ended(ended) => {
                let work = (ended.agent_id, ended.session_id, ended.attempt);
                let key = keys::ended_work(tenant, work);
                if self.rows.bytes(Table::EndedWork, &key)?.is_some() {
                    return Err(CommitError::Stale);
                }
                self.plan.insert(Table::EndedWork, key, &ended)
            }
            VitalsWrite::Counted(work) => {
                let key = keys::ended_work(tenant, work);
                if self.rows.bytes(Table::EndedWork, &key)?.is_none() {
                    return Err(CommitError::Stale);
                }
                self.plan.remove(Table::EndedWork, key);
                Ok(())
            }
            VitalsWrite::Vitals(put) => {
                let key = keys::agent(tenant, put.value.agent_id);
                self.put_over(Table::Vitals, key, put)
            }
            VitalsWrite::Heard(heartbeat) => {
                let key = keys::agent(tenant, heartbeat.agent_id);
                self.plan.insert(Table::Heartbeats, key, &heartbeat)
            }
        }
    }
}

#[async_trait]
impl VitalsReads for RedbSnapshot {
    async fn vitals(&self, agent: AgentId) -> Result<Option<Versioned<Vitals>>, StoreError> {
        let key = keys::agent(self.tenant, agent);
        self.reader.read(|view| view.record(Table::Vitals, &key))
    }

    async fn all_vitals(&self) -> Result<Vec<Vitals>, StoreError> {
        let span = keys::agents(self.tenant);
        let all = self.range(move |view| {
            let all: Vec<Versioned<Vitals>> = view.records(Table::Vitals, &span, usize::MAX)?;
            Ok(all.into_iter().map(|found| found.value).collect())
        });
        all.await
    }

    async fn heartbeat(&self, agent: AgentId) -> Result<Option<Heartbeat>, StoreError> {
        let key = keys::agent(self.tenant, agent);
        self.reader.read(|view| view.record(Table::Heartbeats, &key))
    }

    async fn heartbeats(&self) -> Result<Vec<Heartbeat>, StoreError> {
        let span = keys::agents(self.tenant);
        self.range(move |view| view.records(Table::Heartbeats, &span, usize::MAX)).await
    }
}
