//! Instants of the product: UTC with millisecond precision, one spelling everywhere.
//!
//! Invariant: a `Timestamp` never carries more than milliseconds, so that what was stored, sent and
//! compared is the same value.

use std::time::Duration;

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the Unix epoch, UTC; the epoch by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The epoch; the smallest instant that the product writes.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z, the largest instant that RFC 3339 can spell.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant this many milliseconds after the epoch, held within what RFC 3339 can spell.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self::EPOCH
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch as key bytes are built from them; never negative.
    #[must_use]
    pub const fn key_millis(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// Reads RFC 3339 with any offset.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self::from_millis(at.timestamp_millis()))
    }

    /// This instant plus a duration.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Time from `earlier` to this instant; zero when the clock went backwards.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(if millis < 0 { 0 } else { millis.unsigned_abs() })
    }
}

impl Timestamp {
    /// The one spelling, `2026-01-31T09:30:00.000Z`, made without the heap: a page has hundreds.
    fn spell<T>(self, then: impl FnOnce(&str) -> T) -> T {
        let at = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text[0..4], at.year().unsigned_abs());
        put(&mut text[5..7], at.month());
        put(&mut text[8..10], at.day());
        put(&mut text[11..13], at.hour());
        put(&mut text[14..16], at.minute());
        put(&mut text[17..19], at.second());
        put(&mut text[20..23], at.timestamp_subsec_millis());
        then(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Writes the decimal digits of a number into this place, from its end.
fn put(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.spell(|text| formatter.write_str(text))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.spell(|text| to.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("expected an RFC 3339 time such as 2026-01-31T09:30:00.000Z")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_is_read_and_three_decimals_are_written() {
        let at = Timestamp::parse("2026-01-31T10:30:00.1239+01:00").expect("valid");
        assert_eq!(at.to_string(), "2026-01-31T09:30:00.123Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn the_spelling_is_that_of_rfc_3339_at_every_edge() {
        let leap = 951_827_696_789; // 2000-02-29
        for millis in [0, 1, 999, 59_999, 86_399_999, leap, Timestamp::MAX.millis()] {
            let at = DateTime::<Utc>::from_timestamp_millis(millis).expect("in range");
            let expected = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            assert_eq!(Timestamp::from_millis(millis).to_string(), expected);
        }
        let json = serde_json::to_string(&Timestamp::EPOCH).expect("a plain text");
        assert_eq!(json, "\"1970-01-01T00:00:00.000Z\"");
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_negative_time() {
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
