//! Following a session to its end: the transcript and events as they come, asks answered on the
//! way, and a look at the session itself now and then, so that no lost event leaves it waiting.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::attention::{decision_of, open_items, resolve};
use super::super::client::Client;
use super::super::exit::{CliError, code};
use super::super::feed::{self, Feed};
use super::super::format::{count, money, plain};
use super::super::output::{ALERT, Printer, Spinner, painted};
use super::view::View;
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::status::SessionStatus;

/// Time between two looks at the session itself.
const LOOK: Duration = Duration::from_secs(2);
/// Time until the first look.
const FIRST_LOOK: Duration = Duration::from_millis(300);
/// How long the transcript may stay silent after the end before it is complete.
const SETTLE: Duration = Duration::from_millis(800);

/// How following ended.
pub(in super::super) enum End {
    /// The session ended; this is how it stands.
    Ended(Value),
    /// A person interrupted.
    Interrupted,
}

/// Follows one session.
pub(in super::super) struct Follower<'a> {
    client: &'a Client,
    printer: &'a Printer,
    code: String,
    id: String,
    view: View,
    spinner: Spinner,
    transcript: Feed,
    events: Feed,
    /// Items, and reasons for waiting, that were shown.
    seen: BTreeSet<String>,
    /// Looks that found it waiting, one after the other.
    waited: u32,
    /// Whether waiting for an agent that cannot work is given up.
    gives_up: bool,
    /// The item that the person at the terminal is asked about.
    asking: Option<Value>,
    answers: Option<mpsc::Receiver<String>>,
}

impl<'a> Follower<'a> {
    /// Begins with everything that is there.
    pub(in super::super) fn new(client: &'a Client, printer: &'a Printer, session: &Value) -> Self {
        let (code, id) = (plain(&session["code"]), plain(&session["id"]));
        let transcript = feed::follow(client, &["sessions", &id, "transcript"], &[], Some(0), true);
        let events = feed::follow(client, &["sessions", &id, "events"], &[], Some(0), false);
        let spinner = Spinner::new(&format!("{code} is {}", plain(&session["status"])));
        let (seen, view) = (BTreeSet::new(), View::default());
        Self {
            client,
            printer,
            code,
            id,
            view,
            spinner,
            transcript,
            events,
            seen,
            waited: 0,
            gives_up: false,
            asking: None,
            answers: None,
        }
    }

    /// The same, but an error as soon as no agent can work on it.
    pub(in super::super) fn giving_up(self, gives_up: bool) -> Self {
        Self { gives_up, ..self }
    }

    /// Follows until the session ends or a person interrupts.
    pub(in super::super) async fn run(&mut self) -> Result<End, CliError> {
        let clock = self.client.clock.clone();
        // Both outlive the turns of the loop: a busy stream must not put off the next look, and an
        // interrupt must not be lost while something else is being done.
        let mut next_look = clock.sleep(FIRST_LOOK);
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                entry = self.transcript.next() => self.entry(&entry.unwrap_or(Ok(Value::Null))?),
                event = self.events.next() => {
                    let event = event.unwrap_or(Ok(Value::Null))?;
                    self.event(&event);
                    if is_turning_point(&event)
                        && let Some(session) = self.look().await?
                    {
                        return self.settle(session).await;
                    }
                }
                answer = next_line(&mut self.answers) => self.answer(&answer).await,
                () = &mut next_look => {
                    next_look = clock.sleep(LOOK);
                    if let Some(session) = self.look().await? {
                        return self.settle(session).await;
                    }
                }
                _ = &mut interrupt => {
                    let rest = self.view.flush();
                    self.show(rest);
                    return Ok(End::Interrupted);
                }
            }
            if self.printer.is_broken() {
                return Ok(End::Interrupted);
            }
        }
    }

    fn entry(&mut self, entry: &Value) {
        if self.printer.is_json() {
            self.json("transcript", entry);
        } else {
            let lines = self.view.entry(entry);
            self.show(lines);
        }
    }

    fn event(&mut self, event: &Value) {
        if self.printer.is_json() {
            self.json("event", event);
        } else {
            let lines = self.view.event(event);
            self.show(lines);
        }
    }

    fn json(&self, kind: &str, value: &Value) {
        if !value.is_null() {
            self.printer.json_line(&json!({ "kind": kind, kind: value }));
        }
    }

    fn show(&self, lines: Vec<String>) {
        if !lines.is_empty() {
            self.spinner.suspend(|| self.printer.lines(lines));
        }
    }

    /// Reads the session; gives it back when it has ended.
    async fn look(&mut self) -> Result<Option<Value>, CliError> {
        let request = self.client.request(Method::GET, &["sessions", &self.id]);
        let session = match self.client.json(request).await {
            Ok(session) => session,
            // The feeds decide when a server that is away stays away.
            Err(error) if error.is_passing() => return Ok(None),
            Err(error) => return Err(error),
        };
        let status = plain(&session["status"]);
        self.spinner.say(&standing(&self.code, &session));
        let waits = session["attention"].as_str().is_some_and(|word| word != "none");
        if waits || self.asking.is_some() {
            self.asks().await?;
        }
        if matches!(status.as_str(), "queued" | "pending") {
            self.waited += 1;
            if self.waited > 1 {
                self.blockers().await?;
            }
        } else {
            self.waited = 0;
        }
        let ended = SessionStatus::parse(&status).is_some_and(SessionStatus::is_terminal);
        Ok(ended.then_some(session))
    }

    /// Says why it waits, each reason once; that this cannot be learned now is no failure.
    async fn blockers(&mut self) -> Result<(), CliError> {
        let request = self.client.request(Method::GET, &["sessions", &self.id, "explain"]);
        let Ok(explanation) = self.client.json(request).await else { return Ok(()) };
        for blocker in explanation["blockers"].as_array().into_iter().flatten() {
            if self.gives_up && blocker["code"] == BlockerCode::NoAgentAlive.as_str() {
                let error = CliError::new(code::UNAVAILABLE, plain(&blocker["text"]));
                return Err(error.remedy(plain(&blocker["remedy"])));
            }
            if !self.seen.insert(plain(&blocker["code"])) {
                continue;
            }
            if self.printer.is_json() {
                self.json("blocker", blocker);
            } else {
                let lines = self.view.blocker(blocker);
                self.show(lines);
            }
        }
        Ok(())
    }

    /// Shows items that were not shown yet, and asks about the first on a terminal.
    async fn asks(&mut self) -> Result<(), CliError> {
        let items = open_items(self.client, &self.id).await?;
        if self
            .asking
            .as_ref()
            .is_some_and(|asked| !items.iter().any(|item| item["id"] == asked["id"]))
        {
            self.asking = None;
            self.spinner = Spinner::new(&self.code);
        }
        for item in &items {
            if self.seen.insert(plain(&item["id"])) {
                if self.printer.is_json() {
                    self.json("attention", item);
                } else {
                    let lines = self.view.ask(item, &self.code);
                    self.show(lines);
                }
            }
        }
        if self.asking.is_none() && !self.printer.is_json() && std::io::stdin().is_terminal() {
            self.asking = items.into_iter().next();
            self.prompt();
        }
        Ok(())
    }

    fn prompt(&mut self) {
        let Some(item) = &self.asking else { return };
        let question = match item["kind"].as_str() {
            Some("permission") => "allow, always or deny?",
            Some("question") => "your answer?",
            _ => "press enter when you have seen it",
        };
        self.spinner = Spinner::none();
        self.printer.note(painted(question, ALERT));
        self.answers.get_or_insert_with(read_lines);
    }

    async fn answer(&mut self, line: &str) {
        let Some(item) = self.asking.take() else { return };
        let Some((decision, text)) = decision_of(&item, line) else {
            self.asking = Some(item);
            return self.prompt();
        };
        self.spinner = Spinner::new(&self.code);
        if let Err(error) = resolve(self.client, &item, decision, text.as_deref()).await {
            self.spinner.suspend(|| self.printer.error(&error));
        }
    }

    /// Shows what is still on its way, then ends.
    async fn settle(&mut self, session: Value) -> Result<End, CliError> {
        let clock = self.client.clock.clone();
        loop {
            tokio::select! {
                entry = self.transcript.next() => match entry {
                    Some(Ok(entry)) => self.entry(&entry),
                    Some(Err(_)) | None => break,
                },
                () = clock.sleep(SETTLE) => break,
            }
        }
        let rest = self.view.flush();
        self.show(rest);
        Ok(End::Ended(session))
    }
}

/// Whether the session may stand elsewhere after this event, or asks for somebody.
fn is_turning_point(event: &Value) -> bool {
    let word = event["type"].as_str().unwrap_or_default();
    matches!(word, "session.status_changed" | "session.attention_changed")
}

fn standing(code: &str, session: &Value) -> String {
    let metrics = &session["metrics"];
    let (tokens, cost) = (&metrics["total_tokens_used"], &metrics["estimated_cost_usd"]);
    let phase = session["phase"].as_str().map_or_else(String::new, |phase| format!(", {phase}"));
    let mut text = format!("{code} is {}{phase}", plain(&session["status"]));
    if !tokens.is_null() {
        text.extend([" · ", &count(tokens), " tokens"]);
    }
    if !cost.is_null() {
        text.extend([" · ", &money(cost)]);
    }
    text
}

async fn next_line(answers: &mut Option<mpsc::Receiver<String>>) -> String {
    if let Some(lines) = answers
        && let Some(line) = lines.recv().await
    {
        return line;
    }
    // Nobody types, or standard input has ended.
    std::future::pending().await
}

/// Lines of standard input. The thread waits in a read that nothing can interrupt, so it is no task
/// of the runtime and ends with the process. A full channel makes it wait: typing is slow.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
