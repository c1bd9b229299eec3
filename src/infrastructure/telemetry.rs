//! Log lines: text for people, JSON for programs, on standard error.
//!
//! Invariant: what is logged once is one line: whatever a title, a path or a header contains can neither
//! begin a line nor speak to a terminal.
//! Invariant: every line passes the redactor, whoever wrote it, panics included.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::domain::redact::Redactor;
use crate::domain::text::is_unseen;

/// Begins to write log lines; a second call in one process changes nothing.
///
/// # Errors
/// What is wrong with the filter.
pub fn start_logging(json: Option<bool>, filter: &str, redactor: &Redactor) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| format!("the log filter `{filter}` is not valid: {error}"))?;
    let is_terminal = io::stderr().is_terminal();
    let as_json = json.unwrap_or(!is_terminal);
    let look = match (as_json, is_terminal) {
        (true, _) => Look::Json,
        (false, true) => Look::Colours,
        (false, false) => Look::Plain,
    };
    let lines = Lines { look, redactor: redactor.strict(), to: io::stderr };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    let begun = if as_json {
        builder.json().flatten_event(true).with_target(false).try_init()
    } else {
        builder.compact().with_target(false).with_ansi(is_terminal).try_init()
    };
    if begun.is_err() {
        tracing::debug!("Log lines are written already");
    } else {
        std::panic::set_hook(Box::new(tell_panic));
    }
    Ok(())
}

/// A panic is a log line like any other.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let what = panic.payload_as_str().unwrap_or("no words");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let trace = std::backtrace::Backtrace::capture();
    if matches!(trace.status(), std::backtrace::BacktraceStatus::Captured) {
        tracing::error!(place, %trace, "Thread {name} panicked: {what}");
    } else {
        tracing::error!(place, "Thread {name} panicked: {what}");
    }
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Json,
    Plain,
    /// With the formatter's own colours.
    Colours,
}

/// Where formatted events go.
struct Lines<W> {
    look: Look,
    redactor: Redactor,
    to: fn() -> W,
}

impl<'a, W: Write + 'a> MakeWriter<'a> for Lines<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { lines: self, gathered: Vec::new() }
    }
}

/// One event, written as a whole when it is complete.
struct Line<'a, W: Write> {
    lines: &'a Lines<W>,
    gathered: Vec<u8>,
}

impl<W: Write> Write for Line<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for Line<'_, W> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.gathered);
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return;
        }
        let Lines { look, redactor, to } = self.lines;
        let mut line = escaped(&redacted(text, *look, redactor), *look).into_owned();
        line.push('\n');
        // Nobody may be left to read it.
        to().write_all(line.as_bytes()).ok();
    }
}

/// The line without secrets; JSON stays JSON.
fn redacted<'a>(text: &'a str, look: Look, redactor: &Redactor) -> Cow<'a, str> {
    let clean = redactor.redact(text);
    if look == Look::Json
        && matches!(clean, Cow::Owned(_))
        && let Ok(mut value) = serde_json::from_str::<serde_json::Value>(text)
    {
        redactor.clean_json(&mut value);
        return Cow::Owned(value.to_string());
    }
    clean
}

/// The line with everything spelled out that is no letter to be seen.
fn escaped(text: &str, look: Look) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if look == Look::Colours
            && let Some(colour) = colour(rest)
        {
            line.push_str(&rest[..colour]);
            rest = &rest[colour..];
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        if !is_unseen(letter) {
            line.push(letter);
        } else if look == Look::Json {
            // Written to a string, which never fails.
            write!(line, "\\u{:04x}", u32::from(letter)).ok();
        } else {
            line.extend(letter.escape_default());
        }
    }
    Cow::Owned(line)
}

/// Length of the change of colour that a text begins with.
fn colour(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    (rest.as_bytes().get(digits) == Some(&b'm')).then_some(digits + 3)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    /// A place where a test reads what was written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    static PLAIN: Mutex<Option<Paper>> = Mutex::new(None);
    static JSON: Mutex<Option<Paper>> = Mutex::new(None);

    fn paper(of: &Mutex<Option<Paper>>) -> Paper {
        of.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().clone()
    }

    const HOSTILE: &str = "title\n{\"level\":\"ERROR\"}\r\u{1b}[31mred\u{1b}[0m \u{9b}2J \u{7f} \
        \u{202e}drow\u{2028} password=hunter2hunter2 Bearer abcdefgh12345678";

    fn speak() {
        tracing::error!(header = HOSTILE, path = %HOSTILE, debug = ?HOSTILE, "Said {HOSTILE}");
    }

    fn read(paper: &Paper) -> String {
        let bytes = paper.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn an_event_is_one_line_of_text_whatever_it_holds() {
        let lines =
            Lines { look: Look::Plain, redactor: Redactor::default(), to: || paper(&PLAIN) };
        let subscriber = tracing_subscriber::fmt().with_ansi(false).compact().with_writer(lines);
        tracing::subscriber::with_default(subscriber.finish(), speak);
        let text = read(&paper(&PLAIN));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().chars().any(is_unseen), "{text:?}");
        assert!(text.contains("\\n{\"level\"") && text.contains("[REDACTED:password]"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("12345678"), "{text}");
    }

    #[test]
    fn an_event_is_one_json_object_whatever_it_holds() {
        let lines = Lines { look: Look::Json, redactor: Redactor::default(), to: || paper(&JSON) };
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines);
        tracing::subscriber::with_default(subscriber.finish(), speak);
        let text = read(&paper(&JSON));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().chars().any(is_unseen), "{text:?}");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["level"], "ERROR");
        assert!(value["header"].as_str().is_some_and(|header| header.starts_with("title\n")));
        assert!(!text.contains("hunter2") && !text.contains("12345678"), "{text}");
    }

    #[test]
    fn colours_of_our_own_stay_on_a_terminal_and_nothing_else_does() {
        let text = "\u{1b}[2m12:00\u{1b}[0m \u{1b}]0;title\u{7} \u{1b}[2J";
        let line = escaped(text, Look::Colours);
        assert!(line.starts_with("\u{1b}[2m12:00\u{1b}[0m \\u{1b}]0;title\\u{7} \\u{1b}[2J"));
    }

    #[test]
    fn a_line_with_an_open_key_is_still_json() {
        let text = r#"{"message":"-----BEGIN PRIVATE KEY-----\nMIIEvQ","level":"INFO"}"#;
        let line = redacted(text, Look::Json, &Redactor::default());
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["message"], "[REDACTED:private_key]");
        assert_eq!(value["level"], "INFO");
    }
}
