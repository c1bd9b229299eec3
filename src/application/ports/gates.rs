//! Running the commands that judge work.

use std::path::Path;

use async_trait::async_trait;

use crate::domain::session::gates::GateReport;
use crate::domain::session::spec::Gate;

/// What one gate said, with more of its output than its report keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateRun {
    /// The report.
    pub report: GateReport,
    /// The end of what it printed, up to some dozen KiB.
    pub output: String,
}

/// Runs gates.
#[async_trait]
pub trait Gates: Send + Sync {
    /// Runs one gate in a folder, for as long as it may take. Dropping the future ends the command
    /// and whatever it started.
    async fn run(&self, gate: &Gate, folder: &Path) -> GateRun;
}
