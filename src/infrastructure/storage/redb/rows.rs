//! Reading rows, the same inside a read transaction and inside the writer's.
//!
//! Invariant: nothing leaves here that was not verified; a damaged record is reported to be set
//! aside and is an error for whoever asked for it, never a wrong answer.

use std::ops::{Bound, ControlFlow};
use std::sync::OnceLock;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};

use super::handle::Shared;
use super::keys::Span;
use super::records::{self, Record, Unreadable};
use super::tables::Table;
use crate::application::ports::store::StoreError;
use crate::infrastructure::storage::shared::failed;

/// What a scan does with each row; `Break` ends it.
pub(super) type Each<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'a;

/// The direction of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Smallest key first.
    Up,
    /// Largest key first.
    Down,
}

/// Rows of all tables at one moment.
pub(super) trait Rows {
    /// The bytes under a key.
    fn bytes(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Walks a range.
    fn scan(
        &self,
        table: Table,
        span: &Span,
        direction: Direction,
        each: &mut Each<'_>,
    ) -> Result<(), StoreError>;

    /// Where damage is reported.
    fn shared(&self) -> &Shared;

    /// The record under a key.
    fn record<T: Record>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError>
    where
        Self: Sized,
    {
        self.bytes(table, key)?.map(|bytes| decode(self.shared(), table, key, &bytes)).transpose()
    }

    /// The records of a range, at most `limit`; damaged ones are left out.
    fn records<T: Record>(
        &self,
        table: Table,
        span: &Span,
        limit: usize,
    ) -> Result<Vec<T>, StoreError>
    where
        Self: Sized,
    {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.scan(table, span, Direction::Up, &mut |key, bytes| {
            match decode(self.shared(), table, key, bytes) {
                Ok(record) => found.push(record),
                Err(StoreError::Quarantined) => {}
                Err(other) => return Err(other),
            }
            Ok(flow(found.len() < limit))
        })?;
        Ok(found)
    }

    /// The keys of a range, at most `limit`.
    fn keys(&self, table: Table, span: &Span, limit: usize) -> Result<Vec<Vec<u8>>, StoreError>
    where
        Self: Sized,
    {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.scan(table, span, Direction::Up, &mut |key, _| {
            found.push(key.to_vec());
            Ok(flow(found.len() < limit))
        })?;
        Ok(found)
    }
}

/// Goes on while it holds.
pub(super) const fn flow(go_on: bool) -> ControlFlow<()> {
    if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// The record in these bytes; damage is reported.
pub(super) fn decode<T: Record>(
    shared: &Shared,
    table: Table,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, StoreError> {
    records::open(key, bytes).map_err(|error| match error {
        Unreadable::UnknownSchema(schema) => StoreError::UnknownSchema { kind: T::KIND, schema },
        Unreadable::Broken(_)
        | Unreadable::Codec(_)
        | Unreadable::Kind(_)
        | Unreadable::Field(_) => {
            shared.report_damage(table, key, bytes, error.to_string());
            StoreError::Quarantined
        }
    })
}

/// A span as redb takes it.
pub(super) fn bounds(span: &Span) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (span.low.as_ref().map(Vec::as_slice), span.high.as_ref().map(Vec::as_slice))
}

/// Whether a range can hold anything; redb panics on none of these, but need not be asked.
pub(super) fn is_empty(span: &Span) -> bool {
    match (&span.low, &span.high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

/// Walks a range of any open table.
pub(super) fn walk(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    span: &Span,
    direction: Direction,
    each: &mut Each<'_>,
) -> Result<(), StoreError> {
    if is_empty(span) {
        return Ok(());
    }
    let mut range = table.range::<&[u8]>(bounds(span)).map_err(failed)?;
    loop {
        let next = match direction {
            Direction::Up => range.next(),
            Direction::Down => range.next_back(),
        };
        let Some(row) = next else { return Ok(()) };
        let (key, value) = row.map_err(failed)?;
        if each(key.value(), value.value())?.is_break() {
            return Ok(());
        }
    }
}

/// A read transaction with its tables, each opened once.
pub(super) struct Opened {
    tables: Vec<OnceLock<ReadOnlyTable<&'static [u8], &'static [u8]>>>,
    transaction: ReadTransaction,
}

impl Opened {
    pub(super) fn new(transaction: ReadTransaction) -> Self {
        let tables = Table::ALL.iter().map(|_| OnceLock::new()).collect();
        Self { tables, transaction }
    }
}

/// Rows through a read transaction.
pub(super) struct View<'a> {
    opened: &'a Opened,
    shared: &'a Shared,
}

impl<'a> View<'a> {
    pub(super) const fn new(opened: &'a Opened, shared: &'a Shared) -> Self {
        Self { opened, shared }
    }

    /// An open table.
    pub(super) fn table(
        &self,
        table: Table,
    ) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>, StoreError> {
        let cell = &self.opened.tables[table.index()];
        if let Some(open) = cell.get() {
            return Ok(open);
        }
        let open = self.opened.transaction.open_table(table.definition()).map_err(failed)?;
        Ok(cell.get_or_init(|| open))
    }
}

impl Rows for View<'_> {
    fn bytes(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.table(table)?.get(key).map_err(failed)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn scan(
        &self,
        table: Table,
        span: &Span,
        direction: Direction,
        each: &mut Each<'_>,
    ) -> Result<(), StoreError> {
        walk(self.table(table)?, span, direction, each)
    }

    fn shared(&self) -> &Shared {
        self.shared
    }

    /// Read where it lies, without a copy.
    fn record<T: Record>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
        let found = self.table(table)?.get(key).map_err(failed)?;
        found.map(|value| decode(self.shared, table, key, value.value())).transpose()
    }
}
