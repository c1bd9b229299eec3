//! The templates that a tenant has: the shipped ones, and its own in their place or beside them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::check;
use super::template::{ParameterKind, Template, TriggerKind};
use crate::domain::field::{FieldError, FieldErrors};

/// Templates by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    by_key: BTreeMap<String, Template>,
}

impl Catalogue {
    /// These templates; of two with one key the later stays.
    #[must_use]
    pub fn of(templates: impl IntoIterator<Item = Template>) -> Self {
        let by_key = templates.into_iter().map(|template| (template.key.clone(), template));
        Self { by_key: by_key.collect() }
    }

    /// The same with those of a tenant, which replace those of the same key.
    #[must_use]
    pub fn with(&self, own: impl IntoIterator<Item = Template>) -> Self {
        let mut all = self.clone();
        all.by_key.extend(own.into_iter().map(|template| (template.key.clone(), template)));
        all
    }

    /// The template of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Template> {
        self.by_key.get(key)
    }

    /// Every template, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.by_key.values()
    }

    /// The templates of a trigger, those of higher priority first, then by key.
    pub(super) fn by_urgency(&self, trigger: TriggerKind) -> Vec<&Template> {
        let mut found: Vec<&Template> =
            self.by_key.values().filter(|template| template.trigger == trigger).collect();
        found.sort_by_key(|template| std::cmp::Reverse(template.priority));
        found
    }

    /// What is wrong with parameters: each must be one that some template takes, which is only the
    /// named one where one is named.
    ///
    /// # Errors
    /// Every parameter that none takes, and every value that none of those that take it allows.
    pub fn check(
        &self,
        parameters: &Map<String, Value>,
        named: Option<&Template>,
    ) -> Result<(), Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        for (name, value) in parameters {
            let at = format!("/parameters/{}", name.replace('~', "~0").replace('/', "~1"));
            let takers = self
                .by_key
                .values()
                .filter(|template| named.is_none_or(|named| named.key == template.key));
            let kinds: Vec<&ParameterKind> =
                takers.filter_map(|template| template.parameter(name)).collect();
            let told: Vec<String> =
                kinds.iter().filter_map(|kind| Setting::read(kind, value).err()).collect();
            if kinds.is_empty() {
                errors.add(at, "unknown_field", "is no parameter of a template that is used");
            } else if told.len() == kinds.len() {
                errors.add(at, "invalid", told.into_iter().next().unwrap_or_default());
            }
        }
        errors.into_result(())
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Setting<'a> {
    Integer(u32),
    Choice(&'a super::template::Choice),
    List(Vec<String>),
}

impl<'a> Setting<'a> {
    /// What was given, when the parameter allows it.
    fn read(kind: &'a ParameterKind, value: &Value) -> Result<Self, String> {
        match kind {
            ParameterKind::Integer { min, max, .. } => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                let number = number.filter(|number| (min..=max).contains(&number));
                number
                    .map(Self::Integer)
                    .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
            }
            ParameterKind::Choice { choices, .. } => {
                let found = choices.iter().find(|choice| value.as_str() == Some(&choice.value));
                let known: Vec<&str> = choices.iter().map(|choice| &*choice.value).collect();
                found
                    .map(Self::Choice)
                    .ok_or_else(|| format!("must be one of {}", known.join(", ")))
            }
            ParameterKind::List { min, max, .. } => {
                let listed = value.as_array().map(|items| {
                    let texts = items.iter().map(|item| item.as_str().map(str::trim));
                    texts.map(|text| text.map(str::to_owned)).collect::<Option<Vec<String>>>()
                });
                let items = listed.flatten().ok_or("must be a list of texts")?;
                check::items(&items, *min, *max)?;
                Ok(Self::List(items))
            }
        }
    }

    /// What holds for a template: what was given, or what the template says itself.
    pub(super) fn of(
        template: &'a Template,
        name: &str,
        given: &Map<String, Value>,
    ) -> Option<Self> {
        let kind = template.parameter(name)?;
        if let Some(setting) = given.get(name).and_then(|value| Self::read(kind, value).ok()) {
            return Some(setting);
        }
        match kind {
            ParameterKind::Integer { default, .. } => Some(Self::Integer(*default)),
            ParameterKind::List { default, .. } => Some(Self::List(default.clone())),
            ParameterKind::Choice { default, choices } => {
                choices.iter().find(|choice| choice.value == *default).map(Self::Choice)
            }
        }
    }
}
