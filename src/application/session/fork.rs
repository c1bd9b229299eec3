//! Forks: a new session that goes on where another one was.

use super::SessionService;
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::ids::SessionId;
use crate::domain::money::Usd;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::policy::PermissionPolicy;
use crate::domain::session::{Lineage, RunState, Session};
use crate::domain::tenant::key::Role;
use crate::domain::version::Versioned;
use crate::domain::workspace::WorkspaceSpec;

/// What differs from the source; what is `None` is copied.
#[derive(Debug, Clone, Default)]
pub struct ForkRequest {
    /// The newest one when omitted.
    pub from_checkpoint: Option<u64>,
    /// The source's title with `(fork)` when omitted.
    pub title: Option<String>,
    /// What to do.
    pub initial_prompt: Option<String>,
    /// Pinned agent.
    pub agent: Option<String>,
    /// `provider/model`.
    pub model_identifier: Option<String>,
    /// Budget in US dollars.
    pub budget_usd: Option<Usd>,
    /// A fork has a parent only when one is named.
    pub parent: Option<String>,
}

impl SessionService {
    /// Creates a pending copy of a session, from one of its checkpoints when it has any.
    ///
    /// # Errors
    /// `SessionNotFound`, `CheckpointNotFound`, `Invalid`.
    pub async fn fork(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        request: ForkRequest,
    ) -> Result<Versioned<Session>, AppError> {
        let snapshot = self.snapshot(ctx.tenant).await?;
        let source = snapshot.session(id).await?.ok_or(AppError::SessionNotFound)?.value;
        let newest = (source.run.checkpoint_count > 0).then_some(source.run.last_checkpoint);
        let checkpoint = match request.from_checkpoint.or(newest) {
            Some(sequence) => {
                let found = snapshot.checkpoint(id, sequence).await?;
                Some(found.ok_or(AppError::CheckpointNotFound)?)
            }
            None => None,
        };
        drop(snapshot);
        let mut draft = SessionDraft::from(source.spec);
        draft.title = request.title.or_else(|| draft.title.map(|title| forked_title(&title)));
        draft.initial_prompt = request.initial_prompt.unwrap_or(draft.initial_prompt);
        draft.agent = request.agent.or(draft.agent);
        draft.model_identifier = request.model_identifier.or(draft.model_identifier);
        draft.budget_usd = request.budget_usd.or(draft.budget_usd);
        draft.not_before = None;
        // What a lead allowed for the source is asked for in the copy that somebody else makes.
        if ctx.principal.role < Role::Lead {
            draft.permission_policy = draft.permission_policy.map(PermissionPolicy::asking);
        }
        if let WorkspaceSpec::Git { branch, .. } = &mut draft.workspace {
            *branch = None;
        }
        let spec = self.accept(ctx, draft).await?;
        let parent = match request.parent {
            Some(parent) => self.child_of(ctx, &parent).await?,
            None => Lineage::default(),
        };
        let forked_from = Some((id, checkpoint.as_ref().map(|taken| taken.sequence)));
        let lineage = Lineage { forked_from, ..parent };
        let run = checkpoint.map_or_else(RunState::default, |taken| begin_at(&taken));
        self.insert(ctx, spec, lineage, run, &ctx.principal.name, false).await
    }
}

/// What the first run of a fork finds: the files of that commit, the conversation up to there.
fn begin_at(checkpoint: &Checkpoint) -> RunState {
    RunState {
        handle: checkpoint.data.get("handle").filter(|handle| !handle.is_null()).cloned(),
        message_ref: checkpoint.agent_message_ref.clone(),
        workspace_ref: checkpoint.workspace_ref.clone(),
        ..RunState::default()
    }
}

fn forked_title(title: &str) -> String {
    let kept: String = title.chars().take(193).collect();
    format!("{kept} (fork)")
}
