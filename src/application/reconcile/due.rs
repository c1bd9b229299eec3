//! Deadlines: every second whatever is due is taken on, many things beside each other.
//!
//! Invariant: what is at work or rests after a failure is passed over, so that the rows behind it
//! come up.
//! Invariant: what comes after other sessions is looked at as soon as one of them moved, and now and
//! then in any case: what is missed costs a minute at the most.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::resting::Resting;
use super::{BATCH, DEADLINES, Reconciler};
use crate::application::error::AppError;
use crate::application::session::after::Waits;
use crate::domain::event::{EventType, StoredEvent};
use crate::domain::ids::{AttentionId, SessionId, TenantId};

/// Things that are done beside each other. Each takes a few seconds at the most, and no more
/// sessions than this execute at once unless somebody raised their number.
const AT_ONCE: usize = 64;

/// How long a session rests that comes after others, if none of them moves.
const COMES_AFTER: Duration = Duration::from_secs(5);
/// How long it rests when none of them comes to its end by itself.
const IN_VAIN: Duration = Duration::from_mins(1);
/// How long one rests that waits for room in a bound.
const NO_ROOM: Duration = Duration::from_secs(1);

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
    /// Who comes after a session.
    followers: BTreeMap<SessionId, BTreeSet<Due>>,
}

impl Agenda {
    /// A session moved: those that come after it are looked at again.
    fn moved(&mut self, session: SessionId) {
        for due in self.followers.remove(&session).unwrap_or_default() {
            self.resting.done(&due);
            if self.known.insert(due) {
                self.waiting.push_back(due);
            }
        }
    }

    fn heard(&mut self, news: Result<Arc<Vec<StoredEvent>>, RecvError>) {
        let batch = match news {
            Ok(batch) => batch,
            // Any of them may have moved.
            Err(RecvError::Lagged(_)) => {
                let all: Vec<SessionId> = self.followers.keys().copied().collect();
                return all.into_iter().for_each(|session| self.moved(session));
            }
            Err(RecvError::Closed) => return self.followers.clear(),
        };
        for event in batch.iter().map(|stored| &stored.event) {
            let moves = [EventType::SessionStatusChanged, EventType::SessionDeleted];
            if moves.contains(&event.event_type) {
                self.moved(SessionId::new(event.subject.id));
            }
        }
    }
}

impl Reconciler {
    /// Does what is due, until cancelled.
    pub(super) async fn deadlines(&self, stop: &CancellationToken) {
        let mut feed = self.store.feed();
        let mut agenda = Agenda {
            waiting: VecDeque::new(),
            known: BTreeSet::new(),
            resting: Resting::new(),
            followers: BTreeMap::new(),
        };
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
                news = feed.recv(), if !agenda.followers.is_empty() => agenda.heard(news),
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
        agenda.followers.retain(|_, followers| {
            followers.retain(|due| found.contains(due));
            !followers.is_empty()
        });
        Ok(())
    }

    /// Does it; what it waits for, when it comes after other sessions.
    async fn see_to(&self, due: Due) -> Result<Waits, AppError> {
        match due {
            Due::Session(tenant, id) => {
                self.supervisors.verify_if_promised(tenant, id).await?;
                self.sessions.do_what_is_due(tenant, id).await
            }
            Due::Attention(tenant, id) => {
                self.attention.expire(tenant, id).await.map(|()| Waits::default())
            }
        }
    }

    fn note(&self, agenda: &mut Agenda, due: Due, done: &Result<Waits, AppError>) {
        agenda.known.remove(&due);
        let error = match done {
            Ok(waits) if waits.on.is_empty() => return agenda.resting.done(&due),
            Ok(waits) => {
                for id in &waits.on {
                    agenda.followers.entry(*id).or_default().insert(due);
                }
                // Only a person can help what waits in vain.
                let rest = if waits.in_vain { IN_VAIN } else { COMES_AFTER };
                return agenda.resting.waits(due, self.clock.now(), rest);
            }
            Err(error) => error,
        };
        if let (
            Due::Session(_, id),
            AppError::QuotaExceeded { .. } | AppError::BudgetExhausted { .. },
        ) = (due, error)
        {
            // It says so to whoever asks why.
            tracing::debug!(session.id = %id, %error, "Session {id} waits for room in a bound");
            return agenda.resting.waits(due, self.clock.now(), NO_ROOM);
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn after_lost_news_everybody_who_follows_is_looked_at_again() {
        let id = |number| SessionId::new(Uuid::from_u128(number));
        let due = |number| Due::Session(TenantId::BOOTSTRAP, id(number));
        let mut agenda = Agenda {
            waiting: VecDeque::new(),
            known: BTreeSet::new(),
            resting: Resting::new(),
            followers: [(id(1), [due(3)].into()), (id(2), [due(3), due(4)].into())].into(),
        };
        agenda.resting.waits(due(3), Timestamp::EPOCH, IN_VAIN);
        agenda.heard(Err(RecvError::Lagged(7)));
        assert_eq!(agenda.waiting, [due(3), due(4)], "each once");
        assert!(agenda.followers.is_empty() && !agenda.resting.rests(&due(3), Timestamp::EPOCH));
    }
}
