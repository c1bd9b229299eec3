//! The line to one process of an agent: what it says, what it is told, and its end.
//!
//! Invariant: nothing that an agent does makes us hold more than a bounded part of what it says, or wait
//! for it to read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::lines::{Broken, Lines, MAX_LINE_BYTES};
use super::wire::{self, Fault, Message, NO_SUCH_METHOD};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;
use crate::domain::time::Timestamp;
use crate::infrastructure::drivers::process::{Process, Start};

/// Lines that may wait until the agent reads; it is taken for deaf when there are more.
const WAITING: usize = 256;
/// Lines that are no messages, between two that are.
const MAX_GARBAGE: u32 = 200;
/// How long the end of a process is waited for after its output ended, and its output after its end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Lines that are heard after the end of a process: who escaped from it may write for ever.
const MAX_LATE: u32 = 10_000;

/// Why a request of ours came to nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// The agent said no.
    Refused(Fault),
    /// It did not answer in time.
    Late,
    /// It cannot be spoken to any more.
    Lost(DriverError),
}

/// A process of an agent that can be spoken to.
pub(super) struct Link {
    process: Process,
    lines: Lines<ChildStdout>,
    /// A full channel means that the agent does not read.
    out: mpsc::Sender<String>,
    next_id: u64,
    garbage: u32,
    /// When its process had ended, as far as that was noticed.
    over_at: Option<Timestamp>,
    /// Lines since then.
    late: u32,
    clock: Arc<dyn Clock>,
    /// Lets go of what the agent reads from.
    writer: Option<DropGuard>,
}

impl Link {
    /// Starts a process and connects to it.
    pub(super) fn open(
        start: Start<'_>,
        clock: &Arc<dyn Clock>,
        tasks: &TaskTracker,
    ) -> Result<Self, DriverError> {
        let program = start.command.first().cloned().unwrap_or_default();
        let failed = |why: String| {
            let message = format!("the agent's program {program} cannot be started: {why}");
            DriverError::new(ErrorType::DispatchFailed, message)
        };
        let (mut process, output, errors) =
            start.spawn().map_err(|error| failed(error.to_string()))?;
        let (Some(input), Some(output), Some(errors)) = (process.take_input(), output, errors)
        else {
            return Err(failed("it has no pipes".to_owned()));
        };
        process.listen(errors, tasks, None);
        let (out, told) = mpsc::channel(WAITING);
        let over = CancellationToken::new();
        tasks.spawn(write(input, told, over.clone()));
        Ok(Self {
            process,
            lines: Lines::new(output),
            out,
            next_id: 1,
            garbage: 0,
            over_at: None,
            late: 0,
            clock: Arc::clone(clock),
            writer: Some(over.drop_guard()),
        })
    }

    /// Asks for something; the answer comes as a message with this number.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Result<u64, DriverError> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(wire::request(id, method, params))?;
        Ok(id)
    }

    /// Sends a line.
    pub(super) fn send(&self, line: String) -> Result<(), DriverError> {
        use mpsc::error::TrySendError::{Closed, Full};
        match self.out.try_send(line) {
            Ok(()) => Ok(()),
            Err(Full(_)) => Err(DriverError::new(
                ErrorType::AgentProtocolError,
                "the agent does not read what it is told",
            )),
            Err(Closed(_)) => Err(DriverError::new(
                ErrorType::AgentLost,
                format!("the agent closed its standard input: {}", self.process.said()),
            )),
        }
    }

    /// The next message, `None` when there are no more; requests without a name are answered here. May
    /// be dropped at any time.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, DriverError> {
        let wrong = |message: String| DriverError::new(ErrorType::AgentProtocolError, message);
        loop {
            let line = match self.line().await {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(Broken::TooLong) => {
                    let most = MAX_LINE_BYTES / 1024 / 1024;
                    return Err(wrong(format!("a line of the agent is longer than {most} MiB")));
                }
                Err(Broken::Unreadable(error)) => {
                    let message = format!("the agent's output cannot be read: {error}");
                    return Err(DriverError::new(ErrorType::AgentLost, message));
                }
            };
            match Message::read(&line) {
                Message::Garbage => {
                    self.garbage += 1;
                    if self.garbage > MAX_GARBAGE {
                        let line: String =
                            String::from_utf8_lossy(&line).trim().chars().take(120).collect();
                        return Err(wrong(format!(
                            "the agent writes something else than the Agent Client Protocol to its \
                             standard output, such as “{line}”; does its command say that it is to \
                             speak it, as in `opencode acp`?"
                        )));
                    }
                }
                Message::Nameless => {
                    self.garbage = 0;
                    self.send(wire::no_request())?;
                }
                message @ (Message::Answer { .. }
                | Message::Request { .. }
                | Message::Notice { .. }) => {
                    self.garbage = 0;
                    return Ok(Some(message));
                }
            }
        }
    }

    /// The next line, as long as there can be one: others than the process may keep its output open after its
    /// end. May be dropped at any time.
    async fn line(&mut self) -> Result<Option<Bytes>, Broken> {
        let over_at = if let Some(over_at) = self.over_at {
            over_at
        } else {
            tokio::select! {
                biased;
                line = self.lines.next() => return line,
                _ = self.process.wait() => *self.over_at.insert(self.clock.now()),
            }
        };
        self.late += 1;
        if self.late > MAX_LATE {
            return Ok(None);
        }
        let left = over_at.after(LAST_WORDS).since(self.clock.now());
        tokio::select! {
            // What it said before its end is there already.
            biased;
            line = self.lines.next() => line,
            () = self.clock.sleep(left) => Ok(None),
        }
    }

    /// Asks, and waits for the answer. What is told meanwhile goes to `hear`; what is asked meanwhile is
    /// refused.
    pub(super) async fn call(
        &mut self,
        method: &str,
        params: &Value,
        limit: Duration,
        mut hear: impl FnMut(&str, &Value) + Send,
    ) -> Result<Value, CallError> {
        let clock = Arc::clone(&self.clock);
        let wanted = self.ask(method, params).map_err(CallError::Lost)?;
        let answered = async {
            loop {
                let Some(message) = self.next().await.map_err(CallError::Lost)? else {
                    return Err(CallError::Lost(self.ended().await));
                };
                match message {
                    Message::Answer { id, result } if id == wanted => {
                        return result.map_err(CallError::Refused);
                    }
                    Message::Notice { method, params } => hear(&method, &params),
                    Message::Request { id, method, .. } => {
                        self.refuse(&id, &method).map_err(CallError::Lost)?;
                    }
                    Message::Answer { .. } | Message::Nameless | Message::Garbage => {}
                }
            }
        };
        tokio::select! {
            answer = answered => answer,
            () = clock.sleep(limit) => Err(CallError::Late),
        }
    }

    /// Says that a method is not known here.
    pub(super) fn refuse(&self, id: &Value, method: &str) -> Result<(), DriverError> {
        let method: String = method.chars().take(100).collect();
        self.send(wire::refusal(id, NO_SUCH_METHOD, &format!("{method} is not offered")))
    }

    /// The same without its secrets.
    pub(super) fn clean(&self, mut error: DriverError) -> DriverError {
        error.message = self.process.clean(error.message);
        error
    }

    /// Its last words, without secrets.
    pub(super) fn said(&self) -> String {
        self.process.said()
    }

    /// Asks its processes to end by themselves.
    pub(super) async fn terminate(&self) {
        self.process.terminate().await;
    }

    /// Lets go of what the agent reads from, which ends its processes behind a guard.
    pub(super) fn hang_up(&mut self) {
        self.writer = None;
    }

    /// Ends its processes.
    pub(super) async fn end(mut self) {
        self.hang_up();
        let Self { process, clock, .. } = self;
        process.end(&clock).await;
    }

    /// Why there is nothing more to be heard. To be waited for to its end.
    pub(super) async fn ended(&mut self) -> DriverError {
        let how = tokio::select! {
            status = self.process.wait() => match status {
                Ok(status) => format!("ended ({status})"),
                Err(error) => format!("ended: {error}"),
            },
            () = self.clock.sleep(LAST_WORDS) => "closed its standard output".to_owned(),
        };
        self.process.hear_out(&self.clock).await;
        let message = format!("the agent's process {how}: {}", self.process.said());
        DriverError::new(ErrorType::AgentLost, message)
    }
}

/// Writes lines until there are none, nobody reads them, or it is over.
async fn write(mut input: ChildStdin, mut lines: mpsc::Receiver<String>, over: CancellationToken) {
    let work = async {
        while let Some(line) = lines.recv().await {
            if input.write_all(line.as_bytes()).await.is_err() || input.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = over.cancelled() => {}
    }
}
