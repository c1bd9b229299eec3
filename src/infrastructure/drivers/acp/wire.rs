//! What lies on the wire: JSON-RPC 2.0 messages, one to a line.
//!
//! Invariant: whatever an agent writes is either one of these, or nothing that we act on.
//!
//! Source: Agent Client Protocol, version 1; observed with six agents.

use serde_json::{Value, json};

/// The version of the protocol that is spoken here.
pub(super) const PROTOCOL: u64 = 1;
/// JSON-RPC: there is no such method.
pub(super) const NO_SUCH_METHOD: i64 = -32601;
/// JSON-RPC: the parameters are not what the method takes.
pub(super) const WRONG_PARAMETERS: i64 = -32602;
/// JSON-RPC: this is no request.
const NO_REQUEST: i64 = -32600;
/// ACP: the agent has to be signed in first.
pub(super) const SIGN_IN_FIRST: i64 = -32000;
/// Longest name of a request that we give back.
const MAX_ID_BYTES: usize = 256;

/// Why an agent did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: i64,
    pub(super) message: String,
    /// Its details, as JSON.
    pub(super) details: String,
}

/// One line of an agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    /// The answer to a request of ours.
    Answer { id: u64, result: Result<Value, Fault> },
    /// It asks for something, under this name.
    Request { id: Value, method: String, params: Value },
    /// It tells something.
    Notice { method: String, params: Value },
    /// A request under a name that none can have.
    Nameless,
    /// Not a message.
    Garbage,
}

impl Message {
    /// What a line says. Bytes that are no UTF-8 are replaced.
    pub(super) fn read(line: &[u8]) -> Self {
        let read = serde_json::from_slice(line)
            .or_else(|_| serde_json::from_str(&String::from_utf8_lossy(line)));
        let Ok(Value::Object(mut fields)) = read else { return Self::Garbage };
        let id = fields.remove("id");
        let params = fields.remove("params").unwrap_or_default();
        match (fields.remove("method"), id) {
            (Some(Value::String(method)), None) => Self::Notice { method, params },
            (Some(Value::String(method)), Some(id)) if is_name(&id) => {
                Self::Request { id, method, params }
            }
            (Some(Value::String(_)), Some(_)) => Self::Nameless,
            (None, Some(id)) => {
                let result = match (fields.remove("error"), fields.remove("result")) {
                    (Some(error), _) if !error.is_null() => Err(fault(&error)),
                    (_, Some(result)) => Ok(result),
                    _ => return Self::Garbage,
                };
                // Ours are whole numbers.
                id.as_u64().map_or(Self::Garbage, |id| Self::Answer { id, result })
            }
            _ => Self::Garbage,
        }
    }
}

/// JSON-RPC allows texts and numbers.
fn is_name(id: &Value) -> bool {
    match id {
        Value::Number(_) => true,
        Value::String(text) => text.len() <= MAX_ID_BYTES,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn fault(error: &Value) -> Fault {
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Fault {
        code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
        message: text("message"),
        details: error.get("data").filter(|data| !data.is_null()).map(details).unwrap_or_default(),
    }
}

fn details(data: &Value) -> String {
    let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
    text.chars().take(1000).collect()
}

/// A request of ours, as a line.
pub(super) fn request(id: u64, method: &str, params: &Value) -> String {
    line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

/// Something that we tell, as a line.
pub(super) fn notice(method: &str, params: &Value) -> String {
    line(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

/// Our answer, as a line.
pub(super) fn answer(id: &Value, result: &Value) -> String {
    line(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// Our refusal, as a line.
pub(super) fn refusal(id: &Value, code: i64, message: &str) -> String {
    let error = json!({ "code": code, "message": message });
    line(&json!({ "jsonrpc": "2.0", "id": id, "error": error }))
}

/// What a request gets under a name that none can have.
pub(super) fn no_request() -> String {
    refusal(&Value::Null, NO_REQUEST, "the id of a request is a number or a short text")
}

fn line(message: &Value) -> String {
    let mut text = message.to_string();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_told_apart() {
        let read = |text: &str| Message::read(text.as_bytes());
        assert_eq!(
            read(r#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#),
            Message::Answer { id: 7, result: Ok(json!({ "a": 1 })) }
        );
        let Message::Answer { id: 8, result: Err(fault) } =
            read(r#"{"id":8,"error":{"code":-32000,"message":"no","data":{"x":1}}}"#)
        else {
            panic!("no error");
        };
        assert_eq!((fault.code, fault.message.as_str()), (SIGN_IN_FIRST, "no"));
        assert_eq!(fault.details, r#"{"x":1}"#);
        let method = || "a/b".to_owned();
        let request = Message::Request { id: json!("r-1"), method: method(), params: json!({}) };
        assert_eq!(read(r#"{"id":"r-1","method":"a/b","params":{}}"#), request);
        let notice = Message::Notice { method: method(), params: Value::Null };
        assert_eq!(read(r#"{"method":"a/b"}"#), notice);
        assert_eq!(
            read(r#"{"id":1,"result":null}"#),
            Message::Answer { id: 1, result: Ok(Value::Null) }
        );
    }

    #[test]
    fn absurd_lines_are_garbage_and_absurd_names_are_nameless() {
        let deep = "[".repeat(100_000);
        let wrong =
            ["", "log: started", "[]", "7", "null", "{}", &deep, r#"{"id":"x","result":1}"#];
        for wrong in
            wrong.into_iter().chain([r#"{"id":1}"#, r#"{"method":1}"#, r#"{"id":-1,"result":1}"#])
        {
            assert_eq!(Message::read(wrong.as_bytes()), Message::Garbage, "{wrong:.40}");
        }
        let long = format!("\"{}\"", "x".repeat(257));
        for id in ["null", "{}", "[1]", "true", &long] {
            let line = format!(r#"{{"id":{id},"method":"a"}}"#);
            assert_eq!(Message::read(line.as_bytes()), Message::Nameless, "{id:.40}");
        }
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        let Message::Notice { method, .. } = Message::read(b"{\"method\":\"a\xff\"}") else {
            panic!("not read");
        };
        assert_eq!(method, "a\u{fffd}");
    }
}
