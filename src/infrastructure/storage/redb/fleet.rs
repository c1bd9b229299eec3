//! All tenants at one moment, stepped through tenant by tenant.

use std::sync::Arc;

use async_trait::async_trait;

use super::contexts;
use super::counters;
use super::family;
use super::handle::{Reader, blocking};
use super::keys::{self, Span};
use super::retention;
use super::rows::{Direction, Rows, View, decode, flow};
use super::tables::Table;
use super::tasks;
use super::webhooks;
use crate::application::ports::changes::Counter;
use crate::application::ports::contexts::OldContexts;
use crate::application::ports::reads::{ClassUsage, Fleet, OwedChildren, Recount};
use crate::application::ports::store::StoreError;
use crate::domain::agent::Agent;
use crate::domain::agent::vitals::Ended;
use crate::domain::ids::{AttentionId, ContextId, SessionId, TenantId, UserId, WebhookId};
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::ApiKey;
use crate::domain::tenant::user::User;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::infrastructure::storage::shared::first_session_at;

/// The fleet of the embedded store.
pub(super) struct RedbFleet {
    reader: Arc<Reader>,
}

impl RedbFleet {
    pub(super) const fn new(reader: Arc<Reader>) -> Self {
        Self { reader }
    }

    /// Ids that are due, tenant by tenant.
    async fn due(
        &self,
        table: Table,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, [u8; 16])>, StoreError> {
        blocking(Arc::clone(&self.reader), move |view| {
            let mut found = Vec::new();
            each_tenant(view, table, &mut |tenant| {
                let room = limit - found.len();
                for key in view.keys(table, &keys::due_until(tenant, now), room)? {
                    found.extend(keys::tail_id(&key).map(|id| (tenant, id)));
                }
                Ok(found.len() < limit)
            })?;
            Ok(found)
        })
        .await
    }
}

/// Visits every tenant that has a row in the table, until told to stop.
fn each_tenant(
    view: &View<'_>,
    table: Table,
    visit: &mut dyn FnMut(TenantId) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut rest = Some(keys::everything());
    while let Some(span) = rest {
        let Some(tenant) = first_tenant(view, table, &span)? else { return Ok(()) };
        if !visit(tenant)? {
            return Ok(());
        }
        rest = keys::behind_tenant(tenant);
    }
    Ok(())
}

fn first_tenant(
    view: &View<'_>,
    table: Table,
    span: &Span,
) -> Result<Option<TenantId>, StoreError> {
    let mut found = None;
    view.scan(table, span, Direction::Up, &mut |key, _| {
        found = keys::tenant_of(key);
        Ok(flow(false))
    })?;
    Ok(found)
}

#[async_trait]
impl Fleet for RedbFleet {
    async fn tenants(&self) -> Result<Vec<Versioned<Tenant>>, StoreError> {
        blocking(Arc::clone(&self.reader), |view| {
            view.records(Table::Tenants, &keys::everything(), usize::MAX)
        })
        .await
    }

    async fn counter(&self, tenant: TenantId, counter: Counter) -> Result<i64, StoreError> {
        counters::read(&self.reader, tenant, counter).await
    }

    async fn api_key(&self, hash: [u8; 32]) -> Result<Option<Versioned<ApiKey>>, StoreError> {
        self.reader.read(|view| {
            let found = view.keys(Table::ApiKeysBySecret, &keys::api_keys_by_secret(&hash), 1)?;
            let Some((tenant, id)) = found.first().and_then(|key| keys::holder(key)) else {
                return Ok(None);
            };
            view.record(Table::ApiKeys, &keys::api_key(tenant, id))
        })
    }

    async fn user(
        &self,
        tenant: TenantId,
        id: UserId,
    ) -> Result<Option<Versioned<User>>, StoreError> {
        self.reader.read(|view| view.record(Table::Users, &keys::user(tenant, id)))
    }

    async fn has_api_keys(&self) -> Result<bool, StoreError> {
        self.reader.read(|view| Ok(!view.keys(Table::ApiKeys, &keys::everything(), 1)?.is_empty()))
    }

    async fn sessions_in(
        &self,
        statuses: &[SessionStatus],
    ) -> Result<Vec<Versioned<Session>>, StoreError> {
        let mut statuses = statuses.to_vec();
        statuses.sort_unstable();
        statuses.dedup();
        blocking(Arc::clone(&self.reader), move |view| {
            let mut found = Vec::new();
            each_tenant(view, Table::SessionsByStatus, &mut |tenant| {
                let mut ids: Vec<SessionId> = Vec::new();
                for status in &statuses {
                    let span = keys::in_status(tenant, *status);
                    let keys = view.keys(Table::SessionsByStatus, &span, usize::MAX)?;
                    ids.extend(
                        keys.iter().filter_map(|key| keys::tail_id(key)).map(SessionId::from_bytes),
                    );
                }
                ids.sort_unstable();
                for id in ids {
                    let key = keys::session(tenant, id);
                    match view.record::<Versioned<Session>>(Table::Sessions, &key) {
                        Ok(session) => found.extend(
                            session.filter(|found| statuses.contains(&found.value.status())),
                        ),
                        Err(StoreError::Quarantined) => {}
                        Err(other) => return Err(other),
                    }
                }
                Ok(true)
            })?;
            Ok(found)
        })
        .await
    }

    async fn due_sessions(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, SessionId)>, StoreError> {
        let due = self.due(Table::DueSessions, now, limit).await?;
        Ok(due.into_iter().map(|(tenant, id)| (tenant, SessionId::from_bytes(id))).collect())
    }

    async fn owed_children(&self, limit: usize) -> Result<Vec<OwedChildren>, StoreError> {
        blocking(Arc::clone(&self.reader), move |view| {
            let mut found = Vec::new();
            each_tenant(view, Table::OwedChildren, &mut |tenant| {
                found.extend(family::owed(view, tenant, limit - found.len())?);
                Ok(found.len() < limit)
            })?;
            Ok(found)
        })
        .await
    }

    async fn uncounted(&self, limit: usize) -> Result<Vec<(TenantId, Ended)>, StoreError> {
        blocking(Arc::clone(&self.reader), move |view| {
            let mut found = Vec::new();
            each_tenant(view, Table::EndedWork, &mut |tenant| {
                let span = keys::all_ended_work(tenant);
                let own = view.records(Table::EndedWork, &span, limit - found.len())?;
                found.extend(own.into_iter().map(|ended| (tenant, ended)));
                Ok(found.len() < limit)
            })?;
            Ok(found)
        })
        .await
    }

    async fn agents_deleted_by(
        &self,
        then: Timestamp,
        limit: usize,
    ) -> Result<Vec<Agent>, StoreError> {
        blocking(Arc::clone(&self.reader), move |view| {
            let (mut found, everything) = (Vec::new(), keys::everything());
            view.scan(Table::Agents, &everything, Direction::Up, &mut |key, bytes| {
                match decode::<Versioned<Agent>>(view.shared(), Table::Agents, key, bytes) {
                    Ok(agent) if agent.value.deleted_at.is_some_and(|at| at <= then) => {
                        found.push(agent.value);
                    }
                    Ok(_) | Err(StoreError::Quarantined) => {}
                    Err(other) => return Err(other),
                }
                Ok(flow(found.len() < limit))
            })?;
            Ok(found)
        })
        .await
    }

    async fn due_attention(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, AttentionId)>, StoreError> {
        let due = self.due(Table::AttentionDue, now, limit).await?;
        Ok(due.into_iter().map(|(tenant, id)| (tenant, AttentionId::from_bytes(id))).collect())
    }

    async fn sessions_made_before(
        &self,
        tenant: TenantId,
        before: Timestamp,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Session>>, StoreError> {
        let span = keys::sessions_before(tenant, first_session_at(before), after);
        blocking(Arc::clone(&self.reader), move |view| view.records(Table::Sessions, &span, limit))
            .await
    }

    async fn recount(
        &self,
        tenant: TenantId,
        counter: Counter,
    ) -> Result<Option<Recount>, StoreError> {
        blocking(Arc::clone(&self.reader), move |view| counters::recount(view, tenant, counter))
            .await
    }

    async fn usage(&self) -> Result<Vec<ClassUsage>, StoreError> {
        blocking(Arc::clone(&self.reader), retention::usage).await
    }

    async fn old_contexts(
        &self,
        asked: OldContexts,
    ) -> Result<Vec<(Timestamp, ContextId)>, StoreError> {
        blocking(Arc::clone(&self.reader), move |view| contexts::old(view, asked)).await
    }

    async fn old_merges(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, ContextId)>, StoreError> {
        let found = move |view: &View<'_>| contexts::old_merges(view, now, limit);
        blocking(Arc::clone(&self.reader), found).await
    }

    async fn task_runs(&self) -> Result<Vec<(TenantId, SessionId)>, StoreError> {
        blocking(Arc::clone(&self.reader), tasks::runs).await
    }

    async fn ended_owners(&self, limit: usize) -> Result<Vec<(TenantId, SessionId)>, StoreError> {
        blocking(Arc::clone(&self.reader), move |view| contexts::ended(view, limit)).await
    }

    async fn webhooks(&self) -> Result<Vec<(TenantId, WebhookId)>, StoreError> {
        blocking(Arc::clone(&self.reader), webhooks::everyone).await
    }
}
