//! The children that a template gives a task.

use serde_json::{Map, Value};

use super::catalogue::Setting;
use super::split::{Child, Splits, Whole};
use super::template::{Effort, Instances, Subtask, Template, Urgency};
use super::{own_part, titled};
use crate::domain::task::estimate::{Estimate, EstimationSource, Hours};
use crate::domain::task::spec::TaskPriority;

/// A child's estimate is worth so much of its parent's.
const CONFIDENCE: f64 = 0.9;

/// One instance of a subtask.
struct Instance<'a> {
    subtask: &'a Subtask,
    /// From 1.
    number: usize,
    /// The item of a list.
    item: Option<String>,
}

/// The children of a whole by a template, with what they need of each other.
pub(super) fn children(
    template: &Template,
    whole: &Whole<'_>,
    given: &Map<String, Value>,
) -> Splits {
    let instances = instances(template, given);
    let mut splits = Splits::default();
    for instance in &instances {
        splits.children.push(child(template, whole, given, instance, &instances));
    }
    for (source, instance) in instances.iter().enumerate() {
        for reference in &instance.subtask.depends_on {
            for (target, other) in instances.iter().enumerate() {
                let is_it = match &reference.instance {
                    None => true,
                    Some(name) => {
                        other.item.as_ref() == Some(name) || *name == other.number.to_string()
                    }
                };
                if other.subtask.key == reference.key && is_it {
                    splits.links.push((source, target, reference.kind, reference.is_required));
                }
            }
        }
    }
    splits
}

fn instances<'a>(template: &'a Template, given: &Map<String, Value>) -> Vec<Instance<'a>> {
    let mut found = Vec::new();
    for subtask in &template.subtasks {
        let items: Vec<Option<String>> = match &subtask.instances {
            Instances::Once => vec![None],
            Instances::Repeat(name) => match Setting::of(template, name, given) {
                Some(Setting::Integer(count)) => vec![None; count as usize],
                Some(Setting::Choice(_) | Setting::List(_)) | None => Vec::new(),
            },
            Instances::Items(name) => match Setting::of(template, name, given) {
                Some(Setting::List(items)) => items.into_iter().map(Some).collect(),
                Some(Setting::Integer(_) | Setting::Choice(_)) | None => Vec::new(),
            },
        };
        let numbered = (1..).zip(items);
        found.extend(numbered.map(|(number, item)| Instance { subtask, number, item }));
    }
    found
}

fn child(
    template: &Template,
    whole: &Whole<'_>,
    given: &Map<String, Value>,
    instance: &Instance<'_>,
    all: &[Instance<'_>],
) -> Child {
    let Instance { subtask, number, item } = instance;
    let filled = |text: &str| {
        let text = text.replace("{n}", &number.to_string());
        item.as_ref().map_or_else(|| text.clone(), |item| text.replace("{item}", item))
    };
    let pattern = filled(&subtask.title);
    let hours = match &subtask.effort {
        Effort::Hours(hours) => Hours::of_figure(*hours),
        Effort::Share { share, divide_by, multiplier } => {
            let factor =
                multiplier.as_ref().map_or(1.0, |name| match Setting::of(template, name, given) {
                    Some(Setting::Choice(choice)) => choice.factor,
                    Some(Setting::Integer(_) | Setting::List(_)) | None => 1.0,
                });
            let counted = all.iter().filter(|one| divide_by.contains(&one.subtask.key)).count();
            let parts = u32::try_from(counted.max(1)).unwrap_or(u32::MAX);
            whole.estimate.hours.times(share * factor / f64::from(parts))
        }
    };
    let priority = match &subtask.urgency {
        Urgency::Inherited => None,
        Urgency::Fixed(priority) => Some(*priority),
        Urgency::OfChoice(name) => carried(template, name, given),
    };
    let or_parents = |own: &[String], parents: &[String]| {
        if own.is_empty() { parents.to_vec() } else { own.to_vec() }
    };
    Child {
        title: titled(whole.title, &pattern),
        own_title: own_part(&pattern),
        description: subtask
            .description
            .as_ref()
            .map(|text| filled(text).replace("{title}", whole.title))
            .map(|text| text.chars().take(5000).collect()),
        task_type: subtask.task_type.clone(),
        priority: priority.unwrap_or(whole.priority),
        technologies: or_parents(&subtask.technologies, whole.technologies),
        estimate: Estimate {
            hours,
            required_capabilities: or_parents(
                &subtask.capabilities,
                &whole.estimate.required_capabilities,
            ),
            confidence: whole.estimate.confidence * CONFIDENCE,
            source: EstimationSource::TemplateDecomposition,
            estimated_tokens: None,
            estimated_cost_usd: None,
            last_estimated_at: whole.estimate.last_estimated_at,
        },
    }
}

fn carried(template: &Template, name: &str, given: &Map<String, Value>) -> Option<TaskPriority> {
    match Setting::of(template, name, given) {
        Some(Setting::Choice(choice)) => choice.priority,
        Some(Setting::Integer(_) | Setting::List(_)) | None => None,
    }
}
