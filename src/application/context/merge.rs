//! Merging contexts into a new one, and deciding what clashes.

use serde_json::json;

use super::error::ContextError;
use super::told::{audit, event, life};
use super::{By, ContextService, ContextView, put, read, wait_for};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Write};
use crate::application::ports::contexts::ContextWrite;
use crate::application::ports::reads::Snapshot;
use crate::application::principal::Subject;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::context::merge::{
    Clash, MOST_MERGED, MergeStrategy, Outcome, PendingMerge, Resolutions, WAITS, merge,
};
use crate::domain::context::stamp::Author;
use crate::domain::context::{Birth, Context};
use crate::domain::event::EventType;
use crate::domain::field::FieldErrors;
use crate::domain::ids::ContextId;

/// What came of a merge.
#[derive(Debug, Clone, PartialEq)]
pub enum MergeAnswer {
    /// A new context.
    Merged(Box<ContextView>),
    /// Somebody has to decide first; nothing else was written.
    Conflicted(PendingMerge),
}

/// What was asked for, and by whom.
struct Asked<'a> {
    by: By<'a>,
    author: &'a Author,
    ids: &'a [ContextId],
    strategy: MergeStrategy,
}

impl ContextService {
    /// Merges contexts, the first being the target.
    ///
    /// # Errors
    /// `Invalid`, `ContextNotFound`, `ContextAccessDenied`, `ContextTooLarge`, `QuotaExceeded`.
    pub async fn merge(
        &self,
        by: By<'_>,
        ids: &[ContextId],
        strategy: MergeStrategy,
    ) -> Result<MergeAnswer, AppError> {
        let mut errors = FieldErrors::default();
        let is_fit = (2..=MOST_MERGED).contains(&ids.len());
        errors.require(is_fit, "/context_ids", "out_of_range", "must name 2 to 32 contexts");
        let is_each_once = ids.iter().collect::<std::collections::BTreeSet<_>>().len() == ids.len();
        errors.require(is_each_once, "/context_ids", "invalid", "must name each context once");
        errors.into_result(())?;
        let author = by.author();
        let asked = Asked { by, author: &author, ids, strategy };
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(by.tenant()).await?;
            let (inputs, versions) = inputs(by, &*snapshot, ids).await?;
            let none = Resolutions::new();
            let birth =
                Birth { id: ContextId::new(self.ids.uuid()), by: &author, at: self.clock.now() };
            let Some((first, others)) = inputs.split_first() else { break };
            let outcome = merge(first, others, strategy, &none, birth)?;
            let is_open = strategy == MergeStrategy::Manual && !outcome.clashes.is_empty();
            let answer = if is_open {
                self.begun(&asked, &*snapshot, versions, outcome).await?
            } else {
                let told = EventType::ContextMerged;
                self.merged(&asked, &*snapshot, outcome, (told, None)).await?
            };
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
        Err(AppError::Contended)
    }

    /// A merge that waits; `None` when the race was lost.
    async fn begun(
        &self,
        asked: &Asked<'_>,
        snapshot: &dyn Snapshot,
        inputs: Vec<(ContextId, u64)>,
        outcome: Outcome,
    ) -> Result<Option<MergeAnswer>, AppError> {
        let Outcome { context, clashes } = outcome;
        let (by, at) = (asked.by, context.created_at);
        let pending = PendingMerge {
            id: context.id,
            tenant_id: by.tenant(),
            inputs,
            clashes,
            created_by: context.created_by,
            created_at: at,
            expires_at: at.after(WAITS),
        };
        let told = told(asked, &pending.clashes);
        let mut set = ChangeSet::new(by.tenant())
            .events([event(EventType::ContextMergeConflicted, pending.id, at, told.clone())])
            .audit(audit(by, "merge", pending.id, at, told))
            .write(wait_for(pending.clone()));
        set.guards.extend(self.room(snapshot).await?);
        let set = self.remembering(by, set, &Subject::PendingMerge(&pending));
        Ok(self.tried(set).await?.then_some(MergeAnswer::Conflicted(pending)))
    }

    /// The merged context; `None` when the race was lost.
    async fn merged(
        &self,
        asked: &Asked<'_>,
        snapshot: &dyn Snapshot,
        outcome: Outcome,
        (told_as, resolved): (EventType, Option<ContextId>),
    ) -> Result<Option<MergeAnswer>, AppError> {
        let Outcome { context, clashes } = outcome;
        let (by, at, id) = (asked.by, context.created_at, context.id);
        let told = told(asked, &clashes);
        let view = self.fresh(snapshot, context.clone()).await?;
        let action = if resolved.is_some() { "resolve" } else { "merge" };
        let mut set = ChangeSet::new(by.tenant())
            .events([
                event(told_as, id, at, told.clone()),
                life(EventType::ContextCreated, &context, at),
            ])
            .audit(audit(by, action, id, at, told))
            .write(put(Expect::Absent, context));
        if let Some(pending) = resolved {
            set = set.write(Write::Context(ContextWrite::DropMerge(pending)));
        }
        set.guards.extend(self.room(snapshot).await?);
        let set = self.remembering(by, set, &Subject::Context(&view));
        Ok(self.tried(set).await?.then_some(MergeAnswer::Merged(Box::new(view))))
    }

    /// Decides the clashes of a merge that waits.
    ///
    /// # Errors
    /// `ContextNotFound` when none waits under this id, `MergeStale` when an input was changed,
    /// `ContextMergeConflict` when clashes are left, `Invalid` for decisions about what does not clash.
    pub async fn resolve(
        &self,
        by: By<'_>,
        id: ContextId,
        resolutions: &Resolutions,
    ) -> Result<ContextView, AppError> {
        let author = by.author();
        let strategy = MergeStrategy::Manual;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(by.tenant()).await?;
            let pending = snapshot.pending_merge(id).await?;
            let pending = pending.filter(|pending| pending.expires_at > self.clock.now());
            let pending = pending.ok_or(AppError::Context(ContextError::NotFound))?;
            let ids: Vec<ContextId> = pending.inputs.iter().map(|(id, _)| *id).collect();
            let (inputs, versions) = inputs(by, &*snapshot, &ids).await.map_err(|error| {
                let is_gone = matches!(error, AppError::Context(ContextError::NotFound));
                if is_gone { ContextError::MergeStale.into() } else { error }
            })?;
            if versions != pending.inputs {
                return Err(AppError::Context(ContextError::MergeStale));
            }
            let birth = Birth { id, by: &author, at: self.clock.now() };
            let Some((first, others)) = inputs.split_first() else { break };
            let outcome = merge(first, others, strategy, resolutions, birth)?;
            check(&outcome, resolutions)?;
            let open: Vec<String> =
                outcome.undecided(resolutions).iter().map(|one| one.path.to_string()).collect();
            if !open.is_empty() {
                return Err(AppError::Context(ContextError::MergeConflict {
                    source_ids: ids,
                    keys: open,
                }));
            }
            let asked = Asked { by, author: &author, ids: &ids, strategy };
            let told = (EventType::ContextMergeResolved, Some(id));
            if let Some(MergeAnswer::Merged(view)) =
                self.merged(&asked, &*snapshot, outcome, told).await?
            {
                return Ok(*view);
            }
        }
        Err(AppError::Contended)
    }
}

/// The contexts of a merge and their versions. The result belongs to whom the first belongs.
async fn inputs(
    by: By<'_>,
    snapshot: &dyn Snapshot,
    ids: &[ContextId],
) -> Result<(Vec<Context>, Vec<(ContextId, u64)>), AppError> {
    let (mut inputs, mut versions) = (Vec::with_capacity(ids.len()), Vec::new());
    for (index, id) in ids.iter().enumerate() {
        let found = read(snapshot, *id).await?;
        if index == 0 {
            by.may_write(&found.value)?;
        } else {
            by.may_read(&found.value)?;
        }
        versions.push((*id, found.version.get()));
        inputs.push(found.value);
    }
    // A merge takes the widest scope: what an agent makes must stay its own.
    if let (By::Agent(_), Some(_)) =
        (by, inputs.iter().find(|one| one.scope == crate::domain::context::ContextScope::Global))
    {
        return Err(by.denied("write"));
    }
    Ok((inputs, versions))
}

fn told(asked: &Asked<'_>, clashes: &[Clash]) -> serde_json::Value {
    let names: Vec<String> = clashes.iter().take(100).map(|clash| clash.path.to_string()).collect();
    json!({
        "source_ids": asked.ids, "strategy": asked.strategy, "conflicts": names,
        "by": asked.author.name,
    })
}

/// Refuses decisions about what does not clash.
fn check(outcome: &Outcome, resolutions: &Resolutions) -> Result<(), AppError> {
    let mut errors = FieldErrors::default();
    for path in resolutions.keys() {
        let is_known = outcome.clashes.iter().any(|clash| clash.path == *path);
        let name = path.to_string().replace('~', "~0").replace('/', "~1");
        let pointer = format!("/resolutions/{name}");
        errors.require(is_known, &pointer, "invalid", "is no path that clashes");
    }
    Ok(errors.into_result(())?)
}
