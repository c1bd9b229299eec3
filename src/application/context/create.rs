//! Making contexts, and deleting them.

use serde_json::json;

use super::told::{audit, facts, life};
use super::{By, ContextService, ContextView, put, read};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Write};
use crate::application::ports::contexts::{ContextQuery, ContextWrite, ContextsOf};
use crate::application::ports::reads::Snapshot;
use crate::application::principal::Subject;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::context::{Birth, Context, ContextDraft, ContextScope};
use crate::domain::event::EventType;
use crate::domain::ids::ContextId;
use crate::domain::tenant::key::Role;
use crate::domain::version::Versioned;

impl ContextService {
    /// A new context.
    ///
    /// # Errors
    /// `Invalid`, `SessionNotFound`, `AgentNotFound`, `ContextAccessDenied`, `ContextTooLarge`,
    /// `QuotaExceeded`.
    pub async fn create(&self, by: By<'_>, draft: &ContextDraft) -> Result<ContextView, AppError> {
        let draft = for_agent(by, draft.clone())?;
        draft.check()?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(by.tenant()).await?;
            if let Some(view) = self.tried_to_make(by, &*snapshot, &draft).await? {
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    /// The first context of the owner with that scope, or a new one.
    ///
    /// # Errors
    /// Those of `create`.
    pub async fn get_or_create(
        &self,
        by: By<'_>,
        draft: &ContextDraft,
    ) -> Result<ContextView, AppError> {
        let draft = for_agent(by, draft.clone())?;
        draft.check()?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(by.tenant()).await?;
            if let Some(found) = first_of_owner(&*snapshot, &draft).await? {
                by.may_read(&found.value)?;
                let view = self.shown(&*snapshot, found).await?;
                drop(snapshot);
                if self.unchanged(by, &Subject::Context(&view)).await? {
                    return Ok(view);
                }
            } else if let Some(view) = self.tried_to_make(by, &*snapshot, &draft).await? {
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    /// Makes a context; `None` when the race was lost.
    async fn tried_to_make(
        &self,
        by: By<'_>,
        snapshot: &dyn Snapshot,
        draft: &ContextDraft,
    ) -> Result<Option<ContextView>, AppError> {
        if let Some(id) = draft.session_id {
            snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?;
        }
        if let Some(id) = draft.agent_id {
            snapshot.agent(id).await?.ok_or(AppError::AgentNotFound)?;
        }
        let guard = self.room(snapshot).await?;
        let (author, at) = (by.author(), self.clock.now());
        let birth = Birth { id: ContextId::new(self.ids.uuid()), by: &author, at };
        let context = Context::new(by.tenant(), draft.clone(), birth)?;
        let view = self.fresh(snapshot, context.clone()).await?;
        let mut set = ChangeSet::new(by.tenant())
            .events([life(EventType::ContextCreated, &context, at)])
            .audit(audit(by, "create", context.id, at, facts(&context)))
            .write(put(Expect::Absent, context));
        set.guards.extend(guard);
        let set = self.remembering(by, set, &Subject::Context(&view));
        Ok(self.tried(set).await?.then_some(view))
    }

    /// The context goes, with its history.
    ///
    /// # Errors
    /// `ContextNotFound`, `VersionMismatch`, `Forbidden` for what is the tenant's.
    pub async fn delete(&self, by: By<'_>, id: ContextId) -> Result<(), AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = read(&*self.store.snapshot(by.tenant()).await?, id).await?;
            by.may_write(&found.value)?;
            if let (By::Caller(ctx), ContextScope::Global) = (by, found.value.scope) {
                ctx.require(Role::Lead)?;
            }
            by.same_version(found.version)?;
            let at = self.clock.now();
            let mut entry = audit(by, "delete", id, at, json!(null));
            if let Some(entry) = &mut entry {
                entry.before = Some(facts(&found.value));
            }
            let set = ChangeSet::new(by.tenant())
                .write(Write::Context(ContextWrite::Drop(found.version, id)))
                .events([life(EventType::ContextDeleted, &found.value, at)])
                .audit(entry);
            if self.tried(set).await? {
                return Ok(());
            }
        }
        Err(AppError::Contended)
    }
}

/// What an agent makes belongs to its session or to itself.
fn for_agent(by: By<'_>, mut draft: ContextDraft) -> Result<ContextDraft, AppError> {
    let By::Agent(agent) = by else { return Ok(draft) };
    let is_foreign = draft.session_id.is_some_and(|id| id != agent.session_id)
        || draft.agent_id.is_some_and(|id| id != agent.agent_id);
    if is_foreign || draft.scope() == ContextScope::Global {
        return Err(by.denied("write"));
    }
    if draft.scope() == ContextScope::Agent {
        draft.agent_id = Some(agent.agent_id);
    } else {
        draft.session_id = Some(agent.session_id);
    }
    Ok(draft)
}

async fn first_of_owner(
    snapshot: &dyn Snapshot,
    draft: &ContextDraft,
) -> Result<Option<Versioned<Context>>, AppError> {
    let scope = draft.scope();
    let of = match scope {
        ContextScope::Session | ContextScope::Temporary => {
            draft.session_id.map(ContextsOf::Session)
        }
        ContextScope::Task => draft.task_id.map(ContextsOf::Task),
        ContextScope::Agent => draft.agent_id.map(ContextsOf::Agent),
        ContextScope::Global => Some(ContextsOf::Global),
    };
    let Some(of) = of else { return Ok(None) };
    let query = ContextQuery { of, scope: Some(scope), after: None, limit: 1 };
    Ok(snapshot.contexts(query).await?.pop())
}
