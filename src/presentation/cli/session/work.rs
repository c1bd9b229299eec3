//! What a session changed, and bringing it home.

use std::io::Write as _;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::args::{ArtifactsArgs, DiffArgs, MergeArgs};
use super::super::client::Client;
use super::super::exit::{CliError, code};
use super::super::format::{clean, plain};
use super::super::output::{BAD, BOLD, GOOD, Printer, painted};
use super::given;

pub(super) async fn diff(
    args: &DiffArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut segments = vec!["sessions", args.session.as_str(), "diff"];
    if let Some(file) = &args.file {
        segments.push("files");
        segments.extend(file.split('/'));
    }
    let query: Vec<_> =
        args.checkpoint.iter().map(|number| ("checkpoint", number.to_string())).collect();
    let diff = client.get(&segments, &query).await?;
    if printer.is_json() {
        printer.json(&diff);
        return Ok(code::OK);
    }
    let whole = [diff.clone()];
    let files = diff["files"].as_array().map_or(&whole[..], Vec::as_slice);
    if args.stat {
        printer.lines(stat(files));
        return Ok(code::OK);
    }
    for file in files {
        let patch = clean(file["patch"].as_str().unwrap_or_default());
        patch.lines().for_each(|line| printer.line(coloured(line)));
    }
    if diff["truncated"] == json!(true) {
        printer.note("the whole is larger than 4 MiB: parts are left out; use --file");
    }
    Ok(code::OK)
}

/// Lists the files that agents brought back, or writes one of them out.
pub(super) async fn artifacts(
    args: &ArtifactsArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut segments = vec!["sessions", args.session.as_str(), "artifacts"];
    if let Some(path) = &args.get {
        segments.extend(path.split('/'));
        let answer = client.send(client.request(Method::GET, &segments)).await?;
        let bytes =
            answer.bytes().await.map_err(|error| CliError::new(code::FAILED, error.to_string()))?;
        std::io::stdout()
            .lock()
            .write_all(&bytes)
            .map_err(|error| CliError::new(code::FAILED, error.to_string()))?;
        return Ok(code::OK);
    }
    let found = client.get(&segments, &[]).await?;
    if printer.is_json() {
        printer.json(&found);
        return Ok(code::OK);
    }
    let row = |item: &Value| {
        let hash: String = plain(&item["sha256"]).chars().take(12).collect();
        vec![plain(&item["path"]), plain(&item["size"]), plain(&item["mime_type"]), hash]
    };
    let items = found["items"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = items.map(row).collect();
    if rows.is_empty() {
        printer.note("no agent brought a file back");
        return Ok(code::OK);
    }
    printer.table(&["PATH", "BYTES", "TYPE", "SHA-256"], &rows);
    Ok(code::OK)
}

fn coloured(line: &str) -> String {
    match line.as_bytes().first() {
        Some(b'+') if !line.starts_with("+++") => painted(line, GOOD),
        Some(b'-') if !line.starts_with("---") => painted(line, BAD),
        Some(b'@') => painted(line, BOLD),
        _ => line.to_owned(),
    }
}

/// Counts by file and in all.
pub(in super::super) fn stat(files: &[Value]) -> Vec<String> {
    let number = |file: &Value, name: &str| file[name].as_u64();
    let path = |file: &Value| plain(&file["path"]);
    let width = files.iter().map(|file| path(file).chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = files
        .iter()
        .map(|file| match (number(file, "additions"), number(file, "deletions")) {
            (Some(added), Some(deleted)) => {
                format!(" {:width$}  +{added} -{deleted}  {}", path(file), plain(&file["change"]))
            }
            _ => format!(" {:width$}  binary  {}", path(file), plain(&file["change"])),
        })
        .collect();
    let sum = |name| files.iter().filter_map(|file| number(file, name)).sum::<u64>();
    let noun = if files.len() == 1 { "file" } else { "files" };
    let (added, deleted) = (sum("additions"), sum("deletions"));
    lines.push(format!(" {} {noun} changed, +{added} -{deleted}", files.len()));
    lines
}

/// Runs the gates and shows what each said.
pub(super) async fn verify(
    session: &str,
    force: bool,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let request = client.request(Method::POST, &["sessions", session, "verify"]);
    let response = client.send(request.json(&json!({ "force": force }))).await?;
    let is_under_way = response.status() == StatusCode::ACCEPTED;
    let answer: Value = response.json().await.map_err(|error| client.unreachable(&error))?;
    let found = &answer["verification"];
    let is_good = is_under_way || found["passed"] == json!(true);
    let exit = if is_good { code::OK } else { code::FAILED };
    if printer.is_json() {
        printer.json(&answer);
        return Ok(exit);
    }
    if is_under_way {
        printer.line(format!(
            "{session}: the gates run; `orchestrator session events {session}` tells of their end"
        ));
        return Ok(exit);
    }
    for gate in found["gates"].as_array().into_iter().flatten() {
        let passed = gate["passed"] == json!(true);
        let word = if passed { painted("passed", GOOD) } else { painted("failed", BAD) };
        printer.line(format!("{word}  {}", plain(&gate["name"])));
        if !passed {
            let output = clean(gate["output"].as_str().unwrap_or_default());
            output.lines().for_each(|line| printer.line(format!("        {line}")));
        }
    }
    Ok(exit)
}

pub(super) async fn merge(
    args: &MergeArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mode = match (args.squash, args.patch) {
        (true, _) => "squash",
        (false, true) => "patch",
        (false, false) => "merge",
    };
    let body = given(json!({ "mode": mode, "message": args.message }));
    let request = client.request(Method::POST, &["sessions", &args.session, "merge"]);
    let report = client.json(request.json(&body)).await?;
    if printer.is_json() {
        printer.json(&report);
    } else if let Some(patch) = report["patch"].as_str() {
        // A patch is data for `git apply`: exactly as it came.
        printer.text(patch);
    } else {
        let commit: String = plain(&report["commit"]).chars().take(12).collect();
        let (target, files) = (plain(&report["target"]), plain(&report["files"]));
        printer.line(format!("{} is in {target} ({commit}, {files} files)", args.session));
    }
    Ok(code::OK)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::stat;

    #[test]
    fn counts_are_added_up_and_binary_files_have_none() {
        let files = [
            json!({ "path": "src/a.rs", "change": "modified", "additions": 3, "deletions": 1 }),
            json!({ "path": "b.png", "change": "added", "additions": null, "deletions": null }),
        ];
        let lines = stat(&files);
        assert_eq!(lines[0], " src/a.rs  +3 -1  modified");
        assert_eq!(lines[1], " b.png     binary  added");
        assert_eq!(lines[2], " 2 files changed, +3 -1");
    }
}
