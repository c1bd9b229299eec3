//! A delivery that is not finished, as small as it can be to decide whose turn it is.
//!
//! Invariant: of each subject at most one delivery waits; what comes behind it lies in the log of
//! events and is read from there, so that one subject takes one place however much it holds up.

use super::super::event::Subject;
use super::super::ids::DeliveryId;
use super::super::time::Timestamp;
use super::delivery::{Delivery, Schedule, Told};
use super::progress::Progress;

/// What must be known of a pending delivery before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which delivery.
    pub id: DeliveryId,
    /// What it is about; `None` when nothing waits behind it.
    pub subject: Option<Subject>,
    /// Number of its event; 0 without one.
    pub seq: u64,
    /// From this number on the log may hold more about the subject.
    pub behind: Option<u64>,
    /// A person asked for it: it is sent however the webhook stands.
    pub is_by_hand: bool,
    /// When it is tried next; `None` as soon as its turn comes.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Waiting {
    /// Of a delivery.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            subject: delivery.subject(),
            seq: match delivery.told {
                Told::Event { seq, .. } => seq,
                Told::Gap { oldest, .. } => oldest,
                Told::Test => 0,
            },
            behind: delivery.behind,
            is_by_hand: delivery.is_by_hand(),
            next_attempt_at: delivery.next_attempt_at,
            last_attempt_at: delivery.attempts.last().map(|attempt| attempt.at),
            created_at: delivery.created_at,
        }
    }

    /// When its turn comes, if nothing stands before it.
    #[must_use]
    pub fn due_at(&self, progress: &Progress, schedule: &Schedule) -> Timestamp {
        let planned = self.next_attempt_at.unwrap_or(Timestamp::EPOCH);
        let (Some(last), Some(recovered)) = (self.last_attempt_at, progress.recovered_at) else {
            return planned;
        };
        if last >= recovered {
            return planned;
        }
        planned.min(last.after(schedule.early()))
    }
}
