//! The layers that settings come from, merged key by key, each value with its origin.
//!
//! Invariant: the default file is the list of known keys and of their types; a key that it lacks is
//! an error that names the nearest one that it has.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::nearest::nearest;

/// Every key with its default and its explanation.
pub(super) const DEFAULTS: &str = include_str!("../../../assets/settings.default.toml");

/// Prefix of every variable.
const PREFIX: &str = "ORCHESTRATOR_";

/// Short names of variables, for keys that are set often.
const ALIASES: [(&str, &str); 8] = [
    ("ORCHESTRATOR_LISTEN", "server.listen"),
    ("ORCHESTRATOR_DATA_DIR", "server.data_dir"),
    ("ORCHESTRATOR_ADMIN_KEY", "server.admin_key"),
    ("ORCHESTRATOR_STORE", "store.url"),
    ("ORCHESTRATOR_COORDINATION", "coordination.url"),
    ("ORCHESTRATOR_LOG_FORMAT", "log.format"),
    ("ORCHESTRATOR_LOG", "log.filter"),
    ("ORCHESTRATOR_DEV", "server.dev"),
];

/// Variables that belong to the client commands.
const CLIENT_VARIABLES: [&str; 5] = [
    "ORCHESTRATOR_URL",
    "ORCHESTRATOR_KEY",
    "ORCHESTRATOR_TENANT",
    "ORCHESTRATOR_CACERT",
    "ORCHESTRATOR_CONFIG",
];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The embedded default file.
    Default,
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// A configuration file that could not be read.
    Unread(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Unread(path) => write!(formatter, "{}", path.display()),
            Self::Variable(name) => formatter.write_str(name),
            Self::Flag(name) => formatter.write_str(name),
        }
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Texts.
    List(Vec<String>),
}

impl Given {
    /// What people call the type.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a whole number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list of texts",
        }
    }

    /// Reads a text, as variables and flags give it, as the type that the default has.
    fn read_like(default: &Self, text: &str) -> Option<Self> {
        match default {
            Self::Text(_) => Some(Self::Text(text.to_owned())),
            Self::Number(_) => text.trim().replace('_', "").parse().ok().map(Self::Number),
            Self::Flag(_) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(Self::Flag(true)),
                "false" | "0" | "no" | "off" => Some(Self::Flag(false)),
                _ => None,
            },
            Self::List(_) if text.trim_start().starts_with('[') => {
                let table = format!("list = {text}");
                let table = DeTable::parse(&table).ok()?;
                table.get_ref().get("list").and_then(|value| given(value.get_ref()))
            }
            Self::List(_) => Some(Self::List(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )),
        }
    }
}

/// Something wrong in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was said.
    pub origin: Origin,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.origin, self.message)
    }
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sourced {
    /// The value.
    pub(super) value: Given,
    /// Where it comes from.
    pub origin: Origin,
}

/// The merged layers.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    /// Known keys in the order of the default file.
    pub(super) order: Vec<String>,
    /// The value that won, by key.
    pub(super) values: BTreeMap<String, Sourced>,
    /// What was wrong so far.
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// The defaults alone.
    pub(super) fn defaults() -> Self {
        let mut layers = Self { order: Vec::new(), values: BTreeMap::new(), problems: Vec::new() };
        let (table, _) = DeTable::parse_recoverable(DEFAULTS);
        let mut entries = Vec::new();
        flatten("", table.get_ref(), &mut entries);
        entries.sort_by_key(|entry| entry.offset);
        for entry in entries {
            if let Some(value) = entry.value {
                layers.order.push(entry.key.clone());
                layers.values.insert(entry.key, Sourced { value, origin: Origin::Default });
            }
        }
        layers
    }

    /// Lays a configuration file over what is there.
    pub(super) fn file(&mut self, path: &std::path::Path, text: &str) {
        let origin = |offset: usize| Origin::File {
            path: path.to_owned(),
            line: text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1,
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            let message = error.message().to_owned();
            self.problems.push(Problem { origin: origin(offset), message });
        }
        let mut entries = Vec::new();
        flatten("", table.get_ref(), &mut entries);
        entries.sort_by_key(|entry| entry.offset);
        for entry in entries {
            self.lay(&entry.key, entry.value, origin(entry.offset));
        }
    }

    /// Lays environment variables over what is there; others' variables are passed over.
    pub(super) fn environment<'a>(&mut self, variables: impl Iterator<Item = (&'a str, &'a str)>) {
        // Long names first, so that a short alias wins over the long spelling of the same key.
        let mut ours: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort_by_key(|(name, _)| (alias(name).is_some(), *name));
        for (name, text) in ours {
            if CLIENT_VARIABLES.contains(&name) {
                continue;
            }
            let origin = Origin::Variable(name.to_owned());
            if let Some(key) = alias(name) {
                self.lay_text(key, text, origin);
            } else if name.contains("__") {
                let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
                self.lay_text(&key, text, origin);
            } else {
                self.refuse_misspelt(name, origin);
            }
        }
    }

    /// Lays one flag over what is there.
    pub(super) fn flag(&mut self, flag: &'static str, key: &str, text: &str) {
        self.lay_text(key, text, Origin::Flag(flag));
    }

    /// A variable without a section is an error only when it looks like a misspelt alias: the
    /// surroundings may have variables of their own with our prefix.
    fn refuse_misspelt(&mut self, name: &str, origin: Origin) {
        let aliases = ALIASES.iter().map(|(alias, _)| *alias).chain(CLIENT_VARIABLES);
        if let Some(close) = nearest(name, aliases, 2) {
            let message = format!("unknown variable; did you mean `{close}`?");
            self.problems.push(Problem { origin, message });
        }
    }

    fn lay_text(&mut self, key: &str, text: &str, origin: Origin) {
        let Some(known) = self.values.get(key) else { return self.refuse_unknown(key, origin) };
        let value = Given::read_like(&known.value, text);
        if value.is_none() {
            let message = format!("`{key}` must be {}, not `{text}`", known.value.type_name());
            self.problems.push(Problem { origin, message });
            return;
        }
        self.lay(key, value, origin);
    }

    fn lay(&mut self, key: &str, value: Option<Given>, origin: Origin) {
        let Some(known) = self.values.get_mut(key) else {
            return self.refuse_unknown(key, origin);
        };
        match value {
            Some(value) if same_type(&known.value, &value) => *known = Sourced { value, origin },
            Some(_) | None => {
                let message = format!("`{key}` must be {}", known.value.type_name());
                self.problems.push(Problem { origin, message });
            }
        }
    }

    fn refuse_unknown(&mut self, key: &str, origin: Origin) {
        let message = match nearest(key, self.order.iter().map(String::as_str), usize::MAX) {
            Some(close) => format!("unknown key `{key}`; the nearest known key is `{close}`"),
            None => format!("unknown key `{key}`"),
        };
        self.problems.push(Problem { origin, message });
    }
}

fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, key)| *key)
}

fn same_type(left: &Given, right: &Given) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right)
}

/// A leaf of a TOML document; `value` is `None` when no setting can have such a value.
struct Entry {
    key: String,
    value: Option<Given>,
    offset: usize,
}

fn flatten(prefix: &str, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(&key, inner, entries);
        } else {
            entries.push(Entry { key, value: given(value.get_ref()), offset: name.span().start });
        }
    }
}

fn given(value: &DeValue<'_>) -> Option<Given> {
    match value {
        DeValue::String(text) => Some(Given::Text(text.to_string())),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Given::Number)
        }
        DeValue::Boolean(flag) => Some(Given::Flag(*flag)),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map(Given::List),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
