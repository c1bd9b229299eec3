//! The layout of the file: made when it is new, refused when it is newer, stepped up when older.
//!
//! Invariant: a file of an unknown layout is not changed by a single byte where it can be looked at
//! without repair.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyDatabase, ReadTransaction,
    ReadableDatabase, ReadableTableMetadata, StorageError, TableError, TableHandle,
};

use super::handle::Panicked;
use super::medium::{FileMedium, Medium, OpenError};
use super::records::{self, Number, StoreMeta};
use super::tables::Table;
use crate::application::ports::clock::Clock;

/// The layout that this version writes. A new one gets a numbered step here.
pub(super) const LAYOUT: u32 = 1;
/// The row that tells the layout.
const LAYOUT_KEY: &[u8] = b"layout";
/// The row that tells when the store was put back from a backup.
pub(super) const RESTORED_KEY: &[u8] = b"restored";
/// The row that probe commits write.
const PROBE_KEY: &[u8] = b"probe";

thread_local! {
    /// Whether a panic of this thread is told as damage by whoever waits for it.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs what may panic inside the engine: pages that are damaged can make it do so. Nobody but the log
/// hears the words of such a panic; whoever waits is told of the damage.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    static HOOKED: Once = Once::new();
    if !std::thread::panicking() {
        HOOKED.call_once(|| {
            let others = take_hook();
            set_hook(Box::new(move |panic| {
                if !IS_GUARDED.get() {
                    others(panic);
                }
            }));
        });
    }
    let before = IS_GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(before);
    done.unwrap_or_else(|panic| {
        tracing::debug!(error = %Panicked::of(&*panic), "The engine gave up");
        Err(OpenError::Damaged { reason: "pages of it cannot be read".to_owned() })
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

/// Refuses a newer file before it is opened for writing, and keeps a copy of an older one before it
/// is changed; a file that needs repair is repaired first, and looked at after that.
pub(super) fn peek(medium: &FileMedium) -> Result<(), OpenError> {
    let is_older = guarded(|| match ReadOnlyDatabase::open(medium.path()) {
        Ok(database) => is_older(&database.begin_read().map_err(OpenError::failed)?),
        Err(DatabaseError::DatabaseAlreadyOpen) => {
            Err(engine_error(DatabaseError::DatabaseAlreadyOpen))
        }
        Err(_) => {
            // It needs repair or is damaged: opening it for writing tells which.
            let database = medium.open(&Builder::new()).map_err(engine_error)?;
            is_older(&database.begin_read().map_err(OpenError::failed)?)
        }
    })?;
    if !is_older {
        return Ok(());
    }
    let version = env!("CARGO_PKG_VERSION");
    medium.keep_copy(version)?;
    tracing::info!(
        "The store is of an older version: a copy is kept as store.redb.before-{version}"
    );
    Ok(())
}

/// Whether opening would change the layout; one that is newer is refused.
fn is_older(transaction: &ReadTransaction) -> Result<bool, OpenError> {
    let Some(meta) = layout(transaction)? else { return Ok(false) };
    Ok(meta.layout < LAYOUT || !missing(transaction)?.is_empty())
}

/// Tables that are younger than the file.
fn missing(transaction: &ReadTransaction) -> Result<Vec<&'static Table>, OpenError> {
    let tables = transaction.list_tables().map_err(OpenError::failed)?;
    let there: Vec<String> = tables.map(|table| table.name().to_owned()).collect();
    let is_missing = |table: &&Table| !there.iter().any(|name| name == table.name());
    Ok(Table::ALL.iter().filter(is_missing).collect())
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
pub(super) fn layout(transaction: &ReadTransaction) -> Result<Option<StoreMeta>, OpenError> {
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

/// When the store was put back from a backup, in milliseconds.
pub(super) fn restored(transaction: &ReadTransaction) -> Result<Option<i64>, OpenError> {
    guarded(|| {
        let table = transaction.open_table(Table::Meta.definition());
        let table = table.map_err(|error| damaged(&error))?;
        let found = table.get(RESTORED_KEY).map_err(|error| damaged(&error))?;
        let read = |value: &[u8]| records::open(RESTORED_KEY, value);
        let number = found.map(|value| read(value.value())).transpose();
        Ok(number.map_err(|error| damaged(&error))?.map(|Number(at_ms)| at_ms))
    })
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
    let missing = missing(&database.begin_read().map_err(OpenError::failed)?)?;
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
