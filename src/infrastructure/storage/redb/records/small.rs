//! Records of a few numbers: heads of the logs, counters, references, what was set aside, and what
//! the store says of itself.

use serde::{Deserialize, Serialize};

use super::{Blob, Payload, Record, Unreadable, Unstorable};
use crate::infrastructure::storage::redb::codec;

/// Newest numbers of a tenant's logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Head {
    /// Number of the newest event; 0 before the first.
    pub(in super::super) last_event: u64,
    /// Number and hash of the newest audit entry.
    pub(in super::super) last_audit: Option<(u64, String)>,
}

#[derive(Serialize, Deserialize)]
struct HeadV1 {
    last_event: u64,
    last_audit: Option<(u64, String)>,
}

impl Record for Head {
    const KIND: u8 = 13;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { last_event, last_audit } = self.clone();
        Ok(codec::encode(&HeadV1 { last_event, last_audit })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let HeadV1 { last_event, last_audit } = payload.parse(1)?;
        Ok(Self { last_event, last_audit })
    }
}

/// A plain number: a counter, or the newest number of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Number(pub(in super::super) i64);

#[derive(Serialize, Deserialize)]
struct NumberV1 {
    value: i64,
}

impl Record for Number {
    const KIND: u8 = 14;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        Ok(codec::encode(&NumberV1 { value: self.0 })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let NumberV1 { value } = payload.parse(1)?;
        Ok(Self(value))
    }
}

/// The id that a unique name or code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Reference(pub(in super::super) [u8; 16]);

#[derive(Serialize, Deserialize)]
struct ReferenceV1 {
    id: [u8; 16],
}

impl Record for Reference {
    const KIND: u8 = 15;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        Ok(codec::encode(&ReferenceV1 { id: self.0 })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let ReferenceV1 { id } = payload.parse(1)?;
        Ok(Self(id))
    }
}

/// A damaged record, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Quarantined {
    /// Name of the table.
    pub(in super::super) table: String,
    /// Its key there.
    pub(in super::super) key: Vec<u8>,
    /// What lies there.
    pub(in super::super) bytes: Vec<u8>,
    /// What is wrong with it.
    pub(in super::super) reason: String,
    /// When it was found, milliseconds since the epoch.
    pub(in super::super) found_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct QuarantinedV1 {
    table: String,
    key: Blob,
    bytes: Blob,
    reason: String,
    found_at_ms: i64,
}

impl Record for Quarantined {
    const KIND: u8 = 16;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { table, key, bytes, reason, found_at_ms } = self.clone();
        let (key, bytes) = (Blob(key), Blob(bytes));
        Ok(codec::encode(&QuarantinedV1 { table, key, bytes, reason, found_at_ms })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let QuarantinedV1 { table, key: Blob(key), bytes: Blob(bytes), reason, found_at_ms } =
            payload.parse(1)?;
        Ok(Self { table, key, bytes, reason, found_at_ms })
    }
}

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct StoreMeta {
    /// Which layout of tables the file has.
    pub(in super::super) layout: u32,
    /// The version of the product that wrote it first.
    pub(in super::super) made_by: String,
    /// When, milliseconds since the epoch.
    pub(in super::super) made_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct StoreMetaV1 {
    layout: u32,
    made_by: String,
    made_at_ms: i64,
}

impl Record for StoreMeta {
    const KIND: u8 = 17;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { layout, made_by, made_at_ms } = self.clone();
        Ok(codec::encode(&StoreMetaV1 { layout, made_by, made_at_ms })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let StoreMetaV1 { layout, made_by, made_at_ms } = payload.parse(1)?;
        Ok(Self { layout, made_by, made_at_ms })
    }
}
