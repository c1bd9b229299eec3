//! Template files: what is read, and what is refused with its place.

use serde_json::{Value, json};

use super::{NOW, asked, parsed, shipped, task};
use crate::domain::decompose::catalogue::Catalogue;
use crate::domain::decompose::file::{read, read_one};
use crate::domain::decompose::procedure::decompose;
use crate::domain::decompose::template::Template;
use crate::domain::field::FieldError;

const SMALL: &str = r#"
schema_version = 1
[[template]]
key = "crud"
name = "Ours"
trigger = "keyword"
keywords = ["database"]
  [[template.subtask]]
  key = "only"
  title = "{title} - All of it"
  hours = 3
"#;

fn wrong(text: &str) -> Vec<(String, &'static str)> {
    let told = read(&parsed(text)).expect_err("refused");
    told.into_iter().map(|FieldError { pointer, code, .. }| (pointer, code)).collect()
}

/// A small file with this in place of that.
fn changed(from: &str, to: &str) -> Vec<(String, &'static str)> {
    assert!(SMALL.contains(from), "{from}");
    wrong(&SMALL.replace(from, to))
}

fn told(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}

fn small() -> Template {
    read(&parsed(SMALL)).expect("valid").remove(0)
}

/// T16: a template of a tenant stands in the place of a shipped one, for that tenant.
#[test]
fn a_template_of_a_tenant_replaces_the_shipped_one() {
    let (common, ours) = (shipped(), shipped().with([small()]));
    assert_eq!((common.iter().count(), ours.iter().count()), (6, 6));
    let whole = task("Fill the database", "feature", 12.0);
    let count = |known: &Catalogue| {
        let made = decompose(&whole, false, &asked(None), known, NOW).expect("allowed");
        made.children(None).count()
    };
    assert_eq!((count(&common), count(&ours)), (5, 1));
    let shallow = Template { max_depth: 1, ..common.get("refactoring_task").expect("it").clone() };
    let known = shipped().with([shallow]);
    let refactoring = task("Clean the parser", "refactoring", 12.0);
    let made = decompose(&refactoring, false, &asked(None), &known, NOW).expect("allowed");
    assert_eq!((made.subtasks_created(), made.max_depth_reached), (4, 1), "its own depth counts");
    let beside = Template { key: "another".to_owned(), priority: 9, ..small() };
    let both = shipped().with([beside]);
    let made = decompose(&whole, false, &asked(None), &both, NOW).expect("allowed");
    assert_eq!(made.rules_applied, ["another", "crud"]);
}

/// T16: unknown keys are errors, wherever they stand.
#[test]
fn unknown_keys_are_refused() {
    let code = "unknown_field";
    assert_eq!(changed("schema_version = 1", "schema_version = 1\nmore = 2"), told("/more", code));
    assert_eq!(changed("name = ", "colour = 1\nname = "), told("/template/0/colour", code));
    let at = "/template/0/subtask/0/colour";
    assert_eq!(changed("hours = 3", "hours = 3\n  colour = 1"), told(at, code));
    let dependent = "hours = 3\n  depends_on = [{ on = \"only\", colour = 1 }]";
    let at = "/template/0/subtask/0/depends_on/0/colour";
    assert!(changed("hours = 3", dependent).contains(&(at.to_owned(), code)));
}

/// T16: subtasks that need each other in a circle are refused.
#[test]
fn circles_are_refused() {
    let itself = "hours = 3\n  depends_on = [{ on = \"only\" }]";
    assert_eq!(changed("hours = 3", itself), told("/template/0/subtask", "cycle"));
    let second = "hours = 3\n  depends_on = [{ on = \"next\" }]\n  [[template.subtask]]\n  \
        key = \"next\"\n  title = \"x\"\n  hours = 1\n  depends_on = [{ on = \"last\" }]\n  \
        [[template.subtask]]\n  key = \"last\"\n  title = \"x\"\n  hours = 1\n  \
        depends_on = [{ on = \"only\" }]";
    assert_eq!(changed("hours = 3", second), told("/template/0/subtask", "cycle"));
}

#[test]
fn every_rule_of_a_file_is_told_with_its_place() {
    let top = "/template/0";
    let at = |name: &str| format!("{top}/{name}");
    let sub = |name: &str| format!("{top}/subtask/0/{name}");
    for (from, to, pointer, code) in [
        ("schema_version = 1", "schema_version = 2", "/schema_version".to_owned(), "invalid"),
        ("key = \"crud\"", "key = \"Crud\"", at("key"), "invalid"),
        ("name = \"Ours\"", "", at("name"), "required"),
        ("trigger = \"keyword\"", "trigger = \"wind\"", at("trigger"), "unknown"),
        ("[\"database\"]", "[]", at("keywords"), "required"),
        ("[\"database\"]", "[\" \"]", at("keywords/0"), "invalid"),
        ("name = ", "version = \"1.0\"\nname = ", at("version"), "invalid"),
        ("name = ", "version = \"1.0.01\"\nname = ", at("version"), "invalid"),
        ("name = ", "threshold = \"huge\"\nname = ", at("threshold"), "unknown"),
        ("name = ", "strategy = \"rules\"\nname = ", at("strategy"), "unknown"),
        ("name = ", "max_depth = 6\nname = ", at("max_depth"), "out_of_range"),
        ("name = ", "priority = 11\nname = ", at("priority"), "out_of_range"),
        ("name = ", "excluded_task_types = [\"A\"]\nname = ", at("excluded_task_types"), "invalid"),
        ("hours = 3", "", sub("hours"), "required"),
        ("hours = 3", "hours = 3\n  share = 1", sub("hours"), "conflict"),
        ("hours = 3", "hours = 0", sub("hours"), "out_of_range"),
        ("hours = 3", "hours = 3\n  multiplier = \"x1\"", sub("multiplier"), "conflict"),
        ("hours = 3", "share = 1\n  multiplier = \"x1\"", sub("multiplier"), "unknown"),
        ("hours = 3", "share = 1\n  divide_by = [\"x1\"]", sub("divide_by"), "unknown"),
        ("hours = 3", "hours = 3\n  repeat = \"x1\"", sub("repeat"), "unknown"),
        ("hours = 3", "hours = 3\n  items_from = \"x1\"", sub("items_from"), "unknown"),
        ("hours = 3", "hours = 3\n  priority = \"now\"", sub("priority"), "unknown"),
        ("hours = 3", "hours = 3\n  priority_from = \"x1\"", sub("priority_from"), "unknown"),
        (
            "hours = 3",
            "hours = 3\n  depends_on = [{ on = \"x1\" }]",
            sub("depends_on/0/on"),
            "unknown",
        ),
        ("hours = 3", "hours = 3\n  technologies = [\"?\"]", sub("technologies"), "invalid"),
        ("All of it", "{n}", sub("title"), "invalid"),
        ("All of it", "{item}", sub("title"), "invalid"),
        ("All of it", "{other", sub("title"), "invalid"),
    ] {
        assert_eq!(changed(from, to), told(&pointer, code), "{to}");
    }
    let many: Vec<String> = (0..51)
        .map(|number| {
            format!("\n[[template.subtask]]\nkey = \"k{number}\"\ntitle = \"x\"\nhours = 1")
        })
        .collect();
    assert_eq!(
        wrong(&format!("{SMALL}{}", many.concat())),
        told("/template/0/subtask", "too_many")
    );
    let twice = SMALL.replacen("schema_version = 1", "", 1);
    assert_eq!(wrong(&format!("{SMALL}{twice}")), told("/template/1/key", "duplicate"));
    assert_eq!(wrong("schema_version = 1"), told("/template", "required"));
    assert!(read(&json!([])).is_err() && read_one(&json!("text")).is_err());
}

#[test]
fn parameters_are_held_to_their_kinds() {
    let with = |parameter: &str| {
        let text = format!(
            "  [[template.parameter]]\n  name = \"x1\"\n  {parameter}\n  [[template.subtask]]"
        );
        read(&parsed(&SMALL.replace("  [[template.subtask]]", &text)))
    };
    assert!(with("kind = \"integer\"\n  default = 2\n  min = 1\n  max = 3").is_ok());
    assert!(with("kind = \"list\"\n  default = [\"a\"]").is_ok());
    let choice =
        "kind = \"choice\"\n  default = \"a\"\n  choices = [{ value = \"a\", factor = 2 }]";
    assert!(with(choice).is_ok());
    for (parameter, place, code) in [
        ("kind = \"integer\"\n  default = 4\n  max = 3", "default", "out_of_range"),
        ("kind = \"integer\"", "default", "required"),
        ("kind = \"integer\"\n  default = 1\n  min = 0", "min", "out_of_range"),
        ("kind = \"integer\"\n  default = 1\n  choices = []", "choices", "conflict"),
        ("kind = \"list\"\n  default = []", "default", "out_of_range"),
        ("kind = \"list\"\n  default = [\"a\", \"a\"]", "default", "out_of_range"),
        ("kind = \"number\"\n  default = 1", "kind", "unknown"),
        ("default = 1", "kind", "required"),
        (
            "kind = \"choice\"\n  default = \"b\"\n  choices = [{ value = \"a\", factor = 2 }]",
            "default",
            "unknown",
        ),
        (
            "kind = \"choice\"\n  default = \"a\"\n  choices = [{ value = \"a\" }]",
            "choices/0/factor",
            "required",
        ),
    ] {
        let errors = with(parameter).expect_err("refused");
        let (pointer, told) = (&errors[0].pointer, errors[0].code);
        assert_eq!(
            (&**pointer, told),
            (&*format!("/template/0/parameter/0/{place}"), code),
            "{parameter}"
        );
    }
}

#[test]
fn what_is_spelled_as_json_is_read_back_the_same() {
    for template in shipped().iter().chain([&small()]) {
        let spelled = template.to_json();
        assert_eq!(read_one(&spelled).as_ref(), Ok(template), "{}", template.key);
        let text = spelled.to_string();
        let again: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read_one(&again).as_ref(), Ok(template));
    }
}

#[test]
fn instances_are_named_one_by_one() {
    let text = r#"
schema_version = 1
[[template]]
key = "stages"
name = "Stages"
trigger = "task_type"
threshold = "simple"
strategy = "none"
  [[template.parameter]]
  name = "count"
  kind = "integer"
  default = 3
  max = 5
  [[template.parameter]]
  name = "sites"
  kind = "list"
  default = ["north", "south"]
  max = 4
  [[template.subtask]]
  key = "stage"
  title = "{title} - Stage {n}"
  repeat = "count"
  share = 0.5
  divide_by = ["stage"]
  [[template.subtask]]
  key = "site"
  title = "{title} - Site {item}"
  description = "Bring {title} to {item}, the {n}th."
  items_from = "sites"
  hours = 1
  priority = "low"
  depends_on = [{ on = "stage.3" }, { on = "stage.5" }]
  [[template.subtask]]
  key = "end"
  title = "{title} - End"
  hours = 1
  depends_on = [{ on = "site.north", type = "start_to_finish", required = false }]
"#;
    let known = Catalogue::of(read(&parsed(text)).expect("valid"));
    let whole = task("Roll out", "implementation", 6.0);
    let made = decompose(&whole, false, &asked(None), &known, NOW).expect("allowed");
    assert_eq!(
        super::names(&made),
        ["Stage 1", "Stage 2", "Stage 3", "Site north", "Site south", "End"]
    );
    assert_eq!(super::likely(&made), [1.0; 6]);
    assert_eq!(made.nodes[4].description.as_deref(), Some("Bring Roll out to south, the 2th."));
    assert_eq!(made.nodes[4].priority.as_str(), "low");
    // What names an instance that is not there waits for nothing.
    let told: Vec<(usize, usize, bool)> =
        made.links.iter().map(|link| (link.source, link.target, link.is_required)).collect();
    assert_eq!(told, [(3, 2, true), (4, 2, true), (5, 3, false)]);
}
