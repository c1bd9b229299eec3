//! Who waits for whom, and whether that goes in a circle.
//!
//! A request waits for the owners that hold its names against it, and for those before it in a queue: of
//! these it needs only the grant where both share, and else the release, too. An owner waits for what all
//! its requests wait for.

use std::collections::HashSet;

use super::lane::{Lane, Place, Waiting};
use super::table::LockTable;
use super::{LockMode, LockName, Owner, Ticket};
use crate::domain::ids::LockId;

/// One owner waits for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Who waits.
    pub owner: Owner,
    /// For whom.
    pub waits_for: Owner,
    /// Over which name.
    pub name: LockName,
    /// By which request.
    pub request_id: LockId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Owner(Owner),
    Ticket(Ticket),
}

impl LockTable {
    /// What a request waits for, and over which name.
    fn blockers(&self, ticket: Ticket) -> Vec<(Node, LockName)> {
        let Some(waiting) = self.waiting.get(&ticket) else { return Vec::new() };
        let mut found = Vec::new();
        for (name, place) in waiting.places(ticket) {
            if let Some(lane) = self.lanes.get(name) {
                self.blockers_in(lane, name, (waiting, place), &mut found);
            }
        }
        found
    }

    fn blockers_in(
        &self,
        lane: &Lane,
        name: &LockName,
        (waiting, place): (&Waiting, Place),
        found: &mut Vec<(Node, LockName)>,
    ) {
        let (owner, mode) = (waiting.ask.owner, waiting.ask.mode);
        if lane.suffices(owner, mode) {
            return;
        }
        for before in lane.queue.range(..place).rev() {
            let Some(other) = self.waiting.get(&before.ticket) else { continue };
            let is_shared = other.ask.mode == LockMode::Shared;
            if mode == LockMode::Shared && is_shared {
                // What it waits for is waited for here, too; whom it lets in does not matter.
                found.push((Node::Ticket(before.ticket), name.clone()));
                return;
            }
            // Of another request of its own it needs what that one waits for.
            let is_own = other.ask.owner == owner;
            let next =
                if is_own { Node::Ticket(before.ticket) } else { Node::Owner(other.ask.owner) };
            found.push((next, name.clone()));
            if !is_shared {
                // It waits for everybody before it.
                return;
            }
        }
        let holders = lane.against(owner, mode);
        found.extend(holders.map(|hold| (Node::Owner(hold.owner), name.clone())));
    }

    /// The circle through this node, as its requests, each with the name and whom it waits for.
    pub(super) fn cycle(&self, start: Node) -> Option<Vec<(Ticket, Edge)>> {
        let mut seen: HashSet<Node> = HashSet::from([start]);
        // Each step of the way with what is still to be tried from there.
        let mut way = vec![(start, None, self.next_of(start))];
        while let Some((_, _, left)) = way.last_mut() {
            let Some((next, name)) = left.pop() else {
                way.pop();
                continue;
            };
            if next == start {
                let steps = way.into_iter().map(|(node, name, _)| (node, name));
                return Some(self.told(&steps.chain([(next, name)]).collect::<Vec<_>>()));
            }
            if seen.insert(next) {
                let children = self.next_of(next);
                way.push((next, name, children));
            }
        }
        None
    }

    fn next_of(&self, node: Node) -> Vec<(Node, Option<LockName>)> {
        match node {
            Node::Owner(owner) => {
                let standing = self.owners.get(&owner);
                let tickets = standing.map_or(&[][..], |standing| &standing.waiting);
                tickets.iter().map(|ticket| (Node::Ticket(*ticket), None)).collect()
            }
            Node::Ticket(ticket) => {
                let blockers = self.blockers(ticket);
                blockers.into_iter().map(|(node, name)| (node, Some(name))).collect()
            }
        }
    }

    /// A way round as those on it would tell it.
    fn told(&self, way: &[(Node, Option<LockName>)]) -> Vec<(Ticket, Edge)> {
        let mut edges = Vec::new();
        for pair in way.windows(2) {
            let [(Node::Ticket(ticket), _), (next, Some(name))] = pair else { continue };
            let Some(edge) = self.edge(*ticket, *next, name) else { continue };
            edges.push((*ticket, edge));
        }
        edges
    }

    fn edge(&self, ticket: Ticket, next: Node, name: &LockName) -> Option<Edge> {
        let ask = &self.waiting.get(&ticket)?.ask;
        let waits_for = match next {
            Node::Owner(owner) => owner,
            Node::Ticket(other) => self.waiting.get(&other)?.ask.owner,
        };
        Some(Edge { owner: ask.owner, waits_for, name: name.clone(), request_id: ask.id()? })
    }

    /// Every waiting of one owner for another over these queues, in the order of the requests.
    pub(super) fn edges_of(&self, tickets: impl Iterator<Item = Ticket>) -> Vec<Edge> {
        let mut edges = Vec::new();
        for ticket in tickets {
            for (next, name) in self.blockers(ticket) {
                let edge = self.edge(ticket, next, &name);
                edges.extend(edge.filter(|edge| edge.owner != edge.waits_for));
            }
        }
        edges
    }
}
