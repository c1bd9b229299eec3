//! What was checked and how it came out: one line each for people, one document for programs.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::closed_enum;
use crate::presentation::cli::exit::code;
use crate::presentation::cli::format;
use crate::presentation::cli::output::{ALERT, BAD, DIM, GOOD, Printer, Spinner, painted};

/// Where every rule is explained.
const PAGE: &str = "docs/external-agents.md";

closed_enum!(
    /// How a check came out.
    Outcome {
        Pass = "pass",
        Warn = "warn",
        Fail = "fail",
    }
);

closed_enum!(
    /// What is checked.
    Rule {
        Registers = "registers",
        Credential = "credential",
        TokenHeader = "token-header",
        Heartbeat = "heartbeat",
        Interval = "interval",
        Polls = "polls",
        BacksOff = "backs-off",
        Health = "health",
        Task = "task",
        UnknownFields = "unknown-fields",
        AnswerTime = "answer-time",
        AnswerSize = "answer-size",
        AnswerDepth = "answer-depth",
        ResultReadable = "result-readable",
        ResultTask = "result-task",
        ResultToken = "result-token",
        ResultStatus = "result-status",
        Artifacts = "artifacts",
        Repeat = "repeat",
        WrongToken = "wrong-token",
        WrongSignature = "wrong-signature",
        OldSignature = "old-signature",
        Cancel = "cancel",
        ResultRepeat = "result-repeat",
        GoesOn = "goes-on",
        Ends = "ends",
    }
);

impl Rule {
    /// What is expected, the section of the protocol, and the part of the page that explains it.
    const fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Registers => ("a valid registration", "9.2", "register"),
            Self::Credential => ("a key or an enrolment with it", "9.2", "register"),
            Self::TokenHeader => ("each call shows the agent's own token", "9.1", "tokens"),
            Self::Heartbeat => ("heartbeats that can be read", "9.4", "heartbeats"),
            Self::Interval => ("a heartbeat in each interval", "9.4", "heartbeats"),
            Self::Polls => ("it asks for work with wait 0 to 60", "9.1", "fetch-work"),
            Self::BacksOff => ("after 503 it waits as Retry-After says", "9.1", "fetch-work"),
            Self::Health => ("200 and a heartbeat within 10 s", "9.5", "be-called"),
            Self::Task => ("200 with a result, or 202 and a result later", "9.5", "be-called"),
            Self::UnknownFields => ("fields that it does not know are ignored", "9", "be-called"),
            Self::AnswerTime => ("an answer within 30 s", "9.5", "be-called"),
            Self::AnswerSize => ("at most 8 MiB", "9.5", "results"),
            Self::AnswerDepth => ("at most 64 levels", "9.5", "results"),
            Self::ResultReadable => ("a result that can be read", "9.3", "results"),
            Self::ResultTask => ("`task_id` as in the assignment", "9.3", "results"),
            Self::ResultToken => ("`fencing_token` as in the assignment", "9.3", "results"),
            Self::ResultStatus => ("`completed` or `failed`", "9.3", "results"),
            Self::Artifacts => ("relative paths without `..`", "9.3", "results"),
            Self::Repeat => ("the same Idempotency-Key does not work twice", "9.5", "be-called"),
            Self::WrongToken => ("401 or 403 for a wrong X-Agent-Token", "9.5", "tokens"),
            Self::WrongSignature => ("401 or 403 for a wrong signature", "9.5", "tokens"),
            Self::OldSignature => ("401 or 403 for a signature of an hour ago", "9.5", "tokens"),
            Self::Cancel => ("a cancelled piece of work ends", "9.5", "notices"),
            Self::ResultRepeat => ("a result without an answer is brought again", "9.1", "results"),
            Self::GoesOn => ("it is still there afterwards", "9.4", "heartbeats"),
            Self::Ends => ("it ends when it is asked to", "9.1", "when-it-ends"),
        }
    }
}

struct Verdict {
    rule: Rule,
    outcome: Outcome,
    came: String,
}

/// Collects verdicts, and prints each as it comes.
pub(super) struct Sheet<'a> {
    printer: &'a Printer,
    spinner: Spinner,
    verdicts: Vec<Verdict>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Self { printer, spinner: Spinner::new("checking"), verdicts: Vec::new() }
    }

    /// What is waited for.
    pub(super) fn waits_for(&self, what: &str) {
        self.spinner.say(what);
    }

    pub(super) fn note(&self, text: impl AsRef<str>) {
        self.spinner.suspend(|| self.printer.note(text));
    }

    pub(super) fn pass(&mut self, rule: Rule, came: impl Display) {
        self.add(rule, Outcome::Pass, came.to_string());
    }

    pub(super) fn warn(&mut self, rule: Rule, came: impl Display) {
        self.add(rule, Outcome::Warn, came.to_string());
    }

    pub(super) fn fail(&mut self, rule: Rule, came: impl Display) {
        self.add(rule, Outcome::Fail, came.to_string());
    }

    pub(super) fn judge(&mut self, rule: Rule, is_fine: bool, came: impl Display) {
        let outcome = if is_fine { Outcome::Pass } else { Outcome::Fail };
        self.add(rule, outcome, came.to_string());
    }

    fn add(&mut self, rule: Rule, outcome: Outcome, came: String) {
        let verdict = Verdict { rule, outcome, came };
        if !self.printer.is_json() {
            self.spinner.suspend(|| self.printer.line(line(&verdict)));
        }
        self.verdicts.push(verdict);
    }

    /// The sum, and the exit code.
    pub(super) fn finish(self, mode: &str, agent: &Value) -> u8 {
        let Self { printer, spinner, verdicts } = self;
        drop(spinner);
        let count = |outcome| verdicts.iter().filter(|one| one.outcome == outcome).count();
        let (failed, warned) = (count(Outcome::Fail), count(Outcome::Warn));
        if printer.is_json() {
            let rows: Vec<Value> = verdicts.iter().map(row).collect();
            printer.json(&json!({
                "ok": failed == 0, "protocol": crate::domain::eap::VERSION, "mode": mode,
                "agent": agent, "failed": failed, "warnings": warned, "checks": rows,
            }));
        } else {
            let (all, passed) = (verdicts.len(), count(Outcome::Pass));
            printer.note(format!(
                "{all} checks: {passed} passed, {failed} failed, {warned} to look at"
            ));
        }
        if failed == 0 { code::OK } else { code::FAILED }
    }
}

fn row(verdict: &Verdict) -> Value {
    let Verdict { rule, outcome, came } = verdict;
    let (expected, section, part) = rule.told();
    json!({
        "name": rule, "outcome": outcome, "expected": expected, "came": came, "section": section,
        "page": format!("{PAGE}#{part}"),
    })
}

fn line(verdict: &Verdict) -> String {
    let Verdict { rule, outcome, came } = verdict;
    let (expected, section, part) = rule.told();
    let (sign, came) = match outcome {
        Outcome::Pass => (painted("pass", GOOD), format::line(came, 60)),
        Outcome::Warn => (painted("warn", ALERT), format::line(came, 300)),
        Outcome::Fail => (painted("FAIL", BAD), format::line(came, 300)),
    };
    let place = match outcome {
        Outcome::Pass => format!("[{section}]"),
        Outcome::Warn | Outcome::Fail => format!("[{section}, {PAGE}#{part}]"),
    };
    format!("{sign}  {:<15}  {expected}; came: {came} {}", rule.as_str(), painted(&place, DIM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_words_and_what_is_wrong_names_the_page() {
        for rule in Rule::ALL {
            let verdict = Verdict { rule: *rule, outcome: Outcome::Fail, came: "x".to_owned() };
            let (expected, section, part) = rule.told();
            let line = line(&verdict);
            assert!(section.starts_with('9') && line.contains(expected), "{line}");
            assert!(
                line.contains(&format!("{PAGE}#{part}")) && line.lines().count() == 1,
                "{line}"
            );
        }
    }
}
