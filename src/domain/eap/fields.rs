//! Reads the fields of an object, and collects what is wrong with them.

use serde_json::{Map, Value};

use crate::domain::field::{FieldError, FieldErrors};

/// An object that is read field by field.
#[derive(Debug)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// Where it stands in what was sent.
    at: String,
    /// What is wrong so far.
    pub errors: FieldErrors,
}

impl<'a> Fields<'a> {
    /// The fields of what was sent.
    #[must_use]
    pub fn of(map: &'a Map<String, Value>) -> Self {
        Self::at(map, String::new())
    }

    /// The fields of a part of it.
    #[must_use]
    pub fn at(map: &'a Map<String, Value>, at: String) -> Self {
        Self { map, at, errors: FieldErrors::default() }
    }

    /// The place of a field.
    #[must_use]
    pub fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    /// Says that a field is wrong.
    pub fn wrong(&mut self, name: &str, code: &'static str, message: &str) {
        self.errors.add(self.pointer(name), code, message);
    }

    /// A field as it was sent; null counts as missing.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn read<T>(
        &mut self,
        name: &str,
        rule: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.value(name)?);
        if found.is_none() {
            self.wrong(name, "wrong_type", rule);
        }
        found
    }

    /// A text of at most so many characters.
    pub fn text(&mut self, name: &str, most: usize) -> Option<&'a str> {
        let text = self.read(name, "must be a text", Value::as_str)?;
        if text.chars().count() > most {
            self.wrong(name, "too_long", &format!("at most {most} characters are allowed"));
            return None;
        }
        Some(text)
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &str, most: usize) -> Option<&'a str> {
        if self.value(name).is_none() {
            self.wrong(name, "required", "must be given");
        }
        self.text(name, most)
    }

    /// A whole number, 0 or more.
    pub fn whole(&mut self, name: &str) -> Option<u64> {
        self.read(name, "must be a whole number, 0 or more", Value::as_u64)
    }

    /// A whole number from 0 to this.
    pub fn count(&mut self, name: &str, most: u64) -> Option<u64> {
        let number = self.whole(name)?;
        if number > most {
            self.wrong(name, "out_of_range", &format!("must be from 0 to {most}"));
            return None;
        }
        Some(number)
    }

    /// A number within these bounds.
    pub fn number(&mut self, name: &str, least: f64, most: f64) -> Option<f64> {
        let number = self.read(name, "must be a number", Value::as_f64)?;
        if !(least..=most).contains(&number) {
            self.wrong(name, "out_of_range", &format!("must be from {least} to {most}"));
            return None;
        }
        Some(number)
    }

    /// Yes or no.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.read(name, "must be true or false", Value::as_bool)
    }

    /// An object.
    pub fn map(&mut self, name: &str) -> Option<&'a Map<String, Value>> {
        self.read(name, "must be an object", Value::as_object)
    }

    /// A list of at most so many.
    pub fn list(&mut self, name: &str, most: usize) -> Option<&'a [Value]> {
        let list = self.read(name, "must be a list", Value::as_array)?;
        if list.len() > most {
            self.wrong(name, "too_many", &format!("at most {most} are allowed"));
            return None;
        }
        Some(list)
    }

    /// A word of a closed list.
    pub fn word<T>(&mut self, name: &str, parse: fn(&str) -> Option<T>, known: &str) -> Option<T> {
        let word = self.text(name, 100)?;
        let found = parse(word);
        if found.is_none() {
            self.wrong(name, "unknown", &format!("must be one of {known}"));
        }
        found
    }

    /// The value, when nothing was wrong.
    ///
    /// # Errors
    /// Everything that was.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        let Self { errors, .. } = self;
        match value {
            Some(value) => errors.into_result(value),
            None => errors.into_result(()).and(Err(Vec::new())),
        }
    }
}
