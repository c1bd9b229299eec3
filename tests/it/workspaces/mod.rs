//! Workspaces against the real git.

mod bench;
mod checkpoints;
mod diffs;
mod gates;
mod hostile;
mod making;
mod merges;
mod races;
mod removal;
mod round_trip;
