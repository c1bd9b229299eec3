//! Sockets over real connections.

mod admission;
mod client;
mod limits;
mod resume;
