//! One room per agent protocol, and what they share of starting programs.

pub mod acp;
mod bounds;
mod child;
pub mod command;
pub mod environment;
pub mod guard;
pub mod limits;
mod marker;
pub mod opencode;
mod permission;
mod place;
pub mod presets;
mod process;
pub mod simulated;
