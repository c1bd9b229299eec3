//! Removing agents: at once, or when they have ended what they work on.
//!
//! Invariant: an agent that is to be removed is first closed for anything new, in a commit that every
//! later grant sees; only then is it asked whether it still works on something.

use serde_json::json;

use super::AgentService;
use super::change::{about, same_version, updated};
use super::query::AgentView;
use super::register::Audited;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Counter, CounterChange, Expect, Put, Write};
use crate::application::ports::reads::{SessionFilter, SessionQuery};
use crate::application::principal::{RequestContext, Subject};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::agent::Agent;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Sessions that are read at once.
const PAGE: usize = 200;

/// How an agent is to go.
#[derive(Debug, Clone)]
pub struct Departure {
    /// It ends what it works on first, for an hour at most.
    pub graceful: bool,
    /// Why.
    pub reason: Option<String>,
}

impl AgentService {
    /// Removes an agent, or lets it end what it works on and go then.
    ///
    /// # Errors
    /// `AgentNotFound`, `AgentBuiltIn`, `VersionMismatch`.
    pub async fn remove(
        &self,
        ctx: &RequestContext,
        reference: &str,
        wanted: &Departure,
    ) -> Result<AgentView, AppError> {
        let mut own: Option<Versioned<Agent>> = None;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = match &own {
                None => self.find(ctx.tenant, reference).await?,
                Some(left) => match self.find(ctx.tenant, &left.value.id.to_string()).await {
                    Err(AppError::AgentNotFound) => return self.seen_off(ctx, left).await,
                    found => found?,
                },
            };
            if own.as_ref().is_none_or(|left| left.version != found.version) {
                same_version(ctx, found.version)?;
            }
            self.may_go(&found.value)?;
            let now = self.clock.now();
            let reason = wanted.reason.as_deref();
            if wanted.graceful && found.value.removal.is_none() {
                let mut agent = found.value.clone();
                let changed = agent.depart(wanted.reason.clone(), now);
                let (before, after) = (Some(&found.value), Some(&agent));
                let what = Audited { action: "deregister", reason, before, after };
                let set = ChangeSet::new(ctx.tenant)
                    .audit(Some(self.audit(ctx, &agent, &what)))
                    .events([updated(&agent, &changed, ctx.actor_name(), now)])
                    .write(Write::Agent(Put {
                        expect: Expect::At(found.version),
                        value: agent.clone(),
                    }));
                if self.tried(set).await? {
                    self.tell(&agent, None);
                    own = Some(Versioned { version: found.version.next(), value: agent });
                }
                continue;
            }
            if wanted.graceful && self.is_at_work(ctx.tenant, found.value.id).await? {
                let view = self.with_figures(self.view(found)).await?;
                let remembered = ctx.remembered(&Subject::Agent(&view), now);
                if remembered.is_none()
                    || self.tried(ChangeSet::new(ctx.tenant).remember(remembered)).await?
                {
                    return Ok(view);
                }
                continue;
            }
            let (mut set, gone) = removal(&found, wanted.graceful, reason, now);
            let view = self.with_figures(self.view(gone)).await?;
            if !wanted.graceful {
                let (before, after) = (Some(&found.value), Some(&view.agent.value));
                let what = Audited { action: "deregister", reason, before, after };
                set = set.audit(Some(self.audit(ctx, &found.value, &what)));
            }
            let set = set.remember(ctx.remembered(&Subject::Agent(&view), now));
            if self.tried(set).await? {
                self.tell(&view.agent.value, None);
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    /// Whoever looks after departures was faster, and the agent is gone.
    async fn seen_off(
        &self,
        ctx: &RequestContext,
        left: &Versioned<Agent>,
    ) -> Result<AgentView, AppError> {
        let now = self.clock.now();
        let (_, gone) = removal(left, true, None, now);
        let view = self.with_figures(self.view(gone)).await?;
        if let Some(answer) = ctx.remembered(&Subject::Agent(&view), now) {
            self.store.commit(ChangeSet::new(ctx.tenant).remember(Some(answer))).await?;
        }
        Ok(view)
    }

    fn may_go(&self, agent: &Agent) -> Result<(), AppError> {
        if !self.built_in.contains(&agent.name) {
            return Ok(());
        }
        Err(AppError::AgentBuiltIn {
            name: agent.name.clone(),
            what: "it would be registered again at the next start".to_owned(),
        })
    }

    /// Removes the agents of a tenant that were to go and work on nothing any more, or whose time is over;
    /// whether one is still waited for.
    ///
    /// # Errors
    /// The store's.
    pub async fn see_off(&self, tenant: TenantId) -> Result<bool, AppError> {
        let agents = self.store.snapshot(tenant).await?.agents().await?;
        let mut waits = false;
        for found in agents {
            let Some(leaving) = found.value.removal.clone() else { continue };
            let now = self.clock.now();
            let in_time = now < leaving.due;
            if in_time && self.is_at_work(tenant, found.value.id).await? {
                waits = true;
                continue;
            }
            let (set, _) = removal(&found, in_time, leaving.reason.as_deref(), now);
            // Whoever was first changed it: it is looked at again.
            waits |= !self.tried(set).await?;
        }
        Ok(waits)
    }

    /// Sessions of a tenant that are worked on, and by whom.
    ///
    /// # Errors
    /// The store's.
    pub async fn at_work(&self, tenant: TenantId) -> Result<Vec<(SessionId, AgentId)>, AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let statuses = vec![SessionStatus::Running, SessionStatus::Degraded];
            let filter = SessionFilter { statuses, ..SessionFilter::default() };
            let query = SessionQuery { filter, after, limit: PAGE, ..SessionQuery::default() };
            let page = snapshot.sessions(query).await?;
            found.extend(page.items.iter().filter_map(|session| {
                let lease = session.value.run.lease.as_ref()?;
                Some((session.value.id, lease.agent_id))
            }));
            if page.next.is_none() {
                return Ok(found);
            }
            after = page.next;
        }
    }

    async fn is_at_work(&self, tenant: TenantId, agent: AgentId) -> Result<bool, AppError> {
        Ok(self.at_work(tenant).await?.iter().any(|(_, by)| *by == agent))
    }
}

/// The change that removes an agent, and the agent as it then stands.
fn removal(
    found: &Versioned<Agent>,
    graceful: bool,
    reason: Option<&str>,
    now: Timestamp,
) -> (ChangeSet, Versioned<Agent>) {
    let mut agent = found.value.clone();
    agent.remove(now);
    let payload = json!({ "name": agent.name, "reason": reason, "graceful": graceful });
    let event = DomainEvent::new(EventType::AgentDeregistered, about(&agent), now, payload);
    let put = Put { expect: Expect::At(found.version), value: agent.clone() };
    let set = ChangeSet::new(agent.tenant_id)
        .write(Write::Agent(put))
        .count(Counter::Agents, CounterChange::Add(-1))
        .events([event]);
    (set, Versioned { version: found.version.next(), value: agent })
}
