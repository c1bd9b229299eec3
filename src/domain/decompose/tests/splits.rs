//! Generic splits, guards, titles, and the tasks that come of it all.

use proptest::prelude::*;
use uuid::Uuid;

use super::{NOW, asked, children, figured, likely, links, names, split, task};
use crate::domain::decompose::request::{DecompositionRefused, Strategy};
use crate::domain::decompose::{Decomposition, WarningCode, own_part, titled};
use crate::domain::session::Cause;
use crate::domain::task::estimate::{EstimationSource, Hours};
use crate::domain::task::forest::Forest;
use crate::domain::task::graph::Graph;
use crate::domain::task::life::Gates;
use crate::domain::task::status::Trigger;

fn by(strategy: Strategy, hours: Hours) -> Decomposition {
    split(&figured(hours), &asked(Some(strategy))).expect("allowed")
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

/// T9: components have all three figures, which sum to those of the whole.
#[test]
fn functional_children_sum_to_the_whole() {
    let made = by(Strategy::Functional, Hours::new(6.0, 12.0, 24.0));
    assert_eq!(names(&made), ["Component 1", "Component 2", "Component 3", "Component 4"]);
    let sum = |part: fn(Hours) -> f64| -> f64 {
        made.children(None).map(|node| part(node.estimate.hours)).sum()
    };
    assert!(near(sum(|hours| hours.optimistic), 6.0));
    assert!(near(sum(|hours| hours.likely), 12.0));
    assert!(near(sum(|hours| hours.pessimistic), 24.0));
    assert!(made.links.is_empty());
    let first = &made.nodes[0];
    assert_eq!(first.title, "Build it - Component 1");
    assert!(near(first.estimate.confidence, 0.4));
    assert_eq!(first.estimate.source, EstimationSource::FunctionalDecomposition);
}

/// T10: what is trivial stays whole, phases are chained, and two of two are six.
#[test]
fn trivial_temporal_and_two_by_two() {
    for strategy in [Strategy::Functional, Strategy::Temporal, Strategy::Capability] {
        let made = by(strategy, Hours::of_figure(0.2));
        assert_eq!((made.nodes.len(), made.warnings[0].code), (0, WarningCode::AlreadySimple));
    }
    let trivial = task("Harden security", "refactoring", 0.2);
    let made = split(&trivial, &asked(None)).expect("allowed");
    assert_eq!((made.nodes.len(), made.warnings[0].code), (0, WarningCode::AlreadySimple));
    let small = split(&task("Harden security", "other", 0.5), &asked(None)).expect("allowed");
    assert_eq!(small.warnings[0].code, WarningCode::AlreadySimple, "below every threshold");
    let phases = by(Strategy::Temporal, Hours::of_figure(12.0));
    assert_eq!(names(&phases), ["Analysis", "Design", "Implementation", "Testing"]);
    let chain: Vec<(String, String)> =
        links(&phases).into_iter().map(|(source, target, _)| (source, target)).collect();
    assert_eq!(
        chain,
        [
            ("Design".to_owned(), "Analysis".to_owned()),
            ("Implementation".to_owned(), "Design".to_owned()),
            ("Testing".to_owned(), "Implementation".to_owned())
        ]
    );
    assert!(links(&phases).iter().all(|(_, _, kind)| *kind == "finish_to_start"));
    assert_eq!(
        (phases.subtasks_created(), phases.nodes[1].task_type.as_str()),
        (4, "other_design")
    );
    assert!(near(phases.nodes[0].estimate.confidence, 0.35));
    let tree = by(Strategy::Functional, Hours::of_figure(2.0));
    assert_eq!((children(&tree).len(), tree.subtasks_created(), tree.flattened()), (2, 6, 7));
    assert_eq!(tree.max_depth_reached, 2);
    assert!(near(tree.total_estimated_hours(&figured(Hours::of_figure(2.0))), 12.4 / 6.0));
}

#[test]
fn capabilities_split_among_those_that_are_needed() {
    let mut whole = figured(Hours::new(4.0, 8.0, 16.0));
    let made = split(&whole, &asked(Some(Strategy::Capability))).expect("allowed");
    assert_eq!(names(&made), ["code_generation"]);
    let estimate = whole.estimate.as_mut().expect("given");
    estimate.required_capabilities =
        ["testing", "ci_cd", "debugging", "scaling", "monitoring"].map(str::to_owned).to_vec();
    let made = split(&whole, &asked(Some(Strategy::Capability))).expect("allowed");
    assert_eq!(names(&made), ["testing", "ci_cd", "debugging", "scaling"]);
    assert_eq!(likely(&made), [2.0; 4]);
    assert_eq!(made.nodes[1].estimate.required_capabilities, ["ci_cd"]);
    assert!(near(made.nodes[0].estimate.confidence, 0.3));
    assert_eq!(made.nodes[0].estimate.source, EstimationSource::CapabilityDecomposition);
}

#[test]
fn only_what_waits_and_is_whole_is_split() {
    let request = asked(Some(Strategy::Functional));
    let cause = Cause::by("ann", NOW);
    let mut whole = task("Build it", "other", 12.0);
    for verb in [Trigger::Ready, Trigger::Block] {
        assert!(split(&whole, &request).is_ok());
        whole.step(verb, cause).expect("legal");
    }
    assert!(split(&whole, &request).is_ok(), "a blocked one");
    whole.step(Trigger::Unblock, cause).expect("legal");
    let has_parts = super::decompose(&whole, true, &request, &super::shipped(), NOW).map(drop);
    assert_eq!(has_parts, Err(DecompositionRefused::HasSubtasks));
    whole.assign(None, None, Gates::OPEN, cause).expect("legal");
    assert_eq!(split(&whole, &request), Err(DecompositionRefused::AlreadyStarted));
}

#[test]
fn a_task_without_an_estimate_is_given_one_when_that_is_wanted() {
    let mut whole = task("Clean it", "refactoring", 12.0);
    whole.estimate = None;
    whole.spec.description = Some("must test the api ".repeat(200));
    let made = split(&whole, &asked(None)).expect("allowed");
    let estimate = made.estimate.as_ref().expect("made");
    assert_eq!(
        (estimate.hours, estimate.source),
        (Hours::new(6.0, 8.0, 12.0), EstimationSource::AiAnalysis)
    );
    assert_eq!(made.templates_applied, ["refactoring_task"]);
    let mut request = asked(None);
    request.auto_estimate = false;
    let made = split(&whole, &request).expect("allowed");
    assert_eq!((made.estimate, made.nodes.len()), (None, 0));
}

#[test]
fn long_titles_are_shortened_in_the_parents_part() {
    let long = "x".repeat(200);
    let title = titled(&long, "{title} - Component 1");
    assert_eq!((title.chars().count(), title.ends_with("x… - Component 1")), (200, true));
    assert_eq!(titled("Short", "{title} - Tests"), "Short - Tests");
    assert_eq!(titled(&long, &"y".repeat(300)).chars().count(), 200);
    assert_eq!(titled(&long, &format!("{{title}}{}", "y".repeat(200))), "y".repeat(200));
    assert_eq!(own_part("{title} - Shared component auth"), "Shared component auth");
}

#[test]
fn nodes_become_tasks_that_know_their_parents_and_needs() {
    let whole = task("Serve orders", "api", 12.0);
    let made = split(&whole, &asked(None)).expect("allowed");
    let mut number = 100u128;
    let ids = || {
        number += 1;
        Uuid::from_u128(number)
    };
    let (tasks, events) = made.clone().into_tasks(&whole, ids, NOW);
    assert_eq!((tasks.len(), events.len()), (12, 12));
    assert_eq!(tasks[0].place.parent_task_id, Some(whole.id));
    assert_eq!(tasks[5].place.parent_task_id, Some(tasks[1].id));
    assert_eq!((tasks[5].place.depth, tasks[6].place.position), (2, 1));
    assert_eq!(tasks[1].dependencies[0].target_task_id, tasks[0].id);
    assert_eq!(tasks[0].place.template_key.as_deref(), Some("web_service_implementation"));
    assert_eq!(events[0].payload["parent_task_id"], whole.id.to_string());
    let told = made.event(&whole, NOW);
    assert_eq!(told.event_type.as_str(), "task.decomposed");
    assert_eq!(
        (&told.payload["subtasks_created"], &told.payload["task_id"]),
        (&12.into(), &whole.id.to_string().into())
    );
    let all: Vec<_> = std::iter::once(whole).chain(tasks).collect();
    let forest = Forest::of(&all).expect("no loop");
    assert!(Graph::of(&forest).is_ok());
}

proptest! {
    /// T9, T10 and T15: whatever is split, every child has three figures that rise, phases are chained,
    /// and no guard is broken.
    #[test]
    fn every_split_keeps_the_rules(
        low in 0.0..200.0f64, more in 0.0..200.0f64, most in 0.0..200.0f64,
        strategy in 0..3usize, depth in 1..6u32,
    ) {
        let chosen = [Strategy::Functional, Strategy::Temporal, Strategy::Capability][strategy];
        let mut request = asked(Some(chosen));
        request.max_depth = depth;
        request.auto_estimate = false;
        let hours = Hours::new(low, low + more, low + more + most);
        match split(&figured(hours), &request) {
            Err(refused) => prop_assert_eq!(refused, DecompositionRefused::TooMany { limit: 200 }),
            Ok(made) => {
                prop_assert!(made.nodes.len() <= 200 && made.max_depth_reached <= depth);
                prop_assert_eq!(made.nodes.is_empty(), hours.level().number() <= 2);
                prop_assert_eq!(made.warnings.len(), usize::from(made.nodes.is_empty()));
                for node in &made.nodes {
                    let Hours { optimistic, likely, pessimistic } = node.estimate.hours;
                    prop_assert!(0.0 <= optimistic && optimistic <= likely && likely <= pessimistic);
                    prop_assert!(node.title.chars().count() <= 200);
                }
                let sum: f64 = made.children(None).map(|node| node.estimate.hours.likely).sum();
                prop_assert!(made.nodes.is_empty() || (sum - hours.likely).abs() < 1e-6);
                if chosen == Strategy::Temporal && !made.nodes.is_empty() {
                    prop_assert_eq!(made.links.len(), made.nodes.len() - 1);
                }
            }
        }
    }
}
