//! Parents and children: when an end concerns the children, and how each of them follows it.
//!
//! Invariant: only an abnormal end concerns the children; what becomes of a child is its own wish.

use super::spec::OnParentEnd;
use super::status::{InvalidTransition, SessionStatus};
use super::{Cause, Session};
use crate::domain::event::DomainEvent;
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

impl Session {
    /// Whether that session asked for it; a deleted child is nobody's.
    #[must_use]
    pub fn is_child_of(&self, parent: SessionId) -> bool {
        self.lineage.parent_id == Some(parent) && self.stamps.deleted_at.is_none()
    }

    /// When it ended abnormally: stopped, cancelled, orphaned, failed or timed out with no attempt
    /// to follow, or deleted before it had ended. `None` while it is open and after a good end.
    ///
    /// Source: domain 1.10.
    #[must_use]
    pub const fn broke_off_at(&self) -> Option<Timestamp> {
        match self.status() {
            SessionStatus::Failed
            | SessionStatus::Timeout
            | SessionStatus::Stopped
            | SessionStatus::Cancelled
            | SessionStatus::Orphaned => self.stamps.ended_at,
            SessionStatus::Pending
            | SessionStatus::Queued
            | SessionStatus::Running
            | SessionStatus::Paused
            | SessionStatus::Degraded => self.stamps.deleted_at,
            SessionStatus::Completed | SessionStatus::PartiallyCompleted => None,
        }
    }

    /// The sessions that it still comes after.
    pub fn waits_for(&self) -> impl Iterator<Item = SessionId> {
        self.lineage.after.iter().filter(|id| !self.run.met.contains(id)).copied()
    }

    /// Sessions that it comes after were seen to have completed, which stays so.
    pub fn meet(&mut self, completed: &[SessionId]) {
        let awaited: Vec<SessionId> =
            self.waits_for().filter(|id| completed.contains(id)).collect();
        self.run.met.extend(awaited);
    }

    /// What its children are told of its end, with the name that people know it by.
    #[must_use]
    pub fn farewell(&self) -> String {
        format!("its parent {} {}", self.code, self.fate())
    }

    /// How it ended, as the end of a sentence; an open one can only have been deleted.
    #[must_use]
    pub const fn fate(&self) -> &'static str {
        match self.status() {
            SessionStatus::Failed => "failed",
            SessionStatus::Timeout => "timed out",
            SessionStatus::Stopped => "was stopped",
            SessionStatus::Cancelled => "was cancelled",
            SessionStatus::Orphaned => "was orphaned",
            SessionStatus::Pending
            | SessionStatus::Queued
            | SessionStatus::Running
            | SessionStatus::Paused
            | SessionStatus::Degraded => "was deleted",
            SessionStatus::Completed => "completed",
            SessionStatus::PartiallyCompleted => "completed in part",
        }
    }

    /// Whether an abnormal end of its parent would move it.
    #[must_use]
    pub fn follows_its_parent(&self) -> bool {
        self.status().is_open() && self.spec.on_parent_end != OnParentEnd::Continue
    }

    /// Its parent ended abnormally: it is cancelled, stopped or orphaned, as it wants; no event when
    /// it goes on or has ended.
    ///
    /// # Errors
    /// Never in practice: each verb is only tried where it is legal.
    pub fn follow_its_parent(
        &mut self,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        if !self.follows_its_parent() {
            return Ok(Vec::new());
        }
        let waits = matches!(self.status(), SessionStatus::Pending | SessionStatus::Queued);
        match self.spec.on_parent_end {
            OnParentEnd::Cascade if waits => self.cancel(cause),
            OnParentEnd::Cascade => self.stop(cause),
            OnParentEnd::Orphan => self.orphan(cause),
            OnParentEnd::Continue => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventType;
    use crate::domain::ids::TenantId;
    use crate::domain::session::draft::SessionDraft;
    use crate::domain::session::metrics::Metrics;
    use crate::domain::session::{Lineage, SessionCode, Standing};
    use uuid::Uuid;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn session(status: SessionStatus, wish: OnParentEnd) -> Session {
        let draft = SessionDraft {
            initial_prompt: "Do it".to_owned(),
            on_parent_end: Some(wish),
            ..SessionDraft::default()
        };
        let spec = draft.accept().expect("valid");
        let (id, code) = (SessionId::new(Uuid::nil()), SessionCode::new(7));
        let lineage = Lineage::default();
        let (mut made, _) =
            Session::create(id, TenantId::BOOTSTRAP, code, spec, lineage, "a", at(1));
        made.standing = Standing::stored(status, None, at(1));
        made.metrics = Metrics::default();
        made.stamps.ended_at = status.is_terminal().then(|| at(5));
        made
    }

    #[test]
    fn every_status_and_wish_ends_as_specified() {
        for status in SessionStatus::ALL {
            for wish in OnParentEnd::ALL {
                // Domain 1.10, by hand.
                let expected = match (wish.as_str(), status.as_str()) {
                    ("cascade", "pending" | "queued") => "cancelled",
                    ("cascade", "running" | "paused" | "degraded") => "stopped",
                    ("orphan", "pending" | "queued" | "running" | "paused" | "degraded") => {
                        "orphaned"
                    }
                    (_, same) => same,
                };
                let mut child = session(*status, *wish);
                let cause = Cause::by("supervisor", at(9)).because("its parent IND-000001 failed");
                let events = child.follow_its_parent(cause).expect("legal");
                assert_eq!(child.status().as_str(), expected, "{status} with {wish}");
                let moved = expected != status.as_str();
                assert_eq!(events.len(), if moved { 2 } else { 0 }, "{status} with {wish}");
                if moved {
                    assert_eq!(events[0].event_type, EventType::SessionStatusChanged);
                    assert_eq!(events[0].payload["actor"], "supervisor");
                    assert_eq!(child.status_reason(), Some("its parent IND-000001 failed"));
                    assert_eq!(child.broke_off_at(), Some(at(9)), "its own children follow");
                }
                assert!(child.follow_its_parent(cause).expect("legal").is_empty(), "only once");
            }
        }
    }

    #[test]
    fn an_end_concerns_the_children_when_it_is_abnormal() {
        for status in SessionStatus::ALL {
            let mut parent = session(*status, OnParentEnd::Cascade);
            let abnormal = ["failed", "timeout", "stopped", "cancelled", "orphaned"];
            let expected = abnormal.contains(&status.as_str()).then(|| at(5));
            assert_eq!(parent.broke_off_at(), expected, "{status}");
            // What ended well stays well ended; what was open ends with its deletion.
            parent.stamps.deleted_at = Some(at(8));
            let deleted = if status.is_open() { Some(at(8)) } else { expected };
            assert_eq!(parent.broke_off_at(), deleted, "{status}, deleted");
        }
        let mut parent = session(SessionStatus::Pending, OnParentEnd::Cascade);
        parent.stamps.deleted_at = Some(at(8));
        assert_eq!(parent.farewell(), "its parent IND-000007 was deleted");
        let stopped = session(SessionStatus::Stopped, OnParentEnd::Cascade);
        assert_eq!(stopped.farewell(), "its parent IND-000007 was stopped");
    }
}
