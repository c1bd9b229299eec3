//! The twelve statuses and the one table of moves between them.
//!
//! Invariant: every predicate about moving is derived from `Trigger::rule`; there is no second list.

use crate::closed_enum;

closed_enum!(
    /// Where a session stands.
    SessionStatus {
        /// Created and not asked to run, or waiting for its next attempt.
        Pending = "pending",
        /// Waiting for a slot and an agent.
        Queued = "queued",
        /// Executing.
        Running = "running",
        /// Held by a person or by a hard limit.
        Paused = "paused",
        /// Succeeded.
        Completed = "completed",
        /// Some of the work succeeded.
        PartiallyCompleted = "partially_completed",
        /// Failed; a retry may follow.
        Failed = "failed",
        /// A deadline passed; a retry may follow.
        Timeout = "timeout",
        /// Stopped by a person while it ran.
        Stopped = "stopped",
        /// Withdrawn before or while waiting.
        Cancelled = "cancelled",
        /// Cut off because its parent ended abnormally.
        Orphaned = "orphaned",
        /// Running with reduced capacity.
        Degraded = "degraded",
    }
);

closed_enum!(
    /// The verbs that move a session; each is legal in some statuses and leads to one.
    Trigger {
        Start = "start",
        Execute = "execute",
        Dispatch = "dispatch",
        Cancel = "cancel",
        Fail = "fail",
        Expire = "expire",
        Orphan = "orphan",
        Complete = "complete",
        PartiallyComplete = "partially_complete",
        Pause = "pause",
        Resume = "resume",
        Stop = "stop",
        Degrade = "degrade",
        Recover = "recover",
        Retry = "retry",
    }
);

/// A move that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session that is {current} cannot become {requested}")]
pub struct InvalidTransition {
    /// Where the session stands.
    pub current: SessionStatus,
    /// Where the verb would have led.
    pub requested: SessionStatus,
}

impl InvalidTransition {
    /// Every status that the session can move to from where it stands.
    #[must_use]
    pub fn allowed(&self) -> Vec<SessionStatus> {
        self.current.targets()
    }
}

impl Trigger {
    /// The statuses this verb is legal in, and the status it leads to. One row per verb.
    #[must_use]
    pub const fn rule(self) -> (&'static [SessionStatus], SessionStatus) {
        use SessionStatus as S;
        match self {
            Self::Start => (&[S::Pending], S::Queued),
            Self::Execute => (&[S::Pending], S::Running),
            Self::Dispatch => (&[S::Queued], S::Running),
            Self::Cancel => (&[S::Pending, S::Queued, S::Paused], S::Cancelled),
            Self::Fail => (SessionStatus::OPEN, S::Failed),
            Self::Expire => (&[S::Queued, S::Running, S::Paused, S::Degraded], S::Timeout),
            Self::Orphan => (SessionStatus::OPEN, S::Orphaned),
            Self::Complete => (&[S::Running, S::Degraded], S::Completed),
            Self::PartiallyComplete => (&[S::Running, S::Degraded], S::PartiallyCompleted),
            Self::Pause => (&[S::Running, S::Degraded], S::Paused),
            Self::Resume => (&[S::Paused], S::Running),
            Self::Stop => (&[S::Running, S::Paused, S::Degraded], S::Stopped),
            Self::Degrade => (&[S::Running], S::Degraded),
            Self::Recover => (&[S::Degraded], S::Running),
            Self::Retry => (&[S::Failed, S::Timeout], S::Pending),
        }
    }
}

impl SessionStatus {
    /// The statuses that count against the quota of concurrent sessions.
    pub const OPEN: &'static [Self] =
        &[Self::Pending, Self::Queued, Self::Running, Self::Paused, Self::Degraded];

    /// The status that a verb leads to from here.
    ///
    /// # Errors
    /// `InvalidTransition` when the table has no such move.
    pub fn after(self, verb: Trigger) -> Result<Self, InvalidTransition> {
        let (legal_in, target) = verb.rule();
        if !legal_in.contains(&self) {
            return Err(InvalidTransition { current: self, requested: target });
        }
        Ok(target)
    }

    /// Verbs legal now, whoever may use them.
    pub fn actions(self) -> impl Iterator<Item = Trigger> {
        Trigger::ALL.iter().copied().filter(move |verb| verb.rule().0.contains(&self))
    }

    /// Statuses that some verb leads to from here, in the order of declaration.
    #[must_use]
    pub fn targets(self) -> Vec<Self> {
        let reached: Vec<Self> = self.actions().map(|verb| verb.rule().1).collect();
        Self::ALL.iter().copied().filter(|status| reached.contains(status)).collect()
    }

    /// Counts against the quota of concurrent sessions.
    #[must_use]
    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }

    /// Open and asked to run.
    #[must_use]
    pub fn is_active(self) -> bool {
        self.is_open() && self != Self::Pending
    }

    /// Execution has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !self.is_open()
    }

    /// No verb leads out of it.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.actions().next().is_none()
    }

    /// An agent holds a lease.
    #[must_use]
    pub const fn is_executing(self) -> bool {
        matches!(self, Self::Running | Self::Degraded)
    }

    /// Offered for display beside the status.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Pending => "⏳",
            Self::Queued => "📋",
            Self::Running => "⚙️",
            Self::Paused => "⏸️",
            Self::Completed => "✅",
            Self::PartiallyCompleted => "⚠️",
            Self::Failed => "❌",
            Self::Timeout => "⏰",
            Self::Stopped => "🛑",
            Self::Cancelled => "🚫",
            Self::Orphaned => "🧩",
            Self::Degraded => "🔻",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Domain 1.4, copied by hand: the test must not be derived from the table that it checks.
    fn specified(from: SessionStatus) -> &'static str {
        match from.as_str() {
            "pending" => "queued running cancelled failed orphaned",
            "queued" => "running cancelled failed timeout orphaned",
            "running" => {
                "completed partially_completed failed timeout paused stopped degraded orphaned"
            }
            "paused" => "running stopped cancelled timeout failed orphaned",
            "degraded" => {
                "running completed partially_completed failed timeout paused stopped orphaned"
            }
            "failed" | "timeout" => "pending",
            _ => "",
        }
    }

    #[test]
    fn all_144_pairs_are_as_specified() {
        let mut legal = 0;
        for from in SessionStatus::ALL {
            let words: Vec<&str> = specified(*from).split_whitespace().collect();
            for to in SessionStatus::ALL {
                let allowed = from.targets().contains(to);
                assert_eq!(allowed, words.contains(&to.as_str()), "{from} to {to}");
                legal += usize::from(allowed);
            }
        }
        assert_eq!(legal, 34);
    }

    #[test]
    fn finals_are_exactly_the_five_and_terminal_is_the_other_list() {
        let finals: Vec<&str> =
            SessionStatus::ALL.iter().filter(|s| s.is_final()).map(|s| s.as_str()).collect();
        assert_eq!(
            finals,
            ["completed", "partially_completed", "stopped", "cancelled", "orphaned"]
        );
        assert!(SessionStatus::Failed.is_terminal() && !SessionStatus::Failed.is_final());
    }

    #[test]
    fn every_status_is_reached_from_pending_and_slugs_round_trip() {
        let mut reached = vec![SessionStatus::Pending];
        let mut next = 0;
        while next < reached.len() {
            for target in reached[next].targets() {
                if !reached.contains(&target) {
                    reached.push(target);
                }
            }
            next += 1;
        }
        assert_eq!(reached.len(), SessionStatus::ALL.len());
        for status in SessionStatus::ALL {
            assert_eq!(SessionStatus::parse(status.as_str()), Some(*status));
        }
    }

    proptest! {
        #[test]
        fn random_walks_never_leave_the_table(verbs in proptest::collection::vec(0..15usize, 0..60)) {
            let mut status = SessionStatus::Pending;
            for index in verbs {
                let before = status;
                match status.after(Trigger::ALL[index]) {
                    Ok(after) => {
                        prop_assert!(before.targets().contains(&after));
                        status = after;
                    }
                    Err(refused) => {
                        prop_assert_eq!(refused.current, before);
                        prop_assert_eq!(refused.allowed(), before.targets());
                    }
                }
            }
        }
    }
}
