//! What a run does with what its agent tells of its work.

use serde_json::Value;

use super::run::{Run, Stop};
use super::teller::{Grown, News};
use crate::application::ports::driver::{AgentEvent, DriverError};
use crate::domain::session::attempt::ErrorType;

impl Run {
    /// Deals with one update; what is unknown, of another conversation, or of no turn is ignored.
    pub(super) async fn update(&mut self, params: &Value) -> Result<(), Stop> {
        let session = params.get("sessionId").and_then(Value::as_str);
        let Some(update) = params.get("update").filter(|_| session == Some(self.session.as_str()))
        else {
            return Ok(());
        };
        let kind = update.get("sessionUpdate").and_then(Value::as_str).unwrap_or_default();
        if kind == "usage_update" {
            self.spent.hear(update);
            return Ok(());
        }
        if !self.is_on() {
            return Ok(());
        }
        match kind {
            "agent_message_chunk" => self.words("text", update).await,
            "agent_thought_chunk" => self.words("reasoning", update).await,
            "tool_call" | "tool_call_update" => self.call(update).await,
            "plan" => match update.get("entries").and_then(|list| self.teller.plan(list)) {
                Some(event) => self.tell(event).await,
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    async fn words(&mut self, kind: &'static str, update: &Value) -> Result<(), Stop> {
        let text = update.get("content").and_then(|content| content.get("text"));
        let Some(text) = text.and_then(Value::as_str) else { return Ok(()) };
        let message = update.get("messageId").and_then(Value::as_str);
        let (complete, more) = self.teller.words(kind, message, text);
        if let Some(event) = complete {
            self.tell(event).await?;
        }
        if !text.trim().is_empty() {
            self.take_denial();
        }
        if let Some(Grown { part, text }) = more
            && !self.grow(part, text)
        {
            self.teller.has_gap();
        }
        Ok(())
    }

    /// A call of a tool, or news of one.
    pub(super) async fn call(&mut self, said: &Value) -> Result<(), Stop> {
        self.rest().await?;
        let Ok(News { told, is_new, is_over }) = self.teller.call(said) else {
            let message = "loop: more calls for one prompt than anybody can follow";
            return Err(DriverError::new(ErrorType::AgentError, message).into());
        };
        if is_new {
            self.take_denial();
        }
        if let Some(event) = told {
            self.tell(event).await?;
        }
        if is_over {
            let name = said.get("toolCallId").and_then(Value::as_str).unwrap_or_default();
            self.asked_in_vain(name).await?;
            if let Some(message_ref) = self.teller.newest() {
                self.tell(AgentEvent::Step { message_ref }).await?;
            }
        }
        Ok(())
    }
}
