//! Tenants: made and listed by administrators of the system.
//!
//! Invariant: a tenant comes into being with its agents, in one commit.

use serde_json::json;

use super::IdentityService;
use super::settings::facts;
use crate::application::agent::registration;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Counter, CounterChange, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::principal::RequestContext;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::TenantId;
use crate::domain::tenant::{Tenant, TenantDraft};
use crate::domain::version::{Version, Versioned};

impl IdentityService {
    /// Makes a tenant.
    ///
    /// # Errors
    /// `Invalid` with every broken rule, `SlugTaken`, or the store's.
    pub async fn create_tenant(
        &self,
        ctx: &RequestContext,
        draft: TenantDraft,
    ) -> Result<Versioned<Tenant>, AppError> {
        let now = self.clock.now();
        let tenant = draft.accept(TenantId::new(self.ids.uuid()), now, &self.kept)?;
        if self.any_tenant(&tenant.slug).is_some() {
            return Err(AppError::SlugTaken);
        }
        let subject = Subject { kind: SubjectKind::Tenant, id: tenant.id.uuid() };
        let made = json!({ "slug": tenant.slug, "actor": ctx.actor_name() });
        let mut events = vec![DomainEvent::new(EventType::TenantCreated, subject, now, made)];
        let audit = AuditEntry {
            at: now,
            actor: ctx.actor(),
            action: "create_tenant".to_owned(),
            subject,
            ok: true,
            reason: None,
            before: None,
            after: Some(facts(&tenant)),
            request_id: Some(ctx.request_id.clone()),
        };
        let made = Versioned { version: Version::FIRST, value: tenant };
        let (id, tenant) = (made.value.id, made.value.clone());
        let mut set = ChangeSet::new(id)
            .write(Write::Tenant(Put { expect: Expect::Absent, value: tenant }))
            .audit(Some(audit));
        for wanted in self.built_in.iter() {
            let (agent, event) = registration(wanted, id, self.ids.as_ref(), now)?;
            let put = Put { expect: Expect::Absent, value: agent };
            set = set.write(Write::Agent(put)).count(Counter::Agents, CounterChange::Add(1));
            events.push(event);
        }
        match self.store.commit(set.events(events)).await {
            Ok(_) => {}
            Err(CommitError::Refused) => return Err(AppError::SlugTaken),
            Err(error) => return Err(error.into()),
        }
        self.tenants.note(&made);
        Ok(made)
    }

    /// The tenants in order of creation behind `after`, inactive ones too.
    ///
    /// # Errors
    /// The store's.
    pub async fn all_tenants(
        &self,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Tenant>>, AppError> {
        let mut all = self.store.fleet().await?.tenants().await?;
        all.sort_by_key(|tenant| tenant.value.id);
        all.retain(|tenant| after.is_none_or(|after| tenant.value.id > after));
        all.truncate(limit);
        Ok(all)
    }
}
