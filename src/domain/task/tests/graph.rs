//! Times, slack, layers and the critical path.

use super::{FF, FS, SF, SS, flat, id, near, need, task};
use crate::domain::task::Task;
use crate::domain::task::critical_path::Schedule;
use crate::domain::task::forest::{CycleFound, Forest};
use crate::domain::task::graph::Graph;

struct Planned {
    forest: Forest,
    schedule: Schedule,
    path: Vec<u32>,
}

fn planned(tasks: &[Task]) -> Planned {
    let forest = Forest::of(tasks).expect("no loop");
    let graph = Graph::of(&forest).expect("no circle");
    let hours = |leaf: u32| tasks[leaf as usize].expected_hours();
    let schedule = Schedule::of(&forest, &graph, hours);
    let path = schedule.critical_path(&forest, &graph, hours);
    Planned { forest, schedule, path }
}

/// T7: the longest branch decides, not the one with the most hops.
#[test]
fn a_long_branch_is_critical_against_two_short_hops() {
    // 0 → 1 (100 h) → 4, and 0 → 2 → 3 → 4.
    let needs = [(1, 0, FS), (2, 0, FS), (3, 2, FS), (4, 1, FS), (4, 3, FS)];
    let plan = planned(&flat(&[1.0, 100.0, 1.0, 1.0, 1.0], &needs));
    assert_eq!(plan.path, [0, 1, 4]);
    let slack: Vec<f64> = (0..5).map(|leaf| plan.schedule.slack(leaf)).collect();
    assert_eq!(slack, [0.0, 0.0, 98.0, 98.0, 0.0]);
    assert!(near(plan.schedule.end(), 102.0));
    assert_eq!(plan.schedule.layers(&plan.forest), [vec![0], vec![1, 2], vec![3], vec![4]]);
    let times = plan.schedule.times(3);
    assert_eq!((times.earliest_start, times.earliest_finish), (2.0, 3.0));
    assert_eq!((times.latest_start, times.latest_finish, times.layer), (100.0, 101.0, 2));
}

#[test]
fn each_type_moves_what_it_says() {
    let times = |kind| {
        let plan = planned(&flat(&[4.0, 3.0], &[(1, 0, kind)]));
        let times = plan.schedule.times(1);
        ((times.earliest_start, times.earliest_finish, times.layer), plan.path)
    };
    assert_eq!(times(FS), ((4.0, 7.0, 1), vec![0, 1]));
    assert_eq!(times(SS), ((0.0, 3.0, 0), vec![0]));
    assert_eq!(times(FF), ((0.0, 4.0, 0), vec![0]));
    assert_eq!(times(SF), ((0.0, 3.0, 0), vec![0]));
    // 1 starts with 0, whose start hangs on 2.
    let plan = planned(&flat(&[1.0, 9.0, 2.0], &[(0, 2, FS), (1, 0, SS)]));
    assert_eq!(plan.path, [2, 0, 1]);
    assert!(near(plan.schedule.times(1).earliest_start, 2.0));
    assert_eq!(plan.schedule.times(1).layer, 1);
    // 1 cannot end before 0 does, and 3 not before 2 starts.
    let needs = [(1, 0, FF), (2, 1, FS), (3, 2, SF)];
    let plan = planned(&flat(&[8.0, 1.0, 1.0, 2.0], &needs));
    assert!(near(plan.schedule.times(1).earliest_finish, 8.0));
    assert!(near(plan.schedule.times(3).earliest_finish, 8.0));
    assert_eq!(plan.path, [0, 1, 2]);
    assert!(near(plan.schedule.slack(0), 0.0));
}

#[test]
fn equals_are_decided_by_length_and_then_by_age() {
    // 3 hangs on 0, 1 and 2 alike; 1 and 2 are longer because they start later than 0 ends them.
    let plan = planned(&flat(&[2.0, 2.0, 2.0, 1.0], &[(3, 2, FS), (3, 1, FS), (3, 0, FS)]));
    assert_eq!(plan.path, [0, 3]);
    let needs = [(3, 0, FS), (4, 1, FS), (5, 3, FS), (5, 4, FS)];
    let plan = planned(&flat(&[3.0, 1.0, 0.5, 1.0, 3.0, 1.0], &needs));
    assert_eq!(plan.path, [1, 4, 5], "of two bindings the one that takes longer");
    let plan = planned(&flat(&[2.0, 2.0], &[]));
    assert_eq!(plan.path, [0]);
    let plan = planned(&flat(&[0.0; 3], &[(1, 0, FS), (2, 1, FS)]));
    assert_eq!(plan.path, [0], "of equal ends the oldest");
}

#[test]
fn a_dependency_of_a_container_is_one_of_all_its_leaves() {
    // 0 {1: 2 h, 2: 5 h}, 3 {4: 1 h, 5: 1 h} needs 0; 6 needs 3 as a whole.
    let mut tasks = vec![
        task(0, None, 0.0),
        task(1, Some(0), 2.0),
        task(2, Some(0), 5.0),
        task(3, None, 0.0),
        task(4, Some(3), 1.0),
        task(5, Some(3), 3.0),
        task(6, None, 1.0),
    ];
    need(&mut tasks, 3, 0, FS, true);
    need(&mut tasks, 6, 3, FS, true);
    let plan = planned(&tasks);
    assert_eq!(plan.path, [2, 5, 6]);
    assert_eq!(plan.schedule.layers(&plan.forest), [vec![1, 2], vec![4, 5], vec![6]]);
    let starts = [1, 2, 4, 5, 6].map(|leaf| plan.schedule.times(leaf).earliest_start);
    assert_eq!(starts.to_vec(), [0.0, 0.0, 5.0, 5.0, 8.0]);
    let slack = [1, 2, 4, 5, 6].map(|leaf| plan.schedule.slack(leaf));
    assert_eq!(slack.to_vec(), [3.0, 0.0, 2.0, 0.0, 0.0]);
}

#[test]
fn a_circle_is_told_however_it_came_about() {
    let tasks = flat(&[1.0; 4], &[(0, 1, FS), (1, 2, SS), (2, 1, FF), (3, 0, FS)]);
    let forest = Forest::of(&tasks).expect("no loop");
    let CycleFound(circle) = Graph::of(&forest).map(drop).expect_err("a circle");
    assert!(circle == [id(1), id(2), id(1)] || circle == [id(2), id(1), id(2)], "{circle:?}");
    let mut tasks = flat(&[1.0; 2], &[]);
    tasks[0].place.parent_task_id = Some(id(1));
    tasks[1].place.parent_task_id = Some(id(0));
    let CycleFound(circle) = Forest::of(&tasks).map(drop).expect_err("parts of each other");
    assert_eq!(circle.len(), 3);
}

#[test]
fn a_long_chain_of_odd_figures_has_no_slack() {
    let hours: Vec<f64> = (1..2000).map(|number| 0.1 + 1.0 / f64::from(number)).collect();
    let needs: Vec<_> = (1..1999).map(|number| (number, number - 1, FS)).collect();
    let plan = planned(&flat(&hours, &needs));
    assert!((0..1999).all(|leaf| plan.schedule.slack(leaf) == 0.0));
    assert_eq!(plan.path.len(), 1999);
}

#[test]
fn nothing_has_no_path() {
    let plan = planned(&[]);
    assert!(plan.path.is_empty() && plan.schedule.end() == 0.0);
}
