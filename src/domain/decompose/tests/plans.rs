//! Plans of a planner.

use serde_json::{Value, json};

use super::{NOW, asked, task};
use crate::domain::decompose::plan::{Plan, SCHEMA};
use crate::domain::decompose::request::{DecompositionRefused, Strategy};
use crate::domain::decompose::schema::Schema;
use crate::domain::decompose::{Decomposition, WarningCode};
use crate::domain::task::estimate::{EstimationSource, Hours};

fn node(key: &str) -> Value {
    json!({ "key": key, "title": format!("Build {key}"), "likely_hours": 2.0 })
}

/// A node with more said of it.
fn with(key: &str, more: &Value) -> Value {
    let mut made = node(key);
    let map = made.as_object_mut().expect("an object");
    map.extend(more.as_object().cloned().expect("an object"));
    made
}

fn wrong(answer: &Value) -> Vec<(String, &'static str)> {
    let told = Plan::read(answer).expect_err("refused");
    told.into_iter().map(|error| (error.pointer, error.code)).collect()
}

fn split(answer: &Value) -> Result<Decomposition, DecompositionRefused> {
    let plan = Plan::read(answer).expect("valid");
    plan.decompose(&task("Build it", "other", 12.0), false, &asked(Some(Strategy::Planner)), NOW)
}

#[test]
fn a_plan_becomes_subtasks_with_its_figures_and_defaults() {
    let answer = json!({ "tasks": [
        with("core", &json!({
            "description": "Write and test it", "task_type": "backend", "priority": "high",
            "technologies": ["Rust"], "optimistic_hours": 1.5, "pessimistic_hours": 9,
            "children": [
                with("a1", &json!({ "capabilities": ["testing"] })),
                with("b1", &json!({ "depends_on": [{ "on": "a1" }] })),
            ],
        })),
        with("docs", &json!({
            "depends_on": [{ "on": "core", "type": "start_to_start", "required": false }],
        })),
    ]});
    let made = split(&answer).expect("allowed");
    let shape: Vec<(Option<usize>, u32, u32)> =
        made.nodes.iter().map(|node| (node.parent, node.depth, node.position)).collect();
    assert_eq!(shape, [(None, 1, 0), (Some(0), 2, 0), (Some(0), 2, 1), (None, 1, 1)]);
    assert_eq!(
        (made.nodes[0].estimate.hours, made.max_depth_reached),
        (Hours::new(1.5, 2.0, 9.0), 2)
    );
    assert_eq!(made.nodes[0].technologies, ["rust"]);
    assert_eq!(
        made.nodes[0].estimate.required_capabilities,
        ["code_generation", "test_generation"]
    );
    assert_eq!(
        (made.nodes[0].priority.as_str(), made.nodes[1].priority.as_str()),
        ("high", "normal")
    );
    assert_eq!(made.nodes[1].estimate.hours, Hours::of_figure(2.0));
    assert_eq!(made.nodes[1].estimate.required_capabilities, ["testing"]);
    assert_eq!(made.nodes[1].estimate.source, EstimationSource::PlannerDecomposition);
    assert_eq!(
        (&*made.nodes[1].task_type, &*made.nodes[0].task_type),
        ("implementation", "backend")
    );
    let links = made
        .links
        .iter()
        .map(|link| (link.source, link.target, link.kind.as_str(), link.is_required));
    assert_eq!(
        links.collect::<Vec<_>>(),
        [(2, 1, "finish_to_start", true), (3, 0, "start_to_start", false)]
    );
    let told: Vec<_> = made.warnings.iter().map(|one| (one.code, &*one.title)).collect();
    assert_eq!(told, [], "4 hours of 2 and 4 of 12 are not more than twice");
}

#[test]
fn what_the_schema_does_not_allow_is_told_with_its_place() {
    for (answer, pointer, code) in [
        (json!([]), "", "wrong_type"),
        (json!({}), "/tasks", "required"),
        (json!({ "tasks": [] }), "/tasks", "out_of_range"),
        (json!({ "tasks": [node("a1")], "note": 1 }), "/note", "unknown_field"),
        (
            json!({ "tasks": [with("a1", &json!({ "colour": 1 }))] }),
            "/tasks/0/colour",
            "unknown_field",
        ),
        (json!({ "tasks": [with("A", &json!({}))] }), "/tasks/0/key", "invalid"),
        (json!({ "tasks": [{ "key": "a1", "title": "x" }] }), "/tasks/0/likely_hours", "required"),
        (json!({ "tasks": [with("a1", &json!({ "title": " " }))] }), "/tasks/0/title", "invalid"),
        (
            json!({ "tasks": [with("a1", &json!({ "title": "x".repeat(201) }))] }),
            "/tasks/0/title",
            "out_of_range",
        ),
        (
            json!({ "tasks": [with("a1", &json!({ "likely_hours": 0.09 }))] }),
            "/tasks/0/likely_hours",
            "out_of_range",
        ),
        (
            json!({ "tasks": [with("a1", &json!({ "likely_hours": 1000.1 }))] }),
            "/tasks/0/likely_hours",
            "out_of_range",
        ),
        (
            json!({ "tasks": [with("a1", &json!({ "likely_hours": "2" }))] }),
            "/tasks/0/likely_hours",
            "wrong_type",
        ),
        (
            json!({ "tasks": [with("a1", &json!({ "priority": "now" }))] }),
            "/tasks/0/priority",
            "unknown",
        ),
        (
            json!({ "tasks": [with("a1", &json!({ "children": [node("B")] }))] }),
            "/tasks/0/children/0/key",
            "invalid",
        ),
        (
            json!({ "tasks": [with("a1", &json!({ "depends_on": [{ "type": "start_to_start" }] }))] }),
            "/tasks/0/depends_on/0/on",
            "required",
        ),
    ] {
        assert_eq!(wrong(&answer), [(pointer.to_owned(), code)], "{answer}");
    }
}

#[test]
fn what_contradicts_itself_is_told_with_its_place() {
    let needs = |on: &[&str]| {
        let listed: Vec<Value> = on.iter().map(|key| json!({ "on": key })).collect();
        json!({ "depends_on": listed })
    };
    let twice = json!({ "tasks": [node("a1"), with("b1", &json!({ "children": [node("a1")] }))] });
    assert_eq!(wrong(&twice), [("/tasks/1/children/0/key".to_owned(), "duplicate")]);
    let falls = json!({ "tasks": [with("a1", &json!({ "optimistic_hours": 3 }))] });
    assert_eq!(wrong(&falls), [("/tasks/0/likely_hours".to_owned(), "conflict")]);
    for (on, code) in [
        (vec!["zz"], "unknown"),
        (vec!["a1"], "self"),
        (vec!["b1"], "ancestor"),
        (vec!["c1", "c1"], "duplicate"),
    ] {
        let whole = with("a1", &needs(&on));
        let whole = with(
            "a1",
            &json!({
                "depends_on": whole["depends_on"], "children": [node("b1")],
            }),
        );
        let told = wrong(&json!({ "tasks": [whole, node("c1")] }));
        let place = format!("/tasks/0/depends_on/{}/on", on.len() - 1);
        assert_eq!(told, [(place, code)]);
    }
    let circle = json!({ "tasks": [
        with("a1", &json!({ "children": [with("b1", &needs(&["c1"]))] })),
        with("c1", &needs(&["a1"])),
    ]});
    let told = Plan::read(&circle).expect_err("a circle");
    assert_eq!((&*told[0].pointer, told[0].code), ("/tasks", "cycle"));
    assert!(told[0].message.contains("b1") && told[0].message.contains("c1"), "{told:?}");
}

/// T15: the guards of every decomposition hold for plans as well.
#[test]
fn plans_are_held_to_the_guards() {
    let many: Vec<Value> = (0..201).map(|number| node(&format!("k{number}"))).collect();
    let refused = split(&json!({ "tasks": many })).expect_err("201 are too many");
    assert_eq!(refused, DecompositionRefused::TooMany { limit: 200 });
    let mut deep = node("k4");
    for number in (1..4).rev() {
        deep = with(&format!("k{number}"), &json!({ "children": [deep] }));
    }
    let refused = split(&json!({ "tasks": [deep] })).expect_err("four levels of three");
    assert!(
        matches!(refused, DecompositionRefused::PlanInvalid(errors) if errors[0].code == "too_deep")
    );
    let inflated = json!({ "tasks": [
        with("a1", &json!({ "likely_hours": 20, "children": [
            with("b1", &json!({ "likely_hours": 41 })),
        ]})),
        with("c1", &json!({ "likely_hours": 5 })),
    ]});
    let made = split(&inflated).expect("allowed");
    let told: Vec<_> = made.warnings.iter().map(|one| (one.code, &*one.title)).collect();
    let code = WarningCode::EffortInflated;
    assert_eq!(told, [(code, "Build it"), (code, "Build a1")]);
}

#[test]
fn the_schema_is_one_that_is_understood() {
    let document: Value = serde_json::from_str(SCHEMA).expect("JSON");
    assert!(Schema::read(&document).is_ok());
    for unknown in [
        json!({ "oneOf": [] }),
        json!({ "type": ["string"] }),
        json!({ "pattern": "(" }),
        json!({ "properties": { "a": { "format": "date" } } }),
        json!(true),
    ] {
        assert!(Schema::read(&unknown).is_err(), "{unknown}");
    }
}
