//! The OpenCode driver against the real server, and against stand-ins that misbehave.

mod conversations;
mod processes;
mod standins;
