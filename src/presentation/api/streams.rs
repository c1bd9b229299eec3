//! Numbered streams — events, logs, transcripts — as a page, as lines, or as server-sent events that
//! go on live.
//!
//! Invariant: a stream holds one page at most, pulls only when the client takes, and ends on shutdown.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Serialize;

use super::caller::Caller;
use super::dto::event::{EventDto, LogLineDto, SeqPage, TranscriptEntryDto};
use super::extract::{Path, Query};
use super::json::Json;
use super::page::limit;
use super::problem::Problem;
use super::state::AppState;
use super::wants::{Form, Wants, negotiated};
use crate::application::error::AppError;
use crate::application::events::follow::{EventFollower, JournalFollower};
use crate::application::ports::journal::{Entry, Stream as Journal};
use crate::application::principal::RequestContext;
use crate::domain::event::{EventType, StoredEvent};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::redact::Redactor;
use crate::domain::tenant::key::Role;
use crate::presentation::ws::seats::Seat;

/// Entries read at once for lines.
const LINES_AT_ONCE: usize = 500;
/// Longest wait for an event that a page may ask for, in seconds.
const LONGEST_WAIT: u64 = 30;

/// Events of the tenant, as a page or live.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "Only events with a larger number; live streams begin now when omitted"),
        ("type" = Option<Vec<String>>, Query, description = "Only these types; repeatable", example = "session.created"),
        ("subject" = Option<String>, Query, description = "Only events about this session, or that name it"),
        ("wait" = Option<u32>, Query, description = "A page without events is answered as soon as there is one, or empty after so many seconds; 0 to 30"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Stands before `after`"),
    ),
    responses((status = 200, description = "A page, or server-sent events whose id is the seq",
        content((SeqPage<EventDto<'static>> = "application/json"), (String = "text/event-stream")))))]
pub async fn events(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    wants: Wants,
    Query(mut params): Query,
) -> Result<Response, Problem> {
    let wanted = Wanted { role: ctx.principal.role, types: params.words("type") };
    let subject = match params.text("subject") {
        Some(reference) => Some(app.sessions.find(ctx.tenant, &reference).await?),
        None => None,
    };
    let after = wants.last_event_id.or(params.integer("after"));
    let limit = limit(&mut params);
    let wait = params.integer("wait").unwrap_or(0);
    if wait > LONGEST_WAIT {
        params.wrong("wait", "out_of_range", "must be between 0 and 30");
    }
    params.finish()?;
    if wants.form == Form::Page && wait > 0 {
        let after = beginning(&app, &ctx, after).await?;
        arrive(&app, &ctx, (after, subject), &wanted, Duration::from_secs(wait)).await?;
    }
    let told = told(&app, &ctx, Told { form: wants.form, after, limit, subject, wanted });
    told.await.map(negotiated)
}

/// The events that a caller wants and may see.
struct Wanted {
    role: Role,
    types: Vec<EventType>,
}

impl Wanted {
    fn has(&self, event: &StoredEvent) -> bool {
        let kind = event.event.event_type;
        self.role >= kind.needs() && (self.types.is_empty() || self.types.contains(&kind))
    }
}

/// Waits until there is a wanted event; ends early when the time is over or the server goes down.
async fn arrive(
    app: &AppState,
    ctx: &RequestContext,
    (after, subject): (u64, Option<SessionId>),
    wanted: &Wanted,
    wait: Duration,
) -> Result<(), Problem> {
    // Who waits holds a connection, like a stream does; the answer comes before the request ends.
    let seat = app.seats.take(ctx, &app.options.ws)?;
    let most = app.options.request_timeout.saturating_sub(Duration::from_secs(2));
    let mut follower = app.events.follow(ctx.tenant, Some(after), subject).await?;
    let found = async {
        loop {
            match follower.next().await {
                Ok(Some(event)) if wanted.has(&event) => return Ok(()),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    };
    tokio::select! {
        found = found => found,
        () = over(app, &seat) => Ok(()),
        () = app.clock.sleep(wait.min(most)) => Ok(()),
    }
}

/// Events of one session, as a page or live.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/events", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("after" = Option<u64>, Query, description = "Only events with a larger number; live streams begin now when omitted"),
        ("type" = Option<Vec<String>>, Query, description = "Only these types; repeatable"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Stands before `after`"),
    ),
    responses((status = 200, description = "A page, or server-sent events whose id is the seq",
        content((SeqPage<EventDto<'static>> = "application/json"), (String = "text/event-stream")))))]
pub async fn session_events(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    wants: Wants,
    Path(id): Path<String>,
    Query(mut params): Query,
) -> Result<Response, Problem> {
    let wanted = Wanted { role: ctx.principal.role, types: params.words("type") };
    let after = wants.last_event_id.or(params.integer("after"));
    let limit = limit(&mut params);
    params.finish()?;
    let id = app.sessions.find(ctx.tenant, &id).await?;
    app.sessions.get(&ctx, id).await?;
    let told = told(&app, &ctx, Told { form: wants.form, after, limit, subject: Some(id), wanted });
    told.await.map(negotiated)
}

struct Told {
    form: Form,
    after: Option<u64>,
    limit: usize,
    subject: Option<SessionId>,
    wanted: Wanted,
}

async fn told(app: &AppState, ctx: &RequestContext, told: Told) -> Result<Response, Problem> {
    let Told { form, after, limit, subject, wanted } = told;
    if form == Form::Live {
        let seat = app.seats.take(ctx, &app.options.ws)?;
        let follower = app.events.follow(ctx.tenant, after, subject).await?;
        return Ok(live(app, seat, follow_events(follower, wanted, &app.options.redactor)));
    }
    let after = beginning(app, ctx, after).await?;
    let page = page_of_events(app, ctx.tenant, after, subject, &wanted, limit).await?;
    let (found, next_after, has_more) = page;
    let items: Vec<EventDto<'_>> = found.iter().map(EventDto::from).collect();
    if form == Form::Lines {
        let lines: Vec<u8> = items.iter().flat_map(line).collect();
        return Ok(ndjson(Body::from(lines)));
    }
    Ok(Json(SeqPage { items, next_after, has_more }).into_response())
}

/// Where a page begins: behind the number that was named, else at the oldest event that is kept.
async fn beginning(
    app: &AppState,
    ctx: &RequestContext,
    after: Option<u64>,
) -> Result<u64, Problem> {
    match after {
        Some(after) => Ok(after),
        None => Ok(app.events.start(ctx.tenant).await?),
    }
}

/// Reads until the page is full or nothing is left; types are sorted out on the way.
async fn page_of_events(
    app: &AppState,
    tenant: TenantId,
    mut after: u64,
    subject: Option<SessionId>,
    wanted: &Wanted,
    limit: usize,
) -> Result<(Vec<StoredEvent>, Option<u64>, bool), Problem> {
    let (mut found, began) = (Vec::new(), after);
    for _ in 0..20 {
        let read = app.events.page(tenant, after, subject, LINES_AT_ONCE).await?;
        let whole = read.len() < LINES_AT_ONCE;
        for event in read {
            if found.len() == limit && wanted.has(&event) {
                return Ok((found, Some(after), true));
            }
            after = event.seq;
            if wanted.has(&event) {
                found.push(event);
            }
        }
        if whole {
            return Ok((found, (after > began).then_some(after), false));
        }
    }
    Ok((found, Some(after), true))
}

fn follow_events(
    follower: EventFollower,
    wanted: Wanted,
    redactor: &Redactor,
) -> impl Stream<Item = Event> + Send + use<> {
    let told = (follower, wanted, redactor.clone());
    stream::unfold(Some(told), |state| async {
        let (mut follower, wanted, redactor) = state?;
        loop {
            match follower.next().await {
                Ok(Some(event)) if wanted.has(&event) => {
                    let name = event.event.event_type.as_str();
                    let sent = sse(event.seq, name, &EventDto::from(&event));
                    return Some((sent, Some((follower, wanted, redactor))));
                }
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some((failure(error, &redactor), None)),
            }
        }
    })
}

/// The log of a session: a page of lines, lines to the end, or live.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/logs", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("after" = Option<u64>, Query, description = "Only lines with a larger number"),
        ("follow" = Option<bool>, Query, description = "As server-sent events that go on live"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted; pages only"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Stands before `after`"),
    ),
    responses((status = 200, description = "Log lines", content(
        (SeqPage<LogLineDto> = "application/json"), (LogLineDto = "application/x-ndjson"),
        (String = "text/event-stream")))))]
pub async fn logs(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    wants: Wants,
    Path(id): Path<String>,
    Query(params): Query,
) -> Result<Response, Problem> {
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let (name, made) = ("session.log", LogLineDto::from);
    let told = journal(&app, &ctx, Journal::Log, id, wants, params, name, made);
    told.await.map(negotiated)
}

/// The conversation with the agent: a page, lines to the end, or live.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/transcript", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("after" = Option<u64>, Query, description = "Only entries with a larger number"),
        ("follow" = Option<bool>, Query, description = "As server-sent events that go on live"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted; pages only"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Stands before `after`"),
    ),
    responses((status = 200, description = "Messages and tool calls in order", content(
        (SeqPage<TranscriptEntryDto> = "application/json"),
        (TranscriptEntryDto = "application/x-ndjson"), (String = "text/event-stream")))))]
pub async fn transcript(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    wants: Wants,
    Path(id): Path<String>,
    Query(params): Query,
) -> Result<Response, Problem> {
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let made = TranscriptEntryDto::from;
    let told = journal(&app, &ctx, Journal::Transcript, id, wants, params, "transcript", made);
    told.await.map(negotiated)
}

#[expect(clippy::too_many_arguments, reason = "one place for both journals of a session")]
async fn journal<T: Serialize + Send + 'static>(
    app: &AppState,
    ctx: &RequestContext,
    journal: Journal,
    id: SessionId,
    wants: Wants,
    mut params: super::params::Params,
    name: &'static str,
    dto: fn(Entry) -> T,
) -> Result<Response, Problem> {
    let after = wants.last_event_id.or(params.integer("after")).unwrap_or(0);
    let follow = params.flag("follow");
    let limit = limit(&mut params);
    params.finish()?;
    if wants.form == Form::Lines && !follow {
        let first = app.events.entries(ctx.tenant, id, journal, after, LINES_AT_ONCE).await?;
        return Ok(ndjson(Body::from_stream(lines(
            app.clone(),
            ctx.tenant,
            id,
            journal,
            first,
            dto,
        ))));
    }
    if wants.form == Form::Page && !follow {
        let mut found = app.events.entries(ctx.tenant, id, journal, after, limit + 1).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next_after = found.last().map(|entry| entry.seq);
        let items = found.into_iter().map(dto).collect();
        return Ok(Json(SeqPage { items, next_after, has_more }).into_response());
    }
    let seat = app.seats.take(ctx, &app.options.ws)?;
    let follower = app.events.follow_entries(ctx.tenant, id, journal, after).await?;
    if wants.form == Form::Lines {
        let ended = over(app, &seat);
        let lines = follow_journal(follower, move |entry| Bytes::from(line(&dto(entry))));
        let lines = lines.take_until(ended).map(move |line| {
            let _held = &seat;
            Ok::<_, Infallible>(line.unwrap_or_default())
        });
        return Ok(ndjson(Body::from_stream(lines)));
    }
    let entries = follow_journal(follower, move |entry| sse(entry.seq, name, &dto(entry)));
    let redactor = app.options.redactor.clone();
    let entries = entries.map(move |sent| sent.unwrap_or_else(|error| failure(error, &redactor)));
    Ok(live(app, seat, entries))
}

/// Entries as they come; a failure is the last one.
fn follow_journal<T: Send>(
    follower: JournalFollower,
    make: impl Fn(Entry) -> T + Send + Sync + Clone,
) -> impl Stream<Item = Result<T, AppError>> + Send {
    stream::unfold(Some(follower), move |state| {
        let make = make.clone();
        async move {
            let mut follower = state?;
            match follower.next().await {
                Ok(Some(entry)) => Some((Ok(make(entry)), Some(follower))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }
    })
}

/// Lines from the first page to the end, a page at a time.
fn lines<T: Serialize + Send + 'static>(
    app: AppState,
    tenant: TenantId,
    id: SessionId,
    journal: Journal,
    first: Vec<Entry>,
    dto: fn(Entry) -> T,
) -> impl Stream<Item = Result<Bytes, AppError>> + Send {
    stream::try_unfold(first, move |page| {
        let app = app.clone();
        async move {
            let Some(last) = page.last().map(|entry| entry.seq) else { return Ok(None) };
            let next = app.events.entries(tenant, id, journal, last, LINES_AT_ONCE).await?;
            let bytes: Vec<u8> = page.into_iter().map(dto).flat_map(|entry| line(&entry)).collect();
            Ok(Some((Bytes::from(bytes), next)))
        }
    })
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

fn ndjson(body: Body) -> Response {
    let media_type = HeaderValue::from_static("application/x-ndjson");
    ([(header::CONTENT_TYPE, media_type)], body).into_response()
}

fn sse(seq: u64, name: &str, value: &impl Serialize) -> Event {
    let data = serde_json::to_string(value).unwrap_or_default();
    Event::default().id(seq.to_string()).event(name).data(data)
}

fn failure(error: AppError, redactor: &Redactor) -> Event {
    let body = Problem::from(error).without_secrets(redactor).body(None).to_string();
    Event::default().event("error").data(body)
}

/// The end of a stream from our side: the server goes down, or the key is no longer accepted.
fn over(app: &AppState, seat: &Seat) -> impl Future<Output = ()> + Send + use<> {
    let (shutdown, over) = (app.shutdown.clone(), seat.over().clone());
    async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = over.cancelled() => {}
        }
    }
}

/// Server-sent events with signs of life, until the server goes down.
fn live(
    app: &AppState,
    seat: Seat,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response {
    let events = events.take_until(over(app, &seat)).map(move |event| {
        let _held = &seat;
        Ok::<_, Infallible>(event)
    });
    let beat = KeepAlive::new().interval(app.options.sse_heartbeat).text("heartbeat");
    let mut response = Sse::new(events).keep_alive(beat).into_response();
    let unbuffered = HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", unbuffered);
    response
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn the_last_event_of_a_broken_stream_holds_no_secret() {
        let secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
        let error = AppError::StoreReadOnly(format!("marmalade {secret} is full"));
        let event = failure(error, &Redactor::default());
        let answer = Sse::new(stream::iter([Ok::<_, Infallible>(event)])).into_response();
        let told = to_bytes(answer.into_body(), 10_000).await.expect("a body");
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.contains("event: error") && told.contains("STORE_READ_ONLY"), "{told}");
        assert!(told.contains("marmalade") && told.contains("[REDACTED:"), "{told}");
        assert!(!told.contains(secret), "{told}");
    }
}
