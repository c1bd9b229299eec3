//! What a run used: tokens from the answer to a prompt, money from what the agent says of its whole
//! conversation.
//!
//! Invariant: one prompt counts once, whichever of its places an agent tells its figures in.

use serde_json::Value;

use crate::domain::money::Usd;
use crate::domain::usage::Usage;

/// The count of a conversation's cost.
#[derive(Debug, Default)]
pub(super) struct Spent {
    /// What was counted.
    counted: Usd,
    /// What the agent says that the conversation has cost until now.
    said: Option<Usd>,
}

impl Spent {
    /// The count of a conversation of which this was counted already.
    pub(super) fn after(micros: i64) -> Self {
        Self { counted: Usd::from_micros(micros.max(0)), said: None }
    }

    /// What was counted, in millionths of a dollar.
    pub(super) const fn counted_micros(&self) -> i64 {
        self.counted.micros()
    }

    /// A `usage_update`: its cost is that of the whole conversation; its tokens are those of the
    /// context, which nobody pays for by themselves.
    pub(super) fn hear(&mut self, update: &Value) {
        let Some(cost) = update.get("cost") else { return };
        let is_dollars =
            cost.get("currency").and_then(Value::as_str).is_none_or(|word| word == "USD");
        let amount = cost.get("amount").and_then(Value::as_f64).filter(|amount| *amount >= 0.0);
        if let Some(amount) = amount.filter(|_| is_dollars).and_then(Usd::from_dollars) {
            self.said = Some(amount);
        }
    }

    /// What a prompt used, from its answer and what was heard; `None` when nothing was said.
    pub(super) fn of_answer(&mut self, answer: &Value) -> Option<Usage> {
        let cost = self.said.take().map(|said| {
            // A count that begins anew after a restart of the agent is lower than the old one.
            let before = if said < self.counted { 0 } else { self.counted.micros() };
            self.counted = said;
            Usd::from_micros(said.micros().saturating_sub(before))
        });
        let tokens = tokens(answer);
        if tokens.is_none() && cost.is_none_or(|cost| cost.micros() == 0) {
            return None;
        }
        Some(Usage { cost_usd: cost, reported: true, ..tokens.unwrap_or_default() })
    }
}

/// Tokens, from wherever this agent tells them.
fn tokens(answer: &Value) -> Option<Usage> {
    if let Some(usage) = answer.get("usage").filter(|usage| usage.is_object()) {
        let count = |name: &str| number(usage.get(name));
        return Some(Usage {
            tokens_input: count("inputTokens"),
            tokens_output: count("outputTokens"),
            tokens_cache_read: count("cachedReadTokens"),
            tokens_cache_write: count("cachedWriteTokens"),
            tokens_reasoning: count("thoughtTokens"),
            ..Usage::default()
        });
    }
    let quota = answer.get("_meta")?.get("quota")?.get("token_count")?;
    let count = |name: &str| number(quota.get(name));
    Some(Usage {
        tokens_input: count("input_tokens"),
        tokens_output: count("output_tokens"),
        ..Usage::default()
    })
}

/// A number of tokens; nonsense counts as none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within range")]
fn number(value: Option<&Value>) -> u64 {
    let number = value.and_then(Value::as_f64).filter(|number| number.is_finite());
    number.map_or(0, |number| number.clamp(0.0, 1e12) as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_come_from_the_answer_or_from_its_quota_and_not_from_both() {
        let mut spent = Spent::default();
        let both = json!({
            "usage": { "inputTokens": 10, "outputTokens": 3, "cachedReadTokens": 4, "thoughtTokens": -1 },
            "_meta": { "quota": { "token_count": { "input_tokens": 99, "output_tokens": 99 } } },
        });
        let usage = spent.of_answer(&both).expect("told");
        assert_eq!((usage.tokens_input, usage.tokens_output, usage.tokens_cache_read), (10, 3, 4));
        assert_eq!((usage.tokens_reasoning, usage.cost_usd, usage.reported), (0, None, true));
        let quota = json!({ "_meta": both["_meta"] });
        assert_eq!(spent.of_answer(&quota).map(|usage| usage.tokens_input), Some(99));
        assert_eq!(spent.of_answer(&json!({ "stopReason": "end_turn", "_meta": {} })), None);
    }

    #[test]
    fn the_cost_of_a_conversation_is_counted_once() {
        let update =
            |amount: f64| json!({ "used": 5, "cost": { "amount": amount, "currency": "USD" } });
        let mut spent = Spent::after(1_000_000);
        let cost = |spent: &mut Spent| spent.of_answer(&json!({})).and_then(|usage| usage.cost_usd);
        spent.hear(&update(1.25));
        spent.hear(&update(1.5));
        assert_eq!(cost(&mut spent), Some(Usd::from_micros(500_000)));
        spent.hear(&update(1.5));
        assert_eq!(cost(&mut spent), None, "nothing was added");
        assert_eq!(spent.counted_micros(), 1_500_000);
        spent.hear(&update(0.25));
        assert_eq!(cost(&mut spent), Some(Usd::from_micros(250_000)), "it began to count anew");
        spent.hear(&json!({ "cost": { "amount": 5.0, "currency": "EUR" } }));
        spent.hear(&update(-1.0));
        spent.hear(&json!({ "used": 7, "size": 9 }));
        assert_eq!(cost(&mut spent), None);
    }
}
