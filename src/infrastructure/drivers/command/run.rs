//! One run: a conversation, and a process for each prompt.
//!
//! Invariant: no process is started before the handle of the conversation is stored.
//! Invariant: every prompt that was taken ends in `TurnEnded`, in `Failed`, or with the run; the process is
//! gone by then, and whatever it started.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Host;
use super::conversation::Conversation;
use super::lines::Lines;
use super::plan::{Plan, wrong};
use super::process::{self, Ended, Launch, Process};
use super::teller::{Manner, Teller};
use super::words::{Facts, fill, takes_prompt};
use crate::application::ports::driver::{
    AgentEvent, Answer, Assignment, DriverError, Prompt, RunControl, Running, TranscriptItem,
    TurnEnd,
};
use crate::domain::agent::AgentKind;
use crate::domain::session::attempt::ErrorType;
use crate::domain::session::policy::{PermissionDecision, PermissionPolicy};
use crate::infrastructure::drivers::bounds;
use crate::infrastructure::drivers::place::directory;
use crate::infrastructure::drivers::presets::Output;

/// Events that may wait to be taken; a full channel slows the process.
const EVENTS: usize = 256;
/// Prompts that may wait to be taken; a full channel lets the caller wait.
const PROMPTS: usize = 16;
/// Bytes of a line that are held: a longer one of words comes in pieces, a longer one of JSON is left out.
const WORDS_BYTES: usize = 64 * 1024;
const JSON_BYTES: usize = 4 * 1024 * 1024;
/// How long streams of a process that is gone may be silent; what is left in them comes at once.
const SILENCE: Duration = Duration::from_secs(1);
/// Lines that are read after the end: somebody who escaped may write for ever.
const LATE_LINES: usize = 100_000;
/// Exit code of a guard, and of a shell, that could not start what it was told to.
const UNUSABLE: i32 = 127;
/// Exit codes from here on stand for signals.
const SIGNALLED: i32 = 128;
/// The variable that tells a program which prompt it is given: the same again after it was broken off.
const PROMPT_ID: &str = "ORCHESTRATOR_PROMPT_ID";
/// Stands before a prompt that was broken off.
const AGAIN: &str = "You were interrupted while you worked on the following. Look at what is done \
                     already in the working directory, and go on from there.\n\n";

/// What the task of a run and its commander share.
struct Shared {
    host: Arc<Host>,
    /// Ends the run.
    cancel: CancellationToken,
    /// The run is over.
    ended: CancellationToken,
    turns: Mutex<Turns>,
}

/// The turn that is on, or else the one that comes next: prompts that were told and are not taken yet can be
/// aborted, too.
#[derive(Default)]
struct Turns {
    /// Ends it.
    current: Option<CancellationToken>,
    /// Prompts that were told and whose turns are not over.
    told: usize,
}

impl Shared {
    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A prompt is told.
    fn turn_is_told(&self) {
        let mut turns = self.turns();
        turns.told += 1;
        turns.current.get_or_insert_with(|| self.cancel.child_token());
    }

    /// What ends the turn that begins now.
    fn turn(&self) -> CancellationToken {
        self.turns().current.get_or_insert_with(|| self.cancel.child_token()).clone()
    }

    /// The turn is over, and what is aborted from now on is the next one.
    fn turn_is_over(&self) {
        let mut turns = self.turns();
        turns.told = turns.told.saturating_sub(1);
        turns.current = (turns.told > 0).then(|| self.cancel.child_token());
    }

    /// Ends the turn that is on, or comes next.
    fn abort(&self) {
        if let Some(turn) = &self.turns().current {
            turn.cancel();
        }
    }
}

/// Commands a run.
struct Control {
    shared: Arc<Shared>,
    prompts: mpsc::Sender<Prompt>,
}

#[async_trait]
impl RunControl for Control {
    async fn prompt(&self, prompt: Prompt) -> Result<(), DriverError> {
        self.shared.turn_is_told();
        // A run that is over takes nothing more; that is no error.
        tokio::select! {
            sent = self.prompts.send(prompt) => drop(sent),
            () = self.shared.ended.cancelled() => {}
        }
        Ok(())
    }

    async fn abort(&self) -> Result<(), DriverError> {
        self.shared.abort();
        Ok(())
    }

    async fn answer(&self, _: &str, _: &str, _: Answer) -> Result<(), DriverError> {
        // A command asks nothing.
        Ok(())
    }

    async fn close(&self) {
        self.shared.cancel.cancel();
        let host = &self.shared.host;
        tokio::select! {
            () = self.shared.ended.cancelled() => {}
            () = host.clock.sleep(host.options.grace + Duration::from_secs(5)) => {}
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}

/// The task behind a run.
struct Run {
    shared: Arc<Shared>,
    plan: Plan,
    assignment: Assignment,
    workdir: String,
    home: PathBuf,
    conversation: Conversation,
    /// The processes of this run.
    processes: TaskTracker,
    events: mpsc::Sender<AgentEvent>,
}

/// The run ends here; with an error that was not told yet, or without.
struct Stop(Option<DriverError>);

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Self(Some(error))
    }
}

/// Prepares a run. Its first process is started once the handle is stored.
pub(super) async fn start(
    host: &Arc<Host>,
    assignment: Assignment,
) -> Result<Running, DriverError> {
    let workdir = directory(&assignment.workdir, "a command").await?;
    let agent = &assignment.agent;
    let (who, home) = ((assignment.tenant, AgentKind::Command), host.home(&agent.id.to_string()));
    let plan = host.plan(who, &agent.config, &home).await?;
    let notes = host.options.state_dir.join("conversations");
    let from = &assignment.continuation;
    let conversation = Conversation::open(&notes, from, host.ids.uuid()).await?;
    let cancel = host.cancel.child_token();
    let (ended, turns) = (CancellationToken::new(), Mutex::default());
    let shared = Arc::new(Shared { host: Arc::clone(host), cancel, ended, turns });
    // The first prompt can be aborted from here on.
    shared.turn_is_told();
    let (events, told) = mpsc::channel(EVENTS);
    let (prompts, orders) = mpsc::channel(PROMPTS);
    let processes = TaskTracker::new();
    let run = Run {
        shared: Arc::clone(&shared),
        plan,
        assignment,
        workdir,
        home,
        conversation,
        processes,
        events,
    };
    host.tasks.spawn(host.busy.track_future(run.live(orders)));
    Ok(Running { control: Box::new(Control { shared, prompts }), events: told })
}

impl Run {
    /// The whole life of the run.
    async fn live(mut self, mut orders: mpsc::Receiver<Prompt>) {
        let (shared, events) = (Arc::clone(&self.shared), self.events.clone());
        let stop = tokio::select! {
            stop = self.work(&mut orders) => stop,
            () = shared.cancel.cancelled() => Stop(None),
            () = events.closed() => Stop(None),
        };
        shared.abort();
        self.processes.close();
        self.processes.wait().await;
        if let Some(error) = stop.0 {
            tokio::select! {
                _ = events.send(AgentEvent::Failed(shared.host.clean(error))) => {}
                () = shared.cancel.cancelled() => {}
            }
        }
        shared.ended.cancel();
    }

    async fn work(&mut self, orders: &mut mpsc::Receiver<Prompt>) -> Stop {
        let worked = async {
            self.shake_hands().await?;
            self.warn_of_policy().await?;
            self.turn(self.assignment.prompt.clone()).await?;
            while let Some(prompt) = orders.recv().await {
                self.turn(prompt).await?;
            }
            Ok(())
        };
        worked.await.err().unwrap_or(Stop(None))
    }

    /// Waits until the handle is stored.
    async fn shake_hands(&mut self) -> Result<(), Stop> {
        let (stored, answer) = oneshot::channel();
        let handle = self.conversation.handle();
        self.tell(AgentEvent::Handshake { handle, stored }).await?;
        answer.await.map_err(|_| Stop(None))
    }

    /// A command cannot ask, and what it does unasked is up to its arguments.
    async fn warn_of_policy(&self) -> Result<(), Stop> {
        if allows_all(&self.assignment.policy) {
            return Ok(());
        }
        let message = "the session's permission policy is not asked: a command acts by itself, within its \
                       arguments and the sandbox";
        self.tell(AgentEvent::Log { level: "warn", message: message.to_owned() }).await
    }

    /// One prompt, from its telling to its end.
    async fn turn(&mut self, prompt: Prompt) -> Result<(), Stop> {
        let stop = self.shared.turn();
        if let Some(text) = self.conversation.done(prompt.id).map(str::to_owned) {
            return self.turn_ended(prompt.id, text, TurnEnd::Done).await;
        }
        let item = TranscriptItem {
            id: format!("prompt-{}", prompt.id),
            kind: "user",
            body: bounds::words(&prompt.text),
        };
        self.tell(AgentEvent::Transcript(item)).await?;
        if stop.is_cancelled() {
            return self.turn_ended(prompt.id, String::new(), TurnEnd::Aborted).await;
        }
        let launch = self.launch(&prompt)?;
        self.conversation.begin(prompt.id).await?;
        let process = process::start(&self.shared.host, launch, stop, &self.processes).await?;
        let plan = self.plan.clone();
        let model = self.assignment.model.clone();
        let provider = plan.preset.map_or("", |preset| preset.provider.as_str());
        let manner =
            Manner { output: plan.output, rules: plan.rules, provider, model: model.as_deref() };
        let mut teller = Teller::new(manner, prompt.id);
        let ended = self.listen(process, &mut teller).await?;
        for event in teller.finish() {
            self.tell(event).await?;
        }
        let text = teller.last_words();
        if ended.as_ref().is_some_and(|ended| ended.was_asked) {
            return self.turn_ended(prompt.id, text, TurnEnd::Aborted).await;
        }
        if let Some(error) = self.failure(ended, &teller) {
            return Err(error.into());
        }
        self.conversation.end(prompt.id, &text).await?;
        self.turn_ended(prompt.id, text, TurnEnd::Done).await
    }

    /// The process for a prompt.
    fn launch(&self, prompt: &Prompt) -> Result<Launch, DriverError> {
        let (plan, assignment) = (&self.plan, &self.assignment);
        let text = self.text_for(prompt);
        let own_id = self.conversation.id().to_string();
        let own_id = plan.is_own.then_some(own_id.as_str());
        let permissions: &[String] = match plan.preset {
            Some(preset) if allows_all(&assignment.policy) => &preset.allowed,
            Some(preset) => &preset.careful,
            None => &[],
        };
        let facts = Facts {
            prompt: &text,
            workdir: &self.workdir,
            model: assignment.model.as_deref(),
            session: self.conversation.agent().or(own_id),
            permissions,
        };
        let mut words = fill(&plan.command, &facts).map_err(wrong)?;
        if let Some(program) = words.first_mut() {
            *program = plan.program.to_string_lossy().into_owned();
        }
        let fed = if takes_prompt(&plan.command) { Vec::new() } else { text.into_bytes() };
        let mut variables = plan.variables.clone();
        variables.set(PROMPT_ID, prompt.id.to_string());
        let (folder, home) = (assignment.workdir.clone(), self.home.clone());
        Ok(Launch { words, fed, variables, folder, home })
    }

    /// What is said to the program. What nothing is known of is told the prompt and nothing else.
    fn text_for(&self, prompt: &Prompt) -> String {
        let mut text = String::new();
        let remembers = self.conversation.agent().is_some() && !self.conversation.is_fresh();
        let template = self.assignment.agent.behavior.system_prompt_template.trim();
        if !template.is_empty() && !remembers {
            text.push_str(template);
            text.push_str("\n\n");
        }
        if self.plan.preset.is_some() && self.conversation.was_begun(prompt.id) {
            text.push_str(AGAIN);
        }
        text.push_str(&prompt.text);
        text
    }

    /// Tells what a process prints, until it has ended; `None` when nobody knows how.
    async fn listen(
        &mut self,
        process: Process,
        teller: &mut Teller<'_>,
    ) -> Result<Option<Ended>, Stop> {
        let bytes = match self.plan.output {
            Output::Lines => WORDS_BYTES,
            Output::Jsonl => JSON_BYTES,
        };
        let clock = Arc::clone(&self.shared.host.clock);
        let Process { out, err, ended: mut is_over } = process;
        let (mut out, mut err) = (Lines::new(out, bytes), Lines::new(err, WORDS_BYTES));
        let (mut out_is_open, mut err_is_open) = (true, true);
        let (mut ended, mut late) = (None, 0);
        while out_is_open || err_is_open || ended.is_none() {
            if ended.is_some() {
                late += 1;
                if late > LATE_LINES {
                    break;
                }
            }
            tokio::select! {
                line = out.next(), if out_is_open => match line {
                    Some(line) => {
                        for event in teller.printed(&line) {
                            self.tell(event).await?;
                        }
                        if let Some(name) = teller.conversation() {
                            self.conversation.named(name).await?;
                        }
                    }
                    None => out_is_open = false,
                },
                line = err.next(), if err_is_open => match line {
                    Some(line) => {
                        if let Some(event) = teller.complained(&line) {
                            self.tell(event).await?;
                        }
                    }
                    None => err_is_open = false,
                },
                over = &mut is_over, if ended.is_none() => ended = Some(over.ok()),
                () = clock.sleep(SILENCE), if ended.is_some() => break,
            }
        }
        Ok(ended.flatten())
    }

    /// Why the turn has failed, if it has.
    fn failure(&self, ended: Option<Ended>, teller: &Teller<'_>) -> Option<DriverError> {
        let name = self.plan.name();
        let status = ended.and_then(|ended| ended.status.ok());
        let Some(code) = status.and_then(|status| status.code()) else {
            let message = format!("the guard of {name} was ended, and {name} with it");
            return Some(DriverError::new(ErrorType::AgentLost, message));
        };
        let said = teller.failure();
        if code == 0 && said.is_none() {
            return None;
        }
        let how = match code {
            0 => format!("{name} says that it failed"),
            code if signal_name(code - SIGNALLED).is_some() => {
                let number = code - SIGNALLED;
                let signal = signal_name(number).unwrap_or_default();
                format!("{name} was ended by signal {number} ({signal})")
            }
            code => format!("{name} ended with code {code}"),
        };
        let reasons = teller.reasons();
        let why = match said {
            Some(said) => said.to_owned(),
            None if reasons.is_empty() => "it did not say why".to_owned(),
            None => reasons,
        };
        let kind = if code == UNUSABLE { ErrorType::DispatchFailed } else { ErrorType::AgentError };
        Some(DriverError::new(kind, format!("{how}: {why}")))
    }

    async fn turn_ended(&self, prompt: Uuid, text: String, end: TurnEnd) -> Result<(), Stop> {
        self.shared.turn_is_over();
        self.tell(AgentEvent::TurnEnded { prompt, message_ref: None, text, end }).await
    }

    /// Tells something, waiting for room.
    async fn tell(&self, event: AgentEvent) -> Result<(), Stop> {
        self.events.send(event).await.map_err(|_| Stop(None))
    }
}

fn allows_all(policy: &PermissionPolicy) -> bool {
    let is_allowed = |decision: PermissionDecision| decision == PermissionDecision::Allow;
    is_allowed(policy.default) && policy.rules.iter().all(|rule| is_allowed(rule.decision))
}

/// What a signal is called; only those that end programs.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}
