//! What tests share.

pub(crate) mod acp;
pub(crate) mod app;
mod documented;
pub(crate) mod faults;
pub(crate) mod invariants;
pub(crate) mod opencode;
mod parts;
pub(crate) mod repo;
pub(crate) mod scripted_llm;
pub(crate) mod server;
