//! What an operation asks of whoever does it.

use super::key::Role;
use super::scope::{Access, Area, Scope};

/// The rights that an operation needs: all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// The lowest role that will do.
    pub role: Role,
    /// What the key must be good for.
    pub scope: Scope,
    /// Only for whoever may act in every tenant.
    pub of_system: bool,
}

/// What a caller lacks of a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// A higher role: this one, at least.
    #[error("this needs the role {0} or higher")]
    Role(Role),
    /// Its agent would do things without asking: that takes a lead.
    #[error(
        "only a lead may let an agent do things without asking; leave `allow` out of \
         permission_policy and answer what it asks, or have a lead create the session"
    )]
    Unasked,
    /// A room of others: an agent of others is told of itself alone.
    #[error("the token of an agent opens its own room alone")]
    OwnRoom,
    /// Something would be allowed from now on: that takes a lead.
    #[error("only a lead may allow something for good; decide allow_once, or have a lead decide")]
    ForGood,
    /// It is a matter of the system.
    #[error("this needs a system administrator")]
    System,
    /// The key is not good for this.
    #[error("this needs a key with the scope {0}")]
    Scope(Scope),
}

impl Right {
    /// To look at a part of the product, from this role on.
    #[must_use]
    pub const fn read(role: Role, area: Area) -> Self {
        Self { role, scope: Scope::Of(area, Access::Read), of_system: false }
    }

    /// To change a part of the product, from this role on.
    #[must_use]
    pub const fn write(role: Role, area: Area) -> Self {
        Self { role, scope: Scope::Of(area, Access::Write), of_system: false }
    }

    /// The same, for system administrators alone.
    #[must_use]
    pub const fn of_system(self) -> Self {
        Self { role: Role::Admin, of_system: true, ..self }
    }
}
