//! Builds the graph for a configuration; the only place that knows every concrete adapter.

pub mod settings;
