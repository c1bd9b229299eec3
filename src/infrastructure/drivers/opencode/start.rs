//! How a run begins: the directory is looked at, the stream is opened, the conversation is made or
//! found again, and only then a task takes over.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::client::{CallError, Client};
use super::control::{Control, Shared};
use super::cover;
use super::doorway::Offer;
use super::host::{Fate, Host, Server};
use super::permission;
use super::pool::Pool;
use super::run::{Begin, Run};
use super::stream::Events;
use super::wire::{Provider, Providers, Session};
use crate::application::ports::driver::{Assignment, Continuation, DriverError, Running};
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::drivers::place::directory;

/// The provider that OpenCode offers to everybody.
const OWN_PROVIDER: &str = "opencode";
/// Times that a run is prepared when the server is lost on the way.
const TRIES: u32 = 3;
/// Messages per page when one is looked for.
const PAGE: usize = 100;
/// Pages that are looked through.
const MAX_PAGES: usize = 100;
/// Events that may wait to be taken; a full channel slows the run, deltas are dropped.
const EVENTS: usize = 256;
/// Prompts that may wait to be taken; a full channel lets the caller wait.
const PROMPTS: usize = 16;

/// The conversation that a run works in.
struct Conversation {
    session: Session,
    /// Made for this run: it may be deleted when the run does not begin.
    made: bool,
}

pub(super) async fn start(pool: &Pool, assignment: Assignment) -> Result<Running, DriverError> {
    let place = directory(&assignment.workdir, "OpenCode").await?;
    let handle = match &assignment.continuation {
        Continuation::Fresh | Continuation::CutAfter { handle: _, message_ref: None } => None,
        Continuation::Same { handle } | Continuation::CutAfter { handle, message_ref: Some(_) } => {
            Some(handle)
        }
    };
    let taken = pool.seat(assignment.tenant, handle)?;
    let host = Arc::clone(&taken.host);
    cover::cover(&host, &place).await?;
    let reached = reach(&host, &place, &assignment).await?;
    let Reached { server, seat, prepared } = reached;
    let Prepared { stream, choice, conversation, offer, remark } = prepared;
    let (events, told) = mpsc::channel(EVENTS);
    let (prompts, orders) = mpsc::channel(PROMPTS);
    let shared = Arc::new(Shared::new(
        Arc::clone(&host),
        Arc::clone(&server),
        conversation.session.id,
        place,
        assignment.is_private,
    ));
    server.serve();
    let begin = Begin {
        server,
        seat,
        stream,
        choice,
        policy: assignment.policy,
        prompt: assignment.prompt,
        made: conversation.made,
        offer,
        remark,
    };
    let run = Run::new(Arc::clone(&shared), events, begin);
    host.tasks.spawn(async move {
        run.live(orders).await;
        drop(taken);
    });
    Ok(Running { control: Box::new(Control { shared, prompts }), events: told })
}

struct Prepared {
    stream: Events,
    /// Model and agent profile.
    choice: Value,
    conversation: Conversation,
    /// The tools of this server.
    offer: Option<Offer>,
    /// Why they cannot be had.
    remark: Option<String>,
}

/// A run that was prepared, and the server where it was.
struct Reached {
    server: Arc<Server>,
    seat: TaskTrackerToken,
    prepared: Prepared,
}

/// Prepares the run, again when the server is lost on the way.
async fn reach(
    host: &Arc<Host>,
    place: &str,
    assignment: &Assignment,
) -> Result<Reached, DriverError> {
    let mut tried = 0;
    loop {
        let server = host.server().await?;
        let (seat, mut fates) = (server.used(), server.fate.subscribe());
        let turn = host.boot.lock().await;
        let prepared = tokio::select! {
            biased;
            prepared = prepare(&server, place, assignment) => prepared,
            Ok(_) = fates.wait_for(|fate| *fate == Fate::Wedged) => Err(Unprepared::lost()),
        };
        drop(turn);
        match prepared {
            Ok(prepared) => return Ok(Reached { server, seat, prepared }),
            Err(error) => {
                host.suspect();
                tried += 1;
                if !error.lost || tried >= TRIES {
                    return Err(error.error);
                }
            }
        }
    }
}

/// Why a run could not be prepared, and whether the server was lost.
struct Unprepared {
    error: DriverError,
    lost: bool,
}

impl Unprepared {
    fn lost() -> Self {
        let message = "the OpenCode server stopped answering while a run was prepared";
        Self { error: DriverError::new(ErrorType::AgentLost, message), lost: true }
    }
}

impl From<CallError> for Unprepared {
    fn from(error: CallError) -> Self {
        Self { lost: matches!(error, CallError::Unreachable(_)), error: error.into() }
    }
}

impl From<DriverError> for Unprepared {
    fn from(error: DriverError) -> Self {
        Self { error, lost: false }
    }
}

async fn prepare(
    server: &Server,
    place: &str,
    assignment: &Assignment,
) -> Result<Prepared, Unprepared> {
    let client = &server.client;
    let stream = Events::open(client, place).await?;
    let choice = choose(client, place, assignment).await?;
    let offer = Offer::of(assignment, client.base());
    let readable = server.readable.as_deref();
    let rules = permission::rules(&assignment.policy, readable, offer.as_ref());
    let conversation = converse(client, place, assignment, &rules).await?;
    let remark = match &offer {
        Some(offer) => offer.make(client, place).await,
        None => None,
    };
    Ok(Prepared { stream, choice, conversation, offer, remark })
}

/// Model and agent profile for every prompt of the run, as fields of its body.
async fn choose(
    client: &Client,
    place: &str,
    assignment: &Assignment,
) -> Result<Value, Unprepared> {
    let mut choice = json!({});
    let known = client.providers(place).await?;
    let configured = client.config(place).await?.model;
    let remedy = "sign in with `opencode auth login`, or set a model that OpenCode knows";
    let wrong = |message: String| DriverError {
        retryable: false,
        ..DriverError::new(ErrorType::ProviderError, message)
    };
    let named = assignment.model.clone().or(configured);
    let name = named
        .or_else(|| fallback(&known))
        .ok_or_else(|| wrong(format!("an agent without a model configured: {remedy}")))?;
    let found = name.split_once('/').filter(|(provider, model)| {
        let of = |one: &&Provider| one.id == *provider;
        known.providers.iter().find(of).is_some_and(|one| one.models.contains_key(*model))
    });
    let (provider, model) =
        found.ok_or_else(|| wrong(format!("OpenCode does not know the model {name}: {remedy}")))?;
    choice["model"] = json!({ "providerID": provider, "modelID": model });
    if let Some(profile) = &assignment.profile {
        let profiles = client.profiles(place).await?;
        if profiles.iter().any(|one| one.name == *profile) {
            choice["agent"] = json!(profile);
        }
    }
    Ok(choice)
}

/// The default model of a provider that was set up. OpenCode's own provider needs no setting up:
/// it is used only when it is named, so that no work leaves for a place that nobody chose.
fn fallback(known: &Providers) -> Option<String> {
    let set_up = known.providers.iter().filter(|provider| provider.id != OWN_PROVIDER);
    let mut names = set_up.filter_map(|provider| {
        let model = known.default.get(&provider.id)?;
        Some(format!("{}/{model}", provider.id))
    });
    names.next()
}

async fn converse(
    client: &Client,
    place: &str,
    assignment: &Assignment,
    rules: &Value,
) -> Result<Conversation, Unprepared> {
    let session = match &assignment.continuation {
        Continuation::Fresh | Continuation::CutAfter { handle: _, message_ref: None } => {
            create(client, place, assignment, rules).await?
        }
        Continuation::Same { handle } => {
            let session = client.session(id_of(handle)?).await.map_err(gone)?;
            let current = session.permission.as_array().map(Vec::as_slice).unwrap_or_default();
            if !current.ends_with(rules.as_array().map(Vec::as_slice).unwrap_or_default()) {
                client.change(&session.id, &json!({ "permission": rules })).await?;
            }
            return Ok(Conversation { session, made: false });
        }
        Continuation::CutAfter { handle, message_ref: Some(message_ref) } => {
            let id = id_of(handle)?;
            let next = following(client, id, message_ref).await?;
            let session = client.fork(id, next.as_deref()).await.map_err(gone)?;
            // A copy does not take the rules with it.
            client.change(&session.id, &json!({ "permission": rules })).await?;
            session
        }
    };
    Ok(Conversation { session, made: true })
}

async fn create(
    client: &Client,
    place: &str,
    assignment: &Assignment,
    rules: &Value,
) -> Result<Session, CallError> {
    let body = json!({
        "title": assignment.title,
        "metadata": {
            "session": assignment.session.to_string(),
            "code": assignment.code,
            "attempt": assignment.attempt,
        },
        "permission": rules,
    });
    client.create(place, &body).await
}

/// The message after this one; `None` when it is the newest.
async fn following(
    client: &Client,
    session: &str,
    message_ref: &str,
) -> Result<Option<String>, Unprepared> {
    let (mut next, mut cursor) = (None, None);
    for _ in 0..MAX_PAGES {
        let (page, older) =
            client.messages(session, PAGE, cursor.as_deref()).await.map_err(gone)?;
        for message in page.into_iter().rev() {
            if message.info.id == message_ref {
                return Ok(next);
            }
            next = Some(message.info.id);
        }
        if older.is_none() {
            break;
        }
        cursor = older;
    }
    let message = "the message to go on from is not in the conversation any more";
    Err(DriverError::new(ErrorType::AgentLost, message).into())
}

fn id_of(handle: &Value) -> Result<&str, DriverError> {
    let id = handle.get("session").and_then(Value::as_str);
    id.filter(|id| {
        id.starts_with("ses_") && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
    .ok_or_else(|| {
        DriverError::new(ErrorType::AgentLost, "the handle is not one of an OpenCode conversation")
    })
}

fn gone(error: CallError) -> Unprepared {
    if error.is_missing() {
        let message = "OpenCode does not have the conversation any more";
        return DriverError::new(ErrorType::AgentLost, message).into();
    }
    error.into()
}
