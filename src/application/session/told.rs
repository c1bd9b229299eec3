//! What an agent tells of its work beside words, as it becomes part of its session.

use serde_json::{Value, json};

use super::change::Change;
use super::report::TurnOver;
use crate::application::ports::driver::Told;
use crate::domain::session::Session;
use crate::domain::session::artifact::{MOST, take_over};
use crate::domain::session::life::Outcome;
use crate::domain::session::metrics::{RateSource, Warning};
use crate::domain::time::Timestamp;

/// Takes note of it: the lease is settled by it, its files belong to the session, and a score of quality
/// counts.
pub(super) fn note(change: &mut Change, told: &Told, now: Timestamp) {
    let held = change.session.run.lease.as_ref().map(|lease| lease.fencing_token);
    let leases = change.attempt.iter_mut().flat_map(|attempt| &mut attempt.leases);
    for lease in leases.filter(|lease| Some(lease.fencing_token) == held) {
        lease.settled = Some(told.digest);
    }
    let known = &mut change.session.run.artifacts;
    let left_out = take_over(known, told.artifacts.iter().cloned());
    if left_out > 0 {
        change.session.metrics.warn(Warning {
            warning_type: "artifacts_left_out".to_owned(),
            message: format!("{left_out} files were left out: a session keeps {MOST}"),
            timestamp: now,
            context: Value::Null,
        });
    }
    if let Some(score) = told.quality_score {
        change.session.metrics.code_quality_score = Some(score);
    }
}

/// What is kept of a turn as its result.
fn result_of(turn: &TurnOver) -> Value {
    match turn.told.as_ref().map(|told| &told.output) {
        Some(output) if !output.is_null() => json!({ "text": turn.text, "output": output }),
        Some(_) | None => json!({ "text": turn.text }),
    }
}

/// Keeps what a turn brought, for a session that pauses with it.
pub(super) fn keep(change: &mut Change, turn: &TurnOver) {
    let Outcome { result, success_rate, source, confidence_score: _ } = outcome_of(turn);
    let metrics = &mut change.session.metrics;
    metrics.result = Some(result);
    (metrics.success_rate, metrics.success_rate_source) = (success_rate, source);
    change.session.run.is_partial = turn.told.as_ref().is_some_and(|told| told.is_partial);
}

/// What a session ends with that has nothing left to do: what was kept.
pub(super) fn kept(session: &Session) -> Outcome {
    let metrics = &session.metrics;
    let result = metrics.result.clone().unwrap_or_else(|| json!({}));
    let (success_rate, source) = (metrics.success_rate, metrics.success_rate_source);
    Outcome { result, success_rate, source, ..Outcome::default() }
}

/// What a session ends with whose last turn this was.
pub(super) fn outcome_of(turn: &TurnOver) -> Outcome {
    let success_rate = turn.told.as_ref().and_then(|told| told.success_rate);
    let source = success_rate.map(|_| RateSource::Reported);
    Outcome { result: result_of(turn), success_rate, source, ..Outcome::default() }
}
