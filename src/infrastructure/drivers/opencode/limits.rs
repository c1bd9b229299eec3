//! Guards that OpenCode does not have: each ends a run that would go on for ever.
//!
//! Invariant: what ends a run is named in its message and in the limits of the driver's options.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::wire::{Info, Part, Status};
use crate::application::ports::driver::DriverError;
use crate::domain::canonical::canonical;
use crate::domain::session::attempt::ErrorType;
use crate::domain::time::Timestamp;

/// Where a run that leads nowhere ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Model calls for one prompt.
    pub steps_per_prompt: u32,
    /// Answers in a row that end without a reason.
    pub unknown_in_a_row: u32,
    /// Steps in a row that make the same calls with the same arguments.
    pub equal_steps_in_a_row: u32,
    /// Time without a sign of life while nobody is asked.
    pub silence: Duration,
    /// Longest wait for the model's provider.
    pub provider_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps_per_prompt: 200,
            unknown_in_a_row: 3,
            equal_steps_in_a_row: 8,
            silence: Duration::from_mins(10),
            provider_wait: Duration::from_mins(10),
        }
    }
}

/// Counts for one run.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    steps: u32,
    unknown: u32,
    equal: u32,
    last_calls: Option<u64>,
    calls: HashMap<String, BTreeMap<String, u64>>,
    heard_at: Timestamp,
}

impl Watch {
    pub(super) fn new(limits: Limits, now: Timestamp) -> Self {
        Self {
            limits,
            steps: 0,
            unknown: 0,
            equal: 0,
            last_calls: None,
            calls: HashMap::new(),
            heard_at: now,
        }
    }

    /// A new prompt is worked on.
    pub(super) fn prompted(&mut self, now: Timestamp) {
        (self.steps, self.unknown, self.equal) = (0, 0, 0);
        self.heard(now);
    }

    /// There was a sign of life.
    pub(super) fn heard(&mut self, now: Timestamp) {
        self.heard_at = now;
    }

    /// A piece of a step.
    pub(super) fn part(&mut self, part: &Part) {
        if part.kind == "tool" && matches!(part.state.status.as_str(), "completed" | "error") {
            let mut hasher = DefaultHasher::new();
            (&part.tool, canonical(&part.state.input)).hash(&mut hasher);
            let calls = self.calls.entry(part.message.clone()).or_default();
            calls.insert(part.id.clone(), hasher.finish());
        }
    }

    /// A step is complete.
    pub(super) fn step(&mut self, info: &Info) -> Result<(), DriverError> {
        self.steps += 1;
        let unknown = info.finish.as_deref() == Some("unknown");
        self.unknown = if unknown { self.unknown + 1 } else { 0 };
        let calls = self.calls.remove(&info.id).map(|calls| {
            let mut hasher = DefaultHasher::new();
            calls.values().collect::<Vec<_>>().hash(&mut hasher);
            hasher.finish()
        });
        self.equal = match (calls, self.last_calls) {
            (Some(now), Some(before)) if now == before => self.equal + 1,
            (Some(_), _) => 1,
            (None, _) => 0,
        };
        self.last_calls = calls;
        let limits = &self.limits;
        if self.steps > limits.steps_per_prompt {
            return Err(over(format!(
                "step limit: more than {} model calls for one prompt",
                limits.steps_per_prompt
            )));
        }
        if self.unknown >= limits.unknown_in_a_row {
            return Err(over(format!(
                "unfinished answers: {} model answers in a row ended without a reason",
                self.unknown
            )));
        }
        if self.equal >= limits.equal_steps_in_a_row {
            return Err(over(format!(
                "loop: the same call with the same arguments {} times in a row",
                self.equal
            )));
        }
        Ok(())
    }

    /// The provider is waited for.
    pub(super) fn retry(&self, status: &Status, now: Timestamp) -> Result<(), DriverError> {
        let next = status.next.map_or(now, timestamp);
        if next.since(now) <= self.limits.provider_wait {
            return Ok(());
        }
        let said: String = status.message.chars().take(200).collect();
        let message = format!("the model's provider wants to be left alone until {next}: {said}");
        let alone = Some(next.since(now));
        Err(DriverError::new(ErrorType::ProviderError, message).because_overloaded(alone))
    }

    /// Nothing was heard for too long, though somebody should be working.
    pub(super) fn silence(&self, now: Timestamp) -> Result<(), DriverError> {
        let silent = now.since(self.heard_at);
        if silent <= self.limits.silence {
            return Ok(());
        }
        Err(over(format!("silence: no sign of life for {} s", silent.as_secs())))
    }
}

/// Milliseconds since the epoch as the server writes them.
#[expect(clippy::cast_possible_truncation, reason = "held within what a timestamp can be")]
pub(super) fn timestamp(millis: f64) -> Timestamp {
    Timestamp::from_millis(millis.clamp(0.0, 9e15) as i64)
}

fn over(message: String) -> DriverError {
    DriverError::new(ErrorType::AgentError, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn watch() -> Watch {
        let limits = Limits { steps_per_prompt: 20, ..Limits::default() };
        Watch::new(limits, Timestamp::EPOCH)
    }

    fn step(id: &str, finish: &str) -> Info {
        Info { id: id.to_owned(), finish: Some(finish.to_owned()), ..Info::default() }
    }

    fn call(message: &str, command: &str) -> Part {
        serde_json::from_value(json!({
            "id": "p", "messageID": message, "type": "tool", "tool": "bash",
            "state": { "status": "completed", "input": { "command": command } },
        }))
        .expect("a part")
    }

    #[test]
    fn equal_calls_in_a_row_end_the_run_and_different_ones_do_not() {
        let mut watch = watch();
        for index in 0..12 {
            let id = index.to_string();
            watch.part(&call(&id, &format!("c{}", index % 2)));
            watch.step(&step(&id, "tool-calls")).expect("different calls");
        }
        let mut result = Ok(());
        for index in 0..8 {
            let id = format!("x{index}");
            watch.part(&call(&id, "same"));
            assert!(result.is_ok(), "too early: {index}");
            result = watch.step(&step(&id, "tool-calls"));
        }
        assert!(result.is_err_and(|error| error.message.starts_with("loop:")));
    }

    #[test]
    fn endless_unfinished_answers_end_the_run() {
        let mut watch = watch();
        assert!(
            watch.step(&step("a", "unknown")).is_ok() && watch.step(&step("b", "unknown")).is_ok()
        );
        assert!(watch.step(&step("c", "unknown")).is_err());
    }

    #[test]
    fn steps_are_counted_per_prompt() {
        let mut watch = watch();
        for index in 0..20 {
            watch.step(&step(&index.to_string(), "stop")).expect("within the limit");
        }
        assert!(watch.step(&step("z", "stop")).is_err());
        watch.prompted(Timestamp::EPOCH);
        assert!(watch.step(&step("y", "stop")).is_ok());
    }

    #[test]
    fn a_long_wait_and_a_long_silence_end_the_run() {
        let watch = watch();
        let (now, later) = (Timestamp::from_millis(1_000), Timestamp::from_millis(601_001));
        let status = |next: f64| Status { next: Some(next), ..Status::default() };
        assert!(watch.retry(&status(600_000.0), now).is_ok());
        let left_alone = watch.retry(&status(3_600_000.0), now).expect_err("too long");
        let alone = left_alone.overloaded.and_then(|overloaded| overloaded.retry_after);
        assert_eq!(alone, Some(Duration::from_secs(3599)));
        assert!(watch.silence(now).is_ok() && watch.silence(later).is_err());
    }
}
