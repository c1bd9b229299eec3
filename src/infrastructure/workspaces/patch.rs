//! The work as a patch that `git apply` reads.

use std::path::Path;

use super::diff::compare;
use super::git::{Call, Git, failed};
use super::place::Place;
use crate::application::ports::workspaces::{MergeMode, MergeReport, WorkspaceError};

/// The work between two trees or commits. `scratch` is a folder that does not exist yet.
pub(super) async fn export(
    git: &Git,
    place: &Place,
    base: &str,
    newer: &str,
    scratch: &Path,
) -> Result<MergeReport, WorkspaceError> {
    let bytes = print(place, base, newer).await?;
    let patch = match String::from_utf8(bytes) {
        Ok(patch) => patch,
        Err(_) => as_binary(git, place, base, newer, scratch).await?,
    };
    let files = place.run(compare(&["--name-only", "-z"], base, newer)).await?.parts().count();
    Ok(MergeReport {
        mode: MergeMode::Patch,
        target: None,
        commit: None,
        files,
        patch: Some(patch),
    })
}

async fn print(place: &Place, base: &str, newer: &str) -> Result<Vec<u8>, WorkspaceError> {
    let options = ["-p", "--binary", "--full-index", "--src-prefix=a/", "--dst-prefix=b/"];
    let output = place.run(compare(&options, base, newer)).await?;
    if output.truncated {
        return Err(failed("the patch is larger than 64 MiB: merge instead"));
    }
    Ok(output.stdout)
}

/// The patch with every file as binary, for texts that are not UTF-8 and that a string would
/// damage. Whether a file is binary is an attribute, and attributes that outrank those of the tree
/// are the repository's own: so it is printed from an empty repository that borrows the objects.
async fn as_binary(
    git: &Git,
    place: &Place,
    base: &str,
    newer: &str,
    scratch: &Path,
) -> Result<String, WorkspaceError> {
    let made = borrow(git, place, scratch).await;
    let printed = match made {
        Ok(borrowed) => print(&borrowed, base, newer).await,
        Err(error) => Err(error),
    };
    drop(tokio::fs::remove_dir_all(scratch).await);
    String::from_utf8(printed?).map_err(|_| failed("the patch cannot be written as text: merge"))
}

async fn borrow(git: &Git, place: &Place, scratch: &Path) -> Result<Place, WorkspaceError> {
    let format = place.line(["rev-parse", "--show-object-format"]).await?;
    let objects = place.line(["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
    let objects = objects.await?;
    let call = Call::new(["init", "--quiet", "--bare", "--template="])
        .arg(format!("--object-format={format}"))
        .arg("--")
        .arg(scratch);
    let output = git.run(call).await?;
    if output.code() != 0 {
        return Err(failed(format!("git init failed: {}", output.complaint())));
    }
    let files = [
        ("objects/info/alternates", format!("{objects}\n")),
        ("info/attributes", "* -diff\n".into()),
    ];
    for (name, text) in files {
        let path = scratch.join(name);
        let folder = path.parent().unwrap_or(scratch);
        let written = match tokio::fs::create_dir_all(folder).await {
            Ok(()) => tokio::fs::write(&path, text).await,
            Err(error) => Err(error),
        };
        written.map_err(|error| failed(format!("the patch cannot be prepared: {error}")))?;
    }
    Place::open(git, scratch, None).await
}
