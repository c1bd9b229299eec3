//! How the turn of a prompt ends: by the agent's own reason, by a cancel, or with its process.

use serde_json::{Value, json};
use uuid::Uuid;

use super::failure;
use super::run::{Run, Stop};
use super::wire::{self, Fault};
use crate::application::ports::driver::{AgentEvent, DriverError, TranscriptItem, TurnEnd};
use crate::domain::session::attempt::ErrorType;
use crate::domain::time::Timestamp;

/// Times that an agent which stopped at a denied call is told to go on without it, for one prompt.
const MAX_DENIALS: u32 = 10;

/// A prompt that is worked on.
pub(super) struct Turn {
    pub(super) prompt: Uuid,
    /// The request that it was sent with.
    pub(super) call: u64,
    /// Requests that were sent for it.
    pub(super) sent: u32,
    pub(super) cancelled_at: Option<Timestamp>,
    pub(super) is_terminated: bool,
    /// A call was denied, and nothing was heard of the agent since.
    pub(super) denial: Option<String>,
}

impl Run {
    /// The prompt was answered: the agent stopped, or failed.
    pub(super) async fn answered(&mut self, result: Result<Value, Fault>) -> Result<(), Stop> {
        let Some(turn) = &self.turn else { return Ok(()) };
        let is_cancelled = turn.cancelled_at.is_some();
        let answer = result.as_ref().ok().cloned().unwrap_or_default();
        let (prompt, counted) = (turn.prompt, self.spent.counted_micros());
        if let Some(usage) = self.spent.of_answer(&answer) {
            let key = format!("{prompt}-{}-{}", self.prefix, turn.sent);
            let model = self.model.clone();
            self.tell(AgentEvent::Usage { key, usage, model }).await?;
        }
        if self.spent.counted_micros() != counted {
            // Whoever takes the conversation up hears the cost of all of it, and must not count this again.
            self.shake_hands(prompt).await?;
        }
        if is_cancelled {
            return self.turn_ended(TurnEnd::Aborted).await;
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(fault) => {
                self.rest().await?;
                return Err(failure::of_prompt(&fault).into());
            }
        };
        let failed = |message: String| Err(DriverError::new(ErrorType::AgentError, message).into());
        let reason = answer.get("stopReason").and_then(Value::as_str).unwrap_or_default();
        match reason {
            "end_turn" | "cancelled" => match self.take_denial() {
                Some(denial) => self.go_on_without(denial).await,
                None if reason == "end_turn" => self.turn_ended(TurnEnd::Done).await,
                None => failed("the agent cancelled the turn by itself".to_owned()),
            },
            "max_tokens" => self.turn_ended(TurnEnd::Cut).await,
            "refusal" => {
                self.rest().await?;
                let said = self.teller.last_words().chars().take(200).collect::<String>();
                let message = format!("the agent refused to go on with this prompt: {said}");
                Err(Stop(Some(DriverError {
                    retryable: false,
                    ..DriverError::new(ErrorType::AgentError, message)
                })))
            }
            "max_turn_requests" => failed(
                "the agent made as many calls of its model for one prompt as it allows itself"
                    .to_owned(),
            ),
            other => {
                let other: String = other.chars().take(60).collect();
                let message =
                    format!("the agent stopped for a reason that is not known: “{other}”");
                Err(DriverError::new(ErrorType::AgentProtocolError, message).into())
            }
        }
    }

    /// Some agents stop where a call is denied: they are told why, and that the rest is still wanted.
    async fn go_on_without(&mut self, denial: String) -> Result<(), Stop> {
        let Some(sent) = self.turn.as_ref().map(|turn| turn.sent) else { return Ok(()) };
        if sent > MAX_DENIALS {
            return self.turn_ended(TurnEnd::Rejected).await;
        }
        self.rest().await?;
        let text = format!("{denial}\nGo on without it.");
        let id = format!("{}-denial-{sent}", self.prefix);
        let item = TranscriptItem { id, kind: "notice", body: json!({ "text": text }) };
        self.tell(AgentEvent::Transcript(item)).await?;
        let call = self.send(&[text])?;
        if let Some(turn) = &mut self.turn {
            (turn.call, turn.sent) = (call, sent + 1);
        }
        Ok(())
    }

    async fn turn_ended(&mut self, end: TurnEnd) -> Result<(), Stop> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        self.rest().await?;
        if self.lost.is_none() {
            self.no_more_asks().await?;
        }
        let (message_ref, text) = (self.teller.newest(), self.teller.last_words());
        self.tell(AgentEvent::TurnEnded { prompt: turn.prompt, message_ref, text, end }).await
    }

    /// The process of the agent cannot be spoken to any more.
    pub(super) async fn lost(&mut self, error: DriverError) -> Result<(), Stop> {
        self.rest().await?;
        if self.turn.as_ref().is_none_or(|turn| turn.cancelled_at.is_none()) {
            return Err(error.into());
        }
        // It was to stop, and it did. What is told next, another process hears.
        self.lost = Some(error);
        self.turn_ended(TurnEnd::Aborted).await
    }

    pub(super) async fn abort(&mut self) -> Result<(), Stop> {
        let now = self.shared.clock.now();
        match &mut self.turn {
            Some(turn) if turn.cancelled_at.is_none() => turn.cancelled_at = Some(now),
            Some(_) | None => return Ok(()),
        }
        self.no_more_asks().await?;
        Ok(self.link.send(self.cancel())?)
    }

    pub(super) fn cancel(&self) -> String {
        wire::notice("session/cancel", &json!({ "sessionId": self.session }))
    }

    /// Whether a prompt is worked on.
    pub(super) const fn is_on(&self) -> bool {
        self.turn.is_some()
    }

    /// Whether a prompt is worked on that nobody cancelled.
    pub(super) fn is_working(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.cancelled_at.is_none())
    }

    /// A call was denied.
    pub(super) fn note_denial(&mut self, words: String) {
        if let Some(turn) = &mut self.turn {
            turn.denial = Some(words);
        }
    }

    /// The agent goes on after a denied call, or there was none.
    pub(super) fn take_denial(&mut self) -> Option<String> {
        self.turn.as_mut().and_then(|turn| turn.denial.take())
    }
}
