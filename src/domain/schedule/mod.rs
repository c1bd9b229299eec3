//! Who runs next, and why the others wait.

pub mod blocker;
pub mod order;
