//! All tenants, waited for.

use async_trait::async_trait;
use orchestrator::application::ports::changes::Counter;
use orchestrator::application::ports::contexts::OldContexts;
use orchestrator::application::ports::reads::{ClassUsage, Fleet, OwedChildren, Recount};
use orchestrator::domain::agent::Agent;
use orchestrator::domain::agent::vitals::Ended;
use orchestrator::domain::ids::{AttentionId, ContextId, SessionId, TenantId, UserId, WebhookId};
use orchestrator::domain::session::Session;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::key::ApiKey;
use orchestrator::domain::tenant::user::User;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::version::Versioned;

use super::{Read, Reads};

pub(super) struct Seen(pub(super) Box<dyn Fleet>, pub(super) Reads);

#[async_trait]
impl Fleet for Seen {
    async fn tenants(&self) -> Read<Vec<Versioned<Tenant>>> {
        self.1.read(self.0.tenants())
    }

    async fn counter(&self, tenant: TenantId, counter: Counter) -> Read<i64> {
        self.1.read(self.0.counter(tenant, counter))
    }

    async fn api_key(&self, hash: [u8; 32]) -> Read<Option<Versioned<ApiKey>>> {
        self.1.read(self.0.api_key(hash))
    }

    async fn user(&self, tenant: TenantId, id: UserId) -> Read<Option<Versioned<User>>> {
        self.1.read(self.0.user(tenant, id))
    }

    async fn has_api_keys(&self) -> Read<bool> {
        self.1.read(self.0.has_api_keys())
    }

    async fn sessions_in(&self, statuses: &[SessionStatus]) -> Read<Vec<Versioned<Session>>> {
        self.1.read(self.0.sessions_in(statuses))
    }

    async fn sessions_made_before(
        &self,
        tenant: TenantId,
        before: Timestamp,
        after: Option<SessionId>,
        limit: usize,
    ) -> Read<Vec<Versioned<Session>>> {
        self.1.read(self.0.sessions_made_before(tenant, before, after, limit))
    }

    async fn recount(&self, tenant: TenantId, counter: Counter) -> Read<Option<Recount>> {
        self.1.read(self.0.recount(tenant, counter))
    }

    async fn usage(&self) -> Read<Vec<ClassUsage>> {
        self.1.read(self.0.usage())
    }

    async fn due_sessions(&self, now: Timestamp, limit: usize) -> Read<Vec<(TenantId, SessionId)>> {
        self.1.read(self.0.due_sessions(now, limit))
    }

    async fn owed_children(&self, limit: usize) -> Read<Vec<OwedChildren>> {
        self.1.read(self.0.owed_children(limit))
    }

    async fn uncounted(&self, limit: usize) -> Read<Vec<(TenantId, Ended)>> {
        self.1.read(self.0.uncounted(limit))
    }

    async fn agents_deleted_by(&self, then: Timestamp, limit: usize) -> Read<Vec<Agent>> {
        self.1.read(self.0.agents_deleted_by(then, limit))
    }

    async fn due_attention(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Read<Vec<(TenantId, AttentionId)>> {
        self.1.read(self.0.due_attention(now, limit))
    }

    async fn old_contexts(&self, asked: OldContexts) -> Read<Vec<(Timestamp, ContextId)>> {
        self.1.read(self.0.old_contexts(asked))
    }

    async fn old_merges(&self, now: Timestamp, limit: usize) -> Read<Vec<(TenantId, ContextId)>> {
        self.1.read(self.0.old_merges(now, limit))
    }

    async fn ended_owners(&self, limit: usize) -> Read<Vec<(TenantId, SessionId)>> {
        self.1.read(self.0.ended_owners(limit))
    }

    async fn task_runs(&self) -> Read<Vec<(TenantId, SessionId)>> {
        self.1.read(self.0.task_runs())
    }

    async fn webhooks(&self) -> Read<Vec<(TenantId, WebhookId)>> {
        self.1.read(self.0.webhooks())
    }
}
