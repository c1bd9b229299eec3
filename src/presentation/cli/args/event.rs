//! `event …`

use clap::{Args, Subcommand};

/// `event …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  orchestrator event list --after 100
  orchestrator event follow --type session.failed --json")]
pub enum EventCommand {
    /// Events in order.
    List(EventArgs),
    /// Events from now on, until interrupted.
    #[command(visible_alias = "watch")]
    Follow(EventArgs),
}

/// Which events.
#[derive(Debug, Clone, Args)]
pub struct EventArgs {
    /// Only events with a larger number.
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// Only events of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub limit: u64,
}
