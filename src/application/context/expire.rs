//! What time does to contexts: they expire, and what is important outlives its session.
//!
//! Invariant: a scan of stored state finds all that is due; doing it twice changes nothing more.

use super::share::of_lineage;
use super::told::{event, life};
use super::{ContextService, put, stands};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Write};
use crate::application::ports::contexts::{ContextQuery, ContextWrite, ContextsOf, OldContexts};
use crate::application::ports::reads::Snapshot;
use crate::domain::context::stamp::Author;
use crate::domain::context::{Birth, Context, ContextScope};
use crate::domain::event::EventType;
use crate::domain::ids::{ContextId, SessionId, TenantId};
use crate::domain::time::Timestamp;
use serde_json::json;

/// Rows that one look takes on.
const BATCH: usize = 200;
/// The part of the product that does this, as contexts and events call it.
const PART: &str = "context-expiry";

impl ContextService {
    /// Looks once at all that is due; how many contexts expired.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&self) -> Result<usize, AppError> {
        let fleet = self.store.fleet().await?;
        let ended = fleet.ended_owners(BATCH).await?;
        let merges = fleet.old_merges(self.clock.now(), BATCH).await?;
        let tenants = fleet.tenants().await?;
        drop(fleet);
        for (tenant, session) in ended {
            self.settle_end(tenant, session).await?;
        }
        for (tenant, id) in merges {
            let gone = Write::Context(ContextWrite::DropMerge(id));
            self.tried(ChangeSet::new(tenant).write(gone)).await?;
        }
        let mut expired = 0;
        for tenant in tenants {
            for scope in ContextScope::ALL {
                expired += self.expire(tenant.value.id, *scope).await?;
            }
        }
        Ok(expired)
    }

    /// What is important in an ended session becomes known to its tenant.
    async fn settle_end(&self, tenant: TenantId, session: SessionId) -> Result<(), AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        let found = snapshot.session(session).await?;
        // It goes on: its next end is noted again.
        let goes_on = found.is_some_and(|found| found.value.status().is_open());
        let mut after = None;
        loop {
            if goes_on {
                break;
            }
            let of = ContextsOf::Session(session);
            let query = ContextQuery { of, scope: None, after, limit: 8 };
            let page = snapshot.contexts(query).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.value.id);
            for found in page.iter().filter(|found| found.value.is_important()) {
                self.promote_at_end(&*snapshot, &found.value).await?;
            }
        }
        drop(snapshot);
        let done = Write::Context(ContextWrite::OwnerDone(session));
        self.tried(ChangeSet::new(tenant).write(done)).await?;
        Ok(())
    }

    /// Promotes unless the tenant knows all of it already.
    async fn promote_at_end(
        &self,
        snapshot: &dyn Snapshot,
        context: &Context,
    ) -> Result<(), AppError> {
        let knows = |global: &Context| {
            global.lineage_id == context.lineage_id && global.vector.covers(&context.vector)
        };
        if of_lineage(snapshot, ContextsOf::Global, knows).await?.is_some() {
            return Ok(());
        }
        let (author, at) = (Author::system(PART), self.clock.now());
        let birth = Birth { id: ContextId::new(self.ids.uuid()), by: &author, at };
        let Ok(copy) = context.promoted(birth) else { return Ok(()) };
        let told = json!({ "global_context_id": copy.id });
        let set = ChangeSet::new(context.tenant_id)
            .events([
                event(EventType::ContextPromoted, context.id, at, told),
                life(EventType::ContextCreated, &copy, at),
            ])
            .write(put(Expect::Absent, copy));
        self.tried(set).await.map(|_| ())
    }

    /// Lets the contexts of one scope go whose time is over.
    async fn expire(&self, tenant: TenantId, scope: ContextScope) -> Result<usize, AppError> {
        let Some(kept) = self.lifetimes.of(scope) else { return Ok(0) };
        let now = self.clock.now();
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let until = Timestamp::from_millis(now.millis().saturating_sub(kept));
        let (mut expired, mut after) = (0, None);
        loop {
            let asked = OldContexts { tenant, scope, until, after, limit: BATCH };
            let old = self.store.fleet().await?.old_contexts(asked).await?;
            let Some(last) = old.last() else { return Ok(expired) };
            after = Some(*last);
            for (_, id) in old {
                expired += usize::from(self.expire_one(tenant, id, now).await?);
            }
        }
    }

    async fn expire_one(
        &self,
        tenant: TenantId,
        id: ContextId,
        now: Timestamp,
    ) -> Result<bool, AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        let found = match snapshot.context(id).await {
            Ok(Some(found)) => found,
            // Somebody deleted it, or nobody can read it any more.
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::debug!(%error, "Context {id} could not be looked at");
                return Ok(false);
            }
        };
        let owner = stands(&*snapshot, &found.value).await?;
        drop(snapshot);
        let end = found.value.expires_at(&self.lifetimes, owner);
        if end.is_none_or(|end| end > now) {
            return Ok(false);
        }
        let set = ChangeSet::new(tenant)
            .write(Write::Context(ContextWrite::Drop(found.version, id)))
            .events([life(EventType::ContextExpired, &found.value, now)]);
        self.tried(set).await
    }
}
