//! Files whose content a filter of the repository must change before it is committed.
//!
//! Why: filters are programs of the repository, which this one never runs. Where a filter is
//! required, as those that encrypt are, what lies in the files must not be committed as it is.

use std::collections::BTreeSet;

use super::diff::compare;
use super::git::{Call, Git, failed};
use super::place::Place;
use super::repository::obstructed;
use crate::application::ports::workspaces::WorkspaceError;

/// Refuses to take a branch from one tree to another if that brings a file, new or changed, that
/// must go through a filter. The attributes of the old tree count as well as those of the files:
/// the work itself cannot switch a filter off.
pub(super) async fn check(
    git: &Git,
    place: &Place,
    old: &str,
    new: &str,
) -> Result<(), WorkspaceError> {
    let required = required(git, place).await?;
    if required.is_empty() {
        return Ok(());
    }
    let options = ["--name-only", "-z", "--no-renames", "--diff-filter=d"];
    let changed = place.run(compare(&options, old, new)).await?;
    if changed.truncated {
        return Err(failed("too many files differ to look for filters"));
    }
    for source in [None, Some(old)] {
        let call = Call::new(["check-attr", "-z", "--stdin", "filter"]);
        let call = source.into_iter().fold(call, |call, tree| call.env("GIT_ATTR_SOURCE", tree));
        let told = place.run(call.stdin(changed.stdout.clone())).await?;
        // Path, attribute and value, each ended by NUL.
        let told: Vec<&[u8]> = told.stdout.split(|byte| *byte == 0).collect();
        let found = told.chunks_exact(3).find(|told| required.contains(told[2]));
        if let Some(found) = found {
            return Err(refusal(found[0], found[2]));
        }
    }
    Ok(())
}

/// The filters that must not be left out, as the owner's settings say and not as they are disarmed.
/// Those of the whole machine count too: filters for large files are often set there.
async fn required(git: &Git, place: &Place) -> Result<BTreeSet<Vec<u8>>, WorkspaceError> {
    let call = Call::new(["config", "--type=bool", "-z", "--get-regexp"])
        .arg(r"^filter\..*\.required$")
        .env("GIT_DIR", &place.git_dir)
        .env("GIT_CONFIG_NOSYSTEM", "0")
        .folder(&place.git_dir);
    let listed = git.run(call).await?;
    if listed.code() > 1 {
        return Err(failed(format!("the filters cannot be listed: {}", listed.complaint())));
    }
    let mut required = BTreeSet::new();
    for setting in listed.parts() {
        let mut halves = setting.splitn(2, |byte| *byte == b'\n');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next());
        let name = name.strip_prefix(b"filter.").and_then(|name| name.strip_suffix(b".required"));
        let Some(name) = name else { continue };
        // The last setting of a name counts.
        if value == Some(b"true") {
            required.insert(name.to_owned());
        } else {
            required.remove(name);
        }
    }
    Ok(required)
}

fn refusal(path: &[u8], filter: &[u8]) -> WorkspaceError {
    let (path, filter) = (String::from_utf8_lossy(path), String::from_utf8_lossy(filter));
    let message = format!(
        "`{path}` must go through the filter `{filter}` of the repository, a program that is not run \
         here, and would be committed without it: export a patch and commit that yourself"
    );
    obstructed(message)
}
