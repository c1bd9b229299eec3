//! Registering agents.

use serde_json::{Value, json};

use super::query::AgentView;
use super::{AgentService, registration};
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::store::CommitError;
use crate::application::principal::{RequestContext, Subject};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::application::session::limits::{quotas_in, to_register};
use crate::domain::agent::draft::AgentDraft;
use crate::domain::agent::{Agent, AgentKind, config};
use crate::domain::audit::AuditEntry;
use crate::domain::event::{Subject as About, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

impl AgentService {
    /// A new agent.
    ///
    /// # Errors
    /// `Invalid`; `AgentNameTaken`; `QuotaExceeded`.
    pub async fn register(
        &self,
        ctx: &RequestContext,
        draft: &AgentDraft,
    ) -> Result<AgentView, AppError> {
        if draft.kind == AgentKind::Eap {
            let message = "an external agent registers itself".to_owned();
            let pointer = "/kind".to_owned();
            return Err(AppError::Invalid(vec![FieldError { pointer, code: "invalid", message }]));
        }
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let now = self.clock.now();
            let (agent, event) = registration(draft, ctx.tenant, self.ids.as_ref(), now)?;
            self.must_be_allowed(&agent)?;
            let entry = Audited { action: "register", after: Some(&agent), ..Audited::default() };
            let audit = self.audit(ctx, &agent, &entry);
            let view = self.view(Versioned { version: Version::FIRST, value: agent.clone() });
            let view = AgentView { performance: Some(Box::default()), ..view };
            let quotas = quotas_in(&*self.store.snapshot(ctx.tenant).await?).await?;
            // Whose name is taken hears of that first.
            let named = ChangeSet::new(ctx.tenant).guard(Guard::AgentNameFree(agent.name.clone()));
            let set = to_register(&quotas)
                .into_iter()
                .fold(named, ChangeSet::guard)
                .count(Counter::Agents, CounterChange::Add(1))
                .write(Write::Agent(Put { expect: Expect::Absent, value: agent }))
                .events([event])
                .audit(Some(audit))
                .remember(ctx.remembered(&Subject::Agent(&view), now));
            match self.store.commit(set).await {
                Ok(_) => {
                    self.tell(&view.agent.value, None);
                    return Ok(view);
                }
                Err(CommitError::Stale) => {}
                Err(CommitError::Refused) => return Err(AppError::AgentNameTaken),
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// What is put on record of a command about an agent.
    pub(super) fn audit(
        &self,
        ctx: &RequestContext,
        agent: &Agent,
        what: &Audited<'_>,
    ) -> AuditEntry {
        let Audited { action, reason, before, after } = what;
        AuditEntry {
            reason: reason.map(str::to_owned),
            before: before.map(facts),
            after: after.map(facts),
            ..audit_of(ctx, agent, action, self.clock.now())
        }
    }
}

/// What is put on record of a command about an agent that stands so after it.
#[must_use]
pub fn audit_of(ctx: &RequestContext, agent: &Agent, action: &str, now: Timestamp) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: ctx.actor(),
        action: action.to_owned(),
        subject: About { kind: SubjectKind::Agent, id: agent.id.uuid() },
        ok: true,
        reason: None,
        before: None,
        after: Some(facts(agent)),
        request_id: Some(ctx.request_id.clone()),
    }
}

/// A command about an agent, for the audit.
#[derive(Default)]
pub(super) struct Audited<'a> {
    pub(super) action: &'static str,
    pub(super) reason: Option<&'a str>,
    pub(super) before: Option<&'a Agent>,
    pub(super) after: Option<&'a Agent>,
}

impl Audited<'_> {
    /// A command that changes nothing of what was registered.
    pub(super) fn of(action: &'static str) -> Self {
        Self { action, ..Self::default() }
    }
}

/// What the audit keeps of an agent: nothing that could be a secret.
fn facts(agent: &Agent) -> Value {
    json!({
        "name": agent.name, "kind": agent.kind, "version": agent.version,
        "agent_type": agent.profile.agent_type,
        "capabilities": agent.profile.capabilities(),
        "max_concurrent_capacity": agent.profile.max_concurrent_capacity,
        "model_identifier": agent.behavior.model_identifier,
        "config": config::shown(&agent.config),
        "is_active": agent.switches.is_active,
        "maintenance_mode": agent.switches.in_maintenance,
        "draining": agent.switches.is_draining,
        "removal_due_at": agent.removal.as_ref().map(|removal| removal.due),
        "deleted_at": agent.deleted_at,
    })
}
