//! `context …`

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  orchestrator context create --session IND-000001 --data '{\"plan\": {\"step\": 1}}'
  orchestrator context set CONTEXT plan.step 2 --expect 1
  orchestrator context history CONTEXT
  orchestrator context merge CONTEXT OTHER --strategy manual
  orchestrator context resolve CONTEXT plan.step=source

CONTEXT is an id, as `context list` shows it. Values are JSON; what is no JSON is a text.";

/// The verbs of contexts.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ContextCommand {
    /// Contexts, oldest first.
    #[command(visible_alias = "ls")]
    List(ContextListArgs),
    /// One context with what it remembers.
    Show { context: String },
    /// Create a context.
    Create(ContextCreateArgs),
    /// The value at a path.
    Get { context: String, path: String },
    /// Write a value at a path.
    Set(ContextSetArgs),
    /// Delete the value at a path.
    Unset { context: String, path: String },
    /// Delete a context with its history.
    Delete { context: String },
    /// What changed, newest first.
    History(ContextHistoryArgs),
    /// A version as it was.
    Version { context: String, version: u64 },
    /// What another context has differently.
    Diff { context: String, other: String },
    /// Give another session what a context has.
    Share(ContextShareArgs),
    /// Make what a context has known to the whole tenant, as a copy.
    Promote { context: String },
    /// Merge contexts into a new one; the first is the target.
    Merge(ContextMergeArgs),
    /// Decide the clashes of a merge that waits.
    Resolve {
        /// The id that the merge was given.
        context: String,
        /// PATH=source, PATH=target, or PATH=VALUE.
        #[arg(required = true, value_name = "PATH=DECISION")]
        decisions: Vec<String>,
    },
    /// What the contexts of a session hold.
    Summary { session: String },
}

/// Which contexts.
#[derive(Debug, Args)]
pub struct ContextListArgs {
    /// Of this scope: `temporary`, `task`, `session`, `agent` or `global`.
    #[arg(long)]
    pub scope: Option<String>,
    /// Of this session.
    #[arg(long, conflicts_with = "agent")]
    pub session: Option<String>,
    /// Of this agent.
    #[arg(long)]
    pub agent: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
}

/// A context to be made.
#[derive(Debug, Args)]
pub struct ContextCreateArgs {
    /// `temporary`, `task`, `session`, `agent` or `global`.
    #[arg(long, default_value = "session")]
    pub scope: String,
    /// The session that it belongs to.
    #[arg(long)]
    pub session: Option<String>,
    /// The agent that it belongs to.
    #[arg(long)]
    pub agent: Option<String>,
    /// The task that it belongs to.
    #[arg(long)]
    pub task: Option<String>,
    /// What it remembers from the beginning, as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub data: Option<String>,
    /// Keep it as a global one when its session ends.
    #[arg(long)]
    pub important: bool,
}

/// A value to write.
#[derive(Debug, Args)]
pub struct ContextSetArgs {
    /// Which context.
    pub context: String,
    /// Names joined by dots; a dot within a name is `\.`.
    pub path: String,
    /// JSON, or a text.
    pub value: String,
    /// The version that you know: newer ones do not matter as long as they changed something else.
    #[arg(long, value_name = "VERSION")]
    pub expect: Option<u64>,
    /// Newer versions matter, whatever they changed.
    #[arg(long, requires = "expect")]
    pub strict: bool,
}

/// How much of the history.
#[derive(Debug, Args)]
pub struct ContextHistoryArgs {
    /// Which context.
    pub context: String,
    /// At most this many changes.
    #[arg(long, default_value_t = 10)]
    pub limit: u32,
}

/// Whom to give it.
#[derive(Debug, Args)]
pub struct ContextShareArgs {
    /// Which context.
    pub context: String,
    /// Which session, by id or code.
    pub session: String,
    /// As another copy, also when the session has one.
    #[arg(long)]
    pub copy: bool,
}

/// What to merge, and how.
#[derive(Debug, Args)]
pub struct ContextMergeArgs {
    /// The target, then what is merged into it.
    #[arg(required = true, num_args = 2..)]
    pub contexts: Vec<String>,
    /// `last_write_wins`, `prefer_source`, `prefer_target`, `deep_merge` or `manual`.
    #[arg(long, default_value = "last_write_wins")]
    pub strategy: String,
}
