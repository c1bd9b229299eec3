//! Tasks as a whole: their definitions, their lives, their graph and its course.

mod course;
mod definition;
mod gates;
mod graph;
mod life;
mod random;
mod views;

use proptest::prelude::ProptestConfig;
use uuid::Uuid;

use super::dependency::DependencyType;
use super::draft::TaskDraft;
use super::forest::{Forest, Need, Part};
use super::life::Gates;
use super::run::{Decision, Facts, Options, Run};
use super::status::{TaskStatus, Trigger};
use super::{Place, Task};
use crate::domain::ids::{DependencyId, SessionId, TaskId, TenantId};
use crate::domain::session::Cause;
use crate::domain::time::Timestamp;

/// Many more of each when the deep tests are asked for.
fn cases(usual: u32) -> ProptestConfig {
    let deep = std::env::var_os("ORCHESTRATOR_DEEP").is_some();
    ProptestConfig::with_cases(if deep { usual * 100 } else { usual })
}

fn id(number: u32) -> TaskId {
    TaskId::new(Uuid::from_u128(u128::from(number) + 1))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn by(seconds: i64) -> Cause<'static> {
    Cause::by("executor", at(seconds))
}

/// A task that is expected to take exactly so long.
fn task(number: u32, parent: Option<u32>, hours: f64) -> Task {
    let estimate = super::draft::EstimateDraft {
        optimistic_hours: Some(hours),
        likely_hours: Some(hours),
        pessimistic_hours: Some(hours),
        ..super::draft::EstimateDraft::default()
    };
    let draft = TaskDraft {
        title: format!("Implement part {number}"),
        estimate: Some(estimate),
        ..TaskDraft::default()
    };
    let place = Place { parent_task_id: parent.map(id), ..Place::default() };
    let owner = (TenantId::BOOTSTRAP, SessionId::new(Uuid::nil()));
    Task::create(id(number), owner, draft.accept(at(0)).expect("valid"), place, at(0)).0
}

/// Lets one task need another one, whatever that closes.
fn need(tasks: &mut [Task], source: u32, target: u32, kind: DependencyType, is_required: bool) {
    let number = u128::from(source) << 32 | u128::from(target);
    let dependency = super::dependency::Dependency {
        id: DependencyId::new(Uuid::from_u128(number)),
        target_task_id: id(target),
        dependency_type: kind,
        is_required,
        description: None,
    };
    let found = tasks.iter_mut().find(|task| task.id == id(source)).expect("a task");
    found.dependencies.push(dependency);
}

const FS: DependencyType = DependencyType::FinishToStart;
const SS: DependencyType = DependencyType::StartToStart;
const FF: DependencyType = DependencyType::FinishToFinish;
const SF: DependencyType = DependencyType::StartToFinish;

/// Leaves of one root level that need each other so: (source, target, type).
fn flat(hours: &[f64], needs: &[(u32, u32, DependencyType)]) -> Vec<Task> {
    let mut tasks: Vec<Task> =
        (0u32..).zip(hours).map(|(number, hours)| task(number, None, *hours)).collect();
    for (source, target, kind) in needs {
        need(&mut tasks, *source, *target, *kind, true);
    }
    tasks
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-6
}

/// Tasks with their course, moved together as a service moves them.
struct World {
    tasks: Vec<Task>,
    run: Run,
    now: i64,
    reviews: Vec<TaskId>,
    satisfied: Vec<(TaskId, TaskId)>,
}

impl World {
    fn of(tasks: Vec<Task>, options: Options) -> Self {
        let (run, decisions) = Run::of(&tasks, options).expect("no circle");
        let mut world = Self { tasks, run, now: 1, reviews: Vec::new(), satisfied: Vec::new() };
        world.carry_out(decisions);
        world
    }

    fn executing(tasks: Vec<Task>) -> Self {
        Self::of(tasks, Options::accept(None, None).expect("valid"))
    }

    fn task(&mut self, number: u32) -> &mut Task {
        self.tasks.iter_mut().find(|task| task.id == id(number)).expect("a task")
    }

    fn status(&self, number: u32) -> TaskStatus {
        let found = self.tasks.iter().find(|task| task.id == id(number));
        found.expect("a task").status()
    }

    fn statuses(&self) -> Vec<TaskStatus> {
        self.tasks.iter().map(Task::status).collect()
    }

    /// Every decision is a legal move of the entity that it names.
    fn carry_out(&mut self, decisions: Vec<Decision>) {
        let now = self.now;
        for decision in decisions {
            match decision {
                Decision::Move { task, verb, reason } => {
                    let gates = self.run.gates(task);
                    let found = self.tasks.iter_mut().find(|one| one.id == task).expect("known");
                    let cause = by(now).because(reason);
                    if verb == Trigger::Complete {
                        let result = found.work.result.clone();
                        found.complete(result, gates, cause).expect("legal");
                    } else {
                        found.step(verb, cause).expect("legal");
                    }
                }
                Decision::RollUp { task, to } => {
                    let found = self.tasks.iter_mut().find(|one| one.id == task).expect("known");
                    found.roll_up(to, by(now)).expect("legal");
                    assert_eq!(found.status(), to);
                }
                Decision::Review { task } => self.reviews.push(task),
                Decision::Satisfied { source, target } => self.satisfied.push((source, target)),
            }
        }
        for task in &self.tasks {
            let facts = self.run.facts(task.id).expect("known");
            assert_eq!(facts.status, task.status(), "{} stands elsewhere", task.spec.title);
        }
    }

    /// Moves one task as somebody does, and everything that follows.
    fn act(&mut self, number: u32, act: impl FnOnce(&mut Task, Gates, Cause<'_>)) {
        self.now += 1;
        let (now, gates) = (self.now, self.run.gates(id(number)));
        act(self.task(number), gates, by(now));
        let facts = Facts::from(&*self.task(number));
        let decisions = self.run.note(id(number), facts);
        self.carry_out(decisions);
    }

    fn start(&mut self, number: u32) {
        self.act(number, |task, gates, cause| {
            task.start(gates, cause).expect("legal");
        });
    }

    fn complete(&mut self, number: u32) {
        self.act(number, |task, gates, cause| {
            task.complete(None, gates, cause).expect("legal");
        });
    }

    fn fail(&mut self, number: u32) {
        self.act(number, |task, _, cause| {
            let error = super::TaskError::said("it broke", cause.at).expect("valid");
            task.fail(error, cause).expect("legal");
        });
    }

    fn done(&mut self, number: u32) {
        self.start(number);
        self.complete(number);
    }

    fn next(&self) -> Vec<u32> {
        let numbers = self
            .run
            .next()
            .map(|task| (0..1000).find(|number| id(*number) == task).expect("a small number"));
        numbers.collect()
    }
}

fn parts(tasks: &[(u32, Option<u32>)]) -> Vec<Part> {
    tasks.iter().map(|(one, whole)| Part { id: id(*one), parent: whole.map(id) }).collect()
}

fn needs(pairs: &[(u32, u32)]) -> Vec<Need> {
    let need = |(source, target): &(u32, u32)| Need {
        source: id(*source),
        target: id(*target),
        kind: FS,
        is_required: true,
    };
    pairs.iter().map(need).collect()
}

fn forest(tasks: &[(u32, Option<u32>)], pairs: &[(u32, u32)]) -> Forest {
    Forest::build(&parts(tasks), needs(pairs)).expect("no loop of parents")
}
