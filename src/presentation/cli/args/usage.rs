//! `usage …`

use clap::{Args, Subcommand, ValueEnum};

/// `usage`, and what belongs to it.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  orchestrator usage --group-by model
  orchestrator usage --from 2026-01-01 --to 2026-01-31 --group-by session
  orchestrator usage budgets --monthly 50
  orchestrator usage prices --set 'anthropic/*=3,15,0.3'"
)]
pub struct UsageArgs {
    /// Prices and budgets.
    #[command(subcommand)]
    pub command: Option<UsageCommand>,
    /// First day of UTC [default: the first of the month].
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// Last day of UTC, included [default: today].
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// By what it is grouped: day, model, agent or session.
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub group_by: GroupWord,
}

/// The nouns below `usage`.
#[derive(Debug, Subcommand)]
pub enum UsageCommand {
    /// What the tenant may use this month, and has used; options change it.
    Budgets {
        /// The budget of a month in US dollars, or `none`.
        #[arg(long, value_name = "DOLLARS", value_parser = crate::presentation::cli::usage::limit)]
        monthly: Option<serde_json::Value>,
        /// The quota of tokens of a month, or `none`; needs a system administrator.
        #[arg(long, value_name = "NUMBER", value_parser = crate::presentation::cli::usage::limit)]
        tokens: Option<serde_json::Value>,
    },
    /// What models cost, in dollars per million tokens; options change it.
    Prices {
        /// A price: input and output, then cache reads, cache writes and reasoning; repeatable.
        #[arg(
            long,
            value_name = "MODEL=IN,OUT[,READ[,WRITE[,REASONING]]]",
            value_parser = crate::presentation::cli::usage::price
        )]
        set: Vec<serde_json::Value>,
        /// A price that goes; repeatable.
        #[arg(long, value_name = "MODEL")]
        remove: Vec<String>,
    },
}

/// What use is grouped by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GroupWord {
    /// Days of UTC.
    #[default]
    Day,
    /// Models.
    Model,
    /// Agents.
    Agent,
    /// Sessions.
    Session,
}

impl GroupWord {
    /// As the API spells it.
    #[must_use]
    pub const fn as_api(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Agent => "agent",
            Self::Session => "session",
        }
    }
}
