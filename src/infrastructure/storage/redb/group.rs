//! The rows inside the writer's transaction: what plans read, and how they are applied.
//!
//! Invariant: applying only inserts and removes; whatever can refuse or fail to decode was done by
//! the plan. In debug builds every written session is read back and its index entries compared.

use std::cell::RefCell;
use std::collections::HashMap;

use redb::{ReadableTable, WriteTransaction};

use super::handle::Shared;
use super::keys::{Key, Span};
use super::plan::{Operation, Plan, indexes};
use super::rows::{Direction, Each, Rows, walk};
use super::tables::Table;
use crate::application::ports::store::StoreError;
use crate::domain::session::Session;
use crate::domain::version::Versioned;
use crate::infrastructure::storage::shared::failed;

type OpenTable<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;

/// Tables whose rows nearly every change set of a tenant writes again.
const HOT: [Table; 2] = [Table::Heads, Table::Counters];

/// One write transaction with its tables, opened as they are needed.
///
/// Rows of the hot tables are kept beside it and written once, by `settle`: a group of a thousand
/// change sets moves each of them a thousand times.
pub(super) struct Group<'a> {
    transaction: &'a WriteTransaction,
    shared: &'a Shared,
    tables: RefCell<Vec<Option<OpenTable<'a>>>>,
    hot: [RefCell<HashMap<Key, Vec<u8>>>; HOT.len()],
}

impl<'a> Group<'a> {
    pub(super) fn new(transaction: &'a WriteTransaction, shared: &'a Shared) -> Self {
        let tables = RefCell::new(Table::ALL.iter().map(|_| None).collect());
        Self { transaction, shared, tables, hot: Default::default() }
    }

    fn hot(&self, table: Table) -> Option<&RefCell<HashMap<Key, Vec<u8>>>> {
        HOT.iter().position(|hot| *hot == table).map(|place| &self.hot[place])
    }

    /// Writes what was kept back; to be called before the commit.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        for (table, rows) in HOT.iter().zip(&self.hot) {
            for (key, value) in rows.borrow_mut().drain() {
                self.with(*table, |open| {
                    open.insert(key.as_slice(), value.as_slice()).map(drop).map_err(failed)
                })?;
            }
        }
        Ok(())
    }

    fn with<T>(
        &self,
        table: Table,
        work: impl FnOnce(&mut OpenTable<'a>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tables = self.tables.borrow_mut();
        let slot = &mut tables[table.index()];
        if let Some(open) = slot {
            return work(open);
        }
        let open = self.transaction.open_table(table.definition()).map_err(failed)?;
        work(slot.insert(open))
    }

    /// Makes a plan true; returns the bytes written.
    pub(super) fn apply(&self, plan: &Plan) -> Result<usize, StoreError> {
        let mut written = 0;
        for Operation { table, key, value } in &plan.operations {
            written += key.len() + value.as_ref().map_or(0, Vec::len);
            if let Some(hot) = self.hot(*table) {
                if let Some(value) = value {
                    hot.borrow_mut().insert(key.clone(), value.clone());
                    continue;
                }
                hot.borrow_mut().remove(key);
            }
            self.with(*table, |open| {
                match value {
                    Some(value) => {
                        open.insert(key.as_slice(), value.as_slice()).map_err(failed)?;
                    }
                    None => {
                        open.remove(key.as_slice()).map_err(failed)?;
                    }
                }
                Ok(())
            })?;
        }
        debug_assert!(self.indexes_agree(plan), "index entries differ from what the rows say");
        Ok(written)
    }

    /// Whether every session written by a plan is found through exactly the entries that it should.
    fn indexes_agree(&self, plan: &Plan) -> bool {
        let written = plan
            .operations
            .iter()
            .filter(|operation| operation.table == Table::Sessions && operation.value.is_some());
        let mut agree = true;
        for Operation { key, .. } in written {
            let Ok(Some(session)) = self.record::<Versioned<Session>>(Table::Sessions, key) else {
                return false;
            };
            let expected: Vec<(Table, Key)> = indexes(&session.value);
            let is_there =
                |(table, key): &(Table, Key)| matches!(self.bytes(*table, key), Ok(Some(_)));
            let stale = plan.operations.iter().filter(|operation| {
                operation.value.is_some()
                    && operation.key.ends_with(session.value.id.as_bytes())
                    && matches!(
                        operation.table,
                        Table::SessionsByStatus
                            | Table::SessionsByParent
                            | Table::SessionsByAwaited
                            | Table::SessionsByTag
                            | Table::DueSessions
                    )
            });
            let none_stale = stale
                .map(|operation| (operation.table, operation.key.clone()))
                .all(|entry| expected.contains(&entry));
            agree &= expected.iter().all(is_there) && none_stale;
        }
        agree
    }
}

impl Rows for Group<'_> {
    fn bytes(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(kept) = self.hot(table).and_then(|hot| hot.borrow().get(key).cloned()) {
            return Ok(Some(kept));
        }
        self.with(table, |open| {
            let found = open.get(key).map_err(failed)?;
            Ok(found.map(|value| value.value().to_vec()))
        })
    }

    fn scan(
        &self,
        table: Table,
        span: &Span,
        direction: Direction,
        each: &mut Each<'_>,
    ) -> Result<(), StoreError> {
        if self.hot(table).is_some() {
            self.settle()?;
        }
        self.with(table, |open| walk(open, span, direction, each))
    }

    fn shared(&self) -> &Shared {
        self.shared
    }
}
