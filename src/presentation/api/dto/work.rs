//! What a session did to its files, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::ports::workspaces::{Diff, FileChange, FileDiff, MergeMode, MergeReport};

/// A comparison of the workspace with what it began from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Diff)]
pub struct DiffDto {
    /// Commit compared from.
    pub base: String,
    /// Commit compared to, or `working_tree`.
    pub head: String,
    /// Files that differ, by path.
    pub files: Vec<FileDiffDto>,
    /// Lines added; null when a file is binary.
    pub additions: Option<u64>,
    /// Lines taken away; null when a file is binary.
    pub deletions: Option<u64>,
    /// The whole as one unified diff.
    pub unified: String,
    /// Whether patches were left out for their size.
    pub truncated: bool,
}

/// One file of a comparison.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FileDiff)]
pub struct FileDiffDto {
    /// Path in the repository.
    pub path: String,
    /// Path before a rename.
    pub old_path: Option<String>,
    /// What became of it.
    pub change: FileChange,
    /// Lines added; null for a binary file.
    pub additions: Option<u64>,
    /// Lines taken away; null for a binary file.
    pub deletions: Option<u64>,
    /// Its part of the unified diff; empty when it was left out for size.
    pub patch: String,
}

impl From<FileDiff> for FileDiffDto {
    fn from(file: FileDiff) -> Self {
        let FileDiff { path, old_path, change, additions, deletions, patch } = file;
        Self { path, old_path, change, additions, deletions, patch }
    }
}

impl From<Diff> for DiffDto {
    fn from(diff: Diff) -> Self {
        let Diff { base, head, files, truncated } = diff;
        let unified = files.iter().map(|file| file.patch.as_str()).collect();
        let additions = files.iter().map(|file| file.additions).sum();
        let deletions = files.iter().map(|file| file.deletions).sum();
        let files = files.into_iter().map(FileDiffDto::from).collect();
        Self { base, head, files, additions, deletions, unified, truncated }
    }
}

/// What a merge did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MergeReport)]
pub struct MergeDto {
    /// How.
    pub mode: MergeMode,
    /// Branch that received the work; null for a patch.
    pub target: Option<String>,
    /// Commit that the target now points to; null for a patch.
    pub commit: Option<String>,
    /// Files that changed.
    pub files: usize,
    /// The patch, as `git apply` reads it; only for `patch`.
    pub patch: Option<String>,
}

impl From<MergeReport> for MergeDto {
    fn from(report: MergeReport) -> Self {
        let MergeReport { mode, target, commit, files, patch } = report;
        Self { mode, target, commit, files, patch }
    }
}
