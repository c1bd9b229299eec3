//! The one place that writes: data on standard output, talk on standard error.
//!
//! Invariant: colours are gone when the stream is no terminal or `NO_COLOR` is set; a reader that
//! went away ends the output quietly, any other failure to write is an error in the end.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::exit::{CliError, code};
use super::format::{clean, spelled, table};
use crate::domain::session::status::SessionStatus;

/// Writes results and remarks.
#[derive(Debug, Default)]
pub struct Printer {
    json: bool,
    /// Why nothing can be written any more.
    broken: OnceLock<std::io::Error>,
}

/// Faint text.
pub const DIM: Style = Style::new().dimmed();
/// Strong text.
pub const BOLD: Style = Style::new().bold();
/// Something that needs a person.
pub const ALERT: Style = AnsiColor::Yellow.on_default().bold();
/// Something that failed.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something that went well.
pub const GOOD: Style = AnsiColor::Green.on_default();

impl Printer {
    /// A printer for people, or for programs.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json, broken: OnceLock::new() }
    }

    /// Whether programs read the results.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether nobody reads the results any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.get().is_some()
    }

    /// The results that could not be written, as an error; a reader that went away has seen enough.
    ///
    /// # Errors
    /// What the system said.
    pub fn finish(&self) -> Result<(), CliError> {
        match self.broken.get() {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                let message = format!("the output could not be written: {error}");
                Err(CliError::new(code::FAILED, message)
                    .remedy("what was printed is not complete: make room, or print elsewhere"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Text without a line break at its end.
    pub fn text(&self, text: &str) {
        let mut out = anstream::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // The first failure says why.
            self.broken.set(error).ok();
        }
    }

    /// A line of results.
    pub fn line(&self, text: impl AsRef<str>) {
        self.text(&format!("{}\n", text.as_ref()));
    }

    /// Lines of results.
    pub fn lines<T: AsRef<str>>(&self, lines: impl IntoIterator<Item = T>) {
        lines.into_iter().for_each(|line| self.line(line));
    }

    /// A JSON document for people and programs.
    pub fn json(&self, value: &Value) {
        self.line(spelled(&format!("{value:#}")));
    }

    /// A JSON document on one line, as part of a stream.
    pub fn json_line(&self, value: &Value) {
        self.line(spelled(&value.to_string()));
    }

    /// A remark.
    pub fn note(&self, text: impl AsRef<str>) {
        let mut err = anstream::stderr().lock();
        // When nobody listens to remarks, the results still count.
        writeln!(err, "{}", text.as_ref()).ok();
    }

    /// The error that ends the command.
    pub fn error(&self, error: &CliError) {
        if self.json {
            let problem = error.problem.clone().unwrap_or_else(
                || json!({ "title": error.message, "remedy": error.remedy, "exit": error.exit }),
            );
            return self.note(problem.to_string());
        }
        self.note(format!("{} {}", painted("error:", BAD), clean(&error.message)));
        if let Some(remedy) = &error.remedy {
            self.note(format!("{} {}", painted(" help:", BOLD), clean(remedy)));
        }
    }

    /// A table whose second column is a status.
    pub fn status_table(&self, headers: &[&str], rows: &[Vec<String>]) {
        for (index, text) in table(headers, rows).iter().enumerate() {
            let status = index.checked_sub(1).and_then(|row| rows.get(row)?.get(1));
            match status {
                None => self.line(painted(text, BOLD)),
                Some(word) => self.line(text.replacen(word, &status_word(word), 1)),
            }
        }
    }

    /// A table.
    pub fn table(&self, headers: &[&str], rows: &[Vec<String>]) {
        for (index, text) in table(headers, rows).iter().enumerate() {
            if index == 0 { self.line(painted(text, BOLD)) } else { self.line(text) }
        }
    }
}

/// The text in this style.
#[must_use]
pub fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// A status in its colour.
#[must_use]
pub fn status_word(word: &str) -> String {
    use SessionStatus as S;
    let style = match SessionStatus::parse(word) {
        Some(S::Running | S::Completed) => GOOD,
        Some(S::Queued) => AnsiColor::Blue.on_default(),
        Some(S::Paused | S::Degraded | S::PartiallyCompleted) => AnsiColor::Yellow.on_default(),
        Some(S::Failed | S::Timeout) => BAD,
        Some(S::Orphaned) => AnsiColor::Magenta.on_default(),
        Some(S::Pending | S::Stopped | S::Cancelled) => DIM,
        None => Style::new(),
    };
    painted(word, style)
}

/// A sign of life on a terminal; nothing elsewhere.
#[derive(Debug)]
pub struct Spinner(Option<ProgressBar>);

impl Spinner {
    /// Begins to turn after a second at the earliest, when standard error is a terminal.
    #[must_use]
    pub fn new(message: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
        let style = ProgressStyle::with_template("{spinner} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(clean(message));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(Some(bar))
    }

    /// No sign at all, while somebody types.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Changes what it says.
    pub fn say(&self, message: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(clean(message));
        }
    }

    /// Lets something else write.
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
