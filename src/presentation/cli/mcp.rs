//! `orchestrator mcp`: the Model Context Protocol on standard streams, for agents that speak it so; each
//! message goes to `/mcp` of a running server, and its answer comes back as a line.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Stdout, stdin, stdout};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::Context;
use super::client::Client;
use super::exit::{CliError, code};

/// Code of JSON-RPC for what the server could not do.
const INTERNAL_ERROR: i32 = -32603;
/// Code of JSON-RPC for what is no message.
const PARSE_ERROR: i32 = -32700;
/// The longest that an answer may take: tools wait for people.
const LONGEST: Duration = Duration::from_mins(6);
/// Messages that are under way at once; further ones wait.
const MOST_AT_ONCE: usize = 64;

/// Passes messages on until the other end closes its side.
pub(super) async fn run(context: &Context<'_>) -> Result<u8, CliError> {
    let client = Client::new(&context.connection, context.host.clock())?;
    let is_inside = client.has_key_with("ios_");
    let client = if is_inside { client } else { client.at_home().await };
    let out = Arc::new(Mutex::new(stdout()));
    // As both ends agreed; it is said with every message from then on.
    let version: Arc<OnceLock<String>> = Arc::default();
    let mut lines = BufReader::new(stdin()).lines();
    let mut under_way = JoinSet::new();
    loop {
        let line = lines.next_line().await;
        let broken =
            |error: std::io::Error| CliError::new(code::FAILED, format!("standard input: {error}"));
        let Some(line) = line.map_err(broken)? else { break };
        if line.trim().is_empty() {
            continue;
        }
        if under_way.len() >= MOST_AT_ONCE {
            under_way.join_next().await;
        }
        while under_way.try_join_next().is_some() {}
        let (client, out, version) = (client.clone(), Arc::clone(&out), Arc::clone(&version));
        under_way.spawn(async move {
            if let Some(answer) = passed_on(&client, &version, &line).await {
                say(&out, &answer).await;
            }
        });
    }
    while under_way.join_next().await.is_some() {}
    Ok(code::OK)
}

async fn say(out: &Mutex<Stdout>, answer: &Value) {
    let mut out = out.lock().await;
    let line = format!("{answer}\n");
    if out.write_all(line.as_bytes()).await.is_err() || out.flush().await.is_err() {
        tracing::debug!("Nobody reads the answers any more");
    }
}

/// The answer to one message; `None` for what is not answered.
async fn passed_on(client: &Client, version: &OnceLock<String>, line: &str) -> Option<Value> {
    let message: Value = match serde_json::from_str(line) {
        Ok(message) => message,
        Err(error) => {
            return Some(failure(&Value::Null, PARSE_ERROR, &format!("no JSON: {error}")));
        }
    };
    let id = message.get("id").filter(|_| message.get("method").is_some()).cloned();
    let request = client
        .at(Method::POST, &["mcp"])
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .timeout(LONGEST)
        .body(message.to_string());
    let request = match version.get() {
        Some(version) => request.header("MCP-Protocol-Version", version),
        None => request,
    };
    let answer = read(client, request).await;
    if let Ok(answer) = &answer
        && let Some(agreed) = answer["result"]["protocolVersion"].as_str()
    {
        version.get_or_init(|| agreed.to_owned());
    }
    let id = id?;
    Some(match answer {
        Ok(answer) => answer,
        Err(error) => {
            let remedy = error.remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
            failure(&id, INTERNAL_ERROR, &format!("{}{remedy}", error.message))
        }
    })
}

async fn read(client: &Client, request: RequestBuilder) -> Result<Value, CliError> {
    let answer = client.send(request).await?;
    let broken = |error: &dyn std::fmt::Display| {
        CliError::new(
            code::UNAVAILABLE,
            format!("the answer of {} broke off: {error}", client.url()),
        )
    };
    let bytes = answer.bytes().await.map_err(|error| broken(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(&error))
}

fn failure(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}
