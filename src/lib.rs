//! Industrial Orchestrator: the control plane for AI coding agents.
//!
//! The map of the house. Data goes one way round: `presentation` parses and authenticates,
//! `application` reads a snapshot, asks the `domain`, and commits a change set through a port;
//! `infrastructure` holds the adapters behind the ports; `composition` builds the graph.
//! After a commit the event feed tells scheduler, supervisors and sockets to look again.

pub mod application;
pub mod composition;
pub mod domain;
pub mod infrastructure;
pub mod presentation;
