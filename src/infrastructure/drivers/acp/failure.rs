//! Errors of an agent in our words, with what helps.

use super::link::CallError;
use super::wire::{Fault, SIGN_IN_FIRST};
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;

/// Words of a provider that limits the rate, or has too much to do.
const OVERLOADED: [&str; 6] =
    ["overloaded", "rate limit", "rate_limit", "ratelimit", "too many requests", "429"];
/// Words of a provider that does not know who asks.
const UNKNOWN_THERE: [&str; 7] = [
    "unauthorized",
    "unauthenticated",
    "authentication",
    "providerautherror",
    "api key",
    "api_key",
    "invalid key",
];
/// Words of a provider that failed otherwise.
const PROVIDER: [&str; 6] =
    ["apierror", "api error", "provider", "quota", "credit balance", "model not found"];

/// Why a prompt was not worked on.
pub(super) fn of_prompt(fault: &Fault) -> DriverError {
    if fault.code == SIGN_IN_FIRST {
        return sign_in(fault);
    }
    let said = words(fault);
    let lower = format!("{} {}", fault.message, fault.details).to_lowercase();
    let is_any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let provider = |helps: &str| {
        let message = format!("the agent's model provider failed: {said}{helps}");
        DriverError::new(ErrorType::ProviderError, message)
    };
    if is_any(&OVERLOADED) {
        return provider("").because_overloaded(None);
    }
    if is_any(&UNKNOWN_THERE) {
        let helps = "; sign in with the agent's own program, or set the provider's key in its env";
        return DriverError { retryable: false, ..provider(helps) };
    }
    if is_any(&PROVIDER) {
        return provider("");
    }
    DriverError::new(ErrorType::AgentError, format!("the agent failed: {said}"))
}

/// Why an agent could not be greeted, or did not begin a conversation.
pub(super) fn of_start(what: &str, error: CallError) -> DriverError {
    let failed = |message: String| DriverError::new(ErrorType::DispatchFailed, message);
    match error {
        CallError::Refused(fault) if fault.code == SIGN_IN_FIRST => sign_in(&fault),
        CallError::Refused(fault) => {
            failed(format!("the agent refused to {what}: {}", words(&fault)))
        }
        CallError::Late => failed(format!(
            "the agent did not {what} in time; does its command say that it is to speak the Agent \
             Client Protocol, as in `opencode acp`?"
        )),
        CallError::Lost(error) if error.error_type == ErrorType::AgentLost => {
            failed(format!("the agent did not {what}: {}", error.message))
        }
        CallError::Lost(error) => error,
    }
}

fn sign_in(fault: &Fault) -> DriverError {
    let message = format!(
        "the agent wants to be signed in ({}): sign in with its own program and let it see that \
         home, or set its provider's key in its env",
        words(fault)
    );
    DriverError { retryable: false, ..DriverError::new(ErrorType::ProviderError, message) }
}

/// What it said, bounded.
fn words(fault: &Fault) -> String {
    let Fault { code, message, details } = fault;
    let said = match (message.is_empty(), details.is_empty()) {
        (true, true) => format!("error {code}"),
        (false, true) => message.clone(),
        (true, false) => details.clone(),
        (false, false) => format!("{message} ({details})"),
    };
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: i64, message: &str, details: &str) -> Fault {
        Fault { code, message: message.to_owned(), details: details.to_owned() }
    }

    #[test]
    fn errors_have_their_class() {
        use ErrorType::{AgentError, ProviderError};
        let class = |message: &str, details: &str| {
            let error = of_prompt(&fault(-32603, message, details));
            (error.error_type, error.retryable, error.overloaded.is_some())
        };
        assert_eq!(
            class("Internal error: no such key", r#"{"errorName":"APIError"}"#),
            (ProviderError, true, false)
        );
        assert_eq!(class("Internal error", "401 Unauthorized"), (ProviderError, false, false));
        assert_eq!(class("Rate limit reached", ""), (ProviderError, true, true));
        assert_eq!(class("Internal error", "it broke"), (AgentError, true, false));
        let unknown = of_prompt(&fault(SIGN_IN_FIRST, "Authentication required", ""));
        assert!(!unknown.retryable && unknown.message.contains("sign in"), "{unknown}");
    }

    #[test]
    fn a_start_that_failed_says_what_helps() {
        let late = of_start("answer `initialize`", CallError::Late);
        assert_eq!(late.error_type, ErrorType::DispatchFailed);
        assert!(late.message.contains("opencode acp"), "{late}");
        let lost = DriverError::new(ErrorType::AgentLost, "it said nothing");
        let lost = of_start("begin", CallError::Lost(lost));
        assert_eq!(lost.error_type, ErrorType::DispatchFailed);
        let odd = DriverError::new(ErrorType::AgentProtocolError, "garbage");
        let odd = of_start("begin", CallError::Lost(odd));
        assert_eq!(odd.error_type, ErrorType::AgentProtocolError);
        let long = of_start("begin", CallError::Refused(fault(1, &"x".repeat(5000), "")));
        assert!(long.message.len() < 500);
    }
}
