//! Who works on the files of a session: one at a time, from the look at its status to the commit.
//!
//! Invariant: while this is held for a session, the session is given to no agent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::domain::ids::SessionId;

/// The right to work on one session's files; given back when it is dropped.
pub type Alone = OwnedMutexGuard<()>;

/// Those who work on files, by session; a session that nobody works on takes no room.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<SessionId, Weak<Turn<()>>>>>);

impl Turns {
    /// Waits until nobody else works on the files of a session.
    pub async fn alone(&self, id: SessionId) -> Alone {
        self.turn(id).lock_owned().await
    }

    /// The same without waiting.
    #[must_use]
    pub fn alone_now(&self, id: SessionId) -> Option<Alone> {
        self.turn(id).try_lock_owned().ok()
    }

    /// Whether somebody works on the files of a session.
    #[must_use]
    pub fn is_taken(&self, id: SessionId) -> bool {
        let turn = self.all().get(&id).and_then(Weak::upgrade);
        turn.is_some_and(|turn| turn.try_lock().is_err())
    }

    fn turn(&self, id: SessionId) -> Arc<Turn<()>> {
        let mut all = self.all();
        if let Some(turn) = all.get(&id).and_then(Weak::upgrade) {
            return turn;
        }
        all.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::new(()));
        all.insert(id, Arc::downgrade(&turn));
        turn
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Weak<Turn<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_per_session_and_nothing_is_kept() {
        let turns = Turns::default();
        let id = |number| SessionId::new(Uuid::from_u128(number));
        let held = turns.alone(id(1)).await;
        assert!(turns.is_taken(id(1)) && turns.alone_now(id(1)).is_none());
        assert!(turns.alone_now(id(2)).is_some());
        drop(held);
        assert!(!turns.is_taken(id(1)));
        assert!(turns.alone_now(id(1)).is_some());
        drop(turns.alone(id(3)).await);
        assert_eq!(turns.all().len(), 1, "only the newest is left until the next comes");
    }
}
