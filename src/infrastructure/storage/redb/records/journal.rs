//! Chunks of journal entries, compressed when that pays.

use serde::{Deserialize, Serialize};

use super::{Blob, Payload, Record, Unreadable, Unstorable, json, value};
use crate::application::ports::journal::Entry;
use crate::domain::time::Timestamp;
use crate::infrastructure::storage::redb::codec;

/// Chunks larger than this are compressed.
const COMPRESS_ABOVE: usize = 4 * 1024;
/// A single entry may have this many bytes of JSON.
pub(in super::super) const MAX_ENTRY_BYTES: usize = 8 * 1024 * 1024;
/// Compression level: fast, as the writer waits for it.
const LEVEL: i32 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Entries that lie under one key, numbered without gap.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Chunk {
    /// In order; never empty.
    pub(in super::super) entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct ChunkV1 {
    first_seq: u64,
    compression: u8,
    raw_bytes: u32,
    data: Blob,
}

#[derive(Serialize, Deserialize)]
struct EntryV1 {
    at: i64,
    kind: String,
    body: String,
}

/// What an export says of a chunk.
#[derive(Serialize, Deserialize)]
struct ShownV1 {
    first_seq: u64,
    entries: Vec<EntryV1>,
}

fn unpacked(payload: Payload<'_>) -> Result<ShownV1, Unreadable> {
    let ChunkV1 { first_seq, compression, raw_bytes, data: Blob(data) } = payload.parse(1)?;
    let capacity = usize::try_from(raw_bytes).unwrap_or(usize::MAX);
    let raw = match compression {
        PLAIN => data,
        ZSTD if capacity <= codec::LIMIT => {
            zstd::bulk::decompress(&data, capacity).map_err(|_| Unreadable::Field("data"))?
        }
        _ => return Err(Unreadable::Field("compression")),
    };
    let shown = ShownV1 { first_seq, entries: codec::decode(payload.codec, &raw)? };
    payload.show(&shown);
    Ok(shown)
}

impl Record for Chunk {
    const KIND: u8 = 11;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let first_seq = self.entries.first().map_or(0, |entry| entry.seq);
        let spelled = self.entries.iter().map(|entry| {
            let Entry { seq: _, at, kind, body } = entry;
            Ok(EntryV1 { at: at.millis(), kind: kind.clone(), body: json(body)? })
        });
        let raw = codec::encode(&spelled.collect::<Result<Vec<_>, Unstorable>>()?)?;
        let raw_bytes = u32::try_from(raw.len()).map_err(|_| codec::CodecError::TooLarge)?;
        let (compression, data) = if raw.len() > COMPRESS_ABOVE {
            (ZSTD, zstd::bulk::compress(&raw, LEVEL).map_err(Unstorable::Compression)?)
        } else {
            (PLAIN, raw)
        };
        Ok(codec::encode(&ChunkV1 { first_seq, compression, raw_bytes, data: Blob(data) })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let ShownV1 { first_seq, entries } =
            if payload.is_shape() { payload.parse(1)? } else { unpacked(payload)? };
        let entries = (first_seq..).zip(entries).map(|(seq, EntryV1 { at, kind, body })| {
            Ok(Entry { seq, at: Timestamp::from_millis(at), kind, body: value(&body, "body")? })
        });
        Ok(Self { entries: entries.collect::<Result<_, Unreadable>>()? })
    }
}
