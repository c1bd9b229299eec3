//! Judges from the messages of a conversation how a turn ended.
//!
//! Invariant: a turn is over only when the conversation is idle and there is an answer to the
//! newest prompt; events alone prove nothing.

use std::time::Duration;

use serde_json::Value;

use super::wire::{Fault, Message};
use crate::application::ports::driver::{DriverError, Overloaded, TurnEnd};
use crate::domain::session::attempt::ErrorType;

/// Longest time that a provider can ask for, in seconds.
const MOST_SECONDS: f64 = 86_400.0;

/// What the messages say.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is still worked on.
    Working,
    /// The work was broken off; posting the prompt again takes it up.
    Interrupted,
    /// It is over.
    Over(Outcome),
    /// It failed.
    Failed(DriverError),
}

/// How a turn ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) end: TurnEnd,
    /// The newest complete message.
    pub(super) message_ref: Option<String>,
    /// The agent's last words.
    pub(super) text: String,
}

/// Looks at the newest messages. `newest_prompt` is the id of the message that must be answered;
/// `whole` says that no older messages exist.
pub(super) fn judge(
    messages: &[Message],
    newest_prompt: &str,
    whole: bool,
    busy: bool,
    aborting: bool,
) -> Verdict {
    if busy {
        return Verdict::Working;
    }
    let asked = messages.iter().position(|message| message.info.id == newest_prompt);
    let after = match (asked, whole) {
        (Some(index), _) => &messages[index + 1..],
        (None, true) => &[],
        (None, false) => messages,
    };
    let answer = messages.iter().rev().find(|message| {
        message.info.role == "assistant"
            && (message.info.parent.as_deref() == Some(newest_prompt)
                || after.iter().any(|later| later.info.id == message.info.id))
    });
    let over = |end: TurnEnd| Verdict::Over(outcome(messages, end));
    let Some(answer) = answer else {
        return if aborting { over(TurnEnd::Aborted) } else { Verdict::Interrupted };
    };
    if aborting {
        return over(TurnEnd::Aborted);
    }
    if let Some(fault) = &answer.info.error {
        return match fault.name.as_str() {
            "MessageAbortedError" => Verdict::Interrupted,
            "MessageOutputLengthError" => over(TurnEnd::Cut),
            _ => Verdict::Failed(failure(fault)),
        };
    }
    if answer.info.time.completed.is_none() {
        return Verdict::Interrupted;
    }
    match answer.info.finish.as_deref() {
        Some("length") => over(TurnEnd::Cut),
        Some("tool-calls") => over(TurnEnd::Rejected),
        Some(_) => over(TurnEnd::Done),
        None => Verdict::Interrupted,
    }
}

/// What the newest messages amount to when the turn ended like this.
pub(super) fn outcome(messages: &[Message], end: TurnEnd) -> Outcome {
    let complete = messages.iter().rev().find(|message| message.info.is_complete_step());
    let words = |message: &Message| {
        let texts = message.parts.iter().filter(|part| part.kind == "text" && !part.synthetic);
        let whole = texts.filter(|part| part.time.end.is_some()).map(|part| part.text.as_str());
        whole.collect::<Vec<_>>().join("\n")
    };
    let spoken = messages.iter().rev().filter(|message| message.info.role == "assistant");
    let text = spoken.map(words).find(|text| !text.trim().is_empty()).unwrap_or_default();
    Outcome { end, message_ref: complete.map(|message| message.info.id.clone()), text }
}

/// An error of the server in our words.
pub(super) fn failure(fault: &Fault) -> DriverError {
    let said: String = fault.message().chars().take(400).collect();
    let text = format!("{}: {said}", fault.name);
    match fault.name.as_str() {
        "ProviderAuthError" => DriverError {
            retryable: false,
            ..DriverError::new(
                ErrorType::ProviderError,
                format!("{text}; sign in with `opencode auth login` or set the provider's key"),
            )
        },
        "APIError" => {
            let again = fault.data.get("isRetryable").and_then(serde_json::Value::as_bool);
            let error = DriverError::new(ErrorType::ProviderError, text);
            let error = DriverError { retryable: again.unwrap_or(error.retryable), ..error };
            match overload(fault) {
                Some(overloaded) => error.because_overloaded(overloaded.retry_after),
                None => error,
            }
        }
        "ContentFilterError" | "ProviderModelNotFoundError" => {
            DriverError { retryable: false, ..DriverError::new(ErrorType::ProviderError, text) }
        }
        _ => DriverError::new(ErrorType::AgentError, text),
    }
}

/// Answers of a provider that limits the rate, or has too much to do.
const OVERLOADED: [u64; 3] = [429, 503, 529];
/// The same in words, where the answer has no number.
const OVERLOADED_WORDS: [&str; 4] = ["overloaded", "rate limit", "rate_limit", "too many requests"];

/// Whether the provider wants to be left alone, and for how long.
fn overload(fault: &Fault) -> Option<Overloaded> {
    let status = fault.data.get("statusCode").and_then(Value::as_u64);
    let said = fault.message().to_lowercase();
    let is_overloaded = match status {
        Some(status) if status >= 400 => OVERLOADED.contains(&status),
        Some(_) | None => OVERLOADED_WORDS.iter().any(|word| said.contains(word)),
    };
    let headers = fault.data.get("responseHeaders");
    let number = |name: &str| {
        let value = headers?.get(name)?.as_str()?.trim().parse::<f64>().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    let millis = number("retry-after-ms").map(|millis| millis / 1000.0);
    let seconds = millis.or_else(|| number("retry-after")).map(|seconds| seconds.min(MOST_SECONDS));
    is_overloaded.then(|| Overloaded { retry_after: seconds.map(Duration::from_secs_f64) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conversation(answer: &Value) -> Vec<Message> {
        let prompt = json!({ "info": { "id": "p", "role": "user" } });
        serde_json::from_value(json!([prompt, answer])).expect("messages")
    }

    fn step(more: &Value) -> Value {
        let mut info = json!({ "id": "a", "role": "assistant", "parentID": "p" });
        for (key, value) in more.as_object().into_iter().flatten() {
            info[key] = value.clone();
        }
        let text = json!({ "type": "text", "text": "bye", "time": { "end": 1 } });
        json!({ "info": info, "parts": [text] })
    }

    fn verdict(answer: &Value, busy: bool, aborting: bool) -> String {
        match judge(&conversation(&step(answer)), "p", true, busy, aborting) {
            Verdict::Working => "working".to_owned(),
            Verdict::Interrupted => "interrupted".to_owned(),
            Verdict::Over(outcome) => format!("{} {}", outcome.end, outcome.text),
            Verdict::Failed(error) => error.error_type.to_string(),
        }
    }

    #[test]
    fn every_way_to_end_has_its_name() {
        let done = json!({ "completed": 1 });
        let finish = |word: &str| json!({ "time": done, "finish": word });
        let fault = |name: &str| json!({ "time": done, "error": { "name": name, "data": {} } });
        assert_eq!(verdict(&finish("stop"), false, false), "done bye");
        assert_eq!(verdict(&finish("stop"), true, false), "working");
        assert_eq!(verdict(&finish("length"), false, false), "cut bye");
        assert_eq!(verdict(&finish("tool-calls"), false, false), "rejected bye");
        assert_eq!(verdict(&json!({}), false, false), "interrupted");
        assert_eq!(verdict(&json!({ "time": done }), false, true), "aborted bye");
        assert_eq!(verdict(&fault("MessageAbortedError"), false, false), "interrupted");
        assert_eq!(verdict(&fault("APIError"), false, false), "provider_error");
        assert_eq!(verdict(&fault("ContextOverflowError"), false, false), "agent_error");
    }

    #[test]
    fn a_provider_that_wants_to_be_left_alone_says_so() {
        let left_alone = |data: Value| {
            let fault = Fault { name: "APIError".to_owned(), data };
            failure(&fault).overloaded.map(|overloaded| overloaded.retry_after)
        };
        let headers = |name: &str, value: &str| json!({ "statusCode": 429, "responseHeaders": { name: value } });
        let seconds = |seconds| Some(Some(Duration::from_secs(seconds)));
        assert_eq!(left_alone(headers("retry-after", "20")), seconds(20));
        assert_eq!(left_alone(headers("retry-after-ms", "1000")), seconds(1));
        assert_eq!(left_alone(headers("retry-after", "1e300")), seconds(86_400));
        assert_eq!(left_alone(headers("retry-after", "Wed, 21 Oct 2026")), Some(None));
        assert_eq!(left_alone(json!({ "statusCode": 529 })), Some(None));
        assert_eq!(left_alone(json!({ "message": "Overloaded" })), Some(None));
        assert_eq!(left_alone(json!({ "statusCode": 400, "message": "rate limit" })), None);
        assert_eq!(left_alone(json!({ "statusCode": 500 })), None);
    }

    #[test]
    fn a_prompt_that_nobody_answered_is_not_done() {
        let earlier = json!({ "info": {
            "id": "a", "role": "assistant", "finish": "stop", "time": { "completed": 1 },
        } });
        let prompt = json!({ "info": { "id": "p", "role": "user" } });
        let messages: Vec<Message> =
            serde_json::from_value(json!([earlier, prompt])).expect("messages");
        assert!(matches!(judge(&messages, "p", true, false, false), Verdict::Interrupted));
        assert!(matches!(judge(&messages, "q", true, false, false), Verdict::Interrupted));
    }
}
