//! The order in which the leaves can run at all.
//!
//! A leaf is one node. A container is two: what it waits for before any of its leaves (`enter`, under
//! its own number) and what waits for all of them (`leave`, behind the numbers of all tasks). So a
//! dependency of or on a container costs one link, not one for each pair of leaves, and means the same.
//!
//! Invariant: whatever a node needs stands before it in `order`.
//! A crate for graphs would keep its own copy of nodes and links; the order is one walk over ours.

use super::dependency::DependencyType;
use super::forest::{CycleFound, Forest, NONE, small};

/// How a node is held by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// As the dependency says.
    Needs(DependencyType),
    /// A part follows its whole, or a whole its parts: both in start and finish.
    Belongs,
    /// It only orders equals.
    Prefers,
}

/// The leaves of a forest in an order that keeps every dependency.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Node where the end of a task is: itself for a leaf.
    leave: Vec<u32>,
    /// The container of each node behind the tasks.
    containers: Vec<u32>,
    order: Vec<u32>,
}

impl Graph {
    /// The order of a forest.
    ///
    /// # Errors
    /// `CycleFound` when tasks need each other in a circle.
    pub fn of(forest: &Forest) -> Result<Self, CycleFound> {
        let count = small(forest.len());
        let containers: Vec<u32> = (0..count).filter(|task| !forest.is_leaf(*task)).collect();
        let mut leave: Vec<u32> = (0..count).collect();
        for (place, container) in containers.iter().enumerate() {
            leave[*container as usize] = count + small(place);
        }
        let mut graph = Self { leave, containers, order: Vec::new() };
        graph.order = graph.sorted(forest)?;
        Ok(graph)
    }

    /// How many nodes there are.
    pub(crate) const fn nodes(&self) -> usize {
        self.leave.len() + self.containers.len()
    }

    /// Every node, each behind what it needs.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The node where the end of a task is.
    pub(crate) fn leave(&self, task: u32) -> u32 {
        self.leave[task as usize]
    }

    /// The task of a node.
    pub(crate) fn task(&self, node: u32) -> u32 {
        let behind = (node as usize).checked_sub(self.leave.len());
        behind.map_or(node, |place| self.containers[place])
    }

    /// Whether the node is the end of a container.
    pub(crate) const fn is_leave(&self, node: u32) -> bool {
        node as usize >= self.leave.len()
    }

    /// What holds a node: each holder and how.
    pub(crate) fn holders(&self, forest: &Forest, node: u32, mut with: impl FnMut(u32, Hold)) {
        if self.is_leave(node) {
            let parts = forest.children(self.task(node));
            parts.for_each(|part| with(self.leave(part), Hold::Belongs));
            return;
        }
        if let Some(whole) = forest.parent(node) {
            with(whole, Hold::Belongs);
        }
        for link in forest.needs(node) {
            let hold = if link.is_required { Hold::Needs(link.kind) } else { Hold::Prefers };
            with(self.leave(link.target), hold);
        }
    }

    /// The `place`-th holder of a node; `None` behind the last.
    fn holder(&self, forest: &Forest, parts: &[Vec<u32>], node: u32, place: usize) -> Option<u32> {
        if self.is_leave(node) {
            let container = node as usize - self.leave.len();
            return parts[container].get(place).map(|part| self.leave(*part));
        }
        let needs = forest.needs(node);
        match (forest.parent(node), place) {
            (Some(whole), 0) => Some(whole),
            (Some(_), place) => needs.get(place - 1).map(|link| self.leave(link.target)),
            (None, place) => needs.get(place).map(|link| self.leave(link.target)),
        }
    }

    /// A walk in depth over what is needed: a node comes when all that it needs has come.
    fn sorted(&self, forest: &Forest) -> Result<Vec<u32>, CycleFound> {
        const NEW: u8 = 0;
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        let mut parts: Vec<Vec<u32>> = vec![Vec::new(); self.containers.len()];
        for task in 0..small(forest.len()) {
            if let Some(whole) = forest.parent(task) {
                parts[self.leave(whole) as usize - self.leave.len()].push(task);
            }
        }
        let mut state = vec![NEW; self.nodes()];
        let mut order = Vec::with_capacity(self.nodes());
        let mut open: Vec<(u32, u32)> = Vec::new();
        for first in 0..small(self.nodes()) {
            if state[first as usize] != NEW {
                continue;
            }
            state[first as usize] = OPEN;
            open.push((first, 0));
            while let Some((node, place)) = open.last_mut() {
                let holder = self.holder(forest, &parts, *node, *place as usize);
                *place += 1;
                let Some(holder) = holder else {
                    state[*node as usize] = DONE;
                    order.push(*node);
                    open.pop();
                    continue;
                };
                match state[holder as usize] {
                    NEW => {
                        state[holder as usize] = OPEN;
                        open.push((holder, 0));
                    }
                    OPEN => return Err(self.circle(forest, &open, holder)),
                    _ => {}
                }
            }
        }
        Ok(order)
    }

    fn circle(&self, forest: &Forest, open: &[(u32, u32)], again: u32) -> CycleFound {
        let nodes = open.iter().map(|(node, _)| *node).skip_while(|node| *node != again);
        let mut tasks: Vec<u32> = nodes.map(|node| self.task(node)).collect();
        tasks.dedup();
        // The circle closes at its first task, however the walk came to it.
        while tasks.len() > 1 && tasks.first() == tasks.last() {
            tasks.pop();
        }
        let first = tasks.first().copied().unwrap_or(NONE);
        CycleFound(tasks.into_iter().chain([first]).map(|task| forest.id(task)).collect())
    }
}
