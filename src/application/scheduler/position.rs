//! Where a waiting session stands, and when it is expected to be given out.
//!
//! The place of a session is the one in which it would be given out if slots became free one after
//! another and nothing else changed. Within a tenant that is counted; what the other tenants are
//! given meanwhile follows from their shares, so that with several of them it is an estimate.

use super::tick::State;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::time::Timestamp;

/// Sessions that are counted before one; who is behind more of them is told a lower bound.
const COUNTED: usize = 10_000;

/// The place of a session among all that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// From 1.
    pub place: usize,
    /// Whether it was counted, and not estimated.
    pub is_exact: bool,
}

impl State {
    /// Place of a session among all that wait; `None` when it does not wait.
    pub fn position(&mut self, id: SessionId, now: Timestamp) -> Option<Position> {
        self.advance(now);
        let (tenant, own, counted) = self.own_place(id)?;
        let mine = self.tenants.get(&tenant)?;
        let before = u64::try_from(own - 1).unwrap_or(u64::MAX);
        let level = mine.account.load_after(before.saturating_mul(mine.mean_cost()));
        let (mut others, mut alone) = (0, true);
        for (other, lines) in self.tenants.iter().filter(|(other, _)| **other != tenant) {
            if lines.ready.is_none() {
                continue;
            }
            alone = false;
            let (cost, account) = (lines.mean_cost(), &lines.account);
            let mut grants = account.cost_until(level).div_ceil(cost);
            let is_level = account.load_after(grants.saturating_mul(cost)) == level;
            if is_level && (account.turn(), *other) < (mine.account.turn(), tenant) {
                grants += 1;
            }
            others += usize::try_from(grants).unwrap_or(usize::MAX).min(lines.waiting());
        }
        Some(Position { place: own + others, is_exact: counted && alone })
    }

    /// When a session is expected to be given out, by what was seen of its tenant or else of the
    /// instance; `None` when nobody can tell.
    pub fn expected(&mut self, id: SessionId, now: Timestamp) -> Option<Timestamp> {
        let Position { place, .. } = self.position(id, now)?;
        let (tenant, own, counted) = self.own_place(id)?;
        let lines = self.tenants.get(&tenant).filter(|_| counted && self.hold.is_none())?;
        lines.ready?;
        lines.pace.expects(own, now).or_else(|| self.pace.expects(place, now))
    }

    /// Whose it is, its place in its tenant from 1, and whether that was counted to the end.
    fn own_place(&self, id: SessionId) -> Option<(TenantId, usize, bool)> {
        let waiter = self.waiting.get(&id)?;
        let lines = self.tenants.get(&waiter.tenant)?;
        let (ahead, counted) = lines.ahead(&waiter.waiting.rank(self.now()), COUNTED);
        Some((waiter.tenant, ahead + 1, counted))
    }
}
