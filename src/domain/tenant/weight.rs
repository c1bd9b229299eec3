//! How much of the instance a tenant is entitled to, compared with the others.

/// Hundredths in the weight 1.
const ONE: u32 = 100;

/// A tenant's fair-share weight, 0.1 to 100 in steps of 0.01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(u32);

impl Weight {
    /// The weight 1, which every tenant has unless it was given another one.
    pub const DEFAULT: Self = Self(ONE);
    /// The smallest weight, 0.1.
    pub const MIN: Self = Self(ONE / 10);
    /// The largest weight, 100.
    pub const MAX: Self = Self(ONE * 100);

    /// The weight of so many hundredths; `None` outside 10 to 10,000.
    #[must_use]
    pub const fn from_hundredths(hundredths: u32) -> Option<Self> {
        if hundredths < Self::MIN.0 || hundredths > Self::MAX.0 {
            return None;
        }
        Some(Self(hundredths))
    }

    /// The weight of a number as people write it; `None` outside 0.1 to 100.
    #[must_use]
    pub fn parse(number: f64) -> Option<Self> {
        let hundredths = (number * f64::from(ONE)).round();
        if !(f64::from(Self::MIN.0)..=f64::from(Self::MAX.0)).contains(&hundredths) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked"
        )]
        let hundredths = hundredths as u32;
        Some(Self(hundredths))
    }

    /// Hundredths.
    #[must_use]
    pub const fn hundredths(self) -> u32 {
        self.0
    }

    /// As people write it.
    #[must_use]
    pub fn number(self) -> f64 {
        f64::from(self.0) / f64::from(ONE)
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::Weight;

    #[test]
    fn only_what_lies_between_a_tenth_and_a_hundred_is_a_weight() {
        for (number, hundredths) in [(0.1, 10), (1.0, 100), (2.555, 256), (100.0, 10_000)] {
            let weight = Weight::parse(number).expect("a weight");
            assert_eq!(weight.hundredths(), hundredths);
            assert_eq!(Weight::from_hundredths(hundredths), Some(weight));
        }
        for wrong in [0.0, 0.09, -1.0, 100.01, f64::NAN, f64::INFINITY] {
            assert_eq!(Weight::parse(wrong), None, "{wrong}");
        }
        assert_eq!((Weight::from_hundredths(9), Weight::from_hundredths(10_001)), (None, None));
        assert!((Weight::DEFAULT.number() - 1.0).abs() < f64::EPSILON);
    }
}
