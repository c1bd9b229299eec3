//! What a run does with what it hears, and how it catches up after it could not hear.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::limits::timestamp;
use super::run::{RECENT, Run, Stop};
use super::wire::{Event, Fault, Info, Message, Part, Session, Status};
use crate::application::ports::driver::AgentEvent;

/// Conversations of subagents that are followed.
const MAX_CHILDREN: usize = 200;

#[derive(Deserialize)]
struct Delta {
    #[serde(rename = "partID")]
    part: String,
    field: String,
    #[serde(rename = "delta")]
    text: String,
}

impl Run {
    /// Deals with one event; what is unknown or of others is ignored.
    pub(super) async fn hear(&mut self, event: Event) -> Result<(), Stop> {
        let Event { kind, mut properties } = event;
        let session = properties.get("sessionID").and_then(Value::as_str).unwrap_or_default();
        let session = session.to_owned();
        if kind == "session.created" {
            if let Some(child) = field::<Session>(&mut properties, "info") {
                self.adopt(&child);
            }
            return Ok(());
        }
        if !self.tree.contains(&session) {
            return Ok(());
        }
        self.watch.heard(self.shared.host.clock.now());
        let root = session == self.shared.session;
        match kind.as_str() {
            "message.part.delta" if root => self.delta(properties).await,
            "message.part.updated" if root => match field::<Part>(&mut properties, "part") {
                Some(part) => self.part(&part, false).await,
                None => Ok(()),
            },
            "message.updated" => match field::<Info>(&mut properties, "info") {
                Some(info) => self.message(&info, false).await,
                None => Ok(()),
            },
            "session.status" if root => match field::<Status>(&mut properties, "status") {
                Some(status) => self.status(&status).await,
                None => Ok(()),
            },
            "session.error" if root => {
                self.fault = field::<Fault>(&mut properties, "error");
                Ok(())
            }
            "todo.updated" if root => match self.teller.todo(&session, &properties["todos"]) {
                Some(event) => self.tell(event).await,
                None => Ok(()),
            },
            _ => self.hear_of_asks(&kind, properties).await,
        }
    }

    /// Reads again what was missed. `first` says that the run has just taken the conversation up:
    /// what lies before its prompt was told by somebody else.
    pub(super) async fn catch_up(&mut self, first: bool) {
        if self.try_catch_up(first).await.is_err() {
            // The next loss, tick or judgement tries again; nothing is lost by waiting.
            self.shared.host.suspect();
        }
    }

    async fn try_catch_up(&mut self, first: bool) -> Result<(), Stop> {
        let client = self.server.client.clone();
        let root = self.shared.session.clone();
        if let Ok((messages, _)) = client.messages(&root, RECENT, None).await {
            self.tell_messages(&messages, first).await?;
        }
        self.hear_children().await?;
        self.look_for_asks().await
    }

    /// What subagents used counts, whether their events came or not.
    pub(super) async fn hear_children(&mut self) -> Result<(), Stop> {
        let (client, root) = (self.server.client.clone(), self.shared.session.clone());
        self.find_children(&root).await;
        let children: Vec<String> = self.tree.iter().filter(|id| **id != root).cloned().collect();
        for child in children {
            let Ok((messages, _)) = client.messages(&child, RECENT, None).await else { continue };
            for message in &messages {
                self.message(&message.info, false).await?;
            }
        }
        Ok(())
    }

    /// Tells what is new in these messages.
    pub(super) async fn tell_messages(
        &mut self,
        messages: &[Message],
        first: bool,
    ) -> Result<(), Stop> {
        let mine = |message: &Message| {
            self.pending.iter().any(|pending| pending.ids.message == message.info.id)
        };
        let begin = messages.iter().position(mine).unwrap_or(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let silent = first && index < begin;
            self.teller.heard_of(&message.info);
            for part in &message.parts {
                self.part(part, silent).await?;
            }
            if silent {
                // Remembered, so that later events about it are no news.
                let _: Option<AgentEvent> = self.teller.usage(&message.info);
                let _: bool = self.teller.step(&message.info);
            } else {
                self.message(&message.info, first).await?;
            }
        }
        Ok(())
    }

    fn adopt(&mut self, session: &Session) {
        let ours = session.parent.as_ref().is_some_and(|parent| self.tree.contains(parent));
        if ours && self.tree.len() < MAX_CHILDREN {
            self.tree.insert(session.id.clone());
        }
    }

    async fn find_children(&mut self, root: &str) {
        let mut waiting = vec![root.to_owned()];
        while let Some(id) = waiting.pop() {
            let Ok(children) = self.server.client.children(&id).await else { return };
            for child in children {
                if self.tree.len() < MAX_CHILDREN && self.tree.insert(child.id.clone()) {
                    waiting.push(child.id);
                }
            }
        }
    }

    async fn delta(&mut self, properties: Value) -> Result<(), Stop> {
        if let Ok(Delta { part, field, text }) = serde_json::from_value(properties)
            && field == "text"
            && self.teller.is_growing(&part)
        {
            self.grow(part, text);
        }
        self.provider_is_back().await
    }

    async fn part(&mut self, part: &Part, silent: bool) -> Result<(), Stop> {
        self.watch.part(part);
        self.note_tool(part);
        match self.teller.part(part) {
            Some(event) if !silent => self.tell(event).await,
            _ => Ok(()),
        }
    }

    /// A message of the conversation or of a subagent. Steps that were complete when the run was
    /// taken up are no news.
    async fn message(&mut self, info: &Info, first: bool) -> Result<(), Stop> {
        self.teller.heard_of(info);
        if let Some(event) = self.teller.usage(info) {
            self.tell(event).await?;
        }
        if info.session != self.shared.session || !self.teller.step(info) || first {
            return Ok(());
        }
        self.provider_is_back().await?;
        self.tell(AgentEvent::Step { message_ref: info.id.clone() }).await?;
        self.watch.step(info).map_err(Stop::from)
    }

    async fn status(&mut self, status: &Status) -> Result<(), Stop> {
        if status.kind != "retry" {
            return Ok(());
        }
        self.watch.retry(status, self.shared.host.clock.now())?;
        self.retrying = true;
        let message = status.message.chars().take(500).collect();
        let next_at = status.next.map(timestamp);
        self.tell(AgentEvent::ProviderRetry { message, next_at }).await
    }

    async fn provider_is_back(&mut self) -> Result<(), Stop> {
        if std::mem::take(&mut self.retrying) {
            return self.tell(AgentEvent::ProviderBack).await;
        }
        Ok(())
    }
}

/// One field of an event's properties, when it can be read.
fn field<T: DeserializeOwned>(properties: &mut Value, name: &str) -> Option<T> {
    serde_json::from_value(properties.get_mut(name)?.take()).ok()
}
