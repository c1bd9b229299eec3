//! What the world sees: HTTP, WebSocket and the command line. Parses, authenticates, translates;
//! decides nothing.

pub mod api;
pub mod cli;
pub mod mcp;
pub mod ws;
