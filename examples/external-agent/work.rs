//! The work itself: the command, or counting words.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use crate::guard::guarded;

/// Most of a command's output that is brought.
const MOST_OUTPUT: u64 = 1024 * 1024;

pub(crate) fn failed(work: &Value, why: &str) -> Value {
    json!({
        "task_id": work["task_id"], "fencing_token": work["fencing_token"], "status": "failed",
        "error_message": why.chars().take(2000).collect::<String>(),
    })
}

/// The work when there is no command: words, lines and characters of the input.
pub(crate) fn counted(work: &Value, input: &str, tell: &mpsc::Sender<Value>) -> Value {
    let words = input.split_whitespace().count();
    let (lines, letters) = (input.lines().count(), input.chars().count());
    let key = work["idempotency_key"].as_str().unwrap_or_default();
    for event in [
        json!({ "type": "progress", "percentage": 100, "message": "counted" }),
        json!({ "type": "log", "level": "info", "message": format!("{words} words") }),
        json!({ "type": "usage", "tokens_input": words, "id": key }),
    ] {
        tell.try_send(event).ok();
    }
    json!({
        "task_id": work["task_id"], "fencing_token": work["fencing_token"], "status": "completed",
        "output_data": {
            "text": format!("{words} words"), "words": words, "lines": lines, "characters": letters,
        },
        "tokens_used": words,
    })
}

/// Ends a program with everything that it started.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            kill_process_group(pid, Signal::KILL).ok();
        }
    }
}

/// Runs the command: what it printed, and why it failed when it did.
pub(crate) async fn run(
    program: &str,
    arguments: &[String],
    input: &str,
    tell: &mpsc::Sender<Value>,
) -> std::io::Result<(String, Option<String>)> {
    let mut command = guarded(program, arguments)?;
    command.kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The key is for registering alone.
    command.env_remove("ORCHESTRATOR_KEY");
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let _group = Group(pid);
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(std::io::Error::other("no pipes"));
    };
    let give = async move {
        // A program that does not read its input is no failure.
        stdin.write_all(input.as_bytes()).await.ok();
    };
    let read = async {
        let mut output = Vec::new();
        let mut stdout = stdout.take(MOST_OUTPUT);
        stdout.read_to_end(&mut output).await?;
        tokio::io::copy(&mut stdout.into_inner(), &mut tokio::io::sink()).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    };
    let listen = async {
        let (mut lines, mut last) = (BufReader::new(stderr).split(b'\n'), String::new());
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line).into_owned();
            let said: Option<Value> = serde_json::from_str(&line).ok();
            let event = said.filter(|said| said["type"].is_string()).unwrap_or_else(|| {
                last.clone_from(&line);
                let message: String = line.chars().take(4000).collect();
                json!({ "type": "log", "level": "info", "message": message })
            });
            // When the orchestrator is slow or away, lines are left out: the work goes on.
            tell.try_send(event).ok();
        }
        last
    };
    let ((), output, last) = tokio::join!(give, read, listen);
    let status = child.wait().await?;
    let failure = (!status.success()).then(|| format!("{program} ended with {status}: {last}"));
    Ok((output?, failure))
}
