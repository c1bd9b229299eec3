//! Changing registered agents: their fields and their switches, and looking at them anew.

use std::time::Duration;

use serde_json::json;

use super::query::AgentView;
use super::register::Audited;
use super::{AgentService, Endpoint};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::principal::{RequestContext, Subject};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::agent::Agent;
use crate::domain::agent::change::AgentPatch;
use crate::domain::event::{DomainEvent, EventType, Subject as About, SubjectKind};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// Longest time of a probe that somebody waits for.
const ASKED_TIME: Duration = Duration::from_secs(20);

/// What may be changed of agents that come from the settings, which say all else anew at each start.
const KEPT: [&str; 2] = ["is_active", "metadata"];

impl AgentService {
    /// Changes what may change.
    ///
    /// # Errors
    /// `Invalid`, `AgentNotFound`, `AgentBuiltIn`, `VersionMismatch`.
    pub async fn update(
        &self,
        ctx: &RequestContext,
        reference: &str,
        patch: &AgentPatch,
    ) -> Result<AgentView, AppError> {
        let decide = |agent: &mut Agent, now| {
            let changed = agent.change(patch.clone(), now)?;
            let foreign: Vec<&str> =
                changed.iter().filter(|name| !KEPT.contains(name)).copied().collect();
            if self.built_in.contains(&agent.name) && !foreign.is_empty() {
                return Err(AppError::AgentBuiltIn {
                    name: agent.name.clone(),
                    what: format!("they say what its {} is", foreign.join(", ")),
                });
            }
            if changed.contains(&"config") {
                self.must_be_allowed(agent)?;
            }
            Ok(changed)
        };
        self.changed(ctx, reference, "update", decide).await
    }

    /// Lets it end what it has and gives it nothing new, or takes it up again.
    ///
    /// # Errors
    /// `AgentNotFound`, `VersionMismatch`.
    pub async fn drain(
        &self,
        ctx: &RequestContext,
        reference: &str,
        on: bool,
    ) -> Result<AgentView, AppError> {
        let action = if on { "drain" } else { "undrain" };
        self.changed(ctx, reference, action, |agent, now| Ok(agent.drain(on, now))).await
    }

    /// Gives it nothing new while it is worked on, or takes it up again.
    ///
    /// # Errors
    /// `AgentNotFound`, `VersionMismatch`.
    pub async fn maintain(
        &self,
        ctx: &RequestContext,
        reference: &str,
        on: bool,
    ) -> Result<AgentView, AppError> {
        let decide = |agent: &mut Agent, now| Ok(agent.maintain(on, now));
        self.changed(ctx, reference, "maintenance", decide).await
    }

    /// Lets it in.
    ///
    /// # Errors
    /// `AgentNotFound`, `VersionMismatch`.
    pub async fn approve(
        &self,
        ctx: &RequestContext,
        reference: &str,
    ) -> Result<AgentView, AppError> {
        self.changed(ctx, reference, "approve", |agent, now| Ok(agent.approve(now))).await
    }

    /// Asks now whether it could work.
    ///
    /// # Errors
    /// `AgentNotFound`.
    pub async fn probe_now(
        &self,
        ctx: &RequestContext,
        reference: &str,
    ) -> Result<AgentView, AppError> {
        let found = self.find(ctx.tenant, reference).await?;
        same_version(ctx, found.version)?;
        let endpoint = Endpoint::of(&found.value);
        if endpoint.kind.is_asked() && self.driver(endpoint.kind).is_some() {
            self.probed().entry(endpoint.clone()).or_default();
            self.probe_one(endpoint, ASKED_TIME).await;
        }
        let what = Audited { action: "probe", ..Audited::default() };
        let audit = self.audit(ctx, &found.value, &what);
        let view = self.with_figures(self.view(found)).await?;
        let set = ChangeSet::new(ctx.tenant)
            .audit(Some(audit))
            .remember(ctx.remembered(&Subject::Agent(&view), self.clock.now()));
        self.store.commit(set).await?;
        self.tell(&view.agent.value, None);
        Ok(view)
    }

    /// Reads, lets `decide` change the agent, commits; decides again when the race was lost.
    async fn changed(
        &self,
        ctx: &RequestContext,
        reference: &str,
        action: &'static str,
        mut decide: impl FnMut(&mut Agent, Timestamp) -> Result<Vec<&'static str>, AppError> + Send,
    ) -> Result<AgentView, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.find(ctx.tenant, reference).await?;
            same_version(ctx, found.version)?;
            let (now, mut agent) = (self.clock.now(), found.value.clone());
            let changed = decide(&mut agent, now)?;
            let is_changed = !changed.is_empty();
            let version = if is_changed { found.version.next() } else { found.version };
            let view = self.view(Versioned { version, value: agent.clone() });
            let view = self.with_figures(view).await?;
            let remembered = ctx.remembered(&Subject::Agent(&view), now);
            if !is_changed && remembered.is_none() {
                return Ok(view);
            }
            let mut set = ChangeSet::new(ctx.tenant).remember(remembered);
            if is_changed {
                let (before, after) = (Some(&found.value), Some(&agent));
                let what = Audited { action, before, after, ..Audited::default() };
                let is_approved = changed.contains(&"approved");
                let approved = is_approved.then(|| approved(&agent, ctx.actor_name(), now));
                set = set
                    .audit(Some(self.audit(ctx, &agent, &what)))
                    .events([updated(&agent, &changed, ctx.actor_name(), now)])
                    .events(approved)
                    .write(Write::Agent(Put { expect: Expect::At(found.version), value: agent }));
            }
            if self.tried(set).await? {
                self.tell(&view.agent.value, None);
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    /// Commits; `false` when the race was lost.
    pub(super) async fn tried(&self, set: ChangeSet) -> Result<bool, AppError> {
        match self.store.commit(set).await {
            Ok(_) => Ok(true),
            Err(CommitError::Stale) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Tells that fields of an agent changed.
pub(super) fn updated(
    agent: &Agent,
    changed: &[&'static str],
    actor: &str,
    now: Timestamp,
) -> DomainEvent {
    let payload = json!({ "name": agent.name, "changed": changed, "actor": actor });
    DomainEvent::new(EventType::AgentUpdated, about(agent), now, payload)
}

/// Tells that an agent was let in.
fn approved(agent: &Agent, actor: &str, now: Timestamp) -> DomainEvent {
    let payload = json!({ "name": agent.name, "actor": actor });
    DomainEvent::new(EventType::AgentApproved, about(agent), now, payload)
}

/// What events about an agent are about.
#[must_use]
pub fn about(agent: &Agent) -> About {
    About { kind: SubjectKind::Agent, id: agent.id.uuid() }
}

/// Refuses a change that is based on an older reading.
pub(super) fn same_version(ctx: &RequestContext, version: Version) -> Result<(), AppError> {
    match ctx.if_match {
        Some(expected) if expected != version.get() => {
            Err(AppError::VersionMismatch { expected, actual: version.get() })
        }
        Some(_) | None => Ok(()),
    }
}
