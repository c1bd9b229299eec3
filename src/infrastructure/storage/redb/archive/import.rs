//! From the lines of an export to a store where there is none.
//!
//! Invariant: all of it or nothing: the store has its name only when every line was read, every
//! record stands under its own key and what it refers to is there. Indexes are made from the
//! records, never taken over.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use redb::{Database, Durability, WriteTransaction};
use serde_json::Value;

use super::super::entries::entries;
use super::super::keys::Key;
use super::super::medium::{FileMedium, OpenError, Unnamed};
use super::super::migrate::{self, LAYOUT, guarded};
use super::super::records::kinds::{Visit, visit};
use super::super::records::{self, Record};
use super::super::tables::Table;
use super::export::{EXPORTED, called};
use super::restore::{Origin, begin_anew, blocking, finish};
use super::rules::{Misfit, broken};
use super::shape::unspelled;
use super::whole::whole;
use super::{ArchiveFault, FORMAT, hex, shown};
use crate::application::ports::clock::{Clock, Ids};

/// Longest line.
const LINE_BYTES: u64 = 64 * 1024 * 1024;
/// Memory for pages.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// Records after which what was read is committed, which bounds what is kept in memory.
const COMMIT_ROWS: u64 = 20_000;

/// What the description of an export says.
const DESCRIBED: [&str; 6] =
    ["layout", "made_at", "orchestrator_export", "redacted", "tenant", "version"];

/// What came of an import.
#[derive(Debug, Default)]
pub struct Imported {
    /// Records.
    pub rows: u64,
    /// Records that were damaged where they came from, and are missing.
    pub damaged: u64,
    /// Webhooks that have no secret any more.
    pub without_secret: u64,
    /// Tenants.
    pub tenants: usize,
}

/// Puts an export into a directory that holds no store.
///
/// # Errors
/// What stands in the way; then there is still no store.
pub async fn import(
    file: &Path,
    dir: &Path,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Result<Imported, ArchiveFault> {
    let medium = FileMedium::hold(dir)?;
    if medium.path().exists() {
        medium.leave();
        return Err(ArchiveFault::Occupied(dir.to_owned()));
    }
    let unnamed = medium.unnamed()?;
    let filled = fill(file, &unnamed, clock, ids).await;
    let named = filled.and_then(|imported| {
        medium.name(&unnamed)?;
        Ok(imported)
    });
    finish(medium, &unnamed, named)
}

async fn fill(
    file: &Path,
    unnamed: &Unnamed,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Result<Imported, ArchiveFault> {
    let (from, to, now) = (file.to_owned(), unnamed.clone(), Arc::clone(&clock));
    let imported = blocking(move || {
        let database = migrate::open(&to, CACHE_BYTES, now.as_ref())?;
        let lines = File::open(&from).map_err(ArchiveFault::file(&from))?;
        let imported = Lines::new(lines).all(&database)?;
        match guarded(|| whole(&database, imported.damaged > 0))? {
            None => Ok(imported),
            Some(misfit) => Err(placed(&from, &misfit)),
        }
    });
    let imported = imported.await.map_err(told)?;
    let tenants = begin_anew(unnamed, &Origin::Export, clock, ids).await?;
    Ok(Imported { tenants, ..imported })
}

/// A store that we make ourselves is damaged only where the export is wrong.
fn told(fault: ArchiveFault) -> ArchiveFault {
    if let ArchiveFault::Store(OpenError::Damaged { reason }) = fault {
        return ArchiveFault::Broken(reason);
    }
    fault
}

/// The line with a record that does not belong.
fn placed(file: &Path, misfit: &Misfit) -> ArchiveFault {
    let Misfit { table, key, rule } = misfit;
    let (name, key) = (called(*table), hex(key));
    let is_meant = |line: &Value| {
        line["table"].as_str() == Some(name)
            && line["key"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(&key))
    };
    let mut number = 0;
    if let Ok(file) = File::open(file) {
        let mut lines = Lines::new(file);
        while let Ok(line) = lines.next() {
            if is_meant(&line) {
                number = lines.number;
                break;
            }
        }
    }
    if number == 0 {
        return ArchiveFault::Broken(misfit.told());
    }
    ArchiveFault::Broken(format!("line {number}: {name}: {rule}"))
}

/// The lines of an export.
struct Lines<R> {
    from: BufReader<R>,
    number: u64,
    imported: Imported,
}

/// A line, as it is meant.
enum Line {
    Row { table: Table, key: Key, value: Option<Vec<u8>> },
    End(u64),
}

impl<R: Read> Lines<R> {
    fn new(from: R) -> Self {
        Self { from: BufReader::new(from), number: 0, imported: Imported::default() }
    }

    fn all(mut self, to: &Database) -> Result<Imported, ArchiveFault> {
        let manifest = self.next()?;
        let format = manifest["orchestrator_export"].as_u64();
        match format.and_then(|format| u32::try_from(format).ok()) {
            None => return Err(self.wrong("this is no export")),
            Some(found) if found > FORMAT => {
                let made_by = shown(manifest["version"].as_str());
                return Err(ArchiveFault::Newer { found, made_by });
            }
            Some(_) if only(&manifest, &DESCRIBED).is_some() => {
                return Err(self.wrong("it is described by what this version does not know"));
            }
            Some(_)
                if manifest["layout"].as_u64().is_none_or(|found| found > u64::from(LAYOUT)) =>
            {
                return Err(self.wrong("its layout is unknown to this version"));
            }
            Some(_) if manifest["redacted"] != Value::Bool(false) => {
                return Err(
                    self.wrong("a redacted export is for reading: it lacks what a store needs")
                );
            }
            Some(_) => {}
        }
        let mut open = begin(to)?;
        loop {
            let line = self.next()?;
            match self.meant(line)? {
                Line::Row { table, key, value: Some(value) } => {
                    self.insert(&open, table, &key, &value)?;
                    self.imported.rows += 1;
                }
                Line::Row { .. } => self.imported.damaged += 1,
                Line::End(rows) if rows == self.imported.rows + self.imported.damaged => break,
                Line::End(_) => return Err(self.wrong("lines are missing")),
            }
            if self.imported.rows.is_multiple_of(COMMIT_ROWS) {
                open.commit().map_err(OpenError::failed)?;
                open = begin(to)?;
            }
        }
        if self.from.fill_buf().is_ok_and(|more| !more.is_empty()) {
            return Err(self.wrong("something stands behind its end"));
        }
        open.commit().map_err(OpenError::failed)?;
        Ok(self.imported)
    }

    fn wrong(&self, what: impl std::fmt::Display) -> ArchiveFault {
        ArchiveFault::Broken(format!("line {}: {what}", self.number))
    }

    fn next(&mut self) -> Result<Value, ArchiveFault> {
        self.number += 1;
        let mut text = Vec::new();
        let read = (&mut self.from).take(LINE_BYTES).read_until(b'\n', &mut text);
        read.map_err(|error| self.wrong(error))?;
        if text.last() != Some(&b'\n') {
            return Err(self.wrong("it ends too soon"));
        }
        serde_json::from_slice(&text).map_err(|error| self.wrong(error))
    }

    /// The row that a line stands for.
    fn meant(&mut self, mut line: Value) -> Result<Line, ArchiveFault> {
        if let Some(rows) = line["rows"].as_u64()
            && only(&line, &["rows"]).is_none()
        {
            return Ok(Line::End(rows));
        }
        if let Some(name) = only(&line, &["damaged", "key", "record", "schema", "table"]) {
            return Err(self.wrong(format!("{name:?} does not belong into a line")));
        }
        let name = line["table"].as_str().unwrap_or_default();
        let table = EXPORTED.into_iter().find(|table| called(*table) == name);
        let table = table.ok_or_else(|| self.wrong("the table is unknown"))?;
        let key = line["key"].as_str().and_then(unhex).ok_or_else(|| self.wrong("no key"))?;
        if line["damaged"] == Value::Bool(true) {
            return Ok(Line::Row { table, key, value: None });
        }
        if table == Table::Webhooks {
            self.imported.without_secret += 1;
        }
        let shape = unspelled(line["record"].take()).ok_or_else(|| self.wrong("no record"))?;
        let schema = line["schema"].as_u64().and_then(|schema| u16::try_from(schema).ok());
        let sealed = Sealed { key: &key, schema: schema.unwrap_or(0), shape: &shape };
        let of = |what: String| self.wrong(format!("{}: {what}", called(table)));
        let value = visit(table, sealed).map_err(of)?;
        if let Some(rule) = broken(table, &key, &value) {
            return Err(of(rule));
        }
        Ok(Line::Row { table, key, value: Some(value) })
    }

    /// Inserts a row with everything that leads to it.
    fn insert(
        &self,
        open: &WriteTransaction,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), ArchiveFault> {
        let found = entries(table, key, value);
        let found = found.map_err(|error| self.wrong(format!("{}: {error}", called(table))))?;
        for (into, key, value) in
            std::iter::once((table, key.to_vec(), value.to_vec())).chain(found)
        {
            let mut rows = open.open_table(into.definition()).map_err(OpenError::failed)?;
            let before = rows.insert(key.as_slice(), value.as_slice());
            if before.map_err(OpenError::failed)?.is_some() {
                let (of, held) = (called(table), called(into));
                return Err(self.wrong(format!("{of}: {held} has this already")));
            }
        }
        Ok(())
    }
}

fn begin(database: &Database) -> Result<WriteTransaction, ArchiveFault> {
    let mut transaction = database.begin_write().map_err(OpenError::failed)?;
    transaction.set_durability(Durability::Immediate).map_err(OpenError::failed)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// What an object says besides these.
fn only<'a>(line: &'a Value, known: &[&str]) -> Option<&'a str> {
    let names = line.as_object().into_iter().flat_map(serde_json::Map::keys);
    names.map(String::as_str).find(|name| !known.contains(name))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// A shape as the bytes of its record.
struct Sealed<'a> {
    key: &'a [u8],
    schema: u16,
    shape: &'a Value,
}

impl Visit for Sealed<'_> {
    type Out = Result<Vec<u8>, String>;

    fn record<T: Record>(self) -> Self::Out {
        let record: T =
            records::of_shape(self.schema, self.shape).map_err(|error| error.to_string())?;
        records::seal(self.key, &record).map_err(|error| error.to_string())
    }

    fn mark(self) -> Self::Out {
        Ok(Vec::new())
    }

    fn other(self) -> Self::Out {
        Err("the table is not one of an export".to_owned())
    }
}
