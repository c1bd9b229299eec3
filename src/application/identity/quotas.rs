//! Reading and setting what a tenant may have.

use serde_json::{Map, Value, json};

use super::IdentityService;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::principal::RequestContext;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::application::session::limits::{bounds_in, counter_of};
use crate::domain::audit::AuditEntry;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::TenantId;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::quotas::{QuotaChange, QuotaName, Quotas};
use crate::domain::tenant::right::Lack;
use crate::domain::usage::month::Purse;
use crate::domain::usage::period::Month;
use crate::domain::version::Versioned;

/// The quotas of a tenant, and what is used of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaReport {
    /// Whose.
    pub tenant: TenantId,
    /// The bounds.
    pub quotas: Quotas,
    /// What is used of those that are counted in the store.
    pub used: Vec<(QuotaName, u64)>,
}

impl IdentityService {
    /// The quotas of a tenant and what is used of them.
    ///
    /// # Errors
    /// `TenantNotFound`, or the store's.
    pub async fn quotas(
        &self,
        ctx: &RequestContext,
        reference: &str,
    ) -> Result<QuotaReport, AppError> {
        let tenant = self.within_reach(ctx, reference)?;
        self.report(tenant).await
    }

    /// Replaces the quotas that are named: for system administrators.
    ///
    /// # Errors
    /// `TenantNotFound`, `Invalid` with every bound that is wrong.
    pub async fn set_quotas(
        &self,
        ctx: &RequestContext,
        reference: &str,
        wanted: &[(QuotaName, Option<u64>)],
    ) -> Result<QuotaReport, AppError> {
        let id = self.within_reach(ctx, reference)?;
        self.replace(ctx, id, wanted).await
    }

    /// What the caller's tenant may use this month, and has used: for its administrators.
    ///
    /// # Errors
    /// The store's.
    pub async fn budgets(&self, ctx: &RequestContext) -> Result<Purse, AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        Ok(bounds_in(&*snapshot, self.clock.now()).await?.purse)
    }

    /// Replaces bounds of the month: the budget is a matter of the tenant's administrators, the
    /// quota of tokens one of system administrators.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`.
    pub async fn set_budgets(
        &self,
        ctx: &RequestContext,
        wanted: &[(QuotaName, Option<u64>)],
    ) -> Result<Purse, AppError> {
        let own = |name: &QuotaName| *name == QuotaName::MonthlyBudgetUsd;
        if !ctx.principal.is_system && !wanted.iter().all(|(name, _)| own(name)) {
            return Err(Lack::System.into());
        }
        self.replace(ctx, ctx.tenant, wanted).await?;
        self.budgets(ctx).await
    }

    async fn replace(
        &self,
        ctx: &RequestContext,
        id: TenantId,
        wanted: &[(QuotaName, Option<u64>)],
    ) -> Result<QuotaReport, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.store.snapshot(id).await?.tenant().await?;
            let found = found.ok_or(AppError::TenantNotFound)?;
            if let Some(expected) = ctx.if_match.filter(|read| *read != found.version.get()) {
                return Err(AppError::VersionMismatch { expected, actual: found.version.get() });
            }
            let (quotas, changes) = found.value.quotas.with(wanted)?;
            if changes.is_empty() {
                return self.report(id).await;
            }
            let tenant = Tenant { quotas, ..found.value };
            let made = Versioned { version: found.version.next(), value: tenant.clone() };
            let put = Put { expect: Expect::At(found.version), value: tenant };
            let set = self.told(ctx, id, &changes).write(Write::Tenant(put));
            match self.store.commit(set).await {
                Ok(_) => {
                    self.tenants.note(&made);
                    return self.report(id).await;
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// The events and the audit entry of a change.
    fn told(&self, ctx: &RequestContext, id: TenantId, changes: &[QuotaChange]) -> ChangeSet {
        let now = self.clock.now();
        let subject = Subject { kind: SubjectKind::Tenant, id: id.uuid() };
        let events = changes.iter().map(|QuotaChange { quota, old, new }| {
            let figure = |bound: &Option<u64>| bound.map(|bound| quota.figure(bound));
            let payload = json!({ "quota": quota, "old": figure(old), "new": figure(new) });
            DomainEvent::new(EventType::TenantQuotaChanged, subject, now, payload)
        });
        let side = |pick: fn(&QuotaChange) -> Option<u64>| {
            let figure = |one: &QuotaChange| json!(pick(one).map(|bound| one.quota.figure(bound)));
            let members = changes.iter().map(|one| (one.quota.to_string(), figure(one)));
            Some(Value::Object(members.collect::<Map<_, _>>()))
        };
        ChangeSet::new(id).events(events).audit(Some(AuditEntry {
            at: now,
            actor: ctx.actor(),
            action: "set_quotas".to_owned(),
            subject,
            ok: true,
            reason: None,
            before: side(|one| one.old),
            after: side(|one| one.new),
            request_id: Some(ctx.request_id.clone()),
        }))
    }

    async fn report(&self, tenant: TenantId) -> Result<QuotaReport, AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        let found = snapshot.tenant().await?.ok_or(AppError::TenantNotFound)?;
        let (month, mut used) = (Month::of(self.clock.now()), Vec::new());
        for quota in QuotaName::ALL {
            let Some(counter) = counter_of(*quota, month) else { continue };
            let count = snapshot.counter(counter).await?;
            used.push((*quota, u64::try_from(count).unwrap_or(0).div_ceil(quota.unit())));
        }
        Ok(QuotaReport { tenant, quotas: found.value.quotas, used })
    }

    /// The tenant that a path names; others than the caller's own do not exist for most callers.
    ///
    /// # Errors
    /// `TenantNotFound`.
    pub fn within_reach(
        &self,
        ctx: &RequestContext,
        reference: &str,
    ) -> Result<TenantId, AppError> {
        let found = if ctx.principal.is_system {
            self.any_tenant(reference)
        } else {
            self.tenant(reference).filter(|tenant| tenant.id == ctx.tenant)
        };
        found.map(|tenant| tenant.id).ok_or(AppError::TenantNotFound)
    }
}
