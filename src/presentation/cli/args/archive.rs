//! Arguments of `backup`, `restore`, `export` and `import`.

use std::path::PathBuf;

use clap::Args;

/// Examples under the help of `backup`.
pub(super) const BACKUP_EXAMPLES: &str = "\
Not in a backup: git repositories and worktrees, what agents keep for themselves, settings, and
key files (admin.key and others beside the store).

Examples:
  orchestrator backup /mnt/backups/monday.tar.zst
  orchestrator backup --verify /mnt/backups/monday.tar.zst";

/// Examples under the help of `restore`.
pub(super) const RESTORE_EXAMPLES: &str = "\
Example:
  orchestrator restore /mnt/backups/monday.tar.zst --data-dir /srv/orchestrator";

/// Examples under the help of `export`.
pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  orchestrator export everything.jsonl
  orchestrator export acme.jsonl --tenant acme
  orchestrator export to-show.jsonl --redact";

/// `export FILE`
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The file to make; a file that is there stays as it is. With --tenant only that tenant.
    pub file: PathBuf,
    /// Replace what looks like a secret; such an export cannot be imported.
    #[arg(long)]
    pub redact: bool,
    /// Replace a file that is there, once the new one is complete.
    #[arg(long)]
    pub force: bool,
}

/// `import FILE`
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The export; it goes into the data directory, which must hold no store.
    pub file: PathBuf,
}

/// `backup PATH`
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// The file to make; a file that is there stays as it is.
    pub path: PathBuf,
    /// Replace a file that is there, once the new one is complete.
    #[arg(long, conflicts_with = "verify")]
    pub force: bool,
    /// Make nothing: read the backup that is there, in full.
    #[arg(long)]
    pub verify: bool,
    /// Why, for people and the audit.
    #[arg(long, value_name = "TEXT", conflicts_with = "verify")]
    pub reason: Option<String>,
}

/// `restore PATH`
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The backup; it goes into the data directory, which must hold no store.
    pub path: PathBuf,
}
