//! Files that git does not know, where it is about to write.
//!
//! Why: git protects untracked files, but overwrites those that are ignored.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::Path;

use super::diff::compare;
use super::git::{Call, failed};
use super::place::Place;
use crate::application::ports::workspaces::WorkspaceError;

/// Paths that an index does not hold, ignored or not, and that lie where going from one tree to
/// another brings files. One that ends with a slash is a repository.
pub(super) async fn in_the_way(
    place: &Place,
    index: Option<&Path>,
    old: &str,
    new: &str,
) -> Result<Vec<Vec<u8>>, WorkspaceError> {
    let options = ["--name-only", "-z", "--no-renames", "--diff-filter=A"];
    let added = place.run(compare(&options, old, new)).await?;
    if added.stdout.is_empty() {
        return Ok(Vec::new());
    }
    let call = Call::new(["ls-files", "-z", "--others"]);
    let listed = place.run(index.into_iter().fold(call, Call::index)).await?;
    if listed.truncated || added.truncated {
        return Err(failed("there are too many files to compare"));
    }
    let others: BTreeSet<&[u8]> = listed.parts().collect();
    let found: BTreeSet<&[u8]> = added.parts().flat_map(|path| collisions(&others, path)).collect();
    Ok(found.into_iter().map(<[u8]>::to_vec).collect())
}

/// What lies at a path, what of its folders is no folder, and everything below it.
fn collisions<'a>(others: &BTreeSet<&'a [u8]>, path: &[u8]) -> Vec<&'a [u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let ends = ends.map(|(end, _)| end).chain([path.len()]);
    let mut found: Vec<&[u8]> = Vec::new();
    for end in ends {
        found.extend(others.get(&path[..end]));
        found.extend(others.get([&path[..end], b"/"].concat().as_slice()));
    }
    let below = [path, b"/"].concat();
    let rest = others.range::<[u8], _>((Bound::Included(below.as_slice()), Bound::Unbounded));
    found.extend(rest.take_while(|next| next.starts_with(&below)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_collides_with_itself_its_folders_and_what_is_below() {
        let others: BTreeSet<&[u8]> = [&b"a/b"[..], b"c-x", b"d", b"r/"].into();
        for path in [&b"a/b"[..], b"a", b"d/e/f", b"a/b/c", b"r/x"] {
            assert_eq!(collisions(&others, path).len(), 1);
        }
        for path in [&b"c"[..], b"a/x", b"dd", b"e"] {
            assert!(collisions(&others, path).is_empty());
        }
    }
}
