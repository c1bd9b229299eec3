//! Speaking to external agents that are called.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::notifier::AddressError;

/// How one agent is called.
#[derive(Clone)]
pub struct Line {
    /// Its address, as it registered.
    pub url: String,
    /// What it knows us by.
    pub token: String,
    /// What it knew us by before that was replaced, while it may not have heard of the new one.
    pub before: Option<String>,
}

/// An assignment on its way.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The same for every try to bring the same thing.
    pub idempotency_key: String,
    /// JSON.
    pub body: Vec<u8>,
    /// Longest wait for the answer.
    pub limit: Duration,
}

/// What came of a try to bring an assignment.
#[derive(Debug, Clone, PartialEq)]
pub enum Brought {
    /// The agent did the work at once.
    Result(Map<String, Value>),
    /// It has begun, and tells its result later.
    Accepted,
    /// It does not take the work.
    Refused(String),
    /// Nobody knows whether it got the work: the same may be tried again.
    Lost(String),
    /// It answered something that is no answer.
    Unreadable(String),
}

/// Calls to external agents. None follows a redirect, and each has its limit in time and size.
#[async_trait]
pub trait PushAgents: Send + Sync {
    /// Whether an agent may be called at this address.
    async fn check(&self, url: &str) -> Result<(), AddressError>;
    /// Brings an assignment, once.
    async fn bring(&self, line: &Line, parcel: &Parcel) -> Brought;
    /// Asks how it is; what it says, as in a heartbeat.
    async fn ask(&self, line: &Line) -> Result<Map<String, Value>, String>;
    /// Tells it to end a piece of work; an agent that knows no such call is not to blame.
    async fn cancel(&self, line: &Line, task: &str, body: Vec<u8>) -> Result<(), String>;
}
