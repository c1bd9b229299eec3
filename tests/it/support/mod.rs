//! What tests share.

pub(crate) mod opencode;
pub(crate) mod scripted_llm;
