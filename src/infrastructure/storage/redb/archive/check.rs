//! Whether a copied store is what its manifest says: every page, every row of every table.

use std::fs::File;

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    TableHandle,
};

use super::super::envelope;
use super::super::medium::OpenError;
use super::super::migrate::{self, guarded};
use super::super::records::kinds::{Visit, visit};
use super::super::records::{self, Record};
use super::super::tables::Table;
use super::rules::{Misfit, walls};
use super::{ArchiveFault, Manifest};

/// Memory for pages while a store is checked.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Whether a row can be read.
pub(super) fn is_sound(table: Table, key: &[u8], value: &[u8]) -> bool {
    struct Sound<'a>(&'a [u8], &'a [u8]);
    impl Visit for Sound<'_> {
        type Out = bool;

        fn record<T: Record>(self) -> bool {
            records::open::<T>(self.0, self.1).is_ok()
        }

        fn mark(self) -> bool {
            self.1.is_empty()
        }

        fn other(self) -> bool {
            // The layout is a record, the row of probe commits is a plain number.
            self.1.len() == 8 || envelope::open(self.0, self.1).is_ok()
        }
    }
    visit(table, Sound(key, value))
}

/// Opens the store in this file and reads all of it.
pub(super) fn check(file: File, manifest: &Manifest) -> Result<(), ArchiveFault> {
    guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let mut database = builder.create_file(file).map_err(OpenError::failed)?;
        let transaction = database.begin_read().map_err(OpenError::failed)?;
        migrate::layout(&transaction)?.ok_or_else(|| damaged("it holds no store"))?;
        drop(transaction);
        if !database.check_integrity().map_err(OpenError::failed)? {
            return Err(damaged("pages of the store are damaged"));
        }
        rows(&database, manifest)?;
        let transaction = database.begin_read().map_err(OpenError::failed)?;
        let misfit = walls(&transaction, manifest.damaged > 0)?;
        misfit.map_or(Ok(()), |misfit: Misfit| Err(damaged(misfit.told())))
    })
    .map_err(|error| match error {
        OpenError::Damaged { reason } => ArchiveFault::Broken(reason),
        OpenError::Failed(source) => ArchiveFault::broken(source),
        OpenError::Held { .. } | OpenError::Permissions { .. } | OpenError::Newer { .. } => {
            error.into()
        }
    })
}

fn damaged(reason: impl Into<String>) -> OpenError {
    OpenError::Damaged { reason: reason.into() }
}

/// Counts and reads the rows of every table.
fn rows(database: &Database, manifest: &Manifest) -> Result<(), OpenError> {
    let transaction = database.begin_read().map_err(OpenError::failed)?;
    let tables = transaction.list_tables().map_err(OpenError::failed)?;
    let names: Vec<String> = tables.map(|table| table.name().to_owned()).collect();
    if let Some(name) = manifest.tables.keys().find(|name| !names.contains(name)) {
        return Err(damaged(format!("the table {name} is missing")));
    }
    let mut unreadable = 0;
    for name in &names {
        let (rows, bad) = table(&transaction, name)?;
        let told = manifest.tables.get(name).copied();
        if told != Some(rows) {
            return Err(damaged(format!("{name} has {rows} rows, not {told:?}")));
        }
        unreadable += bad;
    }
    if unreadable == manifest.damaged {
        return Ok(());
    }
    let told = manifest.damaged;
    Err(damaged(format!("{unreadable} records cannot be read, not {told}")))
}

/// Rows of a table, and how many of them cannot be read. One that this version does not know is
/// counted.
fn table(transaction: &ReadTransaction, name: &str) -> Result<(u64, u64), OpenError> {
    let known = Table::ALL.iter().find(|table| table.name() == name);
    let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(name);
    let open = transaction.open_table(definition).map_err(OpenError::failed)?;
    let (mut rows, mut unreadable) = (0, 0);
    for row in open.iter().map_err(OpenError::failed)? {
        let (key, value) = row.map_err(OpenError::failed)?;
        rows += 1;
        let sound = known.is_none_or(|table| is_sound(*table, key.value(), value.value()));
        unreadable += u64::from(!sound);
    }
    Ok((rows, unreadable))
}
