//! What the gates of a session said, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::session::gates::{GateReport, Verification};
use crate::domain::time::Timestamp;
use crate::presentation::api::fields::{Fields, FromFields};

/// What the gates said of one state of the files.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verification)]
pub struct VerificationDto {
    /// Every required gate passed.
    pub passed: bool,
    /// Hash of the files; null for a directory.
    pub tree_hash: Option<String>,
    /// The commit that was checked out; null for a directory.
    pub commit: Option<String>,
    /// When the last gate ended.
    pub verified_at: Timestamp,
    /// In the order of the definition.
    pub gates: Vec<GateReportDto>,
}

/// What one gate said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GateReport)]
pub struct GateReportDto {
    /// Its name.
    pub name: String,
    /// Whether completion needs it.
    pub required: bool,
    /// Whether its command ended with exit code 0 in time.
    pub passed: bool,
    /// Null when it did not start or was ended.
    pub exit_code: Option<i32>,
    /// Ended because its time was over.
    pub timed_out: bool,
    /// How long it ran.
    pub duration_ms: u64,
    /// The end of what it printed, at most 2 KiB; the log of the session has more.
    pub output: String,
}

impl From<Verification> for VerificationDto {
    fn from(verification: Verification) -> Self {
        let Verification { passed, tree_hash, commit, at, gates } = verification;
        let gates = gates.into_iter().map(GateReportDto::from).collect();
        Self { passed, tree_hash, commit, verified_at: at, gates }
    }
}

impl From<GateReport> for GateReportDto {
    fn from(report: GateReport) -> Self {
        let GateReport { name, required, passed, exit_code, timed_out, duration_ms, output } =
            report;
        Self { name, required, passed, exit_code, timed_out, duration_ms, output }
    }
}

/// How the gates are run.
#[derive(Debug, ToSchema)]
#[schema(as = Verify, example = json!({ "force": true }))]
pub struct VerifyBody {
    /// Runs them again although the files are those that were judged last.
    #[schema(default = false)]
    pub force: Option<bool>,
}

impl FromFields for VerifyBody {
    fn read(fields: &mut Fields) -> Self {
        Self { force: fields.flag("force") }
    }
}
