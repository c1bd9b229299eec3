//! `session …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::EventArgs;
use super::run::{amount, duration};

const EXAMPLES: &str = "\
Examples:
  orchestrator session list --status running --status queued
  orchestrator session show IND-000042
  orchestrator session logs -f IND-000042
  orchestrator session diff IND-000042 --stat
  orchestrator session merge IND-000042 --squash

SESSION is a code such as IND-000042, or an id.";

/// The verbs of sessions.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum SessionCommand {
    /// Sessions, newest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// One session with its figures.
    Show {
        /// Code or id of the session.
        session: String,
    },
    /// Create a session.
    Create(Box<CreateArgs>),
    /// Ask a session to run.
    Start {
        /// Code or id of the session.
        session: String,
    },
    /// Hold a running session at the end of its turn.
    Pause {
        /// Code or id of the session.
        session: String,
    },
    /// Go on with a paused session.
    Resume {
        /// Code or id of the session.
        session: String,
    },
    /// End a session that runs or is paused.
    Stop {
        /// Code or id of the session.
        session: String,
        /// Why, for the record.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Withdraw a session that waits or is paused.
    Cancel {
        /// Code or id of the session.
        session: String,
        /// Why, for the record.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Run a failed session again.
    Retry {
        /// Code or id of the session.
        session: String,
        /// Go on from this checkpoint; the newest by default.
        #[arg(long, value_name = "SEQ")]
        from_checkpoint: Option<u64>,
    },
    /// Declare a running session completed.
    Complete {
        /// Code or id of the session.
        session: String,
        /// What the work gave, a JSON object.
        #[arg(long, default_value = "{}", value_parser = json_object)]
        result: serde_json::Value,
        /// Share of the work that succeeded, 0–1.
        #[arg(long, value_parser = amount)]
        success_rate: Option<f64>,
        /// Why, for the record.
        #[arg(long)]
        reason: String,
    },
    /// Declare a session failed.
    Fail {
        /// Code or id of the session.
        session: String,
        /// What went wrong.
        #[arg(long, value_name = "TEXT")]
        message: String,
        /// Stable word for it.
        #[arg(long)]
        code: Option<String>,
        /// Do not try again.
        #[arg(long = "final")]
        final_: bool,
    },
    /// Run the gates of a session on its work; exit code 1 when a required one fails.
    Verify {
        /// Code or id of the session.
        session: String,
        /// Also when the same files were judged already.
        #[arg(long)]
        force: bool,
    },
    /// Judge a session that has ended.
    Rate {
        /// Code or id of the session.
        session: String,
        /// Share of the work that succeeded, 0–1.
        #[arg(long, value_parser = amount, required_unless_present_any = ["quality", "comment"])]
        success_rate: Option<f64>,
        /// How good the code is, 0–1.
        #[arg(long, value_name = "SCORE", value_parser = amount)]
        quality: Option<f64>,
        /// Why, for the record.
        #[arg(long)]
        comment: Option<String>,
    },
    /// Tell a running or paused session something more.
    Prompt {
        /// Code or id of the session.
        session: String,
        /// What to say.
        text: String,
        /// Abort the current turn first.
        #[arg(long)]
        interrupt: bool,
    },
    /// A new session that goes on from a checkpoint of another.
    Fork(ForkArgs),
    /// Delete a session that does not run.
    #[command(visible_alias = "rm")]
    Delete {
        /// Code or id of the session.
        session: String,
        /// For good.
        #[arg(long)]
        purge: bool,
    },
    /// Change title, priority, tags, limits.
    Edit(EditArgs),
    /// Saved states of a session.
    Checkpoints {
        /// Code or id of the session.
        session: String,
    },
    /// Save the state of a session now.
    Checkpoint {
        /// Code or id of the session.
        session: String,
        /// What to keep with it, a JSON object.
        #[arg(long, default_value = "{}", value_parser = json_object)]
        data: serde_json::Value,
    },
    /// Take a session back to a checkpoint.
    Restore {
        /// Code or id of the session.
        session: String,
        /// Number of the checkpoint.
        checkpoint: u64,
    },
    /// Each run of a session.
    Attempts {
        /// Code or id of the session.
        session: String,
    },
    /// What was said and done.
    Transcript {
        /// Code or id of the session.
        session: String,
        /// Go on until the session ends.
        #[arg(long, short)]
        follow: bool,
    },
    /// Log lines.
    Logs {
        /// Code or id of the session.
        session: String,
        /// Go on until the session ends.
        #[arg(long, short)]
        follow: bool,
        /// Only lines with a larger number.
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
    },
    /// What a session changed.
    Diff(DiffArgs),
    /// Files that agents brought back for a session.
    Artifacts(ArtifactsArgs),
    /// Bring the work of a session home.
    Merge(MergeArgs),
    /// A session and its children.
    Tree {
        /// Code or id of the session.
        session: String,
    },
    /// Counts, success, durations, cost.
    Stats,
    /// What happened to a session.
    Events {
        /// Code or id of the session.
        session: String,
        #[command(flatten)]
        args: EventArgs,
    },
    /// Follow a session until it ends.
    Watch {
        /// Code or id of the session.
        session: String,
    },
}

/// Which sessions to list.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Only in this status; repeatable.
    #[arg(long)]
    pub status: Vec<String>,
    /// Only of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub session_type: Option<String>,
    /// Only of this priority: critical, high, medium, low, deferred.
    #[arg(long)]
    pub priority: Option<String>,
    /// Only with this tag; repeatable, all must match.
    #[arg(long)]
    pub tag: Vec<String>,
    /// Only of this agent.
    #[arg(long)]
    pub agent: Option<String>,
    /// Only children of this session.
    #[arg(long, value_name = "SESSION")]
    pub parent: Option<String>,
    /// Only those that want this attention.
    #[arg(long)]
    pub attention: Option<String>,
    /// Only created at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub created_after: Option<String>,
    /// Only created before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub created_before: Option<String>,
    /// Text in title or code.
    #[arg(long, short, value_name = "TEXT")]
    pub query: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub limit: u64,
    /// The page after this cursor.
    #[arg(long)]
    pub cursor: Option<String>,
}

/// A new session.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// What to do; `-` reads it from standard input.
    pub prompt: String,
    /// Title; the first line of the prompt by default.
    #[arg(long)]
    pub title: Option<String>,
    /// planning, execution, review, debug or integration.
    #[arg(long = "type", value_name = "TYPE")]
    pub session_type: Option<String>,
    /// critical, high, medium, low or deferred.
    #[arg(long)]
    pub priority: Option<String>,
    /// A tag; repeatable.
    #[arg(long)]
    pub tag: Vec<String>,
    /// Agent, by name or id.
    #[arg(long)]
    pub agent: Option<String>,
    /// Model as provider/model.
    #[arg(long, value_name = "P/M")]
    pub model: Option<String>,
    /// Parent session; the new one ends with it when that ends abnormally.
    #[arg(long, value_name = "SESSION")]
    pub parent: Option<String>,
    /// What becomes of it then: cascade (the default), orphan or continue.
    #[arg(long, value_name = "WISH", requires = "parent")]
    pub on_parent_end: Option<String>,
    /// A session that must have completed before it begins; repeatable.
    #[arg(long, value_name = "SESSION")]
    pub after: Vec<String>,
    /// Work in a git worktree of this repository.
    #[arg(long, value_name = "PATH", conflicts_with = "dir")]
    pub repo: Option<PathBuf>,
    /// Branch, tag or commit to begin from.
    #[arg(long, value_name = "REF", requires = "repo")]
    pub base: Option<String>,
    /// Work in this folder itself.
    #[arg(long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
    /// A check that the work must pass, as `NAME=COMMAND` for the shell; repeatable.
    #[arg(long, value_name = "NAME=COMMAND")]
    pub gate: Vec<String>,
    /// Longest time of work, such as `45m` or `2h`.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<u64>,
    /// Most that it may cost, in US dollars; then it pauses.
    #[arg(long, value_name = "DOLLARS", value_parser = amount)]
    pub budget: Option<f64>,
    /// Most tokens that it may use; then it pauses.
    #[arg(long, value_name = "TOKENS")]
    pub token_budget: Option<u64>,
    /// Allow whatever the agent asks for.
    #[arg(long, short)]
    pub yes: bool,
    /// Ask it to run at once.
    #[arg(long)]
    pub start: bool,
}

/// What a fork changes.
#[derive(Debug, Clone, Args)]
pub struct ForkArgs {
    /// Session to go on from.
    pub session: String,
    /// Checkpoint to go on from; the newest by default.
    #[arg(long, value_name = "SEQ")]
    pub from_checkpoint: Option<u64>,
    /// Another title.
    #[arg(long)]
    pub title: Option<String>,
    /// Another prompt.
    #[arg(long)]
    pub prompt: Option<String>,
    /// Another agent.
    #[arg(long)]
    pub agent: Option<String>,
    /// Another model.
    #[arg(long, value_name = "P/M")]
    pub model: Option<String>,
}

/// What an edit changes.
#[derive(Debug, Clone, Args)]
pub struct EditArgs {
    /// Session to change.
    pub session: String,
    /// New title.
    #[arg(long)]
    pub title: Option<String>,
    /// New description.
    #[arg(long)]
    pub description: Option<String>,
    /// critical, high, medium, low or deferred.
    #[arg(long)]
    pub priority: Option<String>,
    /// All its tags from now on; repeatable.
    #[arg(long)]
    pub tag: Option<Vec<String>>,
    /// New longest time of work.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<u64>,
    /// New budget in US dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = amount)]
    pub budget: Option<f64>,
    /// Only when it still has this version.
    #[arg(long, value_name = "VERSION")]
    pub if_version: Option<u64>,
}

/// Which difference, and how.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// Session to look at.
    pub session: String,
    /// Only counts by file.
    #[arg(long)]
    pub stat: bool,
    /// Only this file.
    #[arg(long, value_name = "PATH")]
    pub file: Option<String>,
    /// As of this checkpoint.
    #[arg(long, value_name = "SEQ")]
    pub checkpoint: Option<u64>,
}

/// Which files that agents brought back.
#[derive(Debug, Clone, Args)]
pub struct ArtifactsArgs {
    /// Code or id of the session.
    pub session: String,
    /// Write this one to standard output, byte for byte.
    #[arg(long, value_name = "PATH")]
    pub get: Option<String>,
}

/// How work is brought home.
#[derive(Debug, Clone, Args)]
pub struct MergeArgs {
    /// Session to merge.
    pub session: String,
    /// As one commit.
    #[arg(long, conflicts_with = "patch")]
    pub squash: bool,
    /// Print a patch instead of merging.
    #[arg(long)]
    pub patch: bool,
    /// Message of the commit.
    #[arg(long, short)]
    pub message: Option<String>,
}

fn json_object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("must be a JSON object such as {\"ok\": true}".to_owned()),
        Err(error) => Err(format!("must be a JSON object: {error}")),
    }
}
