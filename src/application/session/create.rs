//! Creating, changing and deleting sessions.

use std::time::Duration;

use serde_json::json;

use super::after::before;
use super::change::{By, audit, counter_changes};
use super::limits::{has_room, to_open, to_queue};
use super::not_yet::not_yet;
use super::put_away::PutAway;
use super::usage;
use super::{SessionService, refused};
use crate::application::error::AppError;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::store::{CommitError, Sequence};
use crate::application::principal::{RequestContext, Subject as Answer};
use crate::domain::event::{DomainEvent, EventType, Subject};
use crate::domain::field::FieldError;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::draft::{SessionDraft, SessionPatch};
use crate::domain::session::spec::SessionSpec;
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{Lineage, RunState, Session, SessionCode};
use crate::domain::tenant::key::{Role, is_presentable, is_reserved};
use crate::domain::tenant::right::Lack;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// Deepest place in a tree of sessions.
pub const MAX_DEPTH: u32 = 10;

/// Children of one session, those that have ended included. Two that are created at the same moment may both
/// be the last.
pub const MAX_CHILDREN: usize = 100;

/// How often it is looked whether a run has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Who removes what is kept no longer.
const RETENTION: &str = "retention";

/// A session to be created.
#[derive(Debug, Clone, Default)]
pub struct NewSession {
    /// Its definition.
    pub draft: SessionDraft,
    /// The session that asks for it, by id or code.
    pub parent: Option<String>,
    /// The sessions that must have completed before it begins, by id or code.
    pub after: Vec<String>,
    /// Whether it is queued at once.
    pub start: bool,
    /// Who is to be named as its maker; lead or higher may name somebody else.
    pub created_by: Option<String>,
}

impl SessionService {
    /// Creates a session, and queues it when asked to.
    ///
    /// # Errors
    /// `Invalid` with every broken rule, `Forbidden`, `ShortOfRoom`, or the store's.
    pub async fn create(
        &self,
        ctx: &RequestContext,
        new: NewSession,
    ) -> Result<Versioned<Session>, AppError> {
        let created_by = maker(ctx, new.created_by)?;
        let spec = self.accept(ctx, new.draft).await?;
        if spec.permission_policy.allows_anything() && ctx.principal.role < Role::Lead {
            return Err(Lack::Unasked.into());
        }
        let parent = match new.parent {
            Some(parent) => self.child_of(ctx, &parent).await?,
            None => Lineage::default(),
        };
        let lineage = Lineage { after: self.all_of(ctx, &new.after).await?, ..parent };
        self.insert(ctx, spec, lineage, RunState::default(), &created_by, new.start).await
    }

    /// The definition that a draft gives, after every check that a new session has to pass.
    pub(super) async fn accept(
        &self,
        ctx: &RequestContext,
        draft: SessionDraft,
    ) -> Result<SessionSpec, AppError> {
        let spec = draft.accept()?;
        not_yet(&spec)?;
        self.workspaces.check(&spec.workspace).await?;
        self.check_agent(ctx, &spec).await?;
        Ok(spec)
    }

    /// Commits a new session: the last step of create and fork.
    pub(super) async fn insert(
        &self,
        ctx: &RequestContext,
        mut spec: SessionSpec,
        lineage: Lineage,
        run: RunState,
        created_by: &str,
        start: bool,
    ) -> Result<Versioned<Session>, AppError> {
        // What runs needs the room that is left.
        if let Some(reason) = self.store.health().short_of_room {
            return Err(AppError::ShortOfRoom(reason));
        }
        let number = self.store.allocate(ctx.tenant, Sequence::SessionCodes).await?;
        let (code, now) = (SessionCode::new(number), self.clock.now());
        spec.name_by_code(code);
        let early = spec.not_before.is_some_and(|time| time > now);
        let id = SessionId::new(self.ids.uuid());
        let (mut session, created) =
            Session::create(id, ctx.tenant, code, spec, lineage, created_by, now);
        session.run = run;
        let mut events = vec![created];
        let bounds = self.bounds(ctx.tenant).await?;
        if let Err(error) = has_room(&bounds.purse) {
            return Err(self.told_of_refusal(By::Caller(ctx), error).await);
        }
        if let Some((source, sequence)) = session.lineage.forked_from {
            let subject = Subject::session(source);
            let payload = json!({ "new_session_id": id, "checkpoint_sequence": sequence });
            events.push(DomainEvent::new(EventType::SessionForked, subject, now, payload));
        }
        if start && !session.lineage.after.is_empty() {
            let before = before(&*self.snapshot(ctx.tenant).await?, &session).await?;
            session.meet(&before.met);
        }
        if start && (early || session.waits_for().next().is_some()) {
            session.run.start_wanted = true;
        } else if start {
            let checked = usage::check(&session, &bounds.purse);
            let by = By::Caller(ctx);
            if let Err(error) = checked {
                return Err(self.told_of_refusal(by, error).await);
            }
            events.extend(session.start(by.cause(now)).map_err(|no| refused(&session, no))?);
        }
        let saved = Versioned { version: Version::FIRST, value: session };
        let session = &saved.value;
        let mut set = ChangeSet::new(ctx.tenant)
            .write(Write::Session(Put { expect: Expect::Absent, value: session.clone() }))
            .count(Counter::SessionCodes, CounterChange::AtLeast(number))
            .events(events)
            .audit(audit(By::Caller(ctx), "create", None, None, session, now))
            .remember(ctx.remembered(&Answer::Session(&saved), now));
        set.counters.extend(counter_changes(None, session));
        let quotas = bounds.quotas;
        let queued = session.status() == SessionStatus::Queued;
        set.guards = if queued { to_queue(&quotas) } else { to_open(&quotas) };
        if let Some(parent) = session.lineage.parent_id {
            let statuses = SessionStatus::OPEN;
            set.guards.push(Guard::SessionIn { session: parent, statuses });
        }
        match self.store.commit(set).await {
            Ok(_) => {
                // A session that nobody started waits for nothing that the scheduler has.
                if start {
                    self.wake.scheduler();
                }
                Ok(saved)
            }
            Err(CommitError::Refused) => Err(parent_error("has ended and takes no children")),
            Err(error) => Err(self.told_of_refusal(By::Caller(ctx), error.into()).await),
        }
    }

    /// Where a child of this session stands.
    pub(super) async fn child_of(
        &self,
        ctx: &RequestContext,
        parent: &str,
    ) -> Result<Lineage, AppError> {
        let missing = || parent_error("does not exist");
        let id = match self.find(ctx.tenant, parent).await {
            Err(AppError::SessionNotFound) => return Err(missing()),
            found => found?,
        };
        let snapshot = self.snapshot(ctx.tenant).await?;
        let parent = snapshot.session(id).await?.ok_or_else(missing)?.value;
        if parent.status().is_terminal() {
            return Err(parent_error("has ended and takes no children"));
        }
        let depth = parent.lineage.depth + 1;
        if depth > MAX_DEPTH {
            return Err(parent_error("is 10 levels deep already; create the session beside it"));
        }
        if snapshot.children(id, MAX_CHILDREN).await?.len() >= MAX_CHILDREN {
            return Err(parent_error(
                "has 100 children already; create the session beside it, or below one of them",
            ));
        }
        Ok(Lineage { parent_id: Some(id), depth, ..Lineage::default() })
    }

    /// A pinned agent must exist; whether it is free is the scheduler's matter.
    async fn check_agent(&self, ctx: &RequestContext, spec: &SessionSpec) -> Result<(), AppError> {
        let Some(wanted) = &spec.agent else { return Ok(()) };
        let agents = self.snapshot(ctx.tenant).await?.agents().await?;
        let names: Vec<&str> = agents.iter().map(|agent| agent.value.name.as_str()).collect();
        let known = agents.iter().any(|agent| agent.value.is_called(wanted));
        if known {
            return Ok(());
        }
        let message = if names.is_empty() {
            format!(
                "no agent is called {wanted}, and none is registered; `orchestrator doctor` tells why"
            )
        } else {
            format!("no agent is called {wanted}; known are {}", names.join(", "))
        };
        Err(invalid("/agent", "unknown", message))
    }

    /// Changes the few fields that may change.
    ///
    /// # Errors
    /// `Invalid`, `NotNow`, `SessionNotFound`, `VersionMismatch`.
    pub async fn patch(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        patch: SessionPatch,
    ) -> Result<Versioned<Session>, AppError> {
        let now = self.clock.now();
        let decide = |change: &mut super::change::Change| {
            let session = &mut change.session;
            let limits = patch.priority.is_some()
                || patch.max_duration_seconds.is_some()
                || patch.budget_usd.is_some();
            let what = match session.status() {
                status if status.is_terminal() && limits => {
                    Some("priority, time limit and budget can no longer be changed")
                }
                status if status != SessionStatus::Pending && patch.agent_config.is_some() => {
                    Some("agent_config can be changed only while it is pending")
                }
                _ => None,
            };
            if let Some(what) = what {
                let (code, status) = (session.code.to_string(), session.status());
                return Err(AppError::NotNow { code, status, what });
            }
            let changed = patch.clone().apply(&mut session.spec)?;
            session.budget_changed();
            if !changed.is_empty() {
                change.updated(&changed, now);
            }
            Ok(())
        };
        Ok(self.change(By::Caller(ctx), id, "update", None, decide).await?.0)
    }

    /// Deletes softly, or for good with `purge`.
    ///
    /// # Errors
    /// `NotNow` while it is active or its files cannot be put away, `SessionNotFound`, `Forbidden`.
    pub async fn delete(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        purge: bool,
    ) -> Result<(), AppError> {
        if purge {
            ctx.require(Role::Admin)?;
        }
        let snapshot = self.snapshot(ctx.tenant).await?;
        if purge && let Some(deleted) = snapshot.deleted_session(id).await? {
            return self.purge(By::Caller(ctx), &deleted).await;
        }
        drop(snapshot);
        let now = self.clock.now();
        let decide = |change: &mut super::change::Change| {
            let session = &mut change.session;
            if session.status().is_active() {
                return Err(AppError::NotNow {
                    code: session.code.to_string(),
                    status: session.status(),
                    what: "an active session cannot be deleted; stop or cancel it first",
                });
            }
            delete_softly(change, now);
            Ok(())
        };
        let (deleted, ()) = self.change(By::Caller(ctx), id, "delete", None, decide).await?;
        if purge { self.purge(By::Caller(ctx), &deleted).await } else { Ok(()) }
    }

    /// Deletes a session softly that ended long ago.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_outdated(&self, tenant: TenantId, id: SessionId) -> Result<(), AppError> {
        let now = self.clock.now();
        let decide = |change: &mut super::change::Change| {
            if change.session.status().is_terminal() {
                delete_softly(change, now);
            }
            Ok(())
        };
        match self.change(By::Part(tenant, RETENTION), id, "delete", None, decide).await {
            Ok(_) | Err(AppError::SessionNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes a session for good that was deleted long ago.
    ///
    /// # Errors
    /// The store's, `Workspace`.
    pub async fn purge_outdated(
        &self,
        tenant: TenantId,
        deleted: &Versioned<Session>,
    ) -> Result<(), AppError> {
        self.purge(By::Part(tenant, RETENTION), deleted).await
    }

    /// Waits a moment for the end of its supervisor, if it has one; whether it has none now.
    async fn is_let_go(&self, id: SessionId) -> bool {
        let until = self.clock.now().after(self.options.checkpoint_timeout);
        while self.wake.is_supervised(id) {
            if self.clock.now() >= until {
                return false;
            }
            self.clock.sleep(LOOK).await;
        }
        true
    }

    async fn purge(&self, by: By<'_>, deleted: &Versioned<Session>) -> Result<(), AppError> {
        let now = self.clock.now();
        // Their reason names it, as long as it can be read.
        if let Some(at) = deleted.value.broke_off_at() {
            self.end_children(by.tenant(), deleted.value.id, at).await?;
        }
        self.release_followers(&deleted.value).await?;
        let id = deleted.value.id;
        // Without its record nobody would find its files again, nor those that its last run is just
        // making.
        let is_let_go = self.is_let_go(id).await;
        let _alone = self.turns.alone(id).await;
        let put_away = if is_let_go {
            self.remove_files(&deleted.value).await?
        } else {
            PutAway::Kept("its last run is still being ended".to_owned())
        };
        if let PutAway::Kept(reason) = put_away {
            tracing::warn!(session.id = %id, %reason, "The workspace of session {id} stays: {reason}");
            return Err(AppError::NotNow {
                code: deleted.value.code.to_string(),
                status: deleted.value.status(),
                what: "it is deleted, but its files could not be put away yet; ask for the purge again",
            });
        }
        self.remove_artifacts(by.tenant(), id).await?;
        let set = ChangeSet::new(by.tenant())
            .write(Write::PurgeSession(deleted.version, id))
            .audit(audit(by, "purge", None, None, &deleted.value, now));
        self.store.commit(set).await?;
        // Somebody may have named it while it was going.
        self.release_followers(&deleted.value).await
    }
}

fn delete_softly(change: &mut super::change::Change, now: Timestamp) {
    change.session.stamps.deleted_at = Some(now);
    let event = change.session.event(EventType::SessionDeleted, now, json!({}));
    change.tell([event]);
}

fn maker(ctx: &RequestContext, wanted: Option<String>) -> Result<String, AppError> {
    match wanted {
        Some(name) if name != ctx.principal.name => {
            ctx.require(Role::Lead)?;
            if name.trim().is_empty() || name.chars().count() > 100 {
                return Err(invalid("/created_by", "invalid", "must have 1 to 100 characters"));
            }
            if is_reserved(&name) || !is_presentable(&name) {
                let rule = "must be no part of the server, and hold no control characters";
                return Err(invalid("/created_by", "invalid", rule));
            }
            Ok(name)
        }
        _ => Ok(ctx.principal.name.clone()),
    }
}

fn parent_error(message: &str) -> AppError {
    invalid("/parent_id", "invalid", message)
}

pub(super) fn invalid(pointer: &str, code: &'static str, message: impl Into<String>) -> AppError {
    let error = FieldError { pointer: pointer.to_owned(), code, message: message.into() };
    AppError::Invalid(vec![error])
}
