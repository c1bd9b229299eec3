//! Steps of a recovery, and what is stored, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::ports::reads::{ClassUsage, StoredClass};
use crate::application::supervise::recover::Done;
use crate::application::supervise::recover::plan::Step;
use crate::domain::ids::{SessionId, TenantId};
use crate::presentation::api::fields::{Fields, FromFields};

/// Which steps to do.
#[derive(Debug, ToSchema)]
#[schema(as = RecoveryApply)]
pub struct RecoveryBody {
    /// Ids of the plan; all steps when omitted.
    #[schema(max_items = 1000)]
    pub ids: Option<Vec<String>>,
}

impl FromFields for RecoveryBody {
    fn read(fields: &mut Fields) -> Self {
        let given = fields.has("ids") && !fields.is_null("ids");
        let ids = fields.texts("ids");
        for (index, _) in ids.iter().enumerate().filter(|(_, id)| id.chars().count() > 200) {
            fields.wrong_at("ids", index, "must have at most 200 characters");
        }
        if ids.len() > 1000 {
            fields.wrong("ids", "too_many", "at most 1000 at once; do the others after them");
        }
        Self { ids: given.then_some(ids) }
    }
}

/// Something that is to be done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryStep)]
pub struct RecoveryStepDto {
    /// What it is chosen by.
    pub id: String,
    /// `attempt`, `worktree` or `children`.
    pub kind: &'static str,
    /// `adopt`, `resume`, `restart`, `judge`, `finish`, `fail`, `expire`, `put_away` or
    /// `end_children`.
    pub action: &'static str,
    /// Whose.
    pub tenant_id: TenantId,
    /// Which session it is about.
    pub session_id: SessionId,
    /// What people call it.
    pub code: Option<String>,
    /// Why.
    pub reason: String,
}

impl From<Step> for RecoveryStepDto {
    fn from(step: Step) -> Self {
        let id = step.id();
        let Step { tenant, session, code, measure, reason } = step;
        let (kind, action) = (measure.kind(), measure.as_str());
        let code = code.map(|code| code.to_string());
        Self { id, kind, action, tenant_id: tenant, session_id: session, code, reason }
    }
}

/// What became of a step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryDone)]
pub struct RecoveryDoneDto {
    /// The step.
    pub step: RecoveryStepDto,
    /// `done`, `nothing` when there was nothing to do any more, or `failed`.
    pub outcome: &'static str,
    /// Why it failed; it is tried again by itself.
    pub error: Option<String>,
}

impl From<(Step, Done)> for RecoveryDoneDto {
    fn from((step, done): (Step, Done)) -> Self {
        let (outcome, error) = match done {
            Done::Done => ("done", None),
            Done::Nothing => ("nothing", None),
            Done::Failed(error) => ("failed", Some(error)),
        };
        Self { step: step.into(), outcome, error }
    }
}

/// What the store takes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StorageUsage)]
pub struct StorageUsageDto {
    /// Bytes of the store on disk; null for one without a file.
    pub file_bytes: Option<u64>,
    /// Room on its disk; null where it is not known.
    pub free_bytes: Option<u64>,
    /// By class.
    pub classes: Vec<ClassUsageDto>,
}

/// What one class takes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClassUsage)]
pub struct ClassUsageDto {
    /// Which.
    #[schema(value_type = String)]
    pub class: StoredClass,
    /// Records.
    pub rows: u64,
    /// Bytes of records, keys and what finds them; null for a store without a file.
    pub bytes: Option<u64>,
}

impl From<ClassUsage> for ClassUsageDto {
    fn from(usage: ClassUsage) -> Self {
        let ClassUsage { class, rows, bytes } = usage;
        Self { class, rows, bytes }
    }
}

/// What the server says of itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SystemInfo)]
pub struct SystemInfoDto {
    /// Its version.
    pub version: &'static str,
    /// Kind of its store.
    pub store: &'static str,
    /// System and processor that it was built for.
    pub platform: String,
    /// Since when it serves.
    pub started_at: crate::domain::time::Timestamp,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// When its store was put back from a backup; null when it never was. Numbers of events that were
    /// read before then may stand for others since.
    pub restored_at: Option<crate::domain::time::Timestamp>,
    /// What keeps agents and gates from files that are not theirs: `landlock` and its version, `off`, or
    /// `none:` and why.
    pub sandbox: String,
    /// Sessions that execute now: of this tenant, for system administrators of the whole server.
    pub executing_sessions: usize,
    /// Sessions that may execute at once.
    pub max_running_sessions: usize,
}
