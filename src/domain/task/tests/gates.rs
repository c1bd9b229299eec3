//! What one task may need of another one, and when that is there.

use uuid::Uuid;

use super::{FF, FS, SF, SS, World, at, flat, forest, id, need, task};
use crate::domain::event::EventType;
use crate::domain::ids::{DependencyId, TaskId};
use crate::domain::task::Task;
use crate::domain::task::dependency::{
    Dependency, DependencyDraft, DependencyRefused, DependencyType, Gate, Target,
};
use crate::domain::task::forest::{Forest, Unfit};
use crate::domain::task::life::Gates;
use crate::domain::task::run::Options;
use crate::domain::task::spec::OnUpstreamFailure;
use crate::domain::task::status::{TaskStatus, Trigger};

fn add(
    tasks: &mut [Task],
    source: u32,
    target: u32,
    kind: DependencyType,
) -> Result<Dependency, DependencyRefused> {
    let forest = Forest::of(tasks).expect("no loop");
    let draft = DependencyDraft { dependency_type: Some(kind), ..DependencyDraft::on(id(target)) };
    let known = DependencyId::new(Uuid::from_u128(7));
    let task = tasks.iter_mut().find(|task| task.id == id(source)).expect("a task");
    task.depend(known, draft, &forest).cloned()
}

fn code(refused: Result<Dependency, DependencyRefused>) -> &'static str {
    match refused.expect_err("refused") {
        DependencyRefused::Invalid(errors) => errors[0].code,
        DependencyRefused::Cycle(_) => "cycle",
        DependencyRefused::AlreadyStarted => "started",
    }
}

/// T5: what no task can depend on.
#[test]
fn self_duplicates_and_ancestors_are_refused() {
    // 0 is the whole of 1, which is the whole of 2; 3 stands beside.
    let mut tasks =
        vec![task(0, None, 1.0), task(1, Some(0), 1.0), task(2, Some(1), 1.0), task(3, None, 1.0)];
    assert_eq!(code(add(&mut tasks, 3, 3, FS)), "self");
    for (source, target) in [(2, 0), (0, 2), (2, 1), (0, 1)] {
        assert_eq!(code(add(&mut tasks, source, target, FS)), "ancestor");
    }
    assert_eq!(code(add(&mut tasks, 3, 9, FS)), "unknown");
    let added = add(&mut tasks, 3, 2, FS).expect("fits");
    assert_eq!((added.dependency_type, added.is_required), (FS, true));
    assert_eq!(code(add(&mut tasks, 3, 2, SS)), "duplicate");
    let long = DependencyDraft { description: Some("x".repeat(201)), ..DependencyDraft::on(id(0)) };
    let everything = Forest::of(&tasks).expect("no loop");
    let refused = tasks[3].depend(added.id, long, &everything).map(drop);
    assert!(matches!(refused, Err(DependencyRefused::Invalid(errors)) if errors.len() == 1));
    let told = tasks[3].dependency_event(EventType::TaskDependencyAdded, &added, false, at(3));
    assert_eq!(told.payload["dependency"]["target_task_id"], id(2).to_string());
    assert_eq!(told.payload["dependency"]["dependency_type"], "finish_to_start");
    assert_eq!(tasks[3].free_of(added.id), Some(added));
    assert!(tasks[3].dependencies.is_empty());
}

/// T5: cycles are refused with their tasks in order, the first as the last.
#[test]
fn a_cycle_over_three_tasks_and_over_two_branches_is_listed() {
    let ids = |numbers: &[u32]| -> Vec<TaskId> { numbers.iter().map(|one| id(*one)).collect() };
    let mut tasks = flat(&[1.0; 3], &[(0, 1, FS), (1, 2, SS)]);
    let refused = add(&mut tasks, 2, 0, FF).expect_err("a circle");
    assert_eq!(refused, DependencyRefused::Cycle(ids(&[2, 0, 1, 2])));
    assert!(tasks[2].dependencies.is_empty());
    // Branches 0 {1, 2} and 3 {4, 5}: the one needs the other as a whole, a part of which needs it.
    let shape = [(0, None), (1, Some(0)), (2, Some(0)), (3, None), (4, Some(3)), (5, Some(3))];
    let known = forest(&shape, &[(0, 3)]);
    assert_eq!(known.unfit(id(4), id(1)), Some(Unfit::Cycle(ids(&[4, 1, 0, 3, 4]))));
    assert_eq!(known.unfit(id(1), id(4)), None, "the same way round");
    let known = forest(&shape, &[(1, 4)]);
    assert_eq!(known.unfit(id(5), id(2)), None, "no leaf waits for itself");
    assert_eq!(known.unfit(id(3), id(2)), None, "nor does 1 wait for 2");
    assert_eq!(known.unfit(id(3), id(1)), Some(Unfit::Cycle(ids(&[3, 1, 4, 3]))));
    assert_eq!(known.unfit(id(3), id(0)), Some(Unfit::Cycle(ids(&[3, 0, 1, 4, 3]))));
}

#[test]
fn a_start_cannot_be_held_up_once_it_was() {
    let mut tasks = flat(&[1.0; 2], &[]);
    tasks[0].step(Trigger::Ready, super::by(1)).expect("legal");
    tasks[0].start(Gates::OPEN, super::by(2)).expect("legal");
    for kind in [FS, SS] {
        assert_eq!(code(add(&mut tasks, 0, 1, kind)), "started");
    }
    assert!(add(&mut tasks, 0, 1, FF).is_ok());
}

/// T6: each type opens its gate exactly as the table says, for every status.
#[test]
fn each_type_looks_at_its_own_thing() {
    for status in TaskStatus::ALL {
        for has_started in [false, true] {
            let target = Target { status: *status, has_started, has_retries_left: false };
            let is_completed = *status == TaskStatus::Completed;
            assert_eq!([FS, FF].map(|kind| kind.is_satisfied(target)), [is_completed; 2]);
            assert_eq!([SS, SF].map(|kind| kind.is_satisfied(target)), [has_started; 2]);
        }
    }
    assert_eq!(
        [FS, SS, FF, SF].map(DependencyType::gate),
        [Gate::Start, Gate::Start, Gate::Finish, Gate::Finish]
    );
}

/// T6: in a course, each of the four opens at its moment and not before.
#[test]
fn each_type_opens_its_gate_at_its_moment() {
    use TaskStatus as S;
    // 1 to 4 need 0, each in its way.
    let needs = [(1, 0, FS), (2, 0, SS), (3, 0, FF), (4, 0, SF)];
    let mut world = World::executing(flat(&[1.0; 5], &needs));
    assert_eq!(world.statuses(), [S::Ready, S::Blocked, S::Blocked, S::Ready, S::Ready]);
    assert!(world.run.is_blocked(id(1)) && !world.run.can_start(id(1)));
    assert!(world.run.is_blocked(id(3)) && world.run.can_start(id(3)));
    world.done(3);
    world.done(4);
    assert_eq!((world.status(3), world.status(4)), (S::Blocked, S::Blocked), "work is done");
    world.start(0);
    assert_eq!((world.status(1), world.status(2)), (S::Blocked, S::Ready));
    assert_eq!((world.status(3), world.status(4)), (S::Blocked, S::Completed));
    assert_eq!(world.satisfied, [(id(2), id(0)), (id(4), id(0))]);
    world.complete(0);
    assert_eq!((world.status(1), world.status(3)), (S::Ready, S::Completed));
    assert!(world.run.can_start(id(1)), "what it requires has completed");
    assert_eq!(world.run.is_satisfied(id(1), id(0)), Some(true));
}

/// T6: an optional dependency never blocks; it only puts what it names first among equals.
#[test]
fn an_optional_one_only_orders_equals() {
    let mut tasks = flat(&[1.0; 3], &[]);
    need(&mut tasks, 0, 2, FS, false);
    let mut world = World::executing(tasks.clone());
    assert_eq!(world.next(), [1, 2, 0]);
    world.fail_after_start(2);
    assert_eq!(world.status(0), TaskStatus::Ready, "nothing is lost with it");
    // It is no more than a wish: who is more urgent comes first.
    tasks[0].spec.priority = crate::domain::task::spec::TaskPriority::High;
    assert_eq!(World::executing(tasks).next(), [0, 1, 2]);
}

impl World {
    fn fail_after_start(&mut self, number: u32) {
        self.start(number);
        self.fail(number);
    }
}

/// T8: what follows when a task failed for good, was cancelled or was left out.
#[test]
fn upstream_failure_skips_blocks_or_is_ignored() {
    use TaskStatus as S;
    let policies = [OnUpstreamFailure::Skip, OnUpstreamFailure::Block, OnUpstreamFailure::Ignore];
    let endings: [fn(&mut World); 3] = [
        |world| world.fail_after_start(0),
        |world| world.act(0, |task, _, cause| drop(task.step(Trigger::Cancel, cause))),
        |world| world.act(0, |task, _, cause| drop(task.step(Trigger::Skip, cause))),
    ];
    for end in endings {
        let mut tasks = flat(&[1.0; 5], &[(1, 0, FS), (2, 0, FS), (3, 0, FS), (4, 1, FS)]);
        for (task, policy) in tasks[1..].iter_mut().zip(policies) {
            task.spec.on_upstream_failure = policy;
        }
        let mut world = World::executing(tasks);
        end(&mut world);
        assert_eq!(world.statuses()[1..], [S::Skipped, S::Blocked, S::Ready, S::Skipped]);
        assert_eq!(world.reviews, [id(2)], "somebody should look at the root");
        world.done(3);
        assert!(world.run.is_stuck());
        assert_eq!(world.run.outcome(), None, "what is blocked is not at its end");
    }
}

#[test]
fn a_failure_that_may_be_retried_loses_nothing() {
    let mut tasks = flat(&[1.0; 2], &[(1, 0, FS)]);
    tasks[0].spec.max_retries = 1;
    let mut world = World::executing(tasks);
    world.fail_after_start(0);
    assert_eq!(world.statuses(), [TaskStatus::Ready, TaskStatus::Blocked], "tried again at once");
    assert_eq!(world.task(0).work.attempt, 2);
    world.fail_after_start(0);
    assert_eq!(world.statuses(), [TaskStatus::Failed, TaskStatus::Skipped]);
}

#[test]
fn a_start_that_is_taken_back_closes_its_gate_again() {
    use TaskStatus as S;
    let mut tasks = flat(&[1.0; 3], &[(1, 0, SS), (2, 0, SS)]);
    tasks[0].spec.max_retries = 1;
    let mut world = World::executing(tasks);
    world.start(0);
    world.start(1);
    world.fail(0);
    assert_eq!(world.statuses(), [S::Ready, S::InProgress, S::Blocked]);
    world.start(0);
    assert_eq!(world.status(2), S::Ready);
    // A start that happened stays one, however the task ends.
    world.fail(0);
    assert_eq!(world.statuses(), [S::Failed, S::InProgress, S::Ready]);
}

#[test]
fn without_execution_gates_are_kept_and_nothing_is_given_out() {
    use TaskStatus as S;
    let tasks = flat(&[1.0; 3], &[(1, 0, FS)]);
    let mut world = World::of(tasks, Options::IDLE);
    assert_eq!(world.statuses(), [S::Pending, S::Blocked, S::Pending]);
    assert_eq!(world.next(), [0; 0]);
    world.act(0, |task, gates, cause| {
        task.assign(None, None, gates, cause).expect("legal");
        task.start(gates, cause).expect("legal");
        task.complete(None, gates, cause).expect("legal");
    });
    assert_eq!(world.statuses(), [S::Completed, S::Ready, S::Pending]);
    assert_eq!(world.tasks[1].status_updated_at(), at(2));
}
