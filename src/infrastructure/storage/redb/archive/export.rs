//! Everything as lines of JSON: a description, a line for each record, and how many there were.
//!
//! Invariant: an export holds no secret: webhooks are without theirs. What is derived from other
//! records (indexes), forgotten within a day (answers) or about the file itself is not in it.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::handle::Reader;
use super::super::keys::{self, everything};
use super::super::migrate::LAYOUT;
use super::super::records::kinds::{Visit, visit};
use super::super::records::{self, Record};
use super::super::tables::Table;
use super::copy::piece;
use super::redact::{Redact, redacted};
use super::shape::spelled;
use super::{FORMAT, hex};
use crate::application::ports::archives::Extent;
use crate::application::ports::store::StoreError;
use crate::domain::time::Timestamp;
use crate::infrastructure::storage::shared::failed;

/// Tables whose rows are in an export, in its order.
pub(super) const EXPORTED: [Table; 33] = [
    Table::Tenants,
    Table::Users,
    Table::ApiKeys,
    Table::KeyUses,
    Table::Agents,
    Table::Vitals,
    Table::Heartbeats,
    Table::EndedWork,
    Table::Sessions,
    Table::Attempts,
    Table::Checkpoints,
    Table::Attention,
    Table::OwedChildren,
    Table::Journal,
    Table::JournalHeads,
    Table::Events,
    Table::Audit,
    Table::Heads,
    Table::Counters,
    Table::Webhooks,
    Table::WebhookProgress,
    Table::Deliveries,
    Table::Usage,
    Table::UsageDays,
    Table::Prices,
    Table::LimitsTold,
    Table::Contexts,
    Table::ContextHistory,
    Table::ContextMerges,
    Table::EndedOwners,
    Table::Tasks,
    Table::TaskBooks,
    Table::Templates,
];

/// What a table is called in an export.
pub(super) fn called(table: Table) -> &'static str {
    table.name().trim_end_matches(".k1")
}

/// Writes an export; returns its records.
pub(super) fn export(
    reader: &Arc<Reader>,
    extent: &Extent,
    (at, redact): (Timestamp, Redact),
    out: &mut impl Write,
) -> Result<u64, StoreError> {
    let manifest = json!({
        "orchestrator_export": FORMAT, "version": env!("CARGO_PKG_VERSION"), "layout": LAYOUT,
        "made_at": at, "tenant": extent.tenant, "redacted": extent.redact,
    });
    put(out, &manifest)?;
    let redact = extent.redact.then_some(redact);
    let mut rows = 0;
    for table in EXPORTED {
        let mut rest = Some(everything());
        while let Some(span) = rest {
            let piece = reader.read(|view| piece(view, table, &span))?;
            let Some((last, _)) = piece.last() else { break };
            rest = Some(everything().above(last.clone()));
            for (key, value) in &piece {
                let owner = keys::tenant_of(key);
                if extent.tenant.is_none_or(|wanted| owner == Some(wanted)) {
                    put(out, &line(table, (key.as_slice(), value.as_slice()), redact))?;
                    rows += 1;
                }
            }
        }
    }
    put(out, &json!({ "rows": rows }))?;
    out.flush().map_err(failed)?;
    Ok(rows)
}

fn put(out: &mut impl Write, line: &Value) -> Result<(), StoreError> {
    let written: io::Result<()> = writeln!(out, "{line}");
    written.map_err(failed)
}

fn line(table: Table, (key, value): (&[u8], &[u8]), redact: Option<Redact>) -> Value {
    struct Shown<'a>(&'a [u8], &'a [u8]);
    impl Visit for Shown<'_> {
        type Out = Option<(u16, Value)>;

        fn record<T: Record>(self) -> Self::Out {
            records::shape::<T>(self.0, self.1).ok()
        }

        fn mark(self) -> Self::Out {
            Some((0, Value::Null))
        }

        fn other(self) -> Self::Out {
            None
        }
    }
    let mut line = json!({ "table": called(table), "key": hex(key) });
    match visit(table, Shown(key, value)) {
        None => line["damaged"] = json!(true),
        Some((_, Value::Null)) => {}
        Some((schema, mut shape)) => {
            bare(table, &mut shape, redact);
            line["schema"] = json!(schema);
            line["record"] = spelled(shape);
        }
    }
    line
}

/// Takes out what an export does not tell.
fn bare(table: Table, shape: &mut Value, redact: Option<Redact>) {
    if table == Table::Webhooks {
        for key in shape["keys"].as_array_mut().into_iter().flatten() {
            key[0] = json!([]);
        }
    }
    let Some(redact) = redact else { return };
    if table == Table::ApiKeys {
        shape["secrets"] = json!([]);
    }
    redacted(shape, redact);
}
