//! Errors of commands, each with the exit code that scripts rely on.
//!
//! Invariant: the codes are those of the specification; one match maps the API's codes to them.

use serde_json::Value;

/// Process exit codes.
pub mod code {
    /// Done.
    pub const OK: u8 = 0;
    /// Refused, or the work failed.
    pub const FAILED: u8 = 1;
    /// The work is partially completed (`run`).
    pub const PARTIAL: u8 = 2;
    /// The work ran out of time (`run`).
    pub const TIMEOUT: u8 = 3;
    /// Wrong use.
    pub const USAGE: u8 = 64;
    /// The store is damaged.
    pub const DAMAGED: u8 = 65;
    /// Not available now.
    pub const UNAVAILABLE: u8 = 69;
    /// Another server holds the data directory.
    pub const HELD: u8 = 75;
    /// Not permitted.
    pub const NOT_PERMITTED: u8 = 77;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 78;
    /// Stopped.
    pub const STOPPED: u8 = 130;
}

/// Why a command did not do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// The exit code.
    pub exit: u8,
    /// What happened.
    pub message: String,
    /// What helps.
    pub remedy: Option<String>,
    /// The problem as the server sent it.
    pub problem: Option<Value>,
}

impl CliError {
    /// An error of our own.
    #[must_use]
    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), remedy: None, problem: None }
    }

    /// The same with what helps.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Whether the server refused with this code.
    #[must_use]
    pub fn is_code(&self, code: &str) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem["code"].as_str() == Some(code))
    }

    /// Whether trying again later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.exit == code::UNAVAILABLE
    }

    /// Wrong use of a command.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(code::USAGE, message)
    }

    /// From a `problem+json` body, or whatever else came with this status.
    #[must_use]
    pub fn from_problem(status: u16, body: &str) -> Self {
        let problem: Option<Value> = serde_json::from_str(body).ok().filter(Value::is_object);
        let Some(problem) = problem else {
            let text: String = body.chars().take(200).collect();
            let message = format!("the server answered {status} {}", text.trim());
            return Self::new(exit_of("", status), message.trim_end())
                .remedy("is --url the address of an orchestrator?");
        };
        let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
        let api_code = text("code");
        let mut message = [text("detail"), text("title"), api_code]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or("the server refused")
            .to_owned();
        message.extend(problem.get("errors").and_then(Value::as_array).into_iter().flatten().map(
            |error| {
                let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
                format!("\n  {}: {}", part("pointer"), part("message"))
            },
        ));
        if api_code == "INTERNAL_ERROR" {
            message.extend([" (request ", text("request_id"), ")"]);
        }
        // The server speaks of requests; whoever types is helped by a command.
        let sent = Some(text("remedy")).filter(|text| !text.is_empty());
        let remedy = usual_remedy(api_code).or(sent).map(str::to_owned);
        Self { exit: exit_of(api_code, status), message, remedy, problem: Some(problem) }
    }
}

/// The exit code for an error code of the API; unknown codes go by their status.
fn exit_of(api_code: &str, status: u16) -> u8 {
    match api_code {
        "UNAUTHENTICATED"
        | "FORBIDDEN"
        | "TENANT_MISMATCH"
        | "HOST_NOT_ALLOWED"
        | "ORIGIN_NOT_ALLOWED"
        | "CSRF_REFUSED"
        | "PATH_NOT_ALLOWED"
        | "PRIVILEGE_ESCALATION" => code::NOT_PERMITTED,
        "VALIDATION_ERROR"
        | "TENANT_MALFORMED"
        | "TENANT_REQUIRED"
        | "PAYLOAD_TOO_LARGE"
        | "UNSUPPORTED_MEDIA_TYPE"
        | "ENDPOINT_NOT_ALLOWED"
        | "IDEMPOTENCY_KEY_REUSED" => code::USAGE,
        "AGENT_UNAVAILABLE"
        | "STORE_READ_ONLY"
        | "SHUTTING_DOWN"
        | "CONTENDED"
        | "BUSY"
        | "LOCKED"
        | "RATE_LIMITED"
        | "REQUEST_TIMEOUT"
        | "IDEMPOTENCY_IN_FLIGHT" => code::UNAVAILABLE,
        "RECORD_QUARANTINED" => code::DAMAGED,
        _ => match status {
            401 | 403 => code::NOT_PERMITTED,
            400 | 413 | 415 | 422 => code::USAGE,
            502..=504 => code::UNAVAILABLE,
            _ => code::FAILED,
        },
    }
}

/// What helps when the server did not say.
fn usual_remedy(api_code: &str) -> Option<&'static str> {
    Some(match api_code {
        "UNAUTHENTICATED" => {
            "give a key with --key or ORCHESTRATOR_KEY, or the server's --data-dir, where the \
             administrator's key lies in admin.key"
        }
        "FORBIDDEN" => "use a key with a higher role",
        "TENANT_REQUIRED" => "name a tenant with --tenant",
        "TENANT_NOT_FOUND" | "TENANT_MISMATCH" => "check --tenant and the key that you use",
        "SESSION_NOT_FOUND" => "`orchestrator session list` shows the sessions of this tenant",
        "ATTENTION_NOT_FOUND" => "`orchestrator attention list` shows what waits",
        "AGENT_NOT_FOUND" => "`orchestrator agent list` shows the agents of this tenant",
        "HOST_NOT_FOUND" => "`orchestrator host list` shows the agent servers",
        "HOST_BUSY" => {
            "see how it stands with `orchestrator host list`, and ask again once it is ready"
        }
        "USER_NOT_FOUND" => "`orchestrator user list` shows the people of this tenant",
        "LAST_ADMINISTRATOR" => {
            "make somebody else an administrator first: orchestrator user change EMAIL --role admin"
        }
        "TASK_NOT_FOUND" => "`orchestrator task list` shows the tasks of this tenant",
        "TEMPLATE_NOT_FOUND" => "`orchestrator template list` shows the templates",
        "CONTEXT_NOT_FOUND" => "`orchestrator context list` shows the contexts of this tenant",
        "WEBHOOK_NOT_FOUND" => "`orchestrator webhook list` shows the webhooks of this tenant",
        "LOCK_NOT_FOUND" => "`orchestrator lock list` shows what is held or waited for",
        "LOCKED" => "wait longer with --wait; `orchestrator lock show NAME` tells who holds it",
        "DELIVERY_NOT_FOUND" => "`orchestrator webhook deliveries ID` shows what is kept",
        "VERSION_MISMATCH" => "read it again and repeat the change",
        "QUOTA_EXCEEDED" => "end or delete sessions, or ask an administrator to raise the limit",
        "BUSY" | "CONTENDED" | "RATE_LIMITED" => "try again in a moment",
        "STORE_READ_ONLY" => "free disk space on the server; it recovers by itself",
        "INTERNAL_ERROR" => "the server's log tells more under this request id",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_a_message_with_every_field_and_what_helps() {
        let body = r#"{"code":"VALIDATION_ERROR","status":422,"title":"Invalid","detail":"2 invalid fields",
            "errors":[{"pointer":"/priority","message":"0 to 4"},{"pointer":"/title","message":"empty"}]}"#;
        let error = CliError::from_problem(422, body);
        assert_eq!(error.exit, code::USAGE);
        assert_eq!(error.message, "2 invalid fields\n  /priority: 0 to 4\n  /title: empty");
        let body = r#"{"code":"INVALID_TRANSITION","detail":"it is completed","remedy":"fork it"}"#;
        let error = CliError::from_problem(409, body);
        assert_eq!((error.exit, error.remedy.as_deref()), (code::FAILED, Some("fork it")));
    }

    #[test]
    fn codes_and_statuses_have_exit_codes() {
        let cases = [
            ("UNAUTHENTICATED", 401, 77),
            ("FORBIDDEN", 403, 77),
            ("SESSION_NOT_FOUND", 404, 1),
            ("STORE_READ_ONLY", 503, 69),
            ("AGENT_UNAVAILABLE", 503, 69),
            ("RECORD_QUARANTINED", 500, 65),
            ("INTERNAL_ERROR", 500, 1),
            ("SOMETHING_NEW", 403, 77),
            ("SOMETHING_NEW", 503, 69),
        ];
        for (api_code, status, exit) in cases {
            assert_eq!(exit_of(api_code, status), exit, "{api_code}");
        }
    }

    #[test]
    fn what_is_no_problem_document_is_told_as_it_came() {
        let error = CliError::from_problem(502, "<html>bad gateway</html>");
        assert_eq!(error.exit, code::UNAVAILABLE);
        assert!(error.message.contains("502") && error.message.contains("bad gateway"));
    }
}
