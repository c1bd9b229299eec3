//! Lives of tasks: stamps, retries, and a child session that is followed.

use proptest::prelude::*;
use serde_json::{Map, json};
use uuid::Uuid;

use super::{at, by, cases, task};
use crate::domain::event::EventType as E;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::session::spec::SessionType;
use crate::domain::session::status::SessionStatus;
use crate::domain::task::TaskError;
use crate::domain::task::child::Given;
use crate::domain::task::life::{ChildState, Gates};
use crate::domain::task::status::{TaskStatus, Trigger};

fn error(seconds: i64) -> TaskError {
    TaskError::said("it broke", at(seconds)).expect("valid")
}

fn child(status: SessionStatus) -> ChildState {
    ChildState::of(status, Some(&json!({ "done": 1 })), || error(5))
}

/// T4: what has ended stays as it is, and a refusal changes nothing.
#[test]
fn what_has_ended_is_immutable() {
    for end in [Trigger::Cancel, Trigger::Skip] {
        let mut ended = task(1, None, 1.0);
        ended.step(end, by(1)).expect("legal");
        let before = ended.clone();
        for verb in Trigger::ALL {
            assert!(ended.step(*verb, by(2)).is_err(), "{verb}");
        }
        assert!(ended.follow(child(SessionStatus::Completed), Gates::OPEN, by(2)).is_ok());
        assert_eq!(ended, before);
    }
    let mut pending = task(1, None, 1.0);
    let refused = pending.complete(None, Gates::OPEN, by(1)).expect_err("not legal");
    assert_eq!(refused.to_string(), "a task that is pending cannot become completed");
    let closed = Gates { start: false, finish: true };
    let refused = pending.assign(None, None, closed, by(1)).expect_err("a gate is closed");
    assert_eq!(refused.current, TaskStatus::Blocked);
    assert_eq!(pending, task(1, None, 1.0));
}

#[test]
fn a_ready_task_is_assigned_before_it_starts_and_stamps_are_set_once() {
    let mut one = task(1, None, 1.0);
    one.step(Trigger::Ready, by(1)).expect("legal");
    let events = one.start(Gates::OPEN, by(2)).expect("legal");
    let types: Vec<E> = events.iter().map(|event| event.event_type).collect();
    assert_eq!(types, [E::TaskStatusChanged, E::TaskAssigned, E::TaskStatusChanged]);
    assert_eq!(events[0].payload["old_status"], "ready");
    assert_eq!(events[0].payload["task_id"], one.id.to_string());
    one.step(Trigger::Pause, by(3)).expect("legal");
    one.start(Gates::OPEN, by(4)).expect("legal");
    assert_eq!(one.work.started_at, Some(at(2)), "the first entry counts");
    let result = json!({ "files": 3 }).as_object().cloned();
    one.complete(result, Gates::OPEN, by(5)).expect("legal");
    assert_eq!((one.work.completed_at, one.progress()), (Some(at(5)), 100.0));
    assert_eq!(one.duration_hours(), Some(3.0 / 3600.0));
}

#[test]
fn a_retry_moves_what_the_attempt_left_to_the_metadata() {
    let mut one = task(1, None, 1.0);
    one.spec.max_retries = 1;
    for attempt in 1..=12 {
        one.step(if attempt == 1 { Trigger::Ready } else { Trigger::Retry }, by(attempt))
            .expect("legal");
        assert_eq!(i64::from(one.work.attempt), attempt);
        assert_eq!((one.work.started_at, &one.work.error), (None, &None));
        one.start(Gates::OPEN, by(attempt)).expect("legal");
        assert_eq!(one.has_retries_left(), attempt == 1);
        one.fail(error(attempt), by(attempt)).expect("legal");
        assert_eq!(one.status_reason(), Some("it broke"));
    }
    let kept = one.spec.metadata["attempts"].as_array().expect("a list");
    assert_eq!(kept.len(), 10, "the newest ten");
    assert_eq!(kept[9]["attempt"], 11);
    assert_eq!(kept[9]["error"]["message"], "it broke");
    assert_eq!(kept[9]["failed_at"], at(11).to_string());
    assert_eq!(kept[9]["started_at"], at(11).to_string());
}

#[test]
fn a_task_follows_its_child_as_in_6_4() {
    use SessionStatus as S;
    for status in S::ALL {
        let expected = match status {
            S::Pending | S::Queued => TaskStatus::Assigned,
            S::Running | S::Degraded => TaskStatus::InProgress,
            S::Paused => TaskStatus::Paused,
            S::Completed | S::PartiallyCompleted => TaskStatus::Completed,
            S::Failed | S::Timeout => TaskStatus::Failed,
            S::Stopped | S::Cancelled | S::Orphaned => TaskStatus::Cancelled,
        };
        for before in [S::Pending, S::Running, S::Paused] {
            let mut one = task(1, None, 1.0);
            one.step(Trigger::Ready, by(1)).expect("legal");
            one.follow(child(before), Gates::OPEN, by(2)).expect("legal");
            let is_behind = matches!(status, S::Pending | S::Queued);
            let expected = if is_behind { one.status() } else { expected };
            one.follow(child(*status), Gates::OPEN, by(3)).expect("legal");
            assert_eq!(one.status(), expected, "{before} then {status}");
            assert_eq!(one.is_partial(), *status == S::PartiallyCompleted);
            let again = one.follow(child(*status), Gates::OPEN, by(4)).expect("legal");
            assert!(again.is_empty(), "told twice: {status}");
        }
    }
}

#[test]
fn work_that_is_done_behind_a_closed_gate_waits_for_it() {
    let closed = Gates { start: true, finish: false };
    let mut one = task(1, None, 1.0);
    one.follow(child(SessionStatus::Running), closed, by(1)).expect("legal");
    one.follow(child(SessionStatus::Completed), closed, by(2)).expect("legal");
    assert_eq!((one.status(), one.work.is_done), (TaskStatus::Blocked, true));
    assert!(one.step(Trigger::Unblock, by(3)).is_err(), "it does not begin anew");
    one.step(Trigger::Reopen, by(3)).expect("legal");
    let kept = one.work.result.clone();
    one.complete(kept, Gates::OPEN, by(3)).expect("legal");
    assert_eq!(one.status(), TaskStatus::Completed);
    assert_eq!(one.work.result, json!({ "done": 1 }).as_object().cloned());
}

#[test]
fn the_child_session_is_asked_for_as_in_6_3() {
    let mut one = task(1, None, 2.0);
    one.spec.description = Some("With care.".to_owned());
    one.spec.task_type = "code_review".to_owned();
    one.spec.technologies = vec!["rust".to_owned()];
    let result = json!({ "files": ["a.rs"] }).as_object().cloned().expect("an object");
    let given = [Given { title: "Design it", result: &result }];
    let draft = one.child_session("Build the shop", &given);
    assert_eq!(draft.title.as_deref(), Some("Implement part 1"));
    assert_eq!(
        draft.initial_prompt,
        "Implement part 1\n\nWith care.\n\nThe work that this is a part of:\nBuild the shop\n\n\
         What was done before and gave:\n\nDesign it\n{\"files\":[\"a.rs\"]}"
    );
    assert_eq!(draft.session_type, Some(SessionType::Review));
    assert_eq!(draft.max_duration_seconds, Some(10_800));
    assert_eq!(
        (draft.estimated_complexity, &*draft.technologies),
        (Some(1.6), &one.spec.technologies[..])
    );
    assert!(draft.accept().is_ok());
    for (hours, seconds) in [(0.01, 600), (0.5, 2700), (16.0, 86_400), (50.0, 86_400)] {
        assert_eq!(task(1, None, hours).max_duration_seconds(), seconds);
    }
    one.estimate = None;
    assert_eq!(one.max_duration_seconds(), 3600);
    for (kind, expected) in [
        ("planning", SessionType::Planning),
        ("debug", SessionType::Debug),
        ("integration_testing", SessionType::Integration),
        ("replanning", SessionType::Execution),
    ] {
        one.spec.task_type = kind.to_owned();
        assert_eq!(one.session_type(), expected, "{kind}");
    }
}

#[test]
fn the_prompt_of_a_child_is_one_that_a_session_can_have() {
    let mut one = task(1, None, 2.0);
    one.spec.title = "Coding task".to_owned();
    one.spec.description = Some("x".repeat(5000));
    let big = Map::from_iter([("text".to_owned(), json!("y".repeat(60_000)))]);
    let given = [Given { title: "Write it", result: &big }; 9];
    let draft = one.child_session(&"z".repeat(100_000), &given);
    assert_eq!(draft.title, None, "derived from the prompt: the code goes before it");
    assert!(draft.initial_prompt.contains('…'));
    let spec = draft.accept().expect("valid");
    assert_eq!(spec.initial_prompt.chars().count(), 100_000);
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// Whatever is commanded, stamps and status fit each other, and a refusal changes nothing.
    #[test]
    fn whatever_is_commanded_the_invariants_hold(
        verbs in proptest::collection::vec((0..16usize, any::<bool>(), any::<bool>()), 0..30),
    ) {
        let mut one = task(1, None, 1.0);
        let agent = AgentId::new(Uuid::from_u128(4));
        let session = SessionId::new(Uuid::from_u128(5));
        for (step, (verb, start, finish)) in verbs.into_iter().enumerate() {
            let before = one.clone();
            let now = by(i64::try_from(step).expect("small"));
            let gates = Gates { start, finish };
            let told = match verb {
                0 => one.assign(Some(agent), Some(session), gates, now),
                1 => one.start(gates, now),
                2 => one.complete(None, gates, now),
                3 => one.fail(error(1), now),
                4 => one.retry(now),
                5..=10 => {
                    let status = SessionStatus::ALL[(verb * 7 + step) % 12];
                    one.follow(child(status), gates, now)
                }
                _ => one.step(Trigger::ALL[(verb + step) % 13], now),
            };
            if told.is_err() && one.status() == before.status() {
                prop_assert_eq!(&one, &before);
            }
            let status = one.status();
            if status == TaskStatus::Completed {
                prop_assert!(one.work.completed_at.is_some() && one.work.started_at.is_some());
            }
            if status == TaskStatus::Failed {
                prop_assert!(one.work.failed_at.is_some());
            }
            if status == TaskStatus::InProgress || status == TaskStatus::Paused {
                prop_assert!(one.work.started_at.is_some());
            }
            prop_assert!(one.progress() <= 100.0);
        }
    }
}
