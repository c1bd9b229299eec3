//! Contexts, what their versions changed, and merges that wait.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Payload, Record, Unreadable, Unstorable, json, json_map, map, optional_json, optional_value,
    value, word,
};
use crate::domain::context::merge::{Clash, PendingMerge};
use crate::domain::context::path::Path;
use crate::domain::context::stamp::{Author, AuthorKind, Stamp, Stamps, Vector, WriterKey};
use crate::domain::context::write::{ContextOp, Entry, Group};
use crate::domain::context::{Context, ContextScope};
use crate::domain::ids::{AgentId, ContextId, SessionId, TaskId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct AuthorV1 {
    kind: String,
    principal: [u8; 16],
    name: String,
    session_id: Option<[u8; 16]>,
    agent_id: Option<[u8; 16]>,
}

fn author_out(author: &Author) -> AuthorV1 {
    let Author { kind, principal, name, session_id, agent_id } = author;
    AuthorV1 {
        kind: kind.as_str().to_owned(),
        principal: *principal.as_bytes(),
        name: name.clone(),
        session_id: session_id.map(|id| *id.as_bytes()),
        agent_id: agent_id.map(|id| *id.as_bytes()),
    }
}

fn author_in(author: AuthorV1) -> Result<Author, Unreadable> {
    let AuthorV1 { kind, principal, name, session_id, agent_id } = author;
    Ok(Author {
        kind: word(&kind, AuthorKind::parse, "kind")?,
        principal: Uuid::from_bytes(principal),
        name,
        session_id: session_id.map(SessionId::from_bytes),
        agent_id: agent_id.map(AgentId::from_bytes),
    })
}

/// Where a writer wrote, who it is, and on which session it worked.
type WriterV1 = ([u8; 16], [u8; 16], Option<[u8; 16]>);
/// Bytes that a path shares with the one before, the rest of it, the writer's place, its counter, when.
type StampV1 = (u32, String, u32, u64, i64);

#[derive(Serialize, Deserialize)]
struct ContextV1 {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    scope: String,
    session_id: Option<[u8; 16]>,
    task_id: Option<[u8; 16]>,
    agent_id: Option<[u8; 16]>,
    lineage_id: [u8; 16],
    data: String,
    writers: Vec<WriterV1>,
    stamps: Vec<StampV1>,
    vector: Vec<([u8; 16], [u8; 16], u64)>,
    authors: Vec<AuthorV1>,
    metadata: String,
    created_by: AuthorV1,
    created_at: i64,
    updated_at: i64,
}

/// Stamps with each writer spelled once and of each path what is new: there may be very many.
fn stamps_out(stamps: &Stamps) -> (Vec<WriterV1>, Vec<StampV1>) {
    let (mut writers, mut places) = (Vec::new(), BTreeMap::new());
    let (mut spelled, mut last) = (Vec::with_capacity(stamps.len()), "");
    for (path, Stamp { writer, session, counter, updated_at }) in stamps {
        let place = *places.entry((*writer, *session)).or_insert_with(|| {
            let WriterKey { context, principal } = writer;
            let session = session.map(|id| *id.as_bytes());
            writers.push((*context.as_bytes(), *principal.as_bytes(), session));
            u32::try_from(writers.len() - 1).unwrap_or(u32::MAX)
        });
        let same = path.chars().zip(last.chars()).take_while(|(left, right)| left == right);
        let shared: usize = same.map(|(left, _)| left.len_utf8()).sum();
        let rest = path[shared..].to_owned();
        let shared = u32::try_from(shared).unwrap_or(0);
        spelled.push((shared, rest, place, *counter, updated_at.millis()));
        last = path;
    }
    (writers, spelled)
}

fn stamps_in(writers: &[WriterV1], spelled: Vec<StampV1>) -> Result<Stamps, Unreadable> {
    let (mut stamps, mut last) = (Stamps::new(), String::new());
    for (shared, rest, place, counter, updated_at) in spelled {
        let shared = usize::try_from(shared).ok().and_then(|shared| last.get(..shared));
        let path = format!("{}{rest}", shared.ok_or(Unreadable::Field("stamps"))?);
        let writer = usize::try_from(place).ok().and_then(|place| writers.get(place));
        let (context, principal, session) = writer.ok_or(Unreadable::Field("writers"))?;
        let writer = WriterKey {
            context: ContextId::from_bytes(*context),
            principal: Uuid::from_bytes(*principal),
        };
        let session = session.map(SessionId::from_bytes);
        let updated_at = Timestamp::from_millis(updated_at);
        stamps.insert(path.clone(), Stamp { writer, session, counter, updated_at });
        last = path;
    }
    Ok(stamps)
}

impl Record for Versioned<Context> {
    const KIND: u8 = 60;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Context {
            id,
            tenant_id,
            scope,
            session_id,
            task_id,
            agent_id,
            lineage_id,
            data,
            stamps,
            vector,
            authors,
            metadata,
            created_by,
            created_at,
            updated_at,
        } = &self.value;
        let (writers, stamps) = stamps_out(stamps);
        let counted = |(writer, count): (WriterKey, u64)| {
            (*writer.context.as_bytes(), *writer.principal.as_bytes(), count)
        };
        Ok(codec::encode(&ContextV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            scope: scope.as_str().to_owned(),
            session_id: session_id.map(|id| *id.as_bytes()),
            task_id: task_id.map(|id| *id.as_bytes()),
            agent_id: agent_id.map(|id| *id.as_bytes()),
            lineage_id: *lineage_id.as_bytes(),
            data: json_map(data)?,
            writers,
            stamps,
            vector: vector.iter().map(counted).collect(),
            authors: authors.values().map(author_out).collect(),
            metadata: json_map(metadata)?,
            created_by: author_out(created_by),
            created_at: created_at.millis(),
            updated_at: updated_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let ContextV1 {
            version,
            id,
            tenant_id,
            scope,
            session_id,
            task_id,
            agent_id,
            lineage_id,
            data,
            writers,
            stamps,
            vector,
            authors,
            metadata,
            created_by,
            created_at,
            updated_at,
        } = payload.parse(1)?;
        let counted = |(context, principal, count)| {
            let (context, principal) =
                (ContextId::from_bytes(context), Uuid::from_bytes(principal));
            (WriterKey { context, principal }, count)
        };
        let authors: Vec<Author> =
            authors.into_iter().map(author_in).collect::<Result<_, Unreadable>>()?;
        let value = Context {
            id: ContextId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            scope: word(&scope, ContextScope::parse, "scope")?,
            session_id: session_id.map(SessionId::from_bytes),
            task_id: task_id.map(TaskId::from_bytes),
            agent_id: agent_id.map(AgentId::from_bytes),
            lineage_id: ContextId::from_bytes(lineage_id),
            data: map(&data, "data")?,
            stamps: stamps_in(&writers, stamps)?,
            vector: Vector::of(vector.into_iter().map(counted).collect()),
            authors: authors.into_iter().map(|author| (author.key(), author)).collect(),
            metadata: map(&metadata, "metadata")?,
            created_by: author_in(created_by)?,
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

fn path(text: &str) -> Result<Path, Unreadable> {
    Path::parse(text).map_err(|_| Unreadable::Field("path"))
}

#[derive(Serialize, Deserialize)]
struct EntryV1 {
    path: String,
    op: String,
    old_value: Option<String>,
    new_value: Option<String>,
    displaced: Option<(String, Option<String>)>,
}

#[derive(Serialize, Deserialize)]
struct GroupV1 {
    tenant_id: [u8; 16],
    context_id: [u8; 16],
    version: u64,
    entries: Vec<EntryV1>,
    changed_at: i64,
    changed_by: AuthorV1,
}

fn entry_out(entry: &Entry) -> Result<EntryV1, Unstorable> {
    let Entry { path, op, old_value, new_value, displaced } = entry;
    let displaced = displaced.as_ref().map(|(path, stood): &(Path, Option<Value>)| {
        Ok::<_, Unstorable>((path.to_string(), optional_json(stood.as_ref())?))
    });
    Ok(EntryV1 {
        path: path.to_string(),
        op: op.as_str().to_owned(),
        old_value: optional_json(old_value.as_ref())?,
        new_value: optional_json(new_value.as_ref())?,
        displaced: displaced.transpose()?,
    })
}

fn entry_in(entry: EntryV1) -> Result<Entry, Unreadable> {
    let EntryV1 { path: at, op, old_value, new_value, displaced } = entry;
    let displaced = displaced.map(|(at, stood)| {
        Ok::<_, Unreadable>((path(&at)?, optional_value(stood.as_ref(), "displaced")?))
    });
    Ok(Entry {
        path: path(&at)?,
        op: word(&op, ContextOp::parse, "op")?,
        old_value: optional_value(old_value.as_ref(), "old_value")?,
        new_value: optional_value(new_value.as_ref(), "new_value")?,
        displaced: displaced.transpose()?,
    })
}

impl Record for Group {
    const KIND: u8 = 61;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { tenant_id, context_id, version, entries, changed_at, changed_by } = self;
        Ok(codec::encode(&GroupV1 {
            tenant_id: *tenant_id.as_bytes(),
            context_id: *context_id.as_bytes(),
            version: *version,
            entries: entries.iter().map(entry_out).collect::<Result<_, Unstorable>>()?,
            changed_at: changed_at.millis(),
            changed_by: author_out(changed_by),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let GroupV1 { tenant_id, context_id, version, entries, changed_at, changed_by } =
            payload.parse(1)?;
        Ok(Self {
            tenant_id: TenantId::from_bytes(tenant_id),
            context_id: ContextId::from_bytes(context_id),
            version,
            entries: entries.into_iter().map(entry_in).collect::<Result<_, Unreadable>>()?,
            changed_at: Timestamp::from_millis(changed_at),
            changed_by: author_in(changed_by)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct PendingMergeV1 {
    id: [u8; 16],
    tenant_id: [u8; 16],
    inputs: Vec<([u8; 16], u64)>,
    /// Path, the target's value, the source's.
    clashes: Vec<(String, String, String)>,
    created_by: AuthorV1,
    created_at: i64,
    expires_at: i64,
}

impl Record for PendingMerge {
    const KIND: u8 = 62;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { id, tenant_id, inputs, clashes, created_by, created_at, expires_at } = self;
        let clash = |Clash { path, target, source }: &Clash| {
            Ok((path.to_string(), json(target)?, json(source)?))
        };
        Ok(codec::encode(&PendingMergeV1 {
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            inputs: inputs.iter().map(|(id, version)| (*id.as_bytes(), *version)).collect(),
            clashes: clashes.iter().map(clash).collect::<Result<_, Unstorable>>()?,
            created_by: author_out(created_by),
            created_at: created_at.millis(),
            expires_at: expires_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let PendingMergeV1 { id, tenant_id, inputs, clashes, created_by, created_at, expires_at } =
            payload.parse(1)?;
        let clash = |(at, target, source): (String, String, String)| {
            Ok(Clash {
                path: path(&at)?,
                target: value(&target, "target")?,
                source: value(&source, "source")?,
            })
        };
        let inputs = inputs.into_iter();
        Ok(Self {
            id: ContextId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            inputs: inputs.map(|(id, version)| (ContextId::from_bytes(id), version)).collect(),
            clashes: clashes.into_iter().map(clash).collect::<Result<_, Unreadable>>()?,
            created_by: author_in(created_by)?,
            created_at: Timestamp::from_millis(created_at),
            expires_at: Timestamp::from_millis(expires_at),
        })
    }
}
