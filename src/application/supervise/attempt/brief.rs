//! What an agent that works elsewhere is told of its session, beside what to do.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Supervisor;
use crate::application::error::AppError;
use crate::application::ports::contexts::{ContextQuery, ContextsOf};
use crate::application::ports::driver::Brief;
use crate::application::ports::reads::Snapshot;
use crate::domain::context::ContextScope;
use crate::domain::session::Session;
use crate::domain::workspace::{Workspace, WorkspaceSpec};

impl Supervisor {
    /// The brief of a run in this workspace.
    pub(super) async fn brief(
        &self,
        session: &Session,
        workspace: &Workspace,
    ) -> Result<Brief, AppError> {
        let snapshot = self.tools.sessions.readable(self.holder.tenant).await?;
        let attempt = snapshot.attempt(session.id, session.run.attempt).await?;
        let attempt = attempt.map(|found| found.value);
        let has_begun = attempt.as_ref().is_some_and(|attempt| {
            attempt.resumed_from_checkpoint.is_some() || attempt.leases.len() > 1
        });
        let resume = match session.run.last_checkpoint {
            newest if has_begun && newest > 0 => {
                let taken = snapshot.checkpoint(session.id, newest).await?;
                taken.map_or(Value::Null, |taken| {
                    json!({
                        "checkpoint": taken.sequence, "phase": session.phase,
                        "workspace_ref": taken.workspace_ref,
                        "message_ref": taken.agent_message_ref,
                    })
                })
            }
            _ => Value::Null,
        };
        let shared = shared(&*snapshot, session).await?;
        let spec = &session.spec;
        let mut requirements: Vec<String> = Vec::new();
        for word in spec.required_capabilities.iter().chain(&spec.tags) {
            if !requirements.contains(word) {
                requirements.push(word.clone());
            }
        }
        let mut facts = Map::new();
        facts.insert("session_type".to_owned(), json!(spec.session_type));
        facts.insert("priority".to_owned(), json!(spec.priority));
        let limit = Duration::from_secs(u64::from(spec.max_duration_seconds));
        Ok(Brief {
            facts,
            requirements,
            time_left: limit.saturating_sub(session.run.clock.at(self.tools.clock.now())),
            workspace: where_to_work(&spec.workspace, workspace),
            resume,
            shared,
        })
    }
}

/// What is remembered for the session, for its agent and for everybody, by scope: the oldest of each.
async fn shared(
    snapshot: &dyn Snapshot,
    session: &Session,
) -> Result<Map<String, Value>, AppError> {
    let agent = session.run.lease.as_ref().map(|lease| ContextsOf::Agent(lease.agent_id));
    let wanted = [
        (ContextScope::Session, Some(ContextsOf::Session(session.id))),
        (ContextScope::Agent, agent),
        (ContextScope::Global, Some(ContextsOf::Global)),
    ];
    let mut shared = Map::new();
    for (scope, of) in wanted {
        let Some(of) = of else { continue };
        let query = ContextQuery { of, scope: Some(scope), after: None, limit: 1 };
        if let Some(found) = snapshot.contexts(query).await?.into_iter().next() {
            shared.insert(scope.as_str().to_owned(), Value::Object(found.value.data));
        }
    }
    Ok(shared)
}

/// The repository and the branch, as far as they mean anything elsewhere.
fn where_to_work(wanted: &WorkspaceSpec, made: &Workspace) -> Value {
    match wanted {
        WorkspaceSpec::None | WorkspaceSpec::Directory { .. } => Value::Null,
        WorkspaceSpec::Git { repo, base_ref, branch: _ } => json!({
            "repo": repo, "base_ref": base_ref, "branch": made.branch, "commit": made.base_commit,
        }),
    }
}
