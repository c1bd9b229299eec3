//! US dollars as integer millionths: sums are exact, spelling is decimal.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in millionths of a US dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Usd(i64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Wraps millionths of a dollar.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Millionths of a dollar.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The nearest millionth; `None` for what is not a finite amount within ±9 billion dollars.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let micros = (dollars * 1e6).round();
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked beside it")]
        let whole = micros as i64;
        (micros.is_finite() && micros.abs() < 9e15).then_some(Self(whole))
    }

    /// Dollars, for display and JSON numbers.
    #[must_use]
    pub fn dollars(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "amounts stay below 2^53 millionths")]
        let micros = self.0 as f64;
        micros / 1e6
    }
}

impl std::ops::Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::fmt::Display for Usd {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, micros) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(formatter, "{sign}${}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_dollars(f64::deserialize(from)?)
            .ok_or_else(|| serde::de::Error::custom("expected an amount in US dollars"))
    }
}
