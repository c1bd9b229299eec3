//! How webhooks fare, in numbers: what became of messages, what waits, and for how long.
//!
//! Invariant: what is counted was committed; nothing here names a tenant, a webhook or an address.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::closed_enum;
use crate::domain::ids::{TenantId, WebhookId};
use crate::domain::time::Timestamp;

closed_enum!(
    /// What became of one attempt to send a message.
    Outcome {
        Accepted = "accepted",
        Refused = "refused",
        Unanswered = "unanswered",
        Denied = "denied",
        Lost = "lost",
    }
);

/// How one webhook stood when its worker last looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Messages that wait for their turn; of each subject the first.
    pub waiting: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// Whether nothing was accepted lately.
    pub is_failing: bool,
}

#[derive(Default)]
struct Noted {
    outcomes: HashMap<Outcome, u64>,
    standings: HashMap<(TenantId, WebhookId), Standing>,
}

/// The numbers of all webhooks of this process.
#[derive(Default)]
pub struct Figures(Mutex<Noted>);

impl Figures {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts attempts whose outcome is stored.
    pub fn count(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        let mut noted = self.noted();
        for outcome in outcomes {
            *noted.outcomes.entry(outcome).or_default() += 1;
        }
    }

    /// Notes how a webhook stands; `None` when it is gone.
    pub fn note(&self, tenant: TenantId, id: WebhookId, standing: Option<Standing>) {
        let mut noted = self.noted();
        match standing {
            Some(standing) => noted.standings.insert((tenant, id), standing),
            None => noted.standings.remove(&(tenant, id)),
        };
    }

    /// Attempts with this outcome since the process began.
    #[must_use]
    pub fn attempts(&self, outcome: Outcome) -> u64 {
        self.noted().outcomes.get(&outcome).copied().unwrap_or(0)
    }

    /// All webhooks together, and how many of them fail.
    #[must_use]
    pub fn standing(&self) -> (Standing, u64) {
        let noted = self.noted();
        let (mut all, mut failing) = (Standing::default(), 0);
        for one in noted.standings.values() {
            all.waiting += one.waiting;
            all.oldest = all.oldest.into_iter().chain(one.oldest).min();
            all.is_failing |= one.is_failing;
            failing += u64::from(one.is_failing);
        }
        (all, failing)
    }
}
