<<<<<<< HEAD
//! What several tests need.

pub(crate) mod repo;
=======
//! What tests share.

pub mod opencode;
pub mod scripted_llm;
>>>>>>> opencode
