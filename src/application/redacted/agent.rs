//! What an agent tells of a run.
//!
//! Invariant: names by which an agent knows its own things (conversations, calls, asks) are left alone:
//! they are never words for people, and it could not be answered without them.

use std::collections::BTreeMap;

use crate::application::ports::driver::{AgentEvent, Ask, DriverError, TranscriptItem};
use crate::domain::redact::{Redactor, StreamRedactor};

/// Pieces of a transcript that grow at once; the others are left out of the live words of a turn. The
/// transcript itself has them.
const MOST_GROWING: usize = 16;

/// The words of one run on their way in.
pub struct Words {
    redactor: Redactor,
    growing: BTreeMap<String, StreamRedactor>,
    /// There were too many: what begins to grow now may have begun before.
    crowded: bool,
}

impl Words {
    /// Of a run that begins.
    #[must_use]
    pub const fn new(redactor: Redactor) -> Self {
        Self { redactor, growing: BTreeMap::new(), crowded: false }
    }

    /// What was told, without secrets.
    pub fn clean(&mut self, event: AgentEvent) -> AgentEvent {
        match event {
            AgentEvent::Delta { part, text } => {
                let text = self.grown(&part, &text);
                AgentEvent::Delta { part, text }
            }
            AgentEvent::Transcript(item) => {
                self.growing.remove(&item.id);
                let TranscriptItem { id, kind, mut body } = item;
                self.redactor.clean_json(&mut body);
                AgentEvent::Transcript(TranscriptItem { id, kind, body })
            }
            AgentEvent::Log { level, mut message } => {
                self.redactor.clean(&mut message);
                AgentEvent::Log { level, message }
            }
            AgentEvent::Ask(ask) => AgentEvent::Ask(self.asked(ask)),
            AgentEvent::ProviderRetry { mut message, next_at } => {
                self.redactor.clean(&mut message);
                AgentEvent::ProviderRetry { message, next_at }
            }
            AgentEvent::TurnEnded { prompt, message_ref, mut text, end } => {
                self.growing.clear();
                self.crowded = false;
                self.redactor.clean(&mut text);
                AgentEvent::TurnEnded { prompt, message_ref, text, end }
            }
            AgentEvent::Outcome(mut told) => {
                self.redactor.clean_json(&mut told.output);
                if let Some((message, _)) = &mut told.failure {
                    self.redactor.clean(message);
                }
                AgentEvent::Outcome(told)
            }
            AgentEvent::Declined(mut reason) => {
                self.redactor.clean(&mut reason);
                AgentEvent::Declined(reason)
            }
            AgentEvent::Usage { key, usage, mut model } => {
                if let Some(model) = &mut model {
                    self.redactor.clean(model);
                }
                AgentEvent::Usage { key, usage, model }
            }
            AgentEvent::Failed(error) => AgentEvent::Failed(self.failed(error)),
            told @ (AgentEvent::Handshake { .. }
            | AgentEvent::Keep { .. }
            | AgentEvent::Phase(_)
            | AgentEvent::Quiet(_)
            | AgentEvent::Expired
            | AgentEvent::AskGone { .. }
            | AgentEvent::AsksOpen { .. }
            | AgentEvent::Step { .. }
            | AgentEvent::ProviderBack
            | AgentEvent::Moving { .. }
            | AgentEvent::StreamLost
            | AgentEvent::StreamBack) => told,
        }
    }

    /// Why a run cannot go on, without secrets.
    #[must_use]
    pub fn failed(&self, mut error: DriverError) -> DriverError {
        self.redactor.clean(&mut error.message);
        error
    }

    fn grown(&mut self, part: &str, text: &str) -> String {
        if !self.growing.contains_key(part) {
            self.crowded |= self.growing.len() >= MOST_GROWING;
            if self.crowded {
                return String::new();
            }
            self.growing.insert(part.to_owned(), StreamRedactor::new(self.redactor.clone()));
        }
        self.growing.get_mut(part).map(|stream| stream.push(text)).unwrap_or_default()
    }

    fn asked(&self, ask: Ask) -> Ask {
        let Ask {
            agent_ref,
            kind,
            mut tool,
            mut patterns,
            mut title,
            mut payload,
            fingerprint,
            risk,
        } = ask;
        for text in patterns.iter_mut().chain([&mut tool, &mut title]) {
            self.redactor.clean(text);
        }
        self.redactor.clean_json(&mut payload);
        Ask { agent_ref, kind, tool, patterns, title, payload, fingerprint, risk }
    }
}
