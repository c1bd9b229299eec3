//! Agents as the application sees them: a run is started or taken up, tells what happens, and takes
//! orders.
//!
//! Invariant: a prompt is identified by its id. Told again with the same id, after whatever
//! interruption, it is joined or continued, never done twice.
//! Invariant: what an agent says is data. Only the typed fields here change state.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::hosts::{HostNews, HostReport, NotRecycled};
use crate::closed_enum;
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::attention::{AttentionKind, Risk};
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::Phase;
use crate::domain::session::artifact::Artifact;
use crate::domain::session::attempt::ErrorType;
use crate::domain::session::spec::PermissionPolicy;
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;

/// What a driver can do; the application adapts instead of pretending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent abilities, reported as such")]
pub struct Abilities {
    /// Takes up a conversation after an interruption.
    pub resume: bool,
    /// Takes a further prompt while it works.
    pub inject: bool,
    /// Asks for permissions, and questions.
    pub asks: bool,
    /// Reports tokens and cost.
    pub usage: bool,
    /// Copies a conversation up to a message.
    pub fork: bool,
    /// Everything it reports is simulated.
    pub simulated: bool,
    /// Its agent is not a child of this server: it works on while the server is down.
    pub outlives: bool,
}

/// Why a driver could not do something.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    /// The error type that the session ends with.
    pub error_type: ErrorType,
    /// What happened and what helps, for people; no secrets.
    pub message: String,
    /// Whether trying again may help.
    pub retryable: bool,
    /// Whether the agent only works on as many runs as it takes: nothing failed, and the session
    /// waits for a slot again.
    pub full: bool,
    /// The model's provider wants to be left alone: it limits the rate, or is overloaded.
    pub overloaded: Option<Overloaded>,
}

/// What a provider said that wants to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded {
    /// For how long, when it said so.
    pub retry_after: Option<Duration>,
}

impl DriverError {
    /// An error with the default retryability of its type.
    #[must_use]
    pub fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        let retryable = error_type.retryable();
        Self { error_type, message: message.into(), retryable, full: false, overloaded: None }
    }
}

impl DriverError {
    /// The agent works on as many runs as it takes.
    #[must_use]
    pub fn full(message: impl Into<String>) -> Self {
        Self { full: true, ..Self::new(ErrorType::DispatchFailed, message) }
    }

    /// The provider of the model wants to be left alone, for so long if it said so.
    #[must_use]
    pub const fn because_overloaded(mut self, retry_after: Option<Duration>) -> Self {
        self.overloaded = Some(Overloaded { retry_after });
        self
    }
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeReport {
    /// Version of the agent's software.
    pub version: String,
    /// Further facts for people.
    pub details: Value,
}

/// Something to tell the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its identity.
    pub id: Uuid,
    /// The text.
    pub text: String,
}

/// How a run connects to what was before.
#[derive(Debug, Clone, PartialEq)]
pub enum Continuation {
    /// A new conversation.
    Fresh,
    /// The conversation behind this handle goes on.
    Same {
        /// As the handshake gave it.
        handle: Value,
    },
    /// A copy of the conversation, cut after a message: what came later is no longer true.
    CutAfter {
        /// As the handshake gave it.
        handle: Value,
        /// The newest message that stays; `None` keeps none.
        message_ref: Option<String>,
    },
}

/// How an agent reaches this server from inside its session, by the Model Context Protocol.
#[derive(Clone, PartialEq, Eq)]
pub struct Doorway {
    /// Where it is spoken over HTTP; `None` when that takes a certificate that the agent does not know.
    pub url: Option<String>,
    /// Good for this attempt alone, and as long as it lasts.
    pub token: String,
    /// Program and arguments that speak it on their standard streams.
    pub command: Vec<String>,
    /// Variables that this program needs; the token is among them.
    pub env: Vec<(String, String)>,
}

impl std::fmt::Debug for Doorway {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, token: _, command, env: _ } = self;
        formatter
            .debug_struct("Doorway")
            .field("url", url)
            .field("token", &"***")
            .field("command", command)
            .finish_non_exhaustive()
    }
}

/// A run to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Whose session.
    pub tenant: TenantId,
    /// Which session.
    pub session: SessionId,
    /// What people call it.
    pub code: String,
    /// Its title.
    pub title: String,
    /// Number of the attempt.
    pub attempt: u32,
    /// The right to work on it.
    pub fencing_token: u64,
    /// Who works on it; its settings and behaviour are the driver's to heed.
    pub agent: Arc<Agent>,
    /// Agent profile, when one is named.
    pub profile: Option<String>,
    /// Options of that profile, a JSON object or null.
    pub profile_options: Value,
    /// `provider/model`; the driver's default when omitted.
    pub model: Option<String>,
    /// Where to work; exists.
    pub workdir: PathBuf,
    /// Whether nobody else works there: whatever still runs in it when the run is over is ended.
    pub is_private: bool,
    /// What needs no asking.
    pub policy: PermissionPolicy,
    /// What to do.
    pub prompt: Prompt,
    /// What was before.
    pub continuation: Continuation,
    /// What whoever works elsewhere has to be told besides.
    pub brief: Brief,
    /// The way back into this server; `None` where there is none.
    pub doorway: Option<Doorway>,
}

/// What an agent that works elsewhere is told of a session, beside what to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Brief {
    /// `session_type` and `priority`.
    pub facts: Map<String, Value>,
    /// Required capabilities, then tags, each once.
    pub requirements: Vec<String>,
    /// What is left of its time.
    pub time_left: Duration,
    /// Repository, base, branch and commit; null without one.
    pub workspace: Value,
    /// The checkpoint that it goes on from, and what was saved with it; null for a new piece of work.
    pub resume: Value,
    /// What is remembered, by scope.
    pub shared: Map<String, Value>,
}

/// What an agent tells of finished work, beside its last words.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What it brings back.
    pub output: Value,
    /// It is not all that was asked for.
    pub is_partial: bool,
    /// Why it failed, and whether it is worth another try.
    pub failure: Option<(String, bool)>,
    /// 0 to 1, when it says so.
    pub success_rate: Option<f64>,
    /// 0 to 1, when it says so.
    pub quality_score: Option<f64>,
    /// Files that it brings back, which are kept already.
    pub artifacts: Vec<Artifact>,
    /// SHA-256 of all of it.
    pub digest: [u8; 32],
}

/// A run that was started: what it tells, and the way to command it.
pub struct Running {
    /// Orders.
    pub control: Box<dyn RunControl>,
    /// What happens, in order; bounded, a full channel slows the driver. Ends when the run is over.
    pub events: mpsc::Receiver<AgentEvent>,
}

/// An ask that waits for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What the driver needs to answer it.
    pub agent_ref: String,
    /// `Permission` or `Question`.
    pub kind: AttentionKind,
    /// Tool that it is about; empty for a question.
    pub tool: String,
    /// What the call would touch: commands, paths, addresses.
    pub patterns: Vec<String>,
    /// One line for people.
    pub title: String,
    /// The facts.
    pub payload: Value,
    /// SHA-256 of exactly what the agent wants: the same ask seen twice has the same one, and nothing
    /// else has it.
    pub fingerprint: String,
    /// How much could go wrong.
    pub risk: Risk,
}

/// The answer to an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This one time.
    AllowOnce,
    /// This and its like, within the session.
    AllowAlways,
    /// No, with words for the agent; it goes on without.
    Deny(String),
    /// The answer to a question.
    Text(String),
}

/// A whole piece of the transcript; the same `id` again replaces it.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscriptItem {
    /// Stable within the conversation.
    pub id: String,
    /// `user`, `text`, `reasoning`, `tool`, `todo`, `notice`.
    pub kind: &'static str,
    /// `text` for words; `tool`, `status`, `title`, `input`, `output`, `error` for a call;
    /// `items` for a todo list.
    pub body: Value,
}

closed_enum!(
    /// How a turn ended.
    TurnEnd {
        /// The agent says that it is done.
        Done = "done",
        /// The model's answer was cut at its length limit.
        Cut = "cut",
        /// A call was rejected and the agent gave up.
        Rejected = "rejected",
        /// It was told to end.
        Aborted = "aborted",
    }
);

/// What happens in a run.
#[derive(Debug)]
pub enum AgentEvent {
    /// The conversation has an identity. The driver sends no prompt before `stored` is answered.
    Handshake {
        /// What finds the conversation again.
        handle: Value,
        /// Answered once the handle is durable; dropped when the run must not begin.
        stored: oneshot::Sender<()>,
    },
    /// Words as they come, from the beginning of their item and without a gap: after the first that
    /// was lost none of the same item follows.
    Delta {
        /// Id of the transcript item that grows.
        part: String,
        /// What was added.
        text: String,
    },
    /// Everything that was told before is to be durable.
    Keep {
        /// Answered once it is; dropped when that cannot be said.
        kept: oneshot::Sender<()>,
    },
    /// A whole piece of the transcript.
    Transcript(TranscriptItem),
    /// A line for the log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: &'static str,
        /// The line.
        message: String,
    },
    /// What the agent says it is doing.
    Phase(Phase),
    /// Tokens and cost of one model call; the same key again counts once.
    Usage {
        /// Identity of the call.
        key: String,
        /// What it used.
        usage: Usage,
        /// `provider/model`.
        model: Option<String>,
    },
    /// A person is asked.
    Ask(Ask),
    /// An ask is no longer open at the agent, however it ended.
    AskGone {
        /// As in the ask.
        agent_ref: String,
    },
    /// All asks that are open at the agent now: told now and then by who can ask it, so that nothing
    /// depends on a single word that may be lost.
    AsksOpen {
        /// As in the asks.
        agent_refs: Vec<String>,
    },
    /// A step is complete: a good moment for a checkpoint.
    Step {
        /// Newest complete message.
        message_ref: String,
    },
    /// The model's provider is being tried again.
    ProviderRetry {
        /// What the provider said.
        message: String,
        /// When it is tried again.
        next_at: Option<Timestamp>,
    },
    /// The provider answered again.
    ProviderBack,
    /// The run is about to go over to another server of the agent. The driver waits until `saved` is answered:
    /// a run that is moved, or whose server is killed, goes on from what was saved at the latest.
    Moving {
        /// Why, for people.
        reason: String,
        /// Answered once the work so far is saved.
        saved: oneshot::Sender<()>,
    },
    /// The event stream is down; the driver reconnects by itself.
    StreamLost,
    /// The stream is back and what was missed has been told.
    StreamBack,
    /// The turn of one prompt is over; the conversation can take the next one.
    TurnEnded {
        /// The prompt.
        prompt: Uuid,
        /// Newest complete message.
        message_ref: Option<String>,
        /// The agent's last words.
        text: String,
        /// How it ended.
        end: TurnEnd,
    },
    /// What the agent tells of its work beside words; the end of the turn follows.
    Outcome(Box<Told>),
    /// No sign of life came from the agent for a while, or one came again.
    Quiet(bool),
    /// None came for so long that its right to the work is void.
    Expired,
    /// The agent does not take the work, and says why; it has begun nothing.
    Declined(String),
    /// The run cannot go on.
    Failed(DriverError),
}

/// Orders to a run. All are idempotent; after the run is over they do nothing.
#[async_trait]
pub trait RunControl: Send + Sync {
    /// Tells the agent something: the next turn, or into the current one when it can inject.
    async fn prompt(&self, prompt: Prompt) -> Result<(), DriverError>;
    /// Ends the current turn; `TurnEnded` with `Aborted` follows.
    async fn abort(&self) -> Result<(), DriverError>;
    /// Answers an ask. Only the one with this fingerprint: when the agent has asked for something else
    /// under that name since, nothing happens.
    async fn answer(
        &self,
        agent_ref: &str,
        fingerprint: &str,
        answer: Answer,
    ) -> Result<(), DriverError>;
    /// Ends the run: the turn is aborted, nothing of it works on at the agent, events end.
    async fn close(&self);
}

/// One kind of agent.
#[async_trait]
pub trait AgentDriver: Send + Sync {
    /// Its kind.
    fn kind(&self) -> AgentKind;
    /// What it can do.
    fn abilities(&self) -> Abilities;
    /// Why agents of this tenant never get what these settings ask for, in words for people; `None` when that
    /// is nothing that the settings alone can tell. Looks at nothing else.
    fn refusal(&self, _tenant: TenantId, _config: &Map<String, Value>) -> Option<String> {
        None
    }
    /// Whether agents of this tenant with these settings could work now; starts nothing that stays.
    async fn probe(
        &self,
        tenant: TenantId,
        config: &Map<String, Value>,
    ) -> Result<ProbeReport, DriverError>;
    /// Starts a run, or takes one up. Returns within 60 s.
    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError>;
    /// At start-up, before anything is started: ends what an earlier process left behind and says
    /// how many processes that were.
    async fn reap(&self) -> usize;
    /// Removes what is kept on disk of an agent that is gone for good; nothing when there is nothing.
    ///
    /// # Errors
    /// When it cannot be removed.
    async fn forget(&self, _tenant: TenantId, _agent: AgentId) -> Result<(), DriverError> {
        Ok(())
    }
    /// The servers that it keeps for its agents, by name.
    async fn hosts(&self) -> Vec<HostReport> {
        Vec::new()
    }
    /// What happens to these servers, for whoever asks first; bounded, what does not fit is not told.
    fn host_news(&self) -> Option<mpsc::Receiver<HostNews>> {
        None
    }
    /// Has a server replaced by another one that its runs are moved to; returns before that is done.
    ///
    /// # Errors
    /// `Unknown`, `State`, `Foreign`.
    fn recycle(&self, _host: &str, _reason: &str) -> Result<(), NotRecycled> {
        Err(NotRecycled::Unknown)
    }
    /// Ends every process of this driver.
    async fn shutdown(&self);
}
