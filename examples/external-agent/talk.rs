//! What is said to the orchestrator, and what comes back.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::Options;
use crate::memory::Memory;

/// Longest wait between two tries of a call.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What came back, with the seconds to wait that it named.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

/// Whether the same call may be answered better later.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

pub(crate) async fn answered(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let answer = request.send().await?;
    let status = answer.status();
    let retry_after = answer.headers().get("retry-after");
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
    Ok(Answer { status, retry_after, body })
}

/// Registers, or says anew what it is when it has been registered before.
pub(crate) async fn introduce(
    options: &Options,
    http: &Client,
    memory: Memory,
) -> Result<Memory, String> {
    let url = format!("{}/api/v1/agents/external/register", options.url.trim_end_matches('/'));
    let body = json!({
        "protocol_version": "1.0", "name": options.name, "version": env!("CARGO_PKG_VERSION"),
        "capabilities": options.capabilities,
        "metadata": { "max_concurrent_capacity": options.at_once },
    });
    let mut wait = Duration::from_secs(1);
    loop {
        let mut request = http.post(&url).json(&body);
        request = match (&options.key, &options.tenant) {
            _ if !memory.auth_token.is_empty() => {
                request.header("X-Agent-Token", &memory.auth_token)
            }
            (Some(key), Some(tenant)) => request.bearer_auth(key).header("X-Tenant-ID", tenant),
            (Some(key), None) => request.bearer_auth(key),
            (None, _) => request,
        };
        match answered(request).await {
            Ok(answer) if answer.status.is_success() => {
                let Value::Object(said) = answer.body else { return Err("no answer".to_owned()) };
                let new = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
                let interval = said.get("heartbeat_interval_seconds").and_then(Value::as_u64);
                return Ok(Memory {
                    agent_id: new("agent_id").unwrap_or(memory.agent_id),
                    auth_token: new("auth_token").unwrap_or(memory.auth_token),
                    interval: interval.unwrap_or(30),
                    held: memory.held,
                });
            }
            Ok(answer) if is_passing(answer.status) => {
                eprintln!("not registered yet: {}", answer.status);
                wait = answer.retry_after.map_or(wait, Duration::from_secs);
            }
            Ok(answer) => return Err(format!("{}: {:#}", answer.status, answer.body)),
            Err(error) => eprintln!("not registered yet: {error}"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
