//! What must hold within a template: names that exist, instances that are few, nothing that needs itself.

use super::template::{
    Effort, Instances, MOST_INSTANCES, ParameterKind, Subtask, Template, Urgency,
};
use crate::domain::field::FieldErrors;

/// Placeholders of titles and descriptions.
const PLACEHOLDERS: [&str; 3] = ["title", "item", "n"];

/// Notes what is wrong within a template.
pub(super) fn template(template: &Template, at: &str, errors: &mut FieldErrors) {
    for (place, parameter) in template.parameters.iter().enumerate() {
        if template.parameters[..place].iter().any(|known| known.name == parameter.name) {
            let message = "is the name of another parameter";
            errors.add(format!("{at}/parameter/{place}/name"), "duplicate", message);
        }
        if let ParameterKind::Choice { choices, .. } = &parameter.kind {
            let twice = choices
                .iter()
                .enumerate()
                .any(|(place, one)| choices[..place].iter().any(|known| known.value == one.value));
            if choices.is_empty() || twice {
                let message = "must hold at least one choice, each once";
                errors.add(format!("{at}/parameter/{place}/choices"), "invalid", message);
            }
        }
    }
    for (place, subtask) in template.subtasks.iter().enumerate() {
        let at = format!("{at}/subtask/{place}");
        if template.subtasks[..place].iter().any(|known| known.key == subtask.key) {
            errors.add(format!("{at}/key"), "duplicate", "is the key of another subtask");
        }
        names(template, subtask, &at, errors);
        placeholders(subtask, &at, errors);
    }
    let most: u32 = template.subtasks.iter().map(|subtask| most_of(template, subtask)).sum();
    if template.subtasks.is_empty() || most > MOST_INSTANCES {
        let message =
            format!("must stand for 1 to {MOST_INSTANCES} subtasks; these are up to {most}");
        errors.add(format!("{at}/subtask"), "out_of_range", message);
    }
    if let Some(circle) = circle(template) {
        let message = format!("need each other in a circle: {}", circle.join(" → "));
        errors.add(format!("{at}/subtask"), "cycle", message);
    }
}

/// How many instances a subtask has at most.
fn most_of(template: &Template, subtask: &Subtask) -> u32 {
    match &subtask.instances {
        Instances::Once => 1,
        Instances::Repeat(name) | Instances::Items(name) => match template.parameter(name) {
            Some(ParameterKind::Integer { max, .. } | ParameterKind::List { max, .. }) => *max,
            Some(ParameterKind::Choice { .. }) | None => 1,
        },
    }
}

fn names(template: &Template, subtask: &Subtask, at: &str, errors: &mut FieldErrors) {
    let is_key = |key: &str| template.subtasks.iter().any(|known| known.key == key);
    let is_choice =
        |name: &str| matches!(template.parameter(name), Some(ParameterKind::Choice { .. }));
    if let Effort::Share { divide_by, multiplier, .. } = &subtask.effort {
        if let Some(unknown) = divide_by.iter().find(|key| !is_key(key)) {
            let message = format!("names {unknown:?}, which is no subtask");
            errors.add(format!("{at}/divide_by"), "unknown", message);
        }
        if multiplier.as_ref().is_some_and(|name| !is_choice(name)) {
            let message = "must name a parameter of kind choice";
            errors.add(format!("{at}/multiplier"), "unknown", message);
        }
    }
    let (fits, field, kind) = match &subtask.instances {
        Instances::Once => (true, "repeat", ""),
        Instances::Repeat(name) => {
            let found = template.parameter(name);
            (matches!(found, Some(ParameterKind::Integer { .. })), "repeat", "integer")
        }
        Instances::Items(name) => {
            let found = template.parameter(name);
            (matches!(found, Some(ParameterKind::List { .. })), "items_from", "list")
        }
    };
    if !fits {
        let message = format!("must name a parameter of kind {kind}");
        errors.add(format!("{at}/{field}"), "unknown", message);
    }
    if let Urgency::OfChoice(name) = &subtask.urgency {
        let carries = match template.parameter(name) {
            Some(ParameterKind::Choice { choices, .. }) => {
                choices.iter().any(|choice| choice.priority.is_some())
            }
            Some(ParameterKind::Integer { .. } | ParameterKind::List { .. }) | None => false,
        };
        if !carries {
            let message = "must name a parameter of kind choice that carries a priority";
            errors.add(format!("{at}/priority_from"), "unknown", message);
        }
    }
    for (place, reference) in subtask.depends_on.iter().enumerate() {
        let target = template.subtasks.iter().find(|known| known.key == reference.key);
        let fits = target.is_some_and(|target| match (&target.instances, &reference.instance) {
            (_, None) => true,
            (Instances::Once, Some(_)) => false,
            (Instances::Items(_), Some(item)) => !item.is_empty(),
            (Instances::Repeat(_), Some(number)) => number
                .parse::<u32>()
                .is_ok_and(|number| (1..=most_of(template, target)).contains(&number)),
        });
        if !fits {
            let message =
                "must be the key of a subtask, or key.item or key.n of one of its instances";
            errors.add(format!("{at}/depends_on/{place}/on"), "unknown", message);
        }
    }
}

fn placeholders(subtask: &Subtask, at: &str, errors: &mut FieldErrors) {
    let texts = [("title", Some(&subtask.title)), ("description", subtask.description.as_ref())];
    for (field, text) in texts {
        let Some(text) = text else { continue };
        for part in text.split('{').skip(1) {
            let name = part.split_once('}').map(|(name, _)| name);
            let fits = name.is_some_and(|name| {
                PLACEHOLDERS.contains(&name)
                    && (name != "item" || matches!(subtask.instances, Instances::Items(_)))
                    && (name != "n" || subtask.instances != Instances::Once)
            });
            if !fits {
                let message = "has a placeholder that means nothing here: {title} always, \
                               {n} with repeat or items_from, {item} with items_from";
                errors.add(format!("{at}/{field}"), "invalid", message);
            }
        }
    }
}

/// Subtasks that need each other, the first as the last.
fn circle(template: &Template) -> Option<Vec<String>> {
    let place = |key: &str| template.subtasks.iter().position(|known| known.key == key);
    let needs: Vec<Vec<usize>> = template
        .subtasks
        .iter()
        .map(|subtask| subtask.depends_on.iter().filter_map(|one| place(&one.key)).collect())
        .collect();
    for first in 0..needs.len() {
        let mut way = vec![first];
        let mut tried = vec![false; needs.len()];
        let mut choices = vec![needs[first].iter()];
        while let Some(next) = choices.last_mut().map(Iterator::next) {
            match next {
                Some(next) if *next == first => {
                    let named = way.iter().chain([&first]);
                    return Some(named.map(|one| template.subtasks[*one].key.clone()).collect());
                }
                Some(next) if !tried[*next] => {
                    tried[*next] = true;
                    way.push(*next);
                    choices.push(needs[*next].iter());
                }
                Some(_) => {}
                None => {
                    way.pop();
                    choices.pop();
                }
            }
        }
    }
    None
}

/// What is wrong with the items of a list.
pub(super) fn items(items: &[String], min: u32, max: u32) -> Result<(), String> {
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    if !(min..=max).contains(&count) {
        return Err(format!("must hold {min} to {max} items"));
    }
    let is_plain = |item: &String| (1..=50).contains(&item.trim().chars().count());
    let twice = (1..items.len()).any(|place| items[..place].contains(&items[place]));
    if twice || !items.iter().all(is_plain) {
        return Err("must hold texts of 1 to 50 characters, each once".to_owned());
    }
    Ok(())
}
