//! What an agent asks to be allowed: answered by the policy where it decides, else by a person.
//!
//! Invariant: an agent is allowed one call at a time. That a person allowed something for good is
//! remembered here; an agent's own `always` would hold for whatever it takes for the like.
//! Invariant: a request that comes after an answer is another one, whatever the agent calls it.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::calls::{Call, Wanted};
use super::run::{Run, Stop};
use super::teller::short;
use super::wire::{self, WRONG_PARAMETERS};
use crate::application::ports::driver::{AgentEvent, Answer, Ask, DriverError};
use crate::domain::attention::AttentionKind;
use crate::domain::canonical::{canonical, canonical_hash, sha256_hex};
use crate::domain::session::attempt::ErrorType;
use crate::domain::session::policy::PermissionDecision;
use crate::infrastructure::drivers::permission::{decide, line, risk, shortened};

/// Requests that an agent may have open at once.
const MAX_OPEN: usize = 100;
/// Pieces of a call that a person is shown.
const MAX_SHOWN: usize = 200;
/// Options of a request that are looked at, and their longest name.
const MAX_OPTIONS: usize = 50;
const MAX_OPTION_BYTES: usize = 1024;
/// JSON-RPC, as agents use it: the request was withdrawn.
const WITHDRAWN: i64 = -32800;
/// Why the policy denied a call.
const DENIED: &str = "the permission policy of this session denies it";
/// Why a person did, who said nothing.
const NO_WORDS: &str = "a person said no";

/// The options of a request that we take, by their kinds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Choices {
    allow: Option<String>,
    reject: Option<String>,
}

impl Choices {
    fn of(options: &Value) -> Self {
        let options = options.as_array().into_iter().flatten().take(MAX_OPTIONS);
        let options: Vec<(&str, &str)> = options
            .filter_map(|option| {
                Some((option.get("kind")?.as_str()?, option.get("optionId")?.as_str()?))
            })
            .filter(|(_, id)| id.len() <= MAX_OPTION_BYTES)
            .collect();
        let first = |wanted: &str| {
            let found = options.iter().find(|(kind, _)| *kind == wanted);
            found.map(|(_, id)| (*id).to_owned())
        };
        let reject = first("reject_once").or_else(|| first("reject_always"));
        Self { allow: first("allow_once"), reject }
    }
}

/// A request that waits for a person.
#[derive(Debug)]
struct Open {
    /// Its name on the wire.
    name: Value,
    call: String,
    headline: String,
    fingerprint: String,
    wanted: Wanted,
    choices: Choices,
}

/// The requests of a run.
#[derive(Debug, Default)]
pub(super) struct Asks {
    open: BTreeMap<String, Open>,
    allowed: HashSet<Wanted>,
    /// How many there were.
    count: u64,
}

impl Asks {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What an open request is known by outside.
    fn known(&self, name: &Value) -> Option<String> {
        let found = self.open.iter().find(|(_, open)| open.name == *name);
        found.map(|(agent_ref, _)| agent_ref.clone())
    }

    /// Those that wait for a person.
    pub(super) fn names(&self) -> Vec<String> {
        self.open.keys().cloned().collect()
    }
}

impl Run {
    /// The agent asks whether it may call a tool.
    pub(super) async fn permission_asked(
        &mut self,
        name: Value,
        params: &Value,
    ) -> Result<(), Stop> {
        let said = params.get("toolCall").filter(|said| said.is_object());
        let Some((said, options)) = said.zip(params.get("options")) else {
            let words = "a request for a permission holds toolCall and options";
            return Ok(self.link.send(wire::refusal(&name, WRONG_PARAMETERS, words))?);
        };
        if !self.is_working() {
            return self.choose(&name, None);
        }
        let id = short(said.get("toolCallId").and_then(Value::as_str).unwrap_or_default());
        if self.teller.known(&id).is_none() {
            self.call(said).await?;
        }
        // What is asked may say less of the call than was said before, or call it otherwise.
        let mut call = self.teller.known(&id).cloned().unwrap_or_default();
        call.learn(said);
        let wanted = call.wanted(&self.place);
        let choices = Choices::of(options);
        match self.judge(&wanted) {
            PermissionDecision::Allow => self.allow(&name, &call.headline(), &choices).await,
            PermissionDecision::Deny => self.deny(&name, &call.headline(), &choices, DENIED),
            PermissionDecision::Ask => {
                let agent_ref = self.asks.known(&name).unwrap_or_else(|| {
                    self.asks.count += 1;
                    format!("{}-{}", self.prefix, self.asks.count)
                });
                let told = self.facts(agent_ref.clone(), &call, &wanted);
                let (call, headline) = (id, line(&call.headline()));
                let fingerprint = told.fingerprint.clone();
                let open = Open { name, call, headline, fingerprint, wanted, choices };
                let before = self.asks.open.insert(agent_ref, open);
                if before.is_some_and(|before| before.fingerprint == told.fingerprint) {
                    return Ok(());
                }
                if self.asks.open.len() > MAX_OPEN {
                    let message =
                        format!("the agent waits for more than {MAX_OPEN} answers at once");
                    return Err(DriverError::new(ErrorType::AgentProtocolError, message).into());
                }
                self.tell(AgentEvent::Ask(told)).await
            }
        }
    }

    /// Somebody decided.
    pub(super) async fn decided(
        &mut self,
        agent_ref: &str,
        fingerprint: &str,
        answer: Answer,
    ) -> Result<(), Stop> {
        let is_meant = |open: &Open| open.fingerprint == fingerprint;
        if !self.asks.open.get(agent_ref).is_some_and(is_meant) {
            return Ok(());
        }
        let Some(open) = self.asks.open.remove(agent_ref) else { return Ok(()) };
        let Open { name, call: _, headline, fingerprint: _, wanted, choices } = open;
        match answer {
            Answer::AllowOnce => self.allow(&name, &headline, &choices).await?,
            Answer::AllowAlways => {
                self.asks.allowed.insert(wanted);
                self.allow(&name, &headline, &choices).await?;
            }
            Answer::Deny(words) | Answer::Text(words) => {
                let words = if words.trim().is_empty() { NO_WORDS } else { words.trim() };
                self.deny(&name, &headline, &choices, words)?;
            }
        }
        self.tell(AgentEvent::AskGone { agent_ref: agent_ref.to_owned() }).await
    }

    /// The agent does not wait for this any more.
    pub(super) async fn withdrawn(&mut self, name: &Value) -> Result<(), Stop> {
        let Some(agent_ref) = self.asks.known(name) else { return Ok(()) };
        let Some(open) = self.asks.open.remove(&agent_ref) else { return Ok(()) };
        self.link.send(wire::refusal(&open.name, WITHDRAWN, "it was withdrawn"))?;
        self.tell(AgentEvent::AskGone { agent_ref }).await
    }

    /// Nobody needs to be asked about a call that is over.
    pub(super) async fn asked_in_vain(&mut self, call: &str) -> Result<(), Stop> {
        let call = short(call);
        let about = self.asks.open.iter().filter(|(_, open)| open.call == call);
        let about: Vec<String> = about.map(|(agent_ref, _)| agent_ref.clone()).collect();
        self.drop_asks(about).await
    }

    /// Nothing is waited for any more.
    pub(super) async fn no_more_asks(&mut self) -> Result<(), Stop> {
        let all = self.asks.names();
        self.drop_asks(all).await
    }

    async fn drop_asks(&mut self, refs: Vec<String>) -> Result<(), Stop> {
        for agent_ref in refs {
            if let Some(open) = self.asks.open.remove(&agent_ref) {
                self.choose(&open.name, None)?;
                self.tell(AgentEvent::AskGone { agent_ref }).await?;
            }
        }
        Ok(())
    }

    /// What the policy, and what was allowed for good in this run, say of a call.
    fn judge(&self, wanted: &Wanted) -> PermissionDecision {
        if self.asks.allowed.contains(wanted) {
            return PermissionDecision::Allow;
        }
        let decision = decide(&self.policy, &wanted.tool, &wanted.patterns);
        if wanted.is_too_much { decision.max(PermissionDecision::Ask) } else { decision }
    }

    async fn allow(&mut self, name: &Value, headline: &str, choices: &Choices) -> Result<(), Stop> {
        if choices.allow.is_some() {
            return self.choose(name, choices.allow.as_deref());
        }
        let message = format!(
            "the agent does not offer to be allowed one call; this one was rejected, since its own \
             “always” may be wider than what was allowed: {}",
            line(headline)
        );
        self.tell(AgentEvent::Log { level: "warn", message }).await?;
        self.deny(name, headline, choices, "it cannot be allowed for this one time")
    }

    fn deny(
        &mut self,
        name: &Value,
        headline: &str,
        choices: &Choices,
        why: &str,
    ) -> Result<(), Stop> {
        self.note_denial(format!("A call was not allowed ({}): {why}", line(headline)));
        self.choose(name, choices.reject.as_deref())
    }

    /// Answers a request with one of its options.
    fn choose(&self, name: &Value, option: Option<&str>) -> Result<(), Stop> {
        let outcome = option.map_or_else(
            || json!({ "outcome": "cancelled" }),
            |id| json!({ "outcome": "selected", "optionId": id }),
        );
        Ok(self.link.send(wire::answer(name, &json!({ "outcome": outcome })))?)
    }

    fn facts(&self, agent_ref: String, call: &Call, wanted: &Wanted) -> Ask {
        let Wanted { tool, patterns, is_too_much: _ } = wanted;
        let shown = if patterns.len() <= MAX_SHOWN {
            patterns.clone()
        } else {
            vec![format!("sha256:{}", sha256_hex(canonical(&json!(patterns)).as_bytes()))]
        };
        let mut facts = call.input.as_object().cloned().unwrap_or_default();
        for (name, value) in [("title", json!(call.title)), ("content", call.content.clone())] {
            facts.entry(name).or_insert(value);
        }
        let fingerprint = canonical_hash(&json!({
            "tool": tool,
            "patterns": patterns,
            "title": call.title,
            "input": call.input,
            "content": call.content,
            "locations": call.locations,
        }));
        Ask {
            agent_ref,
            kind: AttentionKind::Permission,
            tool: tool.clone(),
            title: line(&format!("{tool}: {}", call.headline())),
            payload: json!({
                "permission": tool,
                "patterns": shown,
                "metadata": shortened(&Value::Object(facts)),
                "agent_session": self.session,
            }),
            patterns: shown,
            fingerprint,
            risk: risk(tool),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_by_their_kinds_alone() {
        let option = |kind: &str, id: &str| json!({ "kind": kind, "optionId": id, "name": "Yes" });
        let choices = |options: &[Value]| Choices::of(&json!(options));
        let some = |text: &str| Some(text.to_owned());
        let odd =
            [option("allow_always", "a"), option("reject_once", "b"), option("allow_once", "c")];
        assert_eq!(choices(&odd), Choices { allow: some("c"), reject: some("b") });
        let only_always = [option("allow_always", "a"), option("reject_always", "b")];
        assert_eq!(choices(&only_always), Choices { allow: None, reject: some("b") });
        assert_eq!(choices(&[json!({ "kind": "allow_once" }), json!(7)]), Choices::default());
        assert_eq!(Choices::of(&Value::Null), Choices::default());
    }
}
