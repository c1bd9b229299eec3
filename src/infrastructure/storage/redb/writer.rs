//! The one thread that writes: it takes what has queued up, plans and applies each job, commits
//! once, acknowledges, publishes.
//!
//! Invariant: nothing is acknowledged before its commit is durable; a refused job has written
//! nothing; when a commit fails, nobody of its group is told that it succeeded. A panic ends a
//! group, never the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use redb::Durability;
use tokio::sync::oneshot;

use super::chores::{self, Append};
use super::group::Group;
use super::handle::{Panicked, Shared};
use super::plan::{self, Plan};
use super::records::Quarantined;
use super::recover::Recovery;
use super::retention;
use super::space::LOOK_EVERY;
use super::tables::Table;
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::clock::Ids;
use crate::application::ports::journal::Appended;
use crate::application::ports::store::{CommitError, Committed, Outdated, StoreError};
use crate::domain::event::StoredEvent;
use crate::domain::time::Timestamp;
use crate::infrastructure::storage::shared::failed;

/// Largest group.
const GROUP_JOBS: usize = 1024;
/// A group is closed once it has written this much.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

type Reply<T> = oneshot::Sender<Result<T, CommitError>>;

/// One thing to write.
pub(super) enum Job {
    /// A unit of work.
    Commit(Box<ChangeSet>, Reply<Committed>),
    /// Entries for the journal.
    Append(Append, Reply<u64>),
    /// Expired answers, at most this many.
    Forget(Timestamp, usize, Reply<usize>),
    /// Old rows, at most this many.
    Remove(Outdated, usize, Reply<usize>),
    /// A damaged record; nobody waits for it.
    SetAside(Table, Box<Quarantined>),
}

impl Job {
    /// Tells whoever waits that nothing was done.
    pub(super) fn refuse(self, error: CommitError) {
        match self {
            Self::Commit(_, reply) => drop(reply.send(Err(error))),
            Self::Append(_, reply) => drop(reply.send(Err(error))),
            Self::Forget(_, _, reply) | Self::Remove(_, _, reply) => drop(reply.send(Err(error))),
            Self::SetAside(..) => {}
        }
    }
}

/// Who waits, and for what.
enum Answer {
    Commit(Reply<Committed>, Result<Committed, CommitError>),
    Append(Reply<u64>, Result<u64, CommitError>),
    Forget(Reply<usize>, Result<usize, CommitError>),
}

impl Answer {
    fn give(self) {
        match self {
            Self::Commit(reply, result) => drop(reply.send(result)),
            Self::Append(reply, result) => drop(reply.send(result)),
            Self::Forget(reply, result) => drop(reply.send(result)),
        }
    }

    fn refuse(self, error: CommitError) {
        match self {
            Self::Commit(reply, result) => drop(reply.send(result.and(Err(error)))),
            Self::Append(reply, result) => drop(reply.send(result.and(Err(error)))),
            Self::Forget(reply, result) => drop(reply.send(result.and(Err(error)))),
        }
    }
}

/// What a group has done so far.
#[derive(Default)]
struct Outcome {
    answers: Vec<Answer>,
    events: Vec<StoredEvent>,
    appended: Vec<Appended>,
    raised: Vec<(crate::domain::ids::TenantId, crate::application::ports::store::Sequence, u64)>,
    change_sets: u64,
    set_aside: u64,
    /// Copies of damaged records that were removed.
    taken_out: u64,
    bytes: usize,
}

/// The writer's own state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    ids: Arc<dyn Ids>,
    jobs: Receiver<Job>,
    recovery: Recovery,
    probe_every: Duration,
    looked_at: Timestamp,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        ids: Arc<dyn Ids>,
        jobs: Receiver<Job>,
        recovery: Recovery,
        probe_every: Duration,
    ) -> Self {
        let looked_at = shared.clock.now();
        Self { shared, ids, jobs, recovery, probe_every, looked_at }
    }

    /// Works until the queue is closed and empty, then closes the database.
    pub(super) fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(true) => {}
                Ok(false) => break,
                Err(panic) => {
                    let reason = Panicked::of(&*panic).to_string();
                    tracing::error!(reason, "The writer of the store failed and begins anew");
                    self.recovery.begin(Vec::new());
                    self.shared.set_read_only(Some(reason));
                }
            }
        }
        self.shared.close_database();
        self.shared.medium.release();
    }

    /// Takes the next job with what has queued up, or tries whether the disk takes writes again;
    /// `false` when the queue is closed and empty.
    fn turn(&mut self) -> bool {
        let Some(reason) = self.shared.read_only() else {
            return match self.jobs.recv_timeout(LOOK_EVERY) {
                Ok(job) => {
                    self.group(job);
                    let now = self.shared.clock.now();
                    // A clock that was set back does not keep a busy writer from looking.
                    if now < self.looked_at || now.since(self.looked_at) >= LOOK_EVERY {
                        self.look();
                    }
                    true
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look();
                    true
                }
                Err(RecvTimeoutError::Disconnected) => false,
            };
        };
        match self.jobs.recv_timeout(self.probe_every) {
            Ok(job) => {
                self.taken();
                job.refuse(CommitError::ReadOnly(reason));
                true
            }
            Err(RecvTimeoutError::Timeout) => {
                self.look();
                self.recovery.resume(&self.shared);
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Looks whether there is room.
    fn look(&mut self) {
        self.looked_at = self.shared.clock.now();
        self.shared.space.look(self.shared.medium.as_ref());
    }

    fn taken(&self) -> usize {
        self.shared.queued.fetch_sub(1, Ordering::AcqRel).saturating_sub(1)
    }

    fn group(&mut self, first: Job) {
        let mut outcome = Outcome::default();
        let waiting = self.taken();
        let done = catch_unwind(AssertUnwindSafe(|| self.transact(first, waiting, &mut outcome)));
        match done.unwrap_or_else(|panic| Err(failed(Panicked::of(&*panic)))) {
            Ok(()) => self.settle(outcome),
            Err(error) => self.fail(outcome, &error),
        }
    }

    /// One transaction over the first job and those that were waiting when it was taken.
    fn transact(
        &self,
        first: Job,
        waiting: usize,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        self.shared.with_database(|database| {
            let mut transaction = database.begin_write().map_err(failed)?;
            transaction.set_durability(Durability::Immediate).map_err(failed)?;
            transaction.set_quick_repair(true);
            {
                let group = Group::new(&transaction, &self.shared);
                let mut next = Some(first);
                let mut left = waiting.min(GROUP_JOBS - 1);
                while let Some(job) = next.take() {
                    self.work(&group, job, outcome)?;
                    if left > 0 && outcome.bytes < GROUP_BYTES {
                        left -= 1;
                        next = self.jobs.try_recv().ok();
                        if next.is_some() {
                            self.taken();
                        }
                    }
                }
                group.settle()?;
            }
            if outcome.bytes == 0 {
                return transaction.abort().map_err(failed);
            }
            transaction.commit().map_err(failed)
        })
    }

    /// Plans and applies one job. An error is one of the transaction; refusals are answers.
    fn work(&self, group: &Group<'_>, job: Job, outcome: &mut Outcome) -> Result<(), StoreError> {
        match job {
            Job::Commit(changes, reply) => {
                let now = self.shared.clock.now();
                let planned = plan::plan(group, self.ids.as_ref(), now, *changes);
                let result = planned.as_ref().map(Plan::committed).map_err(Clone::clone);
                outcome.answers.push(Answer::Commit(reply, result));
                if let Ok(plan) = planned {
                    outcome.bytes += group.apply(&plan)?;
                    outcome.change_sets += 1;
                    outcome.events.extend(plan.events);
                    outcome.raised.extend(plan.raised);
                }
            }
            Job::Append(append, reply) => {
                let planned = chores::append(group, append);
                let result = planned.as_ref().map(|(plan, _)| plan.last_seq).map_err(Clone::clone);
                outcome.answers.push(Answer::Append(reply, result));
                if let Ok((plan, appended)) = planned {
                    outcome.bytes += group.apply(&plan)?;
                    outcome.appended.push(appended);
                }
            }
            Job::Forget(now, limit, reply) => {
                let planned = chores::forget(group, now, limit);
                let result = planned.as_ref().map(|(_, count)| *count).map_err(Clone::clone);
                outcome.answers.push(Answer::Forget(reply, result));
                if let Ok((plan, _)) = planned {
                    outcome.bytes += group.apply(&plan)?;
                }
            }
            Job::Remove(what, limit, reply) => {
                let planned = retention::remove(group, what, limit);
                let result = planned.as_ref().map(|(_, count)| *count).map_err(Clone::clone);
                outcome.answers.push(Answer::Forget(reply, result));
                if let Ok((plan, count)) = planned {
                    outcome.bytes += group.apply(&plan)?;
                    if matches!(what, Outdated::SetAside(_)) {
                        outcome.taken_out += u64::try_from(count).unwrap_or(0);
                    }
                }
            }
            Job::SetAside(table, damage) => {
                match chores::set_aside(group, self.ids.as_ref(), table, &damage) {
                    Ok(Some(plan)) => {
                        outcome.bytes += group.apply(&plan)?;
                        outcome.set_aside += 1;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(%error, "A damaged record could not be set aside");
                    }
                }
            }
        }
        Ok(())
    }

    fn settle(&self, outcome: Outcome) {
        let Outcome { answers, events, appended, raised, change_sets, .. } = outcome;
        let Outcome { set_aside, taken_out, bytes, .. } = outcome;
        if bytes > 0 {
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
            self.shared.pass();
        }
        self.shared.change_sets.fetch_add(change_sets, Ordering::Relaxed);
        self.shared.quarantined.fetch_add(set_aside, Ordering::Relaxed);
        self.shared.quarantined.fetch_sub(taken_out, Ordering::Relaxed);
        for (tenant, sequence, floor) in raised {
            self.shared.raise_floor(tenant, sequence, floor);
        }
        for answer in answers {
            answer.give();
        }
        // Sending fails only when nobody listens.
        if !events.is_empty() {
            drop(self.shared.events.send(Arc::new(events)));
        }
        for batch in appended {
            if !batch.entries.is_empty() {
                drop(self.shared.appended.send(Arc::new(batch)));
            }
        }
    }

    /// Nothing of the group is acknowledged; the handle is not trusted any more.
    fn fail(&mut self, outcome: Outcome, error: &StoreError) {
        let reason = reason_of(error);
        tracing::error!(reason, "The store failed to commit and accepts no writes for now");
        self.shared.set_read_only(Some(reason.clone()));
        for answer in outcome.answers {
            answer.refuse(CommitError::ReadOnly(reason.clone()));
        }
        self.recovery.begin(outcome.events);
        self.shared.space.commit_failed(self.shared.medium.as_ref());
        self.recovery.resume(&self.shared);
    }
}

impl Drop for Writer {
    /// Should the thread ever end before it was told to, nobody waits for it in vain: the store
    /// says that it takes no writes, and the server that it is not ready.
    fn drop(&mut self) {
        if !self.shared.is_closed() {
            self.shared.set_read_only(Some("the writer of the store has ended".to_owned()));
        }
    }
}

/// What people are told of a failure; the innermost cause says most.
fn reason_of(error: &StoreError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
