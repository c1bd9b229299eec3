//! One room per agent protocol.

pub mod guard;
pub mod limits;
pub mod opencode;
pub mod simulated;
