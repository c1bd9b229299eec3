//! Reading and setting what models cost.

use serde_json::json;

use super::UsageService;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::usage::UsageWrite;
use crate::application::principal::RequestContext;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::usage::price::{PriceRow, PriceTable};
use crate::domain::version::{Version, Versioned};

impl UsageService {
    /// The prices: for administrators. Before any were set the table is empty, in version 0.
    ///
    /// # Errors
    /// The store's.
    pub async fn prices(&self, ctx: &RequestContext) -> Result<Versioned<PriceTable>, AppError> {
        let found = self.store.snapshot(ctx.tenant).await?.prices().await?;
        Ok(found.unwrap_or_else(none))
    }

    /// Replaces the prices: for administrators. What was used before keeps its cost. Prices that cannot
    /// be read any more are replaced as if there were none.
    ///
    /// # Errors
    /// `Invalid` with every row that is wrong, `VersionMismatch`.
    pub async fn set_prices(
        &self,
        ctx: &RequestContext,
        rows: Vec<PriceRow>,
    ) -> Result<Versioned<PriceTable>, AppError> {
        let table = PriceTable::new(rows)?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let (expect, before) = match self.store.snapshot(ctx.tenant).await?.prices().await {
                Ok(Some(found)) => (Expect::At(found.version), found),
                Ok(None) => (Expect::Absent, none()),
                // What cannot be read any more is replaced; the store keeps a copy aside.
                Err(StoreError::Quarantined) => (Expect::Damaged, none()),
                Err(other) => return Err(other.into()),
            };
            let actual = before.version.get();
            if let Some(expected) = ctx.if_match.filter(|read| *read != actual) {
                return Err(AppError::VersionMismatch { expected, actual });
            }
            let changed = before.value.changed(&table);
            if changed.is_empty() && expect != Expect::Damaged {
                return Ok(before);
            }
            let put = Put { expect, value: table.clone() };
            let now = self.clock.now();
            let subject = Subject { kind: SubjectKind::Tenant, id: ctx.tenant.uuid() };
            let payload = json!({ "changed": changed });
            let event = DomainEvent::new(EventType::UsagePricesUpdated, subject, now, payload);
            let audit = AuditEntry {
                at: now,
                actor: ctx.actor(),
                action: "set_prices".to_owned(),
                subject,
                ok: true,
                reason: None,
                before: None,
                after: Some(json!({ "changed": changed })),
                request_id: Some(ctx.request_id.clone()),
            };
            let set = ChangeSet::new(ctx.tenant)
                .write(Write::Usage(UsageWrite::Prices(put)))
                .events([event])
                .audit(Some(audit));
            match self.store.commit(set).await {
                Ok(_) => {
                    return Ok(Versioned { version: before.version.next(), value: table });
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }
}

/// The table before any prices were set.
fn none() -> Versioned<PriceTable> {
    Versioned { version: Version::new(0), value: PriceTable::default() }
}
