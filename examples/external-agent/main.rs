//! An agent that fetches its work over the External Agent Protocol.
//!
//! Its work is a command that gets the input of each assignment on its standard input; what it prints is
//! the output, and its exit code tells whether it succeeded. A line on its standard error that is a JSON
//! object with a `type` (`progress`, `log`, `phase`, `usage`, …) is told to the orchestrator as it is, any
//! other one as a line of the log. Without a command, words are counted.
//!
//!     cargo run --example external-agent -- --name AGENT-WC --capability testing -- wc -w
//!
//! Who it is, and what it works on, lies in a file: started again it goes on as the same agent, does again
//! what it had not done, and brings again what may not have arrived.

mod agent;
mod guard;
mod memory;
mod talk;
mod work;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use reqwest::Client;

use self::agent::Agent;
use self::memory::Memory;

/// An agent of the External Agent Protocol that runs a command for each piece of work.
#[derive(Parser)]
struct Options {
    /// Address of the orchestrator.
    #[arg(long, env = "ORCHESTRATOR_URL", default_value = "http://127.0.0.1:8000")]
    pub(crate) url: String,
    /// Key that may register agents, or an enrolment; needed the first time only.
    #[arg(long, env = "ORCHESTRATOR_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Tenant, for a key that is good for several.
    #[arg(long, env = "ORCHESTRATOR_TENANT")]
    pub(crate) tenant: Option<String>,
    /// `AGENT-` and upper-case letters, digits, `_` and `-`.
    #[arg(long, default_value = "AGENT-EXAMPLE")]
    pub(crate) name: String,
    /// What it can do; repeatable.
    #[arg(long = "capability", value_name = "SLUG", default_value = "testing")]
    pub(crate) capabilities: Vec<String>,
    /// Pieces of work at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) at_once: u32,
    /// Where it keeps who it is and what it works on.
    #[arg(long, value_name = "FILE", default_value = "external-agent.json")]
    pub(crate) state: PathBuf,
    /// Seconds for ending what it works on when it is told to end; then the rest is given back.
    #[arg(long, default_value_t = 20)]
    pub(crate) grace: u64,
    /// The program and its arguments; words are counted when omitted.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [first, parent, command @ ..] = &words[..]
        && first == guard::WORD
    {
        return guard::run(parent, command).await;
    }
    let options = Options::parse();
    let http = Client::builder().timeout(Duration::from_mins(1)).build();
    let http = http.expect("a client without settings can be made");
    let known = Memory::read(&options.state).unwrap_or_default();
    let memory = match talk::introduce(&options, &http, known).await {
        Ok(memory) => memory,
        Err(why) => {
            eprintln!("not registered: {why}");
            return ExitCode::FAILURE;
        }
    };
    eprintln!("{} is agent {}", options.name, memory.agent_id);
    let agent = Agent::new(options, http, memory);
    match agent.live().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
