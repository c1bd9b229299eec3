//! `recovery …`

use clap::Subcommand;

/// `recovery …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  orchestrator recovery plan
  orchestrator recovery apply
  orchestrator recovery apply worktree:0198f3a0-0000-7000-8000-000000000000")]
pub enum RecoveryCommand {
    /// What a start would do now for everything that was left open; it changes nothing.
    Plan,
    /// Do it, all of it or the steps of these ids.
    Apply {
        /// Ids of the plan.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
}
