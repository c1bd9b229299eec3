//! The OpenCode driver against the real server, and against stand-ins that misbehave.

mod conversations;
mod moved_asks;
mod moves;
mod processes;
mod standins;
