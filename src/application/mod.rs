//! Use cases, scheduler, supervisors, and the ports that they need.
//!
//! Invariant: a use case reads a snapshot, asks the domain, commits one change set; nothing else
//! changes state. No snapshot, lease or guard is held across a call to an agent.

pub mod error;
pub mod ports;
pub mod principal;

pub mod agent;
pub mod attention;
pub mod audit;
pub mod context;
pub mod events;
pub mod external;
pub mod identity;
pub mod inside;
pub mod judge;
pub mod locks;
pub mod session;
pub mod system;
pub mod task;
pub mod usage;
pub mod webhooks;

pub mod daily;
pub mod reconcile;
pub mod redacted;
pub mod scheduler;
pub mod supervise;
