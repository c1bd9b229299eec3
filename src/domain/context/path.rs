//! Where a value lies in a context: names joined by dots.
//!
//! Invariant: a path has one spelling, so that paths can be compared and kept as texts. A dot that
//! belongs to a name is `\.`, a backslash is `\\`.

/// Longest spelling, in characters.
pub const MOST_CHARACTERS: usize = 512;
/// Most names of one path.
pub const MOST_SEGMENTS: usize = 32;

/// A path that was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

impl Path {
    /// Reads a spelling.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("must not be empty");
        }
        if text.chars().count() > MOST_CHARACTERS {
            return Err("may have at most 512 characters");
        }
        let (mut segments, mut segment) = (Vec::new(), String::new());
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '.' => segments.push(std::mem::take(&mut segment)),
                '\\' => match rest.next() {
                    Some(plain @ ('.' | '\\')) => segment.push(plain),
                    Some(_) | None => {
                        return Err("may have a backslash only before a dot or another backslash");
                    }
                },
                other => segment.push(other),
            }
        }
        segments.push(segment);
        if segments.iter().any(String::is_empty) {
            return Err("must have no empty names between its dots");
        }
        if segments.len() > MOST_SEGMENTS {
            return Err("may have at most 32 names");
        }
        Ok(Self(segments))
    }

    /// A path of these names, which are not empty.
    #[must_use]
    pub const fn of(segments: Vec<String>) -> Self {
        Self(segments)
    }

    /// Its names.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// Whether one of both lies within the other, or they are equal.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&spelled(&self.0))
    }
}

/// The spelling of these names.
#[must_use]
pub fn spelled(segments: &[String]) -> String {
    let mut text = String::with_capacity(segments.iter().map(|one| one.len() + 1).sum());
    for (index, segment) in segments.iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        for one in segment.chars() {
            if matches!(one, '.' | '\\') {
                text.push('\\');
            }
            text.push(one);
        }
    }
    text
}

/// Whether one of two spellings lies within the other, or they are equal.
#[must_use]
pub fn overlap(left: &str, right: &str) -> bool {
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
