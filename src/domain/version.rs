//! Revisions of stored entities: what a decision was based on.

use serde::{Deserialize, Serialize};

/// Counts the accepted changes of one entity, from 1; the number inside the `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version of an entity that was just created.
    pub const FIRST: Self = Self(1);

    /// Wraps a number read from the store or an `If-Match` header.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version after one more accepted change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An entity with the version it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// The version that a write based on this reading must expect.
    pub version: Version,
    /// The entity as it stood.
    pub value: T,
}
