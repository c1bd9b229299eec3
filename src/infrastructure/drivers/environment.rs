//! The environment of a child: nothing of ours but what is named.

use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;

/// Largest environment entry, and largest argument, that Linux takes.
pub(super) const MAX_ENTRY_BYTES: usize = 128 * 1024 - 1;
/// Variables of ours that every child may see.
pub(super) const INHERITED: [&str; 3] = ["PATH", "LANG", "TZ"];

/// The variables of a child. What is set later stands in place of what was set before.
#[derive(Clone, Default)]
pub(super) struct Variables(Vec<(String, String)>);

impl Variables {
    /// Those of ours with these names.
    pub(super) fn inherited(names: &[&str]) -> Self {
        let found = names.iter().filter_map(|name| {
            let value = std::env::var_os(name)?.into_string().ok()?;
            Some(((*name).to_owned(), value))
        });
        Self(found.collect())
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All of them, when Linux takes each.
    pub(super) fn checked(self, whose: &str) -> Result<Vec<(String, String)>, DriverError> {
        let is_large =
            |(name, value): &&(String, String)| name.len() + value.len() >= MAX_ENTRY_BYTES;
        match self.0.iter().find(is_large) {
            Some((name, _)) => Err(DriverError {
                retryable: false,
                ..DriverError::new(
                    ErrorType::DispatchFailed,
                    format!("{name} for {whose} is larger than 128 KiB; make it shorter"),
                )
            }),
            None => Ok(self.0),
        }
    }
}
