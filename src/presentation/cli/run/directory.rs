//! From the folder that was named to the workspace of a session.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use super::super::args::RunArgs;
use super::super::exit::{CliError, code};
use super::super::session::absolute;

/// The workspace that `run` asks for.
///
/// # Errors
/// A folder that is not there, is no git repository, has no commit, or has changes that the agent
/// would not see; each with what helps.
pub(super) async fn workspace(args: &RunArgs) -> Result<Value, CliError> {
    let path = absolute(&args.dir)?;
    if !Path::new(&path).is_dir() {
        return Err(CliError::usage(format!("{path} is not a folder")));
    }
    if args.no_git {
        return Ok(json!({ "kind": "directory", "path": path }));
    }
    let inside = git(&path, &["rev-parse", "--is-inside-work-tree"]).await?;
    if inside.as_deref().map(str::trim) != Some("true") {
        return Err(CliError::usage(format!("{path} is not in a git repository")).remedy(
            "`git init` and commit there, or `--no-git` to let the agent work in the folder \
             itself, with nothing to compare or undo",
        ));
    }
    if git(&path, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await?.is_none() {
        return Err(CliError::usage(format!("the repository of {path} has no commit yet"))
            .remedy("commit something first: the agent works from the last commit"));
    }
    let status = ["status", "--porcelain", "--untracked-files=normal"];
    let listing = git(&path, &status).await?.unwrap_or_default();
    let changed = listing.lines().count();
    if changed > 0 && !args.allow_dirty {
        let noun = if changed == 1 { "file has" } else { "files have" };
        let message = format!("{changed} {noun} changes that are not committed");
        return Err(CliError::new(code::FAILED, message).remedy(
            "the agent works from the last commit and would not see them: commit or stash them, \
             or go on without them by `--allow-dirty`",
        ));
    }
    Ok(json!({ "kind": "git", "repo": path, "base_ref": "HEAD" }))
}

/// What git says in the folder; `None` when it says no.
async fn git(dir: &str, arguments: &[&str]) -> Result<Option<String>, CliError> {
    let output = Command::new("git")
        .args(["-c", "core.fsmonitor=false", "-C", dir])
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| {
            CliError::new(code::UNAVAILABLE, format!("git cannot be started: {error}"))
                .remedy("install git, or use `--no-git`")
        })?;
    if output.status.success() {
        return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("dubious ownership") {
        return Err(CliError::new(code::NOT_PERMITTED, complaint.trim().to_owned()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::process::Command as StdCommand;

    use super::*;

    fn args(dir: &Path) -> RunArgs {
        RunArgs {
            prompt: "do".to_owned(),
            dir: dir.to_owned(),
            agent: None,
            model: None,
            after: Vec::new(),
            title: None,
            follow: true,
            no_follow: false,
            allow_dirty: false,
            no_git: false,
            yes: false,
            timeout: None,
            budget: None,
        }
    }

    fn git_here(dir: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        let status = StdCommand::new("git")
            .current_dir(dir)
            .args(identity)
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .expect("git runs");
        assert!(status.success());
    }

    #[tokio::test]
    async fn a_folder_is_taken_only_when_the_agent_would_see_what_is_there() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut args = args(dir.path());
        let error = workspace(&args).await.expect_err("no repository");
        assert!(error.remedy.unwrap_or_default().contains("git init"));
        git_here(dir.path(), &["init", "-q"]);
        let error = workspace(&args).await.expect_err("no commit");
        assert!(error.message.contains("no commit"), "{error}");
        git_here(dir.path(), &["commit", "-q", "--allow-empty", "-m", "first"]);
        assert_eq!(workspace(&args).await.expect("clean")["kind"], "git");
        std::fs::write(dir.path().join("new.txt"), "x").expect("written");
        let error = workspace(&args).await.expect_err("dirty");
        assert!(error.message.starts_with("1 file has changes"), "{error}");
        assert!(error.remedy.unwrap_or_default().contains("--allow-dirty"));
        args.allow_dirty = true;
        assert_eq!(workspace(&args).await.expect("allowed")["kind"], "git");
        args.no_git = true;
        assert_eq!(workspace(&args).await.expect("plain")["kind"], "directory");
    }
}
