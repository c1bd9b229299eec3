//! The six shipped templates, to the digit.

use serde_json::json;

use super::{asked, by_default, children, likely, links, names, shipped, split, task, with};
use crate::domain::decompose::WarningCode;
use crate::domain::decompose::request::{DecompositionRefused, RequestDraft, Strategy};
use crate::domain::task::spec::TaskPriority;

#[test]
fn the_six_are_shipped_with_their_figures() {
    let known = shipped();
    let rows: Vec<String> = known
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {} {} {} {}",
                one.key,
                one.trigger,
                one.threshold,
                one.strategy,
                one.max_depth,
                one.leaf_target,
                one.priority
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "crud keyword moderate functional 3 complex 4",
            "microservice keyword moderate functional 3 complex 5",
            "refactoring_task task_type moderate functional 3 simple 1",
            "security keyword moderate functional 3 complex 6",
            "ui keyword moderate functional 3 complex 4",
            "web_service_implementation task_type complex temporal 4 moderate 1",
        ]
    );
}

/// T13: a refactoring and a web service of twelve hours, with everything by default.
#[test]
fn a_refactoring_and_a_web_service_have_so_many_subtasks() {
    let refactoring = by_default(&task("Clean the parser", "refactoring", 12.0));
    assert_eq!(
        names(&refactoring),
        ["Code Analysis", "Refactoring Plan", "Refactoring Execution", "Verification"]
    );
    assert_eq!((refactoring.subtasks_created(), refactoring.max_depth_reached), (27, 3));
    assert_eq!(refactoring.templates_applied, ["refactoring_task"]);
    assert_eq!(refactoring.rules_applied, [""; 0]);
    let web = by_default(&task("Serve orders", "web_service", 12.0));
    assert_eq!(
        names(&web),
        ["Requirements Analysis", "System Design", "Implementation", "Testing", "Deployment"]
    );
    assert_eq!((web.subtasks_created(), web.max_depth_reached), (12, 2));
    assert_eq!(likely(&web), [2.0, 4.0, 8.0, 4.0, 2.0]);
    assert_eq!(web.warnings, [], "20 hours of 12 are not twice as many");
    let of_design: Vec<&str> = web
        .nodes
        .iter()
        .filter(|node| node.parent == Some(1))
        .map(|node| &*node.own_title)
        .collect();
    assert_eq!(of_design, ["Analysis", "Design"]);
    let (first, types) = (&web.nodes[5], web.nodes[5..].iter().map(|node| &*node.task_type));
    assert_eq!(first.title, "Serve orders - System Design - Analysis");
    assert_eq!(
        types.collect::<Vec<_>>(),
        [
            "design_analysis",
            "design_design",
            "implementation_analysis",
            "implementation_design",
            "implementation_implementation",
            "testing_analysis",
            "testing_design",
        ]
    );
    let chained = |count: usize| links(&web).into_iter().take(count).map(|(_, _, kind)| kind);
    assert!(chained(4).all(|kind| kind == "finish_to_start"));
    assert_eq!(links(&web).len(), 4 + 1 + 2 + 1);
}

/// T14: security work of twelve hours.
#[test]
fn security_is_four_chained_children() {
    let made = by_default(&task("Add oauth", "feature", 12.0));
    assert_eq!(made.rules_applied, ["security"]);
    assert_eq!((names(&made).len(), made.subtasks_created()), (4, 4));
    assert_eq!(likely(&made), [4.5; 4]);
    assert!(children(&made).iter().all(|node| node.priority == TaskPriority::High));
    let chain = |source: &str, target: &str| {
        let name = |part: &str| format!("Security {part}");
        (name(source), name(target), "finish_to_start")
    };
    assert_eq!(
        links(&made),
        [
            chain("Implementation", "Design"),
            chain("Testing", "Implementation"),
            chain("Audit", "Testing")
        ]
    );
    let last = children(&made)[3];
    assert_eq!(last.title, "Add oauth - Security Audit");
    assert_eq!(
        (&*last.task_type, last.estimate.required_capabilities.join(" ")),
        ("security_audit", "security_audit code_review".to_owned())
    );
    for (level, hours, priority) in [
        ("low", 1.5, TaskPriority::Normal),
        ("medium", 3.0, TaskPriority::Normal),
        ("critical", 6.0, TaskPriority::High),
    ] {
        let made = split(&task("Add oauth", "feature", 12.0), &with(&json!({ "level": level })));
        let made = made.expect("allowed");
        assert_eq!(likely(&made), [hours; 4], "{level}");
        assert_eq!(children(&made)[0].priority, priority, "{level}");
    }
}

/// T14: a distributed system of twelve hours.
#[test]
fn a_microservice_is_three_services_on_three_components() {
    let made = by_default(&task("Make it distributed", "feature", 12.0));
    assert_eq!(made.rules_applied, ["microservice"]);
    assert_eq!(
        names(&made),
        [
            "Shared component auth",
            "Shared component database",
            "Shared component api_gateway",
            "Service 1",
            "Service 2",
            "Service 3"
        ]
    );
    assert_eq!(likely(&made), [2.0; 6]);
    assert_eq!(made.subtasks_created(), 6);
    let told = links(&made);
    assert_eq!(told.len(), 9);
    for service in 1..=3 {
        for component in ["auth", "database", "api_gateway"] {
            let (source, target) =
                (format!("Service {service}"), format!("Shared component {component}"));
            assert!(told.contains(&(source, target, "start_to_start")));
        }
    }
    let request = with(&json!({ "services": 1, "components": ["queue", "cache"] }));
    let made = split(&task("Make it distributed", "feature", 12.0), &request).expect("allowed");
    assert_eq!(names(&made), ["Shared component queue", "Shared component cache", "Service 1"]);
    assert_eq!(likely(&made), [3.0, 3.0, 4.0]);
}

/// T14: records and pages of twelve hours.
#[test]
fn crud_is_four_and_their_tests_and_ui_is_five_of_which_three_wait_for_the_layout() {
    let made = by_default(&task("Store the model", "feature", 12.0));
    assert_eq!(made.rules_applied, ["crud"]);
    assert_eq!(
        names(&made),
        ["Create operation", "Read operation", "Update operation", "Delete operation", "Tests"]
    );
    assert_eq!(likely(&made), [3.0, 3.0, 3.0, 3.0, 3.6]);
    let told = links(&made);
    assert_eq!(told.len(), 4);
    assert!(
        told.iter()
            .all(|(source, _, kind)| (source.as_str(), *kind) == ("Tests", "finish_to_start"))
    );
    let made = by_default(&task("Draw the frontend", "feature", 12.0));
    assert_eq!(made.rules_applied, ["ui"]);
    assert_eq!(names(&made), ["Layout", "Navigation", "Forms", "Tables", "Charts"]);
    assert_eq!(likely(&made), [2.4; 5]);
    let told = links(&made);
    let expected = ["Forms", "Tables", "Charts"]
        .map(|source| (source.to_owned(), "Layout".to_owned(), "start_to_start"));
    assert_eq!(told, expected);
}

/// T12: words that only look like keywords choose nothing.
#[test]
fn no_template_is_found_by_a_part_of_a_word() {
    let made = by_default(&task("Rebuild the author page as required", "feature", 12.0));
    assert_eq!(made.nodes, []);
    assert_eq!(made.warnings[0].code, WarningCode::NoTemplateMatched);
    for (title, key) in [("Draw the UIs", "ui"), ("Split microservices", "microservice")] {
        assert_eq!(by_default(&task(title, "feature", 12.0)).rules_applied, [key]);
    }
}

#[test]
fn several_rules_add_their_children_in_the_order_of_their_priority() {
    let made = by_default(&task("Secure the database and its interface", "feature", 40.0));
    assert_eq!(made.rules_applied, ["crud", "ui"], "of equal priority the smaller key");
    assert_eq!(children(&made).len(), 10);
    let positions: Vec<u32> = children(&made).iter().map(|node| node.position).collect();
    assert_eq!(positions, (0..10).collect::<Vec<u32>>());
    assert_eq!(made.warnings.len(), 1, "1.3 and 1.0 times the task");
    assert_eq!(made.warnings[0].code, WarningCode::EffortInflated);
    let all = by_default(&task("Model the auth of a distributed interface", "feature", 12.0));
    assert_eq!(all.rules_applied, ["security", "microservice", "crud", "ui"]);
}

/// T15: no template appears twice on the way down, also where its words come again.
#[test]
fn a_template_is_used_once_on_a_branch() {
    // Each of its children has the word in its own title.
    let made = by_default(&task("Harden security", "feature", 100.0));
    assert_eq!(made.rules_applied, ["security"]);
    for (place, node) in made.nodes.iter().enumerate() {
        let mut way = vec![];
        let mut at = Some(place);
        while let Some(place) = at {
            let above = made.nodes[place].parent;
            let key = made.nodes[place].template_key.as_deref();
            // A generic split within a template keeps its key.
            let is_generic = made.nodes[place].own_title.starts_with("Component");
            way.extend(key.filter(|_| !is_generic));
            at = above;
        }
        let mut once = way.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), way.len(), "{}", node.title);
    }
    // A component for auth is security work when it is large enough.
    let request = with(&json!({ "services": 1, "components": ["auth"] }));
    let made = split(&task("Make it distributed", "feature", 60.0), &request).expect("allowed");
    assert_eq!(made.rules_applied, ["microservice", "security"]);
    let below = made.nodes.iter().filter(|node| node.own_title == "Security Design").count();
    assert_eq!(below, 1);
}

/// T15: complex and expert children are refined, trivial and simple ones are not.
#[test]
fn children_above_the_leaf_target_are_refined() {
    let made = by_default(&task("Serve orders", "api", 12.0));
    let refined = |name: &str| {
        let place = made.nodes.iter().position(|node| node.own_title == name).expect("there");
        made.children(Some(place)).count()
    };
    // Two hours are moderate, four complex, eight expert.
    assert_eq!(
        ["Requirements Analysis", "System Design", "Implementation"].map(refined),
        [0, 2, 3]
    );
    let small = by_default(&task("Clean it", "refactoring", 1.0));
    assert_eq!(small.templates_applied, ["refactoring_task"]);
    for node in &small.nodes {
        let level = node.estimate.hours.level();
        let place = small.nodes.iter().position(|one| one == node);
        let is_split = small.children(place).count() > 0;
        let is_small = level.as_str() == "trivial" || level.as_str() == "simple";
        assert!(!(is_split && is_small), "{} is {level}", node.title);
    }
}

/// T15: 201 subtasks are refused as a whole.
#[test]
fn too_many_subtasks_are_refused() {
    let mut task = task("Build it", "feature", 1000.0);
    let request = |depth: u32| {
        let draft = RequestDraft {
            strategy: Some(Strategy::Functional),
            max_depth: Some(depth),
            ..RequestDraft::default()
        };
        draft.accept().expect("valid")
    };
    // 4 at each level: 4, 20, 84, 340.
    assert_eq!(split(&task, &request(3)).map(|made| made.subtasks_created()), Ok(84));
    let refused = split(&task, &request(4)).expect_err("340 are too many");
    assert_eq!(refused, DecompositionRefused::TooMany { limit: 200 });
    task.place.depth = 9;
    assert_eq!(split(&task, &request(1)), Err(DecompositionRefused::TooDeep));
    task.place.depth = 7;
    let made = split(&task, &request(5)).expect("two levels are left");
    assert_eq!((made.max_depth_reached, made.subtasks_created()), (2, 20));
}

#[test]
fn a_named_template_is_used_whatever_its_trigger_and_threshold() {
    let named = |key: &str| {
        let draft = RequestDraft { template_name: Some(key.to_owned()), ..RequestDraft::default() };
        draft.accept().expect("valid")
    };
    let made = split(&task("Do it", "feature", 0.5), &named("ui")).expect("allowed");
    assert_eq!((&*made.templates_applied[0], children(&made).len()), ("ui", 5));
    let unknown = split(&task("Do it", "feature", 0.5), &named("nothing"));
    assert_eq!(unknown, Err(DecompositionRefused::TemplateNotFound));
    let conflict = RequestDraft {
        strategy: Some(Strategy::Rules),
        template_name: Some("ui".to_owned()),
        max_depth: Some(6),
        ..RequestDraft::default()
    };
    assert_eq!(conflict.accept().expect_err("wrong").len(), 2);
}

#[test]
fn strategies_and_switches_leave_out_their_steps() {
    let both = task("Clean the database", "refactoring", 12.0);
    let applied = |request: &crate::domain::decompose::request::Request| {
        let made = split(&both, request).expect("allowed");
        (made.templates_applied.join(" "), made.rules_applied.join(" "))
    };
    let (type_only, words_only) =
        (("refactoring_task".to_owned(), String::new()), (String::new(), "crud".to_owned()));
    assert_eq!(applied(&asked(None)), type_only, "by type first");
    assert_eq!(applied(&asked(Some(Strategy::Template))), type_only);
    assert_eq!(applied(&asked(Some(Strategy::Rules))), words_only);
    assert_eq!(applied(&asked(Some(Strategy::Functional))), (String::new(), String::new()));
    let draft = RequestDraft { apply_templates: Some(false), ..RequestDraft::default() };
    assert_eq!(applied(&draft.accept().expect("valid")), words_only);
    let draft = RequestDraft {
        apply_templates: Some(false),
        apply_rules: Some(false),
        ..RequestDraft::default()
    };
    let made = split(&both, &draft.accept().expect("valid")).expect("allowed");
    assert_eq!(made.warnings[0].code, WarningCode::NoTemplateMatched);
}

#[test]
fn parameters_that_nobody_takes_or_allows_are_refused() {
    for (parameters, code) in [
        (json!({ "colour": 1 }), "unknown_field"),
        (json!({ "level": "extreme" }), "invalid"),
        (json!({ "services": 11 }), "invalid"),
        (json!({ "services": "3" }), "invalid"),
        (json!({ "components": [] }), "invalid"),
        (json!({ "components": ["a", "a"] }), "invalid"),
        (json!({ "components": [1] }), "invalid"),
    ] {
        let refused = split(&task("Do it", "feature", 12.0), &with(&parameters));
        let Err(DecompositionRefused::Invalid(errors)) = refused else {
            panic!("{parameters} was taken")
        };
        assert_eq!((errors.len(), errors[0].code), (1, code), "{parameters}");
        assert!(errors[0].pointer.starts_with("/parameters/"));
    }
}
