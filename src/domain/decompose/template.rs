//! Templates: into which children a kind of task is split.
//!
//! Invariant: a `Template` has passed `file::read`: its names exist, its references lead somewhere and
//! nothing in it depends on itself.

use serde_json::{Map, Value, json};

use super::words::{has, tokens};
use crate::closed_enum;
use crate::domain::ids::TenantId;
use crate::domain::task::dependency::DependencyType;
use crate::domain::task::estimate::ComplexityLevel;
use crate::domain::task::spec::TaskPriority;
use crate::domain::time::Timestamp;

/// The version of the file's schema.
pub const SCHEMA_VERSION: u64 = 1;
/// Most instances of subtasks that a template may give.
pub const MOST_INSTANCES: u32 = 50;

closed_enum!(
    /// What a template is chosen by.
    TriggerKind {
        TaskType = "task_type",
        Keyword = "keyword",
    }
);

closed_enum!(
    /// How the children of a template are split further.
    Refinement {
        Functional = "functional",
        Temporal = "temporal",
        Capability = "capability",
        None = "none",
    }
);

/// One of the values of a choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Its name.
    pub value: String,
    /// What efforts are multiplied by.
    pub factor: f64,
    /// The priority that it sets.
    pub priority: Option<TaskPriority>,
}

/// What can be said of a template when it is used.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterKind {
    /// How many.
    Integer {
        /// When nothing is said.
        default: u32,
        /// At least.
        min: u32,
        /// At most.
        max: u32,
    },
    /// Which of some.
    Choice {
        /// When nothing is said.
        default: String,
        /// Those.
        choices: Vec<Choice>,
    },
    /// Which ones.
    List {
        /// When nothing is said.
        default: Vec<String>,
        /// At least so many.
        min: u32,
        /// At most so many.
        max: u32,
    },
}

/// A parameter by its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// A slug.
    pub name: String,
    /// What it takes.
    pub kind: ParameterKind,
}

/// How long a child takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Effort {
    /// So many likely hours; the band table gives the others.
    Hours(f64),
    /// A share of each of the parent's three figures.
    Share {
        /// The share.
        share: f64,
        /// Divided by how many instances these subtasks have.
        divide_by: Vec<String>,
        /// Times the factor of this choice.
        multiplier: Option<String>,
    },
}

/// How many children a subtask stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instances {
    /// One.
    Once,
    /// As many as this parameter says, from 1.
    Repeat(String),
    /// One for each item of this parameter.
    Items(String),
}

/// How urgent the children are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Urgency {
    /// As their parent.
    Inherited,
    /// So.
    Fixed(TaskPriority),
    /// As this choice says, else as their parent.
    OfChoice(String),
}

/// What a subtask needs of its siblings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The key of a subtask.
    pub key: String,
    /// One instance of it, by its item or its number; all of them otherwise.
    pub instance: Option<String>,
    /// How.
    pub kind: DependencyType,
    /// Whether it gates.
    pub is_required: bool,
}

/// One kind of child.
#[derive(Debug, Clone, PartialEq)]
pub struct Subtask {
    /// Unique in the template.
    pub key: String,
    /// With `{title}`, `{item}` and `{n}`.
    pub title: String,
    /// The same.
    pub description: Option<String>,
    /// A slug.
    pub task_type: String,
    /// What they need; those of the parent when there are none.
    pub capabilities: Vec<String>,
    /// What they are made with; those of the parent when there are none.
    pub technologies: Vec<String>,
    /// How long they take.
    pub effort: Effort,
    /// How many they are.
    pub instances: Instances,
    /// How urgent they are.
    pub urgency: Urgency,
    /// What they need of their siblings.
    pub depends_on: Vec<Reference>,
}

/// A template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// A slug; unique among those of a tenant.
    pub key: String,
    /// For people, 1–100 characters.
    pub name: String,
    /// At most 500 characters.
    pub description: String,
    /// A semantic version.
    pub version: String,
    /// What it is chosen by.
    pub trigger: TriggerKind,
    /// For a trigger by type.
    pub task_types: Vec<String>,
    /// For a trigger by words.
    pub keywords: Vec<String>,
    /// Types that it is never used for.
    pub excluded_task_types: Vec<String>,
    /// The lowest level that it is used for.
    pub threshold: ComplexityLevel,
    /// Children above it are refined.
    pub leaf_target: ComplexityLevel,
    /// How.
    pub strategy: Refinement,
    /// 1–5.
    pub max_depth: u32,
    /// 1–10, higher first.
    pub priority: u32,
    /// What can be said of it when it is used.
    pub parameters: Vec<Parameter>,
    /// What it gives.
    pub subtasks: Vec<Subtask>,
}

/// A template that a tenant wrote itself.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnTemplate {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it is.
    pub template: Template,
    /// When it was added.
    pub created_at: Timestamp,
    /// Newest change.
    pub updated_at: Timestamp,
}

impl Template {
    /// The parameter of this name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&ParameterKind> {
        self.parameters.iter().find(|one| one.name == name).map(|one| &one.kind)
    }

    /// Whether its trigger finds this task: its type, or one of its texts.
    #[must_use]
    pub fn finds(&self, task_type: &str, texts: &[&str]) -> bool {
        if self.excluded_task_types.iter().any(|known| known == task_type) {
            return false;
        }
        match self.trigger {
            TriggerKind::TaskType => self.task_types.iter().any(|known| known == task_type),
            TriggerKind::Keyword => texts.iter().any(|text| {
                let tokens = tokens(text);
                self.keywords.iter().any(|word| has(&tokens, &word.to_lowercase()))
            }),
        }
    }

    /// The template as a file has it: what is read back is the same template.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "key": self.key, "name": self.name, "description": self.description,
            "version": self.version, "trigger": self.trigger, "task_types": self.task_types,
            "keywords": self.keywords, "excluded_task_types": self.excluded_task_types,
            "threshold": self.threshold, "leaf_target": self.leaf_target,
            "strategy": self.strategy, "max_depth": self.max_depth, "priority": self.priority,
            "parameter": self.parameters.iter().map(Parameter::to_json).collect::<Vec<_>>(),
            "subtask": self.subtasks.iter().map(Subtask::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Parameter {
    fn to_json(&self) -> Value {
        match &self.kind {
            ParameterKind::Integer { default, min, max } => json!({
                "name": self.name, "kind": "integer", "default": default, "min": min, "max": max,
            }),
            ParameterKind::List { default, min, max } => json!({
                "name": self.name, "kind": "list", "default": default, "min": min, "max": max,
            }),
            ParameterKind::Choice { default, choices } => {
                let choices: Vec<Value> = choices
                    .iter()
                    .map(|choice| {
                        let mut map = Map::new();
                        map.insert("value".to_owned(), json!(choice.value));
                        map.insert("factor".to_owned(), json!(choice.factor));
                        map.extend(choice.priority.map(|it| ("priority".to_owned(), json!(it))));
                        Value::Object(map)
                    })
                    .collect();
                json!({
                    "name": self.name, "kind": "choice", "default": default, "choices": choices,
                })
            }
        }
    }
}

impl Subtask {
    fn to_json(&self) -> Value {
        let references: Vec<Value> = self
            .depends_on
            .iter()
            .map(|one| {
                let on = match &one.instance {
                    Some(instance) => format!("{}.{instance}", one.key),
                    None => one.key.clone(),
                };
                json!({ "on": on, "type": one.kind, "required": one.is_required })
            })
            .collect();
        let given = json!({
            "key": self.key, "title": self.title, "task_type": self.task_type,
            "capabilities": self.capabilities, "technologies": self.technologies,
            "depends_on": references,
        });
        let mut map = given.as_object().cloned().unwrap_or_default();
        let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
        if let Some(description) = &self.description {
            put("description", json!(description));
        }
        match &self.effort {
            Effort::Hours(hours) => put("hours", json!(hours)),
            Effort::Share { share, divide_by, multiplier } => {
                put("share", json!(share));
                put("divide_by", json!(divide_by));
                if let Some(multiplier) = multiplier {
                    put("multiplier", json!(multiplier));
                }
            }
        }
        match &self.instances {
            Instances::Once => {}
            Instances::Repeat(name) => put("repeat", json!(name)),
            Instances::Items(name) => put("items_from", json!(name)),
        }
        match &self.urgency {
            Urgency::Inherited => {}
            Urgency::Fixed(priority) => put("priority", json!(priority)),
            Urgency::OfChoice(name) => put("priority_from", json!(name)),
        }
        Value::Object(map)
    }
}
