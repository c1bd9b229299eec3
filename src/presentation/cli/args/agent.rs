//! `agent …`

use clap::{Args, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  orchestrator agent detect --register
  orchestrator agent register AGENT-LINT --kind command --capability code_review -- my-linter --jsonl
  orchestrator agent list --status idle
  orchestrator agent route 'Review the new parser' --capability code_review
  orchestrator agent performance AGENT-LINT
  orchestrator agent drain AGENT-LINT
  orchestrator agent remove AGENT-LINT --reason 'replaced'

AGENT is a name or an id, as `agent list` shows them.";

const SETTINGS: &str = "\
Settings by the kind of agent (--set KEY=VALUE, where VALUE is JSON or a text):
  command, acp   the program behind --, --env, and `cwd` (acp) or `output` (command: lines, jsonl)
  opencode       base_url, username, password_ref, managed
  simulated      script, seed, latency_ms
A secret is named, never said: --env API_KEY='$MY_KEY' reads MY_KEY from the server's environment.";

const ROUTING: &str = "\
Example:
  orchestrator agent route 'Mend the build of the parser' --capability debugging --technology rust

Each column is one part of the score, from 0 to 1, with its weight: the parts by their weights, and what was
earned by wishes, divided by 1 and all that the wishes could earn, are the score. Docs: docs/agents.md";

/// The verbs of agents.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum AgentCommand {
    /// Look for the agents that are known on this machine, and whether they work.
    Detect {
        /// Register each that works at the server.
        #[arg(long)]
        register: bool,
    },
    /// Agents and how they are.
    #[command(visible_alias = "ls")]
    List(AgentListArgs),
    /// One agent with all its facts.
    Show { agent: String },
    /// Register an agent.
    Register(Box<AgentRegisterArgs>),
    /// Change an agent; what is not named stays.
    Update(Box<AgentUpdateArgs>),
    /// Give an agent nothing new; it ends what it has.
    Drain { agent: String },
    /// Take an agent up again, also one that was to be removed.
    Undrain { agent: String },
    /// Give an agent nothing new while it is worked on.
    Maintenance {
        agent: String,
        /// Begin or end.
        #[arg(value_enum, default_value_t = Switch::On)]
        switch: Switch,
    },
    /// Ask now whether an agent could work.
    Probe { agent: String },
    /// Let an agent in that registered itself.
    Approve { agent: String },
    /// Give an external agent another token; it is shown once.
    RotateToken { agent: String },
    /// Give work that waits for agents which are overloaded, offline or draining to others.
    Rebalance {
        /// Only tell what would be moved.
        #[arg(long)]
        dry_run: bool,
    },
    /// Ask who would be given a piece of work, and why.
    Route(Box<AgentRouteArgs>),
    /// All agents together, in figures.
    Stats,
    /// How an agent does: figures, trends, and what would help it.
    Performance { agent: String },
    /// What is wrong with an agent, if anything.
    Health { agent: String },
    /// Report work of an agent by hand; it counts like the outcome of a session.
    Report(AgentReportArgs),
    /// Judge an agent anew: its breaker is closed, and its totals stay.
    ResetMetrics { agent: String },
    /// Remove an agent, once it has ended what it works on.
    #[command(visible_alias = "rm")]
    Remove(AgentRemoveArgs),
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It begins.
    On,
    /// It is over.
    Off,
}

/// Which agents.
#[derive(Debug, Args)]
pub struct AgentListArgs {
    /// Only of this type: implementer, reviewer, …
    #[arg(long = "type", value_name = "TYPE")]
    pub agent_type: Option<String>,
    /// Only of this kind: opencode, acp, command, simulated, eap.
    #[arg(long)]
    pub kind: Option<String>,
    /// Only those that can do this; repeatable.
    #[arg(long = "capability", value_name = "CAPABILITY")]
    pub capabilities: Vec<String>,
    /// Only in this state: idle, active, busy, draining, …; repeatable.
    #[arg(long = "status", value_name = "STATE")]
    pub states: Vec<String>,
    /// Only of this tier: elite, advanced, competent, trainee, degraded.
    #[arg(long)]
    pub tier: Option<String>,
    /// Only those that have room for more and may be given it.
    #[arg(long)]
    pub available: bool,
}

/// An agent to be registered.
#[derive(Debug, Args)]
#[command(after_help = SETTINGS)]
pub struct AgentRegisterArgs {
    /// `AGENT-` and upper-case letters, digits, `_` and `-`.
    pub name: String,
    /// opencode, acp, command or simulated.
    #[arg(long)]
    pub kind: String,
    #[command(flatten)]
    pub traits: AgentTraits,
    /// The program and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// What is to become different.
#[derive(Debug, Args)]
#[command(after_help = SETTINGS)]
pub struct AgentUpdateArgs {
    /// Which agent.
    pub agent: String,
    #[command(flatten)]
    pub traits: AgentTraits,
    /// Let it be given work.
    #[arg(long)]
    pub on: bool,
    /// Give it nothing new.
    #[arg(long, conflicts_with = "on")]
    pub off: bool,
    /// The program and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// What an agent is like.
#[derive(Debug, Args)]
pub struct AgentTraits {
    /// What it is for: implementer, reviewer, architect, …
    #[arg(long = "type", value_name = "TYPE")]
    pub agent_type: Option<String>,
    /// What it can do; repeatable.
    #[arg(long = "capability", value_name = "CAPABILITY")]
    pub capabilities: Vec<String>,
    /// What it can do besides; repeatable.
    #[arg(long = "secondary", value_name = "CAPABILITY")]
    pub secondary: Vec<String>,
    /// Sessions that it takes at once, 1 to 50.
    #[arg(long, value_name = "COUNT")]
    pub capacity: Option<u32>,
    /// provider/model.
    #[arg(long)]
    pub model: Option<String>,
    /// For people.
    #[arg(long)]
    pub description: Option<String>,
    /// A variable of its environment; repeatable.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// A setting of its driver; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    pub settings: Vec<(String, String)>,
}

/// Work that an agent is wanted for.
#[derive(Debug, Args)]
#[command(after_help = ROUTING)]
pub struct AgentRouteArgs {
    /// What is to be done, 10 to 5000 characters.
    pub task: String,
    /// What the agent is to be able to do; repeatable.
    #[arg(long = "capability", value_name = "CAPABILITY", required = true)]
    pub capabilities: Vec<String>,
    /// One of the capabilities is enough.
    #[arg(long)]
    pub any: bool,
    /// A technology of the work; repeatable.
    #[arg(long = "technology", value_name = "NAME")]
    pub technologies: Vec<String>,
    /// Type of the session: execution, review, debug, …
    #[arg(long, value_name = "TYPE")]
    pub session_type: Option<String>,
    /// How large the work is, 0.1 to 10.
    #[arg(long, value_name = "NUMBER")]
    pub complexity: Option<f64>,
    /// An agent that you would rather have; repeatable.
    #[arg(long = "prefer", value_name = "AGENT")]
    pub prefer: Vec<String>,
    /// A type of agents that you would rather have.
    #[arg(long = "prefer-type", value_name = "TYPE")]
    pub prefer_type: Option<String>,
    /// This tier or better: elite, advanced, competent, trainee.
    #[arg(long = "min-tier", value_name = "TIER")]
    pub min_tier: Option<String>,
    /// An agent that it is not to be; repeatable.
    #[arg(long = "exclude", value_name = "AGENT")]
    pub exclude: Vec<String>,
    /// Hold room for it for 60 s, for a session that you create for the chosen agent.
    #[arg(long)]
    pub reserve: bool,
    /// Tell of the 10 best only.
    #[arg(long)]
    pub best: bool,
}

/// Work of an agent, as you judge it.
#[derive(Debug, Args)]
pub struct AgentReportArgs {
    /// Which agent.
    pub agent: String,
    /// How it ended.
    #[arg(long, value_enum)]
    pub outcome: OutcomeWord,
    /// How good it is, 0 to 1.
    #[arg(long, value_name = "NUMBER")]
    pub quality: Option<f64>,
    /// How long it took.
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<f64>,
    /// Tokens that it used.
    #[arg(long, value_name = "COUNT")]
    pub tokens: Option<u64>,
    /// What it cost, in US dollars.
    #[arg(long, value_name = "USD")]
    pub cost: Option<f64>,
}

/// How work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutcomeWord {
    /// It is done.
    Success,
    /// A part of it is done; it counts half.
    Partial,
    /// It is not done.
    Failure,
}

/// How an agent is to go.
#[derive(Debug, Args)]
pub struct AgentRemoveArgs {
    /// Which agent.
    pub agent: String,
    /// At once: its sessions wait for another agent.
    #[arg(long)]
    pub now: bool,
    /// For people and the audit.
    #[arg(long)]
    pub reason: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
