//! What a line of JSON says, as the rules of its format find it.
//!
//! Invariant: whatever a line holds, nothing here fails: what no rule finds says nothing.

use serde_json::Value;

use crate::domain::money::Usd;
use crate::domain::usage::Usage;
use crate::infrastructure::drivers::presets::{Condition, Rule, Tell, Tokens};

/// Something that a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// By which name the agent knows its conversation, and with which model it speaks.
    Conversation {
        id: Option<String>,
        model: Option<String>,
    },
    /// Words; whether they go on with those before.
    Text {
        text: String,
        grows: bool,
    },
    Reasoning(String),
    Call(Call),
    Usage {
        key: Option<String>,
        usage: Usage,
        model: Option<String>,
    },
    /// The last words.
    Result(String),
    /// Something went wrong, and it goes on.
    Error(String),
    /// The turn has failed.
    Failure(String),
}

/// What is said of a call; what is not said now was said before, or never.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) input: Option<Value>,
    pub(super) output: Option<String>,
    pub(super) is_over: bool,
    pub(super) has_failed: bool,
}

/// Everything that a line says.
pub(super) fn said(rules: &[Rule], line: &Value) -> Vec<Said> {
    let mut all = Vec::new();
    for rule in rules.iter().filter(|rule| holds(&rule.when, line)) {
        match &rule.each {
            None => all.extend(one(rule, line)),
            Some(list) => {
                let items = line.pointer(list).and_then(Value::as_array);
                let items = items.into_iter().flatten().filter(|item| holds(&rule.item, item));
                all.extend(items.filter_map(|item| one(rule, item)));
            }
        }
    }
    all
}

fn holds(condition: &Condition, value: &Value) -> bool {
    condition.iter().all(|(pointer, wanted)| match value.pointer(pointer) {
        None | Some(Value::Null) => false,
        Some(_) if wanted == "*" => true,
        Some(Value::String(text)) => text == wanted,
        Some(Value::Bool(is_so)) => wanted == if *is_so { "true" } else { "false" },
        Some(Value::Number(number)) => {
            wanted.parse().is_ok_and(|wanted: serde_json::Number| wanted == *number)
        }
        Some(Value::Array(_) | Value::Object(_)) => false,
    })
}

fn one(rule: &Rule, value: &Value) -> Option<Said> {
    let text = || taken(rule.text.as_deref(), value).map(|found| words(&found));
    let id = || taken(rule.id.as_deref(), value).map(|found| words(&found));
    let model = || taken(rule.model.as_deref(), value).map(|found| words(&found));
    Some(match rule.tell {
        Tell::Conversation => Said::Conversation { id: id(), model: model() },
        Tell::Text => {
            let grows = rule.grows.as_ref().is_some_and(|grows| holds(grows, value));
            Said::Text { text: text()?, grows }
        }
        Tell::Reasoning => Said::Reasoning(text()?),
        Tell::Call => Said::Call(Call {
            id: id(),
            tool: taken(rule.tool.as_deref(), value).map(|found| words(&found)),
            input: taken(rule.input.as_deref(), value).map(unpacked),
            output: taken(rule.output.as_deref(), value).map(|found| words(&found)),
            is_over: rule.is_over,
            has_failed: rule.failed.as_ref().is_some_and(|failed| holds(failed, value)),
        }),
        Tell::Usage => {
            let usage = usage(&rule.tokens, rule.cache_in_input, value)?;
            Said::Usage { key: id(), usage, model: model() }
        }
        Tell::Result => Said::Result(text()?),
        Tell::Error => Said::Error(text()?),
        Tell::Failure => Said::Failure(text()?),
    })
}

/// What stands at a pointer; a word that is none means itself.
fn taken(place: Option<&str>, value: &Value) -> Option<Value> {
    let place = place?;
    if !place.starts_with('/') {
        return Some(Value::from(place));
    }
    value.pointer(place).filter(|found| !found.is_null()).cloned()
}

/// Words for people: texts as they are, and what a list holds of them.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let part = |item: &Value| match item.get("text") {
                Some(text) => words(text),
                None => words(item),
            };
            items.iter().map(part).collect::<Vec<_>>().join("\n")
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// Arguments that were spelt as a text are taken out of it.
fn unpacked(value: Value) -> Value {
    let spelt = value.as_str().filter(|text| text.trim_start().starts_with('{'));
    spelt.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(value)
}

/// `None` when none of the numbers is there.
fn usage(tokens: &Tokens, cache_in_input: bool, value: &Value) -> Option<Usage> {
    let Tokens { input, output, cache_read, cache_write, reasoning, cost } = tokens;
    let number = |place: &Option<String>| value.pointer(place.as_deref()?)?.as_f64();
    let all = [input, output, cache_read, cache_write, reasoning, cost];
    all.into_iter().find_map(number)?;
    let count = |place: &Option<String>| number(place).map_or(0, whole);
    let cached = count(cache_read);
    let read = if cache_in_input { count(input).saturating_sub(cached) } else { count(input) };
    Some(Usage {
        tokens_input: read,
        tokens_output: count(output),
        tokens_cache_read: cached,
        tokens_cache_write: count(cache_write),
        tokens_reasoning: count(reasoning),
        cost_usd: number(cost).filter(|cost| *cost >= 0.0).and_then(Usd::from_dollars),
        simulated: false,
        reported: true,
    })
}

/// A number of tokens as a whole one; nonsense counts as none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within range")]
fn whole(number: f64) -> u64 {
    if number.is_finite() { number.clamp(0.0, 1e12) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infrastructure::drivers::presets::format;

    /// What the lines of a format say.
    fn read(name: &str, lines: &[&str]) -> Vec<Said> {
        let parsed = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
        parsed.flat_map(|line: Value| said(format(name), &line)).collect()
    }

    fn text(words: &str) -> Said {
        Said::Text { text: words.to_owned(), grows: false }
    }

    fn begun(id: &str, tool: &str, input: Value) -> Said {
        let (id, tool) = (Some(id.to_owned()), Some(tool.to_owned()));
        let input = Some(input);
        Said::Call(Call { id, tool, input, output: None, is_over: false, has_failed: false })
    }

    fn over(id: &str, output: &str, has_failed: bool) -> Said {
        let (id, output) = (Some(id.to_owned()), Some(output.to_owned()));
        Said::Call(Call { id, tool: None, input: None, output, is_over: true, has_failed })
    }

    #[test]
    fn claude_is_understood() {
        let told = read(
            "claude",
            &[
                r#"{"type":"system","subtype":"init","cwd":"/w","session_id":"5b3c","model":"claude-sonnet-4-5","tools":["Bash"]}"#,
                r#"{"type":"assistant","message":{"id":"msg_1","role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"x"},{"type":"text","text":"I look."},{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls"}}],"usage":{"input_tokens":4,"output_tokens":1}},"session_id":"5b3c"}"#,
                r#"{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"a.rs"}],"is_error":false}]}}"#,
                r#"{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_2","content":"no","is_error":true}]}}"#,
                r#"{"type":"result","subtype":"success","is_error":false,"num_turns":2,"result":"Done.","session_id":"5b3c","total_cost_usd":0.0125,"usage":{"input_tokens":10,"cache_creation_input_tokens":3,"cache_read_input_tokens":2000,"output_tokens":7}}"#,
            ],
        );
        let used = Usage {
            tokens_input: 10,
            tokens_output: 7,
            tokens_cache_read: 2000,
            tokens_cache_write: 3,
            cost_usd: Some(Usd::from_micros(12_500)),
            reported: true,
            ..Usage::default()
        };
        let model = Some("claude-sonnet-4-5".to_owned());
        let expected = [
            Said::Conversation { id: Some("5b3c".to_owned()), model },
            text("I look."),
            Said::Reasoning("hm".to_owned()),
            begun("toolu_1", "Bash", serde_json::json!({ "command": "ls" })),
            over("toolu_1", "a.rs", false),
            over("toolu_2", "no", true),
            Said::Usage { key: None, usage: used, model: None },
            Said::Result("Done.".to_owned()),
        ];
        assert_eq!(told, expected);
        let failed = r#"{"type":"result","subtype":"error_max_turns","is_error":true}"#;
        assert_eq!(read("claude", &[failed]), [Said::Failure("error_max_turns".to_owned())]);
        let refused =
            r#"{"type":"result","subtype":"success","is_error":true,"result":"Invalid API key"}"#;
        assert_eq!(read("claude", &[refused])[0], Said::Failure("Invalid API key".to_owned()));
    }

    #[test]
    fn codex_is_understood() {
        let told = read(
            "codex",
            &[
                r#"{"type":"thread.started","thread_id":"0199a213"}"#,
                r#"{"type":"turn.started"}"#,
                r#"{"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"**Looking**"}}"#,
                r#"{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"bash -lc ls","aggregated_output":"","exit_code":null,"status":"in_progress"}}"#,
                r#"{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"bash -lc ls","aggregated_output":"docs\n","exit_code":1,"status":"failed"}}"#,
                r#"{"type":"item.completed","item":{"id":"item_3","type":"agent_message","text":"There are docs."}}"#,
                r#"{"type":"turn.completed","usage":{"input_tokens":24763,"cached_input_tokens":24448,"output_tokens":122}}"#,
                r#"{"type":"error","message":"Reconnecting... 1/5"}"#,
                r#"{"type":"turn.failed","error":{"message":"stream disconnected"}}"#,
            ],
        );
        let mut ended = over("item_1", "docs\n", true);
        if let Said::Call(call) = &mut ended {
            (call.tool, call.input) = (Some("bash".to_owned()), Some("bash -lc ls".into()));
        }
        let used = Usage {
            tokens_input: 315,
            tokens_output: 122,
            tokens_cache_read: 24_448,
            reported: true,
            ..Usage::default()
        };
        let expected = [
            Said::Conversation { id: Some("0199a213".to_owned()), model: None },
            Said::Reasoning("**Looking**".to_owned()),
            begun("item_1", "bash", "bash -lc ls".into()),
            ended,
            text("There are docs."),
            Said::Usage { key: None, usage: used, model: None },
            Said::Error("Reconnecting... 1/5".to_owned()),
            Said::Failure("stream disconnected".to_owned()),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn gemini_is_understood() {
        let told = read(
            "gemini",
            &[
                r#"{"type":"init","timestamp":"2026-01-01T00:00:00Z","session_id":"ab","model":"gemini-3-pro"}"#,
                r#"{"type":"message","role":"user","content":"fix it"}"#,
                r#"{"type":"message","role":"assistant","content":"I will","delta":true}"#,
                r#"{"type":"tool_use","tool_name":"run_shell_command","tool_id":"r-1","parameters":{"command":"ls"}}"#,
                r#"{"type":"tool_result","tool_id":"r-1","status":"success","output":"a"}"#,
                r#"{"type":"result","status":"success","stats":{"total_tokens":60,"input_tokens":50,"output_tokens":10,"cached":20,"tool_calls":1}}"#,
                r#"{"type":"result","status":"error","error":{"type":"E","message":"quota"}}"#,
            ],
        );
        let used = Usage {
            tokens_input: 30,
            tokens_output: 10,
            tokens_cache_read: 20,
            reported: true,
            ..Usage::default()
        };
        let model = Some("gemini-3-pro".to_owned());
        let expected = [
            Said::Conversation { id: Some("ab".to_owned()), model },
            Said::Text { text: "I will".to_owned(), grows: true },
            begun("r-1", "run_shell_command", serde_json::json!({ "command": "ls" })),
            over("r-1", "a", false),
            Said::Usage { key: None, usage: used, model: None },
            Said::Failure("quota".to_owned()),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn vibe_is_understood() {
        let told = read(
            "vibe",
            &[
                r#"{"role":"system","content":"You are"}"#,
                r#"{"role":"user","content":"fix it"}"#,
                r#"{"role":"assistant","content":"Looking.","tool_calls":[{"id":"c1","type":"function","function":{"name":"bash","arguments":"{\"command\":\"ls\"}"}}]}"#,
                r#"{"role":"tool","content":"a.rs","name":"bash","tool_call_id":"c1"}"#,
                r#"{"role":"assistant","content":null,"tool_calls":null}"#,
            ],
        );
        let mut ended = over("c1", "a.rs", false);
        if let Said::Call(call) = &mut ended {
            call.tool = Some("bash".to_owned());
        }
        let expected =
            [text("Looking."), begun("c1", "bash", serde_json::json!({ "command": "ls" })), ended];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_program_of_ones_own_is_understood() {
        let told = read(
            "plain",
            &[
                r#"{"type":"session","id":"s"}"#,
                r#"{"type":"tool","id":1,"tool":"read","input":{"path":"a"}}"#,
                r#"{"type":"tool_result","id":1,"output":"x","is_error":true}"#,
                r#"{"type":"usage","id":"u","input":1,"output":2,"cost_usd":0.5,"model":"lab/m"}"#,
                r#"{"type":"result","text":"done"}"#,
                r#"{"type":"error","message":"no"}"#,
                r#"{"type":"something","new":true}"#,
                r#"[1, "x", null]"#,
            ],
        );
        let cost_usd = Some(Usd::from_micros(500_000));
        let used = Usage {
            tokens_input: 1,
            tokens_output: 2,
            cost_usd,
            reported: true,
            ..Usage::default()
        };
        let expected = [
            Said::Conversation { id: Some("s".to_owned()), model: None },
            begun("1", "read", serde_json::json!({ "path": "a" })),
            over("1", "x", true),
            Said::Usage { key: Some("u".into()), usage: used, model: Some("lab/m".into()) },
            Said::Result("done".to_owned()),
            Said::Failure("no".to_owned()),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn nonsense_says_nothing_or_counts_as_none() {
        let nonsense = [
            r#"{"type":"assistant","message":{"content":"no list"}}"#,
            r#"{"type":"assistant","message":{"content":[1,{"type":"text"},{"type":["text"]}]}}"#,
            r#"{"type":{"type":"assistant"}}"#,
            r#"{"type":"result","usage":{"input_tokens":"many"},"is_error":0}"#,
            "null",
        ];
        assert_eq!(read("claude", &nonsense), []);
        let negative = r#"{"type":"usage","input":-4,"output":1e300,"cost_usd":-1}"#;
        let told = read("plain", &[negative]);
        let Some(Said::Usage { usage, .. }) = told.first() else { panic!("no usage") };
        assert_eq!((usage.tokens_input, usage.cost_usd), (0, None));
        assert_eq!(usage.tokens_output, 1_000_000_000_000);
    }
}
