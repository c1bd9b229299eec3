//! Merges: one fixture under every strategy, what is known, and what is left to people.

use super::*;
use crate::domain::context::merge::{
    MergeStrategy, Outcome, Resolution, Resolutions, clashes, merge,
};

fn path(text: &str) -> Path {
    Path::parse(text).expect("a path")
}

fn wrote(context: &mut Context, by: &Author, value: Value, seconds: u64) {
    context.write(&updates(value), by, at(seconds)).expect("small");
}

/// Two contexts that went apart: a scalar, a list and a nested map clash, and the target has deleted a
/// leaf that the source still has.
fn apart() -> (Context, Context) {
    let origin = session_context(
        1,
        json!({ "scalar": 0, "list": [1], "nested": { "x": 0, "same": 1 }, "gone": 1 }),
    );
    let other = SessionId::new(Uuid::from_u128(2));
    let mut source = origin.shared(other, birth(2, &person(2), 1));
    let mut target = origin;
    wrote(&mut target, &person(1), json!({ "scalar": "target", "nested.x": "target" }), 10);
    wrote(&mut target, &person(1), json!({ "list": [1, 2], "gone": null, "nested.t": 1 }), 11);
    wrote(&mut source, &person(2), json!({ "scalar": "source", "list": [1, 3] }), 20);
    wrote(&mut source, &person(2), json!({ "nested.x": "source", "nested.s": 1 }), 9);
    (target, source)
}

fn under(strategy: MergeStrategy, resolutions: &Resolutions) -> Outcome {
    let (target, source) = apart();
    merge(&target, &[source], strategy, resolutions, birth(3, &person(3), 30)).expect("small")
}

#[test]
fn each_strategy_gives_its_own_result() {
    let data = |strategy| Value::Object(under(strategy, &Resolutions::new()).context.data);
    let nested = |x: &str| json!({ "x": x, "same": 1, "t": 1, "s": 1 });
    assert_eq!(
        data(MergeStrategy::PreferSource),
        json!({ "scalar": "source", "list": [1, 3], "nested": nested("source") })
    );
    assert_eq!(
        data(MergeStrategy::PreferTarget),
        json!({ "scalar": "target", "list": [1, 2], "nested": nested("target") })
    );
    assert_eq!(
        data(MergeStrategy::DeepMerge),
        json!({ "scalar": "source", "list": [1, 2, 3], "nested": nested("target") })
    );
    // The target wrote under `nested` last: its value is complete, nothing inside is combined.
    assert_eq!(
        data(MergeStrategy::LastWriteWins),
        json!({
            "scalar": "source", "list": [1, 3],
            "nested": { "x": "target", "same": 1, "t": 1 }
        })
    );
}

#[test]
fn people_decide_a_manual_merge() {
    let undecided = under(MergeStrategy::Manual, &Resolutions::new());
    let named: Vec<String> = undecided
        .undecided(&Resolutions::new())
        .iter()
        .map(|clash| clash.path.to_string())
        .collect();
    assert_eq!(named, ["list", "nested.x", "scalar"]);
    let resolutions: Resolutions = [
        (path("list"), Resolution::Source),
        (path("nested.x"), Resolution::Target),
        (path("scalar"), Resolution::Value(Some(json!({ "both": true })))),
    ]
    .into();
    let decided = under(MergeStrategy::Manual, &resolutions);
    assert!(decided.undecided(&resolutions).is_empty());
    let data = Value::Object(decided.context.data.clone());
    let nested = json!({ "x": "target", "same": 1, "t": 1, "s": 1 });
    assert_eq!(data, json!({ "list": [1, 3], "nested": nested, "scalar": { "both": true } }));
    assert!(stamped(&decided.context));
    let (target, source) = apart();
    assert_eq!(clashes(&target, &source).len(), 3, "without anybody deciding");
}

#[test]
fn a_merge_is_new_and_names_its_sources() {
    let (mut target, mut source) = apart();
    target.metadata = map(json!({ "a": "target", "t": 1 }));
    source.metadata = map(json!({ "a": "source", "s": 1 }));
    let source = Context { scope: ContextScope::Agent, ..source };
    let ids = json!([target.id, source.id]);
    let (left, right) = (target.vector.clone(), source.vector.clone());
    let by = person(3);
    let birth = birth(3, &by, 30);
    let strategy = MergeStrategy::DeepMerge;
    let made = merge(&target, &[source], strategy, &Resolutions::new(), birth).expect("small");
    let made = made.context;
    assert_eq!((made.id, made.lineage_id), (birth.id, birth.id));
    assert_eq!((made.scope, made.session_id), (ContextScope::Agent, target.session_id));
    assert_eq!((&made.metadata["a"], &made.metadata["s"]), (&json!("target"), &json!(1)));
    assert_eq!(made.metadata["merged_from"], ids);
    assert_eq!(made.metadata["merge_strategy"], json!("deep_merge"));
    assert_eq!(made.metadata["conflicts"], json!(["list", "nested.x", "scalar"]));
    assert_eq!(made.created_by, person(3));
    assert!(made.vector.covers(&left) && made.vector.covers(&right));
    assert!(stamped(&made));
}

#[test]
fn sharing_again_brings_what_is_new_and_no_more() {
    let (mut own, shared) = apart();
    let before = own.clone();
    let entries = own.take_in(&shared, &person(3), at(40)).expect("small");
    let named: Vec<String> = entries.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(named, ["list", "nested.s", "scalar"]);
    assert!(
        stamped(&own) && own.vector.covers(&shared.vector) && own.vector.covers(&before.vector)
    );
    assert!(!own.data.contains_key("gone"), "what was deleted on purpose stays so");
    let once = own.data.clone();
    let again = own.take_in(&shared, &person(3), at(41)).expect("small");
    assert!(again.is_empty() && own.data == once);
}

/// A context and a copy of it after some writes on either side.
fn diverged(
    left: Vec<(String, Option<Value>)>,
    right: Vec<(String, Option<Value>)>,
) -> (Context, Context, Context) {
    let origin = session_context(1, json!({ "a": { "a": 1, "b": 2 }, "b": [1], "c": 3 }));
    let other = SessionId::new(Uuid::from_u128(2));
    let (mut target, mut source) = (origin.clone(), origin.shared(other, birth(2, &person(2), 1)));
    for (seconds, (path, value)) in (10..).step_by(2).zip(left) {
        wrote(&mut target, &person(1), json!({ path: value }), seconds);
    }
    for (seconds, (path, value)) in (11..).step_by(2).zip(right) {
        wrote(&mut source, &person(2), json!({ path: value }), seconds);
    }
    (origin, target, source)
}

proptest! {
    #[test]
    fn who_knows_more_wins_under_every_strategy(
        writes in prop::collection::vec(a_write(), 0..8),
        strategy in prop::sample::select(MergeStrategy::ALL),
    ) {
        // Only one side wrote: whatever the order and the strategy, its state is the result.
        let (origin, newer, _) = diverged(writes, Vec::new());
        let copy = origin.shared(SessionId::new(Uuid::from_u128(2)), birth(2, &person(2), 1));
        for (target, source) in [(&newer, &copy), (&copy, &newer)] {
            let sources = [source.clone()];
            let by = person(3);
            let made = merge(target, &sources, strategy, &Resolutions::new(), birth(3, &by, 90))
                .expect("small");
            prop_assert!(made.clashes.is_empty());
            // Maps that were left empty by deletions may go; no leaf with a value differs.
            let leaves = |data: &Map<String, Value>| -> Vec<(String, Value)> {
                let all = data::leaves(data).into_iter();
                let kept = all.filter(|(_, value)| !value.is_object());
                kept.map(|(path, value)| (path, value.clone())).collect()
            };
            prop_assert_eq!(leaves(&made.context.data), leaves(&newer.data));
            prop_assert!(stamped(&made.context));
        }
    }

    #[test]
    fn a_merge_keeps_whatever_does_not_clash(
        left in prop::collection::vec(a_write(), 0..6),
        right in prop::collection::vec(a_write(), 0..6),
    ) {
        let (_, target, source) = diverged(left, right);
        let by = person(3);
        let made = |strategy, first: &Context, second: &Context| {
            let others = [second.clone()];
            merge(first, &others, strategy, &Resolutions::new(), birth(3, &by, 90)).expect("small")
        };
        let one = made(MergeStrategy::PreferTarget, &target, &source);
        let other = made(MergeStrategy::PreferSource, &source, &target);
        prop_assert_eq!(&one.context.data, &other.context.data, "the same side was preferred");
        prop_assert!(stamped(&one.context));
        // Whoever merges the result with an input again gets the result.
        let again = made(MergeStrategy::PreferSource, &one.context, &source);
        prop_assert!(again.clashes.is_empty());
        prop_assert_eq!(&again.context.data, &one.context.data);
    }
}
