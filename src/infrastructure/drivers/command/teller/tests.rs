//! What is told of what was printed.

use super::*;
use crate::domain::redact::Redactor;
use crate::infrastructure::drivers::presets::format;

fn teller(output: Output, format_name: &str) -> Teller<'_> {
    let rules = format(format_name);
    let manner = Manner { output, rules, provider: "lab", model: Some("lab/told") };
    Teller::new(manner, Uuid::from_u128(1))
}

fn line(text: &str) -> Line {
    Line { text: text.to_owned(), is_whole: true }
}

fn piece(text: &str) -> Line {
    Line { text: text.to_owned(), is_whole: false }
}

/// The words that were told as they came.
fn grown(told: &[AgentEvent]) -> String {
    let texts = told.iter().filter_map(|event| {
        let AgentEvent::Delta { part: _, text } = event else { return None };
        Some(text.as_str())
    });
    texts.collect()
}

fn items(told: &[AgentEvent]) -> Vec<&TranscriptItem> {
    let items = told.iter().filter_map(|event| {
        let AgentEvent::Transcript(item) = event else { return None };
        Some(item)
    });
    items.collect()
}

fn logs(told: &[AgentEvent]) -> Vec<(&str, &str)> {
    let logs = told.iter().filter_map(|event| {
        let AgentEvent::Log { level, message } = event else { return None };
        Some((*level, message.as_str()))
    });
    logs.collect()
}

#[test]
fn lines_grow_one_text_that_is_told_as_a_whole_in_the_end() {
    let mut teller = teller(Output::Lines, "");
    let mut told = Vec::new();
    for line in [line("one"), line(""), piece("tw"), piece("o")] {
        told.extend(teller.printed(&line));
    }
    assert_eq!(grown(&told), "one\n\ntwo");
    assert!(items(&told).is_empty());
    let end = teller.finish();
    let whole = items(&end);
    let AgentEvent::Delta { part, .. } = &told[0] else { panic!("{told:?}") };
    assert_eq!((whole[0].id.as_str(), whole[0].kind), (part.as_str(), "text"));
    assert_eq!(whole[0].body, json!({ "text": "one\n\ntwo" }));
    assert_eq!(teller.last_words(), "one\n\ntwo");
    assert!(teller.finish().is_empty(), "it is told once");
}

#[test]
fn a_flood_is_cut_without_a_gap_and_its_end_is_kept() {
    let mut teller = teller(Output::Lines, "");
    let mut told = Vec::new();
    for number in 0..400_000 {
        told.extend(teller.printed(&line(&format!("line {number}"))));
    }
    let grown = grown(&told);
    assert!(grown.len() <= MAX_TEXT_BYTES && grown.len() > MAX_TEXT_BYTES - 20);
    let notices = logs(&told);
    assert!(notices.len() == 1 && notices[0].1.contains("1 MiB"), "{notices:?}");
    assert!(teller.growing.end.len() <= END_BYTES);
    let end = teller.finish();
    let text = items(&end)[0].body["text"].as_str().expect("text");
    assert!(text.starts_with(&grown) && text.ends_with("line 399999\n"));
    assert!(text.contains("bytes left out]") && text.len() < MAX_TEXT_BYTES + 2 * END_BYTES);
    assert!(
        teller.last_words().ends_with("line 399999") && teller.last_words().len() <= LAST_BYTES
    );
}

#[test]
fn standard_error_goes_to_the_log_up_to_a_bound_and_its_end_is_the_reason() {
    let mut teller = teller(Output::Lines, "");
    let told: Vec<AgentEvent> = (0..LOGGED + 500)
        .filter_map(|number| teller.complained(&line(&format!("{number} {}", "x".repeat(9_000)))))
        .collect();
    assert_eq!(told.len(), LOGGED + 1);
    let logs = logs(&told);
    assert!(logs.iter().all(|(_, message)| message.len() < LOGGED_BYTES + 40));
    assert_eq!(logs[LOGGED], ("warn", "further lines of standard error are left out"));
    let reasons = teller.reasons();
    assert!(reasons.contains("2499 x") && !reasons.contains("2000 x"), "{reasons}");
    assert!(reasons.len() < REASONS * (REASON_BYTES + 40));
    assert!(teller.complained(&line("  ")).is_none());
}

#[test]
fn a_call_is_told_with_all_that_was_said_of_it() {
    let mut teller = teller(Output::Jsonl, "plain");
    let mut told =
        teller.printed(&line(r#"{"type":"tool","id":"c1","tool":"read","input":{"path":"a"}}"#));
    told.extend(teller.printed(&line(r#"{"type":"tool_result","id":"c1","output":"x"}"#)));
    told.extend(
        teller.printed(&line(r#"{"type":"tool_result","id":"c2","output":"no","is_error":true}"#)),
    );
    let items = items(&told);
    assert_eq!(items[0].id, items[1].id);
    assert_ne!(items[1].id, items[2].id);
    let (begun, ended, failed) = (&items[0].body, &items[1].body, &items[2].body);
    assert_eq!((&begun["status"], &begun["output"]), (&json!("running"), &Value::Null));
    let expected = json!({ "tool": "read", "status": "completed", "title": null,
        "input": { "path": "a" }, "output": "x", "error": null });
    assert_eq!(*ended, expected);
    assert_eq!((&failed["status"], &failed["error"]), (&json!("error"), &json!("no")));
}

#[test]
fn calls_that_never_end_are_not_kept_for_ever() {
    let mut teller = teller(Output::Jsonl, "plain");
    for number in 0..10_000 {
        let text = format!(r#"{{"type":"tool","id":"c{number}","tool":"{}"}}"#, "t".repeat(1_000));
        teller.printed(&line(&text));
    }
    assert_eq!(teller.calls.len(), CALLS);
    assert!(teller.calls.values().all(|(tool, _)| tool.len() < 2 * NAME_BYTES));
}

#[test]
fn words_of_a_stream_of_pieces_grow_until_something_else_is_said() {
    let mut teller = teller(Output::Jsonl, "gemini");
    let mut told = Vec::new();
    for text in [
        r#"{"type":"message","role":"assistant","content":"I ","delta":true}"#,
        r#"{"type":"message","role":"assistant","content":"look.","delta":true}"#,
        r#"{"type":"tool_use","tool_name":"ls","tool_id":"1","parameters":{}}"#,
        r#"{"type":"message","role":"assistant","content":"Done.","delta":true}"#,
    ] {
        told.extend(teller.printed(&line(text)));
    }
    told.extend(teller.finish());
    assert_eq!(grown(&told), "I look.Done.");
    let kinds: Vec<(&str, &Value)> =
        items(&told).iter().map(|item| (item.kind, &item.body["text"])).collect();
    let (first, second) = (json!("I look."), json!("Done."));
    assert_eq!(kinds, [("text", &first), ("tool", &Value::Null), ("text", &second)]);
    assert_eq!(teller.last_words(), "Done.");
}

#[test]
fn usage_has_a_key_of_its_own_and_a_model_with_its_provider() {
    let mut teller = teller(Output::Jsonl, "plain");
    let used = |teller: &mut Teller<'_>, text: &str| {
        let told = teller.printed(&line(text));
        let Some(AgentEvent::Usage { key, usage, model }) = told.into_iter().next() else {
            panic!("no usage");
        };
        (key, usage.tokens_input, model)
    };
    let first = used(&mut teller, r#"{"type":"usage","input":1}"#);
    let second = used(&mut teller, r#"{"type":"usage","input":2}"#);
    assert!(first.0 != second.0 && first.0.starts_with(&Uuid::from_u128(1).to_string()));
    assert_eq!((first.1, first.2.as_deref()), (1, Some("lab/told")));
    teller.printed(&line(r#"{"type":"session","id":"s","model":"own"}"#));
    let said = used(&mut teller, r#"{"type":"usage","input":1,"id":"call-1"}"#);
    assert!(said.0.ends_with("-call-1"), "{}", said.0);
    assert_eq!(said.2.as_deref(), Some("lab/own"));
    let named = used(&mut teller, r#"{"type":"usage","input":1,"model":"x/y"}"#);
    assert_eq!(named.2.as_deref(), Some("x/y"));
}

#[test]
fn a_name_that_could_be_a_flag_is_no_name() {
    let mut teller = teller(Output::Jsonl, "plain");
    for id in ["--dangerous", "a b", "a\\u0000", "-", "", "ä"] {
        teller.printed(&line(&format!(r#"{{"type":"session","id":"{id}"}}"#)));
        assert_eq!(teller.conversation(), None, "{id}");
    }
    let long = "x".repeat(NAME_BYTES + 1);
    teller.printed(&line(&format!(r#"{{"type":"session","id":"{long}"}}"#)));
    assert_eq!(teller.conversation(), None);
    teller.printed(&line(r#"{"type":"session","id":"0199-a_b.c"}"#));
    teller.printed(&line(r#"{"type":"session","id":"--no"}"#));
    assert_eq!(teller.conversation(), Some("0199-a_b.c"), "the good one stays");
}

#[test]
fn what_is_not_understood_is_left_out_up_to_the_end_of_its_line() {
    let mut teller = teller(Output::Jsonl, "plain");
    let mut told = Vec::new();
    let result = r#"{"type":"result","text":"in the middle"}"#;
    for line in [line("plain words"), line("[1]"), line(""), piece("{\"type\":\"te"), piece(result)]
    {
        told.extend(teller.printed(&line));
    }
    told.extend(teller.printed(&line("rest\"}")));
    assert_eq!(teller.last_words(), "", "a piece of a long line is no line");
    assert_eq!(logs(&told).len(), 3, "{told:?}");
    // The last line needs no end.
    teller.printed(&piece(r#"{"type":"result","text":"over"}"#));
    assert_eq!(teller.last_words(), "over");
    for _ in 0..1_000 {
        told.extend(teller.printed(&line("again")));
    }
    assert_eq!(logs(&told).len(), STRANGE);
}

#[test]
fn failures_are_kept_and_other_errors_only_told() {
    let mut teller = teller(Output::Jsonl, "codex");
    let told = teller.printed(&line(r#"{"type":"error","message":"Reconnecting"}"#));
    assert_eq!((logs(&told), teller.failure()), (vec![("warn", "Reconnecting")], None));
    for message in ["first", "second"] {
        let text = format!(r#"{{"type":"turn.failed","error":{{"message":"{message}"}}}}"#);
        teller.printed(&line(&text));
    }
    assert_eq!(teller.failure(), Some("first"));
}

#[test]
fn a_secret_that_comes_in_two_pieces_is_found() {
    let secret = "iok_an-administrators-key-0123456789abcdef";
    let redactor = Redactor::default();
    redactor.learn([secret]);
    let mut words = crate::application::redacted::Words::new(redactor);
    let mut teller = teller(Output::Lines, "");
    let (first, second) = secret.split_at(12);
    let mut told = Vec::new();
    for line in [piece(&format!("key {first}")), piece(second), line(" end"), line("more")] {
        told.extend(teller.printed(&line).into_iter().map(|event| words.clean(event)));
    }
    told.extend(teller.finish().into_iter().map(|event| words.clean(event)));
    let shown = format!("{told:?}");
    assert!(!shown.contains(first) && !shown.contains(second), "{shown}");
    assert!(grown(&told).contains("[REDACTED"), "{shown}");
}
