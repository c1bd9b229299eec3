//! Questions that an agent asks people by a call, which waits for the answer.
//!
//! Invariant: the same question of one attempt is one item. Who called, lost the call and calls again gets
//! the answer that was given in between; who has got it asks anew.

use std::time::Duration;

use serde_json::{Value, json};

use super::{InsideService, Insider};
use crate::application::error::AppError;
use crate::application::ports::driver::Ask;
use crate::application::session::ask::CALLED;
use crate::domain::attention::{AttentionItem, AttentionKind, AttentionState, Decision, Risk};
use crate::domain::canonical::canonical_hash;

/// How often it is looked whether somebody answered.
const LOOK: Duration = Duration::from_millis(250);

/// A question to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question, 1 to 10,000 characters.
    pub text: String,
    /// Answers to choose from, at most 20; others may be given, too.
    pub choices: Vec<String>,
}

/// What became of a question within the time that the call waited.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// Somebody answered.
    Answer {
        /// Their words.
        text: String,
        /// Who.
        by: String,
    },
    /// Somebody refused to answer, or the deadline passed.
    Refused {
        /// Who, or `deadline`.
        by: String,
    },
    /// Nobody has answered yet; the same question waits on.
    Open(Box<AttentionItem>),
}

impl Question {
    fn ask(&self) -> Ask {
        let facts = json!({ "question": self.text, "choices": self.choices });
        let fingerprint = canonical_hash(&json!(["ask_human", facts]));
        let options: Vec<Value> =
            self.choices.iter().map(|choice| json!({ "label": choice })).collect();
        Ask {
            agent_ref: format!("{CALLED}{fingerprint}"),
            kind: AttentionKind::Question,
            tool: String::new(),
            patterns: Vec::new(),
            title: self.text.lines().next().unwrap_or_default().to_owned(),
            payload: json!({ "questions": [{ "question": self.text, "options": options }] }),
            fingerprint,
            risk: Risk::Low,
        }
    }
}

impl InsideService {
    /// Asks people, and waits so long for the answer.
    ///
    /// # Errors
    /// `StaleResult` when the lease ended.
    pub async fn ask(
        &self,
        who: &Insider,
        question: &Question,
        wait: Duration,
    ) -> Result<Answered, AppError> {
        let mut item =
            self.sessions.raise(who.holder(), &question.ask(), self.question_timeout).await?;
        let clock = &self.sessions.clock;
        let until = clock.now().after(wait);
        while item.state == AttentionState::Open {
            let left = until.since(clock.now());
            if left.is_zero() {
                return Ok(Answered::Open(Box::new(item)));
            }
            clock.sleep(left.min(LOOK)).await;
            let found = self.store.snapshot(who.tenant).await?.attention(item.id).await?;
            item = found.ok_or(AppError::AttentionNotFound)?.value;
        }
        self.attention.delivered(who.tenant, item.id).await?;
        let by = item.resolved_by.clone().unwrap_or_default();
        Ok(match (item.decision, item.answer) {
            (Some(Decision::Answer), Some(text)) => Answered::Answer { text, by },
            (_, Some(_) | None) => Answered::Refused { by },
        })
    }
}
