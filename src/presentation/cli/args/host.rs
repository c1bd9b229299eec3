//! `host …`

use clap::Subcommand;

/// `host …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  orchestrator host list
  orchestrator host list --json
  orchestrator host recycle opencode-00000000000000000000000000000001-0 --reason \"it is slow\"")]
pub enum HostCommand {
    /// Every agent server that the server keeps, and how it is.
    List,
    /// Replace an agent server; its sessions move to the one in its place.
    Recycle {
        /// Name of the host, as `host list` shows it.
        #[arg(value_name = "HOST")]
        id: String,
        /// Why, for people and the audit.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}
