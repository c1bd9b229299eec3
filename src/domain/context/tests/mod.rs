//! What contexts promise: paths, versions, conflicts, history, merges, copies, expiry.

mod merges;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::patch::{JsonPatch, PatchError, merge_patch};
use super::path::{Path, overlap};
use super::stamp::{Author, AuthorKind};
use super::write::{Base, Group, Update, undo};
use super::*;
use crate::domain::ids::{ContextId, TenantId};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).after(Duration::from_secs(seconds))
}

fn person(number: u128) -> Author {
    Author {
        kind: AuthorKind::Person,
        principal: Uuid::from_u128(number),
        name: format!("p{number}"),
        session_id: None,
        agent_id: None,
    }
}

fn agent(session: u128) -> Author {
    Author {
        kind: AuthorKind::Agent,
        principal: Uuid::from_u128(900),
        name: "AGENT-A".to_owned(),
        session_id: Some(SessionId::new(Uuid::from_u128(session))),
        agent_id: Some(AgentId::new(Uuid::from_u128(900))),
    }
}

fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}

fn birth(number: u128, by: &Author, seconds: u64) -> Birth<'_> {
    Birth { id: ContextId::new(Uuid::from_u128(number)), by, at: at(seconds) }
}

fn session_context(number: u128, data: Value) -> Context {
    let draft = ContextDraft {
        session_id: Some(SessionId::new(Uuid::from_u128(1))),
        initial_data: map(data),
        ..ContextDraft::default()
    };
    Context::new(TenantId::BOOTSTRAP, draft, birth(number, &person(1), 0)).expect("fit")
}

fn updates(value: Value) -> Vec<Update> {
    Update::all("/updates", map(value)).expect("valid")
}

/// Writes, and keeps the group as a store would.
fn write(context: &mut Context, log: &mut Vec<Group>, by: &Author, value: Value, seconds: u64) {
    let entries = context.write(&updates(value), by, at(seconds)).expect("small");
    log.push(Group {
        tenant_id: context.tenant_id,
        context_id: context.id,
        version: log.len() as u64 + 2,
        entries,
        changed_at: at(seconds),
        changed_by: by.clone(),
    });
}

fn stamped(context: &Context) -> bool {
    let leaves: Vec<String> = data::leaves(&context.data).into_keys().collect();
    let stamps: Vec<String> = context.stamps.keys().cloned().collect();
    leaves == stamps
        && context.stamps.values().all(|stamp| context.vector.knows(stamp))
        && context.stamps.values().all(|stamp| context.author(stamp).is_some())
}

#[test]
fn a_path_has_one_spelling() {
    for (text, names) in [
        ("a", vec!["a"]),
        ("a.b", vec!["a", "b"]),
        (r"a\.b.c", vec!["a.b", "c"]),
        (r"a\\.b", vec![r"a\", "b"]),
        ("ä b/c", vec!["ä b/c"]),
    ] {
        let path = Path::parse(text).expect("a path");
        assert_eq!(path.segments(), names, "{text}");
        assert_eq!(path.to_string(), text);
    }
    for text in ["", ".", "a..b", "a.", ".a", r"a\b", r"a\"] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
    assert!(Path::parse(&"ä".repeat(512)).is_ok());
    assert!(Path::parse(&"ä".repeat(513)).is_err());
    assert!(Path::parse(&["a"; 32].join(".")).is_ok());
    assert!(Path::parse(&["a"; 33].join(".")).is_err());
    assert!(overlap("a", "a.b") && overlap("a.b", "a") && overlap("a", "a"));
    assert!(!overlap("a", "ab") && !overlap("a", r"a\.b") && !overlap("a.b", "a.c"));
}

#[test]
fn dotted_access_and_null_as_absent() {
    let mut context = session_context(1, json!({ "a": { "b": 1, "n": null }, "l": [null, 1] }));
    assert_eq!(context.data, map(json!({ "a": { "b": 1 }, "l": [null, 1] })));
    let mut log = Vec::new();
    let by = person(1);
    write(&mut context, &mut log, &by, json!({ "x.y.z": 1, "a.b.c": true, r"d\.d": 2 }), 1);
    let expected = json!({
        "a": { "b": { "c": true } }, "l": [null, 1], "x": { "y": { "z": 1 } }, "d.d": 2
    });
    assert_eq!(context.data, map(expected), "values that are no maps give way");
    let paths = ["a", "a.b", "a.b.c", r"d\.d", "l", "x", "x.y", "x.y.z"];
    assert_eq!(data::all_paths(&context.data), paths);
    let get = |path: &str| {
        data::get(&context.data, Path::parse(path).expect("a path").segments()).cloned()
    };
    assert_eq!((get("a.b.c"), get("a.b.d"), get("l.0")), (Some(json!(true)), None, None));
    assert!(stamped(&context));
    write(&mut context, &mut log, &by, json!({ "a.b": null, "l": null, "nothing": null }), 2);
    assert_eq!(context.data["a"], json!({}));
    assert_eq!(log[1].entries.len(), 2, "what was absent was not deleted");
    assert!(stamped(&context), "an empty map is a leaf");
    let kept = context.clone();
    let none = context.write(&updates(json!({ "nothing": null })), &by, at(3)).expect("small");
    assert!(none.is_empty() && context == kept);
}

#[test]
fn what_cannot_be_reached_again_is_refused() {
    let refused = |value: Value| Update::all("/updates", map(value)).expect_err("refused");
    assert_eq!(refused(json!({}))[0].pointer, "/updates");
    assert_eq!(refused(json!({ "a": 1, "a.b": 2 }))[0].code, "invalid");
    assert_eq!(refused(json!({ "a/b..": 1 }))[0].pointer, "/updates/a~1b..");
    assert_eq!(refused(json!({ "a": { "": 1 } }))[0].pointer, "/updates/a");
    assert_eq!(refused(json!({ "a": { "k".repeat(512): 1 } }))[0].code, "too_long");
    let deep = (0..32).fold(json!(1), |value, _| json!({ "k": value }));
    assert_eq!(refused(json!({ "a": deep }))[0].code, "too_deep");
    let draft = |scope| ContextDraft { scope: Some(scope), ..ContextDraft::default() };
    for (scope, pointer) in [
        (ContextScope::Session, "/session_id"),
        (ContextScope::Task, "/task_id"),
        (ContextScope::Agent, "/agent_id"),
    ] {
        assert_eq!(draft(scope).check().expect_err("refused")[0].pointer, pointer);
    }
    assert!(draft(ContextScope::Global).check().is_ok());
    let large = json!({ "a": "x".repeat(data::MOST_BYTES) });
    let mut context = session_context(1, json!({}));
    let refused = context.write(&updates(large), &person(1), at(1));
    assert_eq!(refused, Err(Unfit::TooLarge));
}

#[test]
fn disjoint_writes_go_on_top_and_overlapping_ones_are_told_their_keys() {
    let mut context = session_context(1, json!({ "a": { "b": 1 }, "c": 1 }));
    let mut log = Vec::new();
    write(&mut context, &mut log, &person(2), json!({ "a.b": 2, "n.m": 1 }), 1);
    let paths = |names: &[&str]| -> Vec<Path> {
        names.iter().map(|name| Path::parse(name).expect("a path")).collect()
    };
    let base = |expected, strict| Base { expected_version: expected, strict };
    assert_eq!(base(None, false).rebase(2, &[], &paths(&["a"])), Ok(None));
    assert_eq!(base(Some(2), true).rebase(2, &[], &paths(&["a"])), Ok(None));
    assert_eq!(base(Some(1), false).rebase(2, &log, &paths(&["c", "d"])), Ok(Some(1)));
    for (names, keys) in [
        (&["a", "c"][..], &["a"][..]),
        (&["a.b", "c"], &["a.b"]),
        (&["a.b.x"], &["a.b.x"]),
        (&["n"], &["n"]),
        (&["n.x"], &["n.x"]),
    ] {
        let conflict = base(Some(1), false).rebase(2, &log, &paths(names)).expect_err("refused");
        assert_eq!(conflict.conflicting_keys, keys, "{names:?}");
        assert_eq!((conflict.expected_version, conflict.actual_version), (1, 2));
    }
    assert!(base(Some(1), true).rebase(2, &log, &paths(&["c"])).is_err(), "strict");
    assert!(base(Some(3), false).rebase(2, &[], &paths(&["c"])).is_err(), "from the future");
    assert!(base(Some(1), false).rebase(2, &[], &paths(&["c"])).is_err(), "nobody knows any more");
}

#[test]
fn agents_are_named_and_not_trusted_until_somebody_else_writes() {
    let mut context = session_context(1, json!({ "a": 1 }));
    let mut log = Vec::new();
    write(&mut context, &mut log, &agent(7), json!({ "plan.step": "rm -rf" }), 1);
    assert!(!context.is_trusted() && !context.is_trusted_at("plan") && context.is_trusted_at("a"));
    let newest = context.newest_at("plan").expect("stamped");
    assert_eq!(context.author(newest), Some(&agent(7)));
    let copy = context.promoted(birth(2, &person(1), 2)).expect("promoted");
    assert!(!copy.is_trusted(), "a copy says who wrote it");
    write(&mut context, &mut log, &person(1), json!({ "plan": "tests first" }), 2);
    assert!(context.is_trusted());
    assert_eq!(context.authors.len(), 1, "whoever left nothing is not kept");
}

#[test]
fn each_scope_expires_at_its_time_and_global_never() {
    let lifetimes = Lifetimes::default();
    let with = |scope| Context { scope, ..session_context(1, json!({})) };
    let expires = |scope, owner| with(scope).expires_at(&lifetimes, owner);
    let hours = |count: u64| Some(at(3600 * count));
    assert_eq!(expires(ContextScope::Temporary, OwnerStands::Open), hours(1));
    assert_eq!(expires(ContextScope::Task, OwnerStands::Open), hours(24));
    assert_eq!(expires(ContextScope::Session, OwnerStands::Open), None);
    assert_eq!(expires(ContextScope::Session, OwnerStands::Ended(at(3600))), hours(25));
    assert_eq!(expires(ContextScope::Session, OwnerStands::Nowhere), hours(24));
    assert_eq!(expires(ContextScope::Agent, OwnerStands::Nowhere), hours(168));
    assert_eq!(expires(ContextScope::Global, OwnerStands::Nowhere), None);
}

#[test]
fn copies_are_deep_and_name_their_origin() {
    let context = session_context(1, json!({ "a": { "b": 1 } }));
    let other = SessionId::new(Uuid::from_u128(8));
    let mut shared = context.shared(other, birth(2, &person(2), 5));
    assert_eq!((shared.session_id, shared.lineage_id), (Some(other), context.id));
    assert_eq!(shared.metadata["cloned_from"], json!(context.id));
    assert_eq!(shared.metadata["shared_at"], json!(at(5)));
    assert_eq!((&shared.vector, &shared.stamps), (&context.vector, &context.stamps));
    shared.write(&updates(json!({ "a.b": 2 })), &person(2), at(6)).expect("small");
    assert_eq!(context.data["a"]["b"], json!(1));
    let temporary = Context { scope: ContextScope::Temporary, ..context.clone() };
    let refused = temporary.promoted(birth(3, &person(1), 5));
    assert_eq!(refused, Err(ContextScope::Temporary));
    let global = context.promoted(birth(3, &person(1), 5)).expect("promoted");
    assert_eq!((global.scope, global.session_id), (ContextScope::Global, None));
    assert_eq!(global.metadata["promoted_from"], json!(context.id));
}

#[test]
fn diffs_list_leaves_only() {
    let first = map(json!({ "a": { "b": 1, "c": 2 }, "l": [1], "k": 1 }));
    let second = map(json!({ "a": { "b": 1, "d": 3 }, "l": [1, 2], "k": { "x": 1 } }));
    let found = diff::diff(&first, &second);
    let names = |map: &std::collections::BTreeMap<String, Value>| -> Vec<String> {
        map.keys().cloned().collect()
    };
    assert_eq!(names(&found.added), ["a.d", "k.x"]);
    assert_eq!(names(&found.deleted), ["a.c", "k"]);
    assert_eq!(found.modified["l"], (json!([1]), json!([1, 2])));
}

#[test]
fn the_patches_of_the_web_do_what_their_standards_say() {
    let stands = map(json!({ "a": "b", "c": { "d": "e", "f": "g" }, "l": [1, 2] }));
    let patched = merge_patch(&stands, map(json!({ "a": "z", "c": { "f": null }, "n": {} })));
    let expected = map(json!({ "a": "z", "c": { "d": "e" }, "l": [1, 2], "n": {} }));
    assert_eq!(patched, expected);
    let named: Vec<String> =
        Update::between(&stands, &patched).iter().map(|update| update.path.to_string()).collect();
    assert_eq!(named, ["a", "c.f", "n"], "only what changes is written");
    let apply = |steps: Value| {
        JsonPatch::parse(steps.as_array().expect("a list")).expect("a patch").apply(&stands)
    };
    let done = apply(json!([
        { "op": "test", "path": "/c/d", "value": "e" },
        { "op": "add", "path": "/l/1", "value": 9 },
        { "op": "add", "path": "/l/-", "value": 3 },
        { "op": "move", "from": "/c/f", "path": "/moved" },
        { "op": "copy", "from": "/a", "path": "/c/a" },
        { "op": "replace", "path": "/a", "value": null },
        { "op": "remove", "path": "/l/0" },
    ]));
    let expected = json!({ "c": { "d": "e", "a": "b" }, "l": [9, 2, 3], "moved": "g" });
    assert_eq!(done, Ok(map(expected)));
    for steps in [
        json!([{ "op": "test", "path": "/a", "value": 1 }]),
        json!([{ "op": "remove", "path": "/nothing" }]),
        json!([{ "op": "add", "path": "/l/01", "value": 1 }]),
        json!([{ "op": "add", "path": "/l/9", "value": 1 }]),
        json!([{ "op": "move", "from": "/c", "path": "/c/x" }]),
    ] {
        let failed = apply(steps.clone());
        assert!(matches!(failed, Err(PatchError::Failed { .. })), "{steps}");
    }
    let invalid = json!([{ "op": "no", "path": "/a" }, { "op": "add", "path": "a" }, 1]);
    let errors = JsonPatch::parse(invalid.as_array().expect("a list")).expect_err("refused");
    let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/0/op", "/1/path", "/2"]);
    assert!(matches!(
        apply(json!([{ "op": "replace", "path": "", "value": 1 }])),
        Err(PatchError::Invalid(_))
    ));
}

/// A value that a context may hold.
fn a_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (0..5_i64).prop_map(|number| json!(number)),
        Just(json!([1, 2])),
        Just(json!({})),
        Just(json!("t")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::btree_map("[a-c]", inner, 1..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    })
}

/// One request: a path, and a value or its deletion.
fn a_write() -> impl Strategy<Value = (String, Option<Value>)> {
    (prop::collection::vec("[a-c]", 1..4), prop::option::of(a_value()))
        .prop_map(|(names, value)| (names.join("."), value))
}

proptest! {
    #[test]
    fn every_version_can_be_had_again(writes in prop::collection::vec(a_write(), 1..20)) {
        let mut context = session_context(1, json!({ "a": { "b": 1 }, "c": [1] }));
        let (mut versions, mut log) = (vec![context.data.clone()], Vec::new());
        for (second, (path, value)) in (1..).zip(writes) {
            let request = json!({ path: value });
            write(&mut context, &mut log, &person(1), request, second);
            versions.push(context.data.clone());
            prop_assert!(stamped(&context));
        }
        let mut data = context.data.clone();
        for (group, expected) in log.iter().zip(&versions).rev() {
            undo(&mut data, group);
            prop_assert_eq!(&data, expected);
        }
    }

    #[test]
    fn the_steps_between_two_states_lead_there(left in a_value(), right in a_value()) {
        let (before, after) = (map(json!({ "r": left })), map(json!({ "r": right })));
        let mut data = before.clone();
        for update in Update::between(&before, &after) {
            super::write::change(&mut data, &update, super::write::ContextOp::Merge);
        }
        prop_assert_eq!(data, after);
    }

    #[test]
    fn no_increment_is_lost(turns in prop::collection::vec(0..4_usize, 1..200)) {
        // Four writers read and write whenever it is their turn; each write says what was read.
        let mut context = session_context(1, json!({ "count": 0 }));
        let (mut log, mut read, mut accepted) = (Vec::new(), [None; 4], 0_u64);
        for (second, writer) in (1..).zip(turns) {
            let version = log.len() as u64 + 1;
            let Some((known, value)) = read[writer].take() else {
                read[writer] = Some((version, context.data["count"].as_u64().unwrap_or(0)));
                continue;
            };
            let base = Base { expected_version: Some(known), strict: false };
            let since = &log[usize::try_from(known - 1).unwrap_or(0)..];
            let paths = [Path::parse("count").expect("a path")];
            if base.rebase(version, since, &paths).is_ok() {
                write(&mut context, &mut log, &person(1), json!({ "count": value + 1 }), second);
                accepted += 1;
            }
        }
        prop_assert_eq!(context.data["count"].as_u64(), Some(accepted));
    }
}
