//! The External Agent Protocol, version 1.0: what agents of others say of themselves and of their work.
//!
//! Invariant: everything that comes from such an agent is read here, field by field, before anything
//! acts on it; what is unknown is ignored, what is known and wrong is told with its place.

pub mod fields;
pub mod notice;
pub mod registration;
pub mod result;
pub mod said;

/// The version that is spoken.
pub const VERSION: &str = "1.0";
