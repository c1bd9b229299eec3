//! The HTTP API through its real router.

mod commands;
mod coverage;
mod door;
mod lists;
mod refusals;
mod statuses;
mod streams;
mod waits;
mod wire;
