//! What sessions that ended abnormally owe their children: one row per such end, until all of them
//! are treated.
//!
//! Invariant: a row is written in the transaction of the end, and only when there are children by
//! then; whoever becomes a child later finds that its parent has ended.

use super::keys;
use super::plan::Planner;
use super::rows::{Rows, View};
use super::tables::Table;
use crate::application::ports::reads::OwedChildren;
use crate::application::ports::store::{CommitError, StoreError};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::time::Timestamp;

impl<R: Rows> Planner<'_, R> {
    pub(super) fn owe_children(
        &mut self,
        parent: SessionId,
        at: Timestamp,
    ) -> Result<(), CommitError> {
        let children = keys::of_parent(self.tenant, parent);
        if !self.rows.keys(Table::SessionsByParent, &children, 1)?.is_empty() {
            self.plan.mark(Table::OwedChildren, keys::due(self.tenant, at, *parent.as_bytes()));
        }
        Ok(())
    }

    pub(super) fn settle_children(&mut self, parent: SessionId, at: Timestamp) {
        self.plan.remove(Table::OwedChildren, keys::due(self.tenant, at, *parent.as_bytes()));
    }
}

/// What one tenant's sessions owe their children, longest owed first, at most `limit`.
pub(super) fn owed(
    view: &View<'_>,
    tenant: TenantId,
    limit: usize,
) -> Result<Vec<OwedChildren>, StoreError> {
    let found = view.keys(Table::OwedChildren, &keys::all_due(tenant), limit)?;
    let owed = found.iter().filter_map(|key| {
        let parent = SessionId::from_bytes(keys::tail_id(key)?);
        Some(OwedChildren { tenant, parent, at: keys::due_at(key)? })
    });
    Ok(owed.collect())
}
