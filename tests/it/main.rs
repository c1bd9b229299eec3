//! All integration tests in one binary.

mod opencode;
mod support;
