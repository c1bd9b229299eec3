//! Asks of a run: from the stream or found by looking, told once, answered by the policy where it
//! decides.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::control::OpenAsk;
use super::permission::{permission_ask, question_ask};
use super::run::{Run, Stop};
use super::wire::{PermissionAsk, QuestionAsk};
use crate::application::ports::driver::{AgentEvent, Ask};
use crate::domain::session::spec::PermissionDecision;
use crate::infrastructure::drivers::permission::decide;

/// Words for a call that the policy denies.
const DENIED: &str = "The permission policy of this session denies this. Go on without it.";

impl Run {
    /// Events about asks.
    pub(super) async fn hear_of_asks(&mut self, kind: &str, properties: Value) -> Result<(), Stop> {
        match kind {
            "permission.asked" => match serde_json::from_value(properties) {
                Ok(ask) => self.permission_asked(ask).await,
                Err(_) => Ok(()),
            },
            "question.asked" => match serde_json::from_value(properties) {
                Ok(ask) => self.question_asked(ask).await,
                Err(_) => Ok(()),
            },
            "permission.replied" | "question.replied" | "question.rejected" => {
                match properties.get("requestID").and_then(Value::as_str) {
                    Some(id) => self.ask_gone(id.to_owned()).await,
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Finds asks that no event told, and notices those that are gone. The server keeps asks of
    /// aborted runs for ever: only those of working conversations count.
    pub(super) async fn look_for_asks(&mut self) -> Result<(), Stop> {
        let (client, place) = (self.server.client.clone(), self.shared.place.clone());
        let looked = async {
            let statuses = client.statuses(&place).await?;
            let permissions = client.permissions(&place).await?;
            let questions = client.questions(&place).await?;
            Ok::<_, super::client::CallError>((statuses, permissions, questions))
        };
        let before = self.shared.open_asks();
        // Looked for again in a few seconds.
        let Ok((statuses, permissions, questions)) = looked.await else { return Ok(()) };
        let mut there = HashSet::new();
        for ask in permissions.into_iter().filter(|ask| statuses.contains_key(&ask.session)) {
            there.insert(ask.id.clone());
            self.permission_asked(ask).await?;
        }
        for ask in questions.into_iter().filter(|ask| statuses.contains_key(&ask.session)) {
            there.insert(ask.id.clone());
            self.question_asked(ask).await?;
        }
        for gone in before.into_iter().filter(|id| !there.contains(id)) {
            self.ask_gone(gone).await?;
        }
        self.tell(AgentEvent::AsksOpen { agent_refs: self.shared.open_asks() }).await
    }

    /// An ask is not open any more.
    pub(super) async fn ask_gone(&mut self, id: String) -> Result<(), Stop> {
        if self.shared.closed(&id) {
            let now = self.shared.host.clock.now();
            self.watch.heard(now);
            return self.tell(AgentEvent::AskGone { agent_ref: id }).await;
        }
        Ok(())
    }

    async fn permission_asked(&mut self, ask: PermissionAsk) -> Result<(), Stop> {
        let told = permission_ask(&ask);
        if !self.tree.contains(&ask.session) || !self.is_new(&told) {
            return Ok(());
        }
        let decision = if self.shared.is_allowed(&ask.permission, &ask.patterns) {
            PermissionDecision::Allow
        } else {
            decide(&self.policy, &ask.permission, &ask.patterns)
        };
        match decision {
            PermissionDecision::Allow => self.decide_alone(ask.id, "once", None),
            PermissionDecision::Deny => self.decide_alone(ask.id, "reject", Some(DENIED)),
            PermissionDecision::Ask => {
                let PermissionAsk { id: _, session: _, permission, patterns, metadata: _ } = ask;
                return self.ask(told, OpenAsk::Permission { permission, patterns }).await;
            }
        }
        Ok(())
    }

    async fn question_asked(&mut self, ask: QuestionAsk) -> Result<(), Stop> {
        let told = question_ask(&ask);
        if !self.tree.contains(&ask.session) || !self.is_new(&told) {
            return Ok(());
        }
        self.ask(told, OpenAsk::Question(ask.questions)).await
    }

    /// Whether it was not told before, or asked for something else then.
    fn is_new(&mut self, ask: &Ask) -> bool {
        let known = self.seen.insert(ask.agent_ref.clone(), ask.fingerprint.clone());
        known.as_ref() != Some(&ask.fingerprint)
    }

    async fn ask(&mut self, told: Ask, open: OpenAsk) -> Result<(), Stop> {
        self.shared.opened(&told.agent_ref, &told.fingerprint, open);
        self.tell(AgentEvent::Ask(told)).await
    }

    /// Answers without a person.
    fn decide_alone(&mut self, id: String, reply: &'static str, words: Option<&'static str>) {
        let (server, shared) = (Arc::clone(&self.server), Arc::clone(&self.shared));
        self.chores.push(Box::pin(async move {
            let answered = server.client.decide(&shared.place, &id, reply, words).await;
            let taken = answered.is_ok_and(|_| true);
            (id, taken)
        }));
    }
}
