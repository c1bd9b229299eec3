//! `eap-check`: tests anybody's agent against the External Agent Protocol, without a server.
//!
//! The orchestrator's side is played here (`stage`, behind `door`): an agent that is called registers, gets
//! work by `caller` and is judged by `push`; one that fetches is judged by `pull`.
//!
//! Invariant: only addresses of this machine are called and listened on, unless `--allow-remote` says more.

mod caller;
mod door;
mod judge;
mod pull;
mod push;
pub mod sheet;
mod stage;

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use self::caller::Caller;
use self::door::Door;
use self::pull::Pull;
use self::push::Push;
use self::sheet::{Rule, Sheet};
use self::stage::{Stage, token};
use super::Context;
use super::args::EapCheckArgs;
use super::exit::{CliError, code};

/// How long an agent that was asked to end may take.
const ENDING: Duration = Duration::from_secs(30);
/// Between two looks whether it runs.
const LOOK: Duration = Duration::from_millis(200);

/// Checks an agent; 1 when something is not as the protocol has it.
///
/// # Errors
/// There is no agent to check, or it is not of this machine.
pub(super) async fn run(args: EapCheckArgs, context: &Context<'_>) -> Result<u8, CliError> {
    let clock = context.host.clock();
    let given = args.dispatch_token.as_ref().map(|token| token.expose_secret().to_owned());
    let stage = Stage::new(clock.clone(), given);
    if let Some(url) = args.endpoint.as_deref().filter(|_| !args.pull) {
        caller::may_be_called(url, args.allow_remote).await?;
    }
    let door = Door::open(&stage, &args.listen, args.allow_remote).await?;
    let mut sheet = Sheet::new(context.printer);
    sheet.note(format!("the orchestrator that is played listens on {}", door.url));
    if args.pull {
        stage.change(|state| state.refuses_poll = true);
    }
    let mut agent = start(&args.command, &door.url)?;
    if args.dispatch_token.is_none() {
        registered(&args, &stage, &sheet, (&door.url, agent.as_mut())).await?;
        judge::registration(&mut sheet, &stage);
    }
    let limit = Duration::from_secs(args.limit);
    let who = if args.pull {
        let mut check = Pull { stage: &stage, sheet: &mut sheet, input: &args.input, limit };
        Box::pin(check.check()).await;
        name(&stage)
    } else {
        let url = endpoint(&args, &stage)?;
        let secret = (stage.dispatch_token.clone(), context.host.signer());
        let caller = Caller::new(&url, args.allow_remote, secret, clock, limit).await?;
        let (stage, sheet) = (&*stage, &mut sheet);
        let mut check = Push { stage, caller: &caller, sheet, input: &args.input, limit };
        Box::pin(check.check()).await;
        json!(url)
    };
    if let Some(agent) = agent {
        end(agent, &mut sheet).await;
    }
    Ok(sheet.finish(if args.pull { "pull" } else { "push" }, &who))
}

fn name(stage: &Stage) -> Value {
    let known = stage.state();
    let sent = known.registered.as_ref().map(|(sent, _)| sent);
    sent.and_then(|sent| sent.get("name")).cloned().unwrap_or_default()
}

/// Starts the agent, when it is for us to start it.
fn start(command: &[String], url: &str) -> Result<Option<Child>, CliError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(None) };
    let child = Command::new(program)
        .args(arguments)
        .env("ORCHESTRATOR_URL", url)
        .env("ORCHESTRATOR_KEY", format!("iok_{}", token()))
        .env_remove("ORCHESTRATOR_TENANT")
        .stdin(Stdio::null())
        // What it prints is talk, and the results are ours.
        .stdout(Stdio::from(std::io::stderr()))
        .kill_on_drop(true)
        .spawn();
    let child = child.map_err(|error| {
        CliError::new(code::UNAVAILABLE, format!("{program} cannot be started: {error}"))
    })?;
    Ok(Some(child))
}

/// Waits until the agent has registered.
async fn registered(
    args: &EapCheckArgs,
    stage: &Stage,
    sheet: &Sheet<'_>,
    (url, mut agent): (&str, Option<&mut Child>),
) -> Result<(), CliError> {
    if agent.is_none() {
        sheet
            .note(format!("start your agent now, with that address and any key ({} s)", args.wait));
    }
    sheet.waits_for("waiting for its registration");
    let end = stage.clock.now().after(Duration::from_secs(args.wait));
    while stage.clock.now() < end {
        if stage.until(LOOK, |state| state.registered.as_ref().map(|_| ())).await.is_some() {
            return Ok(());
        }
        let status = agent.as_mut().and_then(|agent| agent.try_wait().ok().flatten());
        if let Some(status) = status {
            let message = format!("the agent ended before it registered: {status}");
            return Err(CliError::new(code::UNAVAILABLE, message)
                .remedy("it finds the address in ORCHESTRATOR_URL and a key in ORCHESTRATOR_KEY"));
        }
    }
    let message = format!("no agent registered at {url} within {} s", args.wait);
    let remedy = if args.pull {
        "start it with that address as its orchestrator, or name its program behind --"
    } else {
        "start it with that address as its orchestrator, or name the token that it expects with \
         --dispatch-token"
    };
    Err(CliError::new(code::UNAVAILABLE, message).remedy(remedy))
}

/// Where the agent is called.
fn endpoint(args: &EapCheckArgs, stage: &Stage) -> Result<String, CliError> {
    if let Some(url) = &args.endpoint {
        return Ok(url.clone());
    }
    let known = stage.state();
    let sent = known.registered.as_ref().and_then(|(sent, _)| sent.get("endpoint_url"));
    sent.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        CliError::usage("the agent registered without endpoint_url: it fetches its work")
            .remedy("check it with --pull")
    })
}

/// Asks the agent to end, and looks whether it does.
async fn end(mut agent: Child, sheet: &mut Sheet<'_>) {
    sheet.waits_for("asking it to end");
    let pid = agent.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let Some(pid) = pid else {
        return sheet.fail(Rule::Ends, "it ended during the check");
    };
    // It may end just now: that is looked at below.
    kill_process(pid, Signal::TERM).ok();
    match tokio::time::timeout(ENDING, agent.wait()).await {
        Ok(Ok(status)) if status.success() => sheet.pass(Rule::Ends, "it ended on SIGTERM"),
        Ok(Ok(status)) => sheet.warn(Rule::Ends, format!("{status}")),
        Ok(Err(error)) => sheet.warn(Rule::Ends, error),
        Err(_) => {
            sheet.warn(Rule::Ends, format!("it goes on {} s after SIGTERM", ENDING.as_secs()));
            agent.kill().await.ok();
        }
    }
}
