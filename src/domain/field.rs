//! What is wrong with an input, field by field, so that everything is reported at once.

use serde_json::{Map, Value};

use super::canonical::{canonical, depth};

/// Largest free JSON object, canonical.
const MAX_MAP_BYTES: usize = 64 * 1024;

/// One broken rule of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer to the field, as in `/workspace/repo`.
    pub pointer: String,
    /// Stable word: `required`, `out_of_range`, `too_long`, `invalid`, `unknown_field`, …
    pub code: &'static str,
    /// What the rule is and how to satisfy it; safe to show.
    pub message: String,
}

/// Broken rules that are told of one input; of the others only how many there are.
pub const MOST_TOLD: usize = 50;

/// Collects broken rules; an input is accepted only by an empty collection. It is bounded, whatever
/// is sent.
#[derive(Debug, Default)]
pub struct FieldErrors {
    told: Vec<FieldError>,
    more: usize,
}

impl FieldErrors {
    /// Adds one broken rule.
    pub fn add(
        &mut self,
        pointer: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        self.told.push(FieldError { pointer: pointer.into(), code, message: message.into() });
    }

    /// Whether others are only counted.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.told.len() >= MOST_TOLD
    }

    /// Counts rules that nobody spells out any more.
    pub const fn add_untold(&mut self, count: usize) {
        self.more += count;
    }

    /// Takes over what was noted elsewhere.
    pub fn absorb(&mut self, others: Self) {
        let Self { told, more } = others;
        for FieldError { pointer, code, message } in told {
            self.add(pointer, code, message);
        }
        self.more += more;
    }

    /// Adds a rule when it does not hold.
    pub fn require(&mut self, holds: bool, pointer: &str, code: &'static str, message: &str) {
        if !holds {
            self.add(pointer, code, message);
        }
    }

    /// Length in Unicode scalar values.
    pub fn length(&mut self, pointer: &str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length < least {
            self.add(pointer, "too_short", format!("must have at least {least} characters"));
        } else if length > most {
            self.add(
                pointer,
                "too_long",
                format!("has {length} characters, at most {most} are allowed"),
            );
        }
    }

    /// A number within bounds, both included.
    pub fn range<T: PartialOrd + std::fmt::Display + Copy>(
        &mut self,
        pointer: &str,
        value: T,
        least: T,
        most: T,
    ) {
        if !(value >= least && value <= most) {
            self.add(pointer, "out_of_range", format!("must be between {least} and {most}"));
        }
    }

    /// A free JSON object: at most 64 KiB canonical, at most 32 levels deep.
    pub fn map(&mut self, pointer: &str, map: &Map<String, Value>) {
        if map.is_empty() {
            return;
        }
        let value = Value::Object(map.clone());
        let is_flat = depth(&value) <= 32;
        self.require(is_flat, pointer, "too_deep", "is nested deeper than 32 levels");
        let is_small = canonical(&value).len() <= MAX_MAP_BYTES;
        self.require(is_small, pointer, "too_large", "is larger than 64 KiB");
    }

    /// What was noted so far.
    #[must_use]
    pub fn noted(&self) -> &[FieldError] {
        &self.told
    }

    /// `value` when nothing was wrong, else everything that was.
    ///
    /// # Errors
    /// The collected field errors.
    pub fn into_result<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        let Self { mut told, more } = self;
        if told.is_empty() && more == 0 {
            return Ok(value);
        }
        if more > 0 {
            let message = format!("{more} more are wrong and not listed: correct these first");
            told.push(FieldError { pointer: String::new(), code: "more", message });
        }
        Err(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_faults_is_cut_short_and_counted() {
        let mut inner = FieldErrors::default();
        (0..60).for_each(|number| inner.add(format!("/{number}"), "invalid", "is wrong"));
        let mut errors = FieldErrors::default();
        errors.add("/first", "invalid", "is wrong");
        errors.absorb(inner);
        errors.add_untold(5);
        let told = errors.into_result(()).expect_err("faults");
        assert_eq!((told.len(), &*told[0].pointer), (MOST_TOLD + 1, "/first"));
        assert!(told[MOST_TOLD].message.starts_with("16 more"), "{told:?}");
    }
}
