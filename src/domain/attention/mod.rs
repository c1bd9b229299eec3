//! Attention: what an agent or a rule wants a person to decide.
//!
//! Invariant: every open item has a deadline and a default; nothing waits for ever.

mod news;

use serde_json::Value;

pub use self::news::News;

use super::ids::{AttentionId, SessionId, TenantId};
use super::session::policy::{PermissionRule, can_be_learned};
use super::time::Timestamp;
use crate::closed_enum;

closed_enum!(
    /// What an item is about, most urgent first.
    AttentionKind {
        Permission = "permission",
        Question = "question",
        Review = "review",
        Budget = "budget",
    }
);

closed_enum!(
    /// The most urgent open item of a session, as shown on the session.
    Attention {
        None = "none",
        PermissionRequired = "permission_required",
        Question = "question",
        ReviewRequired = "review_required",
        BudgetSoftLimit = "budget_soft_limit",
    }
);

closed_enum!(
    /// Life of an item.
    AttentionState {
        Open = "open",
        Resolved = "resolved",
        Expired = "expired",
    }
);

closed_enum!(
    /// What was decided.
    Decision {
        AllowOnce = "allow_once",
        AllowAlways = "allow_always",
        Deny = "deny",
        Answer = "answer",
        Acknowledge = "acknowledge",
    }
);

closed_enum!(
    /// How much could go wrong.
    Risk {
        Low = "low",
        Medium = "medium",
        High = "high",
    }
);

/// The answer that an unanswered question gets at its deadline.
pub const DEFAULT_ANSWER: &str = "no answer; use your best judgement";

impl AttentionKind {
    /// Whether the agent stands still until it is resolved.
    #[must_use]
    pub const fn blocks(self) -> bool {
        matches!(self, Self::Permission | Self::Question)
    }

    /// The decisions that make sense for this kind.
    #[must_use]
    pub const fn decisions(self) -> &'static [Decision] {
        match self {
            Self::Permission => &[Decision::AllowOnce, Decision::AllowAlways, Decision::Deny],
            Self::Question => &[Decision::Answer],
            Self::Review | Self::Budget => &[Decision::Acknowledge],
        }
    }

    /// The decision taken when nobody decides in time, with its text.
    #[must_use]
    pub fn default_decision(self) -> (Decision, Option<String>) {
        match self {
            Self::Permission => (Decision::Deny, None),
            Self::Question => (Decision::Answer, Some(DEFAULT_ANSWER.to_owned())),
            Self::Review | Self::Budget => (Decision::Acknowledge, None),
        }
    }

    /// What the session shows while an item of this kind is its most urgent one.
    #[must_use]
    pub const fn attention(self) -> Attention {
        match self {
            Self::Permission => Attention::PermissionRequired,
            Self::Question => Attention::Question,
            Self::Review => Attention::ReviewRequired,
            Self::Budget => Attention::BudgetSoftLimit,
        }
    }
}

/// Something that waits for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionItem {
    /// Its identity.
    pub id: AttentionId,
    /// Whose session.
    pub tenant_id: TenantId,
    /// Which session.
    pub session_id: SessionId,
    /// Raised during this attempt.
    pub attempt: u32,
    /// What it is about.
    pub kind: AttentionKind,
    /// One line for people, at most 200 characters.
    pub title: String,
    /// The facts, as the agent gave them.
    pub payload: Value,
    /// SHA-256 of exactly what is asked: an item seen twice exists once, and a decision about anything
    /// else does not settle it.
    pub fingerprint: String,
    /// How much could go wrong.
    pub risk: Risk,
    /// Open, resolved or expired.
    pub state: AttentionState,
    /// What was decided.
    pub decision: Option<Decision>,
    /// The text of an answer.
    pub answer: Option<String>,
    /// Who decided; `deadline` when the default was taken.
    pub resolved_by: Option<String>,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When the default is taken.
    pub deadline: Timestamp,
    /// When it was decided.
    pub resolved_at: Option<Timestamp>,
    /// What the driver needs to answer the agent; never sent to clients.
    pub agent_ref: String,
}

/// A decision that does not fit the item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Somebody, or the deadline, was first.
    #[error("this item is already {0}")]
    Settled(AttentionState),
    /// The kind has other decisions.
    #[error("this {kind} item takes {allowed}, not {given}", allowed = words(allowed))]
    WrongDecision {
        /// The item's kind.
        kind: AttentionKind,
        /// What it takes.
        allowed: Vec<Decision>,
        /// What was given.
        given: Decision,
    },
    /// A question needs a text.
    #[error("an answer needs a text")]
    MissingAnswer,
    /// The decision is about another ask.
    #[error("the decision is about something else than what is asked here")]
    Other {
        /// What is asked here.
        asked: String,
    },
}

fn words(decisions: &[Decision]) -> String {
    decisions.iter().map(|decision| decision.as_str()).collect::<Vec<_>>().join(" or ")
}

impl AttentionItem {
    /// Tool that it is about; empty for what is no permission.
    #[must_use]
    pub fn tool(&self) -> &str {
        self.payload.get("tool").and_then(Value::as_str).unwrap_or_default()
    }

    /// What the call would touch.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        let patterns = self.payload.get("patterns").and_then(Value::as_array).into_iter().flatten();
        patterns.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The decisions that it takes: those of its kind, without allowing for good what could be told
    /// from nothing else.
    #[must_use]
    pub fn decisions(&self) -> Vec<Decision> {
        let can_be_learned = can_be_learned(self.tool(), &self.patterns());
        let fits = |decision: &Decision| *decision != Decision::AllowAlways || can_be_learned;
        self.kind.decisions().iter().copied().filter(fits).collect()
    }

    /// The rule by which what was allowed for good needs no asking any more.
    #[must_use]
    pub fn rule(&self) -> Option<PermissionRule> {
        let is_learned = self.decision == Some(Decision::AllowAlways);
        is_learned.then(|| PermissionRule::allows_exactly(self.tool(), &self.patterns()))
    }

    /// That a decision is about what is asked here.
    ///
    /// # Errors
    /// `Other` when it is not.
    pub fn asks_for(&self, fingerprint: &str) -> Result<(), ResolveError> {
        if fingerprint.eq_ignore_ascii_case(&self.fingerprint) {
            return Ok(());
        }
        Err(ResolveError::Other { asked: self.fingerprint.clone() })
    }

    /// Settles the item by a person's decision.
    ///
    /// # Errors
    /// When it is settled already or the decision does not fit its kind.
    pub fn resolve(
        &mut self,
        decision: Decision,
        answer: Option<String>,
        by: &str,
        now: Timestamp,
    ) -> Result<(), ResolveError> {
        if self.state != AttentionState::Open {
            return Err(ResolveError::Settled(self.state));
        }
        let allowed = self.decisions();
        if !allowed.contains(&decision) {
            return Err(ResolveError::WrongDecision { kind: self.kind, allowed, given: decision });
        }
        if decision == Decision::Answer && answer.as_ref().is_none_or(|text| text.trim().is_empty())
        {
            return Err(ResolveError::MissingAnswer);
        }
        self.settle(AttentionState::Resolved, decision, answer, by, now);
        Ok(())
    }

    /// Takes the default, at the deadline or because the session ended. Nothing happens twice.
    pub fn expire(&mut self, by: &str, now: Timestamp) {
        if self.state == AttentionState::Open {
            let (decision, answer) = self.kind.default_decision();
            self.settle(AttentionState::Expired, decision, answer, by, now);
        }
    }

    fn settle(
        &mut self,
        state: AttentionState,
        decision: Decision,
        answer: Option<String>,
        by: &str,
        now: Timestamp,
    ) {
        self.state = state;
        self.decision = Some(decision);
        self.answer = answer;
        self.resolved_by = Some(by.to_owned());
        self.resolved_at = Some(now);
    }
}

/// What a session shows, given the kinds of its open items.
#[must_use]
pub fn most_urgent(kinds: impl IntoIterator<Item = AttentionKind>) -> Attention {
    kinds.into_iter().min().map_or(Attention::None, AttentionKind::attention)
}
