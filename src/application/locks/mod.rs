//! Use cases of locks: who may take which, for how long, and for which session.
//!
//! Invariant: rights and references are settled here; who is served when is the domain's to say.

pub mod local;
mod recorder;
pub mod restart;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod told;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::error::AppError;
use super::ports::changes::ChangeSet;
use super::ports::clock::{Clock, Ids};
use super::ports::locks::{LockService, Overview};
use super::principal::RequestContext;
use super::session::SessionService;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::ids::{LockId, SessionId, TenantId};
use crate::domain::lock::{Ask, Grant, LockMode, LockName, Look, Owner, Renewal};
use crate::domain::session::Session;

/// What somebody wants to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// All of them or none; in any order, each once.
    pub names: Vec<LockName>,
    /// Who else may hold them.
    pub mode: LockMode,
    /// How long the grant lasts.
    pub ttl: Duration,
    /// How long to wait; zero tries once.
    pub wait: Duration,
    /// Higher ones come first.
    pub priority: u8,
    /// What people call the owner; the name of the principal when nothing is said.
    pub label: Option<String>,
    /// Id or code of the session that they end with.
    pub session: Option<String>,
    /// For people and programs.
    pub metadata: Map<String, Value>,
}

/// Who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Whose locks.
    pub tenant: TenantId,
    /// The principal.
    pub owner: Owner,
    /// What people call it.
    pub name: String,
}

impl From<&RequestContext> for Asker {
    fn from(ctx: &RequestContext) -> Self {
        let owner = match ctx.principal.agent {
            Some(agent) => Owner::Agent(agent),
            None => Owner::Key(ctx.principal.key),
        };
        Self { tenant: ctx.tenant, owner, name: ctx.actor_name().to_owned() }
    }
}

/// The use cases of locks.
#[derive(Clone)]
pub struct LockDesk {
    locks: Arc<dyn LockService>,
    sessions: SessionService,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl LockDesk {
    /// Over these locks, for these sessions.
    #[must_use]
    pub const fn new(
        locks: Arc<dyn LockService>,
        sessions: SessionService,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { locks, sessions, clock, ids }
    }

    /// Waits for all names, or for none of them. Dropping the future gives up the place in the queues.
    ///
    /// # Errors
    /// `Lock` when it is refused, `SessionNotFound`, `NotNow` for a session that has ended.
    pub async fn acquire(&self, asker: &Asker, wanted: Wanted) -> Result<Vec<Grant>, AppError> {
        let Wanted { names, mode, ttl, wait, priority, label, session, metadata } = wanted;
        let session = match (session, asker.owner) {
            (Some(reference), _) => Some(self.open_session(asker.tenant, &reference).await?),
            (None, Owner::Session(id)) => Some(id),
            (None, Owner::Key(_) | Owner::Agent(_)) => None,
        };
        let mut names: Vec<(LockName, LockId)> =
            names.into_iter().map(|name| (name, LockId::new(self.ids.uuid()))).collect();
        names.sort_unstable();
        names.dedup_by(|one, other| one.0 == other.0);
        let label = label.unwrap_or_else(|| asker.name.clone()).into();
        let (owner, metadata) = (asker.owner, Arc::new(metadata));
        let ask = Ask { names, mode, owner, label, session, ttl, wait, priority, metadata };
        let grants = self.locks.acquire(asker.tenant, ask).await?;
        if let Some(session) = session
            && let Err(error) = self.still_open(asker.tenant, session).await
        {
            // It ended while the request waited: nobody would give the locks back.
            self.give_back(asker, &grants).await;
            return Err(error);
        }
        Ok(grants)
    }

    /// Gives back what was just granted, as far as it lasts.
    pub async fn give_back(&self, asker: &Asker, grants: &[Grant]) {
        for grant in grants {
            let released =
                self.locks.release(asker.tenant, &grant.name, grant.lock_id, asker.owner).await;
            if let Err(error) = released {
                tracing::debug!(%error, "A lock could not be given back");
            }
        }
    }

    async fn open_session(&self, tenant: TenantId, reference: &str) -> Result<SessionId, AppError> {
        let id = self.sessions.find(tenant, reference).await?;
        self.still_open(tenant, id).await?;
        Ok(id)
    }

    async fn still_open(&self, tenant: TenantId, id: SessionId) -> Result<(), AppError> {
        let found = self.sessions.snapshot(tenant).await?.session(id).await?;
        let session: Session = found.ok_or(AppError::SessionNotFound)?.value;
        if session.stamps.deleted_at.is_some() {
            return Err(AppError::SessionNotFound);
        }
        let status = session.status();
        if status.is_terminal() {
            let what = "locks end with their session, and this one has ended";
            return Err(AppError::NotNow { code: session.code.to_string(), status, what });
        }
        Ok(())
    }

    /// Lets a hold last from now on.
    ///
    /// # Errors
    /// `Lock` with `NotOwned`, `Lost` or `Stale`.
    pub async fn renew(
        &self,
        asker: &Asker,
        (name, lock_id): (LockName, LockId),
        ttl: Option<Duration>,
        fencing_token: Option<u64>,
    ) -> Result<Grant, AppError> {
        let renewal = Renewal { name, lock_id, owner: asker.owner, ttl, fencing_token };
        self.locks.renew(asker.tenant, &renewal).await
    }

    /// Gives one hold back; `Some` with what is left of it.
    ///
    /// # Errors
    /// `Lock` with `NotOwned`.
    pub async fn release(
        &self,
        asker: &Asker,
        name: &LockName,
        lock_id: LockId,
    ) -> Result<Option<Grant>, AppError> {
        self.locks.release(asker.tenant, name, lock_id, asker.owner).await
    }

    /// Takes a name from whoever holds it; that is put on record first.
    ///
    /// # Errors
    /// `LockNotFound` when nobody holds it; the store's.
    pub async fn force_release(
        &self,
        ctx: &RequestContext,
        name: &LockName,
        reason: &str,
    ) -> Result<Vec<Grant>, AppError> {
        let look = self.get(ctx.tenant, name).await?;
        let Some(first) = look.holds.first() else { return Err(AppError::LockNotFound) };
        let holders: Vec<Value> =
            look.holds.iter().map(|hold| told::owner(hold.owner, &hold.label)).collect();
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: ctx.actor(),
            action: "force_release".to_owned(),
            subject: Subject { kind: SubjectKind::Lock, id: first.lock_id.uuid() },
            ok: true,
            reason: Some(reason.to_owned()),
            before: Some(json!({ "name": name.as_str(), "holders": holders })),
            after: None,
            request_id: Some(ctx.request_id.clone()),
        };
        let set = ChangeSet::new(ctx.tenant).audit(Some(entry));
        self.sessions.store.commit(set).await?;
        self.locks.force_release(ctx.tenant, name).await
    }

    /// One name as it stands.
    ///
    /// # Errors
    /// `LockNotFound` when nobody holds it or waits for it.
    pub async fn get(&self, tenant: TenantId, name: &LockName) -> Result<Look, AppError> {
        self.locks.look(tenant, name).await?.ok_or(AppError::LockNotFound)
    }

    /// All names in byte order, those after `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        tenant: TenantId,
        after: Option<&LockName>,
        limit: usize,
    ) -> Result<Overview, AppError> {
        self.locks.overview(tenant, after, limit).await
    }

    /// Refuses a write that names a token of a lock which is not held any more.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn check_token(&self, tenant: TenantId, token: u64) -> Result<(), AppError> {
        let is_current = self.locks.is_current(tenant, token).await?;
        if is_current { Ok(()) } else { Err(AppError::StaleResult) }
    }
}
