//! How a run begins: a process is started and greeted, the conversation is made or found again, and only
//! then a task takes over.
//!
//! The protocol gives a prompt no identity. What stands in for it: the handle names the prompt that was
//! told last, and a conversation that is taken up replays what it heard. Only a prompt that is named there
//! and was replayed is known to have been heard; then the agent is told to go on instead of being told
//! the same again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::Host;
use super::choice::choose;
use super::failure;
use super::link::{CallError, Link};
use super::program::Program;
use super::run::Begin;
use super::spent::Spent;
use super::wire::PROTOCOL;
use crate::application::ports::driver::{Assignment, Continuation, Doorway, DriverError, Prompt};
use crate::domain::ids::TenantId;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::drivers::marker::Marker;
use crate::infrastructure::drivers::place::directory;
use crate::infrastructure::drivers::process::Start;
use crate::infrastructure::sandbox::folders_of;

/// Longest time for a new conversation, or an old one with all that it replays.
const CONVERSATION_TIME: Duration = Duration::from_secs(45);
/// Longest name of a conversation.
const MAX_SESSION_BYTES: usize = 1024;
/// What an agent is told that was interrupted.
const GO_ON: &str = "Your work on the request before this was interrupted. Go on with it from where it \
                     stands. What is done already is not to be done again.";
/// What comes before a prompt that an agent may have heard already.
const MAYBE_HEARD: &str = "You may have heard this request before, and may have been interrupted. Look \
                           at what is done already, and do not do it again.";
/// What comes before a prompt when the conversation is lost.
const LOST: &str = "An earlier conversation about this cannot be taken up any more. Look at what is done \
                    in this folder already, and do not do it again.";

/// What an agent said of itself.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) name: String,
    pub(super) version: String,
    /// Whether it takes up conversations.
    pub(super) loads: bool,
    /// All that it said, for people.
    pub(super) facts: Value,
}

/// A conversation, and how its first prompt is told.
struct Conversation {
    session: String,
    /// Modes and models that it offers.
    offer: Value,
    texts: Vec<String>,
    spent: Spent,
    remarks: Vec<String>,
}

/// Starts the program of these settings in a folder of its own, and greets it.
pub(super) async fn greet(
    host: &Host,
    (tenant, config): (TenantId, &Map<String, Value>),
    home: PathBuf,
    place: Option<&Path>,
) -> Result<(Link, Greeting), DriverError> {
    let (options, config) = (Arc::clone(&host.options), config.clone());
    let work = place.map(Path::to_owned);
    let prepare = move || {
        make_folder(&home)?;
        let program = Program::of(tenant, &config, &options, &home)?;
        let own = work.iter().flat_map(|work| folders_of(work).into_iter().chain([work.clone()]));
        let own: Vec<PathBuf> = own.chain([home.clone()]).collect();
        let confines = options.sandbox.around(own.iter().map(PathBuf::as_path));
        Ok::<_, DriverError>((program, confines, home))
    };
    let (program, confines, home) = spawn_blocking(prepare).await.map_err(|error| {
        DriverError::new(ErrorType::Internal, format!("the agent's folders: {error}"))
    })??;
    let options = &host.options;
    let marker = Marker::fresh(&options.marker, &options.state_dir)?;
    let secrets = program.secrets();
    let start = Start {
        name: "an ACP agent",
        guard_command: options.guard_command.as_deref(),
        confines: confines.as_ref().filter(|_| options.guard_command.is_some()),
        environment: program.environment(&marker)?,
        marker,
        command: program.command.clone(),
        folder: program.folder.as_deref().or(place).unwrap_or(&home),
        secrets,
        reads: true,
    };
    let mut link = Link::open(start, &host.clock, &host.tasks)?;
    match initialize(host, &mut link).await {
        Ok(greeting) => Ok((link, greeting)),
        Err(error) => {
            let error = link.clean(error);
            link.end().await;
            Err(error)
        }
    }
}

async fn initialize(host: &Host, link: &mut Link) -> Result<Greeting, DriverError> {
    let params = json!({
        "protocolVersion": PROTOCOL,
        "clientCapabilities": {
            "fs": { "readTextFile": false, "writeTextFile": false },
            "terminal": false,
        },
        "clientInfo": { "name": "orchestrator", "version": env!("CARGO_PKG_VERSION") },
    });
    let answer = link.call("initialize", &params, host.options.ready_timeout, |_, _| {}).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error @ CallError::Late) => {
            let error = failure::of_start("answer `initialize`", error);
            let message = format!("{}: {}", error.message, link.said());
            return Err(DriverError { message, ..error });
        }
        Err(error) => return Err(failure::of_start("answer `initialize`", error)),
    };
    let version = answer.get("protocolVersion");
    if version.and_then(Value::as_u64) != Some(PROTOCOL) {
        let spoken = version.unwrap_or(&Value::Null).to_string();
        let spoken: String = spoken.chars().take(40).collect();
        return Err(DriverError::new(
            ErrorType::AgentProtocolError,
            format!(
                "the agent speaks version {spoken} of the Agent Client Protocol; version {PROTOCOL} is supported"
            ),
        ));
    }
    let about = answer.get("agentInfo").cloned().unwrap_or_default();
    let text = |name: &str| {
        let text = about.get(name).and_then(Value::as_str).unwrap_or_default();
        text.chars().take(100).collect::<String>()
    };
    let abilities = answer.get("agentCapabilities").cloned().unwrap_or_default();
    let loads = abilities.get("loadSession").and_then(Value::as_bool) == Some(true);
    let (name, version) = (text("name"), text("version"));
    let facts = json!({
        "protocol": PROTOCOL,
        "name": name,
        "version": version,
        "resumes": loads,
        "sessions": names(abilities.get("sessionCapabilities")),
        "sign_in": methods(answer.get("authMethods")),
    });
    Ok(Greeting { name, version, loads, facts })
}

/// The names of an object's members.
fn names(value: Option<&Value>) -> Vec<String> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    map.map(|(name, _)| name.chars().take(60).collect()).take(20).collect()
}

/// The ways to sign in that an agent names.
fn methods(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    let names = list.filter_map(|method| method.get("name")?.as_str());
    names.map(|name| name.chars().take(60).collect()).take(20).collect()
}

/// Starts a process for a run, and comes to its conversation.
pub(super) async fn begin(host: &Host, assignment: Assignment) -> Result<Begin, DriverError> {
    let place = PathBuf::from(directory(&assignment.workdir, "the agent").await?);
    let agent = &assignment.agent;
    let home = host.options.home_of(assignment.tenant, agent.id);
    let (mut link, greeting) =
        greet(host, (assignment.tenant, &agent.config), home, Some(&place)).await?;
    let begun = match converse(&mut link, &greeting, &assignment, &place).await {
        Ok(conversation) => {
            let chosen = choose(&conversation.offer, &conversation.session, &assignment);
            chosen.map(|chosen| (conversation, chosen))
        }
        Err(error) => Err(error),
    };
    let (conversation, chosen) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            let error = link.clean(error);
            link.end().await;
            return Err(error);
        }
    };
    let Conversation { session, offer: _, texts, spent, mut remarks } = conversation;
    remarks.extend(chosen.remarks);
    Ok(Begin {
        link,
        session,
        setup: chosen.setup,
        model: chosen.model,
        policy: assignment.policy,
        place,
        prefix: format!("f{}", assignment.fencing_token),
        spent,
        prompt: assignment.prompt,
        texts,
        remarks,
    })
}

async fn converse(
    link: &mut Link,
    greeting: &Greeting,
    assignment: &Assignment,
    place: &Path,
) -> Result<Conversation, DriverError> {
    let text = assignment.prompt.text.clone();
    let at = json!({ "cwd": place, "mcpServers": tools(assignment.doorway.as_ref()) });
    let template = assignment.agent.behavior.system_prompt_template.trim();
    let opening = (!template.is_empty()).then(|| template.to_owned());
    match &assignment.continuation {
        Continuation::Same { handle } if greeting.loads => {
            let known = Handle::read(handle)?;
            load(link, &known, &assignment.prompt, &at).await
        }
        Continuation::Same { handle: _ } => {
            let remark = format!(
                "{} does not take up conversations; it begins a new one and is told to look at what \
                 is done",
                if greeting.name.is_empty() { "the agent" } else { &greeting.name }
            );
            let texts = opening.into_iter().chain([LOST.to_owned(), text]).collect();
            create(link, &at, texts, vec![remark]).await
        }
        Continuation::Fresh | Continuation::CutAfter { handle: _, message_ref: None } => {
            create(link, &at, opening.into_iter().chain([text]).collect(), Vec::new()).await
        }
        Continuation::CutAfter { handle: _, message_ref: Some(_) } => {
            let remark = "an ACP agent cannot go back in a conversation; it begins a new one";
            let texts = opening.into_iter().chain([LOST.to_owned(), text]).collect();
            create(link, &at, texts, vec![remark.to_owned()]).await
        }
    }
}

/// The tools of this server, as a program that every agent of the protocol can start.
fn tools(doorway: Option<&Doorway>) -> Vec<Value> {
    let of = |doorway: &Doorway| {
        let (program, arguments) = doorway.command.split_first()?;
        let env: Vec<Value> = doorway
            .env
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        Some(json!({ "name": "orchestrator", "command": program, "args": arguments, "env": env }))
    };
    doorway.and_then(of).into_iter().collect()
}

async fn create(
    link: &mut Link,
    at: &Value,
    texts: Vec<String>,
    remarks: Vec<String>,
) -> Result<Conversation, DriverError> {
    let answer = link.call("session/new", at, CONVERSATION_TIME, |_, _| {}).await;
    let offer = answer.map_err(|error| failure::of_start("begin a conversation", error))?;
    let session = offer.get("sessionId").and_then(Value::as_str).filter(|id| is_session(id));
    let Some(session) = session.map(str::to_owned) else {
        let message = "the agent began a conversation without giving it a name";
        return Err(DriverError::new(ErrorType::AgentProtocolError, message));
    };
    Ok(Conversation { session, offer, texts, spent: Spent::default(), remarks })
}

async fn load(
    link: &mut Link,
    known: &Handle,
    prompt: &Prompt,
    at: &Value,
) -> Result<Conversation, DriverError> {
    let mut params = at.clone();
    params["sessionId"] = json!(known.session);
    let mut replay = Replay::of(&prompt.text);
    let mut spent = Spent::after(known.cost_micros);
    let hear = |method: &str, params: &Value| {
        if let Some(update) = params.get("update").filter(|_| method == "session/update") {
            replay.hear(update);
            spent.hear(update);
        }
    };
    let answer = link.call("session/load", &params, CONVERSATION_TIME, hear).await;
    let offer =
        answer.map_err(|error| match failure::of_start("take up the conversation", error) {
            error if error.error_type == ErrorType::DispatchFailed => {
                DriverError::new(ErrorType::AgentLost, error.message)
            }
            error => error,
        })?;
    let texts = if known.prompt.as_deref() == Some(prompt.id.to_string().as_str()) {
        replay.texts(&prompt.text)
    } else {
        vec![prompt.text.clone()]
    };
    let session = known.session.clone();
    Ok(Conversation { session, offer, texts, spent, remarks: Vec::new() })
}

/// What finds a conversation again.
struct Handle {
    session: String,
    /// The prompt that was told last, or was about to be.
    prompt: Option<String>,
    cost_micros: i64,
}

impl Handle {
    fn read(handle: &Value) -> Result<Self, DriverError> {
        let text = |name: &str| handle.get(name).and_then(Value::as_str).map(str::to_owned);
        let session = text("sessionId").filter(|id| is_session(id)).ok_or_else(|| {
            let message = "the handle is not one of an ACP conversation";
            DriverError::new(ErrorType::AgentLost, message)
        })?;
        let cost_micros = handle.get("cost_micros").and_then(Value::as_i64).unwrap_or_default();
        Ok(Self { session, prompt: text("prompt"), cost_micros })
    }
}

fn is_session(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_SESSION_BYTES
}

/// What a conversation that is taken up says that it heard from people.
struct Replay {
    wanted: String,
    /// The message that is being replayed.
    current: String,
    is_heard: bool,
    is_replayed: bool,
}

impl Replay {
    fn of(prompt: &str) -> Self {
        let wanted = plain(prompt);
        Self { wanted, current: String::new(), is_heard: false, is_replayed: false }
    }

    fn hear(&mut self, update: &Value) {
        let kind = update.get("sessionUpdate").and_then(Value::as_str).unwrap_or_default();
        if kind != "user_message_chunk" {
            self.message_is_over();
            return;
        }
        self.is_replayed = true;
        let text = update.get("content").and_then(|content| content.get("text"));
        let text = text.and_then(Value::as_str).unwrap_or_default();
        // No message is longer than what is looked for and what is told before it.
        if self.current.len() <= self.wanted.len().saturating_add(128 * 1024) {
            self.current.push_str(text);
        }
    }

    /// Looks at a message as a whole, and not at each of its pieces: there may be as many as it has letters.
    fn message_is_over(&mut self) {
        let message = std::mem::take(&mut self.current);
        self.is_heard = self.is_heard || plain(&message).contains(&self.wanted);
    }

    /// How a prompt is told that was about to be told before.
    fn texts(mut self, prompt: &str) -> Vec<String> {
        self.message_is_over();
        match (self.is_heard, self.is_replayed) {
            (true, _) => vec![GO_ON.to_owned()],
            (false, true) => vec![prompt.to_owned()],
            (false, false) => vec![MAYBE_HEARD.to_owned(), prompt.to_owned()],
        }
    }
}

/// The words of a text, however they are spaced.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn make_folder(folder: &Path) -> Result<(), DriverError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| {
        let message = format!("cannot make the agent's home {}: {error}", folder.display());
        DriverError::new(ErrorType::DispatchFailed, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayed(updates: &[(&str, &str)]) -> Vec<String> {
        let mut replay = Replay::of("do  the\nwork");
        for (kind, text) in updates {
            replay.hear(
                &json!({ "sessionUpdate": kind, "content": { "type": "text", "text": text } }),
            );
        }
        replay.texts("do  the\nwork")
    }

    #[test]
    fn a_prompt_that_was_heard_is_not_told_again() {
        let (user, agent) = ("user_message_chunk", "agent_message_chunk");
        assert_eq!(replayed(&[(user, "before"), (agent, "x"), (user, "do the work")]), [GO_ON]);
        assert_eq!(replayed(&[(user, "a template\n"), (user, "do the "), (user, "work")]), [GO_ON]);
        assert_eq!(replayed(&[(user, "do the work"), (user, GO_ON), (agent, "x")]), [GO_ON]);
        let again = ["do  the\nwork"];
        assert_eq!(replayed(&[(user, "before"), (agent, "do the work")]), again);
        assert_eq!(replayed(&[(user, "do the"), (agent, "x"), (user, " work")]), again);
        assert_eq!(replayed(&[(agent, "x")]), [MAYBE_HEARD, again[0]]);
    }

    #[test]
    fn a_message_in_many_pieces_is_looked_at_once() {
        let prompt = "word ".repeat(40_000);
        let mut replay = Replay::of(&prompt);
        for _ in 0..40_000 {
            let content = json!({ "type": "text", "text": "word " });
            replay.hear(&json!({ "sessionUpdate": "user_message_chunk", "content": content }));
        }
        assert_eq!(replay.texts(&prompt), [GO_ON]);
    }

    #[test]
    fn a_handle_of_nothing_is_refused() {
        let handle = |handle: Value| Handle::read(&handle).map(|handle| handle.session);
        assert_eq!(handle(json!({ "sessionId": "s" })).ok(), Some("s".to_owned()));
        for wrong in [json!({}), json!({ "sessionId": "" }), json!({ "sessionId": 7 }), json!("s")]
        {
            assert!(handle(wrong).is_err_and(|error| error.error_type == ErrorType::AgentLost));
        }
    }
}
