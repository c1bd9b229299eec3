//! What is wrong with an input, field by field, so that everything is reported at once.

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

/// Collects broken rules; an input is accepted only by an empty collection.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Adds one broken rule.
    pub fn add(
        &mut self,
        pointer: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) {
        self.0.push(FieldError { pointer: pointer.into(), code, message: message.into() });
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

    /// What was noted so far.
    #[must_use]
    pub fn noted(&self) -> &[FieldError] {
        &self.0
    }

    /// `value` when nothing was wrong, else everything that was.
    ///
    /// # Errors
    /// The collected field errors.
    pub fn into_result<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
