//! In which order the teams of a roster are looked at for a request: by the most that one of them can score,
//! so that those who cannot be among the best are not looked at.
//!
//! Invariant: nobody scores more than its promise but for having been asked for by its id, and of equal promises
//! the one comes first that comes first among equal scores.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::roster::{Roster, Team};
use crate::domain::agent::routing::{Match, Ranked, Request, Suited};
use crate::domain::ids::AgentId;
use crate::domain::session::spec::SessionType;
use crate::domain::time::Timestamp;

/// What one team promises, the better ones later: as a heap has it.
type Promise = (i64, Reverse<u64>, Reverse<Option<Timestamp>>, Reverse<AgentId>, usize);

/// What all teams promise that have what is required.
pub(super) struct Promises {
    heap: BinaryHeap<Promise>,
    /// Whoever is given something scores what was promised.
    are_kept: bool,
}

impl Promises {
    /// The team that promises most of those that are left. Nothing when all of them promise too little: `known`
    /// is who has to be surpassed.
    pub(super) fn next(&mut self, known: Option<&Ranked<'_>>) -> Option<usize> {
        while let Some((most, Reverse(used), Reverse(assigned), Reverse(id), team)) =
            self.heap.pop()
        {
            let Some(known) = known else { return Some(team) };
            // Sums of the same parts in another order may differ by one.
            let to_surpass = known.score.billionths();
            if most + 1 < to_surpass {
                return None;
            }
            let standing = &known.candidate.standing;
            let known =
                (standing.burden.utilization().to_bits(), standing.assigned_at, known.candidate.id);
            let is_like = self.are_kept && most <= to_surpass + 1;
            if !is_like || (used, assigned, id) < known {
                return Some(team);
            }
        }
        None
    }
}

/// A type of sessions as one bit.
pub(super) fn bit(session_type: SessionType) -> u32 {
    1 << (session_type as u32)
}

impl Roster {
    /// The teams that have what is required, each once, and what that is worth.
    pub(super) fn able(&self, request: &Request) -> Vec<(usize, f64)> {
        let count = request.required.len();
        if count == 0 {
            return (0..self.teams.len()).map(|team| (team, 1.0)).collect();
        }
        let of = |slug: &String| self.able.get(slug).map_or(&[][..], Vec::as_slice);
        let lists: Vec<&[(usize, bool)]> = request.required.iter().map(of).collect();
        // How much of it each has, and the tenths that this is worth beyond having nothing of it.
        let mut marks = vec![(0_u16, 0_u16); self.teams.len()];
        for &(team, is_primary) in lists.iter().copied().flatten() {
            marks[team].0 += 1;
            marks[team].1 += if is_primary { 7 } else { 4 };
        }
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let value = |tenths: u16| (3 * count + usize::from(tenths)) as f64 / (10 * count) as f64;
        match request.matching {
            Match::All => {
                let rarest = lists.iter().min_by_key(|list| list.len()).copied();
                let all = rarest.into_iter().flatten().map(|(team, _)| (*team, marks[*team]));
                let all = all.filter(|(_, (has, _))| usize::from(*has) == count);
                all.map(|(team, (_, tenths))| (team, value(tenths))).collect()
            }
            Match::Any => {
                let mut any = Vec::new();
                for &(team, _) in lists.iter().copied().flatten() {
                    let (has, tenths) = std::mem::take(&mut marks[team]);
                    if has > 0 {
                        any.push((team, value(tenths)));
                    }
                }
                any
            }
        }
    }

    /// What the teams promise that have what is required, and somebody with room.
    pub(super) fn promises(&self, request: &Request) -> Promises {
        let session = request.session_type.map(bit);
        let promise = |(at, capability): (usize, f64)| {
            let Team { first, sessions, preference, agent_type, .. } = &self.teams[at];
            let (Reverse(readiness), used, assigned, id) = first.as_ref()?;
            let is_for_session =
                *sessions == 0 || session.is_none_or(|session| sessions & session != 0);
            let (preference, agent_type) = (*preference, *agent_type);
            let suited = Suited { capability, is_for_session, preference, agent_type };
            let most = request.promise(*readiness, &suited);
            Some((most, Reverse(*used), Reverse(*assigned), Reverse(*id), at))
        };
        let all: Vec<Promise> = self.able(request).into_iter().filter_map(promise).collect();
        Promises { heap: BinaryHeap::from(all), are_kept: request.technologies.is_empty() }
    }
}
