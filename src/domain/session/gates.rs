//! Gates: commands that judge the work of a session, and what they said of it.
//!
//! Invariant: a judgement names the exact state of the files that it is about.

use serde::Serialize;
use serde_json::{Value, json};

use super::Session;
use super::attempt::{ErrorType, SessionError};
use super::life::Outcome;
use super::metrics::RateSource;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::time::Timestamp;

/// Bytes of a gate's output that are kept with its result: the end, where the reason stands.
pub const KEPT_OUTPUT_BYTES: usize = 2048;

/// What one gate said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateReport {
    /// Its name.
    pub name: String,
    /// Whether completion needs it.
    pub required: bool,
    /// Whether its command ended with exit code 0 in time.
    pub passed: bool,
    /// Exit code; `None` when it did not start or was ended.
    pub exit_code: Option<i32>,
    /// Ended because its time was over.
    pub timed_out: bool,
    /// How long it ran.
    pub duration_ms: u64,
    /// The end of what it printed.
    pub output: String,
}

/// What all gates said of one state of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Every required gate passed.
    pub passed: bool,
    /// Hash of the files; `None` for a directory, whose files nobody can name.
    pub tree_hash: Option<String>,
    /// The commit that was checked out; `None` for a directory.
    pub commit: Option<String>,
    /// When the last gate ended.
    pub at: Timestamp,
    /// In the order of the definition.
    pub gates: Vec<GateReport>,
}

impl Verification {
    /// The judgement that these reports give together.
    #[must_use]
    pub fn of(
        gates: Vec<GateReport>,
        commit: Option<String>,
        tree_hash: Option<String>,
        at: Timestamp,
    ) -> Self {
        let passed = gates.iter().all(|gate| gate.passed || !gate.required);
        Self { passed, tree_hash, commit, at, gates }
    }

    /// Share of the gates that passed, 0–1.
    #[must_use]
    pub fn share_passed(&self) -> f64 {
        let count = |gates: usize| u32::try_from(gates).map_or(f64::MAX, f64::from);
        let passed = self.gates.iter().filter(|gate| gate.passed).count();
        if self.gates.is_empty() { 1.0 } else { count(passed) / count(self.gates.len()) }
    }

    /// Why the work is not good enough.
    #[must_use]
    pub fn refusal(&self) -> SessionError {
        let failed = self.gates.iter().filter(|gate| gate.required && !gate.passed);
        let names: Vec<&str> = failed.map(|gate| gate.name.as_str()).collect();
        let message = format!("required gates did not pass: {}", names.join(", "));
        let context = json!({ "gates": names, "tree_hash": self.tree_hash });
        SessionError { context, ..SessionError::of(ErrorType::GatesFailed, message, self.at) }
    }

    /// The end of work that passed, with what the agent said of it.
    #[must_use]
    pub fn outcome(&self, result: Value) -> Outcome {
        let (success_rate, source) = (Some(self.share_passed()), Some(RateSource::Gates));
        Outcome { result, success_rate, source, ..Outcome::default() }
    }
}

impl Session {
    /// Whether its work is judged before it may complete.
    #[must_use]
    pub fn must_pass_gates(&self) -> bool {
        self.spec.gates.iter().any(|gate| gate.required)
    }

    /// Keeps what the gates said and tells of it; the output of each is left out of the event.
    pub fn verified(&mut self, verification: Verification, now: Timestamp) -> DomainEvent {
        let gates: Vec<Value> = verification
            .gates
            .iter()
            .map(|gate| {
                json!({
                    "name": gate.name, "required": gate.required, "passed": gate.passed,
                    "exit_code": gate.exit_code, "timed_out": gate.timed_out,
                    "duration_ms": gate.duration_ms,
                })
            })
            .collect();
        let payload = json!({
            "passed": verification.passed, "gates": gates, "tree_hash": verification.tree_hash,
        });
        self.stamps.updated_at = now;
        self.run.verification = Some(verification);
        self.event(EventType::SessionVerified, now, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, required: bool, passed: bool) -> GateReport {
        GateReport {
            name: name.to_owned(),
            required,
            passed,
            exit_code: Some(i32::from(!passed)),
            timed_out: false,
            duration_ms: 1,
            output: String::new(),
        }
    }

    #[test]
    fn required_gates_decide_and_all_of_them_are_counted() {
        let at = Timestamp::from_millis(1);
        let of = |gates: Vec<GateReport>| Verification::of(gates, None, None, at);
        let good = of(vec![report("a", true, true), report("b", false, false)]);
        assert!(good.passed && (good.share_passed() - 0.5).abs() < 1e-9);
        let outcome = good.outcome(json!({}));
        assert_eq!((outcome.success_rate, outcome.source), (Some(0.5), Some(RateSource::Gates)));
        let bad = of(vec![report("a", true, false), report("b", false, false)]);
        let error = bad.refusal();
        assert!(!bad.passed && !error.retryable);
        assert_eq!(error.error_type, "gates_failed");
        assert_eq!(error.message, "required gates did not pass: a");
        assert!(of(Vec::new()).passed);
    }
}
