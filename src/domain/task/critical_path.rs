//! When each leaf can start and must, and the chain that the end hangs on.
//!
//! Invariant: what an optional dependency says never moves a figure; it only gives a place among equals.
//! Source: domain 4.5; the critical path method with the four types of precedence.

use super::dependency::DependencyType;
use super::forest::{Forest, small};
use super::graph::{Graph, Hold};

/// Two figures that are nearer to each other than this are one: hours.
const SAME: f64 = 1e-9;

/// The figures of all tasks; of a container, those of its leaves together.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    earliest_start: Vec<f64>,
    earliest_finish: Vec<f64>,
    latest_start: Vec<f64>,
    latest_finish: Vec<f64>,
    layer: Vec<u32>,
    /// How many others that are preferred stand before it in a chain.
    after: Vec<u32>,
    end: f64,
}

/// What is known of one leaf, in hours from the start of the whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// When it can start.
    pub earliest_start: f64,
    /// When it can be done.
    pub earliest_finish: f64,
    /// When it must start.
    pub latest_start: f64,
    /// When it must be done.
    pub latest_finish: f64,
    /// How long it can wait without delaying the whole.
    pub slack: f64,
    /// Leaves of one layer may run at once.
    pub layer: u32,
}

impl Schedule {
    /// The schedule of a graph whose leaves take so many hours, by number.
    #[must_use]
    pub fn of(forest: &Forest, graph: &Graph, hours: impl Fn(u32) -> f64) -> Self {
        let mut schedule = Self::forward(forest, graph, &hours);
        schedule.backward(forest, graph, &hours);
        schedule
    }

    /// Hours of the longest path when each leaf still takes so many.
    #[must_use]
    pub fn longest(forest: &Forest, graph: &Graph, hours: impl Fn(u32) -> f64) -> f64 {
        Self::forward(forest, graph, &hours).end
    }

    fn forward(forest: &Forest, graph: &Graph, hours: &impl Fn(u32) -> f64) -> Self {
        let nodes = graph.nodes();
        let mut made = Self {
            earliest_start: vec![0.0; nodes],
            earliest_finish: vec![0.0; nodes],
            layer: vec![0; nodes],
            after: vec![0; nodes],
            ..Self::default()
        };
        for node in graph.order() {
            let (mut start, mut finish, mut layer, mut after) = (0.0f64, 0.0f64, 0, 0);
            graph.holders(forest, *node, |holder, hold| {
                let of = holder as usize;
                match hold {
                    Hold::Needs(DependencyType::FinishToStart) => {
                        start = start.max(made.earliest_finish[of]);
                        layer = layer.max(made.layer[of] + 1);
                    }
                    Hold::Needs(DependencyType::StartToStart) => {
                        start = start.max(made.earliest_start[of]);
                        layer = layer.max(made.layer[of]);
                    }
                    Hold::Needs(DependencyType::FinishToFinish) => {
                        finish = finish.max(made.earliest_finish[of]);
                    }
                    Hold::Needs(DependencyType::StartToFinish) => {
                        finish = finish.max(made.earliest_start[of]);
                    }
                    Hold::Belongs => {
                        start = start.max(made.earliest_start[of]);
                        finish = finish.max(made.earliest_finish[of]);
                        layer = layer.max(made.layer[of]);
                        after = after.max(made.after[of]);
                    }
                    Hold::Prefers => after = after.max(made.after[of] + 1),
                }
            });
            let is_leaf = !graph.is_leave(*node) && forest.is_leaf(*node);
            if is_leaf {
                finish = finish.max(start + hours(*node));
                made.end = made.end.max(finish);
            }
            let at = *node as usize;
            (made.earliest_start[at], made.earliest_finish[at]) = (start, finish);
            (made.layer[at], made.after[at]) = (layer, after);
        }
        made
    }

    fn backward(&mut self, forest: &Forest, graph: &Graph, hours: &impl Fn(u32) -> f64) {
        let (nodes, end) = (graph.nodes(), self.end);
        let (mut starts, mut finishes) = (vec![end; nodes], vec![end; nodes]);
        for node in graph.order().iter().rev() {
            let at = *node as usize;
            if !graph.is_leave(*node) && forest.is_leaf(*node) {
                starts[at] = starts[at].min(finishes[at] - hours(*node));
            }
            let (start, finish) = (starts[at], finishes[at]);
            graph.holders(forest, *node, |holder, hold| {
                let of = holder as usize;
                match hold {
                    Hold::Needs(DependencyType::FinishToStart) => {
                        finishes[of] = finishes[of].min(start);
                    }
                    Hold::Needs(DependencyType::StartToStart) => {
                        starts[of] = starts[of].min(start);
                    }
                    Hold::Needs(DependencyType::FinishToFinish) => {
                        finishes[of] = finishes[of].min(finish);
                    }
                    Hold::Needs(DependencyType::StartToFinish) => {
                        starts[of] = starts[of].min(finish);
                    }
                    Hold::Belongs => {
                        starts[of] = starts[of].min(start);
                        finishes[of] = finishes[of].min(finish);
                    }
                    Hold::Prefers => {}
                }
            });
        }
        (self.latest_start, self.latest_finish) = (starts, finishes);
    }

    /// Hours of the whole.
    #[must_use]
    pub const fn end(&self) -> f64 {
        self.end
    }

    /// What is known of a leaf.
    #[must_use]
    pub fn times(&self, leaf: u32) -> Times {
        let at = leaf as usize;
        Times {
            earliest_start: self.earliest_start[at],
            earliest_finish: self.earliest_finish[at],
            latest_start: self.latest_start[at],
            latest_finish: self.latest_finish[at],
            slack: self.slack(leaf),
            layer: self.layer[at],
        }
    }

    /// How long a leaf can wait without delaying the whole.
    #[must_use]
    pub fn slack(&self, leaf: u32) -> f64 {
        let slack = self.latest_start[leaf as usize] - self.earliest_start[leaf as usize];
        // Sums that differ in their last bits are equal: a long chain is no reason to wait.
        if slack.abs() <= SAME * self.end.max(1.0) { 0.0 } else { slack }
    }

    /// Hours from the start of a leaf to the end of the whole along the longest path.
    #[must_use]
    pub fn remaining(&self, leaf: u32) -> f64 {
        self.end - self.latest_start[leaf as usize]
    }

    pub(crate) fn after(&self, leaf: u32) -> u32 {
        self.after[leaf as usize]
    }

    /// Leaves by layer, each layer in the order of ids.
    #[must_use]
    pub fn layers(&self, forest: &Forest) -> Vec<Vec<u32>> {
        let mut layers: Vec<Vec<u32>> = Vec::new();
        for task in (0..small(forest.len())).filter(|task| forest.is_leaf(*task)) {
            let layer = self.layer[task as usize] as usize;
            if layers.len() <= layer {
                layers.resize_with(layer + 1, Vec::new);
            }
            layers[layer].push(task);
        }
        layers
    }

    /// The chain that the end hangs on, from its first leaf to its last.
    #[must_use]
    pub fn critical_path(
        &self,
        forest: &Forest,
        graph: &Graph,
        hours: impl Fn(u32) -> f64,
    ) -> Vec<u32> {
        let leaves = (0..small(forest.len())).filter(|task| forest.is_leaf(*task));
        // Of equals the first that is found stays, which has the smallest id.
        let last = leaves.reduce(|best, leaf| {
            let later = self.earliest_finish[leaf as usize] > self.earliest_finish[best as usize];
            if later { leaf } else { best }
        });
        let mut path = Vec::new();
        let mut next = last.map(|leaf| (leaf, End::Finish));
        while let Some((leaf, end)) = next {
            path.push(leaf);
            next = self.binding(forest, graph, &hours, leaf, end);
        }
        path.reverse();
        path
    }

    /// The leaf that this end of a leaf hangs on, and which end of it.
    fn binding(
        &self,
        forest: &Forest,
        graph: &Graph,
        hours: &impl Fn(u32) -> f64,
        leaf: u32,
        end: End,
    ) -> Option<(u32, End)> {
        let start = self.earliest_start[leaf as usize];
        let finish = self.earliest_finish[leaf as usize];
        let by_start = end == End::Start || finish <= start + hours(leaf) + SAME;
        let mut best: Option<(u32, End)> = None;
        for waits in std::iter::once(leaf).chain(forest.ancestors(leaf)) {
            for link in forest.needs(waits).iter().filter(|link| link.is_required) {
                let (mine, its) = match link.kind {
                    DependencyType::FinishToStart => (End::Start, End::Finish),
                    DependencyType::StartToStart => (End::Start, End::Start),
                    DependencyType::FinishToFinish => (End::Finish, End::Finish),
                    DependencyType::StartToFinish => (End::Finish, End::Start),
                };
                let counts = if mine == End::Start { by_start } else { end == End::Finish };
                let bound = if mine == End::Start { start } else { finish };
                let reached = self.reach(its, graph.leave(link.target));
                if !counts || reached < bound - SAME {
                    continue;
                }
                let last =
                    forest.leaves(link.target).filter(|one| self.reach(its, *one) >= bound - SAME);
                for one in last {
                    let better = best.is_none_or(|(known, _)| {
                        let order = hours(one).total_cmp(&hours(known));
                        order.is_gt() || (order.is_eq() && one < known)
                    });
                    if better {
                        best = Some((one, its));
                    }
                }
            }
        }
        best
    }

    fn reach(&self, end: End, node: u32) -> f64 {
        match end {
            End::Start => self.earliest_start[node as usize],
            End::Finish => self.earliest_finish[node as usize],
        }
    }
}

/// One of the two ends of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Start,
    Finish,
}
