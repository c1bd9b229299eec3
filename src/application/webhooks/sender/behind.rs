//! What waits behind the first message of a lane is read from the log, up to the cursor and in the
//! order of the numbers.
//!
//! Invariant: a number that cannot be told of is told as a gap, at its place in the order: what is no
//! longer kept, and what is damaged. Where it is not known what a damaged event was about, every
//! subject whose log it may have belonged to is told.
//! Invariant: a lane reads a bounded part of the log in one round; how far it came is stored, and its
//! first message is sent once it is known what comes behind it.

use super::Sender;
use super::lanes::{Item, Lane};
use super::send::Round;
use crate::application::ports::reads::Logged;
use crate::application::ports::store::StoreError;
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::ids::SessionId;
use crate::domain::webhook::delivery::{Delivery, Told};

/// Events that are read at once.
const PAGE: usize = 50;
/// Pages that a lane reads in one go.
const PAGES: usize = 10;

impl Sender {
    /// Reads what comes behind the first message of a lane; `false` when it was not found yet: it is
    /// looked further in the next round.
    pub(super) async fn read_ahead(
        &self,
        round: &Round<'_>,
        lane: &mut Lane,
    ) -> Result<bool, StoreError> {
        let (Some(subject), Some(from)) = (lane.subject, lane.behind) else { return Ok(true) };
        if lane.queue.len() > 1 {
            return Ok(true);
        }
        let snapshot = self.hooks.store.snapshot(round.webhook.tenant_id).await?;
        let first = match snapshot.first_seq().await? {
            0 => snapshot.last_seq().await? + 1,
            first => first,
        };
        let mut next = from.max(first);
        if from < first {
            self.miss_behind(round, lane, subject, (from.saturating_sub(1), first - 1));
        }
        // Only sessions have an index of their events; for others the whole log is looked through.
        let session = (subject.kind == SubjectKind::Session).then(|| SessionId::new(subject.id));
        let mut pages = 0;
        while lane.queue.len() < 2 && next <= round.until {
            if pages == PAGES {
                lane.behind = Some(next);
                return Ok(false);
            }
            pages += 1;
            let page = snapshot.log(next - 1, session, PAGE).await?;
            let is_last = page.len() < PAGE || page.last().is_some_and(|it| it.seq() > round.until);
            for logged in page.into_iter().take_while(|logged| logged.seq() <= round.until) {
                let seq = logged.seq();
                if session.is_none() && seq > next {
                    self.miss_behind(round, lane, subject, (next - 1, seq - 1));
                }
                next = seq + 1;
                self.line_up(round, lane, subject, logged);
            }
            if is_last {
                if session.is_none() && next <= round.until {
                    self.miss_behind(round, lane, subject, (next - 1, round.until));
                }
                next = round.until + 1;
            }
        }
        lane.behind = (next <= round.until).then_some(next);
        Ok(true)
    }

    /// One more of the log, if it is to be told.
    fn line_up(&self, round: &Round<'_>, lane: &mut Lane, subject: Subject, logged: Logged) {
        match logged {
            Logged::Unreadable(seq) => {
                self.miss_behind(round, lane, subject, (seq.saturating_sub(1), seq));
            }
            Logged::Event(stored) => {
                let event = &stored.event;
                if event.subject == subject && round.webhook.wants(event.event_type) {
                    let (to, now) = (self.address(round.webhook), self.hooks.clock.now());
                    let delivery = Delivery::of_event(to, &stored, now);
                    lane.queue.push_back(Item::fresh(delivery, Some(stored)));
                }
            }
        }
    }

    /// Events are missing at the end of a lane: one message tells of all that are missing on end.
    fn miss_behind(
        &self,
        round: &Round<'_>,
        lane: &mut Lane,
        subject: Subject,
        (mut from, to): (u64, u64),
    ) {
        // The first one stays as it is: it may have been sent before.
        let last = lane.queue.back().filter(|_| lane.queue.len() > 1);
        if let Some(Told::Gap { requested, .. }) = last.map(|item| &item.delivery.told) {
            from = from.min(*requested);
            lane.queue.pop_back();
        }
        let (to_whom, now) = (self.address(round.webhook), self.hooks.clock.now());
        let gap = Delivery::of_missing(to_whom, subject, (from, to), now);
        lane.queue.push_back(Item::fresh(gap, None));
    }
}
