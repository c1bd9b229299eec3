//! One batch: whose turn it is, and what is said to each subject in which order.
//!
//! Invariant: a lane is in the order of the numbers of its events, whatever the clock says.
//! Invariant: a subject whose first message waits takes one place, however much waits behind it.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::application::webhooks::WebhookOptions;
use crate::application::webhooks::figures::Standing;
use crate::domain::event::{StoredEvent, Subject};
use crate::domain::ids::DeliveryId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::delivery::{Answer, Delivery, Told};
use crate::domain::webhook::progress::Progress;
use crate::domain::webhook::waiting::Waiting;

/// A delivery of a batch, and what came of it.
pub(super) struct Item {
    pub(super) delivery: Delivery,
    /// Not stored yet.
    pub(super) is_new: bool,
    pub(super) answer: Option<Answer>,
    /// The event that it tells of is no longer kept.
    pub(super) is_lost: bool,
    pub(super) event: Option<StoredEvent>,
    /// Stretches the wait after a failure.
    pub(super) chance: f64,
}

impl Item {
    pub(super) const fn fresh(delivery: Delivery, event: Option<StoredEvent>) -> Self {
        Self { delivery, is_new: true, answer: None, is_lost: false, event, chance: 0.0 }
    }

    pub(super) const fn stored(delivery: Delivery) -> Self {
        Self { delivery, is_new: false, answer: None, is_lost: false, event: None, chance: 0.0 }
    }

    /// The first number that it tells of.
    const fn first(&self) -> u64 {
        match self.delivery.told {
            Told::Event { seq, .. } => seq,
            Told::Gap { requested, .. } => requested + 1,
            Told::Test => 0,
        }
    }
}

/// Messages that are sent one after another.
#[derive(Default)]
pub(super) struct Lane {
    /// What they are about; `None` for a message of its own.
    pub(super) subject: Option<Subject>,
    /// Still to be sent, in order.
    pub(super) queue: VecDeque<Item>,
    /// When the queue is empty the log is read from this number on.
    pub(super) behind: Option<u64>,
    /// What was sent or cannot be, in order.
    pub(super) done: Vec<Item>,
}

impl Lane {
    /// Where the messages go on behind the first `skipped` of the queue.
    pub(super) fn rest(&self, skipped: usize) -> Option<u64> {
        self.queue.get(skipped).map(Item::first).or(self.behind)
    }
}

/// What is done in one go for one webhook.
pub(super) struct Batch<'a> {
    /// Where the cursor stands when all of it is stored.
    pub(super) cursor: u64,
    pub(super) lanes: Vec<Lane>,
    /// Deliveries that wait and hold up more from now on.
    pub(super) held: HashMap<DeliveryId, Waiting>,
    /// Deliveries that cannot be read; what is known of them.
    pub(super) unreadable: Vec<Waiting>,
    /// The first of each subject that waits.
    heads: HashMap<Uuid, Waiting>,
    loners: Vec<Waiting>,
    fresh: HashMap<Uuid, usize>,
    progress: &'a Progress,
    options: &'a WebhookOptions,
    is_on: bool,
    pub(super) began: Timestamp,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        webhook: &Webhook,
        progress: &'a Progress,
        options: &'a WebhookOptions,
        waiting: Vec<Waiting>,
        now: Timestamp,
    ) -> Self {
        let mut batch = Self {
            cursor: progress.cursor,
            lanes: Vec::new(),
            held: HashMap::new(),
            unreadable: Vec::new(),
            heads: HashMap::new(),
            loners: Vec::new(),
            fresh: HashMap::new(),
            progress,
            options,
            is_on: webhook.is_active && progress.disabled.is_none(),
            began: now,
        };
        for one in waiting {
            let Some(subject) = one.subject else {
                batch.loners.push(one);
                continue;
            };
            let head = batch.heads.entry(subject.id).or_insert(one);
            if one.seq < head.seq {
                *head = one;
            }
        }
        batch
    }

    /// Until when the receiver is left alone, if it is.
    fn silence(&self) -> Option<Timestamp> {
        self.progress.silence().filter(|until| *until > self.began)
    }

    /// Whether events are told now.
    pub(super) fn is_open(&self) -> bool {
        self.is_on && self.silence().is_none()
    }

    /// How the webhook stands.
    pub(super) fn standing(&self) -> Standing {
        let all = || self.heads.values().chain(&self.loners);
        Standing {
            waiting: u64::try_from(all().count()).unwrap_or(u64::MAX),
            oldest: all().map(|one| one.created_at).min(),
            is_failing: self.is_on && self.progress.failing_since.is_some(),
        }
    }

    /// Whether an event of this subject finds a place.
    pub(super) fn has_room(&self, subject: Subject) -> bool {
        if self.heads.contains_key(&subject.id) || self.fresh.contains_key(&subject.id) {
            return true;
        }
        // A receiver that is silent is asked with what waits, or with one message.
        let most = match (self.progress.is_silent(), self.heads.is_empty()) {
            (true, true) => 1,
            (true, false) if self.heads.values().any(|head| self.is_due(head)) => 0,
            (true, false) => self.heads.len() + 1,
            (false, _) => self.options.held,
        };
        self.heads.len() + self.fresh.len() < most.min(self.options.held)
    }

    /// One more event, behind what waits about the same subject.
    pub(super) fn take(&mut self, delivery: Delivery, stored: StoredEvent) {
        let (subject, seq) = (stored.event.subject, stored.seq);
        if let Some(head) = self.heads.get_mut(&subject.id) {
            if head.behind.is_none() {
                head.behind = Some(seq);
                self.held.insert(head.id, *head);
            }
            return;
        }
        let place = *self.fresh.entry(subject.id).or_insert_with(|| {
            self.lanes.push(Lane { subject: Some(subject), ..Lane::default() });
            self.lanes.len() - 1
        });
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.queue.push_back(Item::fresh(delivery, Some(stored)));
        }
    }

    /// A message of its own.
    pub(super) fn add(&mut self, delivery: Delivery) {
        let queue = [Item::fresh(delivery, None)].into();
        self.lanes.push(Lane { queue, ..Lane::default() });
    }

    fn is_due(&self, one: &Waiting) -> bool {
        self.turn_of(one).is_some_and(|due| due <= self.began)
    }

    /// When a delivery is sent; `None` while the webhook is off.
    fn turn_of(&self, one: &Waiting) -> Option<Timestamp> {
        let due = one.due_at(self.progress, &self.options.schedule);
        if one.is_by_hand {
            return Some(due);
        }
        let silence = self.silence().unwrap_or(Timestamp::EPOCH);
        self.is_on.then(|| due.max(silence))
    }

    /// Those whose turn has come, longest first, at most a batch; and when the next of the others
    /// is due.
    pub(super) fn due(&self) -> (Vec<Waiting>, Option<Timestamp>) {
        let (mut now, mut next) = (Vec::new(), self.silence().filter(|_| self.is_on));
        for one in self.heads.values().chain(&self.loners) {
            match self.turn_of(one) {
                Some(due) if due <= self.began => now.push((due, one.created_at, *one)),
                due => next = next.into_iter().chain(due).min(),
            }
        }
        now.sort_by_key(|(due, made, one)| (*due, *made, one.id));
        let mut now: Vec<Waiting> = now.into_iter().map(|(_, _, one)| one).collect();
        if self.progress.is_silent() {
            // What people asked for is always sent; of the rest one message asks for all.
            let mut has_asked = false;
            now.retain(|one| one.is_by_hand || !std::mem::replace(&mut has_asked, true));
        }
        now.truncate(self.options.batch);
        (now, next)
    }

    /// Whether anything is to be sent, stored or forgotten.
    pub(super) fn is_work(&self) -> bool {
        let is_log_full = self.progress.logged > self.options.logged;
        let is_moved = self.cursor != self.progress.cursor;
        let is_broken = !self.unreadable.is_empty();
        is_log_full || is_moved || is_broken || !self.lanes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::event::{DomainEvent, EventType};
    use crate::domain::ids::{EventId, SessionId, TenantId, WebhookId};
    use crate::domain::webhook::delivery::{Addressed, Attempt};

    fn hook() -> Webhook {
        Webhook {
            id: WebhookId::new(Uuid::nil()),
            tenant_id: TenantId::BOOTSTRAP,
            url: String::new(),
            description: None,
            event_types: Vec::new(),
            is_active: true,
            keys: Vec::new(),
            created_by: String::new(),
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    fn subject(number: u128) -> Subject {
        Subject::session(SessionId::new(Uuid::from_u128(number)))
    }

    /// A message about a subject, under an id of its own.
    fn message(about: u128, seq: u64, id: u128) -> (Delivery, StoredEvent) {
        let (subject, tenant_id) = (subject(about), TenantId::BOOTSTRAP);
        let kind = EventType::SessionUpdated;
        let event = DomainEvent::new(kind, subject, Timestamp::EPOCH, Value::Null);
        let stored = StoredEvent { id: EventId::new(Uuid::nil()), seq, tenant_id, event };
        let id = DeliveryId::new(Uuid::from_u128(id));
        let to = Addressed { id, webhook_id: hook().id, tenant_id };
        (Delivery::of_event(to, &stored, Timestamp::EPOCH), stored)
    }

    fn waiting(about: u128, seq: u64, id: u128) -> Waiting {
        Waiting::of(&message(about, seq, id).0)
    }

    #[test]
    fn a_lane_begins_with_the_smallest_number_whatever_the_clock_said() {
        let (progress, options) = (Progress::new(hook().tenant_id, hook().id, 9), <_>::default());
        // The clock went back between the two: the later event has the smaller id.
        for waiting in [[waiting(1, 5, 8), waiting(1, 6, 7)], [waiting(1, 6, 7), waiting(1, 5, 8)]]
        {
            let (now, later) = (Timestamp::EPOCH, waiting.to_vec());
            let batch = Batch::new(&hook(), &progress, &options, later, now);
            let heads: Vec<u64> = batch.due().0.iter().map(|one| one.seq).collect();
            assert_eq!(heads, [5]);
        }
    }

    #[test]
    fn a_subject_takes_one_place_however_much_waits() {
        let progress = Progress::new(hook().tenant_id, hook().id, 9);
        let options = WebhookOptions { held: 2, ..WebhookOptions::default() };
        let head =
            Waiting { next_attempt_at: Some(Timestamp::from_millis(i64::MAX)), ..waiting(1, 5, 8) };
        let mut batch = Batch::new(&hook(), &progress, &options, vec![head], Timestamp::EPOCH);
        for seq in 10..5000 {
            assert!(batch.has_room(subject(1)));
            let (delivery, stored) = message(1, seq, u128::from(seq));
            batch.take(delivery, stored);
        }
        let waits = Waiting { behind: Some(10), ..head };
        assert_eq!(batch.held.into_values().collect::<Vec<_>>(), [waits]);
        assert!(batch.lanes.is_empty(), "nothing of it is sent or stored");
        let mut batch = Batch::new(&hook(), &progress, &options, vec![head], Timestamp::EPOCH);
        assert!(batch.has_room(subject(2)), "another one has its own place");
        let (delivery, stored) = message(2, 10, 1);
        batch.take(delivery, stored);
        assert!(batch.has_room(subject(2)) && !batch.has_room(subject(3)), "places are bounded");
    }

    #[test]
    fn a_silent_receiver_is_asked_with_one_message() {
        let (options, mut progress) =
            (WebhookOptions::default(), Progress::new(hook().tenant_id, hook().id, 9));
        let silence = Attempt {
            at: Timestamp::EPOCH,
            duration_ms: 0,
            status: None,
            error: None,
            response: None,
        };
        for _ in 0..3 {
            progress.failed(&silence, &options.schedule, Timestamp::EPOCH);
        }
        let rest = progress.silence().expect("it is left alone");
        let all = || (1..20).map(|about| waiting(about, 1, about)).collect::<Vec<_>>();
        let batch = Batch::new(&hook(), &progress, &options, all(), Timestamp::EPOCH);
        assert_eq!((batch.is_open(), batch.due()), (false, (Vec::new(), Some(rest))));
        let batch = Batch::new(&hook(), &progress, &options, all(), rest);
        assert_eq!(batch.due().0.len(), 1);
        assert!(!batch.has_room(subject(99)), "what waits is asked with first");
        let mut batch = Batch::new(&hook(), &progress, &options, Vec::new(), rest);
        let (delivery, stored) = message(1, 10, 1);
        batch.take(delivery, stored);
        assert!(!batch.has_room(subject(2)));
    }
}
