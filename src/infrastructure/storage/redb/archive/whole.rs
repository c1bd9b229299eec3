//! Whether what was imported belongs together: each record to a tenant and a session that are there,
//! the audit as one chain, the logs up to their heads.

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::super::keys;
use super::super::medium::OpenError;
use super::super::records::{self, Head};
use super::super::tables::Table;
use super::export::EXPORTED;
use super::rules::{Misfit, Rows, open, walls};
use crate::domain::audit::StoredAudit;
use crate::domain::audit::walk::Walk;
use crate::domain::ids::TenantId;
use crate::infrastructure::keys::sign::verify;

/// Reads everything once more, and finds the record that does not belong. Where records were damaged,
/// what refers to them may be left.
pub(super) fn whole(database: &Database, has_gaps: bool) -> Result<Option<Misfit>, OpenError> {
    let transaction = database.begin_read().map_err(OpenError::failed)?;
    let (tenants, sessions) =
        (open(&transaction, Table::Tenants)?, open(&transaction, Table::Sessions)?);
    for table in EXPORTED {
        for row in open(&transaction, table)?.iter().map_err(OpenError::failed)? {
            let (key, _) = row.map_err(OpenError::failed)?;
            let key = key.value();
            let owner = keys::tenant_of(key).filter(|owner| *owner != TenantId::SYSTEM);
            if let Some(owner) = owner
                && !is_there(&tenants, &keys::tenant(owner))?
            {
                return Ok(Some(Misfit::new(table, key, "its tenant is missing")));
            }
            if matches!(table, Table::Attempts | Table::Checkpoints)
                && !has_gaps
                && !is_there(&sessions, key.get(..32).unwrap_or_default())?
            {
                return Ok(Some(Misfit::new(table, key, "its session is missing")));
            }
        }
    }
    let misfit = walls(&transaction, has_gaps)?;
    if misfit.is_some() {
        return Ok(misfit);
    }
    for row in tenants.iter().map_err(OpenError::failed)? {
        let (key, _) = row.map_err(OpenError::failed)?;
        if let (Some(tenant), false) = (keys::tenant_of(key.value()), has_gaps) {
            logs(&transaction, tenant)?;
        }
    }
    Ok(None)
}

fn is_there(rows: &Rows, key: &[u8]) -> Result<bool, OpenError> {
    Ok(rows.get(key).map_err(OpenError::failed)?.is_some())
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
    if let Some(seq) = walk.end() {
        return Err(wrong(format!("the audit lacks entry {seq}, and nobody vouches for it")));
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
