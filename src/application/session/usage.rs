//! What the model calls of a session used, and what happens when that comes near its budget.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::change::{Change, item_id};
use super::report::CallUsage;
use crate::application::error::AppError;
use crate::domain::attention::{AttentionItem, AttentionKind, AttentionState, Risk};
use crate::domain::canonical::sha256_hex;
use crate::domain::event::EventType;
use crate::domain::session::Session;
use crate::domain::session::metrics::Warning;
use crate::domain::time::Timestamp;
use crate::domain::usage::budget::{BudgetLevel, BudgetUse};

/// The reason of a pause by a budget.
pub(super) const EXHAUSTED: &str = "budget_exhausted";
/// How long people may look at the news of a budget before it counts as seen.
const SEEN_AFTER: Duration = Duration::from_hours(24);

/// Counts what a call used, once.
pub(super) fn count(change: &mut Change, call: &CallUsage, now: Timestamp) {
    let Some(attempt) = &mut change.attempt else { return };
    if attempt.counted_calls.contains(&call.key) {
        return;
    }
    attempt.counted_calls.push(call.key.clone());
    attempt.usage = attempt.usage.plus(&call.usage);
    let metrics = &mut change.session.metrics;
    metrics.usage = metrics.usage.plus(&call.usage);
    metrics.api_calls_count += 1;
    let usage = &call.usage;
    let payload = json!({
        "attempt": attempt.number, "model_identifier": call.model,
        "tokens_input": usage.tokens_input, "tokens_output": usage.tokens_output,
        "tokens_cache_read": usage.tokens_cache_read,
        "tokens_cache_write": usage.tokens_cache_write,
        "tokens_reasoning": usage.tokens_reasoning, "tokens_total": usage.tokens_total(),
        "cost_usd": usage.cost_usd, "simulated": usage.simulated,
        "cost_source": if usage.cost_usd.is_some() { "reported" } else { "unknown" },
    });
    let event = change.session.event(EventType::UsageRecorded, now, payload);
    change.tell([event]);
    warn_of_unknown_cost(change, call, now);
}

/// What nobody knows the price of is not charged: whoever set a budget is told once.
fn warn_of_unknown_cost(change: &mut Change, call: &CallUsage, now: Timestamp) {
    const TYPE: &str = "cost_unknown";
    let metrics = &mut change.session.metrics;
    let known = call.usage.cost_usd.is_some() || call.usage.simulated;
    let told = metrics.warnings.iter().any(|warning| warning.warning_type == TYPE);
    if known || told || change.session.spec.budget_usd.is_none() {
        return;
    }
    metrics.warn(Warning {
        warning_type: TYPE.to_owned(),
        message: "the agent does not tell what its model costs: budget_usd bounds nothing, use token_budget".to_owned(),
        timestamp: now,
        context: json!({ "model_identifier": call.model }),
    });
}

/// Tells once when most of the budget is used, and once when all of it is; then the session pauses
/// at the end of its turn.
pub(super) fn watch(change: &mut Change, uuid: Uuid, now: Timestamp) {
    let Some(budget) = change.session.budget() else { return };
    let (level, told) = (budget.level(), change.session.run.budget_told);
    if level == BudgetLevel::Free || told.is_some_and(|told| told >= level) {
        return;
    }
    if told.is_none() {
        tell(change, EventType::UsageSoftLimitReached, &budget, now);
        let item = news(change, &budget, uuid, now);
        change.raise(item, now);
    }
    if level == BudgetLevel::Hard {
        tell(change, EventType::UsageHardLimitReached, &budget, now);
    }
    change.session.run.budget_told = Some(level);
}

fn tell(change: &mut Change, event_type: EventType, budget: &BudgetUse, now: Timestamp) {
    let (limit, used) = budget.figures();
    let payload = json!({ "scope": budget.scope, "limit": limit, "used": used, "period": null });
    let event = change.session.event(event_type, now, payload);
    change.tell([event]);
}

fn news(change: &Change, budget: &BudgetUse, uuid: Uuid, now: Timestamp) -> AttentionItem {
    let session = &change.session;
    let (limit, used) = budget.figures();
    let text = format!("{}:{}:{limit}", session.id, budget.scope);
    AttentionItem {
        id: item_id(uuid),
        tenant_id: session.tenant_id,
        session_id: session.id,
        attempt: session.run.attempt,
        kind: AttentionKind::Budget,
        title: format!("{budget} are used; at the bound the session pauses"),
        payload: json!({ "scope": budget.scope, "limit": limit, "used": used }),
        fingerprint: sha256_hex(text.as_bytes()),
        risk: Risk::Low,
        state: AttentionState::Open,
        decision: None,
        answer: None,
        resolved_by: None,
        created_at: now,
        deadline: now.after(SEEN_AFTER),
        resolved_at: None,
        agent_ref: String::new(),
    }
}

/// Whether the session may begin or go on.
///
/// # Errors
/// `BudgetExhausted` when nothing is left of its budget.
pub(super) fn check(session: &Session) -> Result<(), AppError> {
    let exhausted = session.budget().filter(|budget| budget.level() == BudgetLevel::Hard);
    exhausted.map_or(Ok(()), |budget| {
        Err(AppError::BudgetExhausted { code: session.code.to_string(), budget })
    })
}
