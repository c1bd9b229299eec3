//! Template files: TOML or JSON that somebody wrote, read field by field.
//!
//! Whoever calls it has parsed the text; both spellings come to the same tree of values.
//!
//! Invariant: unknown keys are errors; everything that is wrong is told at once, with its place.
//! Source: domain 5.5.

use serde_json::{Map, Value};

use super::check;
use super::template::{
    Choice, Effort, Instances, MOST_INSTANCES, Parameter, ParameterKind, Reference, Refinement,
    SCHEMA_VERSION, Subtask, Template, TriggerKind, Urgency,
};
use crate::domain::agent::capability::{is_slug, is_technology};
use crate::domain::eap::fields::Fields;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::task::dependency::DependencyType;
use crate::domain::task::draft::DEFAULT_TYPE;
use crate::domain::task::estimate::ComplexityLevel;
use crate::domain::task::spec::TaskPriority;

/// Most templates of a file, most keywords and types of a template, most parameters.
const MOST_TEMPLATES: usize = 100;
const MOST_WORDS: usize = 50;
const MOST_PARAMETERS: usize = 20;
/// Most choices of a parameter.
const MOST_CHOICES: usize = 20;
/// Most characters of a word, an item or the name of a choice.
const WORD: usize = 50;

const OF_TEMPLATE: [&str; 15] = [
    "key",
    "name",
    "description",
    "version",
    "trigger",
    "task_types",
    "keywords",
    "excluded_task_types",
    "threshold",
    "leaf_target",
    "strategy",
    "max_depth",
    "priority",
    "parameter",
    "subtask",
];
const OF_PARAMETER: [&str; 6] = ["name", "kind", "default", "min", "max", "choices"];
const OF_CHOICE: [&str; 3] = ["value", "factor", "priority"];
const OF_SUBTASK: [&str; 15] = [
    "key",
    "title",
    "description",
    "task_type",
    "capabilities",
    "technologies",
    "hours",
    "share",
    "divide_by",
    "multiplier",
    "repeat",
    "items_from",
    "priority",
    "priority_from",
    "depends_on",
];
const OF_REFERENCE: [&str; 3] = ["on", "type", "required"];

/// The templates of a file.
///
/// # Errors
/// Everything that is wrong, with its place.
pub fn read(file: &Value) -> Result<Vec<Template>, Vec<FieldError>> {
    let mut errors = FieldErrors::default();
    let Some(map) = file.as_object() else {
        errors.add("", "wrong_type", "must be a table with schema_version and template");
        return errors.into_result(Vec::new());
    };
    let mut fields = Fields::of(map);
    only(&mut fields, map, &["schema_version", "template"]);
    if fields.whole("schema_version") != Some(SCHEMA_VERSION) {
        fields.wrong("schema_version", "invalid", "must be 1");
    }
    if map.get("template").is_none() {
        fields.wrong("template", "required", "must hold at least one template");
    }
    let listed = fields.list("template", MOST_TEMPLATES).unwrap_or_default();
    errors.absorb(fields.errors);
    let mut templates: Vec<Template> = Vec::with_capacity(listed.len());
    for (place, value) in listed.iter().enumerate() {
        let at = format!("/template/{place}");
        if let Some(template) = template(value, &at, &mut errors) {
            if templates.iter().any(|known| known.key == template.key) {
                errors.add(format!("{at}/key"), "duplicate", "is the key of another template");
            }
            templates.push(template);
        }
    }
    errors.into_result(templates)
}

/// One template, as it is sent on its own.
///
/// # Errors
/// Everything that is wrong, with its place.
pub fn read_one(value: &Value) -> Result<Template, Vec<FieldError>> {
    let mut errors = FieldErrors::default();
    let found = template(value, "", &mut errors);
    errors.into_result(found).and_then(|found| found.ok_or_else(Vec::new))
}

/// Tells of every key that is not one of these.
fn only(fields: &mut Fields<'_>, map: &Map<String, Value>, known: &[&str]) {
    for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
        let name = key.replace('~', "~0").replace('/', "~1");
        fields.wrong(&name, "unknown_field", "is not a key of this table");
    }
}

/// The fields of a table at a place; `None` when it is none.
fn table<'a>(
    value: &'a Value,
    at: &str,
    known: &[&str],
    errors: &mut FieldErrors,
) -> Option<Fields<'a>> {
    let Some(map) = value.as_object() else {
        errors.add(at, "wrong_type", "must be a table");
        return None;
    };
    let mut fields = Fields::at(map, at.to_owned());
    only(&mut fields, map, known);
    Some(fields)
}

fn template(value: &Value, at: &str, errors: &mut FieldErrors) -> Option<Template> {
    let told = errors.noted().len();
    let mut fields = table(value, at, &OF_TEMPLATE, errors)?;
    let trigger = word(&mut fields, "trigger", TriggerKind::parse, "task_type, keyword");
    if fields.value("trigger").is_none() {
        fields.wrong("trigger", "required", "must be task_type or keyword");
    }
    let key = slug(&mut fields, "key");
    let name = fields.required_text("name", 100).unwrap_or_default().to_owned();
    if fields.value("name").is_some() && name.trim().is_empty() {
        fields.wrong("name", "too_short", "must have at least 1 characters");
    }
    let description = fields.text("description", 500).unwrap_or_default().to_owned();
    let version = fields.text("version", 100).unwrap_or("1.0.0").to_owned();
    if !is_version(&version) {
        fields.wrong("version", "invalid", "must be a semantic version such as 1.0.0");
    }
    let task_types = match fields.value("task_types") {
        Some(_) => slugs(&mut fields, "task_types"),
        None => vec![DEFAULT_TYPE.to_owned()],
    };
    let is_empty = |fields: &Fields<'_>, name: &str| {
        fields.value(name).and_then(Value::as_array).is_none_or(Vec::is_empty)
    };
    let names_none = fields.value("task_types").is_some() && is_empty(&fields, "task_types");
    if trigger == Some(TriggerKind::TaskType) && names_none {
        fields.wrong("task_types", "required", "must name at least one type");
    }
    let keywords = texts(&mut fields, "keywords", WORD);
    if trigger == Some(TriggerKind::Keyword) && is_empty(&fields, "keywords") {
        fields.wrong("keywords", "required", "must hold at least one word");
    }
    let excluded_task_types = slugs(&mut fields, "excluded_task_types");
    let levels = "trivial, simple, moderate, complex, expert";
    let threshold = word(&mut fields, "threshold", ComplexityLevel::parse, levels);
    let leaf_target = word(&mut fields, "leaf_target", ComplexityLevel::parse, levels);
    let known = "functional, temporal, capability, none";
    let strategy = word(&mut fields, "strategy", Refinement::parse, known);
    let max_depth = within(&mut fields, "max_depth", 1, 5).unwrap_or(3);
    let priority = within(&mut fields, "priority", 1, 10).unwrap_or(1);
    if fields.value("subtask").is_none() {
        fields.wrong("subtask", "required", "must hold at least one subtask");
    }
    let listed = fields.list("parameter", MOST_PARAMETERS).unwrap_or_default();
    let below = fields.list("subtask", MOST_INSTANCES as usize).unwrap_or_default();
    errors.absorb(fields.errors);
    let parameters = listed
        .iter()
        .enumerate()
        .filter_map(|(place, value)| parameter(value, &format!("{at}/parameter/{place}"), errors));
    let parameters: Vec<Parameter> = parameters.collect();
    let subtasks = below
        .iter()
        .enumerate()
        .filter_map(|(place, value)| subtask(value, &format!("{at}/subtask/{place}"), errors));
    let subtasks: Vec<Subtask> = subtasks.collect();
    // How its parts fit together is looked at once each of them can be read.
    let is_whole = errors.noted().len() == told;
    let made = Template {
        key,
        name,
        description,
        version,
        trigger: trigger?,
        task_types,
        keywords,
        excluded_task_types,
        threshold: threshold.unwrap_or(ComplexityLevel::Complex),
        leaf_target: leaf_target.unwrap_or(ComplexityLevel::Simple),
        strategy: strategy.unwrap_or(Refinement::Functional),
        max_depth,
        priority,
        parameters,
        subtasks,
    };
    if is_whole {
        check::template(&made, at, errors);
    }
    Some(made)
}

fn parameter(value: &Value, at: &str, errors: &mut FieldErrors) -> Option<Parameter> {
    let mut fields = table(value, at, &OF_PARAMETER, errors)?;
    let name = slug(&mut fields, "name");
    let kind = fields.required_text("kind", 20).unwrap_or_default();
    let made = match kind {
        "integer" | "list" => {
            let min = within(&mut fields, "min", 1, MOST_INSTANCES).unwrap_or(1);
            let max = within(&mut fields, "max", min, MOST_INSTANCES).unwrap_or(MOST_INSTANCES);
            unused(&mut fields, &["choices"]);
            if fields.value("default").is_none() {
                fields.wrong("default", "required", "must be given");
            }
            if kind == "integer" {
                let default = within(&mut fields, "default", min, max).unwrap_or(min);
                Some(ParameterKind::Integer { default, min, max })
            } else {
                let default = texts(&mut fields, "default", WORD);
                let given = ParameterKind::List { default: default.clone(), min, max };
                if check::items(&default, min, max).is_err() {
                    fields.wrong(
                        "default",
                        "out_of_range",
                        "must be as min and max allow, each once",
                    );
                }
                Some(given)
            }
        }
        "choice" => {
            unused(&mut fields, &["min", "max"]);
            let default = fields.required_text("default", WORD).unwrap_or_default().to_owned();
            let listed = fields.list("choices", MOST_CHOICES).unwrap_or_default();
            let choices = listed.iter().enumerate().filter_map(|(place, value)| {
                choice(value, &format!("{at}/choices/{place}"), errors)
            });
            let choices: Vec<Choice> = choices.collect();
            if !choices.iter().any(|choice| choice.value == default) {
                fields.wrong("default", "unknown", "must be one of the choices");
            }
            Some(ParameterKind::Choice { default, choices })
        }
        "" => None,
        _ => {
            fields.wrong("kind", "unknown", "must be one of integer, choice, list");
            None
        }
    };
    errors.absorb(fields.errors);
    Some(Parameter { name, kind: made? })
}

fn choice(value: &Value, at: &str, errors: &mut FieldErrors) -> Option<Choice> {
    let mut fields = table(value, at, &OF_CHOICE, errors)?;
    let name = fields.required_text("value", WORD).unwrap_or_default().to_owned();
    if fields.value("factor").is_none() {
        fields.wrong("factor", "required", "must be a number above 0");
    }
    let factor = fields.number("factor", 0.001, 100.0);
    let priority = priority(&mut fields);
    errors.absorb(fields.errors);
    Some(Choice { value: name, factor: factor.unwrap_or(1.0), priority })
}

fn subtask(value: &Value, at: &str, errors: &mut FieldErrors) -> Option<Subtask> {
    let mut fields = table(value, at, &OF_SUBTASK, errors)?;
    let key = slug(&mut fields, "key");
    let title = fields.required_text("title", 200).unwrap_or_default().trim().to_owned();
    if fields.value("title").is_some() && title.is_empty() {
        fields.wrong("title", "too_short", "must have at least 1 characters");
    }
    let description = fields.text("description", 5000).map(str::to_owned);
    let task_type = match fields.value("task_type") {
        Some(_) => slug(&mut fields, "task_type"),
        None => DEFAULT_TYPE.to_owned(),
    };
    let capabilities = slugs(&mut fields, "capabilities");
    let technologies = technologies(&mut fields);
    if capabilities.len() > 20 || technologies.len() > 20 {
        fields.wrong("capabilities", "too_many", "at most 20 of each are allowed");
    }
    let effort = effort(&mut fields);
    let name = |fields: &mut Fields<'_>, key: &str| fields.text(key, 64).map(str::to_owned);
    let instances = match (name(&mut fields, "repeat"), name(&mut fields, "items_from")) {
        (Some(_), Some(_)) => {
            fields.wrong("repeat", "conflict", "cannot stand beside items_from");
            Instances::Once
        }
        (Some(repeat), None) => Instances::Repeat(repeat),
        (None, Some(items)) => Instances::Items(items),
        (None, None) => Instances::Once,
    };
    let urgency = match (priority(&mut fields), name(&mut fields, "priority_from")) {
        (Some(_), Some(_)) => {
            fields.wrong("priority", "conflict", "cannot stand beside priority_from");
            Urgency::Inherited
        }
        (Some(priority), None) => Urgency::Fixed(priority),
        (None, Some(choice)) => Urgency::OfChoice(choice),
        (None, None) => Urgency::Inherited,
    };
    let listed = fields.list("depends_on", MOST_WORDS).unwrap_or_default();
    errors.absorb(fields.errors);
    let depends_on = listed
        .iter()
        .enumerate()
        .filter_map(|(place, value)| reference(value, &format!("{at}/depends_on/{place}"), errors));
    let depends_on = depends_on.collect();
    Some(Subtask {
        key,
        title,
        description,
        task_type,
        capabilities,
        technologies,
        effort,
        instances,
        urgency,
        depends_on,
    })
}

fn effort(fields: &mut Fields<'_>) -> Effort {
    let hours = fields.number("hours", 0.1, 1000.0);
    let share = fields.number("share", 0.001, 100.0);
    let divide_by = slugs(fields, "divide_by");
    let multiplier = fields.text("multiplier", 64).map(str::to_owned);
    match (fields.value("hours").is_some(), fields.value("share").is_some()) {
        (true, false) => unused(fields, &["divide_by", "multiplier"]),
        (false, true) => {}
        (true, true) => fields.wrong("hours", "conflict", "cannot stand beside share"),
        (false, false) => fields.wrong("hours", "required", "or share must be given"),
    }
    match (hours, share) {
        (Some(hours), _) => Effort::Hours(hours),
        (None, share) => Effort::Share { share: share.unwrap_or(1.0), divide_by, multiplier },
    }
}

fn reference(value: &Value, at: &str, errors: &mut FieldErrors) -> Option<Reference> {
    let mut fields = table(value, at, &OF_REFERENCE, errors)?;
    let on = fields.required_text("on", 130).unwrap_or_default();
    let (key, instance) = match on.split_once('.') {
        Some((key, instance)) => (key, Some(instance.to_owned())),
        None => (on, None),
    };
    let known = "finish_to_start, start_to_start, finish_to_finish, start_to_finish";
    let kind = word(&mut fields, "type", DependencyType::parse, known);
    let is_required = fields.flag("required").unwrap_or(true);
    errors.absorb(fields.errors);
    Some(Reference {
        key: key.to_owned(),
        instance,
        kind: kind.unwrap_or(DependencyType::FinishToStart),
        is_required,
    })
}

fn word<T>(
    fields: &mut Fields<'_>,
    name: &str,
    parse: fn(&str) -> Option<T>,
    known: &str,
) -> Option<T> {
    fields.word(name, parse, known)
}

fn priority(fields: &mut Fields<'_>) -> Option<TaskPriority> {
    let known = "blocker, critical, high, normal, low, background";
    fields.word("priority", TaskPriority::parse, known)
}

fn unused(fields: &mut Fields<'_>, names: &[&str]) {
    for name in names {
        if fields.value(name).is_some() {
            fields.wrong(name, "conflict", "says nothing here; leave it out");
        }
    }
}

fn slug(fields: &mut Fields<'_>, name: &str) -> String {
    let text = fields.required_text(name, 64).unwrap_or_default().to_owned();
    if fields.value(name).is_some() && !is_slug(&text) {
        let message = "must be a slug: 2 to 64 lower-case letters, digits and _, a letter first";
        fields.wrong(name, "invalid", message);
    }
    text
}

fn within(fields: &mut Fields<'_>, name: &str, least: u32, most: u32) -> Option<u32> {
    let number = fields.whole(name)?;
    let found = u32::try_from(number).ok().filter(|number| (least..=most).contains(number));
    if found.is_none() {
        fields.wrong(name, "out_of_range", &format!("must be from {least} to {most}"));
    }
    found
}

/// Texts that are not blank, trimmed.
fn texts(fields: &mut Fields<'_>, name: &str, most: usize) -> Vec<String> {
    let listed = fields.list(name, MOST_WORDS).unwrap_or_default();
    let mut found = Vec::with_capacity(listed.len());
    for (place, value) in listed.iter().enumerate() {
        let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
        match text.filter(|text| text.chars().count() <= most) {
            Some(text) => found.push(text.to_owned()),
            None => fields.wrong(
                &format!("{name}/{place}"),
                "invalid",
                &format!("must be a text of 1 to {most} characters"),
            ),
        }
    }
    found
}

fn slugs(fields: &mut Fields<'_>, name: &str) -> Vec<String> {
    let found = texts(fields, name, 64);
    for slug in found.iter().filter(|slug| !is_slug(slug)) {
        fields.wrong(name, "invalid", &format!("holds {slug:?}, which is no slug"));
    }
    found
}

fn technologies(fields: &mut Fields<'_>) -> Vec<String> {
    let found = texts(fields, "technologies", WORD);
    let found: Vec<String> = found.into_iter().map(|name| name.to_lowercase()).collect();
    for name in found.iter().filter(|name| !is_technology(name)) {
        fields.wrong("technologies", "invalid", &format!("holds {name:?}, which is no technology"));
    }
    found
}

/// `major.minor.patch`, with a pre-release and a build behind it perhaps.
///
/// Source: semver.org, version 2.0.0.
fn is_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, it)| (rest, Some(it)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, it)| (core, Some(it)));
    let is_number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let numbers: Vec<&str> = core.split('.').collect();
    let is_pre = |part: &str| {
        is_name(part) && (is_number(part) || !part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    numbers.len() == 3
        && numbers.into_iter().all(is_number)
        && pre.is_none_or(|pre| pre.split('.').all(is_pre))
        && build.is_none_or(|build| build.split('.').all(is_name))
}
