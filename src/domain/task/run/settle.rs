//! What follows from one move: gates of those that need the task, wholes that it is a part of, and so
//! on until nothing changes.
//!
//! Invariant: every change of facts goes through `set`, which keeps counts, ready leaves and places
//! together with them and notes the task for its followers to be looked at.

use super::{Decision, Facts, GateState, Leaves, Run, Share};
use crate::domain::task::forest::small;
use crate::domain::task::status::{TaskStatus, Trigger};

const LOST: &str = "something that it needs cannot come any more";

impl Run {
    /// Counts what is there, and takes every gate and container up to date.
    pub(super) fn settle_in(&mut self) {
        let walk = self.forest.walk().to_vec();
        // Parts first: what a container is depends on them.
        for task in walk.iter().rev() {
            let facts = &mut self.facts[*task as usize];
            if self.forest.is_leaf(*task) {
                let now = *facts;
                self.active += u32::from(now.status.is_active());
                if now.status == TaskStatus::Ready {
                    self.ready.insert(self.places[*task as usize]);
                }
            } else {
                facts.has_started = self.tallies[*task as usize].has_started();
                facts.retries_left = 0;
            }
            let (share, started) = (self.share(*task), self.facts[*task as usize].has_started);
            if let Some(whole) = self.forest.parent(*task) {
                self.tallies[whole as usize].add(share, started);
            }
        }
        let leaves = walk.iter().filter(|task| self.forest.is_leaf(**task));
        self.leaves = Leaves::of(leaves.map(|leaf| self.facts[*leaf as usize]));
        for number in 0..self.gates.len() {
            self.gates[number] = self.gate_of(number);
            self.count(number, self.gates[number], true);
        }
        for task in &walk {
            let shut = self.shut[*task as usize];
            if self.forest.is_leaf(*task) || (shut.start == 0 && shut.lost_start == 0) {
                continue;
            }
            self.shade(
                *task,
                (shut.start > 0).then_some(true),
                (shut.lost_start > 0).then_some(true),
            );
        }
        for task in walk.iter().rev() {
            if self.forest.is_leaf(*task) {
                self.evaluate(*task);
                self.after_failure(*task);
            } else {
                self.roll_up(*task);
            }
        }
        self.follow();
        self.has_begun = true;
        for number in 0..self.gates.len() {
            if self.options.executes && self.gates[number] == GateState::Stuck {
                self.ask_for_review(self.forest.links()[number].source);
            }
        }
    }

    /// The task stands so now.
    pub(super) fn set(&mut self, task: u32, now: Facts) {
        let at = task as usize;
        let before = self.facts[at];
        if before == now {
            return;
        }
        let share = self.share(task);
        self.facts[at] = now;
        if self.forest.is_leaf(task) {
            self.leaves.change(before, now);
            self.active -= u32::from(before.status.is_active());
            self.active += u32::from(now.status.is_active());
            let place = self.places[at];
            if before.status == TaskStatus::Ready {
                self.ready.remove(&place);
            }
            if now.status == TaskStatus::Ready {
                self.ready.insert(place);
            }
        }
        if let Some(whole) = self.forest.parent(task) {
            let tally = &mut self.tallies[whole as usize];
            tally.take(share, before.has_started);
            tally.add(Share::of(now), now.has_started);
        }
        self.moved.push_back(task);
    }

    /// A leaf moves by the rules.
    pub(super) fn decide(&mut self, leaf: u32, verb: Trigger, reason: &'static str) {
        let mut now = self.facts[leaf as usize];
        let Ok(after) = now.status.after(verb) else { return };
        now.status = after;
        if verb == Trigger::Retry {
            now.has_started = false;
            now.is_done = false;
            now.is_partial = false;
            now.retries_left = now.retries_left.saturating_sub(1);
        }
        self.decisions.push(Decision::Move { task: self.forest.id(leaf), verb, reason });
        self.set(leaf, now);
    }

    /// Follows every move that was made, in order, until nothing follows any more.
    pub(super) fn follow(&mut self) {
        while let Some(task) = self.moved.pop_front() {
            for place in 0..self.needed_by.row(task).len() {
                let number = self.needed_by.row(task)[place] as usize;
                self.look_at_gate(number);
            }
            if let Some(whole) = self.forest.parent(task) {
                self.roll_up(whole);
            }
            self.after_failure(task);
        }
    }

    /// A failure that may be tried again is; one that stays may end everything.
    fn after_failure(&mut self, task: u32) {
        let facts = self.facts[task as usize];
        let has_failed = facts.status == TaskStatus::Failed && self.forest.is_leaf(task);
        if !has_failed || !self.options.executes {
            return;
        }
        if facts.retries_left > 0 {
            self.decide(task, Trigger::Retry, "it is tried again");
            self.evaluate(task);
        } else if self.options.fail_fast {
            let rest: Vec<u32> = (0..small(self.forest.len())).collect();
            self.cancel_all(rest, "another task failed");
        }
    }

    pub(super) fn cancel_all(&mut self, tasks: Vec<u32>, reason: &'static str) {
        // All at once: nothing that is cancelled here is to be left out for another one that is.
        for task in tasks {
            if self.forest.is_leaf(task) {
                self.decide(task, Trigger::Cancel, reason);
            }
        }
        self.follow();
    }

    fn look_at_gate(&mut self, number: usize) {
        let (before, now) = (self.gates[number], self.gate_of(number));
        if before == now {
            return;
        }
        let link = self.forest.links()[number];
        let old = self.shut[link.source as usize];
        self.count(number, before, false);
        self.gates[number] = now;
        self.count(number, now, true);
        let target = self.facts[link.target as usize].as_target();
        if link.kind.is_satisfied(target) {
            let (source, target) = (self.forest.id(link.source), self.forest.id(link.target));
            self.decisions.push(Decision::Satisfied { source, target });
        }
        if now == GateState::Stuck && self.has_begun {
            self.ask_for_review(link.source);
        }
        if self.forest.is_leaf(link.source) {
            self.evaluate(link.source);
            return;
        }
        let new = self.shut[link.source as usize];
        let crossed = |old: u32, new: u32| ((old > 0) != (new > 0)).then_some(new > 0);
        let (shut, lost) = (crossed(old.start, new.start), crossed(old.lost_start, new.lost_start));
        if shut.is_some() || lost.is_some() {
            self.shade(link.source, shut, lost);
            let leaves: Vec<u32> = self.forest.leaves(link.source).collect();
            for leaf in leaves {
                self.evaluate(leaf);
            }
        }
        self.roll_up(link.source);
    }

    /// What cannot come any more holds up a task: somebody should look, unless it has begun anyway.
    fn ask_for_review(&mut self, task: u32) {
        let facts = self.facts[task as usize];
        if !facts.status.is_final() && facts.status != TaskStatus::Failed {
            self.decisions.push(Decision::Review { task: self.forest.id(task) });
        }
    }

    /// Counts a gate for its task, or no longer.
    fn count(&mut self, number: usize, gate: GateState, more: bool) {
        let source = self.forest.links()[number].source as usize;
        let holds_start = self.holds_start(number);
        let shut = &mut self.shut[source];
        let (closed, lost) = if holds_start {
            (&mut shut.start, &mut shut.lost_start)
        } else {
            (&mut shut.finish, &mut shut.lost_finish)
        };
        let change = |place: &mut u32, by: bool| {
            if by && more {
                *place += 1;
            } else if by {
                *place -= 1;
            }
        };
        change(closed, gate != GateState::Open);
        change(lost, gate == GateState::Lost);
    }

    /// The start of a whole is held up, or no longer: all of its leaves inherit that.
    fn shade(&mut self, whole: u32, shut: Option<bool>, lost: Option<bool>) {
        fn change(place: &mut u32, by: Option<bool>) {
            match by {
                Some(true) => *place += 1,
                Some(false) => *place -= 1,
                None => {}
            }
        }
        for below in &self.forest.whole(whole)[1..] {
            change(&mut self.above[*below as usize], shut);
            change(&mut self.lost_above[*below as usize], lost);
        }
    }

    /// What its gates make of a leaf.
    pub(super) fn evaluate(&mut self, leaf: u32) {
        let at = leaf as usize;
        let (facts, shut) = (self.facts[at], self.shut[at]);
        let (is_open, above) = (shut.start == 0 && self.above[at] == 0, self.lost_above[at]);
        let lost_start = shut.lost_start > 0 || above > 0;
        match facts.status {
            TaskStatus::Blocked if facts.is_done => {
                if shut.lost_finish > 0 {
                    self.decide(leaf, Trigger::Skip, LOST);
                } else if shut.finish == 0 {
                    self.decide(leaf, Trigger::Reopen, "everything that its end needs is there");
                    self.decide(leaf, Trigger::Complete, "its work was done before");
                }
            }
            TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Blocked if lost_start => {
                self.decide(leaf, Trigger::Skip, LOST);
            }
            TaskStatus::Pending | TaskStatus::Ready if !is_open => {
                self.decide(leaf, Trigger::Block, "something that it needs is not there yet");
            }
            TaskStatus::Pending if self.options.executes => {
                self.decide(leaf, Trigger::Ready, "nothing stands in its way");
            }
            TaskStatus::Blocked if is_open => {
                self.decide(leaf, Trigger::Unblock, "everything that it needs is there");
            }
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Blocked
            | TaskStatus::Assigned
            | TaskStatus::InProgress
            | TaskStatus::Paused
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Cancelled
            | TaskStatus::Skipped => {}
        }
    }

    /// What its parts and the gates of its end make of a container.
    fn roll_up(&mut self, whole: u32) {
        let at = whole as usize;
        let (before, tally, shut) = (self.facts[at], self.tallies[at], self.shut[at]);
        let mut to = tally.comes_to(before.status);
        let is_done = to == TaskStatus::Completed;
        if is_done && shut.finish > 0 {
            to = if shut.lost_finish > 0 { TaskStatus::Skipped } else { TaskStatus::Blocked };
        }
        let is_reached = to != before.status && before.status.way_to(to).is_some();
        let status = if is_reached { to } else { before.status };
        let now = Facts { status, is_done, has_started: tally.has_started(), ..before };
        if status != before.status {
            self.decisions.push(Decision::RollUp { task: self.forest.id(whole), to: status });
        }
        self.set(whole, now);
    }
}
