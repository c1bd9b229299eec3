//! Parses the command line and hands it to composition.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use orchestrator::composition;
use orchestrator::presentation::cli::args::Cli;
use orchestrator::presentation::cli::exit::code;

fn main() -> ExitCode {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    match Cli::try_parse() {
        Ok(cli) => composition::run(cli, variables.collect()),
        Err(error) => {
            let shown = error.print().is_ok();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion if shown => ExitCode::SUCCESS,
                _ => ExitCode::from(code::USAGE),
            }
        }
    }
}
