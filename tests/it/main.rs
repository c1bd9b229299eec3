//! All integration tests in one binary.

mod cli;
mod contract;
mod opencode;
mod support;
mod workspaces;
