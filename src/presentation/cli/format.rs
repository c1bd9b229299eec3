//! Figures, times and words as people read them, and tables of them.
//!
//! Invariant: whatever comes from a server or an agent passes `clean` before it is printed: no
//! control character reaches a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::domain::text::is_unseen;
use crate::domain::time::Timestamp;

/// Shown for what nobody knows.
pub const UNKNOWN: &str = "-";

/// The text without control characters; line breaks and tabs stay.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().filter(|letter| !is_unseen(*letter) || matches!(letter, '\n' | '\t')).collect()
}

/// JSON that says the same and does nothing to a terminal: outside of texts such letters do not occur.
#[must_use]
pub fn spelled(json: &str) -> Cow<'_, str> {
    let is_odd = |letter: char| is_unseen(letter) && letter != '\n';
    if !json.contains(is_odd) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if is_odd(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").expect("a text takes everything");
            }
        } else {
            text.push(letter);
        }
    }
    Cow::Owned(text)
}

/// One line of at most `width` characters.
#[must_use]
pub fn line(text: &str, width: usize) -> String {
    let words = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= width {
        return words;
    }
    words.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A duration in its two largest units.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 10 => {
            format!("{}.{}s", seconds, duration.subsec_millis() / 100)
        }
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// A number of seconds from JSON as a duration.
#[must_use]
pub fn seconds(value: &Value) -> String {
    value
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map_or_else(|| UNKNOWN.to_owned(), duration)
}

/// How long ago, or how far ahead, an RFC 3339 time is.
#[must_use]
pub fn relative(value: &Value, now: Timestamp) -> String {
    let Some(at) = value.as_str().and_then(Timestamp::parse) else { return UNKNOWN.to_owned() };
    let brief = |span: Duration| {
        let text = duration(span);
        if span.as_secs() < 60 { format!("{}s", span.as_secs()) } else { text }
    };
    if at > now {
        format!("in {}", brief(at.since(now)))
    } else {
        format!("{} ago", brief(now.since(at)))
    }
}

/// An amount in US dollars; small amounts keep the digits that matter.
#[must_use]
pub fn money(value: &Value) -> String {
    match value.as_f64() {
        None => UNKNOWN.to_owned(),
        Some(0.0) => "$0".to_owned(),
        Some(dollars) if dollars.abs() < 0.1 => format!("${dollars:.4}"),
        Some(dollars) => format!("${dollars:.2}"),
    }
}

/// A count with a unit prefix: 950, 1.2k, 3.4M.
#[must_use]
pub fn count(value: &Value) -> String {
    let Some(number) = value.as_u64() else { return UNKNOWN.to_owned() };
    let tenths = |unit: u64| format!("{}.{}", number / unit, number % unit / (unit / 10));
    match number {
        0..=999 => number.to_string(),
        1000..=999_999 => format!("{}k", tenths(1000)),
        _ => format!("{}M", tenths(1_000_000)),
    }
}

/// A scalar as text.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => UNKNOWN.to_owned(),
        Value::String(text) => clean(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            clean(&value.to_string())
        }
    }
}

/// The name of a priority's level.
#[must_use]
pub fn priority(value: &Value) -> String {
    value
        .as_u64()
        .and_then(crate::domain::session::spec::Priority::from_level)
        .map_or_else(|| plain(value), |priority| priority.to_string())
}

/// A table without borders.
#[must_use]
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headers.to_vec());
    for row in rows {
        table.add_row(row.clone());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Names and values, one pair a line, values aligned.
#[must_use]
pub fn facts(pairs: &[(&str, String)]) -> Vec<String> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    pairs
        .iter()
        .filter(|(_, value)| value != UNKNOWN && !value.is_empty())
        .map(|(name, value)| format!("{name:width$}{value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_spelled_so_that_it_does_nothing_to_a_terminal() {
        let value = json!({ "title": "a\u{9b}2J\u{202e}b\u{e0041}\nä🙂" });
        let text = format!("{value:#}");
        let spelled = spelled(&text);
        assert!(!spelled.chars().any(|letter| is_unseen(letter) && letter != '\n'), "{spelled}");
        assert_eq!(serde_json::from_str::<Value>(&spelled).expect("JSON"), value);
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let cases = [
            (0, "0.0s"),
            (1250, "1.2s"),
            (59_999, "59s"),
            (61_000, "1m 01s"),
            (3_660_000, "1h 01m"),
            (90_000_000, "1d 1h"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn times_money_and_counts_are_short_and_unknown_is_never_zero() {
        let now = Timestamp::from_millis(100_000_000);
        let at = |millis| json!(Timestamp::from_millis(millis).to_string());
        assert_eq!(relative(&at(99_995_000), now), "5s ago");
        assert_eq!(relative(&at(100_120_000), now), "in 2m 00s");
        assert_eq!(relative(&Value::Null, now), "-");
        assert_eq!(
            [money(&json!(1.5)), money(&json!(0.0123)), money(&json!(0))],
            ["$1.50", "$0.0123", "$0"]
        );
        assert_eq!(
            [count(&json!(999)), count(&json!(12_345)), count(&json!(3_400_000))],
            ["999", "12.3k", "3.4M"]
        );
        assert_eq!(
            [money(&Value::Null), count(&Value::Null), seconds(&Value::Null)],
            ["-", "-", "-"]
        );
    }

    #[test]
    fn no_control_character_reaches_a_terminal() {
        assert_eq!(clean("a\u{1b}[31mred\u{7}\u{9b}2J\u{202e}\nb"), "a[31mred2J\nb");
        assert_eq!(line("  one\n two\tthree ", 8), "one two…");
    }

    #[test]
    fn tables_line_up() {
        let rows = [
            vec!["IND-000001".to_owned(), "running".to_owned()],
            vec!["x".to_owned(), "y".to_owned()],
        ];
        assert_eq!(
            table(&["CODE", "STATUS"], &rows),
            ["CODE        STATUS", "IND-000001  running", "x           y"]
        );
        assert_eq!(
            facts(&[("id", "7".to_owned()), ("nothing", UNKNOWN.to_owned())]),
            ["id       7"]
        );
    }
}
