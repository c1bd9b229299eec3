//! The environment of a child: nothing of ours but what is named here.
//!
//! Invariant: what the server hands out is seen only by agents of the tenants that it hands it to, and of that
//! only what their preset or their settings name.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::guard::FOR_CHILD;
use super::marker::{Marker, is_secret};
use super::presets::Preset;
use crate::application::ports::driver::DriverError;
use crate::domain::ids::TenantId;
use crate::domain::session::attempt::ErrorType;

/// Largest environment entry, and largest argument, that Linux takes.
pub(super) const MAX_ENTRY_BYTES: usize = 128 * 1024 - 1;
/// Variables of ours that every child may see.
const INHERITED: [&str; 3] = ["PATH", "LANG", "TZ"];
/// What the names of our own variables begin with.
const OURS: &str = "ORCHESTRATOR_";

/// Tenants whose agents may get variables of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandedTo {
    /// All of them.
    Everybody,
    /// These alone.
    These(BTreeSet<TenantId>),
}

impl Default for HandedTo {
    fn default() -> Self {
        Self::These(BTreeSet::from([TenantId::BOOTSTRAP]))
    }
}

impl HandedTo {
    pub(super) fn has(&self, tenant: TenantId) -> bool {
        match self {
            Self::Everybody => true,
            Self::These(tenants) => tenants.contains(&tenant),
        }
    }

    /// Why agents of this tenant do not get what these settings ask for.
    pub(super) fn refusal(&self, tenant: TenantId, config: &Map<String, Value>) -> Option<String> {
        let mut asked = own(config).filter_map(|(name, value)| Some((name, reference(value)?)));
        let (name, wanted) = asked.find(|_| !self.has(tenant))?;
        Some(format!(
            "{} in `env` refers to ${}, and agents of this tenant get no variables of the server; whoever runs \
             it can name the tenant {tenant} in agents.env_tenants",
            short(name),
            short(wanted)
        ))
    }
}

/// What the server hands out to agents of one tenant.
pub(super) struct Handout<'a> {
    pub(super) variables: &'a [(String, String)],
    pub(super) to: &'a HandedTo,
    pub(super) tenant: TenantId,
    /// The setting that names the variables.
    pub(super) setting: &'static str,
}

impl<'a> Handout<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        let known = self.variables.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.as_str()).filter(|_| self.to.has(self.tenant))
    }
}

/// The variables of a child. What is set later stands in place of what was set before.
#[derive(Clone)]
pub(super) struct Variables(Vec<(String, String)>);

impl Variables {
    /// What every child sees.
    pub(super) fn usual() -> Self {
        let mut usual = Self(Vec::new());
        usual.inherit(&INHERITED);
        usual.set("TERM", "dumb");
        usual
    }

    /// Those of ours with these names, too.
    pub(super) fn inherit(&mut self, names: &[&str]) {
        for name in names {
            if let Some(value) = std::env::var_os(name).and_then(|value| value.into_string().ok()) {
                self.set(name, value);
            }
        }
    }

    /// What the preset and the settings of an agent name. `$NAME` stands for a variable of the server, `$$` at
    /// the beginning for a plain `$`.
    pub(super) fn name(
        &mut self,
        preset: Option<&Preset>,
        config: &Map<String, Value>,
        handout: &Handout<'_>,
    ) -> Result<(), DriverError> {
        if let Some(preset) = preset {
            for (name, value) in &preset.variables {
                self.set(name, value);
            }
            let handed = preset.env.iter().filter_map(|name| Some((name, handout.get(name)?)));
            handed.for_each(|(name, value)| self.set(name, value));
        }
        if let Some(refusal) = handout.to.refusal(handout.tenant, config) {
            return Err(wrong(refusal));
        }
        for (name, value) in own(config) {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let name = short(name);
                return Err(wrong(format!("`env` holds `{name}`, which cannot be a variable")));
            }
            if name.starts_with(OURS) {
                return Err(wrong(format!("{} in `env` belongs to the server", short(name))));
            }
            let value = match reference(value) {
                Some(wanted) => handout.get(wanted).ok_or_else(|| {
                    let (name, wanted, setting) = (short(name), short(wanted), handout.setting);
                    wrong(format!(
                        "{name} in `env` refers to ${wanted}, which the server does not have or does not hand \
                         out: set it where the server is started, and name it in {setting}"
                    ))
                })?,
                None if value.starts_with("$$") => &value[1..],
                None => value,
            };
            self.set(name, value);
        }
        Ok(())
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
    }

    pub(super) fn mark(&mut self, marker: &Marker) {
        self.set(&marker.name, marker.value.clone());
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What is to be told to nobody.
    pub(super) fn secrets(&self) -> Vec<String> {
        let secret = self.iter().filter(|(name, _)| is_secret(name));
        secret.map(|(_, value)| value.to_owned()).collect()
    }

    /// All of them, when Linux takes each.
    pub(super) fn checked(self, whose: &str) -> Result<Vec<(String, String)>, DriverError> {
        // With what stands before it in the environment of a guard.
        let bytes = |(name, value): &(String, String)| FOR_CHILD.len() + name.len() + value.len();
        let is_large = |entry: &&(String, String)| bytes(entry) >= MAX_ENTRY_BYTES;
        match self.0.iter().find(is_large) {
            Some((name, _)) => {
                Err(wrong(format!("{name} for {whose} is larger than 128 KiB; make it shorter")))
            }
            None => Ok(self.0),
        }
    }
}

/// Names alone: values may be secret.
impl std::fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// The variables that the settings of an agent name.
pub(super) fn own(config: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    let env = config.get("env").and_then(Value::as_object).into_iter().flatten();
    env.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
}

/// The variable of the server that a value stands for, when it does.
pub(super) fn reference(value: &str) -> Option<&str> {
    value.strip_prefix('$').filter(|wanted| !wanted.starts_with('$'))
}

fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

/// What no second try mends.
fn wrong(message: String) -> DriverError {
    DriverError { retryable: false, ..DriverError::new(ErrorType::DispatchFailed, message) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::agent::AgentKind;
    use crate::infrastructure::drivers::presets;

    const OTHER: TenantId = TenantId::new(uuid::Uuid::from_u128(9));

    fn named(config: &Value, to: &HandedTo, tenant: TenantId) -> Result<Variables, DriverError> {
        let variables =
            ["OPENAI_API_KEY", "LAB_KEY"].map(|name| (name.to_owned(), "key".to_owned()));
        let handout = Handout { variables: &variables, to, tenant, setting: "agents.acp.env" };
        let preset = presets::find(AgentKind::Acp, "opencode-acp");
        let mut all = Variables::usual();
        all.name(preset, config.as_object().expect("an object"), &handout).map(|()| all)
    }

    #[test]
    fn what_is_handed_out_is_for_some_tenants_alone() {
        let config = json!({ "env": { "A": "$LAB_KEY", "B": "$$5", "C": "own" } });
        let ours = named(&config, &HandedTo::default(), TenantId::BOOTSTRAP).expect("ours");
        assert_eq!((ours.get("A"), ours.get("OPENAI_API_KEY")), (Some("key"), Some("key")));
        assert_eq!((ours.get("B"), ours.get("C")), (Some("$5"), Some("own")));
        let refused = named(&config, &HandedTo::default(), OTHER).expect_err("refused");
        assert!(!refused.retryable && refused.message.contains("$LAB_KEY"), "{refused}");
        assert!(refused.message.contains("agents.env_tenants"), "{refused}");
        assert!(refused.message.contains(&OTHER.to_string()), "{refused}");
        // What a preset would take is not there, and what is theirs is.
        let theirs = json!({ "env": { "B": "$$5", "OPENAI_BASE_URL": "own" } });
        let theirs = named(&theirs, &HandedTo::default(), OTHER).expect("nothing of ours");
        assert_eq!((theirs.get("OPENAI_API_KEY"), theirs.get("B")), (None, Some("$5")));
        for to in [HandedTo::Everybody, HandedTo::These(BTreeSet::from([OTHER]))] {
            assert_eq!(named(&config, &to, OTHER).expect("told").get("A"), Some("key"), "{to:?}");
        }
        let nobody = HandedTo::These(BTreeSet::new());
        assert!(named(&config, &nobody, TenantId::BOOTSTRAP).is_err());
    }

    #[test]
    fn variables_are_shown_without_their_values() {
        let mut variables = Variables::usual();
        variables.set("LAB_KEY", "canary");
        let shown = format!("{variables:?}");
        assert!(shown.contains("LAB_KEY") && !shown.contains("canary"), "{shown}");
        assert_eq!(variables.secrets(), ["canary"]);
    }
}
