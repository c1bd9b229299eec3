//! Comparisons of two trees, file by file.
//!
//! Why plumbing (`diff-tree`): what it prints does not depend on anybody's settings.

use super::git::{Call, Output, failed};
use super::place::Place;
use crate::application::ports::workspaces::{Diff, FileChange, FileDiff, WorkspaceError};

/// Most bytes of patches in one answer.
const PATCH_LIMIT: usize = 4 << 20;

/// Arguments that every comparison has.
const SAFE: [&str; 8] = [
    "diff-tree",
    "-r",
    "--no-commit-id",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--find-renames",
    "--submodule=short",
];

/// Compares two trees or commits; `head` is what the answer calls the newer one.
pub(super) async fn diff(
    place: &Place,
    base: &str,
    newer: &str,
    head: String,
) -> Result<Diff, WorkspaceError> {
    let (mut files, blocks) = list(place, base, newer).await?;
    count_lines(place, base, newer, &mut files).await?;
    let call = compare(&["-p", "--src-prefix=a/", "--dst-prefix=b/", "--full-index"], base, newer);
    let patches = place.run(call.limit(PATCH_LIMIT)).await?;
    let mut chunks = split(&patches).into_iter();
    for (file, blocks) in files.iter_mut().zip(blocks) {
        file.patch = chunks.by_ref().take(blocks).map(String::from_utf8_lossy).collect();
    }
    Ok(Diff { base: base.to_owned(), head, files, truncated: patches.truncated })
}

/// A call that compares two trees.
pub(super) fn compare(options: &[&str], base: &str, newer: &str) -> Call {
    Call::new(SAFE.iter().chain(options)).arg(base).arg(newer)
}

/// The files that differ, and how many blocks each has in the patch.
async fn list(
    place: &Place,
    base: &str,
    newer: &str,
) -> Result<(Vec<FileDiff>, Vec<usize>), WorkspaceError> {
    let output = complete(place.run(compare(&["--raw", "-z"], base, newer)).await?)?;
    let (mut files, mut blocks) = (Vec::new(), Vec::new());
    let mut parts = output.parts();
    while let Some(about) = parts.next() {
        let status = about.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let letter = status.first().copied().unwrap_or(b'M');
        let mut path = || parts.next().map(|path| String::from_utf8_lossy(path).into_owned());
        let (first, second) = (path(), if letter == b'R' { path() } else { None });
        let Some(first) = first else { break };
        let (path, old_path) = match second {
            Some(second) => (second, Some(first)),
            None => (first, None),
        };
        let change = match letter {
            b'A' => FileChange::Added,
            b'D' => FileChange::Deleted,
            b'R' => FileChange::Renamed,
            _ => FileChange::Modified,
        };
        // A file that became a link is one block that deletes and one that adds.
        blocks.push(if letter == b'T' { 2 } else { 1 });
        files.push(FileDiff {
            path,
            old_path,
            change,
            additions: None,
            deletions: None,
            patch: String::new(),
        });
    }
    Ok((files, blocks))
}

async fn count_lines(
    place: &Place,
    base: &str,
    newer: &str,
    files: &mut [FileDiff],
) -> Result<(), WorkspaceError> {
    let output = complete(place.run(compare(&["--numstat", "-z"], base, newer)).await?)?;
    let mut parts = output.parts();
    for file in files {
        let Some(line) = parts.next() else { break };
        let text = String::from_utf8_lossy(line);
        let mut fields = text.splitn(3, '\t');
        // A binary file has `-` in both places.
        file.additions = fields.next().and_then(|count| count.parse().ok());
        file.deletions = fields.next().and_then(|count| count.parse().ok());
        if fields.next().is_none_or(str::is_empty) {
            // A rename: its two paths follow on their own.
            parts.nth(1);
        }
    }
    Ok(())
}

/// The blocks of a patch. No line of content begins with `diff`, so the split is exact. The last
/// block of an answer that was cut is left out.
fn split(patches: &Output) -> Vec<&[u8]> {
    const HEADER: &[u8] = b"diff --git ";
    let bytes = patches.stdout.as_slice();
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(HEADER) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().copied().skip(1).chain([bytes.len()]);
    let mut blocks: Vec<&[u8]> =
        starts.iter().zip(ends).map(|(start, end)| &bytes[*start..end]).collect();
    if patches.truncated {
        blocks.pop();
    }
    blocks
}

fn complete(output: Output) -> Result<Output, WorkspaceError> {
    if output.truncated {
        return Err(failed("too many files differ to list them"));
    }
    Ok(output)
}
