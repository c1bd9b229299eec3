//! Holding and releasing admissions: of the instance, of a tenant, of an agent.
//!
//! Holds are kept with the tenant that they concern, those of the instance with the bootstrap
//! tenant, so that they survive a restart and are read with the tenants.
//!
//! Invariant: once a hold is answered, nothing is given out against it: the scheduler knows of it, and
//! no grant that was decided before it is committed after it.

use std::sync::Arc;

use serde_json::json;

use super::Queue;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::clock::Clock;
use crate::application::ports::store::{CommitError, Store};
use crate::application::principal::RequestContext;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::schedule::hold::{HOLDS, Held, Hold, HoldScope};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::Role;
use crate::domain::tenant::right::Lack;
use crate::domain::version::Versioned;

/// What a caller wants held or released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// How far it reaches.
    pub scope: HoldScope,
    /// The agent, by id or name, when the scope is one.
    pub agent: Option<String>,
    /// Why, for people and the audit.
    pub reason: Option<String>,
}

/// A hold with the name of what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedHold {
    /// The hold.
    pub hold: Hold,
    /// Name of the agent; `None` for one that is no longer registered, and for other scopes.
    pub agent_name: Option<String>,
}

/// The use cases of admissions.
#[derive(Clone)]
pub struct AdmissionService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    queue: Queue,
}

impl AdmissionService {
    /// Use cases over the store; the queue learns of every change.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, queue: Queue) -> Self {
        Self { store, clock, queue }
    }

    /// Every hold that concerns the tenant: of the instance, its own, those of its agents.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, ctx: &RequestContext) -> Result<Vec<NamedHold>, AppError> {
        let tenants = self.store.fleet().await?.tenants().await?;
        let agents = self.store.snapshot(ctx.tenant).await?.agents().await?;
        let mut holds: Vec<Hold> = Vec::new();
        for Versioned { value: tenant, .. } in &tenants {
            let concerns = |hold: &&Hold| {
                tenant.id == ctx.tenant && hold.held != Held::Instance
                    || tenant.id == TenantId::BOOTSTRAP && hold.held == Held::Instance
            };
            holds.extend(tenant.holds.iter().filter(concerns).cloned());
        }
        holds.sort_by_key(|hold| hold.held);
        let named = |hold: Hold| {
            let agent_name = agents.iter().find(|agent| hold.held == Held::Agent(agent.value.id));
            NamedHold { agent_name: agent_name.map(|agent| agent.value.name.clone()), hold }
        };
        Ok(holds.into_iter().map(named).collect())
    }

    /// Holds admissions. What is held already stays held as it was: reason, time and person are
    /// those of the first.
    ///
    /// # Errors
    /// `Forbidden`, `AgentNotFound`, `Invalid`; the store's.
    pub async fn hold(
        &self,
        ctx: &RequestContext,
        wanted: &Admission,
    ) -> Result<Vec<NamedHold>, AppError> {
        self.change(ctx, wanted, "hold", |tenant, held| {
            if tenant.holds.iter().any(|hold| hold.held == held) {
                return Ok(false);
            }
            if tenant.holds.len() >= HOLDS {
                let (limit, used) = (HOLDS as u64, tenant.holds.len() as u64);
                return Err(AppError::QuotaExceeded { quota: "held_admissions", limit, used });
            }
            let by = ctx.actor_name().to_owned();
            let (reason, since) = (wanted.reason.clone(), self.clock.now());
            tenant.holds.push(Hold { held, reason, since, by });
            Ok(true)
        })
        .await
    }

    /// Releases admissions; what is not held stays so.
    ///
    /// # Errors
    /// As `hold`.
    pub async fn release(
        &self,
        ctx: &RequestContext,
        wanted: &Admission,
    ) -> Result<Vec<NamedHold>, AppError> {
        self.change(ctx, wanted, "release", |tenant, held| {
            let before = tenant.holds.len();
            tenant.holds.retain(|hold| hold.held != held);
            Ok(tenant.holds.len() < before)
        })
        .await
    }

    async fn change(
        &self,
        ctx: &RequestContext,
        wanted: &Admission,
        action: &str,
        decide: impl Fn(&mut Tenant, Held) -> Result<bool, AppError> + Send,
    ) -> Result<Vec<NamedHold>, AppError> {
        allow(ctx, wanted.scope)?;
        let (owner, held) = self.subject(ctx, wanted, action).await?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let tenants = self.store.fleet().await?.tenants().await?;
            let found = tenants.into_iter().find(|tenant| tenant.value.id == owner);
            let Some(Versioned { version, value: before }) = found else {
                return Err(AppError::Contended);
            };
            let mut tenant = before.clone();
            if !decide(&mut tenant, held)? {
                return self.list(ctx).await;
            }
            let put = Put { expect: Expect::At(version), value: tenant };
            let set = ChangeSet::new(owner)
                .write(Write::Tenant(put))
                .events([self.event(ctx, wanted, action, owner, held)])
                .audit(Some(self.audit(ctx, wanted, action, owner, held)));
            // No grant that was decided before is committed after this.
            let granting = self.queue.granting().await;
            match self.store.commit(set).await {
                Ok(_) => {
                    self.queue.read_tenants(self.store.as_ref(), self.clock.now()).await?;
                    drop(granting);
                    return self.list(ctx).await;
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Whose hold it is, and of what.
    async fn subject(
        &self,
        ctx: &RequestContext,
        wanted: &Admission,
        action: &str,
    ) -> Result<(TenantId, Held), AppError> {
        let wrong = |code, message: &str| {
            let pointer = "/agent".to_owned();
            AppError::Invalid(vec![FieldError { pointer, code, message: message.to_owned() }])
        };
        match (wanted.scope, &wanted.agent) {
            (HoldScope::Instance, None) => Ok((TenantId::BOOTSTRAP, Held::Instance)),
            (HoldScope::Tenant, None) => Ok((ctx.tenant, Held::Tenant)),
            (HoldScope::Agent, Some(reference)) => {
                let agents = self.store.snapshot(ctx.tenant).await?.agents().await?;
                let agent = agents.iter().find(|agent| agent.value.is_called(reference));
                let known = agent.map(|agent| agent.value.id);
                // A hold outlives its agent: it is released by the agent's id.
                let id =
                    known.or_else(|| AgentId::parse(reference).filter(|_| action == "release"));
                Ok((ctx.tenant, Held::Agent(id.ok_or(AppError::AgentNotFound)?)))
            }
            (HoldScope::Agent, None) => Err(wrong("required", "is required with this scope")),
            (HoldScope::Instance | HoldScope::Tenant, Some(_)) => {
                Err(wrong("invalid", "goes with the scope agent only"))
            }
        }
    }

    fn event(
        &self,
        ctx: &RequestContext,
        wanted: &Admission,
        action: &str,
        owner: TenantId,
        held: Held,
    ) -> DomainEvent {
        let event_type = if action == "hold" {
            EventType::TenantAdmissionsHeld
        } else {
            EventType::TenantAdmissionsReleased
        };
        let payload = json!({
            "scope": wanted.scope, "agent_id": agent_of(held), "reason": wanted.reason,
            "actor": ctx.actor_name(),
        });
        DomainEvent::new(event_type, subject_of(owner), self.clock.now(), payload)
    }

    fn audit(
        &self,
        ctx: &RequestContext,
        wanted: &Admission,
        action: &str,
        owner: TenantId,
        held: Held,
    ) -> AuditEntry {
        let was = json!({ "scope": wanted.scope, "agent_id": agent_of(held) });
        let (before, after) = if action == "hold" { (None, Some(was)) } else { (Some(was), None) };
        AuditEntry {
            at: self.clock.now(),
            actor: ctx.actor(),
            action: format!("admissions.{action}"),
            subject: subject_of(owner),
            ok: true,
            reason: wanted.reason.clone(),
            before,
            after,
            request_id: Some(ctx.request_id.clone()),
        }
    }
}

fn subject_of(tenant: TenantId) -> Subject {
    Subject { kind: SubjectKind::Tenant, id: tenant.uuid() }
}

const fn agent_of(held: Held) -> Option<AgentId> {
    match held {
        Held::Agent(id) => Some(id),
        Held::Instance | Held::Tenant => None,
    }
}

/// A lead for an agent, an administrator for a tenant, a system administrator for the instance.
fn allow(ctx: &RequestContext, scope: HoldScope) -> Result<(), AppError> {
    match scope {
        HoldScope::Agent => ctx.require(Role::Lead),
        HoldScope::Tenant => ctx.require(Role::Admin),
        HoldScope::Instance if ctx.principal.is_system => ctx.require(Role::Admin),
        HoldScope::Instance => Err(Lack::System.into()),
    }
}
