//! Who wrote what, and who knows of it: writers, their counters, and the stamp of every leaf.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::closed_enum;
use crate::domain::ids::{AgentId, ContextId, SessionId};
use crate::domain::time::Timestamp;

closed_enum!(
    /// What kind of writer it was.
    AuthorKind {
        Person = "person",
        Key = "key",
        Agent = "agent",
        System = "system",
    }
);

/// Who wrote, and in which session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// What kind.
    pub kind: AuthorKind,
    /// The person, the key or the agent; nil for the product itself.
    pub principal: Uuid,
    /// As events and lists call it.
    pub name: String,
    /// The session that an agent worked on.
    pub session_id: Option<SessionId>,
    /// The agent.
    pub agent_id: Option<AgentId>,
}

impl Author {
    /// A part of the product.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self {
            kind: AuthorKind::System,
            principal: Uuid::nil(),
            name: name.to_owned(),
            session_id: None,
            agent_id: None,
        }
    }

    /// Whether what it wrote may be taken at its word: what an agent writes may have been put into its
    /// mouth by what it read.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.kind != AuthorKind::Agent
    }

    /// What finds it among the authors of a context.
    #[must_use]
    pub const fn key(&self) -> AuthorKey {
        (self.principal, self.session_id)
    }
}

/// What finds an author among those of a context.
pub type AuthorKey = (Uuid, Option<SessionId>);

/// A writer of one context, spelled `<context_id>:<principal_id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterKey {
    /// Where it wrote.
    pub context: ContextId,
    /// Who.
    pub principal: Uuid,
}

impl std::fmt::Display for WriterKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.context, self.principal)
    }
}

/// Which write a leaf comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Whose.
    pub writer: WriterKey,
    /// The session that the writer worked on.
    pub session: Option<SessionId>,
    /// Which of its writes.
    pub counter: u64,
    /// When.
    pub updated_at: Timestamp,
}

impl Stamp {
    /// What finds its author.
    #[must_use]
    pub const fn author(&self) -> AuthorKey {
        (self.writer.principal, self.session)
    }
}

/// How many writes of each writer are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vector(BTreeMap<WriterKey, u64>);

impl Vector {
    /// A vector as it was stored.
    #[must_use]
    pub const fn of(counts: BTreeMap<WriterKey, u64>) -> Self {
        Self(counts)
    }

    /// Each writer with its count.
    pub fn iter(&self) -> impl Iterator<Item = (WriterKey, u64)> {
        self.0.iter().map(|(writer, count)| (*writer, *count))
    }

    /// Whether a write is known.
    #[must_use]
    pub fn knows(&self, stamp: &Stamp) -> bool {
        self.0.get(&stamp.writer).is_some_and(|count| *count >= stamp.counter)
    }

    /// Whether everything that the other knows is known.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(writer, count)| self.0.get(&writer).is_some_and(|own| *own >= count))
    }

    /// Counts one more write; its number.
    pub fn count(&mut self, writer: WriterKey) -> u64 {
        let count = self.0.entry(writer).or_default();
        *count += 1;
        *count
    }

    /// Knows what the other knows, too.
    pub fn join(&mut self, other: &Self) {
        for (writer, count) in other.iter() {
            let own = self.0.entry(writer).or_default();
            *own = (*own).max(count);
        }
    }
}

/// The stamp of every leaf, by its path.
pub type Stamps = BTreeMap<String, Stamp>;

/// The stamps at and below a path.
pub fn below<'a>(
    stamps: &'a Stamps,
    path: &str,
) -> impl Iterator<Item = (&'a String, &'a Stamp)> + use<'a> {
    // A slash comes right after a dot, and dots within names are escaped.
    let inner = stamps.range(format!("{path}.")..format!("{path}/"));
    stamps.get_key_value(path).into_iter().chain(inner)
}

/// Forgets the stamps at and below a path.
pub fn forget(stamps: &mut Stamps, path: &str) {
    let gone: Vec<String> = below(stamps, path).map(|(path, _)| path.clone()).collect();
    for path in gone {
        stamps.remove(&path);
    }
}
