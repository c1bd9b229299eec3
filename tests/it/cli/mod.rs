//! The command line as people and scripts meet it: the real binary, against a small server that
//! replays documented answers.

mod errors;
mod fake;
mod help;
mod run;

use assert_cmd::Command;

/// The binary in an environment of its own: nothing of this machine's settings reaches it.
fn orchestrator(home: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.timeout(std::time::Duration::from_mins(1));
    command
}

/// Standard output, standard error and exit code of a finished command.
fn finish(command: &mut Command) -> (String, String, i32) {
    let output = command.output().expect("the binary runs");
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
        output.status.code().unwrap_or(-1),
    )
}
