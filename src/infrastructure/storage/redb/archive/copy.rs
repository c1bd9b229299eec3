//! From a store that is in use to a compact file of its own.
//!
//! Invariant: everything is read through one read transaction, in pieces: between two of them the
//! store may end the transaction to open itself anew, and then the copy fails.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use redb::{Builder, Database, Durability, WriteTransaction};

use super::super::handle::Reader;
use super::super::keys::{Span, everything};
use super::super::rows::{Direction, Rows, flow};
use super::super::tables::Table;
use super::check::is_sound;
use crate::application::ports::store::StoreError;
use crate::infrastructure::storage::shared::failed;

/// Memory for pages of the new file.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that are read in one piece.
const PIECE_BYTES: usize = 1024 * 1024;
/// Bytes after which the new file is committed, which bounds what is kept in memory.
const COMMIT_BYTES: usize = 32 * 1024 * 1024;

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Rows by table.
    pub(super) tables: BTreeMap<String, u64>,
    /// Rows that cannot be read, copied as they are.
    pub(super) damaged: u64,
}

pub(super) type Piece = Vec<(Vec<u8>, Vec<u8>)>;

/// Copies every table into an empty file and makes it as small as it gets.
pub(super) fn copy(reader: &Arc<Reader>, to: File) -> Result<Copied, StoreError> {
    let mut target = Builder::new().set_cache_size(CACHE_BYTES).create_file(to).map_err(failed)?;
    let mut copied = Copied::default();
    let mut open = Open::begin(&target)?;
    for table in Table::ALL {
        let mut rows = 0;
        let mut rest = Some(everything());
        while let Some(span) = rest {
            let piece = reader.read(|view| piece(view, *table, &span))?;
            let Some((last, _)) = piece.last() else { break };
            rest = Some(everything().above(last.clone()));
            rows += u64::try_from(piece.len()).unwrap_or(0);
            copied.damaged += piece
                .iter()
                .map(|(key, value)| u64::from(!is_sound(*table, key, value)))
                .sum::<u64>();
            open = open.write(&target, *table, &piece)?;
        }
        copied.tables.insert(table.name().to_owned(), rows);
    }
    open.end()?;
    while target.compact().map_err(failed)? {}
    Ok(copied)
}

pub(super) fn piece(view: &impl Rows, table: Table, span: &Span) -> Result<Piece, StoreError> {
    let (mut found, mut bytes) = (Piece::new(), 0);
    view.scan(table, span, Direction::Up, &mut |key, value| {
        bytes += key.len() + value.len();
        found.push((key.to_vec(), value.to_vec()));
        Ok(flow(bytes < PIECE_BYTES))
    })?;
    Ok(found)
}

/// A write transaction of the new file.
struct Open {
    transaction: WriteTransaction,
    written: usize,
}

impl Open {
    /// The first one, in which every table is made.
    fn begin(target: &Database) -> Result<Self, StoreError> {
        let open = Self::next(target)?;
        for table in Table::ALL {
            open.transaction.open_table(table.definition()).map_err(failed)?;
        }
        Ok(open)
    }

    fn next(target: &Database) -> Result<Self, StoreError> {
        let mut transaction = target.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        transaction.set_quick_repair(true);
        Ok(Self { transaction, written: 0 })
    }

    fn write(mut self, target: &Database, table: Table, rows: &Piece) -> Result<Self, StoreError> {
        {
            let mut open = self.transaction.open_table(table.definition()).map_err(failed)?;
            for (key, value) in rows {
                open.insert(key.as_slice(), value.as_slice()).map_err(failed)?;
                self.written += key.len() + value.len();
            }
        }
        if self.written < COMMIT_BYTES {
            return Ok(self);
        }
        self.end()?;
        Self::next(target)
    }

    fn end(self) -> Result<(), StoreError> {
        self.transaction.commit().map_err(failed)
    }
}
