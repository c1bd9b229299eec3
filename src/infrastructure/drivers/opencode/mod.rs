//! The real OpenCode server as an agent.
