//! `run`: creates a session for a folder, follows it to its end and says what came of it.

mod directory;
pub(super) mod follow;
pub(super) mod view;

use std::time::Duration;

use serde_json::{Value, json};

use self::follow::{End, Follower};
use super::args::RunArgs;
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{clean, count, money, plain, seconds};
use super::output::{BOLD, Printer, painted, status_word};
use super::session::{allow_all, given, prompt_text, stat};
use super::{Context, ServerHandle};
use crate::domain::session::status::SessionStatus;

/// How long an interrupted session in this process may take to stop.
const STOP_GRACE: Duration = Duration::from_secs(12);

/// Runs `run …`.
pub(super) async fn run(args: RunArgs, context: &Context<'_>) -> Result<u8, CliError> {
    let prompt = prompt_text(&args.prompt)?;
    let workspace = directory::workspace(&args).await?;
    let mut body = given(json!({
        "initial_prompt": prompt,
        "title": args.title,
        "agent": args.agent,
        "model_identifier": args.model,
        "max_duration_seconds": args.timeout,
        "budget_usd": args.budget,
        "permission_policy": if args.yes { allow_all() } else { careful(args.no_git) },
        "workspace": workspace,
        "after": Some(&args.after).filter(|after| !after.is_empty()),
        "start": true,
    }));
    let (client, server) = connect(&args, context).await?;
    // Whether anything may be done unasked is for leads to say. What `--yes` wants is not watered down.
    if !args.yes && is_member(&client).await {
        body["permission_policy"] = json!({ "default": "ask" });
        context.printer.note("with your role the agent asks before everything that it does");
    }
    let outcome = work(&args, &body, &client, server.is_some(), context.printer).await;
    if let Some(server) = server {
        // A second interrupt leaves at once; the agents die with this process.
        tokio::select! {
            () = (server.stop)() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    outcome
}

/// Reading needs no asking, nor does changing files in a worktree that is the session's own;
/// everything else does.
fn careful(in_your_folder: bool) -> Value {
    let mut tools = vec!["read", "glob", "grep", "list", "todowrite"];
    if !in_your_folder {
        tools.push("edit");
    }
    let rules: Vec<Value> =
        tools.iter().map(|tool| json!({ "tool": tool, "decision": "allow" })).collect();
    json!({ "default": "ask", "rules": rules })
}

/// Whether the key is one of a member, who may not let an agent do anything unasked. Who cannot be
/// told is no member: what they may not do the server says.
async fn is_member(client: &Client) -> bool {
    let who = client.get(&["whoami"], &[]).await.unwrap_or_default();
    who["role"] == "member"
}

/// The server that runs on the data directory, or the one that was named; else one of our own.
async fn connect(
    args: &RunArgs,
    context: &Context<'_>,
) -> Result<(Client, Option<ServerHandle>), CliError> {
    if !args.no_follow {
        return context.reach(true).await;
    }
    let running = context.running().await?.ok_or_else(|| {
        CliError::new(code::UNAVAILABLE, "no server runs that could go on with it")
            .remedy("start `orchestrator serve` first, or leave out --no-follow")
    })?;
    Ok((running, None))
}

async fn work(
    args: &RunArgs,
    body: &Value,
    client: &Client,
    in_process: bool,
    printer: &Printer,
) -> Result<u8, CliError> {
    let session = client.post(&["sessions"], body).await?;
    let name = plain(&session["code"]);
    if !args.follows() {
        if printer.is_json() {
            printer.json(&session);
        } else {
            printer.line(format!("{name} is {}", plain(&session["status"])));
            printer.note(format!("`orchestrator session watch {name}` follows it"));
        }
        return Ok(code::OK);
    }
    if !printer.is_json() {
        let title = super::format::line(&plain(&session["title"]), 100);
        printer.note(format!("{}  {title}", painted(&name, BOLD)));
    }
    // A server of our own lives no longer than this command: nobody else will bring an agent.
    let mut follower = Follower::new(client, printer, &session).giving_up(in_process);
    let end = match Box::pin(follower.run()).await {
        Ok(end) => end,
        Err(error) => {
            if in_process {
                stop(client, &name).await;
            }
            return Err(error);
        }
    };
    let ended = match end {
        End::Ended(session) => session,
        End::Interrupted if in_process => {
            printer.note(format!("stopping {name} (interrupt again to leave at once)"));
            stop(client, &name).await;
            match leave_in_time(&mut follower, client).await {
                Some(session) => session,
                None => return Ok(code::STOPPED),
            }
        }
        End::Interrupted => {
            printer.note(format!(
                "{name} goes on without you\n  follow it: orchestrator session watch {name}\n  \
                 stop it:   orchestrator session stop {name}"
            ));
            return Ok(code::STOPPED);
        }
    };
    drop(follower);
    Ok(conclude(&ended, client, printer).await)
}

/// Stops or withdraws the session; what is refused has ended by itself.
async fn stop(client: &Client, name: &str) {
    let body = json!({ "reason": "interrupted at the terminal" });
    for verb in ["stop", "cancel"] {
        if client.post(&["sessions", name, verb], &body).await.is_ok() {
            return;
        }
    }
}

/// How the session stands once it has stopped; `None` when that takes too long.
async fn leave_in_time(follower: &mut Follower<'_>, client: &Client) -> Option<Value> {
    let clock = client.clock.clone();
    tokio::select! {
        end = Box::pin(follower.run()) => match end {
            Ok(End::Ended(session)) => Some(session),
            Ok(End::Interrupted) | Err(_) => None,
        },
        () = clock.sleep(STOP_GRACE) => None,
    }
}

/// Says what came of it, and gives the exit code.
pub(super) async fn conclude(session: &Value, client: &Client, printer: &Printer) -> u8 {
    let name = plain(&session["code"]);
    let status = plain(&session["status"]);
    let exit = exit_of(&status);
    let is_git = session["workspace"]["kind"] == "git";
    let diff = if is_git { client.get(&["sessions", &name, "diff"], &[]).await.ok() } else { None };
    if printer.is_json() {
        let outcome = json!({ "kind": "result", "session": session, "diff": diff, "exit": exit });
        printer.json_line(&outcome);
        return exit;
    }
    let metrics = &session["metrics"];
    let simulated = if metrics["simulated"] == true { " · simulated" } else { "" };
    printer.line(format!(
        "\n{} is {} · {} · {} tokens · {}{simulated}",
        painted(&name, BOLD),
        status_word(&status),
        seconds(&metrics["execution_duration_seconds"]),
        count(&metrics["total_tokens_used"]),
        money(&metrics["estimated_cost_usd"]),
    ));
    if let Some(message) = metrics["error"]["message"].as_str() {
        printer.line(format!("  {}", clean(message)));
    }
    let files = diff.as_ref().and_then(|diff| diff["files"].as_array());
    match files {
        Some(files) if files.is_empty() => printer.line("no files changed"),
        Some(files) => {
            printer.lines(stat(files));
            // Begun on a detached head: there is no branch to bring it to.
            let home = match session["workspace"]["base_branch"].as_str() {
                Some(_) => format!("merge: orchestrator session merge {name}"),
                None => format!("take:  orchestrator session merge {name} --patch | git apply"),
            };
            printer.note(format!("\n  look:  orchestrator session diff {name}\n  {home}"));
        }
        None => {}
    }
    exit
}

/// The exit code of an ended session.
pub(super) fn exit_of(status: &str) -> u8 {
    use SessionStatus as S;
    match SessionStatus::parse(status) {
        Some(S::Completed) => code::OK,
        Some(S::PartiallyCompleted) => code::PARTIAL,
        Some(S::Timeout) => code::TIMEOUT,
        Some(S::Stopped | S::Cancelled) => code::STOPPED,
        Some(
            S::Failed | S::Orphaned | S::Pending | S::Queued | S::Running | S::Paused | S::Degraded,
        )
        | None => code::FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::exit_of;

    #[test]
    fn each_end_has_its_exit_code() {
        let cases = [
            ("completed", 0),
            ("partially_completed", 2),
            ("failed", 1),
            ("timeout", 3),
            ("stopped", 130),
            ("cancelled", 130),
            ("orphaned", 1),
        ];
        for (status, exit) in cases {
            assert_eq!(exit_of(status), exit, "{status}");
        }
    }
}
