//! Use cases of attention items: showing them, settling them.
//!
//! Invariant: an item is settled in the same commit in which its session learns of it; the agent is
//! told afterwards, and again until the telling is on record (`agent_ref` is then empty).
//! Invariant: what is allowed for good is allowed by a lead, and the audit has it word for word.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::AppError;
use super::ports::changes::{ChangeSet, Expect, Put, Write};
use super::ports::store::{CommitError, Store};
use super::principal::{RequestContext, Subject};
use super::session::SessionService;
use super::session::ask::owed;
use super::session::change::{By, Change};
use super::session::report::AGAIN;
use crate::domain::attention::{AttentionItem, AttentionState, Decision, ResolveError};
use crate::domain::field::FieldError;
use crate::domain::ids::{AttentionId, SessionId, TenantId};
use crate::domain::session::policy::{MAX_RULES, PermissionRule};
use crate::domain::tenant::key::Role;
use crate::domain::tenant::right::Lack;
use crate::domain::version::Versioned;

/// Items that are read at once.
const PAGE: usize = 1000;

/// What somebody decided.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// One of the item's decisions.
    pub decision: Decision,
    /// The text of an answer.
    pub answer: Option<&'a str>,
    /// What they decided about: an item that asks for anything else stays as it is. Whoever leaves it
    /// out decides about the item as it stands.
    pub fingerprint: Option<&'a str>,
}

impl Decided<'_> {
    /// A decision without words, about an item as it stands.
    #[must_use]
    pub const fn plain(decision: Decision) -> Self {
        Self { decision, answer: None, fingerprint: None }
    }
}

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
    /// `Resolve` when it is settled already, the decision does not fit or is about something else;
    /// `AttentionNotFound`; `Forbidden` when something is allowed for good by less than a lead.
    pub async fn resolve(
        &self,
        ctx: &RequestContext,
        id: AttentionId,
        decided: Decided<'_>,
    ) -> Result<Versioned<AttentionItem>, AppError> {
        let Decided { decision, answer, fingerprint } = decided;
        for _ in 0..super::session::MAX_COMMIT_ATTEMPTS {
            let item = self.get(ctx, id).await?;
            let AttentionItem { state, session_id, .. } = item.value;
            if let Some(fingerprint) = fingerprint {
                item.value.asks_for(fingerprint)?;
            }
            if decision == Decision::AllowAlways && ctx.principal.role < Role::Lead {
                return Err(Lack::ForGood.into());
            }
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

    /// Settles every open item with this fingerprint.
    ///
    /// # Errors
    /// As `resolve`.
    pub async fn resolve_many(
        &self,
        ctx: &RequestContext,
        fingerprint: &str,
        decided: Decided<'_>,
    ) -> Result<Vec<Versioned<AttentionItem>>, AppError> {
        let (mut settled, mut after) = (Vec::new(), None);
        loop {
            let open = self.list(ctx, None, Some(AttentionState::Open), after, PAGE).await?;
            after = open.last().map(|item| item.value.id);
            for item in open.iter().filter(|item| item.value.asks_for(fingerprint).is_ok()) {
                settled.push(self.resolve(ctx, item.value.id, decided).await?);
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
        let rule = item.rule();
        if let By::Caller(_) = by {
            change.note(facts(&item, rule.as_ref()));
        }
        let known = &mut change.session.spec.permission_policy.rules;
        let new = rule.filter(|rule| !known.contains(rule));
        if new.is_some() && known.len() >= MAX_RULES {
            let message = format!(
                "the session has {MAX_RULES} rules and learns no other; allow it this once"
            );
            let error = FieldError { pointer: "/decision".into(), code: "too_many", message };
            return Err(AppError::Invalid(vec![error]));
        }
        known.extend(new);
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

/// What was asked and decided, for the audit.
fn facts(item: &AttentionItem, rule: Option<&PermissionRule>) -> Value {
    json!({
        "item": item.id, "kind": item.kind, "title": item.title, "tool": item.tool(),
        "patterns": item.patterns(), "fingerprint": item.fingerprint, "decision": item.decision,
        "rule": rule.map(PermissionRule::facts),
    })
}
