//! From a transcript and events to the lines that a person reads while an agent works.
//!
//! Invariant: no text is shown twice: an entry that comes again with the same id shows only what it
//! has more.

use std::collections::VecDeque;

use serde_json::Value;

use super::super::format::{clean, line, plain};
use super::super::output::{ALERT, BAD, DIM, GOOD, painted};

/// Pieces that are remembered for what they showed; older ones do not come again.
const REMEMBERED: usize = 256;

/// What was shown of one piece.
struct Shown {
    id: String,
    text: String,
}

/// What has been shown so far.
#[derive(Default)]
pub(in super::super) struct View {
    shown: VecDeque<Shown>,
    /// Words of the agent whose line is not complete yet.
    open: String,
    /// Piece that the open line belongs to.
    open_id: String,
    todo: String,
    /// Whether thoughts and prompts are shown too.
    everything: bool,
}

impl View {
    /// A view that shows thoughts and prompts too.
    pub(in super::super) fn of_everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// Lines that a transcript entry adds.
    pub(in super::super) fn entry(&mut self, entry: &Value) -> Vec<String> {
        let body = entry.get("body").unwrap_or(entry);
        let id = ["id", "part", "seq"]
            .iter()
            .find_map(|name| body.get(*name).or_else(|| entry.get(*name)))
            .map_or_else(String::new, plain);
        let text = || clean(body["text"].as_str().unwrap_or_default());
        match entry["kind"].as_str().unwrap_or_default() {
            "text" => self.words(&id, &text()),
            "tool" => self.tool(&id, body),
            "todo" => self.todo(body),
            "notice" => self.whole(&id, &painted(&line(&text(), 200), DIM)),
            "user" if self.everything => self.whole(&id, &format!("> {}", text())),
            "reasoning" if self.everything => self.whole(&id, &painted(&text(), DIM)),
            _ => Vec::new(),
        }
    }

    /// Lines that an event adds.
    pub(in super::super) fn event(&mut self, event: &Value) -> Vec<String> {
        let payload = &event["payload"];
        let dim = |told: &str| vec![painted(&format!("· {told}"), DIM)];
        let told = match event["type"].as_str().unwrap_or_default() {
            "session.output_delta" => {
                let part = plain(&payload["part"]);
                let mut text = self.known(&part).unwrap_or_default();
                text.push_str(&clean(payload["text"].as_str().unwrap_or_default()));
                return self.words(&part, &text);
            }
            // These may arrive while the agent speaks; its line stays whole.
            "session.queued" => return dim("waiting for a slot and an agent"),
            "session.started" => {
                return dim(&format!("attempt {} begins", plain(&payload["attempt"])));
            }
            "session.phase_changed" => return dim(&plain(&payload["new_phase"])),
            "session.paused" => format!("paused{}", because(payload)),
            "session.resumed" => "goes on".to_owned(),
            "session.degraded" => format!("degraded: {}", plain(&payload["reasons"])),
            "session.recovered" => "recovered".to_owned(),
            "session.retry_scheduled" => {
                let number = plain(&payload["retry_count"]);
                format!("retry {number} at {}", plain(&payload["next_attempt_at"]))
            }
            "session.failed" | "session.timed_out" => {
                let text = line(&plain(&payload["error_message"]), 300);
                let told = format!("{} {text}", painted("failed:", BAD));
                return self.between(vec![told]);
            }
            _ => return Vec::new(),
        };
        self.between(dim(&told))
    }

    /// Lines about an item that waits for a person.
    pub(in super::super) fn ask(&mut self, item: &Value, code: &str) -> Vec<String> {
        let kind = plain(&item["kind"]);
        let title = line(&plain(&item["title"]), 200);
        let risk = match item["risk"].as_str() {
            Some(risk @ ("medium" | "high")) => format!(" ({risk} risk)"),
            _ => String::new(),
        };
        let words = if kind == "question" { "answer \"…\"" } else { "allow|always|deny" };
        let mut lines = vec![format!("{} {title}{risk}", painted(&format!("{kind}:"), ALERT))];
        let patterns = item["payload"]["patterns"].as_array().map_or(&[][..], Vec::as_slice);
        lines.extend(
            patterns.iter().take(10).map(|text| format!("    {}", line(&plain(text), 300))),
        );
        lines.push(format!("    orchestrator attention resolve {code} {words}"));
        self.between(lines)
    }

    /// Lines about a reason for waiting.
    pub(in super::super) fn blocker(&mut self, blocker: &Value) -> Vec<String> {
        let text = line(&plain(&blocker["text"]), 200);
        let remedy = blocker["remedy"].as_str().map(|remedy| line(remedy, 200));
        let remedy = remedy.map_or_else(String::new, |remedy| format!(" ({remedy})"));
        self.between(vec![format!("{} {text}{remedy}", painted("waits:", ALERT))])
    }

    /// The rest of an open line, at the end.
    pub(in super::super) fn flush(&mut self) -> Vec<String> {
        self.between(Vec::new())
    }

    /// Words of the agent; `text` is the whole piece so far.
    fn words(&mut self, id: &str, text: &str) -> Vec<String> {
        let before = self.known(id).unwrap_or_default();
        if before.starts_with(text) {
            return Vec::new();
        }
        let mut lines = if self.open_id == id { Vec::new() } else { self.flush() };
        let new = text.strip_prefix(before.as_str()).unwrap_or(text);
        self.remember(id, text);
        id.clone_into(&mut self.open_id);
        self.open.push_str(new);
        while let Some(end) = self.open.find('\n') {
            let complete: String = self.open.drain(..=end).collect();
            lines.push(complete.trim_end().to_owned());
        }
        lines
    }

    fn tool(&mut self, id: &str, body: &Value) -> Vec<String> {
        let name = plain(&body["tool"]);
        let title = body["title"].as_str().map_or_else(|| plain(&body["input"]), clean);
        let title = line(&title, 100);
        match body["status"].as_str().unwrap_or_default() {
            "completed" => self.whole(id, &format!("  {} {name}  {title}", painted("✓", GOOD))),
            "error" => {
                let error = line(&plain(&body["error"]), 160);
                self.whole(id, &format!("  {} {name}  {title}  {error}", painted("✗", BAD)))
            }
            _ => Vec::new(),
        }
    }

    fn todo(&mut self, body: &Value) -> Vec<String> {
        let items = body["items"].as_array().map_or(&[][..], Vec::as_slice);
        let state = |item: &Value| item["status"].as_str().unwrap_or_default().to_owned();
        let done = items.iter().filter(|item| state(item) == "completed").count();
        let current = items.iter().find(|item| state(item) == "in_progress");
        let current = current.and_then(|item| item["content"].as_str().or(item["text"].as_str()));
        let told = match current {
            Some(text) => format!("  todo {done}/{}: {}", items.len(), line(text, 100)),
            None => format!("  todo {done}/{}", items.len()),
        };
        if told == self.todo {
            return Vec::new();
        }
        self.todo.clone_from(&told);
        self.between(vec![painted(&told, DIM)])
    }

    /// A piece that is shown once.
    fn whole(&mut self, id: &str, text: &str) -> Vec<String> {
        if self.known(id).is_some() {
            return Vec::new();
        }
        self.remember(id, "");
        self.between(vec![text.to_owned()])
    }

    /// Lines after whatever line is open.
    fn between(&mut self, lines: Vec<String>) -> Vec<String> {
        self.open_id.clear();
        let rest = std::mem::take(&mut self.open);
        let rest = Some(rest).filter(|rest| !rest.trim().is_empty());
        rest.into_iter().chain(lines).collect()
    }

    fn known(&self, id: &str) -> Option<String> {
        self.shown.iter().find(|shown| shown.id == id).map(|shown| shown.text.clone())
    }

    fn remember(&mut self, id: &str, text: &str) {
        if let Some(shown) = self.shown.iter_mut().find(|shown| shown.id == id) {
            text.clone_into(&mut shown.text);
            return;
        }
        if self.shown.len() == REMEMBERED {
            self.shown.pop_front();
        }
        self.shown.push_back(Shown { id: id.to_owned(), text: text.to_owned() });
    }
}

fn because(payload: &Value) -> String {
    payload["reason"].as_str().map_or_else(String::new, |reason| format!(": {}", line(reason, 100)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::View;

    fn text(id: &str, words: &str) -> serde_json::Value {
        json!({ "seq": 1, "kind": "text", "body": { "id": id, "text": words } })
    }

    #[test]
    fn words_are_shown_once_and_by_the_line() {
        let mut view = View::default();
        assert_eq!(view.entry(&text("a", "one\ntw")), ["one"]);
        assert_eq!(view.entry(&text("a", "one\ntwo\nthree")), ["two"]);
        assert_eq!(view.entry(&text("a", "one\ntwo\nthree")), Vec::<String>::new());
        assert_eq!(view.entry(&text("b", "four\n")), ["three", "four"]);
        assert_eq!(view.flush(), Vec::<String>::new());
    }

    #[test]
    fn deltas_and_the_whole_piece_that_follows_are_one() {
        let mut view = View::default();
        let delta = |words: &str| json!({ "type": "session.output_delta", "payload": { "part": "a", "text": words } });
        assert_eq!(view.event(&delta("Hel")), Vec::<String>::new());
        assert_eq!(view.event(&delta("lo\nyou")), ["Hello"]);
        assert_eq!(view.entry(&text("a", "Hello\nyou")), Vec::<String>::new());
        assert_eq!(view.flush(), ["you"]);
    }

    #[test]
    fn an_event_does_not_break_the_line_that_is_being_said() {
        let mut view = View::default();
        let event = |kind: &str| json!({ "type": kind, "payload": { "attempt": 1 } });
        assert_eq!(view.entry(&text("a", "Looking at")), Vec::<String>::new());
        assert!(view.event(&event("session.started"))[0].contains("attempt 1 begins"));
        assert_eq!(view.entry(&text("a", "Looking at it.\n")), ["Looking at it."]);
        assert_eq!(view.entry(&text("b", "And")), Vec::<String>::new());
        assert_eq!(view.event(&event("session.paused"))[0], "And");
    }

    #[test]
    fn a_tool_call_is_one_line_when_it_ends() {
        let mut view = View::default();
        let call = |status: &str| {
            json!({ "kind": "tool", "body": { "id": "t", "tool": "bash", "status": status,
                    "title": "make\u{1b}[2J test" } })
        };
        assert_eq!(view.entry(&call("running")), Vec::<String>::new());
        let lines = view.entry(&call("completed"));
        assert!(lines.len() == 1 && lines[0].ends_with("bash  make[2J test"), "{lines:?}");
        assert_eq!(view.entry(&call("completed")), Vec::<String>::new());
    }

    #[test]
    fn an_ask_tells_the_command_that_answers_it() {
        let item = json!({ "kind": "permission", "title": "run a command", "risk": "high",
                           "payload": { "patterns": ["rm -rf build"] } });
        let lines = View::default().ask(&item, "IND-000001").join("\n");
        assert!(lines.contains("(high risk)") && lines.contains("rm -rf build"), "{lines}");
        assert!(lines.contains("orchestrator attention resolve IND-000001 allow|always|deny"));
    }
}
