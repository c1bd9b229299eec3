//! Deadlines: every second whatever is due is taken on, many things beside each other.
//!
//! Invariant: what is at work or rests after a failure is passed over, so that the rows behind it
//! come up.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::resting::Resting;
use super::{BATCH, DEADLINES, Reconciler};
use crate::application::error::AppError;
use crate::domain::ids::{AttentionId, SessionId, TenantId};

/// Things that are done beside each other. Each takes a few seconds at the most, and no more
/// sessions than this execute at once unless somebody raised their number.
const AT_ONCE: usize = 64;

/// Something whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Session(TenantId, SessionId),
    Attention(TenantId, AttentionId),
}

/// What was found and is not done yet.
struct Agenda {
    /// In the order in which it was found.
    waiting: VecDeque<Due>,
    /// Waiting or at work.
    known: BTreeSet<Due>,
    resting: Resting<Due>,
}

impl Reconciler {
    /// Does what is due, until cancelled.
    pub(super) async fn deadlines(&self, stop: &CancellationToken) {
        let mut agenda =
            Agenda { waiting: VecDeque::new(), known: BTreeSet::new(), resting: Resting::new() };
        let mut at_work = FuturesUnordered::new();
        let mut next_look = self.clock.sleep(Duration::ZERO);
        loop {
            while at_work.len() < AT_ONCE
                && let Some(due) = agenda.waiting.pop_front()
            {
                at_work.push(async move { (due, self.see_to(due).await) });
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some((due, done)) = at_work.next() => self.note(&mut agenda, due, &done),
                () = &mut next_look => {
                    if let Err(error) = self.look(&mut agenda).await {
                        tracing::warn!(%error, "What is due could not be read; it is in a second");
                    }
                    next_look = self.clock.sleep(DEADLINES);
                }
            }
        }
    }

    async fn look(&self, agenda: &mut Agenda) -> Result<(), AppError> {
        let now = self.clock.now();
        let limit = BATCH + agenda.known.len() + agenda.resting.len();
        let fleet = self.store.fleet().await?;
        let sessions = fleet.due_sessions(now, limit).await?.into_iter();
        let items = fleet.due_attention(now, limit).await?.into_iter();
        drop(fleet);
        let sessions = sessions.map(|(tenant, id)| Due::Session(tenant, id));
        let items = items.map(|(tenant, id)| Due::Attention(tenant, id));
        let found: Vec<Due> = sessions.chain(items).collect();
        for due in &found {
            if !agenda.resting.rests(due, now) && agenda.known.insert(*due) {
                agenda.waiting.push_back(*due);
            }
        }
        // Whatever is no longer due need not be remembered.
        let found: BTreeSet<Due> = found.into_iter().collect();
        agenda.resting.keep(|due| found.contains(due));
        Ok(())
    }

    async fn see_to(&self, due: Due) -> Result<(), AppError> {
        match due {
            Due::Session(tenant, id) => {
                self.supervisors.verify_if_promised(tenant, id).await?;
                self.sessions.do_what_is_due(tenant, id).await
            }
            Due::Attention(tenant, id) => self.attention.expire(tenant, id).await,
        }
    }

    fn note(&self, agenda: &mut Agenda, due: Due, done: &Result<(), AppError>) {
        agenda.known.remove(&due);
        let Err(error) = done else { return agenda.resting.done(&due) };
        if let (
            Due::Session(_, id),
            AppError::QuotaExceeded { .. } | AppError::BudgetExhausted { .. },
        ) = (due, error)
        {
            // It says so to whoever asks why.
            tracing::debug!(session.id = %id, %error, "Session {id} waits for room in a bound");
            return agenda.resting.waits(due, self.clock.now());
        }
        agenda.resting.failed(due, self.clock.now());
        match due {
            Due::Session(_, id) => {
                tracing::warn!(session.id = %id, %error, "What is due for session {id} could not be done");
            }
            Due::Attention(_, id) => {
                tracing::warn!(attention.id = %id, %error, "Item {id} could not be settled at its deadline");
            }
        }
    }
}
