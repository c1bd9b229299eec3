//! `agent …`

use clap::{Args, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  orchestrator agent detect --register
  orchestrator agent register AGENT-LINT --kind command --capability code_review -- my-linter --jsonl
  orchestrator agent list --status idle
  orchestrator agent drain AGENT-LINT
  orchestrator agent remove AGENT-LINT --reason 'replaced'

AGENT is a name or an id, as `agent list` shows them.";

const SETTINGS: &str = "\
Settings by the kind of agent (--set KEY=VALUE, where VALUE is JSON or a text):
  command, acp   the program behind --, --env, and `cwd` (acp) or `output` (command: lines, jsonl)
  opencode       base_url, username, password_ref, managed
  simulated      script, seed, latency_ms
A secret is named, never said: --env API_KEY='$MY_KEY' reads MY_KEY from the server's environment.";

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
