//! Contexts on the wire.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::application::context::{Changed, Compared, ContextView, KeyView, Past, Summary};
use crate::domain::context::merge::{Clash, PendingMerge};
use crate::domain::context::stamp::{Author, AuthorKind};
use crate::domain::context::write::{ContextOp, Entry};
use crate::domain::context::{Context, ContextScope};
use crate::domain::ids::{AgentId, ContextId, SessionId, TaskId, TenantId};
use crate::domain::time::Timestamp;

/// Who wrote: what an agent wrote may have been put into its mouth by what it read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextAuthor)]
pub struct AuthorDto {
    /// What kind of writer it was.
    pub kind: AuthorKind,
    /// The person, the key or the agent.
    pub id: Uuid,
    /// As events call it.
    pub name: String,
    /// The session that an agent worked on.
    pub session_id: Option<SessionId>,
    /// The agent.
    pub agent_id: Option<AgentId>,
    /// Whether it was no agent.
    pub trusted: bool,
}

impl From<&Author> for AuthorDto {
    fn from(author: &Author) -> Self {
        let Author { kind, principal, name, session_id, agent_id } = author.clone();
        let (trusted, id) = (author.is_trusted(), principal);
        Self { kind, id, name, session_id, agent_id, trusted }
    }
}

/// What sessions, tasks and agents remember.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Context)]
pub struct ContextDto {
    /// Its identity.
    pub id: ContextId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// For whom.
    pub scope: ContextScope,
    /// The session that it belongs to.
    pub session_id: Option<SessionId>,
    /// The task that it belongs to.
    pub task_id: Option<TaskId>,
    /// The agent that it belongs to.
    pub agent_id: Option<AgentId>,
    /// The same for a context and its copies.
    pub lineage_id: ContextId,
    /// What is remembered, at most 1 MiB.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// One more for each accepted write.
    pub version: u64,
    /// How many writes of each writer are in it.
    pub version_vector: BTreeMap<String, u64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it goes, unless it is written before; null for ever, and while its session is open.
    pub expires_at: Option<Timestamp>,
    /// For people and programs; the product adds where copies come from.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Whether nothing in it was written by an agent.
    pub trusted: bool,
    /// Who wrote what is in it.
    pub authors: Vec<AuthorDto>,
    /// The older version that the write which is answered was based on.
    pub rebased_from: Option<u64>,
}

impl From<&ContextView> for ContextDto {
    fn from(view: &ContextView) -> Self {
        let ContextView { context, expires_at, rebased_from, made: _ } = view.clone();
        let trusted = context.value.is_trusted();
        let Context {
            id,
            tenant_id,
            scope,
            session_id,
            task_id,
            agent_id,
            lineage_id,
            data,
            stamps: _,
            vector,
            authors,
            metadata,
            created_by,
            created_at,
            updated_at,
        } = context.value;
        let counted = vector.iter().map(|(writer, count)| (writer.to_string(), count));
        Self {
            id,
            tenant_id,
            scope,
            session_id,
            task_id,
            agent_id,
            lineage_id,
            data,
            version: context.version.get(),
            version_vector: counted.collect(),
            created_at,
            updated_at,
            created_by: created_by.name,
            expires_at,
            metadata,
            trusted,
            authors: authors.values().map(AuthorDto::from).collect(),
            rebased_from,
        }
    }
}

/// One value of a context.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextKey)]
pub struct KeyDto {
    /// Of which context.
    pub context_id: ContextId,
    /// Where.
    pub path: String,
    /// What stands there.
    pub value: Value,
    /// Version of the context.
    pub version: u64,
    /// When the newest of it was written.
    pub updated_at: Option<Timestamp>,
    /// Who wrote that.
    pub updated_by: Option<AuthorDto>,
    /// Whether no agent wrote any of it.
    pub trusted: bool,
}

impl From<&KeyView> for KeyDto {
    fn from(view: &KeyView) -> Self {
        let KeyView { context, path, value, updated, is_trusted } = view.clone();
        let (by, at) = updated.unzip();
        Self {
            context_id: context.context.value.id,
            path: path.to_string(),
            value,
            version: context.context.version.get(),
            updated_at: at,
            updated_by: by.as_ref().map(AuthorDto::from),
            trusted: is_trusted,
        }
    }
}

/// What one version changed at one path.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextChange)]
pub struct ChangeDto {
    /// The version that it made.
    pub version: u64,
    /// Where.
    pub path: String,
    /// How.
    pub op: ContextOp,
    /// What stood there.
    pub old_value: Option<Value>,
    /// What stands there.
    pub new_value: Option<Value>,
    /// When.
    pub changed_at: Timestamp,
    /// Who.
    pub changed_by: String,
    /// More about them.
    pub author: AuthorDto,
}

impl From<Changed> for ChangeDto {
    fn from(changed: Changed) -> Self {
        let Changed { place: (version, _), entry, at, by } = changed;
        let Entry { path, op, old_value, new_value, displaced: _ } = entry;
        let author = AuthorDto::from(&by);
        Self {
            version,
            path: path.to_string(),
            op,
            old_value,
            new_value,
            changed_at: at,
            changed_by: by.name,
            author,
        }
    }
}

/// A version as it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextVersion)]
pub struct VersionDto {
    /// Of which context.
    pub context_id: ContextId,
    /// Which version.
    pub version: u64,
    /// Whether it is the one that stands.
    pub is_current: bool,
    /// What was remembered.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}

impl From<Past> for VersionDto {
    fn from(past: Past) -> Self {
        let Past { id, version, is_current, data } = past;
        Self { context_id: id, version, is_current, data }
    }
}

/// What the second of two contexts or versions has differently; leaves only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextDiff)]
pub struct DiffDto {
    /// The first.
    pub context_id: ContextId,
    /// Its version.
    pub version: u64,
    /// The second.
    pub other_id: ContextId,
    /// Its version.
    pub other_version: u64,
    /// Leaves that only the second has.
    #[schema(value_type = Object)]
    pub added: BTreeMap<String, Value>,
    /// Leaves that differ: the value of the first and that of the second.
    #[schema(value_type = Object)]
    pub modified: BTreeMap<String, (Value, Value)>,
    /// Leaves that only the first has.
    #[schema(value_type = Object)]
    pub deleted: BTreeMap<String, Value>,
    /// Where they differ and neither knows of the other's write.
    pub conflicts: Vec<String>,
    /// Whether there are such.
    pub has_conflicts: bool,
}

impl From<Compared> for DiffDto {
    fn from(compared: Compared) -> Self {
        let Compared { first, second, diff } = compared;
        Self {
            context_id: first.0,
            version: first.1,
            other_id: second.0,
            other_version: second.1,
            added: diff.added,
            modified: diff.modified,
            deleted: diff.deleted,
            has_conflicts: !diff.conflicts.is_empty(),
            conflicts: diff.conflicts,
        }
    }
}

/// Two sides that differ, and neither knows of the other.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextClash)]
pub struct ClashDto {
    /// Where.
    pub path: String,
    /// What the target has there.
    pub target: Value,
    /// What the source has there.
    pub source: Value,
}

/// What came of a merge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextMerge)]
pub struct MergeDto {
    /// `merged`, or `conflicted` while clashes are to be decided.
    #[schema(value_type = String, example = "merged")]
    pub status: &'static str,
    /// The merged context, or the id that it will have.
    pub context_id: ContextId,
    /// The merged context.
    pub context: Option<ContextDto>,
    /// What is to be decided.
    pub conflicts: Vec<ClashDto>,
    /// When a merge that waits is forgotten.
    pub expires_at: Option<Timestamp>,
}

impl From<&ContextView> for MergeDto {
    fn from(view: &ContextView) -> Self {
        let context = ContextDto::from(view);
        Self {
            status: "merged",
            context_id: context.id,
            context: Some(context),
            conflicts: Vec::new(),
            expires_at: None,
        }
    }
}

impl From<&PendingMerge> for MergeDto {
    fn from(pending: &PendingMerge) -> Self {
        let clash = |Clash { path, target, source }: &Clash| ClashDto {
            path: path.to_string(),
            target: target.clone(),
            source: source.clone(),
        };
        Self {
            status: "conflicted",
            context_id: pending.id,
            context: None,
            conflicts: pending.clashes.iter().map(clash).collect(),
            expires_at: Some(pending.expires_at),
        }
    }
}

/// A context of a session, without what it remembers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextRow)]
pub struct RowDto {
    /// Its identity.
    pub id: ContextId,
    /// For whom.
    pub scope: ContextScope,
    /// Its version.
    pub version: u64,
    /// Paths in it, those of maps too.
    pub key_count: usize,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A recent change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextRecentChange)]
pub struct RecentDto {
    /// Of which context.
    pub context_id: ContextId,
    /// Where.
    pub key: String,
    /// When.
    pub changed_at: Timestamp,
    /// Who.
    pub changed_by: String,
}

/// What the contexts of a session hold.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContextSummary)]
pub struct SummaryDto {
    /// Which session.
    pub session_id: SessionId,
    /// How many contexts it has; of the first 200 more is told.
    pub context_count: usize,
    /// Paths in all of them.
    pub total_keys: usize,
    /// Each of them.
    pub contexts: Vec<RowDto>,
    /// The ten newest changes.
    pub recent_changes: Vec<RecentDto>,
}

impl From<Summary> for SummaryDto {
    fn from(summary: Summary) -> Self {
        let Summary { session_id, contexts, recent } = summary;
        let row = |(view, key_count): &(ContextView, usize)| RowDto {
            id: view.context.value.id,
            scope: view.context.value.scope,
            version: view.context.version.get(),
            key_count: *key_count,
            updated_at: view.context.value.updated_at,
        };
        let changed = |(context_id, changed): (ContextId, Changed)| RecentDto {
            context_id,
            key: changed.entry.path.to_string(),
            changed_at: changed.at,
            changed_by: changed.by.name,
        };
        Self {
            session_id,
            context_count: contexts.len(),
            total_keys: contexts.iter().map(|(_, keys)| keys).sum(),
            contexts: contexts.iter().map(row).collect(),
            recent_changes: recent.into_iter().map(changed).collect(),
        }
    }
}
