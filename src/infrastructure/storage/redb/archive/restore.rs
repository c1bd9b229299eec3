//! Putting a store back where there is none.
//!
//! Invariant: the store has its name only when it was read in full, says that it was put back, and is
//! on the disk; until then there is no store. Its numbers go on behind all that the old life may have
//! given out since: whatever still holds a lease of that life is refused.

use std::path::Path;
use std::sync::Arc;

use redb::{Builder, Durability};
use serde_json::json;
use uuid::Uuid;

use super::super::medium::{FileMedium, Medium, OpenError, Unnamed};
use super::super::migrate::RESTORED_KEY;
use super::super::records::{self, Number};
use super::super::tables::Table;
use super::super::{RedbOptions, RedbStore};
use super::unpack::unpack;
use super::{ArchiveFault, Manifest};
use crate::application::ports::changes::{ChangeSet, Counter, CounterChange};
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::store::Store;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// Fencing tokens of the new life are larger by this: more than an old life can have given out.
const TOKENS_AHEAD: u64 = 1 << 32;
/// Session codes go on so much later, so that a code which somebody noted stands for nothing else.
const CODES_AHEAD: u64 = 10_000;

/// Where a store comes from.
pub(super) enum Origin {
    /// A backup that says this of itself.
    Backup(Manifest),
    /// An export.
    Export,
}

/// A store that was put back.
#[derive(Debug)]
pub struct Restored {
    /// What the archive said.
    pub manifest: Manifest,
    /// Whose data is in it.
    pub tenants: usize,
}

/// Puts the store of an archive into a directory that has none.
///
/// # Errors
/// What stands in the way; then there is still no store.
pub async fn restore(
    archive: &Path,
    dir: &Path,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Result<Restored, ArchiveFault> {
    let medium = FileMedium::hold(dir)?;
    if medium.path().exists() {
        medium.leave();
        return Err(ArchiveFault::Occupied(dir.to_owned()));
    }
    let unnamed = medium.unnamed()?;
    let restored = fill(archive, &unnamed, clock, ids).await;
    let named = restored.and_then(|restored| {
        medium.name(&unnamed)?;
        Ok(restored)
    });
    finish(medium, &unnamed, named)
}

/// Gives the directory up; where nothing was put back, nothing of the try is left.
pub(super) fn finish<T>(
    medium: FileMedium,
    unnamed: &Unnamed,
    done: Result<T, ArchiveFault>,
) -> Result<T, ArchiveFault> {
    if done.is_ok() {
        medium.release();
        return done;
    }
    if let Err(error) = unnamed.remove() {
        tracing::warn!(%error, "What was put back in part could not be removed");
    }
    medium.leave();
    done
}

async fn fill(
    archive: &Path,
    unnamed: &Unnamed,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Result<Restored, ArchiveFault> {
    let (from, to) = (archive.to_owned(), unnamed.clone());
    let manifest = blocking(move || {
        let file = to.file().map_err(OpenError::failed)?;
        unpack(&from, file)
    });
    let manifest = manifest.await?;
    let origin = Origin::Backup(manifest.clone());
    let tenants = begin_anew(unnamed, &origin, clock, ids).await?;
    Ok(Restored { manifest, tenants })
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveFault> + Send + 'static,
) -> Result<T, ArchiveFault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(OpenError::failed(error).into()))
}

/// Says in the store that it was put back, and moves its numbers ahead; returns the tenants.
pub(super) async fn begin_anew(
    unnamed: &Unnamed,
    origin: &Origin,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Result<usize, ArchiveFault> {
    let (medium, at) = (unnamed.clone(), clock.now());
    blocking(move || Ok(mark(&medium, at.millis())?)).await?;
    let options = RedbOptions { cache_bytes: 16 * 1024 * 1024, ..RedbOptions::new(".") };
    let medium = Box::new(unnamed.clone());
    let store = RedbStore::open_on(medium, options, Arc::clone(&clock), ids)?;
    let failed = |error| ArchiveFault::from(OpenError::failed(error));
    let fleet = store.fleet().await.map_err(failed)?;
    let tenants = fleet.tenants().await.map_err(failed)?;
    drop(fleet);
    // Where it is on record: with whoever runs the server, else with the only tenant.
    let ids: Vec<TenantId> = tenants.iter().map(|tenant| tenant.value.id).collect();
    let home = ids.iter().copied().find(|id| *id == TenantId::BOOTSTRAP).or(ids.first().copied());
    for tenant in &tenants {
        let id = tenant.value.id;
        let snapshot = store.snapshot(id).await.map_err(failed)?;
        let mut set = ChangeSet::new(id);
        for (counter, ahead) in
            [(Counter::FencingTokens, TOKENS_AHEAD), (Counter::SessionCodes, CODES_AHEAD)]
        {
            let now = u64::try_from(snapshot.counter(counter).await.map_err(failed)?).unwrap_or(0);
            set = set.count(counter, CounterChange::AtLeast(now.saturating_add(ahead)));
        }
        drop(snapshot);
        if Some(id) == home {
            set = set.audit(Some(entry(origin, at)));
        }
        store.commit(set).await.map_err(|error| ArchiveFault::from(OpenError::failed(error)))?;
    }
    store.close().await;
    Ok(tenants.len())
}

fn mark(medium: &Unnamed, at_ms: i64) -> Result<(), OpenError> {
    let database = medium.open(&Builder::new()).map_err(OpenError::failed)?;
    let value = records::seal(RESTORED_KEY, &Number(at_ms)).map_err(OpenError::failed)?;
    let mut transaction = database.begin_write().map_err(OpenError::failed)?;
    transaction.set_durability(Durability::Immediate).map_err(OpenError::failed)?;
    transaction.set_quick_repair(true);
    transaction
        .open_table(Table::Meta.definition())
        .map_err(OpenError::failed)?
        .insert(RESTORED_KEY, value.as_slice())
        .map_err(OpenError::failed)?;
    transaction.commit().map_err(OpenError::failed)
}

fn entry(origin: &Origin, at: Timestamp) -> AuditEntry {
    let (action, reason, after) = match origin {
        Origin::Backup(manifest) => {
            let after = json!({
                "backup_made_at": manifest.made_at, "backup_made_by": manifest.made_by,
                "backup_version": manifest.version, "sha256": manifest.store.sha256,
            });
            ("restore", manifest.reason.clone(), Some(after))
        }
        Origin::Export => ("import", None, None),
    };
    AuditEntry {
        at,
        actor: Actor::plain("system", action),
        action: action.to_owned(),
        subject: Subject { kind: SubjectKind::System, id: Uuid::nil() },
        ok: true,
        reason,
        before: None,
        after,
        request_id: None,
    }
}
