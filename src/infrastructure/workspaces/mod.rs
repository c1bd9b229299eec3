//! Folders and git worktrees that agents work in.
