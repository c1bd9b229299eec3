//! How agents do in memory: work to be counted, figures, heartbeats.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::data::versioned;
use super::snapshot::{MemorySnapshot, owned};
use crate::application::ports::changes::Expect;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::vitals::{VitalsReads, VitalsWrite, WorkKey};
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::vitals::{Ended, Vitals};
use crate::domain::ids::AgentId;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::shared;

/// How the agents of one tenant do.
#[derive(Clone, Default)]
pub(super) struct AllVitals {
    ended: BTreeMap<WorkKey, Arc<Ended>>,
    vitals: BTreeMap<AgentId, Arc<Versioned<Vitals>>>,
    heartbeats: BTreeMap<AgentId, Arc<Heartbeat>>,
}

impl AllVitals {
    /// Whether a write finds what it expects.
    pub(super) fn expect(&self, write: &VitalsWrite) -> Result<(), CommitError> {
        let work = |key: &WorkKey| self.ended.get(key).map(|_| Version::FIRST);
        let (found, expect) = match write {
            VitalsWrite::Ended(ended) => {
                (work(&(ended.agent_id, ended.session_id, ended.attempt)), Expect::Absent)
            }
            VitalsWrite::Counted(key) => (work(key), Expect::At(Version::FIRST)),
            VitalsWrite::Vitals(put) => {
                (self.vitals.get(&put.value.agent_id).map(|found| found.version), put.expect)
            }
            VitalsWrite::Heard(_) => return Ok(()),
        };
        shared::next_version(found, expect).map(|_| ())
    }

    /// Makes a write true.
    pub(super) fn apply(&mut self, write: VitalsWrite) {
        match write {
            VitalsWrite::Ended(ended) => {
                let key = (ended.agent_id, ended.session_id, ended.attempt);
                self.ended.insert(key, Arc::new(ended));
            }
            VitalsWrite::Counted(key) => {
                self.ended.remove(&key);
            }
            VitalsWrite::Vitals(put) => {
                self.vitals.insert(put.value.agent_id, Arc::new(versioned(put)));
            }
            VitalsWrite::Heard(heartbeat) => {
                self.heartbeats.insert(heartbeat.agent_id, Arc::new(heartbeat));
            }
        }
    }

    /// Nothing is left of an agent.
    pub(super) fn forget(&mut self, agent: AgentId) {
        self.ended.retain(|(of, _, _), _| *of != agent);
        self.vitals.remove(&agent);
        self.heartbeats.remove(&agent);
    }

    /// Work that is not counted yet.
    pub(super) fn uncounted(&self) -> impl Iterator<Item = Ended> {
        self.ended.values().map(|ended| ended.as_ref().clone())
    }
}

#[async_trait]
impl VitalsReads for MemorySnapshot {
    async fn vitals(&self, agent: AgentId) -> Result<Option<Versioned<Vitals>>, StoreError> {
        Ok(owned(self.0.vitals.vitals.get(&agent)))
    }

    async fn all_vitals(&self) -> Result<Vec<Vitals>, StoreError> {
        Ok(self.0.vitals.vitals.values().map(|found| found.value.clone()).collect())
    }

    async fn heartbeat(&self, agent: AgentId) -> Result<Option<Heartbeat>, StoreError> {
        Ok(owned(self.0.vitals.heartbeats.get(&agent)))
    }

    async fn heartbeats(&self) -> Result<Vec<Heartbeat>, StoreError> {
        Ok(self.0.vitals.heartbeats.values().map(|found| found.as_ref().clone()).collect())
    }
}
