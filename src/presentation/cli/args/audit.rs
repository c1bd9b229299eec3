//! `audit …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  orchestrator audit list --outcome refused
  orchestrator audit verify
  orchestrator audit export audit.jsonl
  orchestrator audit verify --file audit.jsonl --signer PUBLIC_KEY";

/// The verbs of the audit.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum AuditCommand {
    /// What was done and what was refused, oldest first.
    #[command(visible_alias = "ls")]
    List(AuditListArgs),
    /// Look along the whole chain of hashes; names the first entry that is not as it was written.
    Verify {
        /// A file that `audit export` wrote, instead of the server's own.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Hash of the newest entry at some earlier time: it has to be in the chain.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// Public key that must have signed, as `audit verify` of the server shows it.
        #[arg(long, value_name = "HEX", requires = "file")]
        signer: Option<String>,
    },
    /// Write every entry to a file, one JSON object a line.
    Export {
        /// The file; it must not exist.
        file: PathBuf,
    },
}

/// Which entries.
#[derive(Debug, Args)]
pub struct AuditListArgs {
    /// Only entries with a larger number.
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// Only this verb.
    #[arg(long)]
    pub action: Option<String>,
    /// Only what this actor did, by its id.
    #[arg(long, value_name = "ID")]
    pub actor: Option<String>,
    /// Only what was done to this.
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// ok or refused.
    #[arg(long)]
    pub outcome: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub limit: u64,
}
