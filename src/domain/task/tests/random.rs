//! Any graph: what is accepted has an order, its times are those of the plain formulas, and its course
//! keeps what must hold whatever happens.

use proptest::prelude::*;

use super::{World, cases, id, near, need, task};
use crate::domain::task::Task;
use crate::domain::task::critical_path::Schedule;
use crate::domain::task::dependency::{DependencyType, Gate};
use crate::domain::task::forest::{Forest, Unfit};
use crate::domain::task::graph::Graph;
use crate::domain::task::run::{Options, Run};
use crate::domain::task::spec::OnUpstreamFailure;
use crate::domain::task::status::{TaskStatus, Trigger};

type Shape = (Vec<(u32, u8)>, Vec<(u32, u32, usize, bool)>);

/// Up to a dozen tasks, some of them parts of earlier ones, and links as they come.
fn shapes() -> impl Strategy<Value = Shape> {
    let tasks = proptest::collection::vec((0..20u32, 0..6u8), 1..13);
    let links = proptest::collection::vec(
        (0..12u32, 0..12u32, 0..4usize, proptest::bool::weighted(0.8)),
        0..20,
    );
    (tasks, links)
}

fn tasks_of(shape: &Shape) -> Vec<Task> {
    let numbered = (0u32..).zip(&shape.0);
    let mut tasks: Vec<Task> = numbered
        .map(|(number, (parent, hours))| {
            // About half are roots; a parent is always older.
            let parent = (number > 0 && *parent < 10).then(|| parent % number);
            task(number, parent, f64::from(*hours))
        })
        .collect();
    for (source, target, kind, is_required) in &shape.1 {
        let forest = Forest::of(&tasks).expect("parents are older");
        if forest.unfit(id(*source), id(*target)).is_none() {
            let known = &tasks[*source as usize].dependencies;
            if known.iter().all(|one| one.target_task_id != id(*target)) {
                need(&mut tasks, *source, *target, DependencyType::ALL[*kind], *is_required);
            }
        }
    }
    tasks
}

/// Links between leaves, written out pair by pair.
fn pairs(tasks: &[Task], forest: &Forest) -> Vec<(u32, u32, DependencyType)> {
    let mut pairs = Vec::new();
    for (number, task) in (0u32..).zip(tasks) {
        for dependency in task.dependencies.iter().filter(|one| one.is_required) {
            let target = forest.number(dependency.target_task_id).expect("known");
            for source in forest.leaves(number) {
                for needed in forest.leaves(target) {
                    pairs.push((source, needed, dependency.dependency_type));
                }
            }
        }
    }
    pairs
}

/// Domain 4.5, formula by formula, until nothing moves.
fn plain(tasks: &[Task], forest: &Forest) -> (Vec<[f64; 4]>, Vec<u32>, f64) {
    let count = tasks.len();
    let hours: Vec<f64> = tasks.iter().map(Task::expected_hours).collect();
    let pairs = pairs(tasks, forest);
    let leaves: Vec<usize> =
        (0..count).filter(|task| forest.is_leaf(u32::try_from(*task).expect("small"))).collect();
    let (mut start, mut finish, mut layer) = (vec![0.0; count], hours.clone(), vec![0; count]);
    for _ in 0..=count {
        for leaf in &leaves {
            let of = |pair: &&(u32, u32, DependencyType)| pair.0 as usize == *leaf;
            let (mut begins, mut ends, mut deep) = (0.0f64, 0.0f64, 0);
            for (_, target, kind) in pairs.iter().filter(of) {
                let target = *target as usize;
                match kind {
                    DependencyType::FinishToStart => {
                        begins = begins.max(finish[target]);
                        deep = deep.max(layer[target] + 1);
                    }
                    DependencyType::StartToStart => {
                        begins = begins.max(start[target]);
                        deep = deep.max(layer[target]);
                    }
                    DependencyType::FinishToFinish => ends = ends.max(finish[target]),
                    DependencyType::StartToFinish => ends = ends.max(start[target]),
                }
            }
            start[*leaf] = begins;
            finish[*leaf] = ends.max(begins + hours[*leaf]);
            layer[*leaf] = deep;
        }
    }
    let end = leaves.iter().map(|leaf| finish[*leaf]).fold(0.0, f64::max);
    let (mut latest, mut due) = (vec![end; count], vec![end; count]);
    for _ in 0..=count {
        for leaf in &leaves {
            let on = |pair: &&(u32, u32, DependencyType)| pair.1 as usize == *leaf;
            let (mut begins, mut ends) = (f64::INFINITY, end);
            for (source, _, kind) in pairs.iter().filter(on) {
                let source = *source as usize;
                match kind {
                    DependencyType::FinishToStart => ends = ends.min(latest[source]),
                    DependencyType::FinishToFinish => ends = ends.min(due[source]),
                    DependencyType::StartToStart => begins = begins.min(latest[source]),
                    DependencyType::StartToFinish => begins = begins.min(due[source]),
                }
            }
            due[*leaf] = ends;
            latest[*leaf] = begins.min(ends - hours[*leaf]);
        }
    }
    let times = (0..count).map(|leaf| [start[leaf], finish[leaf], latest[leaf], due[leaf]]);
    (times.collect(), layer, end)
}

proptest! {
    #![proptest_config(cases(1_500))]

    /// T5: what is accepted one by one has an order, and what is refused has none.
    #[test]
    fn a_link_is_refused_exactly_when_it_closes_a_circle(
        shape in shapes(), source in 0..12u32, target in 0..12u32,
    ) {
        let mut tasks = tasks_of(&shape);
        let forest = Forest::of(&tasks).expect("parents are older");
        prop_assert!(Graph::of(&forest).is_ok());
        let unfit = forest.unfit(id(source), id(target));
        if let None | Some(Unfit::Cycle(_)) = unfit {
            need(&mut tasks, source, target, DependencyType::FinishToStart, true);
            let forest = Forest::of(&tasks).expect("parents are older");
            prop_assert_eq!(Graph::of(&forest).is_err(), unfit.is_some());
        }
        if let Some(Unfit::Cycle(circle)) = unfit {
            prop_assert_eq!(circle.first(), Some(&id(source)));
            prop_assert_eq!(circle.first(), circle.last());
            prop_assert_eq!(circle[1], id(target));
            // Each step is a dependency that somebody gave, or goes between a whole and its part.
            let place = |task: &crate::domain::ids::TaskId| forest.number(*task).expect("known");
            for step in circle[1..].windows(2) {
                let (from, to) = (place(&step[0]), place(&step[1]));
                let given = forest.needs(from).iter().any(|link| link.target == to);
                let within = forest.whole(from).contains(&to) || forest.whole(to).contains(&from);
                prop_assert!(given || within, "{:?}", circle);
            }
        }
    }

    /// T7: times, slack and layers are those of the formulas; what is critical has no slack where all
    /// is finish-to-start.
    #[test]
    fn times_are_those_of_the_formulas(shape in shapes()) {
        let tasks = tasks_of(&shape);
        let forest = Forest::of(&tasks).expect("no loop");
        let graph = Graph::of(&forest).expect("no circle");
        let hours = |leaf: u32| tasks[leaf as usize].expected_hours();
        let schedule = Schedule::of(&forest, &graph, hours);
        let (times, layers, end) = plain(&tasks, &forest);
        prop_assert!(near(schedule.end(), end));
        for leaf in (0..u32::try_from(tasks.len()).expect("small")).filter(|leaf| forest.is_leaf(*leaf)) {
            let (got, [start, finish, latest, due]) = (schedule.times(leaf), times[leaf as usize]);
            prop_assert!(near(got.earliest_start, start), "{:?} {:?}", got, times[leaf as usize]);
            prop_assert!(near(got.earliest_finish, finish), "{:?} {:?}", got, times[leaf as usize]);
            prop_assert!(near(got.latest_start, latest), "{:?} {:?}", got, times[leaf as usize]);
            prop_assert!(near(got.latest_finish, due), "{:?} {:?}", got, times[leaf as usize]);
            prop_assert!(got.slack >= 0.0 && near(got.slack, latest - start));
            prop_assert_eq!(got.layer, layers[leaf as usize]);
        }
        let path = schedule.critical_path(&forest, &graph, hours);
        let pairs = pairs(&tasks, &forest);
        let last = *path.last().expect("there is a leaf");
        prop_assert!(near(schedule.times(last).earliest_finish, end));
        for step in path.windows(2) {
            prop_assert!(pairs.iter().any(|(source, target, _)| (*target, *source) == (step[0], step[1])));
        }
        if pairs.iter().all(|(_, _, kind)| *kind == DependencyType::FinishToStart) {
            for leaf in &path {
                prop_assert!(schedule.slack(*leaf) == 0.0, "{:?}", path);
            }
            let sum: f64 = path.iter().map(|leaf| hours(*leaf)).sum();
            prop_assert!(near(sum, end));
        }
    }

    /// T6, T8 and T17: whatever happens, what the course says is what one who looks at everything anew
    /// would say; nothing starts against its gates, and it ends.
    #[test]
    fn a_course_is_what_everybody_would_see(
        shape in shapes(),
        policies in proptest::collection::vec((0..3usize, 0..2u32), 12),
        acts in proptest::collection::vec((0..7u8, 0..12usize), 0..60),
        limit in 1..4u32,
        fail_fast in proptest::bool::weighted(0.1),
    ) {
        let mut tasks = tasks_of(&shape);
        for (task, (policy, retries)) in tasks.iter_mut().zip(&policies) {
            task.spec.on_upstream_failure = OnUpstreamFailure::ALL[*policy];
            task.spec.max_retries = *retries;
        }
        let options = Options::accept(Some(limit), Some(fail_fast)).expect("valid");
        let mut world = World::of(tasks, options);
        for (act, which) in acts {
            step(&mut world, act, which);
            let active = world.tasks.iter().filter(|task| {
                task.status().is_active() && leaf(&world, task)
            });
            prop_assert!(active.count() <= limit as usize);
            check(&world, options)?;
        }
        // Whoever goes on comes to an end: only what waits for a decision is left.
        for _ in 0..200 {
            let next = world.next();
            let Some(number) = next.first() else { break };
            world.done(*number);
        }
        for number in 0..u32::try_from(world.tasks.len()).expect("small") {
            let is_leaf = leaf(&world, &world.tasks[number as usize]);
            if is_leaf && world.status(number) == TaskStatus::Paused {
                world.start(number);
            }
            if is_leaf && world.status(number) == TaskStatus::InProgress {
                world.complete(number);
            }
        }
        for _ in 0..200 {
            let next = world.next();
            let Some(number) = next.first() else { break };
            world.done(*number);
        }
        check(&world, options)?;
        let waits = world.tasks.iter().any(|task| {
            task.status() == TaskStatus::Blocked && leaf(&world, task)
        });
        prop_assert_eq!(world.run.outcome().is_none(), waits, "{:?}", world.statuses());
        prop_assert_eq!(world.run.is_stuck(), waits);
    }
}

fn leaf(world: &World, task: &Task) -> bool {
    let forest = world.run.forest();
    forest.is_leaf(forest.number(task.id).expect("known"))
}

/// Somebody does something that the tables allow here.
fn step(world: &mut World, act: u8, which: usize) {
    let fits = |task: &&Task, statuses: &[TaskStatus]| {
        leaf(world, task) && statuses.contains(&task.status())
    };
    let pick = |statuses: &[TaskStatus]| {
        let found: Vec<u32> = (0u32..)
            .zip(&world.tasks)
            .filter(|(_, task)| fits(task, statuses))
            .map(|(number, _)| number)
            .collect();
        (!found.is_empty()).then(|| found[which % found.len()])
    };
    let active = [TaskStatus::InProgress];
    let open = [
        TaskStatus::Pending,
        TaskStatus::Ready,
        TaskStatus::Blocked,
        TaskStatus::Assigned,
        TaskStatus::InProgress,
        TaskStatus::Paused,
    ];
    let chosen = match act {
        0..=2 => world.next().first().copied().map(|number| (number, act)),
        3 => pick(&active).map(|number| (number, act)),
        4 => pick(&active).map(|number| (number, act)),
        5 => pick(&open).map(|number| (number, act)),
        _ => pick(&[TaskStatus::Failed, TaskStatus::InProgress]).map(|number| (number, act)),
    };
    match chosen {
        Some((number, 0..=2)) => world.start(number),
        Some((number, 3)) => world.complete(number),
        Some((number, 4)) => world.fail(number),
        Some((number, 5)) => {
            world.act(number, |task, _, cause| drop(task.step(Trigger::Cancel, cause)));
        }
        Some((number, _)) => world.act(number, |task, _, cause| {
            let verb =
                if task.status() == TaskStatus::Failed { Trigger::Retry } else { Trigger::Pause };
            task.step(verb, cause).expect("legal");
        }),
        None => {}
    }
}

fn check(world: &World, options: Options) -> Result<(), TestCaseError> {
    // One who begins with what is stored decides nothing, and sees the same.
    let (fresh, decisions) = Run::of(&world.tasks, options).expect("no circle");
    let decisions: Vec<_> = decisions
        .into_iter()
        .filter(|one| !matches!(one, crate::domain::task::run::Decision::Review { .. }))
        .collect();
    prop_assert!(decisions.is_empty(), "{:?} in {:?}", decisions, world.statuses());
    prop_assert_eq!(fresh.leaves(), world.run.leaves());
    prop_assert_eq!(fresh.next().collect::<Vec<_>>(), world.run.next().collect::<Vec<_>>());
    for task in &world.tasks {
        prop_assert_eq!(fresh.gates(task.id), world.run.gates(task.id));
        prop_assert_eq!(fresh.facts(task.id), world.run.facts(task.id));
    }
    // Gates as 4.4 has them, looked at one by one.
    for task in world.tasks.iter().filter(|task| leaf(world, task)) {
        let gates = world.run.gates(task.id);
        let forest = world.run.forest();
        let own = forest.number(task.id).expect("known");
        let holders: Vec<u32> = std::iter::once(own).chain(forest.ancestors(own)).collect();
        let shut = holders.iter().any(|holder| is_shut(world, *holder, Gate::Start));
        prop_assert_eq!(gates.start, !shut);
        prop_assert_eq!(gates.finish, !is_shut(world, own, Gate::Finish));
        if task.status() == TaskStatus::Ready {
            prop_assert!(gates.start);
        }
        if task.status() == TaskStatus::Blocked {
            let is_open = if task.work.is_done { gates.finish } else { gates.start };
            prop_assert!(!is_open);
        }
    }
    Ok(())
}

fn is_shut(world: &World, number: u32, gate: Gate) -> bool {
    let holder = &world.tasks[number as usize];
    holder.dependencies.iter().any(|one| {
        let target = world.run.facts(one.target_task_id).expect("known");
        let seen = crate::domain::task::dependency::Target {
            status: target.status,
            has_started: target.has_started,
            has_retries_left: target.retries_left > 0,
        };
        let ignored = holder.spec.on_upstream_failure == OnUpstreamFailure::Ignore;
        one.is_required
            && one.dependency_type.gate() == gate
            && !one.dependency_type.is_satisfied(seen)
            && !(seen.is_lost() && ignored)
    })
}
