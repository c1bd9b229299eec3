//! What an agent of others says while it works, and how it says that it is there.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::closed_enum;
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::status::HeartbeatStatus;
use crate::domain::canonical::sha256_hex;
use crate::domain::field::FieldError;
use crate::domain::ids::AgentId;
use crate::domain::money::Usd;
use crate::domain::session::Phase;
use crate::domain::time::Timestamp;
use crate::domain::usage::{MOST_COST, MOST_TOKENS, Usage};

/// Events of one report.
const MOST_EVENTS: usize = 500;
/// Characters of a message.
const MOST_MESSAGE: usize = 16_000;

closed_enum!(
    /// How weighty a line of the log is.
    Level {
        Debug = "debug",
        Info = "info",
        Warn = "warn",
        Error = "error",
    }
);

/// One thing that an agent says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// How far it is, in percent.
    Progress {
        /// 0 to 100.
        percentage: f64,
        /// In words.
        message: Option<String>,
    },
    /// A line for the log.
    Log {
        /// How weighty it is.
        level: Level,
        /// The line.
        message: String,
    },
    /// What it is doing.
    Phase(Phase),
    /// What it used since it last said so.
    Usage {
        /// Tokens and cost.
        usage: Usage,
        /// `provider/model`.
        model: Option<String>,
        /// What it is recognised by when it is told again: its `id`, else its time and what it says.
        key: Option<String>,
    },
    /// Something that it asks a person.
    Question(String),
    /// A turn is over: a good moment for a checkpoint.
    TurnEnd {
        /// Its newest message.
        message_ref: Option<String>,
    },
}

/// What an agent says at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The right by which it works.
    pub fencing_token: u64,
    /// In order.
    pub events: Vec<Said>,
}

impl Report {
    /// Reads a report; events of unknown types are left out.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(sent: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::of(sent);
        let fencing_token = fields.whole("fencing_token");
        if fields.value("fencing_token").is_none() {
            fields.wrong("fencing_token", "required", "must be the one of the assignment");
        }
        let list = fields.list("events", MOST_EVENTS).unwrap_or_default();
        if list.is_empty() && fields.errors.noted().is_empty() {
            fields.wrong("events", "required", "must hold 1 to 500 events");
        }
        let mut events = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let at = format!("/events/{index}");
            let Some(map) = value.as_object() else {
                fields.errors.add(at, "wrong_type", "must be an object with a type");
                continue;
            };
            let mut one = Fields::at(map, at);
            events.extend(said(&mut one));
            fields.errors.absorb(one.errors);
        }
        fields.finish(fencing_token.map(|fencing_token| Self { fencing_token, events }))
    }
}

fn said(fields: &mut Fields<'_>) -> Option<Said> {
    let kind = fields.required_text("type", 100)?;
    match kind {
        "progress" => {
            if fields.value("percentage").is_none() {
                fields.wrong("percentage", "required", "must be from 0 to 100");
            }
            let percentage = fields.number("percentage", 0.0, 100.0);
            let message = fields.text("message", MOST_MESSAGE).map(str::to_owned);
            percentage.map(|percentage| Said::Progress { percentage, message })
        }
        "log" => {
            let known = "debug, info, warn, error";
            let level = fields.word("level", Level::parse, known).unwrap_or(Level::Info);
            let message = fields.required_text("message", MOST_MESSAGE).map(str::to_owned);
            message.map(|message| Said::Log { level, message })
        }
        "phase" => {
            if fields.value("phase").is_none() {
                fields.wrong("phase", "required", "must be given");
            }
            let words: Vec<&str> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
            fields.word("phase", Phase::parse, &words.join(", ")).map(Said::Phase)
        }
        "usage" => {
            let mut tokens = |name: &str| fields.count(name, MOST_TOKENS).unwrap_or(0);
            let usage = Usage {
                tokens_input: tokens("tokens_input"),
                tokens_output: tokens("tokens_output"),
                tokens_cache_read: tokens("tokens_cache_read"),
                tokens_cache_write: tokens("tokens_cache_write"),
                tokens_reasoning: tokens("tokens_reasoning"),
                cost_usd: None,
                simulated: false,
                reported: true,
            };
            let cost_usd =
                fields.number("cost_usd", 0.0, MOST_COST.dollars()).and_then(Usd::from_dollars);
            let model = fields.text("model", 200).map(str::to_owned);
            let id = fields.text("id", 100).map(str::to_owned);
            let timed = fields.text("timestamp", 100).map(|at| format!("{at}:{usage:?}"));
            let key = id.or_else(|| timed.map(|text| sha256_hex(text.as_bytes())));
            Some(Said::Usage { usage: Usage { cost_usd, ..usage }, model, key })
        }
        "question" => {
            fields.required_text("text", MOST_MESSAGE).map(|text| Said::Question(text.to_owned()))
        }
        "turn_end" => {
            let message_ref = fields.text("message_ref", 500).map(str::to_owned);
            Some(Said::TurnEnd { message_ref })
        }
        _ => None,
    }
}

/// Work that an agent gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenBack {
    /// The right by which it had it.
    pub fencing_token: u64,
    /// Why.
    pub reason: String,
}

impl GivenBack {
    /// Reads it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(sent: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::of(sent);
        let fencing_token = fields.whole("fencing_token");
        if fields.value("fencing_token").is_none() {
            fields.wrong("fencing_token", "required", "must be the one of the assignment");
        }
        let reason = fields.text("reason", 500).filter(|text| !text.trim().is_empty());
        let reason = reason.unwrap_or("it gives no reason").to_owned();
        fields.finish(fencing_token.map(|fencing_token| Self { fencing_token, reason }))
    }
}

/// Reads a heartbeat that is heard now.
///
/// # Errors
/// Everything that is wrong with it.
pub fn heartbeat(
    agent_id: AgentId,
    sent: &Map<String, Value>,
    now: Timestamp,
) -> Result<Heartbeat, Vec<FieldError>> {
    let mut fields = Fields::of(sent);
    if fields.value("status").is_none() {
        fields.wrong("status", "required", "must be healthy, degraded, busy or offline");
    }
    let known = "healthy, degraded, busy, offline";
    let status = fields.word("status", HeartbeatStatus::parse, known);
    let current_load = fields.number("current_load", 0.0, 1.0).unwrap_or(0.0);
    let tasks = fields.whole("tasks_in_progress").unwrap_or(0);
    let metrics = fields.map("metrics").cloned().unwrap_or_default();
    let metrics_at = fields.pointer("metrics");
    fields.errors.map(&metrics_at, &metrics);
    let said_at = match fields.text("timestamp", 100).map(Timestamp::parse) {
        Some(None) => {
            fields.wrong("timestamp", "invalid", "must be a time such as 2026-01-31T12:00:00Z");
            None
        }
        said => said.flatten(),
    };
    fields.finish(status.map(|status| Heartbeat {
        agent_id,
        heard_at: now,
        said_at,
        status,
        current_load,
        tasks_in_progress: u32::try_from(tasks).unwrap_or(u32::MAX),
        metrics,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places<T: std::fmt::Debug>(read: Result<T, Vec<FieldError>>) -> Vec<String> {
        read.expect_err("wrong").into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn reports_are_read_and_unknown_events_left_out() {
        let sent = json!({ "fencing_token": 7, "events": [
            { "type": "progress", "percentage": 50 },
            { "type": "dance" },
            { "type": "log", "message": "m" },
            { "type": "usage", "tokens_input": 3, "cost_usd": 0.5 },
            { "type": "question", "text": "which?" },
            { "type": "turn_end" },
        ] });
        let report = Report::read(sent.as_object().expect("an object")).expect("readable");
        assert_eq!((report.fencing_token, report.events.len()), (7, 5));
        assert_eq!(report.events[4], Said::TurnEnd { message_ref: None });
        let log = Said::Log { level: Level::Info, message: "m".to_owned() };
        assert_eq!(report.events[1], log);
    }

    #[test]
    fn what_is_wrong_with_a_report_is_told_with_its_place() {
        let sent = json!({ "events": [
            { "type": "progress", "percentage": 101 }, { "type": "log" }, 1, {},
            { "type": "phase", "phase": "sleeping" },
        ] });
        let expected = [
            "/fencing_token",
            "/events/0/percentage",
            "/events/1/message",
            "/events/2",
            "/events/3/type",
            "/events/4/phase",
        ];
        assert_eq!(places(Report::read(sent.as_object().expect("an object"))), expected);
        let empty = json!({ "fencing_token": 1, "events": [] });
        assert_eq!(places(Report::read(empty.as_object().expect("an object"))), ["/events"]);
    }

    #[test]
    fn heartbeats_are_read() {
        let read = |value: Value| {
            let agent = AgentId::new(uuid::Uuid::nil());
            heartbeat(agent, value.as_object().expect("an object"), Timestamp::EPOCH)
        };
        let beat = read(json!({ "status": "busy", "extra": true })).expect("readable");
        assert_eq!((beat.status, beat.current_load.to_bits()), (HeartbeatStatus::Busy, 0));
        let wrong =
            json!({ "status": "fine", "current_load": 1.1, "timestamp": "noon", "metrics": 3 });
        assert_eq!(places(read(wrong)), ["/status", "/current_load", "/metrics", "/timestamp"]);
        assert_eq!(places(read(json!({}))), ["/status"]);
    }
}
