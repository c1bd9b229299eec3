//! What one tenant wants and has: its waiting sessions in lines, its agents, its share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::needs::Needs;
use super::roster::Roster;
use crate::domain::agent::Agent;
use crate::domain::agent::status::AgentRules;
use crate::domain::ids::AgentId;
use crate::domain::schedule::fairness::{Account, Cost, Standing};
use crate::domain::schedule::hold::Hold;
use crate::domain::schedule::order::{AGEING, Rank};
use crate::domain::schedule::pace::Pace;
use crate::domain::time::Timestamp;

/// What one tenant wants and has. Sessions with the same needs stand in one line, so that a decision
/// looks at the heads of the lines only: its cost does not grow with the number that wait.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Its share.
    pub(super) account: Account,
    /// Its agents.
    pub(super) roster: Roster,
    /// When one of its agents will stand otherwise by the passing of time alone.
    pub(super) agents_turn: Option<Timestamp>,
    /// How fast its sessions are given out.
    pub(super) pace: Pace,
    /// Where it stands among those that may be given something; `None` when nothing can be.
    pub(super) ready: Option<Standing>,
    /// Nothing new is given out for it.
    pub(super) hold: Option<Hold>,
    /// Nothing is left of what it may use this month.
    pub(super) spent: bool,
    by_needs: BTreeMap<Arc<Needs>, BTreeSet<Rank>>,
    waiting: usize,
    waiting_cost: u64,
}

impl Lines {
    /// Of a tenant whose agents are judged by these times.
    pub(super) fn judged_by(rules: AgentRules) -> Self {
        Self { roster: Roster::judged_by(rules), ..Self::default() }
    }

    /// A session joins the line of its needs, whose one copy is returned.
    pub(super) fn join(&mut self, needs: Needs, rank: Rank, cost: Cost) -> Arc<Needs> {
        let needs = match self.by_needs.get_key_value(&needs) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(needs),
        };
        if self.by_needs.entry(Arc::clone(&needs)).or_default().insert(rank) {
            self.waiting += 1;
            self.waiting_cost += cost.hundredths();
        }
        needs
    }

    /// A session leaves its line.
    pub(super) fn leave(&mut self, needs: &Needs, rank: &Rank, cost: Cost) {
        let Some(line) = self.by_needs.get_mut(needs) else { return };
        if line.remove(rank) {
            self.waiting -= 1;
            self.waiting_cost -= cost.hundredths();
        }
        if line.is_empty() {
            self.by_needs.remove(needs);
        }
    }

    /// A session moves ahead in its line.
    pub(super) fn lift(&mut self, needs: &Needs, before: &Rank, after: Rank) {
        if let Some(line) = self.by_needs.get_mut(needs)
            && line.remove(before)
        {
            line.insert(after);
        }
    }

    /// The session that is given out next, and to whom.
    pub(super) fn next(&self, now: Timestamp) -> Option<(Rank, &Arc<Agent>)> {
        let (mut best, mut first) = (None::<(Rank, &Arc<Agent>)>, None::<(Rank, &Needs)>);
        for (needs, line) in &self.by_needs {
            let Some(head) = line.first() else { continue };
            if best.is_some_and(|(rank, _)| rank < *head) {
                continue;
            }
            match self.roster.place(needs, None) {
                Some(agent) => best = Some((*head, agent)),
                None if first.is_none_or(|(rank, _)| *head < rank) => first = Some((*head, needs)),
                None => {}
            }
        }
        let (rank, _) = best?;
        let passed_over =
            first.filter(|(other, _)| *other < rank && now.since(other.queued_at()) >= AGEING);
        let kept = passed_over.and_then(|(_, needs)| self.roster.to_be_kept(needs));
        if kept.is_none_or(|kept| best.is_some_and(|(_, agent)| agent.id != kept)) {
            return best;
        }
        self.next_beside(kept)
    }

    /// The same while an agent is kept free for a large piece of work: what is small would have its
    /// place again and again otherwise, and it would never be its turn.
    fn next_beside(&self, kept: Option<AgentId>) -> Option<(Rank, &Arc<Agent>)> {
        let placed = self
            .by_needs
            .iter()
            .filter_map(|(needs, line)| Some((*line.first()?, self.roster.place(needs, kept)?)));
        placed.min_by_key(|(rank, _)| *rank)
    }

    /// Sessions that wait for this agent and nobody else.
    pub(super) fn pinned_to(&self, agent: &Agent) -> usize {
        let own = |needs: &Needs| needs.agent.as_ref().is_some_and(|name| agent.is_called(name));
        self.by_needs.iter().filter(|(needs, _)| own(needs)).map(|(_, line)| line.len()).sum()
    }

    /// Sessions that wait.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Mean cost of those that wait, at least 1.
    pub(super) fn mean_cost(&self) -> u64 {
        let count = u64::try_from(self.waiting).unwrap_or(u64::MAX);
        (self.waiting_cost / count.max(1)).max(1)
    }

    /// Sessions of this tenant before this place, and whether all of them were counted: no more
    /// than `most` are.
    pub(super) fn ahead(&self, rank: &Rank, most: usize) -> (usize, bool) {
        let mut ahead = 0;
        for line in self.by_needs.values() {
            ahead += line.range(..rank).take(most + 1 - ahead).count();
            if ahead > most {
                return (most, false);
            }
        }
        (ahead, true)
    }
}
