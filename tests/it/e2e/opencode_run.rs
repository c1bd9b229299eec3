//! `orchestrator run` with the real agent: from the prompt to the merged commit.

use serde_json::{Value, json};

use super::{RIGHT, WRONG, array, calculator, eventually, settled, text};
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::{Server, Site};

/// The agent edits one file and creates another.
pub(super) fn mends() -> Value {
    json!([
        { "say": "Editing.", "call": edit() },
        { "call": write("notes.txt", "Mended.\n") },
        { "say": "All mended." },
    ])
}

/// A call that mends the program.
pub(super) fn edit() -> Value {
    json!({ "tool": "edit", "args": {
        "filePath": "calc.py", "oldString": "a - b", "newString": "a + b" } })
}

/// A call that writes a file.
pub(super) fn write(path: &str, content: &str) -> Value {
    json!({ "tool": "write", "args": { "filePath": path, "content": content } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_becomes_a_merged_commit() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let prompt = scripted("Mend add.", &mends());
    // Without a server, the command starts one of its own and ends it again.
    let run = site.cli(&["run", &prompt, "--dir", &repo.text(), "--yes"]).await;
    assert_eq!(run.exit, 0, "{run:?}");
    for words in ["Editing.", "calc.py", "notes.txt", "All mended.", "IND-000001 is completed"] {
        assert!(run.out.contains(words), "{words} is not in {run:?}");
    }
    assert!(run.out.contains("2 files changed, +2 -1") && run.out.contains('$'), "{run:?}");
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
    assert_eq!(std::fs::read_to_string(repo.path().join("calc.py")).expect("there"), WRONG);

    let server = site.serve().await;
    let session = server.session("IND-000001").await;
    assert_eq!(session["status"], "completed");
    assert_eq!(session["metrics"]["api_calls_count"], 3, "{session:#}");
    assert!(session["metrics"]["total_tokens_used"].as_u64() > Some(0), "{session:#}");
    assert!(session["metrics"]["usage"]["cost_usd"].as_f64() > Some(0.0), "{session:#}");
    stored_and_shown(&site, &server).await;

    let merged = site.cli(&["session", "merge", "IND-000001"]).await;
    assert_eq!(merged.exit, 0, "{merged:?}");
    assert_eq!(std::fs::read_to_string(repo.path().join("calc.py")).expect("there"), RIGHT);
    assert_eq!(repo.git(&["show", "main:notes.txt"]), "Mended.");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}

/// Transcript, tool calls, usage and diff, by the API and on the command line.
async fn stored_and_shown(site: &Site, server: &Server) {
    let transcript = server.all("sessions/IND-000001/transcript").await;
    let done: Vec<&Value> = transcript
        .iter()
        .filter(|entry| entry["kind"] == "tool" && entry["body"]["status"] == "completed")
        .map(|entry| &entry["body"]["tool"])
        .collect();
    assert_eq!(done, [&json!("edit"), &json!("write")], "{transcript:#?}");
    let attempts = server.get("sessions/IND-000001/attempts").await;
    let attempt = &attempts["items"][0];
    assert_eq!((&attempt["outcome"], &attempt["number"]), (&json!("completed"), &json!(1)));
    assert!(attempt["usage"]["tokens_total"].as_u64() > Some(0), "{attempt:#}");
    let diff = server.get("sessions/IND-000001/diff").await;
    let files: Vec<_> = array(&diff["files"])
        .iter()
        .map(|file| (text(&file["path"]), text(&file["change"])))
        .collect();
    assert_eq!(files, [("calc.py", "modified"), ("notes.txt", "added")]);
    for (words, shown) in [
        (["session", "diff"], "+    return a + b"),
        (["session", "logs"], ""),
        (["session", "show"], "completed"),
    ] {
        let told = site.cli(&[words[0], words[1], "IND-000001"]).await;
        assert!(told.exit == 0 && told.out.contains(shown), "{words:?}: {told:?}");
    }
    let listed = site.cli(&["session", "list", "--json"]).await;
    assert!(listed.out.contains("IND-000001"), "{listed:?}");
}
