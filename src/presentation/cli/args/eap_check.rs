//! `eap-check …`

use clap::Args;
use secrecy::SecretString;

/// How it is used.
pub(super) const EXAMPLES: &str = "\
Examples:
  orchestrator eap-check http://127.0.0.1:9000 -- python3 my_agent.py --listen 127.0.0.1:9000
  orchestrator eap-check --listen 127.0.0.1:8001 http://127.0.0.1:9000     start the agent yourself
  orchestrator eap-check --pull -- ./my-agent --name AGENT-MINE
  orchestrator eap-check --pull --listen 127.0.0.1:8001 --json

An orchestrator is played on --listen: the agent registers there, with any key, and brings its results
there. A program behind -- finds that address in ORCHESTRATOR_URL and a key in ORCHESTRATOR_KEY.
The exit code is 0 when nothing failed, and 1 otherwise; warnings fail nothing.";

/// Which agent, and how it is checked.
#[derive(Debug, Args)]
pub struct EapCheckArgs {
    /// Address of an agent that is called; the one that it registers when omitted.
    #[arg(value_name = "AGENT")]
    pub endpoint: Option<String>,
    /// Check an agent that fetches its work.
    #[arg(long, conflicts_with_all = ["endpoint", "dispatch_token"])]
    pub pull: bool,
    /// Where the agent finds the orchestrator that is played for it; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Token by which the agent knows its orchestrator: it need not register then.
    #[arg(long, value_name = "TOKEN", requires = "endpoint")]
    pub dispatch_token: Option<SecretString>,
    /// What it is given to do.
    #[arg(long, value_name = "TEXT", default_value = "Count the words of this sentence.")]
    pub input: String,
    /// Seconds within which it registers.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub wait: u64,
    /// Seconds within which it does a piece of work, or brings a result again.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub limit: u64,
    /// Call, and listen on, addresses beyond this machine.
    #[arg(long)]
    pub allow_remote: bool,
    /// The program that is the agent; it is ended with the check.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}
