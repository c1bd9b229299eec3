//! The ten statuses of a task and the one table of moves between them.
//!
//! Invariant: every predicate about moving is derived from `Trigger::rule`; there is no second list.
//! Invariant: `blocked` is computed and never asked for: its moves belong to the dependencies.

use crate::closed_enum;

closed_enum!(
    /// Where a task stands.
    TaskStatus {
        /// Written down, and nobody looked at it yet.
        Pending = "pending",
        /// Nothing stands in its way.
        Ready = "ready",
        /// Given to an agent that has not begun.
        Assigned = "assigned",
        /// Worked on.
        InProgress = "in_progress",
        /// A dependency stands in its way: of its start, or of its end once the work is done.
        Blocked = "blocked",
        /// Held with its session.
        Paused = "paused",
        /// Done.
        Completed = "completed",
        /// Tried in vain; a retry may follow.
        Failed = "failed",
        /// Withdrawn.
        Cancelled = "cancelled",
        /// Left out: what it needs cannot come any more, or somebody does without it.
        Skipped = "skipped",
    }
);

closed_enum!(
    /// The verbs that move a task; each is legal in some statuses and leads to one.
    Trigger {
        Ready = "ready",
        Assign = "assign",
        Start = "start",
        Complete = "complete",
        Fail = "fail",
        Pause = "pause",
        Cancel = "cancel",
        Skip = "skip",
        Retry = "retry",
        /// A gate is closed.
        Block = "block",
        /// The gates of its start are open again.
        Unblock = "unblock",
        /// The gates of its end are open: the work that is done counts.
        Reopen = "reopen",
        /// Its session ended while nobody worked on it.
        Lose = "lose",
    }
);

/// Who may use a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Commands of people and reports of agents, and the rules.
    Anyone,
    /// The dependencies and the executor alone.
    Rules,
}

/// A move that the table does not have, or not for whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {current} cannot become {requested}")]
pub struct InvalidTransition {
    /// Where the task stands.
    pub current: TaskStatus,
    /// Where the verb would have led.
    pub requested: TaskStatus,
}

impl InvalidTransition {
    /// Every status that a command can move the task to from where it stands.
    #[must_use]
    pub fn allowed(&self) -> Vec<TaskStatus> {
        self.current.targets(Right::Anyone)
    }
}

impl Trigger {
    /// The statuses this verb is legal in, the status it leads to, and whose it is.
    #[must_use]
    pub const fn rule(self) -> (&'static [TaskStatus], TaskStatus, Right) {
        use TaskStatus as S;
        match self {
            Self::Ready => (&[S::Pending], S::Ready, Right::Anyone),
            Self::Assign => (&[S::Pending, S::Ready], S::Assigned, Right::Anyone),
            Self::Start => (&[S::Assigned, S::Paused], S::InProgress, Right::Anyone),
            Self::Complete => (&[S::InProgress], S::Completed, Right::Anyone),
            Self::Fail => (&[S::InProgress], S::Failed, Right::Anyone),
            Self::Pause => (&[S::InProgress], S::Paused, Right::Anyone),
            Self::Cancel => (TaskStatus::CANCELLABLE, S::Cancelled, Right::Anyone),
            Self::Skip => (TaskStatus::WAITING, S::Skipped, Right::Anyone),
            Self::Retry => (&[S::Failed], S::Ready, Right::Anyone),
            Self::Block => (&[S::Pending, S::Ready, S::InProgress], S::Blocked, Right::Rules),
            Self::Unblock => (&[S::Blocked], S::Ready, Right::Rules),
            Self::Reopen => (&[S::Blocked], S::InProgress, Right::Rules),
            Self::Lose => (&[S::Assigned, S::Paused], S::Failed, Right::Rules),
        }
    }
}

impl TaskStatus {
    /// Nobody was given it: it can be decomposed, and done without.
    pub const WAITING: &'static [Self] = &[Self::Pending, Self::Ready, Self::Blocked];
    const CANCELLABLE: &'static [Self] = &[
        Self::Pending,
        Self::Ready,
        Self::Assigned,
        Self::InProgress,
        Self::Blocked,
        Self::Paused,
    ];

    /// The status that a verb leads to from here.
    ///
    /// # Errors
    /// `InvalidTransition` when the table has no such move.
    pub fn after(self, verb: Trigger) -> Result<Self, InvalidTransition> {
        let (legal_in, requested, _) = verb.rule();
        if !legal_in.contains(&self) {
            return Err(InvalidTransition { current: self, requested });
        }
        Ok(requested)
    }

    /// Verbs legal now for whoever has this right.
    pub fn actions(self, right: Right) -> impl Iterator<Item = Trigger> {
        Trigger::ALL.iter().copied().filter(move |verb| {
            let (legal_in, _, whose) = verb.rule();
            legal_in.contains(&self) && (whose == Right::Anyone || right == Right::Rules)
        })
    }

    /// Statuses that some verb leads to from here, in the order of declaration.
    #[must_use]
    pub fn targets(self, right: Right) -> Vec<Self> {
        let reached: Vec<Self> = self.actions(right).map(|verb| verb.rule().1).collect();
        Self::ALL.iter().copied().filter(|status| reached.contains(status)).collect()
    }

    /// The verb by which a command moves it from here to there.
    ///
    /// # Errors
    /// `InvalidTransition` when no command does.
    pub fn command_to(self, requested: Self) -> Result<Trigger, InvalidTransition> {
        self.actions(Right::Anyone)
            .find(|verb| verb.rule().1 == requested)
            .ok_or(InvalidTransition { current: self, requested })
    }

    /// The shortest way from here to there by any verb; `None` when there is none.
    #[must_use]
    pub fn way_to(self, there: Self) -> Option<Vec<Trigger>> {
        let mut found: Vec<(Self, Vec<Trigger>)> = vec![(self, Vec::new())];
        let mut next = 0;
        while let Some((status, way)) = found.get(next).cloned() {
            if status == there {
                return Some(way);
            }
            for verb in status.actions(Right::Rules) {
                let reached = verb.rule().1;
                if found.iter().all(|(known, _)| *known != reached) {
                    let further = way.iter().copied().chain([verb]).collect();
                    found.push((reached, further));
                }
            }
            next += 1;
        }
        None
    }

    /// No verb leads out of it.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.actions(Right::Rules).next().is_none()
    }

    /// Nobody was given it yet.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Pending | Self::Ready | Self::Blocked)
    }

    /// A child session works on it or is about to: it takes one of the places of `max_parallel`.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Assigned | Self::InProgress | Self::Paused)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Domain 4.2, copied by hand: by command or agent, and by the rules only.
    fn specified(from: TaskStatus) -> (&'static str, &'static str) {
        match from.as_str() {
            "pending" | "ready" if from == TaskStatus::Pending => {
                ("ready assigned cancelled", "blocked skipped")
            }
            "ready" => ("assigned cancelled", "blocked skipped"),
            "in_progress" => ("completed failed paused cancelled", "blocked"),
            "blocked" => ("cancelled", "ready in_progress skipped"),
            "assigned" | "paused" => ("in_progress cancelled", "failed"),
            "failed" => ("ready", ""),
            _ => ("", ""),
        }
    }

    /// T4: every pair of statuses is as in 4.2, for commands and for the rules.
    #[test]
    fn all_100_pairs_are_as_specified() {
        for from in TaskStatus::ALL {
            let (commands, rules) = specified(*from);
            for to in TaskStatus::ALL {
                let asked = commands.split(' ').any(|word| word == to.as_str());
                let computed = asked || rules.split(' ').any(|word| word == to.as_str());
                // `skip` is a command as well.
                let asked = asked || (computed && *to == TaskStatus::Skipped);
                assert_eq!(from.targets(Right::Anyone).contains(to), asked, "{from} to {to}");
                assert_eq!(from.targets(Right::Rules).contains(to), computed, "{from} to {to}");
                assert_eq!(from.command_to(*to).is_ok(), asked, "{from} to {to}");
            }
        }
    }

    /// T4: the moves that the appendix names.
    #[test]
    fn the_named_moves_are_refused_and_legal() {
        use TaskStatus as S;
        let refused = S::Pending.command_to(S::Completed).expect_err("not legal");
        assert_eq!((refused.current, refused.requested), (S::Pending, S::Completed));
        assert_eq!(refused.allowed(), [S::Ready, S::Assigned, S::Cancelled, S::Skipped]);
        for unchangeable in [S::Completed, S::Cancelled, S::Skipped] {
            assert!(unchangeable.is_final());
        }
        assert_eq!(TaskStatus::ALL.iter().filter(|status| status.is_final()).count(), 3);
        assert_eq!(S::InProgress.command_to(S::Cancelled), Ok(Trigger::Cancel));
        assert_eq!(S::Failed.command_to(S::Ready), Ok(Trigger::Retry));
        assert!(S::Blocked.command_to(S::Ready).is_err(), "a client cannot open a gate");
        assert_eq!(S::Blocked.after(Trigger::Unblock), Ok(S::Ready));
    }

    #[test]
    fn every_status_is_reached_and_slugs_round_trip() {
        for status in TaskStatus::ALL {
            let way = TaskStatus::Pending.way_to(*status).expect("reached");
            let end = way.iter().try_fold(TaskStatus::Pending, |at, verb| at.after(*verb));
            assert_eq!(end, Ok(*status));
            assert_eq!(TaskStatus::parse(status.as_str()), Some(*status));
        }
        assert_eq!(TaskStatus::Completed.way_to(TaskStatus::Ready), None);
    }

    proptest! {
        #[test]
        fn random_walks_never_leave_the_table(verbs in proptest::collection::vec(0..13usize, 0..60)) {
            let mut status = TaskStatus::Pending;
            for index in verbs {
                let before = status;
                match status.after(Trigger::ALL[index]) {
                    Ok(after) => {
                        prop_assert!(before.targets(Right::Rules).contains(&after));
                        status = after;
                    }
                    Err(refused) => prop_assert_eq!(refused.current, before),
                }
            }
        }
    }
}
