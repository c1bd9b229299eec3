//! What an agent may do from inside the session that it works on: the use cases behind the tools that it is
//! given.
//!
//! Invariant: whoever is inside is so for one session and one attempt, while that holds its lease; it reaches
//! its own session and those below it, and nothing else of the tenant but what agents may read.

mod ask;
mod door;

use std::sync::Arc;
use std::time::Duration;

use super::attention::AttentionService;
use super::context::AgentCaller;
use super::error::AppError;
use super::locks::Asker;
use super::ports::store::Store;
use super::principal::{Principal, RequestContext};
use super::session::SessionService;
use super::session::report::Holder;
use super::session::spawn::Spawn;
use crate::domain::ids::{AgentId, KeyId, SessionId, TenantId};
use crate::domain::lock::Owner;
use crate::domain::session::{Phase, Session};
use crate::domain::tenant::key::Role;
use crate::domain::tenant::network::Reach;
use crate::domain::tenant::scope::Scopes;
use crate::domain::version::Versioned;

pub use self::ask::{Answered, Question};
pub use self::door::{Door, is_inside};

/// An agent at work, as its session-scoped token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insider {
    /// Whose data.
    pub tenant: TenantId,
    /// The session that it works on.
    pub session: SessionId,
    /// What people call the session.
    pub code: String,
    /// Number of the attempt.
    pub attempt: u32,
    /// Who works.
    pub agent: AgentId,
    /// What people call it.
    pub agent_name: String,
    /// The right to work on it.
    pub fencing_token: u64,
}

impl Insider {
    /// As the holder of its lease.
    #[must_use]
    pub const fn holder(&self) -> Holder {
        Holder { tenant: self.tenant, session: self.session, fencing_token: self.fencing_token }
    }

    /// As one who writes contexts.
    #[must_use]
    pub fn author(&self) -> AgentCaller {
        AgentCaller {
            tenant: self.tenant,
            agent_id: self.agent,
            agent_name: self.agent_name.clone(),
            session_id: self.session,
        }
    }

    /// As one who holds locks, which end with the session's attempt.
    #[must_use]
    pub fn asker(&self) -> Asker {
        let name = self.name();
        Asker { tenant: self.tenant, owner: Owner::Session(self.session), name }
    }

    /// What it is called in events and in the audit.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} in {}", self.agent_name, self.code)
    }

    /// As a caller with the rights of a member.
    #[must_use]
    pub fn context(&self, request_id: &str) -> RequestContext {
        let principal = Principal {
            key: KeyId::new(self.agent.uuid()),
            credential: None,
            user: None,
            agent: Some(self.agent),
            home: Some(self.tenant),
            name: self.name(),
            role: Role::Member,
            scopes: Scopes::all(),
            is_system: false,
            reach: Reach::default(),
        };
        let request_id = request_id.to_owned();
        RequestContext { tenant: self.tenant, principal, request_id, if_match: None, repeat: None }
    }
}

/// The use cases of agents at work.
#[derive(Clone)]
pub struct InsideService {
    store: Arc<dyn Store>,
    sessions: SessionService,
    attention: AttentionService,
    door: Door,
    /// An unanswered question gets its default after this.
    question_timeout: Duration,
}

impl InsideService {
    /// Use cases for whoever comes through this door.
    #[must_use]
    pub const fn new(
        store: Arc<dyn Store>,
        sessions: SessionService,
        attention: AttentionService,
        door: Door,
        question_timeout: Duration,
    ) -> Self {
        Self { store, sessions, attention, door, question_timeout }
    }

    /// Whoever shows this token, while its attempt holds the lease.
    ///
    /// # Errors
    /// The store's.
    pub async fn recognise(&self, token: &str) -> Result<Option<Insider>, AppError> {
        let Some((tenant, session, attempt)) = self.door.opens_for(token) else { return Ok(None) };
        let found = self.store.snapshot(tenant).await?.session(session).await?;
        let Some(Versioned { value: session, .. }) = found else { return Ok(None) };
        let lease = session
            .run
            .lease
            .as_ref()
            .filter(|lease| session.run.attempt == attempt && lease.released_at.is_none());
        Ok(lease.map(|lease| Insider {
            tenant,
            session: session.id,
            code: session.code.to_string(),
            attempt,
            agent: lease.agent_id,
            agent_name: lease.agent_name.clone(),
            fencing_token: lease.fencing_token,
        }))
    }

    /// Its own session, or one below it.
    ///
    /// # Errors
    /// `SessionNotFound`, for those of others, too.
    pub async fn look(
        &self,
        who: &Insider,
        reference: Option<&str>,
    ) -> Result<Versioned<Session>, AppError> {
        let wanted = match reference {
            Some(reference) => self.sessions.find(who.tenant, reference).await?,
            None => who.session,
        };
        let snapshot = self.store.snapshot(who.tenant).await?;
        let found = snapshot.session(wanted).await?.ok_or(AppError::SessionNotFound)?;
        let mut above = found.value.lineage.parent_id;
        let mut is_own = wanted == who.session;
        while let Some(id) = above.filter(|_| !is_own) {
            is_own = id == who.session;
            above = snapshot.session(id).await?.and_then(|one| one.value.lineage.parent_id);
        }
        if is_own { Ok(found) } else { Err(AppError::SessionNotFound) }
    }

    /// Makes a child of its session, within what is left to it.
    ///
    /// # Errors
    /// Those of `SessionService::spawn`.
    pub async fn spawn(
        &self,
        who: &Insider,
        request_id: &str,
        wanted: Spawn,
    ) -> Result<Versioned<Session>, AppError> {
        self.sessions.spawn(&who.context(request_id), who.session, wanted).await
    }

    /// It says what it is doing.
    ///
    /// # Errors
    /// `StaleResult` when its lease ended.
    pub async fn phase(&self, who: &Insider, phase: Phase) -> Result<(), AppError> {
        self.sessions.phase(who.holder(), phase).await
    }
}
