//! One room per agent protocol.

pub mod opencode;
pub mod simulated;
