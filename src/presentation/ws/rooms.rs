//! Rooms: which frames a connection wants.

use uuid::Uuid;

use super::frame::Frame;
use crate::domain::ids::SessionId;
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
    /// Events of agents.
    Agents,
    /// Events of the server.
    System,
    /// What was used.
    Usage,
    /// People, keys and quotas; administrators only.
    Tenant,
    /// Everything that the caller may see.
    Events,
}

/// A room as a client names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// This one.
    Room(Room),
    /// That of the session with this code.
    Coded(SessionCode),
}

impl Named {
    /// Reads `sessions`, `session:<id>` or `session:<code>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let room = match text {
            "sessions" => Room::Sessions,
            "agents" => Room::Agents,
            "system" => Room::System,
            "usage" => Room::Usage,
            "tenant" => Room::Tenant,
            "events" => Room::Events,
            _ => {
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
            Self::Agents => Right::read(Role::Viewer, Area::Agents),
            Self::System => Right::read(Role::Viewer, Area::System),
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
            Self::System => "system",
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
            Self::System => frame.area == "system",
            Self::Usage => frame.area == "usage",
            Self::Tenant => frame.area == "tenant",
            Self::Events => frame.seq.is_some(),
        }
    }

    /// The session that it is about.
    #[must_use]
    pub const fn session(self) -> Option<Uuid> {
        if let Self::Session(id) = self { Some(id.uuid()) } else { None }
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.resource())?;
        self.session().map_or(Ok(()), |id| write!(formatter, ":{id}"))
    }
}
