//! Days and months of UTC: the periods that use is counted by.
//!
//! Invariant: periods follow each other without gap or overlap; a clock that goes back finds the
//! period of the moment that it shows.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::{Serialize, Serializer};

use crate::domain::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// A month of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month(u32);

impl Month {
    /// The month of an instant.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let at = DateTime::<Utc>::from_timestamp_millis(at.millis()).unwrap_or_default();
        let years = u32::try_from(at.year() - 1970).unwrap_or(0);
        Self(years * 12 + at.month0())
    }

    /// Months since January 1970, for keys and records.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The month of this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The month before; January 1970 has none.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let year = i32::try_from(1970 + self.0 / 12).unwrap_or(i32::MAX);
        let first = NaiveDate::from_ymd_opt(year, self.0 % 12 + 1, 1);
        let millis = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
        first.map_or(Timestamp::MAX, |day| Timestamp::from_millis(millis(day).timestamp_millis()))
    }

    /// The first instant of the next one.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Self(self.0.saturating_add(1)).start()
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:04}-{:02}", 1970 + self.0 / 12, self.0 % 12 + 1)
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A day of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(u32);

impl Day {
    /// The day of an instant.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.millis() / DAY_MS).unwrap_or(0))
    }

    /// Days since 1 January 1970, for keys and records.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The day of this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Reads `2026-01-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
        let start = day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
        let day = (start >= 0).then(|| Self::of(Timestamp::from_millis(start)))?;
        // Signs and blanks are no part of a date.
        (day.to_string() == text).then_some(day)
    }

    /// The day before; the first has none.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The day after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(i64::from(self.0) * DAY_MS)
    }

    /// The first instant of the next one.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.next().start()
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.start().to_string();
        formatter.write_str(text.get(..10).unwrap_or(&text))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn months_end_where_the_next_begins() {
        for (time, month, start, end) in [
            ("2026-01-31T23:59:59.999Z", "2026-01", "2026-01-01", "2026-02-01"),
            ("2026-02-01T00:00:00.000Z", "2026-02", "2026-02-01", "2026-03-01"),
            ("2024-02-29T12:00:00.000Z", "2024-02", "2024-02-01", "2024-03-01"),
            ("2026-12-31T23:59:59.999Z", "2026-12", "2026-12-01", "2027-01-01"),
            ("1970-01-01T00:00:00.000Z", "1970-01", "1970-01-01", "1970-02-01"),
        ] {
            let found = Month::of(at(time));
            assert_eq!(found.to_string(), month, "{time}");
            assert_eq!(found.start(), at(&format!("{start}T00:00:00Z")), "{time}");
            assert_eq!(found.end(), at(&format!("{end}T00:00:00Z")), "{time}");
            assert_eq!(Month::from_number(found.number()), found);
        }
        // Another offset: the month is that of UTC.
        assert_eq!(Month::of(at("2026-01-01T00:30:00+01:00")).to_string(), "2025-12");
        assert_eq!(Month::of(Timestamp::MAX).to_string(), "9999-12");
    }

    #[test]
    fn a_clock_that_goes_back_finds_the_period_that_it_shows() {
        let (late, early) = (at("2026-03-01T00:00:00Z"), at("2026-02-28T23:59:59.999Z"));
        assert_eq!(Month::of(early), Month::of(late).before());
        assert_eq!(Day::of(early), Day::of(late).before());
        assert_eq!(Day::of(early).end(), Day::of(late).start());
        assert_eq!(Day::of(Timestamp::EPOCH).before(), Day::of(Timestamp::EPOCH));
    }

    #[test]
    fn days_are_read_as_they_are_written() {
        for text in ["1970-01-01", "2024-02-29", "2026-11-21"] {
            assert_eq!(Day::parse(text).map(|day| day.to_string()).as_deref(), Some(text));
        }
        for wrong in ["2026-02-29", "2026-2-1", "1969-12-31", "today", "2026-01-01T00:00:00Z"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }
}
