//! What the server tells, as what the application is told.
//!
//! Invariant: a piece of the transcript is told again only when it changed; usage and the end of a
//! step are told once per message.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use serde_json::{Value, json};

use super::wire::{Info, Part};
use crate::application::ports::driver::{AgentEvent, TranscriptItem};
use crate::domain::canonical::canonical;
use crate::domain::money::Usd;
use crate::domain::usage::Usage;
use crate::infrastructure::drivers::permission::cut;

/// Longest input or output of a call that is told.
const MAX_CALL_BYTES: usize = 64 * 1024;
/// Longest text that is told.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Remembers what was told.
#[derive(Debug, Default)]
pub(super) struct Teller {
    parts: HashMap<String, u64>,
    /// Texts that are heard from their beginning, and without a gap until now.
    growing: HashSet<String>,
    /// Calls that were told as finished: what an event says of them later is older.
    finished: HashSet<String>,
    prompts: HashSet<String>,
    used: HashSet<String>,
    stepped: HashSet<String>,
}

impl Teller {
    /// Notes whose message it is; texts of people and of the agent differ in kind only.
    pub(super) fn heard_of(&mut self, info: &Info) {
        if info.role == "user" {
            self.prompts.insert(info.id.clone());
        }
    }

    /// The whole piece, when it is one and differs from what was told.
    pub(super) fn part(&mut self, part: &Part) -> Option<AgentEvent> {
        let of_person = self.prompts.contains(&part.message);
        let is_news = !self.parts.contains_key(&part.id);
        let begins = is_news && part.text.is_empty() && part.time.end.is_none();
        if begins && matches!(part.kind.as_str(), "text" | "reasoning") {
            self.growing.insert(part.id.clone());
        }
        let (kind, body, change) = match part.kind.as_str() {
            "text" if part.synthetic || part.text.is_empty() => return None,
            "text" if of_person => ("user", words(&part.text), part.text.clone()),
            "text" | "reasoning" if part.time.end.is_none() || part.text.is_empty() => return None,
            "text" => ("text", words(&part.text), part.text.clone()),
            "reasoning" => ("reasoning", words(&part.text), part.text.clone()),
            "tool" if self.is_late(part) => return None,
            "tool" => ("tool", call(part), part.state.status.clone()),
            _ => return None,
        };
        self.changed(&part.id, &change)
            .then(|| AgentEvent::Transcript(TranscriptItem { id: part.id.clone(), kind, body }))
    }

    /// Whether words that grow this piece may be told. Not before it was heard to begin: half a
    /// secret is not known for one.
    pub(super) fn is_growing(&self, part: &str) -> bool {
        self.growing.contains(part)
    }

    /// Some words of a piece were lost; it is told as a whole in the end.
    pub(super) fn has_gap(&mut self, part: &str) {
        self.growing.remove(part);
    }

    /// What was said meanwhile was not heard.
    pub(super) fn was_deaf(&mut self) {
        self.growing.clear();
    }

    /// The todo list of a conversation.
    pub(super) fn todo(&mut self, session: &str, items: &Value) -> Option<AgentEvent> {
        let id = format!("todo:{session}");
        let items = items.as_array()?.iter().take(200).cloned().collect::<Value>();
        self.changed(&id, &items.to_string()).then(|| {
            AgentEvent::Transcript(TranscriptItem {
                id,
                kind: "todo",
                body: json!({ "items": items }),
            })
        })
    }

    /// What a complete step used, once.
    pub(super) fn usage(&mut self, info: &Info) -> Option<AgentEvent> {
        if !info.is_complete_step() || !self.used.insert(info.id.clone()) {
            return None;
        }
        let model = match (&info.provider, &info.model) {
            (Some(provider), Some(model)) => Some(format!("{provider}/{model}")),
            _ => None,
        };
        Some(AgentEvent::Usage { key: info.id.clone(), usage: usage(info), model })
    }

    /// Whether this step's end is news.
    pub(super) fn step(&mut self, info: &Info) -> bool {
        info.is_complete_step() && info.error.is_none() && self.stepped.insert(info.id.clone())
    }

    /// Whether a call was told as finished and this says that it is not.
    fn is_late(&mut self, part: &Part) -> bool {
        if matches!(part.state.status.as_str(), "completed" | "error") {
            self.finished.insert(part.id.clone());
            return false;
        }
        self.finished.contains(&part.id)
    }

    fn changed(&mut self, id: &str, content: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let hash = hasher.finish();
        self.growing.remove(id);
        self.parts.insert(id.to_owned(), hash) != Some(hash)
    }
}

fn words(text: &str) -> Value {
    json!({ "text": cut(text, MAX_TEXT_BYTES) })
}

fn call(part: &Part) -> Value {
    let state = &part.state;
    let input = match &state.input {
        small if canonical(small).len() <= MAX_CALL_BYTES => small.clone(),
        large => json!({ "truncated": cut(&large.to_string(), MAX_CALL_BYTES) }),
    };
    let short = |text: &Option<String>| text.as_ref().map(|text| cut(text, MAX_CALL_BYTES));
    json!({
        "tool": part.tool,
        "status": state.status,
        "title": short(&state.title),
        "input": input,
        "output": short(&state.output),
        "error": short(&state.error),
    })
}

fn usage(info: &Info) -> Usage {
    Usage {
        tokens_input: count(info.tokens.input),
        tokens_output: count(info.tokens.output),
        tokens_cache_read: count(info.tokens.cache.read),
        tokens_cache_write: count(info.tokens.cache.write),
        tokens_reasoning: count(info.tokens.reasoning),
        cost_usd: info.cost.filter(|cost| *cost >= 0.0).and_then(Usd::from_dollars),
        simulated: false,
        reported: true,
    }
}

/// A number of tokens as a whole one; nonsense counts as none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within range")]
fn count(number: f64) -> u64 {
    if number.is_finite() { number.clamp(0.0, 1e12) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(value: Value) -> Part {
        serde_json::from_value(value).expect("a part")
    }

    fn told(event: Option<AgentEvent>) -> Option<TranscriptItem> {
        match event {
            Some(AgentEvent::Transcript(item)) => Some(item),
            _ => None,
        }
    }

    #[test]
    fn a_text_is_told_when_it_is_whole_and_once() {
        let mut teller = Teller::default();
        let growing = part(json!({ "id": "p", "messageID": "m", "type": "text", "text": "a" }));
        assert!(teller.part(&growing).is_none());
        let whole = part(json!({
            "id": "p", "messageID": "m", "type": "text", "text": "ab", "time": { "start": 1, "end": 2 },
        }));
        let item = told(teller.part(&whole)).expect("told");
        assert_eq!((item.kind, item.body), ("text", json!({ "text": "ab" })));
        assert!(teller.part(&whole).is_none());
    }

    #[test]
    fn words_are_told_from_the_beginning_without_a_gap() {
        let mut teller = Teller::default();
        let begins = |id: &str| part(json!({ "id": id, "messageID": "m", "type": "text" }));
        for id in ["a", "b", "c"] {
            assert!(!teller.is_growing(id));
            assert!(teller.part(&begins(id)).is_none() && teller.is_growing(id));
        }
        teller.has_gap("a");
        assert!(!teller.is_growing("a") && teller.is_growing("b"));
        let whole = json!({ "id": "b", "type": "text", "text": "b", "time": { "end": 2 } });
        assert!(teller.part(&part(whole)).is_some() && !teller.is_growing("b"));
        assert!(
            teller.part(&begins("b")).is_none() && !teller.is_growing("b"),
            "older, came later"
        );
        teller.was_deaf();
        assert!(!teller.is_growing("c"));
    }

    #[test]
    fn a_call_is_told_once_per_status_and_cut() {
        let mut teller = Teller::default();
        let call = |status: &str, output: &str| {
            part(json!({
                "id": "p", "type": "tool", "tool": "bash",
                "state": { "status": status, "input": { "command": "x" }, "output": output },
            }))
        };
        assert!(teller.part(&call("running", "")).is_some());
        assert!(teller.part(&call("running", "more")).is_none());
        let item = told(teller.part(&call("completed", &"y".repeat(100_000)))).expect("told");
        let output = item.body["output"].as_str().expect("text");
        assert!(output.len() < 66_000 && output.ends_with("bytes left out]"));
        assert!(teller.part(&call("running", "")).is_none(), "what is older came later");
    }

    #[test]
    fn usage_counts_once_per_message_and_survives_nonsense() {
        let mut teller = Teller::default();
        let info: Info = serde_json::from_value(json!({
            "id": "m", "role": "assistant", "providerID": "lab", "modelID": "s", "cost": 0.5,
            "time": { "completed": 5 },
            "tokens": { "input": -4, "output": 7, "reasoning": 1e300, "cache": { "read": 3 } },
        }))
        .expect("info");
        let Some(AgentEvent::Usage { key, usage, model }) = teller.usage(&info) else {
            panic!("no usage");
        };
        assert_eq!((key.as_str(), model.as_deref()), ("m", Some("lab/s")));
        assert_eq!((usage.tokens_input, usage.tokens_output, usage.tokens_cache_read), (0, 7, 3));
        assert_eq!(usage.cost_usd, Some(Usd::from_micros(500_000)));
        assert!(teller.usage(&info).is_none());
    }
}
