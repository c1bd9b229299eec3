//! Who runs next, and why the others wait.

pub mod blocker;
pub mod fairness;
pub mod hold;
pub mod order;
pub mod pace;
