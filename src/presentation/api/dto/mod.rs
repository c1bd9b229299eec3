//! The shapes on the wire, one file per resource.
//!
//! Invariant: a shape is made by destructuring what it shows without `..`, so that a new field does
//! not compile until somebody has decided whether it is sent.

pub mod actions;
pub mod admission;
pub mod agent;
pub mod agent_ask;
pub mod agent_input;
pub mod agent_views;
pub mod attempt;
pub mod attention;
pub mod audit;
pub mod checkpoint;
pub mod context;
pub mod context_input;
pub mod create;
pub mod event;
pub mod explain;
pub mod family;
pub mod host;
pub mod input;
pub mod invite;
pub mod key;
pub mod lock;
pub mod lock_input;
pub mod login;
pub mod metrics;
pub mod recovery;
pub mod routing;
pub mod session;
pub mod spec;
pub mod stats;
pub mod task;
pub mod task_input;
pub mod task_views;
pub mod usage;
pub mod user;
pub mod verification;
pub mod webhook;
pub mod work;
