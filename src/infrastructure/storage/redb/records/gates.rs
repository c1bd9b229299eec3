//! What the gates of a session said, as it lies in the session's record.

use serde::{Deserialize, Serialize};

use crate::domain::session::gates::{GateReport, Verification};
use crate::domain::time::Timestamp;

#[derive(Serialize, Deserialize)]
pub(super) struct VerificationV1 {
    passed: bool,
    tree_hash: Option<String>,
    commit: Option<String>,
    at: i64,
    gates: Vec<GateReportV1>,
}

#[derive(Serialize, Deserialize)]
struct GateReportV1 {
    name: String,
    required: bool,
    passed: bool,
    exit_code: Option<i32>,
    timed_out: bool,
    duration_ms: u64,
    output: String,
}

impl VerificationV1 {
    pub(super) fn of(verification: &Verification) -> Self {
        let Verification { passed, tree_hash, commit, at, gates } = verification.clone();
        let gates = gates.into_iter().map(GateReportV1::of).collect();
        Self { passed, tree_hash, commit, at: at.millis(), gates }
    }

    pub(super) fn domain(self) -> Verification {
        let Self { passed, tree_hash, commit, at, gates } = self;
        let gates = gates.into_iter().map(GateReportV1::domain).collect();
        Verification { passed, tree_hash, commit, at: Timestamp::from_millis(at), gates }
    }
}

impl GateReportV1 {
    fn of(report: GateReport) -> Self {
        let GateReport { name, required, passed, exit_code, timed_out, duration_ms, output } =
            report;
        Self { name, required, passed, exit_code, timed_out, duration_ms, output }
    }

    fn domain(self) -> GateReport {
        let Self { name, required, passed, exit_code, timed_out, duration_ms, output } = self;
        GateReport { name, required, passed, exit_code, timed_out, duration_ms, output }
    }
}
