//! What is told of tasks that stand together.

use super::{FS, SS, World, at, flat, id, near, need, task};
use crate::domain::task::estimate::ComplexityLevel;
use crate::domain::task::rollup::{Breakdown, Statistics};
use crate::domain::task::status::TaskStatus;

/// 0 {1: 3 h, 2: 1 h}, 3: 2 h needs 0.
fn some() -> Vec<super::Task> {
    let mut tasks =
        vec![task(0, None, 0.0), task(1, Some(0), 3.0), task(2, Some(0), 1.0), task(3, None, 2.0)];
    need(&mut tasks, 3, 0, FS, true);
    tasks
}

#[test]
fn progress_is_weighted_by_expected_hours() {
    let mut world = World::executing(some());
    world.done(2);
    world.start(1);
    world.task(1).report_progress(50, at(4)).expect("valid");
    let all = Breakdown::of(&world.tasks).expect("no loop");
    assert_eq!(all.progress(id(2)), Some(100.0));
    assert_eq!(all.progress(id(1)), Some(50.0));
    assert_eq!(all.progress(id(0)), Some(62.5));
    assert_eq!(all.progress(id(3)), Some(0.0));
    let mut unknown = flat(&[0.0, 0.0], &[]);
    for task in &mut unknown {
        task.estimate = None;
    }
    let mut world = World::executing(unknown);
    world.done(0);
    let all = Breakdown::of(&world.tasks).expect("no loop");
    assert!(near(all.graph(at(9)).expect("no circle").progress, 50.0), "equal weights");
    assert!(world.task(1).report_progress(100, at(1)).is_err());
}

#[test]
fn a_summary_counts_what_is_below() {
    let mut world = World::executing(some());
    world.done(2);
    world.start(1);
    let all = Breakdown::of(&world.tasks).expect("no loop");
    let summary = all.summary(id(0), at(2 + 7200)).expect("known");
    assert_eq!(
        (summary.total_tasks, summary.completed_tasks, summary.in_progress_tasks),
        (2, 1, 1)
    );
    assert_eq!((summary.failed_tasks, summary.blocked_tasks), (0, 0));
    assert_eq!((summary.elapsed_hours, summary.duration_hours), (Some(2.0), None));
    assert!(near(summary.estimated_remaining_hours, 3.0));
    assert_eq!(summary.status, TaskStatus::InProgress);
    let alone = all.summary(id(2), at(9)).expect("known");
    assert_eq!((alone.total_tasks, alone.duration_hours), (0, Some(1.0 / 3600.0)));
}

#[test]
fn the_graph_shows_leaves_times_and_the_end_to_come() {
    let mut world = World::executing(some());
    let view = Breakdown::of(&world.tasks).expect("no loop").graph(at(1)).expect("no circle");
    let shown: Vec<_> = view.nodes.iter().map(|node| (node.id, node.is_critical)).collect();
    assert_eq!(shown, [(id(0), true), (id(1), true), (id(2), false), (id(3), true)]);
    assert_eq!((view.nodes[0].times.earliest_finish, view.nodes[0].expected_hours), (3.0, 4.0));
    assert_eq!(view.critical_path, [id(1), id(3)]);
    assert_eq!((view.total_estimated_hours, view.eta), (6.0, None));
    assert_eq!(view.layers, [vec![id(1), id(2)], vec![id(3)]]);
    assert_eq!((view.edges.len(), view.edges[0].is_satisfied), (1, false));
    // One hour of work was done in half an hour: what is left, 3 h and then 2 h, takes 2.5 h.
    world.start(2);
    world.now += 1799;
    world.complete(2);
    let all = Breakdown::of(&world.tasks).expect("no loop");
    assert!(near(all.observed_speed().expect("one has completed"), 2.0));
    let eta = all.graph(at(0)).expect("no circle").eta;
    assert_eq!(eta, Some(at(9000)));
}

#[test]
fn a_slow_pace_is_not_believed_without_end() {
    let mut world = World::executing(flat(&[1.0, 1.0], &[]));
    world.start(0);
    world.now += 3600 * 100 - 1;
    world.complete(0);
    let all = Breakdown::of(&world.tasks).expect("no loop");
    let eta = all.graph(at(0)).expect("no circle").eta;
    assert_eq!(eta, Some(at(36_000)), "a tenth of the plan's pace at least");
}

#[test]
fn statistics_count_every_task() {
    let mut world = World::executing(flat(&[0.1, 2.0, 9.0], &[(2, 1, SS)]));
    world.done(0);
    world.start(1);
    let now = at(4 + 7201);
    let told = Statistics::of(&world.tasks, now);
    assert_eq!((told.total_tasks, told.overdue_tasks, told.blocked_tasks), (3, 1, 0));
    assert!(near(told.completion_rate, 1.0 / 3.0));
    assert_eq!(told.average_duration_hours, Some(1.0 / 3600.0));
    assert_eq!(told.tasks_by_status[&TaskStatus::Completed], 1);
    assert_eq!(told.tasks_by_complexity[&ComplexityLevel::Expert], 1);
    let nothing = Statistics::of(&[], now);
    assert_eq!((nothing.completion_rate, nothing.average_duration_hours), (0.0, None));
}

#[test]
fn trees_have_their_parts_in_their_places() {
    let mut tasks = some();
    tasks[1].place.position = 1;
    tasks[2].place.position = 0;
    let all = Breakdown::of(&tasks).expect("no loop");
    let trees = all.trees();
    assert_eq!(trees.iter().map(|tree| tree.id).collect::<Vec<_>>(), [id(0), id(3)]);
    let below: Vec<_> = trees[0].children.iter().map(|part| part.id).collect();
    assert_eq!(below, [id(2), id(1)]);
    assert_eq!(trees[1].dependencies, [id(0)]);
    assert_eq!(all.tree(id(3)), Some(trees[1].clone()));
    assert_eq!(all.tree(id(9)), None);
}
