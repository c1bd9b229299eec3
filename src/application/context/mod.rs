//! Use cases of contexts: making, writing, merging and passing on what sessions, tasks and agents
//! remember.
//!
//! Invariant: a write is checked against what it is based on in the commit that makes it true, so that
//! no update is lost. Agents reach what belongs to their session and to themselves, and read what is the
//! tenant's.

mod create;
pub mod error;
mod expire;
mod merge;
mod query;
mod share;
mod told;
mod write;

use std::sync::Arc;

use self::error::ContextError;
use super::error::AppError;
use super::ports::changes::{ChangeSet, Expect, Guard, Put, Write};
use super::ports::clock::{Clock, Ids};
use super::ports::contexts::ContextWrite;
use super::ports::reads::Snapshot;
use super::ports::store::{CommitError, Store};
use super::principal::{RequestContext, Subject};
use super::session::limits::{bounds_in, has_room, to_store};
use crate::domain::context::merge::PendingMerge;
use crate::domain::context::stamp::{Author, AuthorKind};
use crate::domain::context::write::Group;
use crate::domain::context::{Context, ContextScope, Lifetimes, OwnerStands, Unfit};
use crate::domain::ids::{AgentId, ContextId, SessionId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

pub use self::merge::MergeAnswer;
pub use self::query::{Changed, Compared, ContextPage, HistoryPage, KeyView, Past, Place, Summary};
pub use self::write::Wanted;

/// An agent that works on a session, as its token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCaller {
    /// Whose data.
    pub tenant: TenantId,
    /// Which agent.
    pub agent_id: AgentId,
    /// What it is called.
    pub agent_name: String,
    /// The session of the running attempt.
    pub session_id: SessionId,
}

/// Who uses contexts.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// A caller of the API; audited.
    Caller(&'a RequestContext),
    /// An agent at work; what it writes is marked as not trusted.
    Agent(&'a AgentCaller),
}

impl By<'_> {
    /// Whose data.
    #[must_use]
    pub const fn tenant(self) -> TenantId {
        match self {
            Self::Caller(ctx) => ctx.tenant,
            Self::Agent(agent) => agent.tenant,
        }
    }

    /// Who it is, as contexts keep it.
    #[must_use]
    pub fn author(self) -> Author {
        match self {
            Self::Caller(ctx) => {
                let (kind, principal) = match ctx.principal.user {
                    Some(user) => (AuthorKind::Person, user.uuid()),
                    None => (AuthorKind::Key, ctx.principal.key.uuid()),
                };
                let name = ctx.actor_name().to_owned();
                Author { kind, principal, name, session_id: None, agent_id: None }
            }
            Self::Agent(agent) => Author {
                kind: AuthorKind::Agent,
                principal: agent.agent_id.uuid(),
                name: agent.agent_name.clone(),
                session_id: Some(agent.session_id),
                agent_id: Some(agent.agent_id),
            },
        }
    }

    /// Whether a context belongs to whoever asks.
    fn owns(self, context: &Context) -> bool {
        match self {
            Self::Caller(_) => true,
            Self::Agent(agent) => {
                context.session_id == Some(agent.session_id)
                    || context.agent_id == Some(agent.agent_id)
            }
        }
    }

    fn denied(self, required: &'static str) -> AppError {
        AppError::Context(ContextError::AccessDenied {
            accessor: self.author().principal,
            required,
        })
    }

    fn may_read(self, context: &Context) -> Result<(), AppError> {
        let may = self.owns(context) || context.scope == ContextScope::Global;
        if may { Ok(()) } else { Err(self.denied("read")) }
    }

    fn may_write(self, context: &Context) -> Result<(), AppError> {
        if self.owns(context) { Ok(()) } else { Err(self.denied("write")) }
    }

    /// Refuses a change that is based on an older reading.
    fn same_version(self, version: Version) -> Result<(), AppError> {
        let if_match = match self {
            Self::Caller(ctx) => ctx.if_match,
            Self::Agent(_) => None,
        };
        match if_match {
            Some(expected) if expected != version.get() => {
                Err(AppError::VersionMismatch { expected, actual: version.get() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A context as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextView {
    /// The context.
    pub context: Versioned<Context>,
    /// When it goes, unless it is written before.
    pub expires_at: Option<Timestamp>,
    /// The version that the write which is answered was based on, when that was an older one.
    pub rebased_from: Option<u64>,
    /// Whether it was made just now.
    pub made: bool,
}

/// The use cases of contexts.
#[derive(Clone)]
pub struct ContextService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    lifetimes: Lifetimes,
}

impl ContextService {
    /// Use cases over these ports.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, clock, ids, lifetimes: Lifetimes::default() }
    }

    /// The same, where contexts are kept for other times.
    #[must_use]
    pub fn keeping(self, lifetimes: Lifetimes) -> Self {
        Self { lifetimes, ..self }
    }

    /// A context as it is shown, with when it goes.
    async fn shown(
        &self,
        snapshot: &dyn Snapshot,
        context: Versioned<Context>,
    ) -> Result<ContextView, AppError> {
        let owner = stands(snapshot, &context.value).await?;
        let expires_at = context.value.expires_at(&self.lifetimes, owner);
        Ok(ContextView { context, expires_at, rebased_from: None, made: false })
    }

    /// The same of one that is about to be stored for the first time.
    async fn fresh(
        &self,
        snapshot: &dyn Snapshot,
        value: Context,
    ) -> Result<ContextView, AppError> {
        let context = Versioned { version: Version::FIRST, value };
        Ok(ContextView { made: true, ..self.shown(snapshot, context).await? })
    }

    /// What is asked of a write that adds to what the tenant stores.
    async fn room(&self, snapshot: &dyn Snapshot) -> Result<Option<Guard>, AppError> {
        let purse = bounds_in(snapshot, self.clock.now()).await?.purse;
        has_room(&purse)?;
        Ok(to_store(&purse))
    }

    /// What to remember of a request that made or changed this.
    fn remembering(&self, by: By<'_>, set: ChangeSet, subject: &Subject<'_>) -> ChangeSet {
        match by {
            By::Caller(ctx) => set.remember(ctx.remembered(subject, self.clock.now())),
            By::Agent(_) => set,
        }
    }

    /// Commits; `false` when the race was lost.
    async fn tried(&self, set: ChangeSet) -> Result<bool, AppError> {
        match self.store.commit(set).await {
            Ok(_) => Ok(true),
            Err(CommitError::Stale) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// An answer that changes nothing is remembered, too; `false` when the race was lost.
    async fn unchanged(&self, by: By<'_>, subject: &Subject<'_>) -> Result<bool, AppError> {
        let set = self.remembering(by, ChangeSet::new(by.tenant()), subject);
        if set.remembered.is_none() { Ok(true) } else { self.tried(set).await }
    }
}

/// How the session of a context stands, as far as that matters to it.
async fn stands(snapshot: &dyn Snapshot, context: &Context) -> Result<OwnerStands, AppError> {
    let Some(id) = context.session_id.filter(|_| context.scope == ContextScope::Session) else {
        return Ok(OwnerStands::Nowhere);
    };
    if let Some(session) = snapshot.session(id).await? {
        let session = session.value;
        if session.status().is_open() {
            return Ok(OwnerStands::Open);
        }
        let ended = session.stamps.ended_at.unwrap_or(session.stamps.updated_at);
        return Ok(OwnerStands::Ended(ended));
    }
    let deleted = snapshot.deleted_session(id).await?;
    let at = deleted.and_then(|session| session.value.stamps.deleted_at);
    Ok(at.map_or(OwnerStands::Nowhere, OwnerStands::Ended))
}

/// One context.
async fn read(snapshot: &dyn Snapshot, id: ContextId) -> Result<Versioned<Context>, AppError> {
    snapshot.context(id).await?.ok_or(AppError::Context(ContextError::NotFound))
}

fn put(expect: Expect, value: Context) -> Write {
    Write::Context(ContextWrite::Context(Put { expect, value }))
}

fn wait_for(merge: PendingMerge) -> Write {
    Write::Context(ContextWrite::Merge(merge))
}

/// The writes of one more version: the context, what it changed, and what is kept no longer.
fn version(found: Version, value: Context, group: Group) -> Vec<Write> {
    use crate::domain::context::write::KEPT;
    let id = value.id;
    let outdated = group.version.checked_sub(KEPT).filter(|oldest| *oldest > 1);
    let mut writes =
        vec![put(Expect::At(found), value), Write::Context(ContextWrite::Group(group))];
    let drop = |version| Write::Context(ContextWrite::DropGroup(id, version));
    writes.extend(outdated.map(drop));
    writes
}

impl From<Unfit> for AppError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Invalid(errors) => Self::Invalid(errors),
            Unfit::TooLarge => Self::Context(ContextError::TooLarge),
        }
    }
}
