//! What a program prints, as what the application is told.
//!
//! Invariant: what is held of a turn is bounded, however much is printed.
//! Invariant: words are told as they come from the beginning of their piece, and without a gap; from the
//! first that is left out none follows.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use uuid::Uuid;

use super::format::{Call, Said, said};
use super::lines::Line;
use crate::application::ports::driver::{AgentEvent, TranscriptItem};
use crate::infrastructure::drivers::bounds::{MAX_TEXT_BYTES, input, output, words};
use crate::infrastructure::drivers::permission::cut;
use crate::infrastructure::drivers::presets::{Output, Rule};

/// Bytes of the end of an output that is too long.
const END_BYTES: usize = 16 * 1024;
/// Last words that are told of a turn.
const LAST_BYTES: usize = 16 * 1024;
/// Lines of standard error that go to the log.
const LOGGED: usize = 2_000;
/// Bytes of such a line.
const LOGGED_BYTES: usize = 2_000;
/// Lines that were not understood and go to the log.
const STRANGE: usize = 50;
/// Lines of standard error that say why a turn failed.
const REASONS: usize = 6;
/// Bytes of such a line.
const REASON_BYTES: usize = 300;
/// Calls that are under way at once; of more than these, the end alone is told.
const CALLS: usize = 256;
/// Longest name that an agent has for something.
const NAME_BYTES: usize = 200;

/// What a turn says about models that are not told with their provider, and what its lines are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner<'a> {
    pub(super) output: Output,
    pub(super) rules: &'a [Rule],
    /// Empty when there is none.
    pub(super) provider: &'a str,
    /// What the turn was told to use.
    pub(super) model: Option<&'a str>,
}

/// Tells one turn.
pub(super) struct Teller<'a> {
    manner: Manner<'a>,
    prompt: Uuid,
    /// Pieces so far.
    pieces: u64,
    /// The words that grow.
    growing: Growing,
    calls: BTreeMap<String, (String, Value)>,
    conversation: Option<String>,
    model: Option<String>,
    result: Option<String>,
    last: String,
    failure: Option<String>,
    /// A line that is too long is left out up to its end.
    is_skipping: bool,
    strange: usize,
    logged: usize,
    reasons: VecDeque<String>,
}

/// Words that grow, up to a bound.
#[derive(Default)]
struct Growing {
    /// Name of the piece; empty when there is none.
    part: String,
    head: String,
    /// What came after the bound, as much as is kept of it.
    end: VecDeque<u8>,
    left_out: usize,
}

impl Growing {
    /// Takes words; whether they may be told as they come.
    fn push(&mut self, text: &str) -> bool {
        if self.left_out == 0 && self.head.len() + text.len() <= MAX_TEXT_BYTES {
            self.head.push_str(text);
            return true;
        }
        self.left_out += text.len();
        self.end.extend(text.as_bytes());
        let extra = self.end.len().saturating_sub(END_BYTES);
        self.end.drain(..extra);
        false
    }

    fn is_cut(&self) -> bool {
        self.left_out > 0
    }

    fn end(&self) -> String {
        let bytes: Vec<u8> = self.end.iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim_start_matches('\u{fffd}').to_owned()
    }

    fn whole(&self) -> String {
        if !self.is_cut() {
            return self.head.clone();
        }
        let missing = self.left_out - self.end.len();
        format!("{}\n[{missing} bytes left out]\n{}", self.head, self.end())
    }

    /// The last words.
    fn last(&self) -> String {
        let text = if self.is_cut() { &self.end() } else { &self.head };
        let text = text.trim();
        text[text.ceil_char_boundary(text.len().saturating_sub(LAST_BYTES))..].to_owned()
    }
}

impl<'a> Teller<'a> {
    pub(super) fn new(manner: Manner<'a>, prompt: Uuid) -> Self {
        Self {
            manner,
            prompt,
            pieces: 0,
            growing: Growing::default(),
            calls: BTreeMap::new(),
            conversation: None,
            model: None,
            result: None,
            last: String::new(),
            failure: None,
            is_skipping: false,
            strange: 0,
            logged: 0,
            reasons: VecDeque::new(),
        }
    }

    /// By which name the agent knows its conversation, once it said so.
    pub(super) fn conversation(&self) -> Option<&str> {
        self.conversation.as_deref()
    }

    /// Why the turn has failed, when the agent said so.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The last lines of standard error.
    pub(super) fn reasons(&self) -> String {
        self.reasons.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }

    /// The agent's last words.
    pub(super) fn last_words(&self) -> String {
        let text = self.result.as_deref().unwrap_or(&self.last).trim();
        text[text.ceil_char_boundary(text.len().saturating_sub(LAST_BYTES))..].to_owned()
    }

    /// A line of standard output.
    pub(super) fn printed(&mut self, line: &Line) -> Vec<AgentEvent> {
        let mut told = Vec::new();
        match self.manner.output {
            Output::Lines => {
                let end = if line.is_whole { "\n" } else { "" };
                self.grow(&format!("{}{end}", line.text), &mut told);
            }
            Output::Jsonl => self.read(line, &mut told),
        }
        told
    }

    /// A line of standard error.
    pub(super) fn complained(&mut self, line: &Line) -> Option<AgentEvent> {
        let text = line.text.trim_end();
        if text.is_empty() {
            return None;
        }
        self.reasons.push_back(cut(text, REASON_BYTES));
        if self.reasons.len() > REASONS {
            self.reasons.pop_front();
        }
        self.logged += 1;
        let log = |level, message| Some(AgentEvent::Log { level, message });
        match self.logged.cmp(&(LOGGED + 1)) {
            std::cmp::Ordering::Less => log("info", cut(text, LOGGED_BYTES)),
            std::cmp::Ordering::Equal => {
                log("warn", "further lines of standard error are left out".to_owned())
            }
            std::cmp::Ordering::Greater => None,
        }
    }

    /// What is left to be told at the end.
    pub(super) fn finish(&mut self) -> Vec<AgentEvent> {
        let mut told = Vec::new();
        self.close(&mut told);
        told
    }

    fn read(&mut self, line: &Line, told: &mut Vec<AgentEvent>) {
        if std::mem::replace(&mut self.is_skipping, !line.is_whole) {
            return;
        }
        let parsed = serde_json::from_str::<Value>(&line.text);
        match parsed {
            Ok(value @ Value::Object(_)) => {
                // The last line needs no end.
                self.is_skipping = false;
                for said in said(self.manner.rules, &value) {
                    self.hear(said, told);
                }
            }
            Ok(_) | Err(_) if line.text.trim().is_empty() => {}
            Ok(_) | Err(_) => {
                self.strange += 1;
                if self.strange <= STRANGE {
                    let message = format!("not understood: {}", cut(&line.text, LOGGED_BYTES));
                    told.push(AgentEvent::Log { level: "debug", message });
                }
            }
        }
    }

    fn hear(&mut self, said: Said, told: &mut Vec<AgentEvent>) {
        match said {
            Said::Conversation { id, model } => {
                self.conversation = id.filter(|id| is_name(id)).or(self.conversation.take());
                self.model = model.filter(|model| is_name(model)).or(self.model.take());
            }
            Said::Text { text, grows: true } => self.grow(&text, told),
            Said::Text { text, grows: false } => {
                self.close(told);
                self.piece("text", words(&text), told);
                self.last = text;
            }
            Said::Reasoning(text) => {
                self.close(told);
                self.piece("reasoning", words(&text), told);
            }
            Said::Call(call) => {
                self.close(told);
                self.call(call, told);
            }
            Said::Usage { key, usage, model } => {
                self.pieces += 1;
                let key = key.filter(|key| is_name(key)).unwrap_or_else(|| self.pieces.to_string());
                let model = model.filter(|model| is_name(model));
                let model = model.as_deref().or(self.model.as_deref());
                let model = model.map_or_else(
                    || self.manner.model.map(str::to_owned),
                    |model| full(self.manner.provider, model),
                );
                told.push(AgentEvent::Usage {
                    key: format!("{}-{key}", self.prompt),
                    usage,
                    model,
                });
            }
            Said::Result(text) => self.result = Some(cut(&text, MAX_TEXT_BYTES)),
            Said::Error(text) => {
                let message = cut(&text, LOGGED_BYTES);
                told.push(AgentEvent::Log { level: "warn", message });
            }
            Said::Failure(text) => {
                self.failure.get_or_insert_with(|| cut(&text, 2 * REASON_BYTES));
            }
        }
    }

    fn call(&mut self, call: Call, told: &mut Vec<AgentEvent>) {
        let Call { id, tool, input: given, output: gave, is_over, has_failed } = call;
        self.pieces += 1;
        let name = id.filter(|id| is_name(id)).unwrap_or_else(|| self.pieces.to_string());
        let (known_tool, known_input) = self.calls.remove(&name).unwrap_or_default();
        let tool = tool.map_or(known_tool, |tool| cut(&tool, NAME_BYTES));
        let given = given.map_or(known_input, |given| input(&given));
        let status = match (is_over, has_failed) {
            (true, true) => "error",
            (true, false) => "completed",
            (false, _) => "running",
        };
        let gave = gave.map(|text| output(&text));
        let error = gave.clone().filter(|_| status == "error");
        let body = json!({ "tool": tool, "status": status, "title": null, "input": given,
            "output": gave.filter(|_| status != "error"), "error": error });
        if !is_over && self.calls.len() < CALLS {
            self.calls.insert(name.clone(), (tool, given));
        }
        let id = format!("{}-{name}", self.prompt);
        told.push(AgentEvent::Transcript(TranscriptItem { id, kind: "tool", body }));
    }

    /// A piece that is whole.
    fn piece(&mut self, kind: &'static str, body: Value, told: &mut Vec<AgentEvent>) {
        self.pieces += 1;
        let id = format!("{}-{}", self.prompt, self.pieces);
        told.push(AgentEvent::Transcript(TranscriptItem { id, kind, body }));
    }

    /// Words that go on with those before.
    fn grow(&mut self, text: &str, told: &mut Vec<AgentEvent>) {
        if self.growing.part.is_empty() {
            self.pieces += 1;
            self.growing.part = format!("{}-{}", self.prompt, self.pieces);
        }
        let was_cut = self.growing.is_cut();
        if self.growing.push(text) {
            let part = self.growing.part.clone();
            told.push(AgentEvent::Delta { part, text: text.to_owned() });
        } else if !was_cut {
            let message = "the output is longer than 1 MiB: of what follows only the end is kept";
            told.push(AgentEvent::Log { level: "warn", message: message.to_owned() });
        }
    }

    /// The words that grow are whole.
    fn close(&mut self, told: &mut Vec<AgentEvent>) {
        let grown = std::mem::take(&mut self.growing);
        if grown.part.is_empty() {
            return;
        }
        self.last = grown.last();
        // It is as long as it may be already, but for its end.
        let body = json!({ "text": grown.whole() });
        told.push(AgentEvent::Transcript(TranscriptItem { id: grown.part, kind: "text", body }));
    }
}

/// Whether this can be what something is called: it comes back to the agent as an argument, and must not
/// be taken for a flag.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(&byte);
    name.len() <= NAME_BYTES
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(is_plain)
}

/// A model with its provider; `None` when nobody knows it.
fn full(provider: &str, model: &str) -> Option<String> {
    match (model.contains('/'), provider.is_empty()) {
        (true, _) => Some(model.to_owned()),
        (false, false) => Some(format!("{provider}/{model}")),
        (false, true) => None,
    }
}

#[cfg(test)]
mod tests;
