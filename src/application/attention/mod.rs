//! Use cases of attention items: showing them, settling them.
//!
//! Invariant: an item is settled in the same commit in which its session learns of it; the agent is
//! told afterwards, and again until the telling is on record (`agent_ref` is then empty).

use std::sync::Arc;

use super::error::AppError;
use super::ports::changes::{ChangeSet, Expect, Put, Write};
use super::ports::store::{CommitError, Store};
use super::principal::{RequestContext, Subject};
use super::session::SessionService;
use super::session::ask::owed;
use super::session::change::{By, Change};
use super::session::report::AGAIN;
use crate::domain::attention::{
    AttentionItem, AttentionKind, AttentionState, Decision, ResolveError,
};
use crate::domain::ids::{AttentionId, SessionId, TenantId};
use crate::domain::session::spec::{PermissionDecision, PermissionRule};
use crate::domain::version::Versioned;

/// Items that are read at once.
const PAGE: usize = 1000;

/// The use cases of attention items.
#[derive(Clone)]
pub struct AttentionService {
    store: Arc<dyn Store>,
    sessions: SessionService,
}

impl AttentionService {
    /// Use cases over the store and the sessions.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, sessions: SessionService) -> Self {
        Self { store, sessions }
    }

    /// Items in order of creation.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        ctx: &RequestContext,
        session: Option<SessionId>,
        state: Option<AttentionState>,
        after: Option<AttentionId>,
        limit: usize,
    ) -> Result<Vec<Versioned<AttentionItem>>, AppError> {
        let snapshot = self.store.snapshot(ctx.tenant).await?;
        Ok(snapshot.attention_items(session, state, after, limit).await?)
    }

    /// One item.
    ///
    /// # Errors
    /// `AttentionNotFound`.
    pub async fn get(
        &self,
        ctx: &RequestContext,
        id: AttentionId,
    ) -> Result<Versioned<AttentionItem>, AppError> {
        let found = self.store.snapshot(ctx.tenant).await?.attention(id).await?;
        found.ok_or(AppError::AttentionNotFound)
    }

    /// Settles an item by a person's decision.
    ///
    /// # Errors
    /// `Resolve` when it is settled already or the decision does not fit, `AttentionNotFound`.
    pub async fn resolve(
        &self,
        ctx: &RequestContext,
        id: AttentionId,
        decision: Decision,
        answer: Option<&str>,
    ) -> Result<Versioned<AttentionItem>, AppError> {
        for _ in 0..super::session::MAX_COMMIT_ATTEMPTS {
            let item = self.get(ctx, id).await?;
            let AttentionItem { state, session_id, .. } = item.value;
            if state != AttentionState::Open {
                return Err(ResolveError::Settled(state).into());
            }
            let by = By::Caller(ctx);
            let tried = self.settle(by, session_id, id, |item, now| {
                Ok(item.resolve(decision, answer.map(str::to_owned), by.name(), now)?)
            });
            if let Some(settled) = tried.await? {
                return Ok(settled);
            }
        }
        Err(AppError::Contended)
    }

    /// Settles every open item with this fingerprint and says how many there were.
    ///
    /// # Errors
    /// `Resolve` when the decision does not fit.
    pub async fn resolve_many(
        &self,
        ctx: &RequestContext,
        fingerprint: &str,
        decision: Decision,
        answer: Option<&str>,
    ) -> Result<Vec<Versioned<AttentionItem>>, AppError> {
        let (mut settled, mut after) = (Vec::new(), None);
        loop {
            let open = self.list(ctx, None, Some(AttentionState::Open), after, PAGE).await?;
            after = open.last().map(|item| item.value.id);
            for item in open.iter().filter(|item| item.value.fingerprint == fingerprint) {
                settled.push(self.resolve(ctx, item.value.id, decision, answer).await?);
            }
            if open.len() < PAGE {
                return Ok(settled);
            }
        }
    }

    /// Takes the default of an item whose deadline is over.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire(&self, tenant: TenantId, id: AttentionId) -> Result<(), AppError> {
        for _ in 0..super::session::MAX_COMMIT_ATTEMPTS {
            let found = self.store.snapshot(tenant).await?.attention(id).await?;
            let Some(item) = found else { return Ok(()) };
            if item.value.state != AttentionState::Open {
                return Ok(());
            }
            let by = By::Part(tenant, "deadline");
            let tried = self.settle(by, item.value.session_id, id, |item, now| {
                item.expire("deadline", now);
                Ok(())
            });
            if tried.await?.is_some() {
                return Ok(());
            }
        }
        Err(AppError::Contended)
    }

    /// The agent got the answer: the same ask again would be a new one.
    ///
    /// # Errors
    /// The store's.
    pub async fn delivered(&self, tenant: TenantId, id: AttentionId) -> Result<(), AppError> {
        loop {
            let snapshot = self.sessions.readable(tenant).await?;
            let Some(mut item) = snapshot.attention(id).await? else { return Ok(()) };
            drop(snapshot);
            item.value.agent_ref.clear();
            let put = Put { expect: Expect::At(item.version), value: item.value };
            let set = ChangeSet::new(tenant).write(Write::Attention(put));
            match self.store.commit(set).await.map_err(AppError::from) {
                Err(AppError::StoreReadOnly(_) | AppError::Busy) => {
                    self.sessions.clock.sleep(AGAIN).await;
                }
                Ok(_) | Err(AppError::Contended) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Items of a session that are settled and whose answer the agent has not got.
    ///
    /// # Errors
    /// The store's.
    pub async fn undelivered(
        &self,
        tenant: TenantId,
        session: SessionId,
    ) -> Result<Vec<AttentionItem>, AppError> {
        let snapshot = self.sessions.readable(tenant).await?;
        let owed = owed(&*snapshot, session).await?;
        Ok(owed.into_iter().map(|found| found.value).collect())
    }

    async fn settle(
        &self,
        by: By<'_>,
        session: SessionId,
        id: AttentionId,
        decide: impl Fn(&mut AttentionItem, crate::domain::time::Timestamp) -> Result<(), AppError>
        + Send,
    ) -> Result<Option<Versioned<AttentionItem>>, AppError> {
        let now = self.sessions.clock.now();
        let snapshot = self.store.snapshot(by.tenant()).await?;
        let Some(stored) = snapshot.attention(id).await? else {
            return Err(AppError::AttentionNotFound);
        };
        let mut change = Change::read(&*snapshot, session).await?;
        drop(snapshot);
        let Some(item) = change.items.iter_mut().find(|item| item.id == id) else {
            return Ok(None);
        };
        decide(item, now)?;
        let item = item.clone();
        if item.kind.blocks() {
            change.session.unblock(now);
        }
        if item.decision == Some(Decision::AllowAlways) {
            allow_always(&mut change, &item);
        }
        let (mut set, _) = change.finish(by, "resolve", item.answer.as_deref(), now);
        let settled = Versioned { version: stored.version.next(), value: item };
        if let By::Caller(ctx) = by {
            set.remembered = ctx.remembered(&Subject::Attention(&settled), now);
        }
        match self.store.commit(set).await {
            Ok(_) => {
                self.sessions.wake.session(session);
                Ok(Some(settled))
            }
            Err(CommitError::Stale) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The session's own policy learns what was allowed for good.
fn allow_always(change: &mut Change, item: &AttentionItem) {
    if item.kind != AttentionKind::Permission {
        return;
    }
    let tool = item.payload.get("tool").and_then(serde_json::Value::as_str).unwrap_or("");
    let patterns = item.payload.get("patterns").and_then(serde_json::Value::as_array);
    let rule = |pattern: Option<String>| PermissionRule {
        tool: tool.to_owned(),
        pattern,
        decision: PermissionDecision::Allow,
    };
    let texts = patterns.into_iter().flatten().filter_map(|pattern| pattern.as_str());
    let mut rules: Vec<PermissionRule> = texts.map(|text| rule(Some(text.to_owned()))).collect();
    if rules.is_empty() {
        rules.push(rule(None));
    }
    let known = &mut change.session.spec.permission_policy.rules;
    for rule in rules {
        if !tool.is_empty() && !known.contains(&rule) {
            known.push(rule);
        }
    }
}
