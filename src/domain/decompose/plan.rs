//! The plan of a planner: an agent's answer, held against a schema and then against itself.
//!
//! Invariant: a `Plan` has no unknown key, no key twice, no dependency that leads nowhere, to a part or
//! a whole, or round in a circle.
//! Source: domain 5.6.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::procedure::estimate_of;
use super::reading::capabilities;
use super::request::{DecompositionRefused, Request};
use super::schema::Schema;
use super::{Decomposition, MOST_SUBTASKS, Node, NodeLink, Warning, WarningCode};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::TaskId;
use crate::domain::task::dependency::DependencyType;
use crate::domain::task::draft::DEFAULT_TYPE;
use crate::domain::task::estimate::{Estimate, EstimationSource, Hours};
use crate::domain::task::forest::{CycleFound, Forest, Need, Part, Unfit};
use crate::domain::task::graph::Graph;
use crate::domain::task::spec::TaskPriority;
use crate::domain::task::{MOST_LEVELS, Task};
use crate::domain::time::Timestamp;

/// The schema of a plan, as an agent is told it.
pub const SCHEMA: &str = include_str!("../../../assets/plan.schema.json");

static RULES: LazyLock<Schema> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(SCHEMA).expect("the shipped schema is JSON");
    Schema::read(&document).expect("the shipped schema says only what is understood")
});

/// One task of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanNode {
    /// A slug, unique in the plan.
    pub key: String,
    /// The node that it is a part of.
    pub parent: Option<usize>,
    /// 1–200 characters.
    pub title: String,
    /// What is to be done.
    pub description: Option<String>,
    /// A slug.
    pub task_type: String,
    /// What it is made with.
    pub technologies: Vec<String>,
    /// How urgent it is; as the task that is split when nothing is said.
    pub priority: Option<TaskPriority>,
    /// All three figures.
    pub hours: Hours,
    /// What it needs.
    pub capabilities: Vec<String>,
    /// What it needs of others, by their places.
    pub needs: Vec<(usize, DependencyType, bool)>,
}

/// A valid plan: its nodes, each before its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    nodes: Vec<PlanNode>,
}

/// A node whose dependencies are still keys.
struct Raw<'a> {
    node: PlanNode,
    at: String,
    depends_on: &'a [Value],
}

impl Plan {
    /// Reads an answer.
    ///
    /// # Errors
    /// Everything that is wrong, with its place: what one repair round is asked for with.
    pub fn read(answer: &Value) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        RULES.check(answer, &mut errors);
        errors.into_result(())?;
        let mut raw = Vec::new();
        collect(answer.get("tasks"), None, "/tasks", &mut raw);
        let mut errors = FieldErrors::default();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (place, one) in raw.iter().enumerate() {
            if places.insert(one.node.key.clone(), place).is_some() {
                let message = "is the key of another task of the plan";
                errors.add(format!("{}/key", one.at), "duplicate", message);
            }
            one.node.hours.check(&one.at, &mut errors);
        }
        errors.into_result(())?;
        if raw.len() > MOST_SUBTASKS {
            // It is refused for its size, whatever else there is to say of it.
            return Ok(Self { nodes: raw.into_iter().map(|one| one.node).collect() });
        }
        Self::linked(raw, &places)
    }

    fn linked(
        raw: Vec<Raw<'_>>,
        places: &BTreeMap<String, usize>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let id = |place: usize| TaskId::new(Uuid::from_u128(place as u128 + 1));
        let parts: Vec<Part> = raw
            .iter()
            .enumerate()
            .map(|(place, one)| Part { id: id(place), parent: one.node.parent.map(id) })
            .collect();
        let shape = Forest::build(&parts, []).unwrap_or_default();
        let mut needs: Vec<Need> = Vec::new();
        let mut nodes = Vec::with_capacity(raw.len());
        for (source, Raw { mut node, at, depends_on }) in raw.into_iter().enumerate() {
            for (number, given) in depends_on.iter().enumerate() {
                let at = format!("{at}/depends_on/{number}/on");
                let on = given.get("on").and_then(Value::as_str).unwrap_or_default();
                let Some(target) = places.get(on).copied() else {
                    errors.add(at, "unknown", "must be the key of a task of the plan");
                    continue;
                };
                let kind = word(given, "type", DependencyType::parse);
                let kind = kind.unwrap_or(DependencyType::FinishToStart);
                let is_required = given.get("required").and_then(Value::as_bool).unwrap_or(true);
                if node.needs.iter().any(|(known, _, _)| *known == target) {
                    errors.add(at, "duplicate", "is named twice");
                } else if let Some(unfit) = shape.unfit(id(source), id(target)) {
                    let (code, message) = spelled(&unfit);
                    errors.add(at, code, message);
                } else {
                    needs.push(Need { source: id(source), target: id(target), kind, is_required });
                    node.needs.push((target, kind, is_required));
                }
            }
            nodes.push(node);
        }
        errors.into_result(())?;
        let whole = Forest::build(&parts, needs);
        if let Err(CycleFound(circle)) = whole.and_then(|whole| Graph::of(&whole).map(drop)) {
            let known = parts.iter().zip(&nodes);
            let keys: BTreeMap<TaskId, &str> =
                known.map(|(part, node)| (part.id, &*node.key)).collect();
            let named: Vec<&str> = circle.iter().map(|id| keys[id]).collect();
            let message = format!("wait for each other in a circle: {}", named.join(" → "));
            let error = FieldError { pointer: "/tasks".to_owned(), code: "cycle", message };
            return Err(vec![error]);
        }
        Ok(Self { nodes })
    }

    /// The tasks of the plan.
    #[must_use]
    pub fn nodes(&self) -> &[PlanNode] {
        &self.nodes
    }

    /// What a task is split into by this plan; the guards are those of every decomposition.
    ///
    /// # Errors
    /// `DecompositionRefused`.
    pub fn decompose(
        self,
        task: &Task,
        has_subtasks: bool,
        request: &Request,
        now: Timestamp,
    ) -> Result<Decomposition, DecompositionRefused> {
        task.can_be_split(has_subtasks)?;
        if self.nodes.len() > MOST_SUBTASKS {
            return Err(DecompositionRefused::TooMany { limit: MOST_SUBTASKS });
        }
        let mut made = Decomposition::default();
        let whole = estimate_of(task, request.auto_estimate, now, &mut made);
        let limit = request.max_depth.min(MOST_LEVELS - 1 - task.place.depth);
        let mut depths: Vec<u32> = Vec::with_capacity(self.nodes.len());
        let mut children: BTreeMap<Option<usize>, u32> = BTreeMap::new();
        for (place, node) in self.nodes.into_iter().enumerate() {
            let depth = 1 + node.parent.map_or(0, |parent| depths[parent]);
            depths.push(depth);
            if depth > limit {
                let message = format!("{} lies {depth} levels deep; at most {limit}", node.key);
                let error = FieldError { pointer: "/tasks".to_owned(), code: "too_deep", message };
                return Err(DecompositionRefused::PlanInvalid(vec![error]));
            }
            let position = children.entry(node.parent).or_default();
            made.links.extend(node.needs.iter().map(|(target, kind, is_required)| NodeLink {
                source: place,
                target: *target,
                kind: *kind,
                is_required: *is_required,
            }));
            made.nodes.push(Node {
                parent: node.parent,
                depth,
                position: *position,
                own_title: node.title.clone(),
                title: node.title,
                description: node.description,
                task_type: node.task_type,
                priority: node.priority.unwrap_or(task.spec.priority),
                technologies: node.technologies,
                estimate: Estimate {
                    hours: node.hours,
                    required_capabilities: node.capabilities,
                    source: EstimationSource::PlannerDecomposition,
                    last_estimated_at: Some(now),
                    ..Estimate::default()
                },
                template_key: None,
            });
            *position += 1;
        }
        made.max_depth_reached = depths.into_iter().max().unwrap_or(0);
        tell_of_inflation(task, &whole, &mut made);
        Ok(made)
    }
}

fn tell_of_inflation(task: &Task, whole: &Estimate, made: &mut Decomposition) {
    let mut likely: BTreeMap<Option<usize>, f64> = BTreeMap::new();
    for node in &made.nodes {
        *likely.entry(node.parent).or_default() += node.estimate.hours.likely;
    }
    for (parent, sum) in likely {
        let (of, title) = match parent {
            Some(place) => (made.nodes[place].estimate.hours.likely, &made.nodes[place].title),
            None => (whole.hours.likely, &task.spec.title),
        };
        if sum > 2.0 * of {
            let (code, title) = (WarningCode::EffortInflated, title.clone());
            made.warnings.push(Warning { code, title });
        }
    }
}

fn word<T>(value: &Value, name: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
    value.get(name).and_then(Value::as_str).and_then(parse)
}

/// Takes the nodes of a list, each before its parts; the schema has said that they are whole.
fn collect<'a>(listed: Option<&'a Value>, parent: Option<usize>, at: &str, raw: &mut Vec<Raw<'a>>) {
    for (number, value) in listed.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let at = format!("{at}/{number}");
        let place = raw.len();
        let depends_on = value.get("depends_on").and_then(Value::as_array);
        raw.push(Raw {
            node: node(value, parent),
            at: at.clone(),
            depends_on: depends_on.map(Vec::as_slice).unwrap_or_default(),
        });
        collect(value.get("children"), Some(place), &format!("{at}/children"), raw);
    }
}

fn node(value: &Value, parent: Option<usize>) -> PlanNode {
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| map.get(name).and_then(Value::as_f64);
    let texts = |name: &str| -> Option<Vec<String>> {
        let listed = map.get(name)?.as_array()?;
        Some(listed.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    let title = text("title").unwrap_or_default().trim().to_owned();
    let description = text("description");
    let figure = Hours::of_figure(number("likely_hours").unwrap_or_default());
    let read = || capabilities([title.as_str(), description.as_deref().unwrap_or_default()]);
    let capabilities = texts("capabilities").filter(|listed| !listed.is_empty());
    PlanNode {
        key: text("key").unwrap_or_default(),
        parent,
        task_type: text("task_type").unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
        technologies: texts("technologies")
            .unwrap_or_default()
            .into_iter()
            .map(|name| name.to_lowercase())
            .collect(),
        priority: word(value, "priority", TaskPriority::parse),
        hours: Hours {
            optimistic: number("optimistic_hours").unwrap_or(figure.optimistic),
            likely: figure.likely,
            pessimistic: number("pessimistic_hours").unwrap_or(figure.pessimistic),
        },
        capabilities: capabilities.unwrap_or_else(read),
        needs: Vec::new(),
        title,
        description,
    }
}

fn spelled(unfit: &Unfit) -> (&'static str, &'static str) {
    match unfit {
        Unfit::Itself => ("self", "is the task itself; name another one"),
        Unfit::Kin => ("ancestor", "is a part of the task, or the task is a part of it"),
        Unfit::Unknown => ("unknown", "must be the key of a task of the plan"),
        Unfit::Cycle(_) => ("cycle", "closes a circle"),
    }
}
