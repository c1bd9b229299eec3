//! Words for decisions.

use clap::ValueEnum;

/// Words for decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DecisionWord {
    /// This one time.
    Allow,
    /// This and its like, within the session.
    Always,
    /// No.
    Deny,
    /// The answer to a question.
    Answer,
    /// Seen.
    Acknowledge,
}

impl DecisionWord {
    /// As the API spells it.
    #[must_use]
    pub const fn as_api(self) -> &'static str {
        match self {
            Self::Allow => "allow_once",
            Self::Always => "allow_always",
            Self::Deny => "deny",
            Self::Answer => "answer",
            Self::Acknowledge => "acknowledge",
        }
    }
}
