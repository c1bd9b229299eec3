//! Backups and exports of a server that runs.
//!
//! Invariant: whoever takes data away is on record before the first byte leaves.

use std::sync::Arc;

use crate::application::error::AppError;
use crate::application::ports::archives::{ArchiveError, Archives, Chunks, Extent, Wanted};
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::clock::Clock;
use crate::application::ports::store::Store;
use crate::application::principal::RequestContext;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::time::Timestamp;

/// The use cases of archives.
#[derive(Clone)]
pub struct ArchiveService {
    store: Arc<dyn Store>,
    archives: Arc<dyn Archives>,
    clock: Arc<dyn Clock>,
}

impl ArchiveService {
    /// Over this store.
    #[must_use]
    pub const fn new(
        store: Arc<dyn Store>,
        archives: Arc<dyn Archives>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, archives, clock }
    }

    /// A backup of everything.
    ///
    /// # Errors
    /// `CopyUnderWay` while another one is made for too long, `ShortOfRoom`, or the store's.
    pub async fn backup(
        &self,
        ctx: &RequestContext,
        reason: Option<String>,
    ) -> Result<Chunks, AppError> {
        self.record(ctx, "backup", reason.clone()).await?;
        let wanted = Wanted { by: ctx.actor().id, reason, at: self.clock.now() };
        self.archives.backup(wanted).await.map_err(refused)
    }

    /// Everything of a tenant, or of all, as lines.
    ///
    /// # Errors
    /// `CopyUnderWay`, or the store's.
    pub async fn export(&self, ctx: &RequestContext, extent: Extent) -> Result<Chunks, AppError> {
        self.record(ctx, "export", None).await?;
        self.archives.export(extent).await.map_err(refused)
    }

    /// When the store was put back from a backup.
    #[must_use]
    pub fn restored_at(&self) -> Option<Timestamp> {
        self.archives.restored_at()
    }

    /// Since when the copy that is being made reads.
    #[must_use]
    pub fn reading_since(&self) -> Option<Timestamp> {
        self.archives.reading_since()
    }

    async fn record(
        &self,
        ctx: &RequestContext,
        action: &str,
        reason: Option<String>,
    ) -> Result<(), AppError> {
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: ctx.actor(),
            action: action.to_owned(),
            subject: Subject { kind: SubjectKind::System, id: uuid::Uuid::nil() },
            ok: true,
            reason,
            before: None,
            after: None,
            request_id: Some(ctx.request_id.clone()),
        };
        self.store.commit(ChangeSet::new(ctx.tenant).audit(Some(entry))).await?;
        Ok(())
    }
}

fn refused(error: ArchiveError) -> AppError {
    match error {
        ArchiveError::Busy => AppError::CopyUnderWay,
        ArchiveError::NoRoom(reason) => AppError::ShortOfRoom(reason),
        ArchiveError::Store(error) => error.into(),
    }
}
