//! `top`

use clap::{Args, ValueEnum};

/// Examples.
pub(super) const EXAMPLES: &str = "\
Keys:
  j k       down and up                o       order: attention, spend, stall
  a enter   allow what it asks, once   d       what it changed
  p         pause, or resume           s y     stop
  q         leave

Examples:
  orchestrator top
  orchestrator top --sort spend
  orchestrator top --once --json";

/// What the fleet is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Order {
    /// Who waits for a person comes first, by deadline.
    #[default]
    Attention,
    /// Who has cost the most.
    Spend,
    /// Who has not been heard of for the longest.
    Stall,
}

/// The fleet in the terminal.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// What comes first.
    #[arg(long, value_enum, default_value_t)]
    pub sort: Order,
    /// Print it once and leave, as is done where there is no terminal.
    #[arg(long)]
    pub once: bool,
}
