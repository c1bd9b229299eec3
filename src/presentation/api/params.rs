//! Reading query parameters one by one: every broken one is named, an unknown one is refused.

use crate::domain::field::FieldErrors;
use crate::domain::time::Timestamp;

use super::fields::AsWord;
use super::problem::Problem;

/// The parameters of a request that were not taken yet, and what is wrong so far.
#[derive(Debug)]
pub struct Params {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: FieldErrors,
}

impl Params {
    /// The parameters of a query string.
    #[must_use]
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(query.unwrap_or("").as_bytes());
        Self {
            left: pairs.into_owned().collect(),
            known: Vec::new(),
            errors: FieldErrors::default(),
        }
    }

    /// Every value of a repeatable parameter; commas separate values too.
    pub fn all(&mut self, name: &'static str) -> Vec<String> {
        let found = self.each(name);
        let parts = found.iter().flat_map(|value| value.split(','));
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn each(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let (found, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.left).into_iter().partition(|(key, _)| key == name);
        self.left = left;
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// A parameter that may be given once.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.each(name);
        if values.len() > 1 {
            self.wrong(name, "repeated", "may be given only once");
        }
        values.pop().filter(|value| !value.is_empty())
    }

    /// A whole number.
    pub fn integer(&mut self, name: &'static str) -> Option<u64> {
        let text = self.text(name)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.wrong(name, "invalid", "must be a whole number, not negative");
        }
        number
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.wrong(name, "invalid", "must be true or false");
                false
            }
        }
    }

    /// RFC 3339.
    pub fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let time = Timestamp::parse(&text);
        if time.is_none() {
            self.wrong(name, "invalid", "must be a time such as 2026-01-31T09:30:00.000Z");
        }
        time
    }

    /// One of a closed list of words.
    pub fn word<T: AsWord>(&mut self, name: &'static str) -> Option<T> {
        let text = self.text(name)?;
        self.one_of(name, &text)
    }

    /// Several of a closed list of words.
    pub fn words<T: AsWord>(&mut self, name: &'static str) -> Vec<T> {
        let texts = self.all(name);
        texts.iter().filter_map(|text| self.one_of(name, text)).collect()
    }

    fn one_of<T: AsWord>(&mut self, name: &str, text: &str) -> Option<T> {
        let found = T::from_word(text);
        if found.is_none() && self.errors.is_full() {
            self.errors.add_untold(1);
        } else if found.is_none() {
            self.wrong(name, "invalid", format!("must be one of {}", T::words()));
        }
        found
    }

    /// Notes what is wrong with a parameter.
    pub fn wrong(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        self.errors.add(format!("?{name}"), code, message);
    }

    /// Everything that is wrong, unknown names included.
    ///
    /// # Errors
    /// A `VALIDATION_ERROR`.
    pub fn finish(mut self) -> Result<(), Problem> {
        let known = self.known.join(", ");
        let message = if known.is_empty() {
            "is not known; this route takes no parameters".to_owned()
        } else {
            format!("is not known; known are {known}")
        };
        for (name, _) in &self.left {
            let name: String = name.chars().take(100).collect();
            self.errors.add(format!("?{name}"), "unknown_parameter", message.as_str());
        }
        self.errors.into_result(()).map_err(|errors| Problem::fields(&errors))
    }
}
