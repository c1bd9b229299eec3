//! What tests share.

pub mod opencode;
pub mod scripted_llm;
