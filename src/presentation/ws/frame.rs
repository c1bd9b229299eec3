//! Frames: what goes over a socket, in both directions.

use axum::extract::ws::Utf8Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::rooms::Named;
use crate::application::events::Delta;
use crate::application::external::Beat;
use crate::application::ports::journal::Entry;
use crate::domain::event::{EventType, StoredEvent};
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::redact::Redactor;
use crate::domain::tenant::key::Role;
use crate::domain::time::Timestamp;
use crate::presentation::api::dto::event::EventDto;

/// What is told of a room that there is not.
const UNKNOWN_ROOM: &str = "this room is not known; known are sessions, session:<id or code>, agents, \
    agent:<id or name>, tasks, task:<id>, contexts, context:<id>, locks, system, usage, tenant, events";

/// A frame in bytes, with what decides who gets it. The bytes are shared by all sockets.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Number of the event; `None` for what is not stored.
    pub seq: Option<u64>,
    /// What stands before the dot in its type.
    pub area: &'static str,
    /// The session or agent that it is about.
    subject: Option<Uuid>,
    /// The session that it names.
    named: Option<Uuid>,
    /// The role that may see it.
    pub needs: Role,
    /// Whether only administrators of the system may see it.
    pub of_system: bool,
    /// Whether the external agent that it is about may see it.
    pub is_for_its_agent: bool,
    /// Whether the agent that it is about is gone.
    pub is_farewell: bool,
    /// The text.
    pub text: Utf8Bytes,
}

impl Frame {
    /// An event.
    #[must_use]
    pub fn event(stored: &StoredEvent) -> Self {
        let name = stored.event.event_type.as_str();
        let area = name.split_once('.').map_or(name, |(area, _)| area);
        let named = stored.event.payload.get("session_id").and_then(Value::as_str);
        let text = serde_json::to_string(&EventDto::from(stored)).unwrap_or_default();
        Self {
            seq: Some(stored.seq),
            area,
            subject: Some(stored.event.subject.id),
            named: named.and_then(|id| Uuid::try_parse(id).ok()),
            needs: stored.event.event_type.needs(),
            of_system: false,
            is_for_its_agent: stored.event.event_type.is_for_its_agent(),
            is_farewell: stored.event.event_type == EventType::AgentDeregistered,
            text: text.into(),
        }
    }

    /// An event of the server itself; its number is not one of the tenant's sequence.
    #[must_use]
    pub fn of_system(stored: &StoredEvent) -> Self {
        let is_for_its_agent = false;
        Self {
            seq: None,
            needs: Role::Admin,
            of_system: true,
            is_for_its_agent,
            ..Self::event(stored)
        }
    }

    /// A line of a session's log.
    #[must_use]
    pub fn log(tenant: TenantId, session: SessionId, entry: &Entry) -> Self {
        let mut payload = if let Value::Object(fields) = &entry.body {
            fields.clone()
        } else {
            Map::from_iter([("message".to_owned(), entry.body.clone())])
        };
        payload.insert("session_id".to_owned(), json!(session));
        payload.insert("level".to_owned(), json!(entry.kind));
        payload.insert("log_seq".to_owned(), json!(entry.seq));
        payload.insert("timestamp".to_owned(), json!(entry.at));
        Self::of_session("session.log", tenant, session, entry.at, &Value::Object(payload))
    }

    /// Words of an agent as they come.
    #[must_use]
    pub fn delta(delta: &Delta) -> Self {
        let Delta { tenant, session, part, text, at } = delta;
        let payload = json!({ "session_id": session, "part": part, "text": text });
        Self::of_session("session.output_delta", *tenant, *session, *at, &payload)
    }

    /// How an agent says that it is.
    #[must_use]
    pub fn beat(beat: &Beat) -> Self {
        let Beat { tenant, agent, status, current_load, tasks_in_progress, at } = *beat;
        let payload = json!({
            "agent_id": agent, "status": status, "current_load": current_load,
            "tasks_in_progress": tasks_in_progress,
        });
        Self::passing("agent.heartbeat", "agent", (tenant, agent.uuid()), at, &payload)
    }

    fn of_session(
        name: &str,
        tenant: TenantId,
        session: SessionId,
        at: Timestamp,
        payload: &Value,
    ) -> Self {
        Self::passing(name, "session", (tenant, session.uuid()), at, payload)
    }

    fn passing(
        name: &str,
        area: &'static str,
        (tenant, id): (TenantId, Uuid),
        at: Timestamp,
        payload: &Value,
    ) -> Self {
        let subject = json!({ "kind": area, "id": id });
        Self {
            seq: None,
            area,
            subject: Some(id),
            named: None,
            needs: Role::Viewer,
            of_system: false,
            is_for_its_agent: false,
            is_farewell: false,
            text: server(name, Some(tenant), &subject, at, payload),
        }
    }

    /// Whether it is about this agent.
    #[must_use]
    pub fn is_about(&self, agent: AgentId) -> bool {
        self.area == "agent" && self.subject == Some(agent.uuid())
    }

    /// Whether it is about this session or names it.
    #[must_use]
    pub fn names(&self, session: Uuid) -> bool {
        self.subject == Some(session) || self.named == Some(session)
    }
}

/// A frame for an external agent alone: work that waits for it, or something to know.
#[must_use]
pub fn for_agent(
    name: &str,
    (tenant, agent): (TenantId, AgentId),
    at: Timestamp,
    payload: &Value,
) -> Utf8Bytes {
    let subject = json!({ "kind": "agent", "id": agent });
    server(name, Some(tenant), &subject, at, payload)
}

/// A frame of the server about the connection itself.
#[must_use]
pub fn notice(name: &str, tenant: TenantId, at: Timestamp, payload: &Value) -> Utf8Bytes {
    server(name, Some(tenant), &Value::Null, at, payload)
}

fn server(
    name: &str,
    tenant: Option<TenantId>,
    subject: &Value,
    at: Timestamp,
    payload: &Value,
) -> Utf8Bytes {
    let frame = json!({
        "type": name, "seq": null, "tenant_id": tenant, "subject": subject,
        "payload": payload, "timestamp": at,
    });
    frame.to_string().into()
}

/// What a frame tells of an error: its code, and what happened without secrets.
#[must_use]
pub fn failure(code: &str, message: &str, redactor: &Redactor) -> Value {
    json!({ "code": code, "message": redactor.redact(message) })
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Join rooms; stored events behind `after` come first.
    Subscribe {
        /// Which rooms.
        rooms: Vec<Named>,
        /// Where to begin.
        after: Option<u64>,
    },
    /// Leave rooms.
    Unsubscribe(Vec<Named>),
    /// A sign of life that wants an answer.
    Ping,
    /// A sign of life.
    Pong,
    /// How many connections and rooms there are.
    Stats,
}

impl Asked {
    /// Reads a frame of a client.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|_| "a frame must be a JSON object".to_owned())?;
        let name = value.get("type").and_then(Value::as_str).ok_or("a frame needs a `type`")?;
        match name {
            "subscribe" | "join_room" => Ok(Self::Subscribe {
                rooms: rooms(&value)?,
                after: match value.get("after") {
                    None | Some(Value::Null) => None,
                    Some(after) => {
                        Some(after.as_u64().ok_or("`after` must be the seq of an event")?)
                    }
                },
            }),
            "unsubscribe" | "leave_room" => Ok(Self::Unsubscribe(rooms(&value)?)),
            "ping" => Ok(Self::Ping),
            "pong" => Ok(Self::Pong),
            "get_stats" => Ok(Self::Stats),
            _ => Err(
                "this `type` is not known; known are subscribe, unsubscribe, ping, pong, get_stats"
                    .to_owned(),
            ),
        }
    }
}

fn rooms(value: &Value) -> Result<Vec<Named>, String> {
    let named: Vec<&Value> = match (value.get("rooms"), value.get("room")) {
        (Some(Value::Array(rooms)), None) => rooms.iter().collect(),
        (None, Some(room)) => vec![room],
        _ => return Err("`rooms` must be a list of rooms".to_owned()),
    };
    if named.is_empty() || named.len() > 100 {
        return Err("1 to 100 rooms can be named at once".to_owned());
    }
    let parse = |room: &Value| {
        let room = room.as_str().and_then(Named::parse);
        room.ok_or_else(|| UNKNOWN_ROOM.to_owned())
    };
    named.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rooms::Room;
    use super::*;

    #[test]
    fn what_is_told_of_an_error_holds_no_secret() {
        let secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
        let told = failure("X", &format!("marmalade {secret}"), &Redactor::default()).to_string();
        assert!(told.contains("marmalade [REDACTED:") && !told.contains(secret), "{told}");
    }

    #[test]
    fn client_frames_are_read_strictly() {
        let subscribe = Asked::parse(r#"{"type":"subscribe","rooms":["sessions"],"after":3}"#);
        let rooms = vec![Named::Room(Room::Sessions)];
        assert_eq!(subscribe, Ok(Asked::Subscribe { rooms: rooms.clone(), after: Some(3) }));
        let alias = Asked::parse(r#"{"type":"leave_room","room":"sessions"}"#);
        assert_eq!(alias, Ok(Asked::Unsubscribe(rooms)));
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"type":"dance"}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","rooms":[]}"#,
            r#"{"type":"subscribe","rooms":["session:nobody"]}"#,
            r#"{"type":"subscribe","rooms":["sessions"],"after":-1}"#,
        ] {
            assert!(Asked::parse(wrong).is_err(), "{wrong}");
        }
    }
}
