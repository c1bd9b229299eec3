//! The executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        Some((word, rest)) if word == "guard" => {
            orchestrator::infrastructure::drivers::guard::guard_main(rest).into()
        }
        _ => ExitCode::SUCCESS,
    }
}
