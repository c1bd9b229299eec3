//! What each step of a script tells.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::files::write_below;
use super::run::{Run, Stop};
use super::script::{Failure, Permission, Step, Tokens, ToolCall};
use crate::application::ports::driver::{AgentEvent, Answer, Ask, DriverError};
use crate::domain::attention::{AttentionKind, Risk};
use crate::domain::canonical::canonical_hash;
use crate::domain::money::Usd;
use crate::domain::session::spec::PermissionDecision;
use crate::domain::usage::Usage;

/// Pieces that words are told in.
const PIECES: usize = 4;
/// Longest wait that a script can ask for.
const LONGEST: u64 = 24 * 3600 * 1000;

impl Run {
    /// Does one step of a turn.
    pub(super) async fn step(&mut self, prompt: Uuid, at: usize, step: Step) -> Result<(), Stop> {
        let id = format!("{prompt}-{at}");
        match step {
            Step::Say(text) => {
                self.words(&id, "text", &text).await?;
                self.with_turn(prompt, |turn| turn.said.clone_from(&text));
                self.message(prompt).await
            }
            Step::Think(text) => self.words(&id, "reasoning", &text).await,
            Step::Tool(call) => {
                self.tool(&id, &call).await?;
                self.message(prompt).await
            }
            Step::WaitMs(millis) => self.pause(duration(millis)).await,
            Step::Phase(phase) => self.send(AgentEvent::Phase(phase)).await,
            Step::Ask(permission) => self.permission(&id, &permission).await,
            Step::Question(text) => self.question(&id, &text).await,
            Step::Todo(items) => {
                // One list per conversation: the newest replaces it.
                let id = format!("todo-{}", self.conversation);
                self.transcript(id, "todo", json!({ "items": items })).await
            }
            Step::Usage(tokens) => self.usage(id, tokens).await,
            Step::ProviderRetryMs(millis) => self.provider_retry(millis).await,
            Step::StreamLostMs(millis) => {
                self.send(AgentEvent::StreamLost).await?;
                self.pause(duration(millis)).await?;
                self.send(AgentEvent::StreamBack).await
            }
            Step::Fail(failure) => Err(Stop::Failed(error(failure))),
            Step::Hang(true) => self.until(|_| None).await,
            Step::Gate(name) => self.gate(&name).await,
            // Ends are taken by the turn itself.
            Step::Hang(false) | Step::End(_) => Ok(()),
        }
    }

    async fn words(&mut self, id: &str, kind: &'static str, text: &str) -> Result<(), Stop> {
        let letters: Vec<char> = text.chars().collect();
        let size = letters.len().div_ceil(PIECES).max(1);
        let pieces = u32::try_from(PIECES).unwrap_or(1);
        for piece in letters.chunks(size) {
            self.pause(self.latency / pieces).await?;
            let text = piece.iter().collect();
            self.send(AgentEvent::Delta { part: id.to_owned(), text }).await?;
        }
        self.transcript(id.to_owned(), kind, json!({ "text": text })).await
    }

    async fn tool(&mut self, id: &str, call: &ToolCall) -> Result<(), Stop> {
        let subject: Vec<String> = call.write.iter().map(|file| file.path.clone()).collect();
        if self.policy.decide(&call.tool, &subject) == PermissionDecision::Deny {
            return self
                .call(id, call, "denied", Some("the policy of the session forbids it"))
                .await;
        }
        self.call(id, call, "running", None).await?;
        self.pause(self.latency).await?;
        let Some(file) = call.write.clone() else {
            return self.call(id, call, "completed", None).await;
        };
        let top = self.workdir.clone();
        let write = move || write_below(&top, &file.path, file.content.as_bytes());
        let written = tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other);
        match written.flatten() {
            Ok(_) => self.call(id, call, "completed", None).await,
            Err(error) => self.call(id, call, "error", Some(&error.to_string())).await,
        }
    }

    async fn call(
        &self,
        id: &str,
        call: &ToolCall,
        status: &str,
        error: Option<&str>,
    ) -> Result<(), Stop> {
        let title = if call.title.is_empty() { &call.tool } else { &call.title };
        let output = if status == "completed" { call.output.as_str() } else { "" };
        let body = json!({
            "tool": call.tool, "status": status, "title": title,
            "input": call.input, "output": output, "error": error,
        });
        self.transcript(id.to_owned(), "tool", body).await
    }

    async fn permission(&mut self, id: &str, permission: &Permission) -> Result<(), Stop> {
        let Permission { tool, patterns, title } = permission;
        let call = ToolCall {
            tool: tool.clone(),
            title: title.clone(),
            input: json!({ "patterns": patterns }),
            output: String::new(),
            write: None,
        };
        let exactly = (tool.clone(), patterns.clone());
        let is_allowed =
            self.conversations.with(self.conversation, |all| all.allowed.contains(&exactly));
        let answer = match self.policy.decide(tool, patterns) {
            PermissionDecision::Allow => Answer::AllowOnce,
            PermissionDecision::Deny => Answer::Deny("the policy of the session forbids it".into()),
            PermissionDecision::Ask if is_allowed => Answer::AllowOnce,
            PermissionDecision::Ask => {
                let payload = json!({ "tool": tool, "patterns": patterns, "simulated": true });
                let title = if title.is_empty() { tool } else { title };
                self.ask(id, AttentionKind::Permission, title, payload, permission).await?
            }
        };
        match answer {
            Answer::AllowOnce => self.call(id, &call, "completed", None).await,
            Answer::AllowAlways => {
                self.conversations.with(self.conversation, |all| all.allowed.insert(exactly));
                self.call(id, &call, "completed", None).await
            }
            Answer::Deny(why) | Answer::Text(why) => {
                self.call(id, &call, "denied", Some(&why)).await
            }
        }
    }

    async fn question(&mut self, id: &str, text: &str) -> Result<(), Stop> {
        let payload = json!({ "question": text, "simulated": true });
        let about =
            Permission { tool: String::new(), patterns: Vec::new(), title: text.to_owned() };
        let answer = self.ask(id, AttentionKind::Question, text, payload, &about).await?;
        let answer = match answer {
            Answer::Text(answer) => answer,
            Answer::Deny(why) => format!("no answer: {why}"),
            Answer::AllowOnce | Answer::AllowAlways => "yes".to_owned(),
        };
        let body = json!({ "text": format!("{text}\n\nAnswer: {answer}") });
        self.transcript(id.to_owned(), "text", body).await
    }

    async fn ask(
        &mut self,
        id: &str,
        kind: AttentionKind,
        title: &str,
        payload: Value,
        about: &Permission,
    ) -> Result<Answer, Stop> {
        let agent_ref = format!("ask-{id}");
        let fingerprint = canonical_hash(&json!([kind, title, payload]));
        let ask = Ask {
            agent_ref: agent_ref.clone(),
            kind,
            tool: about.tool.clone(),
            patterns: about.patterns.clone(),
            title: title.chars().take(200).collect(),
            fingerprint: fingerprint.clone(),
            payload,
            risk: Risk::Medium,
        };
        self.send(AgentEvent::Ask(ask)).await?;
        let asked = (agent_ref.clone(), fingerprint);
        let answer = self.until(|run| run.answers.remove(&asked)).await;
        if !matches!(answer, Err(Stop::Closed)) {
            self.send(AgentEvent::AskGone { agent_ref }).await?;
        }
        answer
    }

    async fn usage(&mut self, key: String, tokens: Tokens) -> Result<(), Stop> {
        self.pause(self.latency).await?;
        let usage = Usage {
            tokens_input: tokens.input,
            tokens_output: tokens.output,
            tokens_cache_read: tokens.cache_read,
            tokens_cache_write: tokens.cache_write,
            tokens_reasoning: tokens.reasoning,
            cost_usd: tokens.cost_usd.and_then(Usd::from_dollars),
            simulated: true,
            reported: true,
        };
        let model = self.model.clone().or_else(|| Some("simulated/script".to_owned()));
        self.send(AgentEvent::Usage { key, usage, model }).await
    }

    async fn provider_retry(&mut self, millis: u64) -> Result<(), Stop> {
        let wait = duration(millis);
        let next_at = Some(self.clock.now().after(wait));
        let message = "the simulated provider is overloaded".to_owned();
        self.send(AgentEvent::ProviderRetry { message, next_at }).await?;
        self.pause(wait).await?;
        self.send(AgentEvent::ProviderBack).await
    }

    async fn gate(&mut self, name: &str) -> Result<(), Stop> {
        let opened = self.gates.clone();
        let opened = opened.opened(name);
        tokio::pin!(opened);
        loop {
            if self.aborted {
                return Err(Stop::Aborted);
            }
            tokio::select! {
                biased;
                ordered = self.next_order() => ordered?,
                () = &mut opened => return Ok(()),
            }
        }
    }
}

fn duration(millis: u64) -> Duration {
    Duration::from_millis(millis.min(LONGEST))
}

fn error(failure: Failure) -> DriverError {
    let Failure { error_type, message, retryable, overloaded_seconds } = failure;
    let message = if message.is_empty() { "the script fails here".to_owned() } else { message };
    let mut error = DriverError::new(error_type, message);
    error.retryable = retryable.unwrap_or(error.retryable);
    match overloaded_seconds {
        Some(seconds) => error.because_overloaded(Some(Duration::from_secs(seconds))),
        None => error,
    }
}
