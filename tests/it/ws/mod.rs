//! Sockets over real connections.

mod admission;
pub(crate) mod client;
mod limits;
mod resume;
mod tickets;
