//! What is said to somebody who typed what no command takes.
//!
//! Invariant: help and version are answers and not errors; wrong use has one exit code, and programs
//! that asked for JSON get the same document as for every other error.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;

use super::exit::{CliError, code};
use super::output::Printer;

/// Says what clap has to say about these words, and gives the exit code.
#[must_use]
pub fn tell(told: &clap::Error, words: &[OsString]) -> ExitCode {
    if told.use_stderr() && wants_json(words) {
        Printer::new(true).error(&error_of(told));
        return ExitCode::from(code::USAGE);
    }
    let is_answer = !told.use_stderr();
    match told.print() {
        Ok(()) if is_answer => ExitCode::SUCCESS,
        Ok(()) | Err(_) => ExitCode::from(code::USAGE),
    }
}

/// Whether programs read what is printed, as far as that can be told of words that do not parse.
fn wants_json(words: &[OsString]) -> bool {
    let words: Vec<_> =
        words.iter().map_while(|word| word.to_str().filter(|word| *word != "--")).collect();
    words.iter().any(|word| matches!(*word, "--json" | "--output=json"))
        || words.windows(2).any(|pair| pair == ["--output", "json"])
}

/// The first paragraph says what is wrong, the others what helps.
fn error_of(told: &clap::Error) -> CliError {
    let text = told.render().to_string();
    if told.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CliError::usage("a command is missing").remedy(text.trim());
    }
    let (wrong, helps) = text.split_once("\n\n").unwrap_or((&text, ""));
    let wrong = wrong.strip_prefix("error: ").unwrap_or(wrong).trim_end();
    let helps = helps.split("\n\n").map(str::trim).collect::<Vec<_>>().join("\n");
    CliError::usage(wrong).remedy(helps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn json_is_asked_for_anywhere_before_what_is_taken_as_it_is() {
        for asked in ["x --json", "--json x", "x --output json y", "x --output=json", "--json -- y"]
        {
            assert!(wants_json(&words(asked)), "{asked}");
        }
        for not_asked in ["x", "x -- --json", "x --output table", "json", "--jsonl"] {
            assert!(!wants_json(&words(not_asked)), "{not_asked}");
        }
    }
}
