//! What an agent says, as what the application is told.
//!
//! Invariant: words grow from the beginning of their item and without a gap; a call is told when something
//! about it changed, and never again once it is over.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::calls::Call;
use crate::application::ports::driver::{AgentEvent, TranscriptItem};
use crate::domain::canonical::{canonical, sha256_hex};
use crate::infrastructure::drivers::permission::cut;

/// Longest input or output of a call that is told.
const MAX_CALL_BYTES: usize = 64 * 1024;
/// Longest text that is told.
const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// Longest name of a call that is kept as it is.
const MAX_NAME_BYTES: usize = 128;
/// Calls that one prompt may make.
const MAX_CALLS: usize = 2000;
/// What is said of a call at any length.
const SIZED: [&str; 4] = ["rawInput", "rawOutput", "content", "locations"];
/// What may be known of calls that are not over.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// A piece of text that grows.
#[derive(Debug)]
struct Growing {
    id: String,
    kind: &'static str,
    /// What the agent calls the message, when it does.
    message: Option<String>,
    text: String,
    /// Bytes that were too many.
    left_out: usize,
    has_gap: bool,
}

/// What is known of a call, and what was told of it.
#[derive(Debug, Default)]
struct Known {
    call: Call,
    /// Sum of its input.
    input: String,
    told: String,
    bytes: usize,
    is_over: bool,
}

/// Words that were added.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grown {
    pub(super) part: String,
    pub(super) text: String,
}

/// What was new in a word about a call.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) told: Option<AgentEvent>,
    /// It was never heard of.
    pub(super) is_new: bool,
    /// It is over now.
    pub(super) is_over: bool,
}

/// Remembers what was told in a run.
#[derive(Debug)]
pub(super) struct Teller {
    /// Tells the items of this run from those of others in the same conversation.
    prefix: String,
    count: u64,
    growing: Option<Growing>,
    calls: HashMap<String, Known>,
    /// Bytes of what is known of them.
    held: usize,
    newest: Option<String>,
    last_words: String,
}

impl Teller {
    pub(super) fn new(prefix: String) -> Self {
        Self {
            prefix,
            count: 0,
            growing: None,
            calls: HashMap::new(),
            held: 0,
            newest: None,
            last_words: String::new(),
        }
    }

    /// A prompt begins.
    pub(super) fn begin(&mut self) {
        self.calls.clear();
        self.held = 0;
        self.growing = None;
        self.last_words.clear();
    }

    /// Words of the agent: what they complete, and how they grow.
    pub(super) fn words(
        &mut self,
        kind: &'static str,
        message: Option<&str>,
        text: &str,
    ) -> (Option<AgentEvent>, Option<Grown>) {
        let goes_on = self.growing.as_ref().is_some_and(|growing| {
            growing.kind == kind && (message.is_none() || growing.message.as_deref() == message)
        });
        let complete = if goes_on { None } else { self.rest() };
        if text.is_empty() && self.growing.is_none() {
            return (complete, None);
        }
        let growing = match &mut self.growing {
            Some(growing) => growing,
            none => {
                self.count += 1;
                none.insert(Growing {
                    id: format!("{}-{}", self.prefix, self.count),
                    kind,
                    message: message.map(|name| name.chars().take(200).collect()),
                    text: String::new(),
                    left_out: 0,
                    has_gap: false,
                })
            }
        };
        if growing.left_out > 0 || growing.text.len() + text.len() > MAX_TEXT_BYTES {
            growing.left_out += text.len();
            return (complete, None);
        }
        growing.text.push_str(text);
        let (part, text) = (growing.id.clone(), text.to_owned());
        (complete, (!growing.has_gap && !text.is_empty()).then_some(Grown { part, text }))
    }

    /// Some words were lost; the item is told as a whole in the end.
    pub(super) fn has_gap(&mut self) {
        if let Some(growing) = &mut self.growing {
            growing.has_gap = true;
        }
    }

    /// The text that grows, as it stands: nothing is added to it any more.
    pub(super) fn rest(&mut self) -> Option<AgentEvent> {
        let Growing { id, kind, mut text, left_out, .. } = self.growing.take()?;
        if text.is_empty() {
            return None;
        }
        if kind == "text" {
            self.last_words.clone_from(&text);
        }
        if left_out > 0 {
            text = format!("{text}\n[{left_out} bytes left out]");
        }
        self.newest = Some(id.clone());
        Some(AgentEvent::Transcript(TranscriptItem { id, kind, body: json!({ "text": text }) }))
    }

    /// What is said of a call.
    ///
    /// # Errors
    /// Too many calls.
    pub(super) fn call(&mut self, said: &Value) -> Result<News, TooMany> {
        let Some(name) = said.get("toolCallId").and_then(Value::as_str).map(short) else {
            return Ok(News::default());
        };
        let is_new = !self.calls.contains_key(&name);
        if is_new && self.calls.len() >= MAX_CALLS {
            return Err(TooMany);
        }
        let known = self.calls.entry(name.clone()).or_default();
        if known.is_over {
            return Ok(News::default());
        }
        known.call.learn(said);
        let status = status(&known.call.status);
        known.is_over = matches!(status, "completed" | "error");
        // All that is known of a call is looked at when some of it is new, and not whenever it is named.
        if is_new || SIZED.iter().any(|field| said.get(*field).is_some()) {
            known.input = sha256_hex(canonical(&known.call.input).as_bytes());
            let before = std::mem::replace(&mut known.bytes, known.call.bytes());
            self.held = (self.held + known.bytes).saturating_sub(before);
        }
        if self.held > MAX_HELD_BYTES {
            return Err(TooMany);
        }
        let told = format!("{status} {}", known.input);
        if known.told == told {
            return Ok(News { told: None, is_new, is_over: known.is_over });
        }
        known.told = told;
        let id = format!("{}-{name}", self.prefix);
        let body = body(&known.call, status);
        if known.is_over {
            self.newest = Some(id.clone());
            // What was said in it is no longer needed.
            (known.call.input, known.call.content) = (Value::Null, Value::Null);
            known.call.output = Value::Null;
            self.held = self.held.saturating_sub(std::mem::take(&mut known.bytes));
        }
        let is_over = known.is_over;
        let told = AgentEvent::Transcript(TranscriptItem { id, kind: "tool", body });
        Ok(News { told: Some(told), is_new, is_over })
    }

    /// What is known of a call.
    pub(super) fn known(&self, name: &str) -> Option<&Call> {
        self.calls.get(&short(name)).map(|known| &known.call)
    }

    /// The todo list.
    pub(super) fn plan(&mut self, entries: &Value) -> Option<AgentEvent> {
        let text = |entry: &Value, name: &str| {
            let text = entry.get(name).and_then(Value::as_str).unwrap_or_default();
            text.chars().take(1000).collect::<String>()
        };
        let item = |entry: &Value| {
            json!({
                "content": text(entry, "content"),
                "status": text(entry, "status"),
                "priority": text(entry, "priority"),
            })
        };
        let items: Vec<Value> = entries.as_array()?.iter().take(200).map(item).collect();
        let id = format!("{}-plan", self.prefix);
        let body = json!({ "items": items });
        Some(AgentEvent::Transcript(TranscriptItem { id, kind: "todo", body }))
    }

    /// The newest item that is complete.
    pub(super) fn newest(&self) -> Option<String> {
        self.newest.clone()
    }

    /// The agent's last words about this prompt.
    pub(super) fn last_words(&self) -> String {
        self.last_words.clone()
    }
}

/// One prompt made more calls than anybody can follow.
#[derive(Debug)]
pub(super) struct TooMany;

/// Our word for the status of a call.
fn status(word: &str) -> &'static str {
    match word {
        "in_progress" => "running",
        "completed" => "completed",
        "failed" => "error",
        _ => "pending",
    }
}

fn body(call: &Call, status: &'static str) -> Value {
    let input = match &call.input {
        small if canonical(small).len() <= MAX_CALL_BYTES => small.clone(),
        large => json!({ "truncated": cut(&large.to_string(), MAX_CALL_BYTES) }),
    };
    let said = output(call);
    let (output, error) = if status == "error" { (None, said) } else { (said, None) };
    json!({
        "tool": call.tool(),
        "status": status,
        "title": call.title,
        "input": input,
        "output": output,
        "error": error,
    })
}

/// What a call gave back, in words.
fn output(call: &Call) -> Option<String> {
    let named = ["output", "error", "stdout"];
    let inner = || named.iter().find_map(|name| call.output.get(*name)?.as_str());
    let raw = call.output.as_str().or_else(inner);
    let parts = call.content.as_array().into_iter().flatten();
    let texts = parts.filter_map(|part| part.get("content")?.get("text")?.as_str());
    let said = raw.map_or_else(|| texts.collect::<Vec<_>>().join("\n"), str::to_owned);
    (!said.is_empty()).then(|| cut(&said, MAX_CALL_BYTES))
}

/// The name of a call, or its sum where it is long: it is held for as long as its prompt is worked on.
pub(super) fn short(name: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    sha256_hex(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(event: Option<AgentEvent>) -> Option<(String, &'static str, Value)> {
        match event {
            Some(AgentEvent::Transcript(TranscriptItem { id, kind, body })) => {
                Some((id, kind, body))
            }
            _ => None,
        }
    }

    fn grown(part: &str, text: &str) -> Grown {
        Grown { part: part.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn words_grow_from_the_beginning_and_end_in_one_item() {
        let mut teller = Teller::new("f7".to_owned());
        let (complete, more) = teller.words("reasoning", Some("a"), "Hm.");
        assert!(complete.is_none() && more == Some(grown("f7-1", "Hm.")));
        let (complete, more) = teller.words("text", Some("b"), "One ");
        assert_eq!(item(complete).expect("told").1, "reasoning");
        assert_eq!(more, Some(grown("f7-2", "One ")));
        assert_eq!(teller.words("text", Some("b"), "two").1, Some(grown("f7-2", "two")));
        let (id, kind, body) = item(teller.rest()).expect("told");
        assert_eq!((id.as_str(), kind, body), ("f7-2", "text", json!({ "text": "One two" })));
        assert!(teller.rest().is_none());
        assert_eq!(
            (teller.last_words().as_str(), teller.newest()),
            ("One two", Some("f7-2".into()))
        );
        let (_, more) = teller.words("text", Some("c"), "Other");
        assert_eq!(more, Some(grown("f7-3", "Other")), "another message is another item");
    }

    #[test]
    fn after_a_gap_no_word_of_the_item_follows() {
        let mut teller = Teller::new("f1".to_owned());
        teller.words("text", None, "a");
        teller.has_gap();
        assert_eq!(teller.words("text", None, "b").1, None);
        assert_eq!(item(teller.rest()).expect("told").2, json!({ "text": "ab" }));
        assert!(teller.words("text", None, "c").1.is_some());
    }

    #[test]
    fn an_endless_text_is_cut() {
        let mut teller = Teller::new("f1".to_owned());
        let much = "x".repeat(MAX_TEXT_BYTES);
        assert!(teller.words("text", None, &much).1.is_some());
        assert!(teller.words("text", None, "y").1.is_none());
        let (_, _, body) = item(teller.rest()).expect("told");
        assert!(body["text"].as_str().is_some_and(|text| text.ends_with("x\n[1 bytes left out]")));
    }

    #[test]
    fn a_call_is_told_when_it_changes_and_never_after_its_end() {
        let mut teller = Teller::new("f1".to_owned());
        let mut tell = |said: &Value| teller.call(said).expect("not too many");
        let begun =
            json!({ "toolCallId": "c", "title": "bash", "kind": "execute", "status": "pending" });
        assert!(tell(&begun).is_new);
        let again = tell(&begun);
        assert!(again.told.is_none() && !again.is_new);
        let more =
            json!({ "toolCallId": "c", "status": "in_progress", "rawInput": { "command": "ls" } });
        let (_, _, body) = item(tell(&more).told).expect("told");
        assert_eq!((&body["tool"], &body["status"]), (&json!("bash"), &json!("running")));
        let long = "z".repeat(100_000);
        let over =
            json!({ "toolCallId": "c", "status": "completed", "rawOutput": { "output": long } });
        let news = tell(&over);
        assert!(news.is_over);
        let (id, kind, body) = item(news.told).expect("told");
        assert_eq!((id.as_str(), kind), ("f1-c", "tool"));
        assert!(body["output"].as_str().is_some_and(|text| text.len() < 66_000));
        let late = tell(&more);
        assert!(late.told.is_none() && !late.is_over, "what is older came later");
        let nameless = tell(&json!({ "status": "completed" }));
        assert!(nameless.told.is_none(), "a call without a name");
        let failed = json!({ "toolCallId": "d", "status": "failed", "content": [
            { "type": "content", "content": { "type": "text", "text": "no" } }] });
        let (_, _, body) = item(tell(&failed).told).expect("told");
        assert_eq!((&body["error"], &body["output"]), (&json!("no"), &Value::Null));
    }

    #[test]
    fn a_large_call_is_not_read_anew_with_each_word_about_it() {
        let mut teller = Teller::new("f1".to_owned());
        let input: Vec<u32> = (0..200_000).collect();
        teller.call(&json!({ "toolCallId": "c", "rawInput": input })).expect("one call");
        for number in 0..5_000 {
            let status = if number % 2 == 0 { "pending" } else { "unknown" };
            let again = teller.call(&json!({ "toolCallId": "c", "status": status }));
            assert!(again.expect("known").told.is_none());
        }
        let running = json!({ "toolCallId": "c", "status": "in_progress" });
        assert!(teller.call(&running).expect("known").told.is_some());
    }

    #[test]
    fn calls_are_bounded_per_prompt() {
        let mut teller = Teller::new("f1".to_owned());
        let call = |number: usize| json!({ "toolCallId": format!("c{number}") });
        for number in 0..MAX_CALLS {
            teller.call(&call(number)).expect("within the bound");
        }
        assert!(teller.call(&call(MAX_CALLS)).is_err() && teller.call(&call(0)).is_ok());
        teller.begin();
        assert!(teller.call(&call(MAX_CALLS)).is_ok());
        let long = "n".repeat(1_000_000);
        teller.call(&json!({ "toolCallId": long })).expect("one call");
        assert!(teller.known(&long).is_some(), "it is found under its name");
        assert!(teller.calls.keys().all(|name| name.len() <= MAX_NAME_BYTES));
        let large = "x".repeat(MAX_HELD_BYTES / 4);
        let large = |number: usize, status: &str| {
            json!({
                "toolCallId": format!("l{number}"), "rawInput": { "x": large }, "status": status,
            })
        };
        for number in 0..8 {
            let status = if number < 5 { "completed" } else { "pending" };
            teller.call(&large(number, status)).expect("what is over is not held");
        }
        assert!(teller.call(&large(9, "pending")).is_err());
    }
}
