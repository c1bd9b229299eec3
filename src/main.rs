//! Parses the command line and hands it to composition.

use std::process::ExitCode;

use clap::Parser;
use orchestrator::composition::{self, concealed};
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
    concealed::close_to_others();
    match Cli::try_parse() {
        Ok(cli) => {
            let variables = concealed::surroundings(&cli, std::env::vars_os());
            composition::run(cli, variables)
        }
        Err(told) => misuse::tell(&told, &arguments),
    }
}
