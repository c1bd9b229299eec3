//! The layout of the file: made when it is new, refused when it is newer, stepped up when older.
//!
//! Invariant: a file of an unknown layout is not changed by a single byte where it can be looked at
//! without repair.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyDatabase, ReadTransaction,
    ReadableDatabase, ReadableTableMetadata, StorageError, TableError, TableHandle,
};

use super::handle::Panicked;
use super::medium::{Medium, OpenError};
use super::records::{self, StoreMeta};
use super::tables::Table;
use crate::application::ports::clock::Clock;

/// The layout that this version writes. A new one gets a numbered step here.
const LAYOUT: u32 = 1;
/// The row that tells the layout.
const LAYOUT_KEY: &[u8] = b"layout";
/// The row that probe commits write.
const PROBE_KEY: &[u8] = b"probe";

/// Runs what may panic inside the engine.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(OpenError::Damaged { reason: Panicked::of(&*panic).to_string() })
    })
}

/// Opens the handle and brings its layout up to date.
pub(super) fn open(
    medium: &dyn Medium,
    cache_bytes: usize,
    clock: &dyn Clock,
) -> Result<Database, OpenError> {
    guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        let database = medium.open(&builder).map_err(engine_error)?;
        prepare(&database, clock)?;
        Ok(database)
    })
}

/// Refuses a newer file before it is opened for writing; a file that needs repair is looked at
/// after that instead.
pub(super) fn peek(path: &Path) -> Result<(), OpenError> {
    guarded(|| match ReadOnlyDatabase::open(path) {
        Ok(database) => {
            let transaction = database.begin_read().map_err(OpenError::failed)?;
            layout(&transaction).map(|_| ())
        }
        Err(DatabaseError::DatabaseAlreadyOpen) => {
            Err(engine_error(DatabaseError::DatabaseAlreadyOpen))
        }
        Err(_) => Ok(()), // it needs repair or is damaged: opening it for writing tells which
    })
}

/// What the engine's refusal to open means.
fn engine_error(error: DatabaseError) -> OpenError {
    let is_system = |io: &std::io::Error| {
        use std::io::ErrorKind as Kind;
        io.kind() != Kind::InvalidData && io.kind() != Kind::UnexpectedEof
    };
    if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
        return OpenError::Held { dir: std::path::PathBuf::new(), pid: None };
    }
    if let DatabaseError::Storage(StorageError::Io(io)) = &error
        && is_system(io)
    {
        return OpenError::failed(error);
    }
    OpenError::Damaged { reason: error.to_string() }
}

/// The layout of the file, when it has one.
fn layout(transaction: &ReadTransaction) -> Result<Option<StoreMeta>, OpenError> {
    let table = match transaction.open_table(Table::Meta.definition()) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(damaged(&error)),
    };
    let Some(value) = table.get(LAYOUT_KEY).map_err(|error| damaged(&error))? else {
        return Ok(None);
    };
    let meta: StoreMeta = match records::open(LAYOUT_KEY, value.value()) {
        Ok(meta) => meta,
        Err(records::Unreadable::UnknownSchema(schema)) => {
            let made_by = "unknown".to_owned();
            return Err(OpenError::Newer { found: schema.into(), supported: LAYOUT, made_by });
        }
        Err(error) => return Err(damaged(&error)),
    };
    if meta.layout > LAYOUT {
        let (found, made_by) = (meta.layout, meta.made_by);
        return Err(OpenError::Newer { found, supported: LAYOUT, made_by });
    }
    Ok(Some(meta))
}

fn damaged(error: &dyn std::error::Error) -> OpenError {
    OpenError::Damaged { reason: error.to_string() }
}

/// Makes the tables of a new file.
fn prepare(database: &Database, clock: &dyn Clock) -> Result<(), OpenError> {
    let found = layout(&database.begin_read().map_err(OpenError::failed)?)?;
    if found.is_some() {
        return complete(database);
    }
    let meta = StoreMeta {
        layout: LAYOUT,
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        made_at_ms: clock.now().millis(),
    };
    let value = records::seal(LAYOUT_KEY, &meta).map_err(OpenError::failed)?;
    let mut transaction = database.begin_write().map_err(OpenError::failed)?;
    transaction.set_durability(Durability::Immediate).map_err(OpenError::failed)?;
    transaction.set_quick_repair(true);
    for table in Table::ALL {
        transaction.open_table(table.definition()).map_err(OpenError::failed)?;
    }
    transaction
        .open_table(Table::Meta.definition())
        .map_err(OpenError::failed)?
        .insert(LAYOUT_KEY, value.as_slice())
        .map_err(OpenError::failed)?;
    transaction.commit().map_err(OpenError::failed)
}

/// Makes the tables that are younger than the file. They need no new layout: whoever does not know
/// them leaves them alone.
fn complete(database: &Database) -> Result<(), OpenError> {
    let transaction = database.begin_read().map_err(OpenError::failed)?;
    let tables = transaction.list_tables().map_err(OpenError::failed)?;
    let there: Vec<String> = tables.map(|table| table.name().to_owned()).collect();
    drop(transaction);
    let is_missing = |table: &&Table| !there.iter().any(|name| name == table.name());
    let missing: Vec<&Table> = Table::ALL.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin_write().map_err(OpenError::failed)?;
    transaction.set_durability(Durability::Immediate).map_err(OpenError::failed)?;
    transaction.set_quick_repair(true);
    for table in missing {
        transaction.open_table(table.definition()).map_err(OpenError::failed)?;
    }
    transaction.commit().map_err(OpenError::failed)
}

/// A small durable commit that changes nothing that anybody reads.
pub(super) fn probe(database: &Database, clock: &dyn Clock) -> Result<(), OpenError> {
    guarded(|| {
        let at = clock.now().millis().to_be_bytes();
        let mut transaction = database.begin_write().map_err(OpenError::failed)?;
        transaction.set_durability(Durability::Immediate).map_err(OpenError::failed)?;
        transaction.set_quick_repair(true);
        transaction
            .open_table(Table::Meta.definition())
            .map_err(OpenError::failed)?
            .insert(PROBE_KEY, at.as_slice())
            .map_err(OpenError::failed)?;
        transaction.commit().map_err(OpenError::failed)
    })
}

/// Records set aside so far.
pub(super) fn count_quarantined(database: &Database) -> Result<u64, OpenError> {
    guarded(|| {
        let transaction = database.begin_read().map_err(OpenError::failed)?;
        let table = transaction
            .open_table(Table::Quarantine.definition())
            .map_err(|error| damaged(&error))?;
        table.len().map_err(OpenError::failed)
    })
}
