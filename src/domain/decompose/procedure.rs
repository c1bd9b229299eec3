//! The procedure by which a task is split, and its guards.
//!
//! Invariant: each template is used at most once on the way from the task down to a subtask; no
//! subtask is deeper than the request, its templates and the tree allow; there are at most 200.
//! Source: domain 5.2.

use super::catalogue::Catalogue;
use super::request::{DecompositionRefused, Request, Strategy};
use super::split::{Generic, Splits, Whole};
use super::template::{Refinement, Template, TriggerKind};
use super::{Decomposition, MOST_SUBTASKS, Node, NodeLink, Warning, WarningCode};
use super::{apply, reading, split};
use crate::domain::task::estimate::{ComplexityLevel, Estimate};
use crate::domain::task::{MOST_LEVELS, Task};
use crate::domain::time::Timestamp;

/// Children of which the likely hours are more than so many times the parent's are told of.
const INFLATION: f64 = 2.0;

impl Task {
    /// Whether it can be split at all.
    ///
    /// # Errors
    /// `DecompositionRefused`.
    pub fn can_be_split(&self, has_subtasks: bool) -> Result<(), DecompositionRefused> {
        if !self.status().is_waiting() || self.work.is_done {
            return Err(DecompositionRefused::AlreadyStarted);
        }
        if has_subtasks {
            return Err(DecompositionRefused::HasSubtasks);
        }
        if self.place.depth + 1 >= MOST_LEVELS {
            return Err(DecompositionRefused::TooDeep);
        }
        Ok(())
    }
}

/// What a task is split into by templates, rules and generic splits.
///
/// # Errors
/// `DecompositionRefused`; a planner's split comes from its plan.
pub fn decompose(
    task: &Task,
    has_subtasks: bool,
    request: &Request,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Decomposition, DecompositionRefused> {
    task.can_be_split(has_subtasks)?;
    let named = match &request.template_name {
        Some(key) => Some(catalogue.get(key).ok_or(DecompositionRefused::TemplateNotFound)?),
        None => None,
    };
    catalogue.check(&request.parameters, named).map_err(DecompositionRefused::Invalid)?;
    let mut made = Decomposition::default();
    let estimate = estimate_of(task, request.auto_estimate, now, &mut made);
    let room = MOST_LEVELS - 1 - task.place.depth;
    let mut procedure = Procedure { task, request, catalogue, made };
    let way = Way {
        limit: request.max_depth.min(room),
        target: ComplexityLevel::Simple,
        how: request.generic(),
        used: Vec::new(),
    };
    let did = procedure.split(None, &estimate, &way, named)?;
    let mut made = procedure.made;
    if made.nodes.is_empty() {
        let code = did.reason();
        made.warnings.push(Warning { code, title: task.spec.title.clone() });
    }
    made.max_depth_reached = made.nodes.iter().map(|node| node.depth).max().unwrap_or(0);
    Ok(made)
}

/// The estimate that the task goes by, which is noted when it is a new one.
pub(super) fn estimate_of(
    task: &Task,
    auto: bool,
    now: Timestamp,
    made: &mut Decomposition,
) -> Estimate {
    let known = task.estimate.as_ref();
    if known.is_some_and(|estimate| !estimate.is_wanting()) || !auto {
        return known.cloned().unwrap_or_default();
    }
    let needed = known.map(|estimate| &*estimate.required_capabilities).unwrap_or_default();
    let (title, description) = (&task.spec.title, task.spec.description.as_deref());
    let estimate = reading::estimate(title, description, needed, now);
    made.estimate = Some(estimate.clone());
    estimate
}

impl Request {
    const fn generic(&self) -> Option<Generic> {
        match self.strategy {
            Some(Strategy::Functional) => Some(Generic::Functional),
            Some(Strategy::Temporal) => Some(Generic::Temporal),
            Some(Strategy::Capability) => Some(Generic::Capability),
            Some(Strategy::Template | Strategy::Rules | Strategy::Planner) | None => None,
        }
    }

    fn uses_templates(&self) -> bool {
        self.apply_templates && matches!(self.strategy, None | Some(Strategy::Template))
    }

    fn uses_rules(&self) -> bool {
        self.apply_rules && matches!(self.strategy, None | Some(Strategy::Rules))
    }
}

impl Refinement {
    const fn generic(self) -> Option<Generic> {
        match self {
            Self::Functional => Some(Generic::Functional),
            Self::Temporal => Some(Generic::Temporal),
            Self::Capability => Some(Generic::Capability),
            Self::None => None,
        }
    }
}

/// What holds on the way down to a task.
#[derive(Clone)]
struct Way<'a> {
    /// Levels below the task that was asked for.
    limit: u32,
    /// Children above it are split further.
    target: ComplexityLevel,
    /// How, where no template fits.
    how: Option<Generic>,
    /// Templates that were used.
    used: Vec<&'a str>,
}

/// What became of a task that was to be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Split,
    /// It is as small as its parts would be.
    TooSmall,
    NothingFits,
}

impl Did {
    const fn reason(self) -> WarningCode {
        match self {
            Self::TooSmall => WarningCode::AlreadySimple,
            Self::Split | Self::NothingFits => WarningCode::NoTemplateMatched,
        }
    }
}

struct Procedure<'a> {
    task: &'a Task,
    request: &'a Request,
    catalogue: &'a Catalogue,
    made: Decomposition,
}

impl<'a> Procedure<'a> {
    /// Splits the task itself, or the node at this place, and everything that comes of it.
    fn split(
        &mut self,
        at: Option<usize>,
        estimate: &Estimate,
        way: &Way<'a>,
        named: Option<&'a Template>,
    ) -> Result<Did, DecompositionRefused> {
        let depth = at.map_or(0, |place| self.made.nodes[place].depth);
        let level = estimate.hours.level();
        if depth >= way.limit || (at.is_some() && level <= way.target) {
            return Ok(Did::TooSmall);
        }
        if let Some(template) = named {
            note(&mut self.made.templates_applied, &template.key);
            self.apply(at, estimate, way, &[template])?;
            return Ok(Did::Split);
        }
        let (chosen, is_small) = self.chosen(at, level, way);
        if !chosen.is_empty() {
            for template in &chosen {
                let list = match template.trigger {
                    TriggerKind::TaskType => &mut self.made.templates_applied,
                    TriggerKind::Keyword => &mut self.made.rules_applied,
                };
                note(list, &template.key);
            }
            self.apply(at, estimate, way, &chosen)?;
            return Ok(Did::Split);
        }
        let Some(how) = way.how else {
            let is_trivial = level == ComplexityLevel::Trivial;
            return Ok(if is_small || is_trivial { Did::TooSmall } else { Did::NothingFits });
        };
        let splits = split::children(how, &self.whole(at, estimate), way.target);
        if splits.children.is_empty() {
            return Ok(Did::TooSmall);
        }
        let template = at.and_then(|place| self.made.nodes[place].template_key.clone());
        // Phases and capabilities split a task once; only components have components.
        let further = (how == Generic::Functional).then_some(how);
        let below = Way { how: further, ..way.clone() };
        let first = self.add(at, splits, template.as_deref())?;
        self.tell_of_inflation(at, estimate, first);
        self.go_on(first, self.made.nodes.len(), &below)?;
        Ok(Did::Split)
    }

    /// The templates that are used for a task; else whether one was left out only because the task is
    /// too small for it.
    fn chosen(
        &self,
        at: Option<usize>,
        level: ComplexityLevel,
        way: &Way<'a>,
    ) -> (Vec<&'a Template>, bool) {
        if level == ComplexityLevel::Trivial {
            return (Vec::new(), true);
        }
        let node = at.map(|place| &self.made.nodes[place]);
        let task_type = node.map_or(&*self.task.spec.task_type, |node| &*node.task_type);
        // What a split wrote is not read as what somebody asked for: only the child's own name is.
        let spec = &self.task.spec;
        let texts: Vec<&str> = match node {
            Some(node) => vec![&node.own_title],
            None => {
                [Some(&*spec.title), spec.description.as_deref()].into_iter().flatten().collect()
            }
        };
        let fits = |trigger| {
            let mut found: Vec<&'a Template> = self.catalogue.by_urgency(trigger);
            found.retain(|template| {
                template.finds(task_type, &texts) && !way.used.contains(&&*template.key)
            });
            let all = found.len();
            found.retain(|template| template.threshold <= level);
            let is_small = found.len() < all;
            (found, is_small)
        };
        let mut was_small = false;
        if self.request.uses_templates() {
            let (found, is_small) = fits(TriggerKind::TaskType);
            was_small |= is_small;
            if let Some(best) = found.first() {
                return (vec![best], false);
            }
        }
        if self.request.uses_rules() {
            let (found, is_small) = fits(TriggerKind::Keyword);
            was_small |= is_small;
            return (found, was_small);
        }
        (Vec::new(), was_small)
    }

    fn apply(
        &mut self,
        at: Option<usize>,
        estimate: &Estimate,
        way: &Way<'a>,
        templates: &[&'a Template],
    ) -> Result<(), DecompositionRefused> {
        let depth = at.map_or(0, |place| self.made.nodes[place].depth);
        let mut used = way.used.clone();
        used.extend(templates.iter().map(|template| &*template.key));
        let before = self.made.nodes.len();
        let mut made = Vec::with_capacity(templates.len());
        for template in templates {
            let whole = self.whole(at, estimate);
            let splits = apply::children(template, &whole, &self.request.parameters);
            let first = self.add(at, splits, Some(&template.key))?;
            made.push((*template, first, self.made.nodes.len()));
        }
        self.tell_of_inflation(at, estimate, before);
        for (template, first, end) in made {
            let below = Way {
                limit: way.limit.min(depth + template.max_depth),
                target: template.leaf_target,
                how: template.strategy.generic(),
                used: used.clone(),
            };
            self.go_on(first, end, &below)?;
        }
        Ok(())
    }

    fn whole<'b>(&'b self, at: Option<usize>, estimate: &'b Estimate) -> Whole<'b> {
        match at.map(|place| &self.made.nodes[place]) {
            Some(node) => Whole {
                title: &node.title,
                description: node.description.as_deref(),
                task_type: &node.task_type,
                priority: node.priority,
                technologies: &node.technologies,
                estimate,
            },
            None => Whole {
                title: &self.task.spec.title,
                description: self.task.spec.description.as_deref(),
                task_type: &self.task.spec.task_type,
                priority: self.task.spec.priority,
                technologies: &self.task.spec.technologies,
                estimate,
            },
        }
    }

    /// Adds the children of one split; the place of the first.
    fn add(
        &mut self,
        parent: Option<usize>,
        splits: Splits,
        template: Option<&str>,
    ) -> Result<usize, DecompositionRefused> {
        let first = self.made.nodes.len();
        if first + splits.children.len() > MOST_SUBTASKS {
            return Err(DecompositionRefused::TooMany { limit: MOST_SUBTASKS });
        }
        let depth = 1 + parent.map_or(0, |place| self.made.nodes[place].depth);
        let siblings = self.made.nodes.iter().filter(|node| node.parent == parent).count();
        let positions = u32::try_from(siblings).unwrap_or(u32::MAX)..;
        for (position, child) in positions.zip(splits.children) {
            self.made.nodes.push(Node {
                parent,
                depth,
                position,
                title: child.title,
                own_title: child.own_title,
                description: child.description,
                task_type: child.task_type,
                priority: child.priority,
                technologies: child.technologies,
                estimate: child.estimate,
                template_key: template.map(str::to_owned),
            });
        }
        self.made.links.extend(splits.links.into_iter().map(
            |(source, target, kind, is_required)| NodeLink {
                source: first + source,
                target: first + target,
                kind,
                is_required,
            },
        ));
        Ok(first)
    }

    fn go_on(
        &mut self,
        first: usize,
        end: usize,
        way: &Way<'a>,
    ) -> Result<(), DecompositionRefused> {
        for place in first..end {
            let estimate = self.made.nodes[place].estimate.clone();
            self.split(Some(place), &estimate, way, None)?;
        }
        Ok(())
    }

    fn tell_of_inflation(&mut self, at: Option<usize>, estimate: &Estimate, first: usize) {
        let children = &self.made.nodes[first..];
        let likely: f64 = children.iter().map(|node| node.estimate.hours.likely).sum();
        if likely > INFLATION * estimate.hours.likely {
            let title = self.whole(at, estimate).title.to_owned();
            self.made.warnings.push(Warning { code: WarningCode::EffortInflated, title });
        }
    }
}

fn note(list: &mut Vec<String>, key: &str) {
    if list.iter().all(|known| known != key) {
        list.push(key.to_owned());
    }
}
