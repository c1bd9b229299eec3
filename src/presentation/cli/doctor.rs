//! `doctor`: what composition checked, one line a check with its fix.

use serde_json::json;

use super::exit::code;
use super::output::{ALERT, BAD, GOOD, Printer, painted};
use crate::closed_enum;

closed_enum!(
    /// How a check came out.
    Outcome {
        Ok = "ok",
        Warn = "warn",
        Fail = "fail",
    }
);

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked, in a word or two.
    pub name: &'static str,
    /// How it came out.
    pub ok: Outcome,
    /// What was found.
    pub text: String,
    /// What helps; empty when nothing has to be done.
    pub fix: String,
}

impl Check {
    /// Everything is as it should be.
    #[must_use]
    pub fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, ok: Outcome::Ok, text: text.into(), fix: String::new() }
    }

    /// It works, but somebody should look.
    #[must_use]
    pub fn warn(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, ok: Outcome::Warn, text: text.into(), fix: fix.into() }
    }

    /// It does not work.
    #[must_use]
    pub fn fail(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, ok: Outcome::Fail, text: text.into(), fix: fix.into() }
    }
}

/// Prints the checks and gives the exit code: 0, or 69 when one failed.
#[must_use]
pub fn report(checks: &[Check], printer: &Printer) -> u8 {
    let failed = checks.iter().filter(|check| check.ok == Outcome::Fail).count();
    if printer.is_json() {
        let rows: Vec<_> = checks
            .iter()
            .map(|check| {
                json!({ "name": check.name, "outcome": check.ok, "text": check.text,
                        "fix": Some(&check.fix).filter(|fix| !fix.is_empty()) })
            })
            .collect();
        printer.json(&json!({ "ok": failed == 0, "checks": rows }));
    } else {
        for check in checks {
            print(check, printer);
        }
        let warned = checks.iter().filter(|check| check.ok == Outcome::Warn).count();
        let warnings = if warned == 1 { "warning" } else { "warnings" };
        printer.note(format!("{} checks, {failed} failed, {warned} {warnings}", checks.len()));
    }
    if failed == 0 { code::OK } else { code::UNAVAILABLE }
}

fn print(check: &Check, printer: &Printer) {
    let sign = match check.ok {
        Outcome::Ok => painted("ok  ", GOOD),
        Outcome::Warn => painted("warn", ALERT),
        Outcome::Fail => painted("FAIL", BAD),
    };
    let text = super::format::line(&check.text, 200);
    let fix = if check.fix.is_empty() { String::new() } else { format!("; fix: {}", check.fix) };
    printer.line(format!("{sign}  {:<16} {text}{fix}", check.name));
}
