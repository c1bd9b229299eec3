//! Writing: paths, patches and single keys, each as one version.

use serde_json::{Map, Value, json};

use super::error::ContextError;
use super::told::{audit, event, updated};
use super::{By, ContextService, ContextView, read, version};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Guard};
use crate::application::ports::reads::Snapshot;
use crate::application::principal::Subject;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::context::Context;
use crate::domain::context::data;
use crate::domain::context::patch::{JsonPatch, PatchError, merge_patch};
use crate::domain::context::path::Path;
use crate::domain::context::write::{Base, Conflict, Group, Update};
use crate::domain::event::EventType;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::ContextId;
use crate::domain::version::Versioned;

/// What a write is to change.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Values at paths.
    Updates(Vec<Update>),
    /// A merge patch of the data.
    MergePatch(Map<String, Value>),
    /// A JSON patch of the data.
    JsonPatch(JsonPatch),
    /// The value at a path goes, which must be there.
    Delete(Path),
}

impl Wanted {
    /// The updates that make it true of this data.
    fn updates(&self, context: &Versioned<Context>) -> Result<Vec<Update>, AppError> {
        let data = &context.value.data;
        let patched = match self {
            Self::Updates(updates) => return Ok(updates.clone()),
            Self::Delete(path) => {
                if data::get(data, path.segments()).is_none() {
                    return Err(AppError::Context(ContextError::KeyNotFound {
                        path: path.to_string(),
                    }));
                }
                return Ok(vec![Update { path: path.clone(), value: None }]);
            }
            Self::MergePatch(patch) => merge_patch(data, patch.clone()),
            Self::JsonPatch(patch) => patch.apply(data).map_err(|error| match error {
                PatchError::Invalid(errors) => AppError::Invalid(errors),
                PatchError::Failed { pointer, what } => {
                    let version = context.version.get();
                    AppError::Context(ContextError::Conflict(Conflict {
                        expected_version: version,
                        actual_version: version,
                        conflicting_keys: vec![format!("{pointer}: {what}")],
                    }))
                }
            })?,
        };
        let updates = Update::between(data, &patched);
        checked(&updates)?;
        Ok(updates)
    }
}

/// What a patch made must be data.
fn checked(updates: &[Update]) -> Result<(), Vec<FieldError>> {
    let mut errors = FieldErrors::default();
    for Update { path, value } in updates {
        let at = path.to_string();
        if let Err(rule) = Path::parse(&at) {
            errors.add("", "invalid", format!("the path {at:?} {rule}"));
        }
        if let Some(value) = value {
            data::check("", path.segments(), value, &mut errors);
        }
    }
    errors.into_result(())
}

impl ContextService {
    /// Writes; on top of newer versions as long as they changed something else.
    ///
    /// # Errors
    /// `ContextNotFound`, `ContextKeyNotFound`, `ContextConflict`, `VersionMismatch`, `ContextTooLarge`,
    /// `ContextAccessDenied`, `Invalid`, `QuotaExceeded`.
    pub async fn write(
        &self,
        by: By<'_>,
        id: ContextId,
        wanted: &Wanted,
        base: Base,
    ) -> Result<ContextView, AppError> {
        let author = by.author();
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(by.tenant()).await?;
            let found = read(&*snapshot, id).await?;
            by.may_write(&found.value)?;
            by.same_version(found.version)?;
            let updates = wanted.updates(&found)?;
            let paths: Vec<Path> = updates.iter().map(|update| update.path.clone()).collect();
            let actual = found.version.get();
            let since = since(&*snapshot, id, base, actual).await?;
            let rebased_from = match base.rebase(actual, &since, &paths) {
                Ok(rebased_from) => rebased_from,
                Err(conflict) => {
                    drop(snapshot);
                    self.tell_conflict(by, id, &conflict).await;
                    return Err(AppError::Context(ContextError::Conflict(conflict)));
                }
            };
            let (mut value, at) = (found.value.clone(), self.clock.now());
            let entries = value.write(&updates, &author, at)?;
            if entries.is_empty() {
                let view = ContextView { rebased_from, ..self.shown(&*snapshot, found).await? };
                drop(snapshot);
                if self.unchanged(by, &Subject::Context(&view)).await? {
                    return Ok(view);
                }
                continue;
            }
            let is_more = updates.iter().any(|update| update.value.is_some());
            let guard: Option<Guard> = if is_more { self.room(&*snapshot).await? } else { None };
            let group = Group {
                tenant_id: by.tenant(),
                context_id: id,
                version: found.version.next().get(),
                entries,
                changed_at: at,
                changed_by: author.clone(),
            };
            let context = Versioned { version: found.version.next(), value: value.clone() };
            let view = ContextView { rebased_from, ..self.shown(&*snapshot, context).await? };
            drop(snapshot);
            let told: Vec<String> = paths.iter().take(100).map(Path::to_string).collect();
            let after = json!({ "version": group.version, "paths": told });
            let mut set = ChangeSet::new(by.tenant())
                .events([updated(&group, rebased_from)])
                .audit(audit(by, "update", id, at, after));
            set.guards.extend(guard);
            set.writes = version(found.version, value, group);
            let set = self.remembering(by, set, &Subject::Context(&view));
            if self.tried(set).await? {
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    /// Tells that somebody wrote on an old reading; the refusal does not depend on it.
    async fn tell_conflict(&self, by: By<'_>, id: ContextId, conflict: &Conflict) {
        let payload = json!({
            "expected_version": conflict.expected_version,
            "actual_version": conflict.actual_version,
            "conflicting_keys": conflict.conflicting_keys.iter().take(100).collect::<Vec<_>>(),
        });
        let told = event(EventType::ContextConflictRejected, id, self.clock.now(), payload);
        if let Err(error) = self.store.commit(ChangeSet::new(by.tenant()).events([told])).await {
            tracing::debug!(%error, "A refused write of context {id} could not be told");
        }
    }
}

/// What was changed since the version that a write is based on, as far as it is kept.
async fn since(
    snapshot: &dyn Snapshot,
    id: ContextId,
    base: Base,
    actual: u64,
) -> Result<Vec<Group>, AppError> {
    use crate::domain::context::write::KEPT;
    let Some(expected) = base.expected_version.filter(|expected| *expected < actual) else {
        return Ok(Vec::new());
    };
    if actual - expected > KEPT {
        return Ok(Vec::new());
    }
    let limit = usize::try_from(KEPT).unwrap_or(usize::MAX);
    Ok(snapshot.context_groups(id, (expected, actual + 1), limit).await?)
}
