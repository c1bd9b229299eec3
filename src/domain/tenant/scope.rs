//! What a key may be used for, beside the role that it has.
//!
//! Invariant: reading is not part of writing; a key has exactly what it names.

use crate::closed_enum;

closed_enum!(
    /// A part of the product.
    Area {
        Sessions = "sessions",
        Agents = "agents",
        Tasks = "tasks",
        Contexts = "contexts",
        Locks = "locks",
        FineTuning = "fine_tuning",
        Tenants = "tenants",
        Users = "users",
        Keys = "keys",
        Audit = "audit",
        Usage = "usage",
        Events = "events",
        System = "system",
    }
);

closed_enum!(
    /// What is done with it.
    Access {
        Read = "read",
        Write = "write",
    }
);

/// One thing that a key may be used for; spelled `*`, `<area>:read`, `<area>:write`,
/// `agents:register` or `metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everything.
    All,
    /// One way of using one part.
    Of(Area, Access),
    /// Registering external agents.
    RegisterAgents,
    /// The figures for Prometheus.
    Metrics,
}

impl Scope {
    /// The scope that is spelled so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::All),
            "agents:register" => Some(Self::RegisterAgents),
            "metrics" => Some(Self::Metrics),
            _ => {
                let (area, access) = text.split_once(':')?;
                Some(Self::Of(Area::parse(area)?, Access::parse(access)?))
            }
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => formatter.write_str("*"),
            Self::Of(area, access) => write!(formatter, "{area}:{access}"),
            Self::RegisterAgents => formatter.write_str("agents:register"),
            Self::Metrics => formatter.write_str("metrics"),
        }
    }
}

/// Everything that a key may be used for, each scope once and in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![Scope::All])
    }

    /// These; doubles count once.
    #[must_use]
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Whether they allow this.
    #[must_use]
    pub fn allow(&self, wanted: Scope) -> bool {
        self.0.iter().any(|scope| *scope == Scope::All || *scope == wanted)
    }

    /// Whether they allow all that others do: nobody grants more than they have.
    #[must_use]
    pub fn cover(&self, others: &Self) -> bool {
        others.0.iter().all(|other| self.allow(*other))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> Vec<Scope> {
        let areas = Area::ALL
            .iter()
            .flat_map(|area| Access::ALL.iter().map(|access| Scope::Of(*area, *access)));
        areas.chain([Scope::All, Scope::RegisterAgents, Scope::Metrics]).collect()
    }

    #[test]
    fn a_scope_is_read_as_it_is_spelled_and_nothing_else_is_one() {
        for scope in every() {
            assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
        }
        for text in [
            "",
            "**",
            "sessions",
            "sessions:",
            "sessions:admin",
            "Sessions:read",
            ":read",
            "sessions:read:x",
        ] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_has_what_it_names_and_no_more() {
        for held in every() {
            let scopes = Scopes::of([held]);
            for wanted in every() {
                let expected = held == Scope::All || held == wanted;
                assert_eq!(scopes.allow(wanted), expected, "{held} for {wanted}");
                assert_eq!(scopes.cover(&Scopes::of([wanted])), expected, "{held} over {wanted}");
            }
            assert!(scopes.cover(&scopes) && Scopes::all().cover(&scopes));
            assert!(scopes.cover(&Scopes::of([])), "nothing is less than anything");
        }
    }
}
