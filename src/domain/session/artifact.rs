//! Files that an agent brought back with a result.

use crate::domain::time::Timestamp;

/// Files of one session.
pub const MOST: usize = 1000;

/// One file: where it stands, and what is in it, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Relative, its parts joined by `/`.
    pub path: String,
    /// SHA-256 of its bytes, by which it is kept.
    pub sha256: [u8; 32],
    /// Bytes.
    pub size: u64,
    /// What the agent says that it is.
    pub mime_type: String,
    /// The attempt that it came of.
    pub attempt: u32,
    /// When it came.
    pub at: Timestamp,
}

/// Takes files over; a later one takes the place of an earlier one at the same path. What is too many is
/// left out, and how many that were is told.
pub fn take_over(known: &mut Vec<Artifact>, new: impl IntoIterator<Item = Artifact>) -> usize {
    let mut left_out = 0;
    for artifact in new {
        match known.binary_search_by(|one| one.path.cmp(&artifact.path)) {
            Ok(at) => known[at] = artifact,
            Err(_) if known.len() >= MOST => left_out += 1,
            Err(at) => known.insert(at, artifact),
        }
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(path: &str, attempt: u32) -> Artifact {
        Artifact {
            path: path.to_owned(),
            sha256: [0; 32],
            size: 1,
            mime_type: "text/plain".to_owned(),
            attempt,
            at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn later_files_take_the_place_of_earlier_ones_and_the_number_is_bounded() {
        let mut known = Vec::new();
        assert_eq!(take_over(&mut known, [artifact("b", 1), artifact("a", 1)]), 0);
        assert_eq!(take_over(&mut known, [artifact("b", 2)]), 0);
        let seen: Vec<(&str, u32)> =
            known.iter().map(|one| (one.path.as_str(), one.attempt)).collect();
        assert_eq!(seen, [("a", 1), ("b", 2)]);
        let many = (0..MOST).map(|number| artifact(&format!("{number}"), 3));
        assert_eq!(take_over(&mut known, many), 2);
        assert_eq!(known.len(), MOST);
    }
}
