//! What is accepted as a task, and what is told of it.

use serde_json::{Map, json};

use super::{at, id};
use crate::domain::field::FieldError;
use crate::domain::money::Usd;
use crate::domain::session::spec::Priority;
use crate::domain::task::PlaceRefused;
use crate::domain::task::draft::{EstimateDraft, TaskDraft, TaskPatch};
use crate::domain::task::estimate::{EstimationSource, Hours};
use crate::domain::task::life::Gates;
use crate::domain::task::spec::{LintCode, OnUpstreamFailure, TaskPriority};
use crate::domain::task::status::Trigger;

fn draft(title: &str) -> TaskDraft {
    TaskDraft { title: title.to_owned(), ..TaskDraft::default() }
}

fn pointers(errors: &[FieldError]) -> Vec<&str> {
    errors.iter().map(|error| error.pointer.as_str()).collect()
}

/// T3: a title without a verb of action is accepted, and told of.
#[test]
fn a_title_without_a_verb_is_accepted_with_a_warning() {
    let (spec, estimate) = draft("  Login page ").accept(at(0)).expect("valid");
    assert_eq!(spec.title, "Login page");
    assert_eq!(spec.warnings, [LintCode::TitleNoActionVerb]);
    assert_eq!(spec.warnings[0].as_str(), "TITLE_NO_ACTION_VERB");
    assert_eq!(estimate, None);
    let verbs =
        "implement create add update fix refactor optimize test review deploy configure document";
    for verb in verbs.split(' ') {
        for title in [format!("{verb} it"), verb.to_uppercase(), format!("{verb}: it")] {
            let (spec, _) = draft(&title).accept(at(0)).expect("valid");
            assert_eq!(spec.warnings, [], "{title}");
        }
    }
    assert_eq!(draft("Testing it").accept(at(0)).expect("valid").0.warnings.len(), 1);
}

#[test]
fn defaults_are_those_of_the_specification() {
    let (spec, _) = draft("Add it").accept(at(0)).expect("valid");
    assert_eq!(spec.task_type, "implementation");
    assert_eq!((spec.priority, spec.max_retries), (TaskPriority::Normal, 0));
    assert_eq!(spec.on_upstream_failure, OnUpstreamFailure::Skip);
    let levels: Vec<Priority> =
        TaskPriority::ALL.iter().map(|priority| priority.of_session()).collect();
    let levels: Vec<u8> = levels.into_iter().map(Priority::level).collect();
    assert_eq!(levels, [0, 0, 1, 2, 3, 4]);
}

#[test]
fn every_broken_rule_is_told_at_once() {
    let wrong = TaskDraft {
        title: " ".to_owned(),
        description: Some("x".repeat(5001)),
        task_type: Some("No Slug".to_owned()),
        estimated_hours: Some(0.05),
        required_capabilities: vec!["Rust Expert".to_owned()],
        technologies: vec!["?".to_owned()],
        max_retries: Some(11),
        tags: vec![String::new()],
        ..TaskDraft::default()
    };
    let told = wrong.accept(at(0)).expect_err("much is wrong");
    assert_eq!(
        pointers(&told),
        [
            "/title",
            "/description",
            "/task_type",
            "/technologies/0",
            "/max_retries",
            "/estimated_hours",
            "/required_capabilities/0",
            "/tags/0",
        ]
    );
    assert!(draft(&"x".repeat(201)).accept(at(0)).is_err());
    assert!(draft(&"x".repeat(200)).accept(at(0)).is_ok());
    for (hours, fits) in [(0.1, true), (1000.0, true), (1000.1, false), (f64::NAN, false)] {
        let given = TaskDraft { estimated_hours: Some(hours), ..draft("Add it") };
        assert_eq!(given.accept(at(0)).is_ok(), fits, "{hours}");
    }
}

#[test]
fn an_estimate_is_one_figure_or_three_that_rise() {
    let given = TaskDraft {
        estimated_hours: Some(2.0),
        required_capabilities: vec!["testing".to_owned()],
        ..draft("Add it")
    };
    let (_, estimate) = given.clone().accept(at(5)).expect("valid");
    let estimate = estimate.expect("given");
    assert_eq!(estimate.hours, Hours::of_figure(2.0));
    assert_eq!(estimate.source, EstimationSource::Manual);
    assert_eq!(estimate.required_capabilities, ["testing"]);
    assert_eq!(estimate.last_estimated_at, Some(at(5)));
    let three = EstimateDraft {
        optimistic_hours: Some(3.0),
        likely_hours: Some(2.0),
        pessimistic_hours: Some(-1.0),
        estimate_confidence: Some(1.5),
        estimated_cost_usd: Some(Usd::from_micros(-1)),
        ..EstimateDraft::default()
    };
    let told = TaskDraft { estimate: Some(three), ..given }.accept(at(0)).expect_err("wrong");
    assert_eq!(
        pointers(&told),
        ["/estimated_hours", "/estimate/estimate_confidence", "/estimate/estimated_cost_usd",]
    );
    let only = EstimateDraft {
        optimistic_hours: Some(3.0),
        likely_hours: Some(2.0),
        pessimistic_hours: Some(-1.0),
        ..EstimateDraft::default()
    };
    let told = TaskDraft { estimate: Some(only), ..draft("Add it") }.accept(at(0));
    let told = told.expect_err("wrong");
    assert_eq!(pointers(&told), ["/estimate/pessimistic_hours", "/estimate/likely_hours"]);
    let needs = TaskDraft { required_capabilities: vec!["testing".to_owned()], ..draft("Add it") };
    let (_, estimate) = needs.accept(at(0)).expect("valid");
    assert!(estimate.expect("capabilities lie inside it").is_wanting());
}

#[test]
fn a_change_names_what_differs_and_keeps_earlier_attempts() {
    let mut task = super::task(1, None, 2.0);
    task.spec.metadata.insert("attempts".to_owned(), json!([{ "attempt": 1 }]));
    let before = task.clone();
    assert_eq!(task.change(TaskPatch::default(), at(9)), Ok(Vec::new()));
    assert_eq!(task, before);
    let patch = TaskPatch {
        title: Some("Login page".to_owned()),
        description: Some(Some("As drawn".to_owned())),
        estimated_hours: Some(4.0),
        max_retries: Some(2),
        metadata: Some(Map::from_iter([("team".to_owned(), json!("a"))])),
        ..TaskPatch::default()
    };
    let changed = task.change(patch, at(9)).expect("valid");
    assert_eq!(changed, ["title", "description", "estimate", "max_retries", "metadata"]);
    assert_eq!(task.spec.metadata["attempts"], json!([{ "attempt": 1 }]));
    assert_eq!(task.spec.warnings, [LintCode::TitleNoActionVerb]);
    assert_eq!((task.id, task.created_at, task.updated_at), (id(1), at(0), at(9)));
    let patch = TaskPatch { max_retries: Some(99), ..TaskPatch::default() };
    let before = task.clone();
    assert_eq!(pointers(&task.change(patch, at(10)).expect_err("wrong")), ["/max_retries"]);
    assert_eq!(task, before);
    let patch = TaskPatch { estimate: Some(None), ..TaskPatch::default() };
    assert_eq!(task.change(patch, at(11)), Ok(vec!["estimate"]));
    assert_eq!(task.estimate, None);
    let patch = TaskPatch {
        required_capabilities: Some(vec!["testing".to_owned()]),
        ..TaskPatch::default()
    };
    assert_eq!(task.change(patch, at(12)), Ok(vec!["estimate"]));
}

#[test]
fn a_task_takes_parts_within_ten_levels_and_before_it_is_given_out() {
    let mut whole = super::task(1, None, 2.0);
    let place = whole.place_below(0).expect("open");
    assert_eq!((place.parent_task_id, place.depth, place.position), (Some(id(1)), 1, 0));
    whole.place.depth = 8;
    assert_eq!(whole.place_below(3).map(|place| (place.depth, place.position)), Ok((9, 3)));
    whole.place.depth = 9;
    assert_eq!(whole.place_below(0), Err(PlaceRefused::TooDeep));
    whole.place.depth = 0;
    whole.step(Trigger::Ready, super::by(1)).expect("legal");
    whole.start(Gates::OPEN, super::by(2)).expect("legal");
    assert_eq!(whole.place_below(0), Err(PlaceRefused::AlreadyStarted));
    assert!(whole.place_below(1).is_ok(), "a container that runs takes further parts");
    whole.step(Trigger::Cancel, super::by(3)).expect("legal");
    assert_eq!(whole.place_below(1), Err(PlaceRefused::AlreadyStarted));
}
