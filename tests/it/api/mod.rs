//! The HTTP API through its real router.

mod admissions;
mod audit;
mod budgets;
mod commands;
mod coverage;
mod door;
mod edges;
mod keys;
mod lists;
mod quotas;
mod ratings;
mod refusals;
mod rights;
mod statuses;
mod streams;
mod system;
mod tenants;
mod usage;
mod waits;
mod wire;
