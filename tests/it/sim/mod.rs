//! The simulator: the application on simulated time, store faults, files and agents, all from a seed.
//!
//! A seed that fails is named with the one command that replays it. Bugs are planted on purpose, and
//! each has to be found.

mod agent;
mod caller;
mod calm;
mod demands;
mod files;
mod kept;
mod ledger;
mod life;
mod people;
mod shares;
mod store;
mod time;
mod town;
mod waited;
mod weather;
mod world;

use self::store::Planted;
use self::world::{Outcome, simulate};

/// The simulations are spread over so many tests, which run beside each other.
const PARTS: u64 = 4;

#[expect(clippy::disallowed_methods, reason = "tests have no settings")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Seeds of one part; all parts together are what was asked for.
fn seeds(part: u64) -> impl Iterator<Item = u64> {
    let is_deep = asked("ORCHESTRATOR_DEEP").is_some();
    let count = asked("SIM_SEEDS").unwrap_or(if is_deep { 10_000 } else { 500 });
    (0..count).filter(move |seed| seed % PARTS == part)
}

fn check(seed: u64) -> Outcome {
    let outcome = simulate(seed, None);
    let lines: Vec<String> = outcome.problems.iter().take(20).cloned().collect();
    assert!(
        lines.is_empty(),
        "seed {seed} broke {} invariants:\n{}\nreplay it: make sim SEED={seed}",
        outcome.problems.len(),
        lines.join("\n"),
    );
    outcome
}

fn part(part: u64) {
    let (mut count, mut events) = (0, 0);
    for seed in seeds(part) {
        events += check(seed).events;
        count += 1;
    }
    eprintln!("{count} simulations, {events} events, no invariant broken");
    assert!(events > count * 20, "{events} events in {count} simulations are too few");
}

#[test]
fn no_seed_breaks_an_invariant_part_1() {
    part(0);
}

#[test]
fn no_seed_breaks_an_invariant_part_2() {
    part(1);
}

#[test]
fn no_seed_breaks_an_invariant_part_3() {
    part(2);
}

#[test]
fn no_seed_breaks_an_invariant_part_4() {
    part(3);
}

/// One seed, with everything that was asked and the server's own log: `make sim SEED=7`.
#[test]
fn one_seed() {
    let seed = asked("SIM_SEED");
    if seed.is_some() {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).without_time();
        log.with_writer(std::io::stderr).with_ansi(false).init();
    }
    let seed = seed.unwrap_or(1);
    let outcome = check(seed);
    for (what, count) in outcome.ledger.outcomes() {
        eprintln!("{count:>5} {what}");
    }
    eprintln!("seed {seed}: {} events, digest {:016x}", outcome.events, outcome.digest);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..10 {
        let (first, second) = (simulate(seed, None), simulate(seed, None));
        assert_eq!(first.events, second.events, "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Planted::ALL {
        let found = (0..60).find_map(|seed| {
            let problems = simulate(seed, Some(bug)).problems;
            problems.into_iter().next().map(|first| (seed, first))
        });
        let Some((seed, first)) = found else { panic!("{bug:?} was planted and not found") };
        eprintln!("{bug:?} is found with seed {seed}: {first}");
    }
}
