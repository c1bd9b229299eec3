//! The course of a graph: who is next, what rolls up, how it ends.

use serde_json::json;

use super::{FF, FS, World, flat, id, need, task};
use crate::domain::session::status::SessionStatus;
use crate::domain::task::Task;
use crate::domain::task::run::Options;
use crate::domain::task::spec::{OnUpstreamFailure, TaskPriority};
use crate::domain::task::status::{TaskStatus, Trigger};

use SessionStatus as E;
use TaskStatus as S;

/// T17: leaves run in the order of their dependencies, critical ones first.
#[test]
fn the_critical_leaf_is_next_and_the_urgent_one_among_equals() {
    // 0 → 1 is the long way; 2 to 5 stand alone.
    let mut tasks = flat(&[1.0, 9.0, 2.0, 3.0, 3.0, 3.0], &[(1, 0, FS)]);
    tasks[4].spec.priority = TaskPriority::Blocker;
    let world = World::executing(tasks);
    // Slack: 0 none, 3 to 5 seven hours, 2 eight; among equals the urgent one, then the older.
    assert_eq!(world.next(), [0, 4, 3, 5, 2]);
}

/// T17: of two that can wait equally long, the one that more hangs on is next.
#[test]
fn of_equal_slack_the_longer_path_is_next() {
    // 0 → 1 and 2 → 3 are equally long; what is left of the second is longer.
    let mut world = World::executing(flat(&[4.0, 1.0, 1.0, 4.0], &[(1, 0, FS), (3, 2, FS)]));
    assert_eq!(world.next(), [0, 2], "equal in everything: the older");
    world.done(0);
    world.done(2);
    assert_eq!(world.next(), [3, 1]);
}

/// T17: never more than `max_parallel` at a time, and none while the root is held.
#[test]
fn no_more_than_the_limit_are_given_out() {
    let options = Options::accept(Some(2), None).expect("valid");
    let mut world = World::of(flat(&[1.0; 4], &[]), options);
    assert_eq!((world.run.free_places(), world.next()), (2, vec![0, 1, 2, 3]));
    world.start(0);
    world.start(2);
    assert_eq!((world.run.free_places(), world.next()), (0, Vec::new()));
    world.act(2, |task, _, cause| drop(task.step(Trigger::Pause, cause)));
    assert_eq!(world.run.free_places(), 0, "it comes back to its place");
    world.complete(0);
    assert_eq!((world.run.free_places(), world.next()), (1, vec![1, 3]));
    world.run.hold(true);
    assert_eq!((world.run.free_places(), world.next()), (0, Vec::new()));
    world.run.hold(false);
    assert_eq!(world.next(), [1, 3]);
    for (limit, fits) in [(0, false), (1, true), (50, true), (51, false)] {
        assert_eq!(Options::accept(Some(limit), None).is_ok(), fits, "{limit}");
    }
    let usual = Options::accept(None, None).expect("valid");
    assert_eq!((usual.max_parallel, usual.fail_fast), (5, false));
}

/// T17: the root ends as in 6.4.
#[test]
fn the_root_ends_as_its_leaves_do() {
    let ended = |acts: &[fn(&mut World, u32)]| {
        let mut tasks = flat(&[1.0; 3], &[]);
        tasks.truncate(acts.len());
        let mut world = World::executing(tasks);
        for (number, act) in (0..).zip(acts) {
            assert_eq!(world.run.outcome(), None);
            act(&mut world, number);
        }
        let outcome = world.run.outcome().expect("all have ended");
        (outcome.status, outcome.success_rate)
    };
    let done: fn(&mut World, u32) = World::done;
    let failed: fn(&mut World, u32) = |world, number| {
        world.start(number);
        world.fail(number);
    };
    let cancelled: fn(&mut World, u32) = |world, number| {
        world.act(number, |task, _, cause| drop(task.step(Trigger::Cancel, cause)));
    };
    let skipped: fn(&mut World, u32) = |world, number| {
        world.act(number, |task, _, cause| drop(task.step(Trigger::Skip, cause)));
    };
    let partly: fn(&mut World, u32) = |world, number| {
        world.start(number);
        world.act(number, |task, gates, cause| {
            let result = serde_json::json!({ "partial": true }).as_object().cloned();
            task.complete(result, gates, cause).expect("legal");
        });
    };
    assert_eq!(ended(&[done, done]), (E::Completed, 1.0));
    assert_eq!(ended(&[done, failed]), (E::PartiallyCompleted, 0.5));
    assert_eq!(ended(&[done, skipped]), (E::PartiallyCompleted, 0.5));
    assert_eq!(ended(&[cancelled, done]), (E::PartiallyCompleted, 0.5));
    assert_eq!(ended(&[done, partly]), (E::PartiallyCompleted, 0.75));
    assert_eq!(ended(&[partly]), (E::PartiallyCompleted, 0.5));
    assert_eq!(ended(&[failed, skipped, cancelled]), (E::Failed, 0.0));
}

/// 0 {1, 2 {3, 4}}, 5.
fn nested() -> Vec<Task> {
    vec![
        task(0, None, 0.0),
        task(1, Some(0), 1.0),
        task(2, Some(0), 0.0),
        task(3, Some(2), 1.0),
        task(4, Some(2), 1.0),
        task(5, None, 1.0),
    ]
}

#[test]
fn containers_come_to_what_their_parts_come_to() {
    let mut tasks = nested();
    need(&mut tasks, 5, 0, FS, true);
    let mut world = World::executing(tasks);
    assert_eq!(world.status(5), S::Blocked);
    assert_eq!((world.status(0), world.status(2)), (S::Pending, S::Pending));
    world.act(3, |task, gates, cause| drop(task.assign(None, None, gates, cause)));
    assert_eq!((world.status(0), world.status(2)), (S::Assigned, S::Assigned));
    world.start(3);
    assert_eq!((world.status(0), world.status(2)), (S::InProgress, S::InProgress));
    assert!(world.task(2).work.started_at.is_some());
    world.complete(3);
    world.act(4, |task, _, cause| drop(task.step(Trigger::Skip, cause)));
    assert_eq!((world.status(0), world.status(2)), (S::InProgress, S::Completed));
    world.done(1);
    assert_eq!((world.status(0), world.status(5)), (S::Completed, S::Ready));
    world.done(5);
    let outcome = world.run.outcome().expect("ended");
    assert_eq!(outcome.status, SessionStatus::PartiallyCompleted);
}

#[test]
fn every_mixture_of_ends_gives_what_the_specification_says() {
    let ends = [S::Completed, S::Failed, S::Cancelled, S::Skipped];
    for first in ends {
        for second in ends {
            let mut world = World::executing(vec![
                task(0, None, 0.0),
                task(1, Some(0), 1.0),
                task(2, Some(0), 1.0),
            ]);
            for (number, end) in [(1, first), (2, second)] {
                match end {
                    S::Completed => world.done(number),
                    S::Failed => {
                        world.start(number);
                        world.fail(number);
                    }
                    S::Cancelled | S::Skipped => world.act(number, |task, _, cause| {
                        let verb = if end == S::Skipped { Trigger::Skip } else { Trigger::Cancel };
                        task.step(verb, cause).expect("legal");
                    }),
                    S::Pending
                    | S::Ready
                    | S::Assigned
                    | S::InProgress
                    | S::Blocked
                    | S::Paused => {
                        unreachable!("no end")
                    }
                }
            }
            let both = [first, second];
            let expected = if both == [S::Skipped; 2] {
                S::Skipped
            } else if both == [S::Cancelled; 2] {
                S::Cancelled
            } else if both.iter().all(|end| [S::Completed, S::Skipped].contains(end)) {
                S::Completed
            } else {
                S::Failed
            };
            assert_eq!(world.status(0), expected, "{first} and {second}");
        }
    }
}

#[test]
fn leaves_inherit_the_start_gates_of_their_wholes_and_what_is_lost_with_them() {
    let mut tasks = nested();
    need(&mut tasks, 0, 5, FS, true);
    let mut world = World::executing(tasks.clone());
    assert_eq!([1, 3, 4].map(|leaf| world.status(leaf)), [S::Blocked; 3]);
    assert!(world.run.is_blocked(id(3)) && world.run.is_blocked(id(0)));
    world.done(5);
    assert_eq!([1, 3, 4].map(|leaf| world.status(leaf)), [S::Ready; 3]);
    // The policy is that of the task that has the dependency.
    tasks[3].spec.on_upstream_failure = OnUpstreamFailure::Ignore;
    let mut world = World::executing(tasks);
    world.start(5);
    world.fail(5);
    assert_eq!([0, 1, 2, 3, 4].map(|task| world.status(task)), [S::Skipped; 5]);
    assert_eq!(world.run.outcome().expect("ended").status, SessionStatus::Failed);
}

#[test]
fn a_container_waits_for_the_gates_of_its_end() {
    let mut tasks = nested();
    need(&mut tasks, 2, 5, FF, true);
    let mut world = World::executing(tasks);
    world.done(3);
    world.done(4);
    assert_eq!((world.status(2), world.status(0)), (S::Blocked, S::InProgress));
    world.done(5);
    assert_eq!((world.status(2), world.status(0)), (S::Completed, S::InProgress));
}

#[test]
fn the_first_failure_that_stays_can_end_everything() {
    let mut tasks = flat(&[1.0; 5], &[(4, 0, FS)]);
    tasks[1].spec.max_retries = 1;
    let options = Options::accept(None, Some(true)).expect("valid");
    let mut world = World::of(tasks, options);
    world.done(0);
    world.start(1);
    world.start(2);
    world.fail(1);
    assert_eq!(world.statuses(), [S::Completed, S::Ready, S::InProgress, S::Ready, S::Ready]);
    world.start(1);
    world.fail(1);
    let expected = [S::Completed, S::Failed, S::Cancelled, S::Cancelled, S::Cancelled];
    assert_eq!(world.statuses(), expected);
    let outcome = world.run.outcome().expect("ended");
    assert_eq!((outcome.leaves.completed, outcome.leaves.cancelled), (1, 3));
    assert_eq!(outcome.payload(), json!({ "completed": 1, "failed": 1, "skipped": 0 }));
}

#[test]
fn only_what_failed_is_tried_again() {
    let mut tasks = nested();
    tasks[5].spec.on_upstream_failure = OnUpstreamFailure::Block;
    need(&mut tasks, 5, 0, FS, true);
    let mut world = World::executing(tasks);
    world.done(1);
    world.done(3);
    world.start(4);
    world.fail(4);
    assert_eq!(
        (world.status(2), world.status(0), world.status(5)),
        (S::Failed, S::Failed, S::Blocked)
    );
    assert_eq!(world.reviews, [id(5)]);
    let decisions = world.run.retry_failed();
    world.carry_out(decisions);
    assert_eq!(
        world.statuses(),
        [S::InProgress, S::Completed, S::InProgress, S::Completed, S::Ready, S::Blocked]
    );
    assert_eq!((world.task(4).work.attempt, world.task(3).work.attempt), (2, 1));
    world.done(4);
    world.done(5);
    assert_eq!(world.run.outcome().expect("ended").status, SessionStatus::Completed);
}

#[test]
fn a_whole_is_cancelled_or_left_out_with_everything_below_it() {
    let mut world = World::executing(nested());
    world.start(3);
    let decisions = world.run.skip(id(0));
    world.carry_out(decisions);
    assert_eq!(
        world.statuses(),
        [S::InProgress, S::Skipped, S::InProgress, S::InProgress, S::Skipped, S::Ready]
    );
    let decisions = world.run.cancel(id(0));
    world.carry_out(decisions);
    assert_eq!([0, 2, 3].map(|task| world.status(task)), [S::Failed, S::Failed, S::Cancelled]);
    assert_eq!(world.status(5), S::Ready);
}
