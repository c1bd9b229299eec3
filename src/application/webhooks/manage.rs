//! Making, changing, rotating and deleting webhooks.

use serde_json::json;

use super::{Audited, WebhookService, WebhookView, facts, read, same_version};
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::store::CommitError;
use crate::application::ports::webhooks::WebhookWrite;
use crate::application::principal::{RequestContext, Subject};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::field::FieldError;
use crate::domain::ids::WebhookId;
use crate::domain::version::{Version, Versioned};
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::{
    EventPattern, MOST, Sealed, Secret, SigningKey, Webhook, WebhookDraft, WebhookPatch,
};

impl WebhookService {
    /// A new webhook, with its secret.
    ///
    /// # Errors
    /// `Invalid`, `EndpointNotAllowed`, `QuotaExceeded`.
    pub async fn create(
        &self,
        ctx: &RequestContext,
        draft: &WebhookDraft,
    ) -> Result<WebhookView, AppError> {
        let checked = draft.check()?;
        self.reachable(&checked.0).await?;
        let secret = self.secret()?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let head = self.store.snapshot(ctx.tenant).await?.last_seq().await?;
            let view = self.drafted(ctx, draft, checked.clone(), &secret)?;
            let cursor = draft.after.unwrap_or(head);
            if cursor > head {
                return Err(beyond(head));
            }
            let progress = Progress::new(ctx.tenant, view.value.id, cursor);
            let view = WebhookView { webhook: view, progress, secret: Some(secret.clone()) };
            match self.store.commit(self.creation(ctx, &view)).await {
                Ok(_) => {
                    self.bell.notify_one();
                    return Ok(view);
                }
                Err(CommitError::Stale) => {}
                Err(CommitError::Exceeded { counter: _, limit, used }) => {
                    return Err(AppError::QuotaExceeded { quota: "webhooks", limit, used });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    fn secret(&self) -> Result<Secret, AppError> {
        self.notifier.new_secret().map_err(|error| AppError::Internal(Box::new(error)))
    }

    /// The secret as it is kept.
    fn sealed(
        &self,
        ctx: &RequestContext,
        id: WebhookId,
        secret: &Secret,
    ) -> Result<Sealed, AppError> {
        let bound_to = Webhook::binding(ctx.tenant, id);
        let sealed = self.sealer.seal(secret.expose().as_bytes(), &bound_to);
        sealed.map(Sealed::new).map_err(|error| AppError::Internal(Box::new(error)))
    }

    fn drafted(
        &self,
        ctx: &RequestContext,
        draft: &WebhookDraft,
        (url, description, event_types): (String, Option<String>, Vec<EventPattern>),
        secret: &Secret,
    ) -> Result<Versioned<Webhook>, AppError> {
        let (now, id) = (self.clock.now(), WebhookId::new(self.ids.uuid()));
        let sealed = self.sealed(ctx, id, secret)?;
        let value = Webhook {
            id,
            tenant_id: ctx.tenant,
            url,
            description,
            event_types,
            is_active: draft.is_active.unwrap_or(true),
            keys: vec![SigningKey { sealed, expires_at: None }],
            created_by: ctx.actor_name().to_owned(),
            created_at: now,
            updated_at: now,
        };
        Ok(Versioned { version: Version::FIRST, value })
    }

    fn creation(&self, ctx: &RequestContext, view: &WebhookView) -> ChangeSet {
        let webhook = &view.webhook.value;
        let after = Some(facts(webhook));
        let audited = Audited { action: "create", before: None, after };
        let progress = Put { expect: Expect::Absent, value: view.progress.clone() };
        let put = Put { expect: Expect::Absent, value: webhook.clone() };
        ChangeSet::new(ctx.tenant)
            .guard(Guard::CounterAtMost { counter: Counter::Webhooks, limit: MOST })
            .count(Counter::Webhooks, CounterChange::Add(1))
            .write(Write::Webhook(WebhookWrite::Webhook(put)))
            .write(Write::Webhook(WebhookWrite::Progress(progress)))
            .audit(Some(self.audit(ctx, webhook.id, audited)))
            .remember(ctx.remembered(&Subject::Webhook(&told_before(view)), webhook.created_at))
    }

    /// Changes what may change. Switching it on also takes up one that the product switched off.
    ///
    /// # Errors
    /// `Invalid`, `EndpointNotAllowed`, `WebhookNotFound`, `VersionMismatch`.
    pub async fn change(
        &self,
        ctx: &RequestContext,
        id: WebhookId,
        patch: &WebhookPatch,
    ) -> Result<WebhookView, AppError> {
        let mut reached: Option<String> = None;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            let (found, noted) = read(&*snapshot, id).await?;
            drop(snapshot);
            same_version(ctx, found.version)?;
            let now = self.clock.now();
            let (mut webhook, mut progress) = (found.value.clone(), noted.value);
            let changed = webhook.change(patch.clone(), now)?;
            if changed.contains(&"url") && reached.as_deref() != Some(&webhook.url) {
                self.reachable(&webhook.url).await?;
                reached = Some(webhook.url.clone());
            }
            let is_taken_up = patch.is_active == Some(true) && progress.enable();
            let is_changed = !changed.is_empty() || is_taken_up;
            let version = if is_changed { found.version.next() } else { found.version };
            let webhook = Versioned { version, value: webhook };
            let view = WebhookView { webhook, progress, secret: None };
            let mut set =
                ChangeSet::new(ctx.tenant).remember(ctx.remembered(&Subject::Webhook(&view), now));
            if is_changed {
                let audited = Audited {
                    action: "update",
                    before: Some(facts(&found.value)),
                    after: Some(facts(&view.webhook.value)),
                };
                let value = view.webhook.value.clone();
                let put = Put { expect: Expect::At(found.version), value };
                set = set
                    .write(Write::Webhook(WebhookWrite::Webhook(put)))
                    .audit(Some(self.audit(ctx, id, audited)));
            }
            if is_taken_up {
                let value = view.progress.clone();
                let put = Put { expect: Expect::At(noted.version), value };
                set = set.write(Write::Webhook(WebhookWrite::Progress(put)));
            }
            if !is_changed && set.remembered.is_none() {
                return Ok(view);
            }
            if self.tried(set).await? {
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    /// A new secret; the one before signs for another day.
    ///
    /// # Errors
    /// `WebhookNotFound`, `VersionMismatch`.
    pub async fn rotate(
        &self,
        ctx: &RequestContext,
        id: WebhookId,
    ) -> Result<WebhookView, AppError> {
        let secret = self.secret()?;
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.store.snapshot(ctx.tenant).await?;
            let (found, noted) = read(&*snapshot, id).await?;
            drop(snapshot);
            same_version(ctx, found.version)?;
            let (now, mut webhook) = (self.clock.now(), found.value);
            webhook.rotate(self.sealed(ctx, id, &secret)?, now);
            let put = Put { expect: Expect::At(found.version), value: webhook.clone() };
            let webhook = Versioned { version: found.version.next(), value: webhook };
            let view = WebhookView { webhook, progress: noted.value, secret: Some(secret.clone()) };
            let audited = Audited { action: "rotate", ..Audited::default() };
            let set = ChangeSet::new(ctx.tenant)
                .write(Write::Webhook(WebhookWrite::Webhook(put)))
                .audit(Some(self.audit(ctx, id, audited)))
                .remember(ctx.remembered(&Subject::Webhook(&told_before(&view)), now));
            if self.tried(set).await? {
                return Ok(view);
            }
        }
        Err(AppError::Contended)
    }

    /// The webhook goes, with its deliveries; nothing more is sent.
    ///
    /// # Errors
    /// `WebhookNotFound`, `VersionMismatch`.
    pub async fn delete(&self, ctx: &RequestContext, id: WebhookId) -> Result<(), AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.store.snapshot(ctx.tenant).await?.webhook(id).await?;
            let found = found.ok_or(AppError::WebhookNotFound)?;
            same_version(ctx, found.version)?;
            let before = Some(facts(&found.value));
            let audited = Audited { action: "delete", before, after: Some(json!(null)) };
            let set = ChangeSet::new(ctx.tenant)
                .write(Write::Webhook(WebhookWrite::Drop(found.version, id)))
                .count(Counter::Webhooks, CounterChange::Add(-1))
                .audit(Some(self.audit(ctx, id, audited)));
            if self.tried(set).await? {
                return Ok(());
            }
        }
        Err(AppError::Contended)
    }

    /// Commits and rings; `false` when the race was lost.
    pub(super) async fn tried(&self, set: ChangeSet) -> Result<bool, AppError> {
        match self.store.commit(set).await {
            Ok(_) => {
                self.bell.notify_one();
                Ok(true)
            }
            Err(CommitError::Stale) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a repetition is told: the secret is shown once.
fn told_before(view: &WebhookView) -> WebhookView {
    WebhookView { secret: None, ..view.clone() }
}

fn beyond(head: u64) -> AppError {
    AppError::Invalid(vec![FieldError {
        pointer: "/after".to_owned(),
        code: "out_of_range",
        message: format!("the newest event has the number {head}"),
    }])
}
