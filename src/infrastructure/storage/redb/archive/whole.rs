//! Whether what was imported belongs together: each record to a tenant and a session that are there,
//! the audit as one chain, the logs up to their heads.

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};

use super::super::keys;
use super::super::medium::OpenError;
use super::super::records::{self, Head};
use super::super::tables::Table;
use super::export::{EXPORTED, called};
use crate::domain::audit::StoredAudit;
use crate::domain::audit::walk::Walk;
use crate::domain::ids::TenantId;
use crate::infrastructure::keys::sign::verify;

type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Reads everything once more. Where records were damaged, what refers to them may be left.
pub(super) fn whole(database: &Database, has_gaps: bool) -> Result<(), OpenError> {
    let transaction = database.begin_read().map_err(OpenError::failed)?;
    let (tenants, sessions) =
        (open(&transaction, Table::Tenants)?, open(&transaction, Table::Sessions)?);
    for table in EXPORTED {
        for row in open(&transaction, table)?.iter().map_err(OpenError::failed)? {
            let (key, _) = row.map_err(OpenError::failed)?;
            let key = key.value();
            let owner = keys::tenant_of(key).filter(|owner| *owner != TenantId::SYSTEM);
            if let Some(owner) = owner {
                there(&tenants, &keys::tenant(owner), table)?;
            }
            if matches!(table, Table::Attempts | Table::Checkpoints) && !has_gaps {
                there(&sessions, key.get(..32).unwrap_or_default(), table)?;
            }
        }
    }
    for row in tenants.iter().map_err(OpenError::failed)? {
        let (key, _) = row.map_err(OpenError::failed)?;
        if let (Some(tenant), false) = (keys::tenant_of(key.value()), has_gaps) {
            logs(&transaction, tenant)?;
        }
    }
    Ok(())
}

fn open(transaction: &ReadTransaction, table: Table) -> Result<Rows, OpenError> {
    transaction.open_table(table.definition()).map_err(OpenError::failed)
}

fn there(rows: &Rows, key: &[u8], from: Table) -> Result<(), OpenError> {
    if rows.get(key).map_err(OpenError::failed)?.is_some() {
        return Ok(());
    }
    Err(wrong(format!("what a record of {} belongs to is missing", called(from))))
}

/// The audit is one chain, and both logs end where the head says.
fn logs(transaction: &ReadTransaction, tenant: TenantId) -> Result<(), OpenError> {
    let key = keys::tenant(tenant);
    let found = open(transaction, Table::Heads)?.get(key.as_slice()).map_err(OpenError::failed)?;
    let head: Option<Head> = found
        .map(|value| records::open(&key, value.value()))
        .transpose()
        .map_err(|error| unread(&error))?;
    let head = head.unwrap_or_default();
    let span = keys::numbers(tenant);
    let bounds = super::super::rows::bounds(&span);
    let mut walk = Walk::new(verify, None);
    for row in open(transaction, Table::Audit)?.range::<&[u8]>(bounds).map_err(OpenError::failed)? {
        let (key, value) = row.map_err(OpenError::failed)?;
        let entry: StoredAudit =
            records::open(key.value(), value.value()).map_err(|error| unread(&error))?;
        walk.step(&entry).map_err(|seq| wrong(format!("the audit breaks at entry {seq}")))?;
    }
    let told = head.last_audit.as_ref().map_or((0, None), |(seq, hash)| (*seq, Some(&**hash)));
    if told.0 != walk.last() || told.1.is_some_and(|hash| hash != walk.head()) {
        return Err(wrong("the audit ends elsewhere than its head says".to_owned()));
    }
    let events = open(transaction, Table::Events)?;
    let last = events.range::<&[u8]>(bounds).map_err(OpenError::failed)?.next_back();
    let last = last.transpose().map_err(OpenError::failed)?;
    let last = last.and_then(|(key, _)| keys::tail_number(key.value()));
    if last.is_some_and(|last| last != head.last_event) {
        return Err(wrong("the events end elsewhere than their head says".to_owned()));
    }
    Ok(())
}

fn unread(error: &records::Unreadable) -> OpenError {
    wrong(error.to_string())
}

fn wrong(reason: String) -> OpenError {
    OpenError::Damaged { reason }
}
