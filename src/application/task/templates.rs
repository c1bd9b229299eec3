//! The templates that a tenant has: the shipped ones, and its own in their place or beside them.

use serde_json::{Value, json};

use super::error::TaskRefused;
use super::view::TemplateView;
use super::{Command, TaskService, audit};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::CommitError;
use crate::application::ports::tasks::TaskWrite;
use crate::application::principal::{RequestContext, Subject};
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::decompose::catalogue::Catalogue;
use crate::domain::decompose::file::read_one;
use crate::domain::decompose::template::{OwnTemplate, Template};
use crate::domain::event::{DomainEvent, EventType, Subject as About, SubjectKind};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// Most templates of a tenant's own.
const MOST: usize = 100;

impl TaskService {
    /// The templates that a tenant has.
    pub(super) async fn catalogue(&self, snapshot: &dyn Snapshot) -> Result<Catalogue, AppError> {
        let own = snapshot.templates().await?;
        Ok(self.shipped.with(own.into_iter().map(|found| found.value.template)))
    }

    /// Every template, by key.
    ///
    /// # Errors
    /// The store's.
    pub async fn templates(&self, ctx: &RequestContext) -> Result<Vec<TemplateView>, AppError> {
        let own = self.snapshot(ctx.tenant).await?.templates().await?;
        let replaced = |key: &str| own.iter().any(|found| found.value.template.key == key);
        let shipped = self.shipped.iter().filter(|template| !replaced(&template.key));
        let mut all: Vec<TemplateView> = shipped.map(as_shipped).collect();
        all.extend(own.iter().map(|found| self.as_own(found, false)));
        all.sort_by(|one, other| one.template.key.cmp(&other.template.key));
        Ok(all)
    }

    /// One template.
    ///
    /// # Errors
    /// `TemplateNotFound`.
    pub async fn template(
        &self,
        ctx: &RequestContext,
        key: &str,
    ) -> Result<TemplateView, AppError> {
        if let Some(found) = self.snapshot(ctx.tenant).await?.template(key).await? {
            return Ok(self.as_own(&found, false));
        }
        let shipped = self.shipped.get(key).ok_or(TaskRefused::TemplateNotFound)?;
        Ok(as_shipped(shipped))
    }

    /// Adds a template of the tenant's own; one with a shipped key takes its place.
    ///
    /// # Errors
    /// `Invalid`, `AlreadyExists`.
    pub async fn add_template(
        &self,
        ctx: &RequestContext,
        spelled: &Value,
    ) -> Result<TemplateView, AppError> {
        let template = read_one(spelled)?;
        self.keep(ctx, template, "create", |found| match found {
            Some(found) => {
                let key = found.value.template.key.clone();
                Err(TaskRefused::TemplateKeyTaken(key).into())
            }
            None => Ok(Expect::Absent),
        })
        .await
    }

    /// Writes the template of a key: makes it, or replaces what the tenant had.
    ///
    /// # Errors
    /// `Invalid`, also when it names another key; `VersionMismatch`.
    pub async fn put_template(
        &self,
        ctx: &RequestContext,
        key: &str,
        spelled: &Value,
    ) -> Result<TemplateView, AppError> {
        let template = read_one(spelled)?;
        if template.key != key {
            let message = format!("must be the key of the path, {key}");
            return Err(super::create::invalid("/key", "conflict", message));
        }
        let expected = ctx.if_match;
        self.keep(ctx, template, "update", |found| match (found, expected) {
            (Some(found), Some(expected)) if found.version.get() != expected => {
                Err(AppError::VersionMismatch { expected, actual: found.version.get() })
            }
            (Some(found), _) => Ok(Expect::At(found.version)),
            (None, _) => Ok(Expect::Absent),
        })
        .await
    }

    async fn keep(
        &self,
        ctx: &RequestContext,
        template: Template,
        action: &'static str,
        expect: impl Fn(Option<&Versioned<OwnTemplate>>) -> Result<Expect, AppError> + Send,
    ) -> Result<TemplateView, AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let snapshot = self.snapshot(ctx.tenant).await?;
            let own = snapshot.templates().await?;
            let found = own.iter().find(|found| found.value.template.key == template.key);
            let expect = expect(found)?;
            if found.is_none() && own.len() >= MOST {
                let what = "delete templates that nobody needs";
                return Err(TaskRefused::TooMany { limit: MOST, what }.into());
            }
            let now = self.clock.now();
            let value = OwnTemplate {
                tenant_id: ctx.tenant,
                template: template.clone(),
                created_at: found.map_or(now, |found| found.value.created_at),
                updated_at: now,
            };
            let version = found.map_or(Version::FIRST, |found| found.version.next());
            let before = found.map(|found| facts(&found.value.template));
            let view = self.as_own(&Versioned { version, value: value.clone() }, found.is_none());
            drop(snapshot);
            let command = Command { action, reason: None };
            let told = (before, Some(facts(&template)));
            let entry = audit(ctx, command, about(ctx), told, now);
            let set = ChangeSet::new(ctx.tenant)
                .write(Write::Task(TaskWrite::Template(Put { expect, value })))
                .events([changed(ctx, &template.key, now)])
                .audit(Some(entry))
                .remember(ctx.remembered(&Subject::Template(&view), now));
            match self.store.commit(set).await {
                Ok(_) => return Ok(view),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Removes a template of the tenant's own; a shipped one of the same key is there again.
    ///
    /// # Errors
    /// `TemplateNotFound`; `TemplateShipped`.
    pub async fn drop_template(&self, ctx: &RequestContext, key: &str) -> Result<(), AppError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let found = self.snapshot(ctx.tenant).await?.template(key).await?;
            let Some(found) = found else {
                let is_shipped = self.shipped.get(key).is_some();
                let shipped = TaskRefused::TemplateShipped(key.to_owned());
                let refused = if is_shipped { shipped } else { TaskRefused::TemplateNotFound };
                return Err(refused.into());
            };
            if let Some(expected) = ctx.if_match.filter(|it| *it != found.version.get()) {
                return Err(AppError::VersionMismatch { expected, actual: found.version.get() });
            }
            let now = self.clock.now();
            let before = Some(facts(&found.value.template));
            let command = Command { action: "delete", reason: None };
            let set = ChangeSet::new(ctx.tenant)
                .write(Write::Task(TaskWrite::DropTemplate(found.version, key.to_owned())))
                .events([changed(ctx, key, now)])
                .audit(Some(audit(ctx, command, about(ctx), (before, None), now)));
            match self.store.commit(set).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    fn as_own(&self, found: &Versioned<OwnTemplate>, made: bool) -> TemplateView {
        TemplateView {
            template: found.value.template.clone(),
            version: Some(found.version),
            is_shipped: self.shipped.get(&found.value.template.key).is_some(),
            created_at: Some(found.value.created_at),
            updated_at: Some(found.value.updated_at),
            made,
        }
    }
}

fn as_shipped(template: &Template) -> TemplateView {
    TemplateView {
        template: template.clone(),
        version: None,
        is_shipped: true,
        created_at: None,
        updated_at: None,
        made: false,
    }
}

/// Templates are the tenant's own; their keys are no ids.
fn about(ctx: &RequestContext) -> About {
    About { kind: SubjectKind::Tenant, id: ctx.tenant.uuid() }
}

fn changed(ctx: &RequestContext, key: &str, now: Timestamp) -> DomainEvent {
    let payload = json!({ "key": key });
    DomainEvent::new(EventType::TenantTemplateChanged, about(ctx), now, payload)
}

fn facts(template: &Template) -> Value {
    json!({
        "template": template.key, "version": template.version, "trigger": template.trigger,
        "subtasks": template.subtasks.len(),
    })
}
