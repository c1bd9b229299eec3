//! Splits that need no template: by components, by phases, by capabilities.
//!
//! Invariant: O, L and P of the parent are divided alike, so that every child has all three.
//! Source: domain 5.3.

use super::reading::DEFAULT_CAPABILITY;
use super::{own_part, titled};
use crate::domain::task::dependency::DependencyType;
use crate::domain::task::estimate::{ComplexityLevel, Estimate, EstimationSource};
use crate::domain::task::spec::TaskPriority;

/// A split that needs no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generic {
    /// Components of components.
    Functional,
    /// One phase after the other.
    Temporal,
    /// A child for each capability.
    Capability,
}

/// The phases of a piece of work, with the ends of their types.
const PHASES: [(&str, &str); 5] = [
    ("Analysis", "analysis"),
    ("Design", "design"),
    ("Implementation", "implementation"),
    ("Testing", "testing"),
    ("Review", "review"),
];
/// Most characters of a type.
const TYPE: usize = 64;

/// What is split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole<'a> {
    pub(super) title: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) task_type: &'a str,
    pub(super) priority: TaskPriority,
    pub(super) technologies: &'a [String],
    pub(super) estimate: &'a Estimate,
}

/// One child.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) title: String,
    pub(super) own_title: String,
    pub(super) description: Option<String>,
    pub(super) task_type: String,
    pub(super) priority: TaskPriority,
    pub(super) technologies: Vec<String>,
    pub(super) estimate: Estimate,
}

/// The children of one split, and what they need of each other: who, what, how, whether it gates.
#[derive(Debug, Clone, Default)]
pub(super) struct Splits {
    pub(super) children: Vec<Child>,
    pub(super) links: Vec<(usize, usize, DependencyType, bool)>,
}

/// The children of a whole; none when it is no larger than they are to be.
pub(super) fn children(how: Generic, whole: &Whole<'_>, target: ComplexityLevel) -> Splits {
    let level = whole.estimate.hours.level();
    if level <= target || level == ComplexityLevel::Trivial {
        return Splits::default();
    }
    let count = (level.number() - target.number() + 1) as usize;
    let (named, parts, factor, source) = match how {
        Generic::Functional => {
            let named = (1..=count).map(|number| Named::of(format!("Component {number}")));
            let source = EstimationSource::FunctionalDecomposition;
            (named.collect(), count, 0.8, source)
        }
        Generic::Temporal => {
            let phases = PHASES.iter().take(count);
            let named = phases.map(|(phase, end)| Named {
                task_type: Some(typed(whole.task_type, end)),
                ..Named::of((*phase).to_owned())
            });
            (named.collect(), count, 0.7, EstimationSource::TemporalDecomposition)
        }
        Generic::Capability => {
            let named: Vec<Named> = needed(whole.estimate, count)
                .into_iter()
                .map(|slug| Named { capability: Some(slug.clone()), ..Named::of(slug) })
                .collect();
            let parts = named.len();
            (named, parts, 0.6, EstimationSource::CapabilityDecomposition)
        }
    };
    let share = 1.0 / f64::from(u32::try_from(parts.max(1)).unwrap_or(u32::MAX));
    let children = named.into_iter().map(|named: Named| {
        let pattern = format!("{{title}} - {}", named.own);
        let needs = named.capability.map_or_else(
            || whole.estimate.required_capabilities.clone(),
            |capability| vec![capability],
        );
        Child {
            title: titled(whole.title, &pattern),
            own_title: own_part(&pattern),
            description: whole.description.map(str::to_owned),
            task_type: named.task_type.unwrap_or_else(|| whole.task_type.to_owned()),
            priority: whole.priority,
            technologies: whole.technologies.to_vec(),
            estimate: Estimate {
                hours: whole.estimate.hours.times(share),
                required_capabilities: needs,
                confidence: whole.estimate.confidence * factor,
                source,
                estimated_tokens: None,
                estimated_cost_usd: None,
                last_estimated_at: whole.estimate.last_estimated_at,
            },
        }
    });
    let children: Vec<Child> = children.collect();
    let chained = if how == Generic::Temporal { children.len() } else { 0 };
    let links = (1..chained).map(|place| (place, place - 1, DependencyType::FinishToStart, true));
    Splits { links: links.collect(), children }
}

/// What makes a child differ from its siblings.
struct Named {
    own: String,
    task_type: Option<String>,
    capability: Option<String>,
}

impl Named {
    const fn of(own: String) -> Self {
        Self { own, task_type: None, capability: None }
    }
}

fn needed(estimate: &Estimate, most: usize) -> Vec<String> {
    let required = estimate.required_capabilities.iter().take(most).cloned();
    let found: Vec<String> = required.collect();
    if found.is_empty() { vec![DEFAULT_CAPABILITY.to_owned()] } else { found }
}

/// `{type}_{phase}`, with the type shortened where a slug would be too long.
fn typed(task_type: &str, phase: &str) -> String {
    let kept: String = task_type.chars().take(TYPE - 1 - phase.len()).collect();
    format!("{kept}_{phase}")
}
