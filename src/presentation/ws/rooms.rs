//! Rooms: which frames a connection wants.

use uuid::Uuid;

use super::frame::Frame;
use crate::domain::ids::{AgentId, ContextId, SessionId, TaskId};
use crate::domain::session::SessionCode;
use crate::domain::tenant::key::Role;
use crate::domain::tenant::right::Right;
use crate::domain::tenant::scope::Area;

/// What a connection can join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// Every event of sessions.
    Sessions,
    /// Everything about one session.
    Session(SessionId),
    /// Events of agents, and how they say that they are.
    Agents,
    /// The same of one agent.
    Agent(AgentId),
    /// Events of tasks.
    Tasks,
    /// The same of one task.
    Task(TaskId),
    /// Events of contexts.
    Contexts,
    /// The same of one context.
    Context(ContextId),
    /// Events of the server.
    System,
    /// Events of locks.
    Locks,
    /// What was used.
    Usage,
    /// People, keys and quotas; administrators only.
    Tenant,
    /// Everything that the caller may see.
    Events,
}

/// A room as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// This one.
    Room(Room),
    /// That of the session with this code.
    Coded(SessionCode),
    /// That of the agent with this name.
    Called(String),
}

/// The longest name of an agent, in bytes.
const LONGEST_NAME: usize = 70;

impl Named {
    /// Reads `sessions`, `session:<id>` or `session:<code>`, and the like.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let room = match text {
            "sessions" => Room::Sessions,
            "agents" => Room::Agents,
            "tasks" => Room::Tasks,
            "contexts" => Room::Contexts,
            "system" => Room::System,
            "locks" => Room::Locks,
            "usage" => Room::Usage,
            "tenant" => Room::Tenant,
            "events" => Room::Events,
            _ => {
                if let Some(agent) = text.strip_prefix("agent:") {
                    let id = AgentId::parse(agent).map(|id| Self::Room(Room::Agent(id)));
                    let is_name = !agent.is_empty() && agent.len() <= LONGEST_NAME;
                    return id.or_else(|| is_name.then(|| Self::Called(agent.to_owned())));
                }
                if let Some(task) = text.strip_prefix("task:") {
                    return TaskId::parse(task).map(|id| Self::Room(Room::Task(id)));
                }
                if let Some(context) = text.strip_prefix("context:") {
                    return ContextId::parse(context).map(|id| Self::Room(Room::Context(id)));
                }
                let session = text.strip_prefix("session:")?;
                let Some(id) = SessionId::parse(session) else {
                    return SessionCode::parse(session).map(Self::Coded);
                };
                Room::Session(id)
            }
        };
        Some(Self::Room(room))
    }
}

impl Room {
    /// The rights that joining needs.
    #[must_use]
    pub const fn needs(self) -> Right {
        match self {
            Self::Sessions | Self::Session(_) => Right::read(Role::Viewer, Area::Sessions),
            Self::Agents | Self::Agent(_) => Right::read(Role::Viewer, Area::Agents),
            Self::Tasks | Self::Task(_) => Right::read(Role::Viewer, Area::Tasks),
            Self::Contexts | Self::Context(_) => Right::read(Role::Viewer, Area::Contexts),
            Self::System => Right::read(Role::Viewer, Area::System),
            Self::Locks => Right::read(Role::Viewer, Area::Locks),
            Self::Usage => Right::read(Role::Viewer, Area::Usage),
            Self::Tenant => Right::read(Role::Admin, Area::Tenants),
            Self::Events => Right::read(Role::Viewer, Area::Events),
        }
    }

    /// The kind of thing that it is about.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Session(_) => "session",
            Self::Agents => "agents",
            Self::Agent(_) => "agent",
            Self::Tasks => "tasks",
            Self::Task(_) => "task",
            Self::Contexts => "contexts",
            Self::Context(_) => "context",
            Self::System => "system",
            Self::Locks => "locks",
            Self::Usage => "usage",
            Self::Tenant => "tenant",
            Self::Events => "events",
        }
    }

    /// Whether a frame belongs here. Words of an agent go to its own session's room alone.
    #[must_use]
    pub fn holds(self, frame: &Frame) -> bool {
        match self {
            Self::Session(id) => frame.names(id.uuid()),
            Self::Sessions => frame.area == "session" && frame.seq.is_some(),
            Self::Agents => frame.area == "agent",
            Self::Agent(id) => frame.is_about(id),
            Self::Tasks => frame.area == "task",
            Self::Task(id) => frame.area == "task" && frame.names(id.uuid()),
            Self::Contexts => frame.area == "context",
            Self::Context(id) => frame.area == "context" && frame.names(id.uuid()),
            Self::System => frame.area == "system",
            Self::Locks => frame.area == "lock",
            Self::Usage => frame.area == "usage",
            Self::Tenant => frame.area == "tenant",
            Self::Events => frame.seq.is_some(),
        }
    }

    /// The session that it is about.
    #[must_use]
    pub const fn session(self) -> Option<SessionId> {
        if let Self::Session(id) = self { Some(id) } else { None }
    }

    /// The one thing that it is about, whatever that is.
    #[must_use]
    pub const fn thing(self) -> Option<Uuid> {
        match self {
            Self::Session(id) => Some(id.uuid()),
            Self::Agent(id) => Some(id.uuid()),
            Self::Context(id) => Some(id.uuid()),
            Self::Task(id) => Some(id.uuid()),
            Self::Sessions
            | Self::Agents
            | Self::Contexts
            | Self::Tasks
            | Self::Locks
            | Self::System
            | Self::Usage
            | Self::Tenant
            | Self::Events => None,
        }
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.resource())?;
        self.thing().map_or(Ok(()), |id| write!(formatter, ":{id}"))
    }
}
