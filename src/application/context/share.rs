//! Passing on: to another session, and to the whole tenant.

use serde_json::json;

use super::error::ContextError;
use super::told::{audit, event, life, updated};
use super::{By, ContextService, ContextView, put, read, version};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect};
use crate::application::ports::contexts::{ContextQuery, ContextsOf};
use crate::application::ports::reads::Snapshot;
use crate::application::principal::Subject;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::context::write::Group;
use crate::domain::context::{Birth, Context, ContextScope};
use crate::domain::event::EventType;
use crate::domain::ids::{ContextId, SessionId};
use crate::domain::tenant::key::Role;
use crate::domain::version::Versioned;

/// Contexts that are read at once when one of a lineage is looked for.
const LOOKED_AT: usize = 8;

impl ContextService {
    /// Gives another session what this context has: into its own copy when it has one and that is
    /// wanted, else as a new copy.
    ///
    /// # Errors
    /// `ContextNotFound`, `SessionNotFound`, `ContextAccessDenied`, `ContextTooLarge`, `QuotaExceeded`.
    pub async fn share(
        &self,
        by: By<'_>,
        id: ContextId,
        with: SessionId,
        merge_existing: bool,
    ) -> Result<ContextView, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(by.tenant()).await?;
            let source = read(&*snapshot, id).await?.value;
            by.may_write(&source)?;
            may_reach(by, &*snapshot, with).await?;
            let of = ContextsOf::Session(with);
            let same = |one: &Context| one.lineage_id == source.lineage_id;
            let existing =
                if merge_existing { of_lineage(&*snapshot, of, same).await? } else { None };
            let view = match existing {
                Some(existing) => self.shared_into(by, &*snapshot, &source, existing).await?,
                None => self.shared_as_copy(by, &*snapshot, &source, with).await?,
            };
            if let Some(view) = view {
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    async fn shared_as_copy(
        &self,
        by: By<'_>,
        snapshot: &dyn Snapshot,
        source: &Context,
        with: SessionId,
    ) -> Result<Option<ContextView>, AppError> {
        let (author, at) = (by.author(), self.clock.now());
        let birth = Birth { id: ContextId::new(self.ids.uuid()), by: &author, at };
        let copy = source.shared(with, birth);
        let view = self.fresh(snapshot, copy.clone()).await?;
        let told = json!({ "target_session_id": with, "in_place": false });
        let after = json!({ "target_session_id": with, "copy": copy.id });
        let mut set = ChangeSet::new(by.tenant())
            .events([
                event(EventType::ContextShared, source.id, at, told),
                life(EventType::ContextCreated, &copy, at),
            ])
            .audit(audit(by, "share", source.id, at, after))
            .write(put(Expect::Absent, copy));
        set.guards.extend(self.room(snapshot).await?);
        let set = self.remembering(by, set, &Subject::Context(&view));
        Ok(self.tried(set).await?.then_some(view))
    }

    async fn shared_into(
        &self,
        by: By<'_>,
        snapshot: &dyn Snapshot,
        source: &Context,
        existing: Versioned<Context>,
    ) -> Result<Option<ContextView>, AppError> {
        let (author, at, mut value) = (by.author(), self.clock.now(), existing.value.clone());
        let entries = value.take_in(source, &author, at)?;
        if entries.is_empty() {
            let view = self.shown(snapshot, existing).await?;
            let is_told = self.unchanged(by, &Subject::Context(&view)).await?;
            return Ok(is_told.then_some(view));
        }
        let group = Group {
            tenant_id: by.tenant(),
            context_id: value.id,
            version: existing.version.next().get(),
            entries,
            changed_at: at,
            changed_by: author,
        };
        let now = Versioned { version: existing.version.next(), value: value.clone() };
        let view = self.shown(snapshot, now).await?;
        let told = json!({ "target_session_id": value.session_id, "in_place": true });
        let after = json!({ "target_session_id": value.session_id, "into": value.id });
        let mut set = ChangeSet::new(by.tenant())
            .events([event(EventType::ContextShared, source.id, at, told), updated(&group, None)])
            .audit(audit(by, "share", source.id, at, after));
        set.guards.extend(self.room(snapshot).await?);
        set.writes = version(existing.version, value, group);
        let set = self.remembering(by, set, &Subject::Context(&view));
        Ok(self.tried(set).await?.then_some(view))
    }

    /// Makes what a context has known to the whole tenant, as a copy.
    ///
    /// # Errors
    /// `ContextNotFound`, `ScopeMismatch` for a temporary one, `Forbidden`, `QuotaExceeded`.
    pub async fn promote(&self, by: By<'_>, id: ContextId) -> Result<ContextView, AppError> {
        match by {
            By::Caller(ctx) => ctx.require(Role::Lead)?,
            By::Agent(_) => return Err(by.denied("promote")),
        }
        let author = by.author();
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(by.tenant()).await?;
            let found = read(&*snapshot, id).await?;
            by.same_version(found.version)?;
            if found.value.scope == ContextScope::Global {
                let view = self.shown(&*snapshot, found).await?;
                drop(snapshot);
                if self.unchanged(by, &Subject::Context(&view)).await? {
                    return Ok(view);
                }
                continue;
            }
            let at = self.clock.now();
            let birth = Birth { id: ContextId::new(self.ids.uuid()), by: &author, at };
            let copy = found.value.promoted(birth).map_err(|actual| {
                AppError::Context(ContextError::ScopeMismatch {
                    expected: &["task", "session", "agent", "global"],
                    actual,
                    operation: "promote",
                })
            })?;
            let view = self.fresh(&*snapshot, copy.clone()).await?;
            let after = json!({ "global_context_id": copy.id });
            let mut set = ChangeSet::new(by.tenant())
                .events([
                    event(EventType::ContextPromoted, id, at, after.clone()),
                    life(EventType::ContextCreated, &copy, at),
                ])
                .audit(audit(by, "promote", id, at, after))
                .write(put(Expect::Absent, copy));
            set.guards.extend(self.room(&*snapshot).await?);
            drop(snapshot);
            let set = self.remembering(by, set, &Subject::Context(&view));
            if self.tried(set).await? {
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }
}

/// The first context of an owner that is wanted.
pub(super) async fn of_lineage(
    snapshot: &dyn Snapshot,
    of: ContextsOf,
    wanted: impl Fn(&Context) -> bool,
) -> Result<Option<Versioned<Context>>, AppError> {
    let mut after = None;
    loop {
        let query = ContextQuery { of, scope: None, after, limit: LOOKED_AT };
        let page = snapshot.contexts(query).await?;
        let Some(last) = page.last().map(|found| found.value.id) else { return Ok(None) };
        after = Some(last);
        if let Some(found) = page.into_iter().find(|found| wanted(&found.value)) {
            return Ok(Some(found));
        }
    }
}

/// Whether something may be given to a session: agents give to their own, its parent and its children.
async fn may_reach(by: By<'_>, snapshot: &dyn Snapshot, target: SessionId) -> Result<(), AppError> {
    let found = snapshot.session(target).await?.ok_or(AppError::SessionNotFound)?.value;
    let By::Agent(agent) = by else { return Ok(()) };
    let own = snapshot.session(agent.session_id).await?;
    let parent = own.and_then(|own| own.value.lineage.parent_id);
    let is_near = target == agent.session_id
        || parent == Some(target)
        || found.lineage.parent_id == Some(agent.session_id);
    if is_near { Ok(()) } else { Err(by.denied("share")) }
}
