//! Milliseconds to build a graph of tasks and to find its critical path, and microseconds of one
//! completion and of one dependency more, by how many tasks there are.
//!
//! The goals stand at 100,000 tasks that need three others each: build 100 ms, critical path 30 ms, one
//! completion 20 µs. `nested` has every hundred tasks under a container, and containers that need each
//! other besides.

use std::io::Write as _;

use orchestrator::application::ports::clock::Clock;
use orchestrator::domain::ids::TaskId;
use orchestrator::domain::task::critical_path::Schedule;
use orchestrator::domain::task::dependency::DependencyType;
use orchestrator::domain::task::forest::{Forest, Need, Part};
use orchestrator::domain::task::graph::Graph;
use orchestrator::domain::task::run::{Facts, Options, Run};
use orchestrator::domain::task::status::TaskStatus;
use orchestrator::infrastructure::clock::SystemClock;
use uuid::Uuid;

/// Rounds of a row; the median is told.
const ROUNDS: usize = 5;
/// Dependencies of a task.
const NEEDS: u32 = 3;
/// Tasks of a container.
const PARTS: u32 = 100;
/// How far back a task needs others.
const REACH: u64 = 1_000;

/// A sequence of numbers that is the same in every run.
struct Chance(u64);

impl Chance {
    /// Below this bound.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

/// Ids as they are made one after the other: a time in front and chance behind.
fn id(number: u32) -> TaskId {
    let time = u128::from(number / 10) << 80;
    let chance = u128::from(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    TaskId::new(Uuid::from_u128(time | u128::from(number) << 64 | chance))
}

struct Shape {
    parts: Vec<Part>,
    needs: Vec<Need>,
    hours: Vec<f64>,
}

fn shape(count: u32, is_nested: bool) -> Shape {
    let mut chance = Chance(7);
    let mut made = Shape { parts: Vec::new(), needs: Vec::new(), hours: Vec::new() };
    let is_container = |number: u32| is_nested && number.is_multiple_of(PARTS);
    for number in 0..count {
        let container = number - number % PARTS;
        let parent = (is_nested && !is_container(number)).then(|| id(container));
        made.parts.push(Part { id: id(number), parent });
        let hours = u32::try_from(chance.below(80)).unwrap_or_default();
        made.hours.push(f64::from(hours) / 10.0 + 0.1);
        let need = |target: u32, kind: DependencyType| Need {
            source: id(number),
            target: id(target),
            kind,
            is_required: true,
        };
        if is_container(number) {
            let before = (1..=NEEDS).filter_map(|back| number.checked_sub(back * PARTS));
            made.needs.extend(before.map(|target| need(target, DependencyType::FinishToStart)));
            continue;
        }
        // Within a container only on the tasks of its own; else on any of the last thousand.
        let first = if is_nested { container + 1 } else { 0 };
        let mut targets: Vec<u32> = Vec::new();
        for _ in 0..NEEDS {
            let reach = u64::from(number - first).min(REACH);
            let back = u32::try_from(1 + chance.below(reach)).unwrap_or(1);
            let kind = DependencyType::ALL[usize::try_from(chance.below(8)).unwrap_or(0) % 5 % 4];
            if reach > 0 && !targets.contains(&(number - back)) {
                targets.push(number - back);
                made.needs.push(need(number - back, kind));
            }
        }
    }
    made
}

/// Nanoseconds of one unit of work, of so many.
fn each(clock: &SystemClock, count: u32, work: impl FnOnce()) -> f64 {
    let began = clock.now();
    work();
    clock.now().since(began).as_secs_f64() * 1e9 / f64::from(count)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Carries a whole graph out as its course says; how many leaves that were.
fn carry_out(mut run: Run) -> u32 {
    let mut done = 0;
    loop {
        let ready: Vec<TaskId> = run.next().take(run.free_places() as usize).collect();
        if ready.is_empty() {
            break;
        }
        for task in ready {
            let works = Facts { status: TaskStatus::InProgress, has_started: true, ..Facts::NEW };
            run.note(task, works);
            let gates = run.gates(task);
            let status = if gates.finish { TaskStatus::Completed } else { TaskStatus::Blocked };
            run.note(task, Facts { status, is_done: true, ..works });
            done += 1;
        }
    }
    assert!(run.outcome().is_some(), "the graph came to its end");
    done
}

fn row(count: u32, is_nested: bool, clock: &SystemClock) -> String {
    let shape = shape(count, is_nested);
    let hours = |leaf: u32| shape.hours[leaf as usize];
    let build = || Forest::build(&shape.parts, shape.needs.iter().copied()).expect("no loop");
    let again = (1_000_000 / count).clamp(5, 200);
    let mut figures: [Vec<f64>; 5] = Default::default();
    let mut done = 0;
    for _ in 0..ROUNDS {
        figures[0].push(each(clock, again, || {
            for _ in 0..again {
                drop(Graph::of(&build()).expect("no circle"));
            }
        }));
        let forest = build();
        let graph = Graph::of(&forest).expect("no circle");
        figures[1].push(each(clock, again, || {
            for _ in 0..again {
                let schedule = Schedule::of(&forest, &graph, hours);
                drop(schedule.critical_path(&forest, &graph, hours));
            }
        }));
        let schedule = Schedule::of(&forest, &graph, hours);
        let options = Options::accept(Some(50), None).expect("valid");
        let begin =
            || Run::begin(forest.clone(), vec![Facts::NEW; forest.len()], &schedule, options).0;
        figures[2].push(each(clock, again, || {
            for _ in 0..again {
                drop(begin());
            }
        }));
        let courses: Vec<Run> = (0..(200_000 / count).clamp(1, 100)).map(|_| begin()).collect();
        let leaves: u32 = courses.len().try_into().unwrap_or(1) * count;
        figures[3].push(each(clock, leaves, || {
            for run in courses {
                done = carry_out(run);
            }
        }));
        let mut chance = Chance(11);
        figures[4].push(each(clock, 100, || {
            for _ in 0..100 {
                let mut any = || u32::try_from(chance.below(u64::from(count))).unwrap_or(0);
                drop(forest.unfit(id(any()), id(any())));
            }
        }));
    }
    let [plan, path, course, completed, check] = figures.map(median);
    let scale = f64::from(count) / f64::from(done.max(1));
    format!(
        "{count:>8} {:>8} {:>8} {:>12.2} {:>12.2} {:>12.2} {:>12.2} {:>12.2}",
        shape.needs.len(),
        if is_nested { "nested" } else { "flat" },
        plan / 1e6,
        path / 1e6,
        course / 1e6,
        completed / 1e3 * scale,
        check / 1e3,
    )
}

fn main() {
    let clock = SystemClock::new();
    let mut out = std::io::stdout();
    write!(out, "{:>8} {:>8} {:>8}", "tasks", "needs", "shape").expect("written");
    for head in ["build ms", "path ms", "begin ms", "complete µs", "check µs"] {
        write!(out, " {head:>12}").expect("written");
    }
    writeln!(out).expect("written");
    for count in [1_000, 10_000, 100_000] {
        for is_nested in [false, true] {
            let line = row(count, is_nested, &clock);
            writeln!(out, "{line}").expect("written");
        }
    }
}
