//! The course of a graph: what every task of a session comes to when one of them moves, and which
//! leaf is given out next.
//!
//! `note` tells it how a leaf stands now; it answers with everything that follows by the rules, in
//! order: gates that open, leaves that become ready, are blocked, left out or tried again, containers
//! that roll up. It holds numbers alone; the tasks themselves are moved by whoever commits the answer,
//! and after a commit that failed it is built anew from what is stored.
//!
//! Invariant: a move costs what hangs on the task, never the size of the graph.
//! Invariant: no more than `max_parallel` leaves are given out at a time, and none while it is held.

mod counts;
mod rank;
mod settle;

use std::collections::{BTreeSet, VecDeque};

pub use self::counts::{Leaves, Outcome};
use self::counts::{Share, Tally};
use super::Task;
use super::critical_path::Schedule;
use super::dependency::{Gate, Target};
use super::forest::{CycleFound, Forest, Rows, small};
use super::graph::Graph;
use super::life::Gates;
use super::spec::{OnUpstreamFailure, TaskPriority};
use super::status::{TaskStatus, Trigger};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::TaskId;

/// How a graph is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Leaves at a time, 1–50.
    pub max_parallel: u32,
    /// The first failure that stays ends everything that has not finished.
    pub fail_fast: bool,
    /// Whether leaves are made ready and given out; else only gates are kept up to date.
    pub executes: bool,
}

impl Options {
    /// Gates are kept up to date, and nothing is given out.
    pub const IDLE: Self = Self { max_parallel: 5, fail_fast: false, executes: false };

    /// Options as they were sent: what is `None` takes its default.
    ///
    /// # Errors
    /// The broken rule.
    pub fn accept(
        max_parallel: Option<u32>,
        fail_fast: Option<bool>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let max_parallel = max_parallel.unwrap_or(5);
        errors.range("/max_parallel", max_parallel, 1, 50);
        let fail_fast = fail_fast.unwrap_or(false);
        errors.into_result(Self { max_parallel, fail_fast, executes: true })
    }
}

/// What the course of a graph depends on in one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Where it stands.
    pub status: TaskStatus,
    /// Whether it has started in its current attempt.
    pub has_started: bool,
    /// Its work is done, whatever its end waits for.
    pub is_done: bool,
    /// What it gave is only a part.
    pub is_partial: bool,
    /// Times that the executor may try it again.
    pub retries_left: u32,
    /// What becomes of it when something that it needs cannot come any more.
    pub policy: OnUpstreamFailure,
    /// Its urgency among equals.
    pub priority: TaskPriority,
}

impl Facts {
    /// A task that nobody looked at yet.
    pub const NEW: Self = Self {
        status: TaskStatus::Pending,
        has_started: false,
        is_done: false,
        is_partial: false,
        retries_left: 0,
        policy: OnUpstreamFailure::Skip,
        priority: TaskPriority::Normal,
    };

    const fn as_target(self) -> Target {
        Target {
            status: self.status,
            has_started: self.has_started,
            has_retries_left: self.retries_left > 0,
        }
    }
}

impl From<&Task> for Facts {
    fn from(task: &Task) -> Self {
        Self {
            status: task.status(),
            has_started: task.has_started(),
            is_done: task.work.is_done,
            is_partial: task.is_partial(),
            retries_left: (task.spec.max_retries + 1).saturating_sub(task.work.attempt),
            policy: task.spec.on_upstream_failure,
            priority: task.spec.priority,
        }
    }
}

/// What follows by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A leaf moves.
    Move {
        /// Which.
        task: TaskId,
        /// How.
        verb: Trigger,
        /// Why, for people.
        reason: &'static str,
    },
    /// A container comes to stand so, by `Task::roll_up`.
    RollUp {
        /// Which.
        task: TaskId,
        /// Where it stands now.
        to: TaskStatus,
    },
    /// A dependency is satisfied now.
    Satisfied {
        /// Whose.
        source: TaskId,
        /// On what.
        target: TaskId,
    },
    /// A task waits for what cannot come any more: somebody should look at the root session. It is
    /// told again when a course begins anew.
    Review {
        /// Which.
        task: TaskId,
    },
}

/// How the gate of a dependency stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GateState {
    Open,
    Closed,
    /// Closed for ever, and the task is left out for it.
    Lost,
    /// Closed for ever, and the task waits all the same.
    Stuck,
}

/// Gates of one task that are not open.
#[derive(Debug, Clone, Copy, Default)]
struct Shut {
    start: u32,
    finish: u32,
    lost_start: u32,
    lost_finish: u32,
}

/// The course of a graph.
#[derive(Debug, Clone)]
pub struct Run {
    forest: Forest,
    options: Options,
    facts: Vec<Facts>,
    shut: Vec<Shut>,
    /// Wholes above a task whose start is held up; of those, which are lost.
    above: Vec<u32>,
    lost_above: Vec<u32>,
    gates: Vec<GateState>,
    needed_by: Rows,
    tallies: Vec<Tally>,
    leaves: Leaves,
    /// The place of each leaf in the order of giving out, and the leaf of each place.
    places: Vec<u32>,
    by_place: Vec<u32>,
    ready: BTreeSet<u32>,
    active: u32,
    is_held: bool,
    has_begun: bool,
    /// Work that is left of the move that is being followed.
    moved: VecDeque<u32>,
    decisions: Vec<Decision>,
}

impl Run {
    /// The course of these tasks, with what follows at once.
    ///
    /// # Errors
    /// `CycleFound` when tasks need each other in a circle.
    pub fn of(tasks: &[Task], options: Options) -> Result<(Self, Vec<Decision>), CycleFound> {
        let forest = Forest::of(tasks)?;
        let graph = Graph::of(&forest)?;
        let mut facts = vec![Facts::NEW; forest.len()];
        let mut hours = vec![0.0; forest.len()];
        for task in tasks {
            if let Some(number) = forest.number(task.id) {
                facts[number as usize] = Facts::from(task);
                hours[number as usize] = task.expected_hours();
            }
        }
        let schedule = Schedule::of(&forest, &graph, |leaf| hours[leaf as usize]);
        Ok(Self::begin(forest, facts, &schedule, options))
    }

    /// The course of a forest whose tasks stand so, by number.
    #[must_use]
    pub fn begin(
        forest: Forest,
        facts: Vec<Facts>,
        schedule: &Schedule,
        options: Options,
    ) -> (Self, Vec<Decision>) {
        let count = forest.len();
        let targets = forest.links().iter().zip(0u32..).map(|(link, number)| (link.target, number));
        let needed_by = Rows::of(count, targets);
        let (places, by_place) = rank::places(&forest, &facts, schedule);
        let mut run = Self {
            options,
            shut: vec![Shut::default(); count],
            above: vec![0; count],
            lost_above: vec![0; count],
            gates: vec![GateState::Open; forest.links().len()],
            needed_by,
            tallies: vec![Tally::default(); count],
            leaves: Leaves::default(),
            places,
            by_place,
            ready: BTreeSet::new(),
            active: 0,
            is_held: false,
            has_begun: false,
            moved: VecDeque::new(),
            decisions: Vec::new(),
            facts,
            forest,
        };
        run.settle_in();
        let decisions = std::mem::take(&mut run.decisions);
        (run, decisions)
    }

    /// A leaf stands so now; what follows by the rules, in order. What is not a leaf here is ignored:
    /// a container stands as its leaves do.
    pub fn note(&mut self, task: TaskId, now: Facts) -> Vec<Decision> {
        let leaf = self.forest.number(task).filter(|number| self.forest.is_leaf(*number));
        if let Some(leaf) = leaf {
            self.set(leaf, now);
            self.follow();
            self.evaluate(leaf);
            self.follow();
        }
        std::mem::take(&mut self.decisions)
    }

    /// Leaves that can be given out now, in the order in which they should be; at most as many are to
    /// be taken as there are `free_places`. One that has to wait for a quota or an agent stays here.
    pub fn next(&self) -> impl Iterator<Item = TaskId> {
        let open = self.free_places() > 0;
        let ready = self.ready.iter().filter(move |_| open);
        ready.map(|place| self.forest.id(self.by_place[*place as usize]))
    }

    /// How many leaves may be given out now.
    #[must_use]
    pub const fn free_places(&self) -> u32 {
        if self.is_held || !self.options.executes {
            return 0;
        }
        self.options.max_parallel.saturating_sub(self.active)
    }

    /// The root is paused or goes on.
    pub const fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// Everything below a task, and itself, that has not finished is cancelled.
    pub fn cancel(&mut self, task: TaskId) -> Vec<Decision> {
        if let Some(number) = self.forest.number(task) {
            let leaves: Vec<u32> = self.forest.leaves(number).collect();
            self.cancel_all(leaves, "the task was cancelled");
        }
        std::mem::take(&mut self.decisions)
    }

    /// Everything below a task, and itself, that nobody was given is left out.
    pub fn skip(&mut self, task: TaskId) -> Vec<Decision> {
        if let Some(number) = self.forest.number(task) {
            let leaves: Vec<u32> = self.forest.leaves(number).collect();
            for leaf in leaves {
                if self.facts[leaf as usize].status.is_waiting() {
                    self.decide(leaf, Trigger::Skip, "somebody does without it");
                    self.follow();
                }
            }
        }
        std::mem::take(&mut self.decisions)
    }

    /// What failed is tried again, whatever was allowed, and nothing else is.
    pub fn retry_failed(&mut self) -> Vec<Decision> {
        for leaf in 0..small(self.forest.len()) {
            let has_failed = self.facts[leaf as usize].status == TaskStatus::Failed;
            if has_failed && self.forest.is_leaf(leaf) {
                self.decide(leaf, Trigger::Retry, "what failed is tried again");
                self.follow();
                self.evaluate(leaf);
                self.follow();
            }
        }
        std::mem::take(&mut self.decisions)
    }

    /// Which gates of a task stand open, inherited ones included.
    #[must_use]
    pub fn gates(&self, task: TaskId) -> Gates {
        self.forest.number(task).map_or(Gates::OPEN, |number| self.gates_of(number))
    }

    fn gates_of(&self, task: u32) -> Gates {
        let shut = self.shut[task as usize];
        Gates { start: shut.start == 0 && self.above[task as usize] == 0, finish: shut.finish == 0 }
    }

    /// Whether a dependency of the first on the second is satisfied; what somebody ignores is not.
    #[must_use]
    pub fn is_satisfied(&self, source: TaskId, target: TaskId) -> Option<bool> {
        let (source, target) = (self.forest.number(source)?, self.forest.number(target)?);
        let link = self.forest.needs(source).iter().find(|link| link.target == target)?;
        Some(link.kind.is_satisfied(self.facts[target as usize].as_target()))
    }

    /// Whether a leaf can be given out: nobody was given it, and every gate of its start is open.
    #[must_use]
    pub fn can_start(&self, task: TaskId) -> bool {
        self.forest.number(task).is_some_and(|number| {
            let waits = [TaskStatus::Pending, TaskStatus::Ready];
            self.forest.is_leaf(number)
                && waits.contains(&self.facts[number as usize].status)
                && self.gates_of(number).start
        })
    }

    /// Whether some gate of a task is closed.
    #[must_use]
    pub fn is_blocked(&self, task: TaskId) -> bool {
        let gates = self.gates(task);
        !gates.start || !gates.finish
    }

    /// How a task stands here.
    #[must_use]
    pub fn facts(&self, task: TaskId) -> Option<Facts> {
        self.forest.number(task).map(|number| self.facts[number as usize])
    }

    /// The tasks by number.
    #[must_use]
    pub const fn forest(&self) -> &Forest {
        &self.forest
    }

    /// How the leaves stand.
    #[must_use]
    pub const fn leaves(&self) -> Leaves {
        self.leaves
    }

    /// What the root session comes to; `None` while some leaf can still move.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.leaves.outcome()
    }

    /// Whether nothing moves by itself any more though something is left: it waits for somebody.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.leaves.open > 0 && self.active == 0 && self.ready.is_empty()
    }

    fn gate_of(&self, number: usize) -> GateState {
        let link = self.forest.links()[number];
        let target = self.facts[link.target as usize].as_target();
        if !link.is_required || link.kind.is_satisfied(target) {
            return GateState::Open;
        }
        if !target.is_lost() {
            return GateState::Closed;
        }
        match self.facts[link.source as usize].policy {
            OnUpstreamFailure::Skip => GateState::Lost,
            OnUpstreamFailure::Block => GateState::Stuck,
            OnUpstreamFailure::Ignore => GateState::Open,
        }
    }

    fn holds_start(&self, number: usize) -> bool {
        self.forest.links()[number].kind.gate() == Gate::Start
    }

    fn share(&self, task: u32) -> Share {
        Share::of(self.facts[task as usize])
    }
}
