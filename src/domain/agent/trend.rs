//! Where an agent's figures go: a weighted line through the days on which it worked.
//!
//! Source: weighted least squares in closed form; recent days weigh more, with a half-life of ten days.

use std::collections::VecDeque;

use super::performance::{Mean, Outcome, Tally};
use crate::closed_enum;
use crate::domain::time::Timestamp;

/// Days that are looked at.
const SPAN: i64 = 30;
/// Fewer tasks or days than these give no line.
const LEAST_TASKS: u32 = 10;
const LEAST_DAYS: usize = 3;
/// A day's weight halves in so many days.
const HALF_LIFE: f64 = 10.0;
/// A slope of this much a day is a change.
const CHANGE: f64 = 0.005;
const DAY_MS: i64 = 86_400_000;

closed_enum!(
    /// What a slope means.
    Direction {
        Improving = "improving",
        Stable = "stable",
        Declining = "declining",
        InsufficientData = "insufficient_data",
    }
);

impl Direction {
    /// What a slope per day means.
    #[must_use]
    pub fn of(slope: Option<f64>) -> Self {
        match slope {
            None => Self::InsufficientData,
            Some(slope) if slope >= CHANGE => Self::Improving,
            Some(slope) if slope <= -CHANGE => Self::Declining,
            Some(_) => Self::Stable,
        }
    }
}

/// What an assignment says beside its outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Quality, 0 to 1.
    pub quality: Option<f64>,
    /// Time that it took.
    pub seconds: Option<f64>,
}

/// What finished on one UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Day {
    /// Days since 1970.
    pub number: i64,
    /// How the work ended.
    pub outcomes: Tally,
    /// How good it was.
    pub quality: Mean,
    /// How long it took.
    pub seconds: Mean,
}

/// The latest days with finished work, the oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Days(pub VecDeque<Day>);

/// A point of a line: days before today, value, weight without that of its age.
type Point = (f64, f64, u32);

const fn day_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(DAY_MS)
}

impl Days {
    /// Counts one more. What is older than the oldest day that is kept no longer matters.
    pub fn add(&mut self, at: Timestamp, outcome: Outcome, sample: Sample) {
        let number = day_of(at);
        let place = self.0.iter().rposition(|day| day.number <= number);
        let is_there = place.is_some_and(|place| self.0[place].number == number);
        let place = match (place, is_there) {
            (Some(place), true) => place,
            (found, _) => {
                let place = found.map_or(0, |found| found + 1);
                self.0.insert(place, Day { number, ..Day::default() });
                place
            }
        };
        let day = &mut self.0[place];
        day.outcomes.add(outcome);
        day.quality.add(sample.quality);
        day.seconds.add(sample.seconds);
        let newest = self.0.back().map_or(number, |day| day.number);
        while self.0.front().is_some_and(|day| day.number <= newest - SPAN) {
            self.0.pop_front();
        }
    }

    /// Assignments that finished today.
    #[must_use]
    pub fn today(&self, now: Timestamp) -> u32 {
        let today = self.0.iter().rfind(|day| day.number == day_of(now));
        today.map_or(0, |day| day.outcomes.count)
    }

    /// Change of the mean outcome a day.
    #[must_use]
    pub fn success_trend(&self, now: Timestamp) -> Option<f64> {
        self.trend(now, |day| Some((day.outcomes.rate()?, day.outcomes.count)))
    }

    /// Change of the mean quality a day.
    #[must_use]
    pub fn quality_trend(&self, now: Timestamp) -> Option<f64> {
        self.trend(now, |day| Some((day.quality.value()?, day.quality.count)))
    }

    /// Change a day of how much faster than usual the work is done.
    #[must_use]
    pub fn efficiency_trend(&self, now: Timestamp) -> Option<f64> {
        let mut usual = Mean::default();
        for day in self.within(now) {
            usual.count += day.seconds.count;
            usual.sum += day.seconds.sum;
        }
        let usual = usual.value()?;
        self.trend(now, |day| {
            let took = day.seconds.value().filter(|seconds| *seconds > 0.0)?;
            Some((usual / took, day.seconds.count))
        })
    }

    fn within(&self, now: Timestamp) -> impl Iterator<Item = &Day> {
        let today = day_of(now);
        self.0.iter().filter(move |day| (today - SPAN + 1..=today).contains(&day.number))
    }

    #[expect(clippy::cast_precision_loss, reason = "at most 30")]
    fn trend(&self, now: Timestamp, value: impl Fn(&Day) -> Option<(f64, u32)>) -> Option<f64> {
        let today = day_of(now);
        let points: Vec<Point> = self
            .within(now)
            .filter_map(|day| {
                let (value, count) = value(day)?;
                Some(((today - day.number) as f64, value, count))
            })
            .collect();
        let tasks: u32 = points.iter().map(|(_, _, count)| count).sum();
        if tasks < LEAST_TASKS || points.len() < LEAST_DAYS {
            return None;
        }
        slope(&points)
    }
}

/// The slope of the line that fits best, per day, forward in time.
fn slope(points: &[Point]) -> Option<f64> {
    let weighted: Vec<(f64, f64, f64)> = points
        .iter()
        .map(|(age, value, count)| (-age, *value, f64::from(*count) * (-age / HALF_LIFE).exp2()))
        .collect();
    let sum = |of: &dyn Fn(&(f64, f64, f64)) -> f64| weighted.iter().map(of).sum::<f64>();
    let weight = sum(&|point| point.2);
    let (mean_x, mean_y) =
        (sum(&|point| point.2 * point.0) / weight, sum(&|point| point.2 * point.1) / weight);
    let above = sum(&|(x, y, weight)| weight * (x - mean_x) * (y - mean_y));
    let below = sum(&|(x, _, weight)| weight * (x - mean_x) * (x - mean_x));
    (below > 0.0).then(|| above / below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(20_000 * DAY_MS + 5);

    fn before(days: i64) -> Timestamp {
        Timestamp::from_millis(NOW.millis() - days * DAY_MS)
    }

    /// So many successes of ten on each of the last days, the oldest first.
    fn days(successes: &[u32]) -> Days {
        let mut days = Days::default();
        let count = i64::try_from(successes.len()).expect("few");
        for (age, good) in (0..count).rev().zip(successes) {
            for n in 0..10 {
                let outcome = if n < *good { Outcome::Success } else { Outcome::Failure };
                days.add(before(age), outcome, Sample::default());
            }
        }
        days
    }

    #[test]
    fn ten_days_that_get_better_are_told_from_ten_equal_ones() {
        let rising = days(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).success_trend(NOW);
        assert!(rising.is_some_and(|slope| (slope - 0.1).abs() < 1e-9), "{rising:?}");
        assert_eq!(Direction::of(rising), Direction::Improving);
        let equal = days(&[5; 10]).success_trend(NOW);
        assert!(equal.is_some_and(|slope| slope.abs() < 1e-12), "{equal:?}");
        assert_eq!(Direction::of(equal), Direction::Stable);
        let falling = days(&[9, 6, 3]).success_trend(NOW);
        assert_eq!(Direction::of(falling), Direction::Declining);
    }

    #[test]
    fn few_tasks_or_days_say_nothing() {
        let mut few = Days::default();
        for day in 0..9 {
            few.add(before(8 - day), Outcome::Success, Sample::default());
        }
        assert_eq!(Direction::of(few.success_trend(NOW)), Direction::InsufficientData);
        few.add(NOW, Outcome::Success, Sample::default());
        assert!(few.success_trend(NOW).is_some());
        assert_eq!(days(&[1, 9]).success_trend(NOW), None, "two days");
        assert_eq!(days(&[1, 5, 9]).quality_trend(NOW), None, "no quality was told");
        assert_eq!(days(&[1, 5, 9]).success_trend(before(-40)), None, "long ago");
    }

    #[test]
    fn who_gets_faster_gets_more_efficient() {
        let mut days = Days::default();
        for (age, seconds) in [(2, 400.0), (1, 200.0), (0, 100.0)] {
            let sample = Sample { seconds: Some(seconds), quality: Some(0.5) };
            (0..4).for_each(|_| days.add(before(age), Outcome::Success, sample));
        }
        assert_eq!(Direction::of(days.efficiency_trend(NOW)), Direction::Improving);
        assert_eq!(Direction::of(days.quality_trend(NOW)), Direction::Stable);
        assert_eq!((days.today(NOW), days.today(before(-1))), (4, 0));
    }

    proptest! {
        #[test]
        fn days_are_in_order_and_few_whatever_comes_when(
            ages in proptest::collection::vec(0i64..100, 1..60),
        ) {
            let mut days = Days::default();
            for age in &ages {
                days.add(before(*age), Outcome::Partial, Sample::default());
            }
            let numbers: Vec<i64> = days.0.iter().map(|day| day.number).collect();
            prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(numbers.len() <= 30);
            let newest = day_of(before(*ages.iter().min().expect("one")));
            prop_assert_eq!(numbers.last(), Some(&newest));
            if let Some(slope) = days.success_trend(NOW) {
                prop_assert!(slope.abs() < 1e-9);
            }
        }
    }
}
