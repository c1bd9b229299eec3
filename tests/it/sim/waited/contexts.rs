//! Contexts, waited for.

use std::collections::BTreeMap;

use async_trait::async_trait;
use orchestrator::application::ports::contexts::{ContextQuery, ContextReads};
use orchestrator::domain::context::Context;
use orchestrator::domain::context::merge::PendingMerge;
use orchestrator::domain::context::write::Group;
use orchestrator::domain::ids::{ContextId, SessionId};
use orchestrator::domain::version::Versioned;

use super::{Read, Shown};

#[async_trait]
impl ContextReads for Shown {
    async fn context(&self, id: ContextId) -> Read<Option<Versioned<Context>>> {
        self.1.read(self.0.context(id))
    }

    async fn contexts(&self, query: ContextQuery) -> Read<Vec<Versioned<Context>>> {
        self.1.read(self.0.contexts(query))
    }

    async fn context_versions(
        &self,
        session: SessionId,
        limit: usize,
    ) -> Read<BTreeMap<ContextId, u64>> {
        self.1.read(self.0.context_versions(session, limit))
    }

    async fn context_groups(
        &self,
        id: ContextId,
        between: (u64, u64),
        limit: usize,
    ) -> Read<Vec<Group>> {
        self.1.read(self.0.context_groups(id, between, limit))
    }

    async fn pending_merge(&self, id: ContextId) -> Read<Option<PendingMerge>> {
        self.1.read(self.0.pending_merge(id))
    }
}
