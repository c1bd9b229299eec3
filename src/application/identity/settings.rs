//! Reading a tenant, and setting its name, its share and how long it has its things kept.

use serde_json::{Value, json};

use super::IdentityService;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::principal::RequestContext;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::FieldErrors;
use crate::domain::ids::TenantId;
use crate::domain::tenant::joining::JoinMode;
use crate::domain::tenant::registration::RegistrationMode;
use crate::domain::tenant::retention::{Retention, RetentionName};
use crate::domain::tenant::right::Lack;
use crate::domain::tenant::{Tenant, checked_name, checked_weight};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// What is to become different of a tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TenantPatch {
    /// For people, 2–100 characters.
    pub name: Option<String>,
    /// Its share of the instance, 0.1–100.
    pub weight: Option<f64>,
    /// How people come to it.
    pub joining: Option<JoinMode>,
    /// How external agents come to it.
    pub registration: Option<RegistrationMode>,
    /// How long its things are kept, `None` as the server says.
    pub retention: Vec<(RetentionName, Option<u32>)>,
    /// Whether anybody may work with it.
    pub is_active: Option<bool>,
}

impl IdentityService {
    /// The caller's own tenant; system administrators see every one.
    ///
    /// # Errors
    /// `TenantNotFound`, or the store's.
    pub async fn tenant_as_it_is(
        &self,
        ctx: &RequestContext,
        reference: &str,
    ) -> Result<Versioned<Tenant>, AppError> {
        let id = self.within_reach(ctx, reference)?;
        self.store.snapshot(id).await?.tenant().await?.ok_or(AppError::TenantNotFound)
    }

    /// Changes a tenant: for its administrators; its share, which is one of others too, and whether it
    /// is active, for those of the system. The scheduler reads both with the next look.
    ///
    /// # Errors
    /// `Forbidden`, `TenantNotFound`, `Invalid`, `VersionMismatch`.
    pub async fn change_tenant(
        &self,
        ctx: &RequestContext,
        reference: &str,
        patch: &TenantPatch,
    ) -> Result<Versioned<Tenant>, AppError> {
        if (patch.weight.is_some() || patch.is_active.is_some()) && !ctx.principal.is_system {
            return Err(Lack::System.into());
        }
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.tenant_as_it_is(ctx, reference).await?;
            if let Some(expected) = ctx.if_match.filter(|read| *read != found.version.get()) {
                return Err(AppError::VersionMismatch { expected, actual: found.version.get() });
            }
            let now = self.clock.now();
            let tenant = apply(&found.value, patch, &self.kept, now)?;
            let changed = changed(&found.value, &tenant);
            if changed.is_empty() {
                return Ok(found);
            }
            let subject = Subject { kind: SubjectKind::Tenant, id: tenant.id.uuid() };
            let payload = json!({ "changed": changed });
            let mut events =
                vec![DomainEvent::new(EventType::TenantUpdated, subject, now, payload)];
            if tenant.is_active != found.value.is_active {
                let kind = if tenant.is_active {
                    EventType::TenantActivated
                } else {
                    EventType::TenantDeactivated
                };
                let actor = json!({ "actor": ctx.actor_name() });
                events.push(DomainEvent::new(kind, subject, now, actor));
            }
            let side = |tenant: &Tenant| Some(facts(tenant));
            let audit = AuditEntry {
                at: now,
                actor: ctx.actor(),
                action: "update_tenant".to_owned(),
                subject,
                ok: true,
                reason: None,
                before: side(&found.value),
                after: side(&tenant),
                request_id: Some(ctx.request_id.clone()),
            };
            let put = Put { expect: Expect::At(found.version), value: tenant.clone() };
            let set = ChangeSet::new(tenant.id)
                .write(Write::Tenant(put))
                .events(events)
                .audit(Some(audit));
            match self.store.commit(set).await {
                Ok(_) => {
                    let made = Versioned { version: found.version.next(), value: tenant };
                    self.tenants.note(&made);
                    return Ok(made);
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }
}

fn apply(
    tenant: &Tenant,
    patch: &TenantPatch,
    kept: &Retention,
    now: Timestamp,
) -> Result<Tenant, AppError> {
    let (mut tenant, mut errors) = (tenant.clone(), FieldErrors::default());
    if let Some(name) = &patch.name {
        tenant.name = checked_name(name, &mut errors);
    }
    tenant.weight = checked_weight(patch.weight, &mut errors).unwrap_or(tenant.weight);
    tenant.joining = patch.joining.unwrap_or(tenant.joining);
    tenant.registration = patch.registration.unwrap_or(tenant.registration);
    tenant.retention = tenant.retention.with(&patch.retention, kept, &mut errors);
    tenant.set_active(patch.is_active.unwrap_or(tenant.is_active), now);
    if tenant.id == TenantId::BOOTSTRAP && !tenant.is_active {
        let rule = "must stay true: the first tenant holds the keys of the system";
        errors.add("/is_active", "invalid", rule);
    }
    Ok(errors.into_result(tenant)?)
}

fn changed(before: &Tenant, after: &Tenant) -> Vec<&'static str> {
    let differs = [
        ("name", before.name != after.name),
        ("settings.weight", before.weight != after.weight),
        ("settings.join_mode", before.joining != after.joining),
        ("settings.registration_mode", before.registration != after.registration),
        ("settings.retention", before.retention != after.retention),
        ("is_active", before.is_active != after.is_active),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// What the audit keeps of a tenant.
pub(super) fn facts(tenant: &Tenant) -> Value {
    json!({
        "slug": tenant.slug, "name": tenant.name, "is_active": tenant.is_active,
        "weight": tenant.weight.number(), "join_mode": tenant.joining,
        "registration_mode": tenant.registration,
        "retention": days(tenant),
    })
}

fn days(tenant: &Tenant) -> Value {
    let named = |name: &RetentionName| (name.to_string(), json!(tenant.retention.get(*name)));
    RetentionName::ALL.iter().map(named).collect()
}
