//! Looking at what was left open, and having it done, for whoever runs the server.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::plan::{Step, everything};
use super::{Done, apply};
use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::clock::Clock;
use crate::application::ports::store::Store;
use crate::application::principal::RequestContext;
use crate::application::supervise::Supervisors;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{Subject, SubjectKind};

/// The use cases of recovery: for system administrators.
#[derive(Clone)]
pub struct RecoveryService {
    supervisors: Supervisors,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl RecoveryService {
    /// Use cases over these.
    #[must_use]
    pub const fn new(
        supervisors: Supervisors,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { supervisors, store, clock }
    }

    /// What a start, or `apply`, would do now.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan(&self) -> Result<Vec<Step>, AppError> {
        everything(&self.supervisors, self.store.as_ref()).await
    }

    /// Does what is to be done, all of it or the steps of these names; a name of nothing that is left
    /// open does nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn apply(
        &self,
        ctx: &RequestContext,
        chosen: Option<&[String]>,
    ) -> Result<Vec<(Step, Done)>, AppError> {
        let mut steps = everything(&self.supervisors, self.store.as_ref()).await?;
        if let Some(chosen) = chosen {
            steps.retain(|step| chosen.contains(&step.id()));
        }
        let ids: Vec<String> = steps.iter().map(Step::id).collect();
        // On record before anything is done.
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: ctx.actor(),
            action: "recovery.apply".to_owned(),
            subject: Subject { kind: SubjectKind::System, id: Uuid::nil() },
            ok: true,
            reason: None,
            before: None,
            after: Some(json!({ "steps": ids })),
            request_id: Some(ctx.request_id.clone()),
        };
        self.store.commit(ChangeSet::new(ctx.tenant).audit(Some(entry))).await?;
        Ok(apply(&self.supervisors, steps).await)
    }
}
