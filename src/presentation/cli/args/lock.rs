//! `lock …`

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  orchestrator lock acquire deploy/staging --ttl 60 --wait 120
  orchestrator lock renew deploy/staging LOCK
  orchestrator lock release deploy/staging LOCK
  orchestrator lock force-release deploy/staging --reason 'its holder is gone'

LOCK is the id of a hold, as `lock acquire` tells it.";

/// The verbs of locks.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum LockCommand {
    /// Locks that are held or waited for.
    #[command(visible_alias = "ls")]
    List,
    /// One lock: who holds it, and who waits.
    Show { name: String },
    /// Take a lock, or several at once, all or none; waits for them.
    Acquire(LockAcquireArgs),
    /// Hold a lock for longer.
    Renew {
        name: String,
        lock: String,
        /// Seconds from now [default: as it was acquired].
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
    },
    /// Give a lock back.
    Release { name: String, lock: String },
    /// Take a lock away from whoever holds it; administrators only, and put on record.
    ForceRelease {
        name: String,
        /// Why, for the audit.
        #[arg(long)]
        reason: String,
    },
}

/// What is to be held.
#[derive(Debug, Args)]
pub struct LockAcquireArgs {
    /// Which locks.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Together with others who only share it.
    #[arg(long)]
    pub shared: bool,
    /// Seconds that it lasts unless it is renewed.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub ttl: u64,
    /// Seconds to wait for it; 0 tries once.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub wait: u64,
    /// 0 to 100, higher ones come first.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub priority: u8,
    /// What people call the holder.
    #[arg(long, value_name = "TEXT")]
    pub owner: Option<String>,
    /// It ends with this session.
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
}
