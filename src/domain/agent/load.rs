//! How much an agent has to do, and whether it takes more.
//!
//! Invariant: what a grant added, its release takes away to the last unit: load is counted in thousandths
//! of a complexity, never in fractions that do not add up.

use crate::closed_enum;

/// Complexity above which hard-pressed agents take no work, in thousandths.
const LARGE: u64 = 2000;

closed_enum!(
    /// How busy an agent is.
    LoadLevel {
        Idle = "idle",
        Optimal = "optimal",
        High = "high",
        Critical = "critical",
        Overloaded = "overloaded",
    }
);

/// A complexity, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Units(u64);

impl Units {
    /// Of a complexity of 1.
    pub const ONE: Self = Self(1000);

    /// Of a complexity between 0 and 1000; what is none counts as 1.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000,000")]
    pub fn of(complexity: f64) -> Self {
        let sane = if complexity.is_finite() { complexity.clamp(0.0, 1000.0) } else { 1.0 };
        Self((sane * 1000.0).round() as u64)
    }

    /// Of so many thousandths.
    #[must_use]
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// In thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// As it is written for people.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// What an agent works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Active assignments.
    pub tasks: u32,
    /// The sum of their complexities.
    pub units: Units,
}

impl Load {
    /// With one more assignment.
    #[must_use]
    pub const fn with(self, units: Units) -> Self {
        Self { tasks: self.tasks + 1, units: Units(self.units.0 + units.0) }
    }

    /// With one assignment less.
    #[must_use]
    pub const fn without(self, units: Units) -> Self {
        Self {
            tasks: self.tasks.saturating_sub(1),
            units: Units(self.units.0.saturating_sub(units.0)),
        }
    }
}

/// A load as it is borne: by an agent of this capacity, which reports a load of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burden {
    /// What it works on.
    pub load: Load,
    /// Assignments of complexity 1 that fill it.
    pub capacity: u32,
    /// What it says of itself, 0 to 1.
    pub reported: f64,
}

impl Burden {
    /// How much of the capacity is used; above 1 when more was asked than fits.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        let own = self.load.units.as_f64() / f64::from(self.capacity.max(1));
        if self.reported.is_finite() { own.max(self.reported) } else { own }
    }

    /// How busy that is.
    #[must_use]
    pub fn level(&self) -> LoadLevel {
        match self.utilization() {
            used if used <= 0.2 => LoadLevel::Idle,
            used if used <= 0.7 => LoadLevel::Optimal,
            used if used <= 0.9 => LoadLevel::High,
            used if used <= 1.0 => LoadLevel::Critical,
            _ => LoadLevel::Overloaded,
        }
    }

    /// Whether one more assignment is taken. Somebody without work takes any, however large; nobody has more
    /// at once than their capacity, however small.
    #[must_use]
    pub fn accepts(&self, units: Units) -> bool {
        let level = self.level();
        let fits = self.load.with(units).units.0 <= u64::from(self.capacity) * 1000;
        self.has_room()
            && (fits || self.load.tasks == 0)
            && (units.0 <= LARGE || level != LoadLevel::Critical)
    }

    /// Whether there is room for another assignment at all.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.load.tasks < self.capacity && self.level() != LoadLevel::Overloaded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn burden(tasks: u32) -> Burden {
        let load = (0..tasks).fold(Load::default(), |load, _| load.with(Units::of(1.0)));
        Burden { load, capacity: 5, reported: 0.0 }
    }

    #[test]
    fn levels_are_those_of_the_specification() {
        use LoadLevel::{Critical, High, Idle, Optimal, Overloaded};
        let levels = [Idle, Idle, Optimal, Optimal, High, Critical, Overloaded];
        for (tasks, level) in (0..).zip(levels) {
            assert_eq!(burden(tasks).level(), level, "{tasks} of 5");
        }
        assert_eq!(Burden { reported: 0.95, ..burden(0) }.level(), Critical);
        assert_eq!(Burden { reported: f64::NAN, ..burden(0) }.level(), Idle);
    }

    #[test]
    fn large_work_is_refused_at_critical_and_taken_by_whoever_has_none() {
        assert!(!Burden { capacity: 50, reported: 0.95, ..burden(1) }.accepts(Units::of(3.0)));
        assert!(Burden { capacity: 50, reported: 0.95, ..burden(1) }.accepts(Units::of(2.0)));
        assert!(burden(0).accepts(Units::of(10.0)));
        assert!(!burden(1).accepts(Units::of(10.0)));
        assert!(burden(4).accepts(Units::of(1.0)));
        assert!(!burden(5).accepts(Units::of(1.0)));
        assert!(burden(4).has_room() && !burden(5).has_room());
    }

    proptest! {
        #[test]
        fn what_is_granted_and_given_back_leaves_nothing(
            before in 0u32..5,
            grants in proptest::collection::vec(0.1f64..10.0, 1..40),
            order in any::<u64>(),
        ) {
            let start = burden(before).load;
            let mut open: Vec<Units> = grants.iter().map(|one| Units::of(*one)).collect();
            let mut load = open.iter().fold(start, |load, units| load.with(*units));
            let mut chosen = order;
            while !open.is_empty() {
                let at = usize::try_from(chosen % open.len() as u64).expect("small");
                chosen = chosen.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                load = load.without(open.swap_remove(at));
            }
            prop_assert_eq!(load, start);
        }

        #[test]
        fn more_work_is_never_a_lower_level(
            capacity in 1u32..50, tasks in 0u32..60, more in 0.1f64..10.0, reported in 0.0f64..1.0,
        ) {
            let load = (0..tasks).fold(Load::default(), |load, _| load.with(Units::of(1.0)));
            let before = Burden { load, capacity, reported };
            let after = Burden { load: load.with(Units::of(more)), ..before };
            prop_assert!(before.level() <= after.level());
            prop_assert!(!before.accepts(Units::of(more)) || before.level() != LoadLevel::Overloaded);
        }
    }
}
