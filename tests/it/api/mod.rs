//! The HTTP API through its real router.

mod admissions;
mod budgets;
mod commands;
mod coverage;
mod door;
mod edges;
mod lists;
mod quotas;
mod ratings;
mod refusals;
mod statuses;
mod streams;
mod system;
mod usage;
mod waits;
mod wire;
