//! What is kept no longer: ended sessions are deleted, deleted ones and removed agents go for good; events, the oldest
//! part of the audit, copies of damaged records and browsers that were signed in are removed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{BATCH, Daily};
use crate::application::error::AppError;
use crate::application::ports::store::Outdated;
use crate::domain::agent::Agent;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::tenant::Tenant;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Sessions that are treated beside each other, so that their commits share a sync.
const AT_ONCE: usize = 16;
/// How long a browser that was signed in is listed after its end.
const ENDED_BROWSERS: Duration = Duration::from_hours(3 * 24);

/// What becomes of an old session.
enum Fate {
    /// It is deleted, and can still be looked up by who runs the server.
    Delete,
    /// It goes for good.
    Purge,
}

impl Daily {
    /// Deletes sessions that ended long ago, and purges what was deleted long ago.
    pub(super) async fn old_sessions(&self) -> Result<usize, AppError> {
        let tenants = self.store.fleet().await?.tenants().await?;
        let mut changed = 0;
        for Tenant { id, retention, .. } in tenants.into_iter().map(|found| found.value) {
            let (tenant, kept) = (id, self.kept.of(retention));
            let ended = self.before(kept.sessions);
            let deleted = self.before(kept.deleted_sessions);
            // What ended or was deleted before was made before that.
            let Some(made) = ended.max(deleted) else { continue };
            let mut after = None;
            loop {
                let fleet = self.store.fleet().await?;
                let page = fleet.sessions_made_before(tenant, made, after, BATCH).await?;
                drop(fleet);
                after = page.last().map(|found| found.value.id);
                let is_last = page.len() < BATCH;
                changed += self.treat(tenant, page, ended, deleted).await;
                if is_last {
                    break;
                }
            }
        }
        Ok(changed)
    }

    async fn treat(
        &self,
        tenant: TenantId,
        page: Vec<Versioned<Session>>,
        ended: Option<Timestamp>,
        deleted: Option<Timestamp>,
    ) -> usize {
        let due = page.into_iter().filter_map(|found| {
            let fate = fate(&found.value, ended, deleted)?;
            Some((found, fate))
        });
        let mut work = stream::iter(due)
            .map(|(found, fate)| async move {
                let id = found.value.id;
                (id, self.carry_out(tenant, found, fate).await)
            })
            .buffer_unordered(AT_ONCE);
        let mut changed = 0;
        while let Some((id, done)) = work.next().await {
            match done {
                Ok(()) => changed += 1,
                // Tomorrow it is due as before.
                Err(error) => note(id, &error),
            }
        }
        changed
    }

    async fn carry_out(
        &self,
        tenant: TenantId,
        found: Versioned<Session>,
        fate: Fate,
    ) -> Result<(), AppError> {
        match fate {
            Fate::Delete => self.sessions.delete_outdated(tenant, found.value.id).await,
            Fate::Purge => self.sessions.purge_outdated(tenant, &found).await,
        }
    }

    /// Removes old events of all tenants and of the server itself, then those that a tenant has gone
    /// earlier.
    pub(super) async fn old_events(&self) -> Result<usize, AppError> {
        let mut removed = match self.before(self.kept.events) {
            Some(before) => self.remove(Outdated::Events(before)).await?,
            None => 0,
        };
        let tenants = self.store.fleet().await?.tenants().await?;
        let own = tenants.into_iter().map(|found| found.value);
        for tenant in own.filter(|tenant| tenant.retention.events_days.is_some()) {
            let Some(before) = self.before(self.kept.of(tenant.retention).events) else { continue };
            removed += self.remove(Outdated::EventsOf(tenant.id, before)).await?;
        }
        Ok(removed)
    }

    /// Removes the oldest part of the audit of each tenant, as far as it is signed.
    pub(super) async fn old_audit(&self) -> Result<usize, AppError> {
        let Some(before) = self.before(self.kept.audit) else { return Ok(0) };
        let tenants = self.store.fleet().await?.tenants().await?;
        let mut removed = 0;
        for tenant in tenants.iter().map(|found| found.value.id) {
            loop {
                match self.audit.retire(tenant, before, BATCH).await? {
                    0 => break,
                    count => removed += count,
                }
            }
        }
        Ok(removed)
    }

    /// Removes old copies of damaged records.
    pub(super) async fn old_copies(&self) -> Result<usize, AppError> {
        let Some(before) = self.before(self.kept.set_aside) else { return Ok(0) };
        self.remove(Outdated::SetAside(before)).await
    }

    /// Removes browsers whose time ended some days ago; until then they can be looked up.
    pub(super) async fn old_browsers(&self) -> Result<usize, AppError> {
        let Some(before) = self.before(Some(ENDED_BROWSERS)) else { return Ok(0) };
        self.remove(Outdated::Browsers(before)).await
    }

    /// Agents that were removed long ago go for good, with their figures, their keys and their homes. The
    /// homes go first: while the record is there, whatever was cut off is done again.
    pub(super) async fn old_agents(&self) -> Result<usize, AppError> {
        let mut removed = 0;
        let tenants = self.store.fleet().await?.tenants().await?;
        let kept: BTreeMap<TenantId, Option<Timestamp>> = tenants
            .into_iter()
            .map(|found| found.value)
            .map(|own| (own.id, self.before(self.kept.of(own.retention).deleted_sessions)))
            .collect();
        let Some(newest) = kept.values().copied().flatten().max() else { return Ok(0) };
        let found = self.store.fleet().await?.agents_deleted_by(newest, usize::MAX).await?;
        for Agent { id, tenant_id, kind, deleted_at, .. } in found {
            let before = kept.get(&tenant_id).copied().flatten();
            if deleted_at.zip(before).is_none_or(|(at, before)| at > before) {
                continue;
            }
            let driver = self.agents.as_ref().and_then(|agents| agents.driver(kind));
            if let Some(driver) = driver
                && let Err(error) = driver.forget(tenant_id, id).await
            {
                tracing::warn!(agent.id = %id, %error, "What agent {id} left behind could not be removed; it is tried again");
                continue;
            }
            removed += self.store.remove_outdated(Outdated::Agent(tenant_id, id), 1).await?;
        }
        Ok(removed)
    }

    async fn remove(&self, what: Outdated) -> Result<usize, AppError> {
        let mut removed = 0;
        loop {
            let count = self.store.remove_outdated(what, BATCH).await?;
            removed += count;
            if count < BATCH {
                return Ok(removed);
            }
        }
    }
}

fn fate(session: &Session, ended: Option<Timestamp>, deleted: Option<Timestamp>) -> Option<Fate> {
    let is_before =
        |at: Timestamp, limit: Option<Timestamp>| limit.is_some_and(|limit| at <= limit);
    if let Some(at) = session.stamps.deleted_at {
        return is_before(at, deleted).then_some(Fate::Purge);
    }
    let at = session.stamps.ended_at.filter(|_| session.status().is_terminal())?;
    is_before(at, ended).then_some(Fate::Delete)
}

fn note(id: SessionId, error: &AppError) {
    tracing::warn!(session.id = %id, %error, "Session {id} is kept longer than it should be");
}
