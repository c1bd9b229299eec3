//! Permissions: our policy in OpenCode's words, and its asks in ours.
//!
//! Invariant: leaving the directory and doom loops are denied unless a rule of the policy names
//! them.
//! Invariant: a call that consists of several pieces is judged by its strictest piece.

use std::path::Path;

use serde_json::{Value, json};

use super::wire::{PermissionAsk, Question, QuestionAsk};
use crate::application::ports::driver::Ask;
use crate::domain::attention::{AttentionKind, Risk};
use crate::domain::canonical::canonical_hash;
use crate::domain::session::spec::{PermissionDecision, PermissionPolicy};

/// What is denied unless the policy names it.
const GUARDED: [&str; 2] = ["external_directory", "doom_loop"];
/// What touches nothing, and is allowed unless the policy names it.
const HARMLESS: [&str; 2] = ["question", "todowrite"];
/// Longest text inside the facts of an ask.
const MAX_FACT_BYTES: usize = 64 * 1024;

/// What the policy says of a call.
pub(super) fn decide(
    policy: &PermissionPolicy,
    tool: &str,
    pieces: &[String],
) -> PermissionDecision {
    let named = |name: &str| policy.rules.iter().any(|rule| class(&rule.tool) == name);
    if GUARDED.contains(&tool) && !named(tool) {
        return PermissionDecision::Deny;
    }
    let mut policy = policy.clone();
    for rule in &mut policy.rules {
        rule.tool = class(&rule.tool).to_owned();
    }
    if GUARDED.contains(&tool) {
        policy.default = PermissionDecision::Deny;
        policy.rules.retain(|rule| rule.tool == tool);
    }
    let one = |piece: &String| policy.decide(tool, std::slice::from_ref(piece));
    pieces.iter().map(one).max().unwrap_or_else(|| policy.decide(tool, &[]))
}

/// The policy as session rules of OpenCode, where the last matching rule wins.
pub(super) fn rules(policy: &PermissionPolicy, readable: Option<&Path>) -> Value {
    let rule = |tool: &str, pattern: &str, action: PermissionDecision| json!({ "permission": tool, "pattern": pattern, "action": action.as_str() });
    let mut all = vec![rule("*", "*", policy.default)];
    for tool in HARMLESS {
        all.push(rule(tool, "*", PermissionDecision::Allow));
    }
    // Allow, ask, deny: the strictest comes last.
    let mut own: Vec<_> = policy.rules.iter().collect();
    own.sort_by_key(|rule| rule.decision);
    let (guarded, plain): (Vec<_>, Vec<_>) =
        own.into_iter().partition(|rule| GUARDED.contains(&class(&rule.tool)));
    let of = |pattern: &Option<String>| pattern.clone().unwrap_or_else(|| "*".to_owned());
    for one in plain {
        all.push(rule(class(&one.tool), &of(&one.pattern), one.decision));
    }
    for tool in GUARDED {
        all.push(rule(tool, "*", PermissionDecision::Deny));
    }
    if let Some(folder) = readable {
        let pattern = format!("{}/*", folder.display());
        all.push(rule("external_directory", &pattern, PermissionDecision::Allow));
    }
    for one in guarded {
        all.push(rule(&one.tool, &of(&one.pattern), one.decision));
    }
    Value::Array(all)
}

/// A permission ask, for a person.
pub(super) fn permission_ask(ask: &PermissionAsk) -> Ask {
    let first = ask.patterns.first().map(String::as_str).unwrap_or_default();
    let command = ask.metadata.get("command").and_then(Value::as_str).unwrap_or(first);
    Ask {
        agent_ref: ask.id.clone(),
        kind: AttentionKind::Permission,
        tool: ask.permission.clone(),
        patterns: ask.patterns.clone(),
        title: line(&format!("{}: {command}", ask.permission)),
        payload: json!({
            "permission": ask.permission,
            "patterns": ask.patterns,
            "metadata": shortened(&ask.metadata),
            "agent_session": ask.session,
        }),
        fingerprint: canonical_hash(&json!([ask.permission, ask.patterns, ask.metadata])),
        risk: risk(&ask.permission),
    }
}

/// A question, for a person.
pub(super) fn question_ask(ask: &QuestionAsk) -> Ask {
    let first = ask.questions.first().map(|question| question.text.as_str());
    let facts = json!(ask.questions);
    Ask {
        agent_ref: ask.id.clone(),
        kind: AttentionKind::Question,
        tool: String::new(),
        patterns: Vec::new(),
        title: line(first.unwrap_or("The agent has a question")),
        fingerprint: canonical_hash(&json!(["question", facts])),
        payload: json!({ "questions": shortened(&facts), "agent_session": ask.session }),
        risk: Risk::Low,
    }
}

/// One list of answers per question: a line each when there are as many lines as questions, else
/// the whole text for each. A label is spelled as it was offered.
pub(super) fn answers(questions: &[Question], text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let each = questions.len() > 1 && lines.len() == questions.len();
    let answer = |(index, question): (usize, &Question)| {
        let said = if each { lines[index] } else { text.trim() };
        let label = question.options.iter().find(|choice| choice.label.eq_ignore_ascii_case(said));
        vec![label.map_or_else(|| said.to_owned(), |choice| choice.label.clone())]
    };
    questions.iter().enumerate().map(answer).collect()
}

/// The name under which OpenCode asks for a tool.
fn class(tool: &str) -> &str {
    match tool {
        "write" | "patch" | "apply_patch" | "multiedit" => "edit",
        other => other,
    }
}

fn risk(permission: &str) -> Risk {
    match permission {
        "read" | "glob" | "grep" | "list" | "lsp" | "skill" | "todowrite" | "todoread" => Risk::Low,
        "edit" | "webfetch" | "websearch" | "task" => Risk::Medium,
        _ => Risk::High,
    }
}

fn line(text: &str) -> String {
    let flat: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    flat.trim().to_owned()
}

fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text, MAX_FACT_BYTES)),
        Value::Array(items) => items.iter().take(200).map(shortened).collect(),
        Value::Object(map) => Value::Object(
            map.iter().take(200).map(|(key, value)| (key.clone(), shortened(value))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// At most `limit` bytes of a text, and a note when something was left out.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit);
    format!("{}\n[{} bytes left out]", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::spec::PermissionRule;

    fn policy(rules: &[(&str, Option<&str>, PermissionDecision)]) -> PermissionPolicy {
        let rules = rules
            .iter()
            .map(|(tool, pattern, decision)| PermissionRule {
                tool: (*tool).to_owned(),
                pattern: pattern.map(str::to_owned),
                decision: *decision,
            })
            .collect();
        PermissionPolicy { default: PermissionDecision::Ask, rules }
    }

    #[test]
    fn the_strictest_piece_of_a_command_decides() {
        use PermissionDecision::{Allow, Ask, Deny};
        let policy = policy(&[
            ("bash", Some("git *"), Allow),
            ("bash", Some("rm *"), Deny),
            ("write", None, Allow),
        ]);
        let pieces =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(decide(&policy, "bash", &pieces(&["git status", "git log"])), Allow);
        assert_eq!(decide(&policy, "bash", &pieces(&["git status", "ls"])), Ask);
        assert_eq!(decide(&policy, "bash", &pieces(&["git status", "rm x"])), Deny);
        assert_eq!(decide(&policy, "edit", &pieces(&["a.py"])), Allow);
    }

    #[test]
    fn leaving_the_directory_needs_a_rule_of_its_own() {
        use PermissionDecision::{Allow, Deny};
        let all = policy(&[("*", None, Allow)]);
        assert_eq!(decide(&all, "external_directory", &["/etc/*".to_owned()]), Deny);
        let named = policy(&[("external_directory", Some("/srv/*"), Allow)]);
        assert_eq!(decide(&named, "external_directory", &["/srv/x".to_owned()]), Allow);
        assert_eq!(decide(&named, "external_directory", &["/etc/x".to_owned()]), Deny);
    }

    #[test]
    fn the_last_matching_rule_is_the_strictest() {
        use PermissionDecision::{Allow, Deny};
        let policy = policy(&[("bash", Some("rm *"), Deny), ("*", None, Allow)]);
        let rules = rules(&policy, Some(Path::new("/out")));
        let spelled: Vec<String> = rules
            .as_array()
            .into_iter()
            .flatten()
            .map(|rule| format!("{} {} {}", rule["permission"], rule["pattern"], rule["action"]))
            .map(|text| text.replace('"', ""))
            .collect();
        assert_eq!(
            spelled,
            [
                "* * ask",
                "question * allow",
                "todowrite * allow",
                "* * allow",
                "bash rm * deny",
                "external_directory * deny",
                "doom_loop * deny",
                "external_directory /out/* allow",
            ]
        );
    }

    #[test]
    fn one_text_answers_one_or_many_questions() {
        let question = |label: &str| Question {
            options: vec![super::super::wire::Choice {
                label: label.to_owned(),
                ..Default::default()
            }],
            ..Question::default()
        };
        let two = [question("Blue"), question("Yes")];
        assert_eq!(answers(&two, "blue\nno"), [["Blue"], ["no"]]);
        assert_eq!(answers(&two[..1], "blue"), [["Blue"]]);
        assert_eq!(answers(&two, "as you like"), [["as you like"], ["as you like"]]);
    }
}
