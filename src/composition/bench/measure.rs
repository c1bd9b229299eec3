//! From rounds to figures: both sides in turns, medians of all rounds.
//!
//! Invariant: a figure comes from at least one round that succeeded; a row whose rounds all failed
//! has no figure and says what went wrong.

use std::time::Duration;

use serde::Serialize;

use super::load::{Measured, Window, drive};
use super::process::{Process, Side};

/// How thoroughly is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Rounds of each side.
    pub(super) rounds: usize,
    /// Not measured, at the beginning of each window.
    pub(super) warm_up: Duration,
    /// Measured in each window.
    pub(super) length: Duration,
    /// Sessions in the stores that are read.
    pub(super) stores: [u64; 2],
}

impl Effort {
    /// Everything, or what fits into two minutes.
    pub(super) const fn new(quick: bool) -> Self {
        let millis = Duration::from_millis;
        if quick {
            return Self {
                rounds: 3,
                warm_up: millis(150),
                length: millis(600),
                stores: [1_000, 10_000],
            };
        }
        Self { rounds: 5, warm_up: millis(500), length: millis(2000), stores: [10_000, 100_000] }
    }

    /// A window of this effort.
    pub(super) const fn window(self, clients: usize) -> Window {
        Window { clients, warm_up: self.warm_up, length: self.length }
    }
}

/// What one side reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Figure {
    /// The median.
    pub(super) value: f64,
    /// Worst and best round.
    pub(super) range: (f64, f64),
    /// Median of the slowest hundredth's beginning, in milliseconds.
    pub(super) p99_ms: Option<f64>,
    /// Median of the server's CPU per operation, in microseconds.
    pub(super) cpu_us: Option<f64>,
    /// Rounds that count.
    pub(super) rounds: usize,
    /// Requests that failed in them.
    pub(super) failed: u64,
}

/// The rounds of both sides.
#[derive(Default)]
pub(super) struct Rounds {
    server: Vec<Measured>,
    probe: Vec<Measured>,
    /// What went wrong first.
    pub(super) trouble: Option<String>,
}

impl Rounds {
    /// Adds a round.
    pub(super) fn add(&mut self, side: Side, measured: anyhow::Result<Measured>) {
        match measured {
            Ok(measured) => {
                if let Some(failure) = &measured.first_failure {
                    self.note(side, failure);
                }
                match side {
                    Side::Server => self.server.push(measured),
                    Side::Probe => self.probe.push(measured),
                }
            }
            Err(error) => self.note(side, &format!("{error:#}")),
        }
    }

    fn note(&mut self, side: Side, text: &str) {
        self.trouble.get_or_insert_with(|| format!("{}: {text}", side.name()));
    }

    /// Whether something went wrong; what fails once mostly fails again, slowly.
    pub(super) const fn are_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// The figures of the server and of the probe.
    pub(super) fn figures(&self) -> (Option<Figure>, Option<Figure>) {
        (figure(&self.server), figure(&self.probe))
    }
}

/// Loads both sides in turns with their own requests.
pub(super) async fn in_turns(
    effort: Effort,
    clients: usize,
    sides: &[&Process],
    requests: impl Fn(&Process) -> Vec<Vec<u8>>,
) -> Rounds {
    let mut rounds = Rounds::default();
    for _ in 0..effort.rounds {
        for process in sides {
            let wanted = requests(process);
            rounds.add(process.side, Ok(drive(process, wanted, effort.window(clients)).await));
        }
    }
    rounds
}

fn figure(rounds: &[Measured]) -> Option<Figure> {
    let good: Vec<&Measured> = rounds.iter().filter(|round| round.per_second > 0.0).collect();
    let values: Vec<f64> = good.iter().map(|round| round.per_second).collect();
    Some(Figure {
        value: median(values.clone())?,
        range: (
            values.iter().copied().fold(f64::INFINITY, f64::min),
            values.iter().copied().fold(0.0, f64::max),
        ),
        p99_ms: median(good.iter().filter_map(|round| round.p99_us).collect()).map(|us| us / 1e3),
        cpu_us: median(good.iter().filter_map(|round| round.cpu_us).collect()),
        rounds: good.len(),
        failed: rounds.iter().map(|round| round.failed).sum(),
    })
}

/// The value in the middle; `None` of nothing.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) && middle > 0 {
        return Some(f64::midpoint(values[middle - 1], values[middle]));
    }
    values.get(middle).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_the_rounds_that_gave_something() {
        let round = |per_second| Measured { per_second, failed: 1, ..Measured::default() };
        let mut rounds = Rounds::default();
        for value in [5.0, 0.0, 1.0, 3.0] {
            rounds.add(Side::Server, Ok(round(value)));
        }
        rounds.add(Side::Probe, Err(anyhow::anyhow!("gone")));
        let (server, probe) = rounds.figures();
        let server = server.expect("as the test says");
        assert_eq!((server.value, server.range, server.rounds), (3.0, (1.0, 5.0), 3));
        assert_eq!(server.failed, 4);
        assert_eq!(probe, None);
        assert_eq!(rounds.trouble.as_deref(), Some("probe: gone"));
    }

    #[test]
    fn medians_of_even_counts_lie_in_between() {
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
