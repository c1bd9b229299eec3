//! Reading a JSON object field by field, so that everything wrong with it is told at once, each with
//! its pointer, and so that an unknown name is an error.

use serde_json::{Map, Value};

use crate::domain::agent::performance::Tier;
use crate::domain::field::{FieldError, FieldErrors, MOST_TOLD};

/// A body that is read field by field.
pub trait FromFields: Sized {
    /// Fields that are used as they were sent: credentials to be compared and addresses to be called,
    /// which are no text for people. All others are kept without the secrets in them.
    const AS_SENT: &'static [&'static str] = &["key", "secret", "password", "token"];

    /// Takes every known field; what is wrong is noted and a default stands in for it.
    fn read(fields: &mut Fields) -> Self;
}

/// No body is needed; an empty object is accepted.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl FromFields for Nothing {
    fn read(_: &mut Fields) -> Self {
        Self
    }
}

/// The fields of one object that were not taken yet, and what is wrong so far.
#[derive(Debug)]
pub struct Fields {
    pointer: String,
    left: Map<String, Value>,
    known: Vec<&'static str>,
    errors: FieldErrors,
}

impl Fields {
    /// The fields of a body.
    #[must_use]
    pub fn new(map: Map<String, Value>) -> Self {
        Self::at(String::new(), map)
    }

    fn at(pointer: String, left: Map<String, Value>) -> Self {
        Self { pointer, left, known: Vec::new(), errors: FieldErrors::default() }
    }

    /// Reads a whole object.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read<T: FromFields>(map: Map<String, Value>) -> Result<T, Vec<FieldError>> {
        let mut fields = Self::new(map);
        let value = T::read(&mut fields);
        fields.finish().into_result(value)
    }

    /// What is wrong, unknown names included.
    #[must_use]
    pub fn finish(mut self) -> FieldErrors {
        let known = self.known.join(", ");
        let untold = self.left.len().saturating_sub(MOST_TOLD);
        self.errors.add_untold(untold);
        for name in self.left.keys().take(MOST_TOLD) {
            let pointer = format!("{}/{}", self.pointer, escape(name));
            let message = if known.is_empty() {
                "is not known; this object has no fields".to_owned()
            } else {
                format!("is not known; known are {known}")
            };
            self.errors.add(pointer, "unknown_field", message);
        }
        self.errors
    }

    /// Adds what the domain says of fields about which nothing is noted yet.
    pub fn complete(&mut self, errors: Vec<FieldError>) {
        let noted = self.pointers();
        for FieldError { pointer, code, message } in errors {
            if !noted.contains(&pointer) {
                self.errors.add(pointer, code, message);
            }
        }
    }

    /// Notes that a field is required, when nothing is noted about it yet.
    pub fn require_one(&mut self, name: &str, message: &str) {
        let pointer = format!("{}/{name}", self.pointer);
        if !self.pointers().contains(&pointer) {
            self.errors.add(pointer, "required", message);
        }
    }

    fn pointers(&self) -> Vec<String> {
        self.errors.noted().iter().map(|error| error.pointer.clone()).collect()
    }

    /// The names that a reader of bodies knows.
    #[must_use]
    pub fn names<T: FromFields>() -> Vec<&'static str> {
        let mut fields = Self::new(Map::new());
        T::read(&mut fields);
        fields.known
    }

    /// Notes what is wrong with a field.
    pub fn wrong(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        let pointer = format!("{}/{}", self.pointer, escape(name));
        self.errors.add(pointer, code, message);
    }

    /// Refuses a field that is known and cannot be changed this way.
    pub fn refuse(&mut self, name: &str, message: &str) {
        if self.left.remove(name).is_some() {
            self.wrong(name, "immutable", message);
        }
    }

    /// The raw value; absent and null are the same.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// Whether the field was given as something else than null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether the field was given as null.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(Value::is_null)
    }

    /// `Some(None)` for null, `None` for absent.
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.is_null(name) {
            self.take(name);
            return Some(None);
        }
        read(self, name).map(Some)
    }

    /// A text.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let Value::String(text) = self.take(name)? else {
            return self.mismatch(name, "a text");
        };
        Some(text)
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str) -> String {
        if !self.has(name) {
            self.wrong(name, "required", "is required");
        }
        self.text(name).unwrap_or_default()
    }

    /// A text of this many characters.
    pub fn bounded_text(
        &mut self,
        name: &'static str,
        least: usize,
        most: usize,
    ) -> Option<String> {
        let text = self.text(name)?;
        let pointer = format!("{}/{name}", self.pointer);
        self.errors.length(&pointer, &text, least, most);
        Some(text)
    }

    /// A whole number that fits.
    pub fn integer<T: TryFrom<u64>>(&mut self, name: &'static str) -> Option<T> {
        let value = self.take(name)?;
        if !value.is_number() {
            return self.mismatch(name, "a whole number");
        }
        let number = value.as_u64().or_else(|| whole(value.as_f64()?));
        if let Some(Ok(number)) = number.map(T::try_from) {
            return Some(number);
        }
        self.wrong(name, "out_of_range", "must be a whole number, not negative and not that large");
        None
    }

    /// A finite number.
    pub fn number(&mut self, name: &'static str) -> Option<f64> {
        let value = self.take(name)?;
        match value.as_f64() {
            Some(number) if number.is_finite() => Some(number),
            _ => self.mismatch(name, "a number"),
        }
    }

    /// A truth value.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let flag = self.take(name)?.as_bool();
        if flag.is_none() {
            self.wrong(name, "wrong_type", "must be true or false");
        }
        flag
    }

    /// One of a closed list of words.
    pub fn word<T: Copy + AsWord>(&mut self, name: &'static str) -> Option<T> {
        let text = self.text(name)?;
        let found = T::from_word(&text);
        if found.is_none() {
            self.wrong(name, "invalid", format!("must be one of {}", T::words()));
        }
        found
    }

    /// Texts in order; empty when absent.
    pub fn texts(&mut self, name: &'static str) -> Vec<String> {
        let Some(values) = self.list(name) else { return Vec::new() };
        let mut texts = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            if let Value::String(text) = value {
                texts.push(text);
            } else {
                self.wrong_at(name, index, "must be a text");
            }
        }
        texts
    }

    /// Values in order.
    pub fn list(&mut self, name: &'static str) -> Option<Vec<Value>> {
        let Value::Array(values) = self.take(name)? else {
            return self.mismatch(name, "a list");
        };
        Some(values)
    }

    /// A free JSON object.
    pub fn map(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        let Value::Object(map) = self.take(name)? else {
            return self.mismatch(name, "an object");
        };
        Some(map)
    }

    /// An object with known fields.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let map = self.map(name)?;
        let mut inner = Self::at(format!("{}/{name}", self.pointer), map);
        let value = read(&mut inner);
        self.errors.absorb(inner.finish());
        Some(value)
    }

    /// Objects with known fields, in order.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Self) -> T,
    ) -> Option<Vec<T>> {
        let values = self.list(name)?;
        let mut objects = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let Value::Object(map) = value else {
                self.wrong_at(name, index, "must be an object");
                continue;
            };
            let mut inner = Self::at(format!("{}/{name}/{index}", self.pointer), map);
            objects.push(read(&mut inner));
            self.errors.absorb(inner.finish());
        }
        Some(objects)
    }

    /// Complains about a member of a list.
    pub fn wrong_at(&mut self, name: &str, index: usize, message: &str) {
        let pointer = format!("{}/{name}/{index}", self.pointer);
        self.errors.add(pointer, "wrong_type", message);
    }

    fn mismatch<T>(&mut self, name: &str, wanted: &str) -> Option<T> {
        self.wrong(name, "wrong_type", format!("must be {wanted}"));
        None
    }
}

/// `3.0` is the whole number 3.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "only numbers below 2^53 without a fraction come this far"
)]
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

fn escape(name: &str) -> String {
    name.chars().take(100).collect::<String>().replace('~', "~0").replace('/', "~1")
}

/// A closed list of words, as `closed_enum!` makes them.
pub trait AsWord: Sized {
    /// The member with this slug.
    fn from_word(text: &str) -> Option<Self>;
    /// All slugs, for people.
    fn words() -> String;
}

/// Lets closed lists of the domain be read from bodies and parameters.
macro_rules! words {
    ($($name:ty),+ $(,)?) => { $(
        impl AsWord for $name {
            fn from_word(text: &str) -> Option<Self> {
                Self::parse(text)
            }

            fn words() -> String {
                Self::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", ")
            }
        }
    )+ };
}

words!(
    crate::domain::tenant::key::Role,
    crate::domain::tenant::joining::JoinMode,
    crate::domain::tenant::registration::RegistrationMode,
    crate::domain::tenant::key::KeyKind,
    crate::domain::lock::LockMode,
    crate::domain::session::spec::SessionType,
    crate::domain::session::spec::OnParentEnd,
    crate::domain::schedule::hold::HoldScope,
    crate::domain::session::spec::ExecutionMode,
    crate::domain::session::spec::PermissionDecision,
    crate::domain::session::status::SessionStatus,
    crate::domain::session::Phase,
    crate::domain::session::PromptMode,
    crate::domain::agent::kind::AgentKind,
    crate::domain::agent::kind::AgentType,
    crate::domain::agent::kind::ComplexityPreference,
    crate::domain::agent::status::AgentState,
    crate::domain::agent::routing::Match,
    crate::domain::attention::Attention,
    crate::domain::attention::AttentionState,
    crate::domain::attention::Decision,
    crate::domain::event::EventType,
    crate::domain::webhook::delivery::DeliveryState,
    crate::domain::workspace::WorkspaceKind,
    crate::domain::context::ContextScope,
    crate::domain::task::status::TaskStatus,
    crate::domain::task::spec::TaskPriority,
    crate::domain::task::spec::OnUpstreamFailure,
    crate::domain::task::dependency::DependencyType,
    crate::domain::decompose::request::Strategy,
    crate::domain::context::merge::MergeStrategy,
    crate::application::ports::workspaces::MergeMode,
    crate::application::usage::query::GroupBy,
    crate::application::agent::route::Explain,
);

impl AsWord for Tier {
    fn from_word(text: &str) -> Option<Self> {
        Self::named(text)
    }

    fn words() -> String {
        Self::ALL.iter().map(|tier| tier.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Pair;

    impl FromFields for Pair {
        fn read(fields: &mut Fields) -> Self {
            fields.required_text("name");
            fields.integer::<u32>("count");
            fields.object("inner", |inner| inner.flag("on"));
            Self
        }
    }

    fn pointers(value: Value) -> Vec<(String, &'static str)> {
        let Value::Object(map) = value else { panic!("an object") };
        let errors = Fields::read::<Pair>(map).err().unwrap_or_default();
        errors.into_iter().map(|error| (error.pointer, error.code)).collect()
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let told = pointers(json!({
            "count": -1, "inner": { "on": 1, "of/f": true }, "a~b": 0,
        }));
        let told: Vec<(&str, &str)> = told.iter().map(|(at, code)| (at.as_str(), *code)).collect();
        assert_eq!(
            told,
            [
                ("/name", "required"),
                ("/count", "out_of_range"),
                ("/inner/on", "wrong_type"),
                ("/inner/of~1f", "unknown_field"),
                ("/a~0b", "unknown_field"),
            ]
        );
        assert!(pointers(json!({ "name": "x", "count": 3.0, "inner": null })).is_empty());
    }
}
