//! Parses the command line and hands it to composition.

use std::process::ExitCode;

use clap::Parser;
use orchestrator::composition;
use orchestrator::presentation::cli::args::Cli;
use orchestrator::presentation::cli::misuse;

/// A request makes hundreds of small allocations, and they end on other threads than they began on.
/// Huge pages are left out: they double the memory of an idle server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(exit) = composition::run_hidden(&arguments) {
        return exit;
    }
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    match Cli::try_parse() {
        Ok(cli) => composition::run(cli, variables.collect()),
        Err(told) => misuse::tell(&told, &arguments),
    }
}
