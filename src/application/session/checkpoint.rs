//! Checkpoints: taking them, showing them, going back to them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::change::{By, Change};
use super::limits::{has_room, to_store};
use super::next::{begin_anew, go_on_from};
use super::{SessionService, expect_version};
use crate::application::error::AppError;
use crate::application::principal::{RequestContext, Subject};
use crate::domain::event::EventType;
use crate::domain::ids::SessionId;
use crate::domain::session::Session;
use crate::domain::session::checkpoint::{Checkpoint, CheckpointState, CheckpointTrigger};
use crate::domain::session::status::{SessionStatus, Trigger};
use crate::domain::version::Versioned;

impl SessionService {
    /// Checkpoints kept, oldest first.
    ///
    /// # Errors
    /// `SessionNotFound`.
    pub async fn checkpoints(
        &self,
        ctx: &RequestContext,
        id: SessionId,
    ) -> Result<Vec<Checkpoint>, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?;
        Ok(snapshot.checkpoints(id).await?)
    }

    /// One checkpoint.
    ///
    /// # Errors
    /// `SessionNotFound`, `CheckpointNotFound`.
    pub async fn checkpoint(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        sequence: u64,
    ) -> Result<Checkpoint, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?;
        snapshot.checkpoint(id, sequence).await?.ok_or(AppError::CheckpointNotFound)
    }

    /// Takes a checkpoint with a caller's own data.
    ///
    /// # Errors
    /// `CheckpointTooLarge`, `NotNow` in a final status, `SessionNotFound`.
    pub async fn create_checkpoint(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        mut data: Map<String, Value>,
        metadata: Option<Map<String, Value>>,
    ) -> Result<Checkpoint, AppError> {
        if let Some(metadata) = metadata {
            data.insert("_metadata".to_owned(), Value::Object(metadata));
        }
        let given = CheckpointState { data: Value::Object(data), ..CheckpointState::default() };
        if given.is_too_large() {
            return Err(AppError::CheckpointTooLarge);
        }
        let by = By::Caller(ctx);
        let purse = self.bounds(ctx.tenant).await?.purse;
        if let Err(error) = has_room(&purse) {
            return Err(self.told_of_refusal(by, error).await);
        }
        let saved = self.save_before(by, id, Trigger::Pause).await?;
        for _ in 0..super::MAX_COMMIT_ATTEMPTS {
            let mut change = Change::read(&*self.snapshot(ctx.tenant).await?, id).await?;
            if change.session.status().is_final() {
                return Err(not_now(
                    &change.session,
                    "a session that has ended for good takes no checkpoints; fork it to go on",
                ));
            }
            let now = self.clock.now();
            let mut state = state_of(&change, saved.clone());
            state.data.clone_from(&given.data);
            let trigger = CheckpointTrigger::Manual;
            let checkpoint = change.checkpoint(self.ids.uuid(), trigger, state, now);
            change.guard(to_store(&purse).into_iter().collect());
            change.session.stamps.updated_at = now;
            let (mut set, _) = change.finish(by, "checkpoint", None, now);
            set.remembered = ctx.remembered(&Subject::Checkpoint(&checkpoint), now);
            match self.store.commit(set).await {
                Ok(_) => return Ok(checkpoint),
                Err(crate::application::ports::store::CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// Goes back to a checkpoint: files at once, the conversation with the next run.
    ///
    /// # Errors
    /// `NotNow` while it is queued or works, `CheckpointNotFound`, `Workspace`.
    pub async fn restore(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        sequence: u64,
    ) -> Result<Versioned<Session>, AppError> {
        let checkpoint = self.checkpoint(ctx, id, sequence).await?;
        // From here to the commit no agent begins to work on it.
        let _alone = self.turns.alone(id).await;
        let change = Change::read(&*self.snapshot(ctx.tenant).await?, id).await?;
        expect_version(ctx.if_match, &change)?;
        let session = change.session;
        may_restore(&session)?;
        let mut rescue = None;
        if let (Some(_), Some(commit)) = (&session.run.workspace, &checkpoint.workspace_ref) {
            let spec = &session.spec.workspace;
            let workspace = self.workspaces.prepare(id, session.code, spec, None).await?;
            rescue = self.workspaces.restore(id, &workspace, commit).await?;
        }
        let uuids = [self.ids.uuid(), self.ids.uuid()];
        let decide = |change: &mut Change| {
            // Queued meanwhile, it goes on from there just the same.
            if change.session.status() != SessionStatus::Queued {
                may_restore(&change.session)?;
            }
            let now = self.clock.now();
            // What it was told, and what came of it, is no longer so; what people have added since
            // still waits to be told.
            let prompt = go_on_from(&change.session.spec.initial_prompt, uuids[0], now);
            begin_anew(&mut change.session, prompt, uuids[1]);
            let run = &mut change.session.run;
            run.resume_from = Some(sequence);
            run.workspace_ref.clone_from(&checkpoint.workspace_ref);
            run.message_ref.clone_from(&checkpoint.agent_message_ref);
            change.session.metrics.result = None;
            change.session.stamps.updated_at = now;
            let payload = json!({
                "sequence": sequence, "trigger": checkpoint.trigger,
                "state_hash": checkpoint.state_hash, "rescue_ref": rescue,
            });
            let event_type = EventType::SessionCheckpointRestored;
            let event = change.session.event(event_type, now, payload);
            change.tell([event]);
            Ok(())
        };
        // The version was checked before any file changed.
        let ctx = &RequestContext { if_match: None, ..ctx.clone() };
        Ok(self.change(By::Caller(ctx), id, "restore", None, decide).await?.0)
    }

    /// `save_work` within the time that a command has.
    pub(in crate::application) async fn save_before(
        &self,
        by: By<'_>,
        id: SessionId,
        verb: Trigger,
    ) -> Result<Option<String>, AppError> {
        self.save_work(by, id, verb, self.options.checkpoint_timeout).await
    }

    /// Saves the working tree of a session that works or may be ended by `verb`, within the time
    /// that there is for it; `None` keeps the last known state.
    pub(super) async fn save_work(
        &self,
        by: By<'_>,
        id: SessionId,
        verb: Trigger,
        limit: Duration,
    ) -> Result<Option<String>, AppError> {
        let found = self.snapshot(by.tenant()).await?.session(id).await?;
        let session = found.ok_or(AppError::SessionNotFound)?.value;
        let Some(workspace) = session.run.workspace.clone() else { return Ok(None) };
        if !session.status().is_executing() || session.status().after(verb).is_err() {
            return Ok(None);
        }
        let message = format!("{}: saved before {verb}", session.code);
        let save = self.workspaces.checkpoint(id, &workspace, &message);
        tokio::select! {
            biased;
            saved = save => Ok(saved.unwrap_or_else(|error| {
                tracing::warn!(session.id = %id, %error, "The work of session {id} could not be saved");
                None
            })),
            () = self.clock.sleep(limit) => Ok(None),
        }
    }
}

/// What a checkpoint of this session records now.
pub(super) fn state_of(change: &Change, saved: Option<String>) -> CheckpointState {
    let run = &change.session.run;
    let conversation = run.handle.as_ref().and_then(|handle| handle.get("session"));
    CheckpointState {
        data: json!({
            "handle": run.handle,
            "prompt": run.prompt.as_ref().map(|prompt| prompt.id),
            "phase": change.session.phase,
        }),
        agent_session_ref: conversation.and_then(Value::as_str).map(str::to_owned),
        agent_message_ref: run.message_ref.clone(),
        workspace_ref: saved.or_else(|| run.workspace_ref.clone()),
        context_versions: change.context_versions.clone(),
    }
    .truncated()
}

fn may_restore(session: &Session) -> Result<(), AppError> {
    match session.status() {
        SessionStatus::Pending
        | SessionStatus::Paused
        | SessionStatus::Failed
        | SessionStatus::Timeout => Ok(()),
        SessionStatus::Queued | SessionStatus::Running | SessionStatus::Degraded => {
            Err(not_now(session, "pause it before going back to a checkpoint"))
        }
        SessionStatus::Completed
        | SessionStatus::PartiallyCompleted
        | SessionStatus::Stopped
        | SessionStatus::Cancelled
        | SessionStatus::Orphaned => {
            Err(not_now(session, "it has ended for good; fork it from the checkpoint instead"))
        }
    }
}

pub(in crate::application) fn not_now(session: &Session, what: &'static str) -> AppError {
    AppError::NotNow { code: session.code.to_string(), status: session.status(), what }
}
