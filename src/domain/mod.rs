//! The rules: entities, state machines, formulas, events. The only code that says yes or no.
//!
//! Invariant: pure. No I/O, no clock, no randomness, no async; time and ids come in as arguments.

pub mod closed_enum;

pub mod canonical;
pub mod field;
pub mod ids;
pub mod money;
pub mod text;
pub mod time;
pub mod version;

pub mod audit;
pub mod event;

pub mod agent;
pub mod attention;
pub mod context;
pub mod decompose;
pub mod eap;
pub mod lock;
pub mod redact;
pub mod schedule;
pub mod session;
pub mod task;
pub mod tenant;
pub mod usage;
pub mod webhook;
pub mod workspace;
