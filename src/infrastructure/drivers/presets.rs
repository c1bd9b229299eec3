//! Agents that are known: how each is started and what it prints, as data (`assets/agents.toml`).
//!
//! Invariant: no code knows one of them; a new agent is an entry in that file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::closed_enum;
use crate::domain::agent::AgentKind;

/// The file; a test reads all of it.
const AGENTS: &str = include_str!("../../../assets/agents.toml");

closed_enum!(
    /// What a program's output is made of.
    Output {
        /// Lines for people.
        Lines = "lines",
        /// A JSON object on each line.
        Jsonl = "jsonl",
    }
);

closed_enum!(
    /// What a line of JSON says.
    Tell {
        /// By which name the agent knows its conversation.
        Conversation = "conversation",
        /// Words of the agent.
        Text = "text",
        /// What it thinks.
        Reasoning = "reasoning",
        /// A call of a tool.
        Call = "call",
        /// What was used.
        Usage = "usage",
        /// The last words.
        Result = "result",
        /// Something went wrong; it goes on.
        Error = "error",
        /// The turn has failed.
        Failure = "failure",
    }
);

/// A piece of a command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Piece {
    /// One argument.
    Word(String),
    /// Arguments that are left out together when one of them names what is not known.
    Optional(Vec<String>),
}

/// Where the numbers of a usage stand.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of `Usage`")]
pub struct Tokens {
    pub input: Option<String>,
    pub output: Option<String>,
    pub cache_read: Option<String>,
    pub cache_write: Option<String>,
    pub reasoning: Option<String>,
    /// In dollars.
    pub cost: Option<String>,
}

/// Pointers and the texts that stand there; `*` is anything but null.
pub type Condition = BTreeMap<String, String>;

/// What is said by lines that a condition holds for. Texts that begin with `/` are pointers, others mean
/// themselves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What they say.
    pub tell: Tell,
    /// Which lines.
    #[serde(default)]
    pub when: Condition,
    /// A list in the line, each item of which says something; the rest then points into the item.
    pub each: Option<String>,
    /// Which items.
    #[serde(default)]
    pub item: Condition,
    /// Name of the conversation, the call or the usage.
    pub id: Option<String>,
    /// The words.
    pub text: Option<String>,
    /// When words go on with what was said before.
    pub grows: Option<Condition>,
    /// The tool.
    pub tool: Option<String>,
    /// What it was given.
    pub input: Option<String>,
    /// What it gave.
    pub output: Option<String>,
    /// Whether the call has ended.
    #[serde(default)]
    pub is_over: bool,
    /// When the call has failed.
    pub failed: Option<Condition>,
    /// The model that was used.
    pub model: Option<String>,
    /// Where the numbers are.
    #[serde(default)]
    pub tokens: Tokens,
    /// Whether the input counts what was read from a cache, too.
    #[serde(default)]
    pub cache_in_input: bool,
}

/// An agent that is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// As the settings of an agent name it.
    pub name: String,
    /// For people.
    pub title: String,
    /// Which driver speaks to it.
    pub kind: AgentKind,
    /// What it is registered as.
    pub agent: String,
    /// What is looked for on `PATH`.
    pub program: String,
    /// How it is started.
    pub command: Vec<Piece>,
    /// Words that stand for `{permissions}` in a session that allows everything.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// The same for any other.
    #[serde(default)]
    pub careful: Vec<String>,
    /// What it is asked its version with.
    pub version: Vec<String>,
    /// What it prints.
    pub output: Option<Output>,
    /// The format of what it prints.
    pub format: Option<String>,
    /// Provider of models that are named without one; empty when none is.
    #[serde(default)]
    pub provider: String,
    /// Variables of the server that it sees, as far as the settings hand them out.
    pub env: Vec<String>,
    /// What is always set.
    pub variables: BTreeMap<String, String>,
    /// What it is registered with.
    pub capabilities: Vec<String>,
    /// What it can do here.
    pub abilities: Vec<String>,
    /// How it is installed.
    pub install: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    preset: Vec<Preset>,
    formats: BTreeMap<String, Vec<Rule>>,
}

static FILE: LazyLock<File> = LazyLock::new(|| toml::from_str(AGENTS).unwrap_or_default());

/// All that are known.
#[must_use]
pub fn all() -> &'static [Preset] {
    &FILE.preset
}

/// The agent of this name and kind.
#[must_use]
pub fn find(kind: AgentKind, name: &str) -> Option<&'static Preset> {
    FILE.preset.iter().find(|preset| preset.kind == kind && preset.name == name)
}

/// The rules of a format; none for an unknown one.
#[must_use]
pub fn format(name: &str) -> &'static [Rule] {
    FILE.formats.get(name).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::draft::AgentDraft;
    use crate::domain::ids::{AgentId, TenantId};
    use crate::domain::time::Timestamp;

    #[test]
    fn every_preset_can_be_registered_and_hangs_together() {
        let file: File = toml::from_str(AGENTS).expect("the file is valid");
        assert_eq!(file.preset.len(), 12);
        for preset in all() {
            let name = &preset.name;
            let mut draft = AgentDraft::new(&preset.agent, preset.kind, &preset.capabilities);
            draft.config.insert("preset".to_owned(), name.as_str().into());
            let id = AgentId::new(uuid::Uuid::nil());
            let accepted = draft.accept(id, TenantId::BOOTSTRAP, Timestamp::EPOCH);
            assert!(accepted.is_ok(), "{name}: {accepted:?}");
            assert_eq!(all().iter().filter(|other| other.name == *name).count(), 1, "{name}");
            assert_eq!(preset.command[0], Piece::Word(preset.program.clone()), "{name}");
            let wants_rules = preset.output == Some(Output::Jsonl);
            let rules = preset.format.as_deref().map_or(&[][..], format);
            assert_eq!(wants_rules, !rules.is_empty(), "{name}");
            if preset.kind == AgentKind::Command {
                let can = |word: &str| preset.abilities.iter().any(|ability| ability == word);
                let tells = |tell| rules.iter().any(|rule| rule.tell == tell);
                let names_session = |piece: &Piece| match piece {
                    Piece::Word(word) => word.contains("{session}"),
                    Piece::Optional(words) => words.iter().any(|word| word.contains("{session}")),
                };
                let resumes = preset.command.iter().any(names_session);
                assert_eq!(can("resume"), resumes && tells(Tell::Conversation), "{name}");
                assert_eq!(can("usage"), tells(Tell::Usage), "{name}");
            }
        }
    }

    #[test]
    fn a_preset_is_one_of_its_kind() {
        assert!(find(AgentKind::Command, "claude").is_some());
        assert!(find(AgentKind::Acp, "claude").is_none() && find(AgentKind::Acp, "x").is_none());
        assert!(format("x").is_empty());
    }
}
