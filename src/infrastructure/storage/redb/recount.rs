//! Counters against rows, at every opening.
//!
//! Invariant: after opening, the counters of open sessions and of agents say what their indexes say: a
//! counter that was damaged or is wrong neither refuses work for ever nor admits too much. Ended
//! sessions and what was used are not counted again, that is done once a day: opening takes time by
//! what is open, not by what is stored.

use std::collections::BTreeSet;

use redb::{Database, Durability, ReadTransaction, ReadableDatabase};

use super::keys::{self, Key, Span};
use super::medium::OpenError;
use super::migrate::guarded;
use super::records::{self, Number};
use super::rows::bounds;
use super::tables::Table;
use crate::application::ports::changes::Counter;
use crate::domain::ids::TenantId;
use crate::domain::session::status::SessionStatus;

/// Corrects the counters that disagree; returns how many did.
pub(super) fn recount(database: &Database) -> Result<usize, OpenError> {
    guarded(|| {
        let transaction = database.begin_read().map_err(OpenError::failed)?;
        let wrong = Counted::open(&transaction)?.wrong()?;
        drop(transaction);
        if wrong.is_empty() {
            return Ok(0);
        }
        let mut transaction = database.begin_write().map_err(OpenError::failed)?;
        transaction.set_durability(Durability::Immediate).map_err(OpenError::failed)?;
        transaction.set_quick_repair(true);
        {
            let mut table =
                transaction.open_table(Table::Counters.definition()).map_err(OpenError::failed)?;
            for (key, number) in &wrong {
                let row = records::seal(key, &Number(*number)).map_err(OpenError::failed)?;
                table.insert(key.as_slice(), row.as_slice()).map_err(OpenError::failed)?;
            }
        }
        transaction.commit().map_err(OpenError::failed)?;
        Ok(wrong.len())
    })
}

type Rows = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The tables that are compared.
struct Counted {
    sessions: Rows,
    agents: Rows,
    counters: Rows,
}

impl Counted {
    fn open(transaction: &ReadTransaction) -> Result<Self, OpenError> {
        let open =
            |table: Table| transaction.open_table(table.definition()).map_err(OpenError::failed);
        let (sessions, agents) = (open(Table::SessionsByStatus)?, open(Table::AgentsByName)?);
        Ok(Self { sessions, agents, counters: open(Table::Counters)? })
    }

    /// The counters that disagree, as they should be.
    fn wrong(&self) -> Result<Vec<(Key, i64)>, OpenError> {
        let mut tenants = tenants_of(&self.sessions)?;
        tenants.extend(tenants_of(&self.agents)?);
        tenants.extend(tenants_of(&self.counters)?);
        let mut wrong = Vec::new();
        for tenant in tenants {
            let mut open = 0;
            for status in SessionStatus::ALL.iter().filter(|status| status.is_open()) {
                let count = count(&self.sessions, &keys::in_status(tenant, *status))?;
                open += count;
                self.compare(
                    keys::counter(tenant, Counter::SessionsIn(*status)),
                    count,
                    &mut wrong,
                )?;
            }
            self.compare(keys::counter(tenant, Counter::OpenSessions), open, &mut wrong)?;
            let agents = count(&self.agents, &keys::agent_names(tenant))?;
            self.compare(keys::counter(tenant, Counter::Agents), agents, &mut wrong)?;
        }
        Ok(wrong)
    }

    fn compare(
        &self,
        key: Key,
        expected: i64,
        wrong: &mut Vec<(Key, i64)>,
    ) -> Result<(), OpenError> {
        let row = self.counters.get(key.as_slice()).map_err(OpenError::failed)?;
        let agrees = match row {
            None => expected == 0,
            Some(row) => records::open::<Number>(&key, row.value())
                .is_ok_and(|Number(number)| number == expected),
        };
        if !agrees {
            wrong.push((key, expected));
        }
        Ok(())
    }
}

/// How many keys a span holds.
fn count(table: &Rows, span: &Span) -> Result<i64, OpenError> {
    let mut count = 0;
    for row in table.range::<&[u8]>(bounds(span)).map_err(OpenError::failed)? {
        row.map_err(OpenError::failed)?;
        count += 1;
    }
    Ok(count)
}

/// The tenants that have rows in a table, found by one step each.
fn tenants_of(table: &Rows) -> Result<BTreeSet<TenantId>, OpenError> {
    let mut found = BTreeSet::new();
    let mut rest = Some(keys::everything());
    while let Some(span) = rest {
        let first = table.range::<&[u8]>(bounds(&span)).map_err(OpenError::failed)?.next();
        let Some(first) = first else { break };
        let (key, _) = first.map_err(OpenError::failed)?;
        let Some(tenant) = keys::tenant_of(key.value()) else { break };
        found.insert(tenant);
        rest = keys::behind_tenant(tenant);
    }
    Ok(found)
}
