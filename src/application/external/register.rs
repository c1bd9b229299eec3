//! External agents come, get another token, and are let in.
//!
//! Invariant: a token is told once, to whoever asked for it, and is neither stored nor remembered for a
//! repetition of the request.

use serde_json::{Map, Value, json};

use super::tokens::key_of;
use super::work::Known;
use super::{ExternalService, line_of};
use crate::application::agent::{about, audit_of, registration};
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::notifier::AddressError;
use crate::application::ports::store::CommitError;
use crate::application::principal::RequestContext;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::application::session::limits::{quotas_in, to_register};
use crate::domain::agent::Agent;
use crate::domain::agent::change::differences;
use crate::domain::agent::draft::AgentDraft;
use crate::domain::canonical::sha256;
use crate::domain::eap::notice::Notice;
use crate::domain::eap::registration::Registration;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::tenant::key::{ApiKey, KeyKind, KeySecret, Role};
use crate::domain::tenant::network::Networks;
use crate::domain::tenant::registration::RegistrationMode;
use crate::domain::tenant::scope::Scopes;
use crate::domain::time::Timestamp;

/// Who brings an agent.
pub struct Registrar {
    /// Who asks, for which tenant.
    pub ctx: RequestContext,
    /// They showed an enrolment, which is used up by this.
    pub by_enrolment: bool,
}

/// An agent that was registered.
#[derive(Debug)]
pub struct Registered {
    /// The agent.
    pub agent: Agent,
    /// What it is to show from now on; nothing when it has it already.
    pub auth_token: Option<String>,
    /// What it is shown.
    pub dispatch_token: Option<String>,
}

/// A token that was replaced.
#[derive(Debug)]
pub struct Rotated {
    /// What the agent is to show from now on.
    pub auth_token: String,
    /// What it is shown from now on.
    pub dispatch_token: Option<String>,
    /// Until then the old one is accepted, too.
    pub previous_valid_until: Timestamp,
}

impl ExternalService {
    /// How agents come to a tenant.
    #[must_use]
    pub fn mode(&self, tenant: TenantId) -> Option<RegistrationMode> {
        self.identity.active_tenant(tenant).map(|tenant| tenant.registration)
    }

    /// A new agent.
    ///
    /// # Errors
    /// `Invalid`; `AgentNameTaken`; `QuotaExceeded`; `EndpointNotAllowed`; `Forbidden` when the enrolment was
    /// used.
    pub async fn register(
        &self,
        who: &Registrar,
        sent: &Registration,
    ) -> Result<Registered, AppError> {
        self.may_be_called(sent).await?;
        let ctx = &who.ctx;
        let needs_approval = self.mode(ctx.tenant) == Some(RegistrationMode::Approval);
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let now = self.clock.now();
            let (mut agent, event) = registration(&sent.draft, ctx.tenant, self.ids.as_ref(), now)?;
            agent.switches.is_approved = !needs_approval;
            let (auth_token, key) = self.new_key(&agent, ctx.actor_name(), now)?;
            let dispatch_token = self.caller.tokens.for_key(&key);
            let audit = audit_of(ctx, &agent, "register_external", now);
            let quotas = quotas_in(&*self.store.snapshot(ctx.tenant).await?).await?;
            // Whose name is taken hears of that first.
            let named = ChangeSet::new(ctx.tenant).guard(Guard::AgentNameFree(agent.name.clone()));
            let mut change = to_register(&quotas)
                .into_iter()
                .fold(named, ChangeSet::guard)
                .count(Counter::Agents, CounterChange::Add(1))
                .write(Write::Agent(Put { expect: Expect::Absent, value: agent.clone() }))
                .write(Write::ApiKey(Put { expect: Expect::Absent, value: key }))
                .events([event])
                .audit(Some(audit));
            if who.by_enrolment {
                change = self.use_up(ctx, change, now).await?;
            }
            match self.store.commit(change).await {
                Ok(_) => {
                    self.agents.pulses().hear((agent.tenant_id, agent.id), now);
                    return Ok(Registered { agent, auth_token: Some(auth_token), dispatch_token });
                }
                Err(CommitError::Stale) => {}
                Err(CommitError::Refused) => return Err(AppError::AgentNameTaken),
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// An agent says anew what it is: it keeps its id, its name and its token.
    ///
    /// # Errors
    /// `Invalid`; `AgentNotFound`; `EndpointNotAllowed`.
    pub async fn register_again(
        &self,
        who: Known,
        sent: &Registration,
    ) -> Result<Registered, AppError> {
        self.may_be_called(sent).await?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(who.tenant).await?;
            let found = snapshot.agent(who.agent).await?.ok_or(AppError::AgentNotFound)?;
            let key = snapshot.api_key(key_of(who.agent)).await?;
            drop(snapshot);
            let now = self.clock.now();
            let agent = said_anew(&found.value, &sent.draft, now)?;
            let dispatch_token = key.and_then(|key| self.caller.tokens.for_key(&key.value));
            let registered = Registered { agent: agent.clone(), auth_token: None, dispatch_token };
            // It begins anew: what it never spoke of may have been lost with its memory.
            self.desk.lay_out_again(who.agent);
            if agent == found.value {
                return Ok(registered);
            }
            let changed = differences(&found.value, &agent);
            let payload = json!({ "name": agent.name, "changed": changed, "actor": agent.name });
            let event = DomainEvent::new(EventType::AgentUpdated, about(&agent), now, payload);
            let put = Put { expect: Expect::At(found.version), value: agent };
            let change = ChangeSet::new(who.tenant).write(Write::Agent(put)).events([event]);
            match self.store.commit(change).await {
                Ok(_) => return Ok(registered),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Another token for an agent; the one before is accepted for a while. The agent is told, unless it
    /// asked for it itself.
    ///
    /// # Errors
    /// `AgentNotFound`; `KeyNotFound` for one that has no token.
    pub async fn rotate(
        &self,
        ctx: &RequestContext,
        agent: AgentId,
        by_itself: bool,
    ) -> Result<Rotated, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            let found = snapshot.agent(agent).await?.ok_or(AppError::AgentNotFound)?.value;
            let key = snapshot.api_key(key_of(agent)).await?.ok_or(AppError::KeyNotFound)?;
            drop(snapshot);
            let (now, grace) = (self.clock.now(), self.rules.token_grace);
            let auth_token = self.secret()?;
            let mut value = key.value;
            let hash = sha256(auth_token.as_bytes());
            // An agent that shows its token of before did not get the answer with the newest one.
            let shown = ctx.principal.credential.filter(|_| by_itself);
            if !shown.is_some_and(|shown| value.rotate_again(&auth_token, (hash, &shown), now)) {
                value.rotate(&auth_token, hash, now, grace);
            }
            let until = value.secrets.get(1).and_then(|before| before.expires_at);
            let previous_valid_until = until.unwrap_or(now);
            let dispatch_token = self.caller.tokens.for_key(&value);
            let payload = json!({ "name": found.name, "actor": ctx.actor_name() });
            let event = DomainEvent::new(EventType::AgentTokenRotated, about(&found), now, payload);
            let put = Put { expect: Expect::At(key.version), value };
            let set = ChangeSet::new(ctx.tenant)
                .write(Write::ApiKey(put))
                .events([event])
                .audit(Some(audit_of(ctx, &found, "rotate_token", now)));
            match self.store.commit(set).await {
                Ok(_) => {
                    if !by_itself {
                        self.desk.post(agent, Notice::RotateToken { before: previous_valid_until });
                    }
                    return Ok(Rotated { auth_token, dispatch_token, previous_valid_until });
                }
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Whether an agent with this id exists in a tenant, or in any: an agent that is not recognised is told
    /// apart from one that is not there.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_there(
        &self,
        agent: AgentId,
        within: Option<TenantId>,
    ) -> Result<bool, AppError> {
        let tenants = self.identity.tenants();
        for tenant in tenants.iter().filter(|own| within.is_none_or(|home| home == own.id)) {
            if self.store.snapshot(tenant.id).await?.agent(agent).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells an agent that it gets nothing new.
    pub fn tell_to_drain(&self, agent: &Agent) {
        if line_of(agent).is_none() {
            self.desk.post(agent.id, Notice::Drain);
        }
    }

    async fn may_be_called(&self, sent: &Registration) -> Result<(), AppError> {
        match &sent.endpoint_url {
            Some(url) => self.may_call(url, "/endpoint_url").await,
            None => Ok(()),
        }
    }

    /// Whether an agent may be called at an address, which stands there in what was sent.
    ///
    /// # Errors
    /// `Invalid`; `EndpointNotAllowed`.
    pub async fn may_call(&self, url: &str, pointer: &'static str) -> Result<(), AppError> {
        let invalid = |message: String| {
            let pointer = pointer.to_owned();
            AppError::Invalid(vec![FieldError { pointer, code: "invalid", message }])
        };
        self.caller.agents.check(url).await.map_err(|error| match error {
            AddressError::Denied(message) => AppError::EndpointNotAllowed { pointer, message },
            error @ (AddressError::Malformed(_) | AddressError::Unknown(_)) => {
                invalid(error.to_string())
            }
        })
    }

    fn secret(&self) -> Result<String, AppError> {
        self.ids.secret().map_err(|error| AppError::Internal(Box::new(error)))
    }

    /// The key of a new agent, and what opens it.
    fn new_key(
        &self,
        agent: &Agent,
        by: &str,
        now: Timestamp,
    ) -> Result<(String, ApiKey), AppError> {
        let token = self.secret()?;
        let hash = sha256(token.as_bytes());
        let key = ApiKey {
            id: key_of(agent.id),
            tenant_id: agent.tenant_id,
            kind: KeyKind::Agent,
            user_id: None,
            opened_by: None,
            name: agent.name.clone(),
            prefix: String::new(),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: Role::Viewer,
            follows: false,
            scopes: Scopes::of([]),
            is_system: false,
            networks: Networks::default(),
            invited: None,
            created_by: by.to_owned(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        Ok((token, key))
    }

    /// The same change, by which the enrolment that was shown is used up.
    async fn use_up(
        &self,
        ctx: &RequestContext,
        set: ChangeSet,
        now: Timestamp,
    ) -> Result<ChangeSet, AppError> {
        let id = ctx.principal.key;
        let found = self.store.snapshot(ctx.tenant).await?.api_key(id).await?;
        let is_open = |key: &ApiKey| key.kind == KeyKind::Enrolment && key.revoked_at.is_none();
        let found = found.filter(|found| is_open(&found.value)).ok_or(AppError::KeyRevoked)?;
        let mut key = found.value;
        key.revoked_at = Some(now);
        let subject = Subject { kind: SubjectKind::Key, id: id.uuid() };
        let payload = json!({ "prefix": key.prefix, "role": key.role, "reason": "it was used" });
        let event = DomainEvent::new(EventType::TenantKeyRevoked, subject, now, payload);
        let put = Put { expect: Expect::At(found.version), value: key };
        Ok(set
            .write(Write::ApiKey(put))
            .events([event])
            .count(Counter::ApiKeys, CounterChange::Add(-1)))
    }
}

/// An agent with what it says of itself now; what people decided about it stays.
fn said_anew(agent: &Agent, sent: &AgentDraft, now: Timestamp) -> Result<Agent, AppError> {
    if sent.name != agent.name {
        let message = format!("this token belongs to {}; its name cannot change", agent.name);
        let pointer = "/name".to_owned();
        return Err(AppError::Invalid(vec![FieldError { pointer, code: "invalid", message }]));
    }
    let known = AgentDraft::from(agent.clone());
    let capacity = sent.metadata.get("max_concurrent_capacity").and(sent.max_concurrent_capacity);
    let endpoint = |map: &Map<String, Value>| map.get("endpoint_url").cloned();
    let draft = AgentDraft {
        agent_type: sent.agent_type.or(known.agent_type),
        version: sent.version.clone().or_else(|| known.version.clone()),
        primary_capabilities: sent.primary_capabilities.clone(),
        max_concurrent_capacity: capacity.or(known.max_concurrent_capacity),
        config: endpoint(&sent.config)
            .map(|url| ("endpoint_url".to_owned(), url))
            .into_iter()
            .collect(),
        metadata: sent.metadata.clone(),
        ..known
    };
    let said = draft.accept(agent.id, agent.tenant_id, agent.created_at)?;
    let said = Agent {
        switches: agent.switches,
        removal: agent.removal.clone(),
        deleted_at: agent.deleted_at,
        created_at: agent.created_at,
        updated_at: agent.updated_at,
        ..said
    };
    if said == *agent { Ok(said) } else { Ok(Agent { updated_at: now, ..said }) }
}
