//! `/contexts`: what sessions, tasks and agents remember.

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::answer::{self, Viewer, etag};
use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::context::{ContextDto, KeyDto, MergeDto, SummaryDto};
use super::dto::context_input::{
    CreateContext, CreateContextBody, MergeContexts, MergeContextsBody, PutKey, PutKeyBody,
    ResolveContext, ResolveContextBody, ShareContext, ShareContextBody, WriteContext,
    WriteContextBody,
};
use super::extract::{Path, Query, json_value, read_body};
use super::fields::{Fields, Nothing};
use super::idempotency::{Command, respond};
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::context::{By, ContextPage, MergeAnswer, Wanted};
use crate::application::ports::contexts::{ContextQuery, ContextsOf};
use crate::application::principal::{RequestContext, Subject};
use crate::domain::context::ContextDraft;
use crate::domain::context::patch::JsonPatch;
use crate::domain::context::path::Path as KeyPath;
use crate::domain::context::write::{Base, Update};
use crate::domain::ids::{AgentId, ContextId, SessionId, TaskId};

/// Largest body that is written to a context.
pub const LARGEST: usize = 8 * 1024 * 1024;

/// The largest body that a route takes, when that is not the usual.
#[must_use]
pub fn largest(route: &str) -> Option<usize> {
    route.starts_with("/api/v1/contexts").then_some(LARGEST)
}

/// A write in one of its three spellings.
pub struct Patched {
    ctx: RequestContext,
    wanted: Wanted,
    base: Base,
    viewer: Viewer,
    route: String,
}

impl FromRequest<AppState> for Patched {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Caller(ctx) = Caller::from_request_parts(&mut parts, app).await?;
        let viewer = Viewer { role: ctx.principal.role, now: app.clock.now() };
        let route = parts.extensions.get::<MatchedPath>();
        let route = route.map_or("", MatchedPath::as_str).to_owned();
        let body = read_body(body, LARGEST).await?;
        let media_type = parts.headers.get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or("");
        let name = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let known = ["application/merge-patch+json", "application/json-patch+json"];
        let read = json_value(media_type, &known, &body)?;
        let mut sent: Map<String, Value> = [("sent".to_owned(), read)].into_iter().collect();
        app.options.redactor.clean_map(&mut sent);
        let sent = sent.remove("sent").unwrap_or_default();
        let (wanted, base) = read_write(&name, sent)?;
        Ok(Self { ctx, wanted, base, viewer, route })
    }
}

/// What a body in this spelling asks for.
fn read_write(media_type: &str, sent: Value) -> Result<(Wanted, Base), Problem> {
    let wrong = |what| Problem::field("", "wrong_type", format!("the body must be {what}"));
    match (media_type, sent) {
        ("application/json-patch+json", Value::Array(steps)) => {
            let patch = JsonPatch::parse(&steps).map_err(|errors| Problem::fields(&errors))?;
            Ok((Wanted::JsonPatch(patch), Base::default()))
        }
        ("application/json-patch+json", _) => Err(wrong("a list of steps")),
        ("application/merge-patch+json", Value::Object(patch)) => {
            Ok((Wanted::MergePatch(patch), Base::default()))
        }
        (_, Value::Object(map)) => {
            let WriteContext(updates, base) =
                Fields::read(map).map_err(|errors| Problem::fields(&errors))?;
            Ok((Wanted::Updates(updates), base))
        }
        (_, _) => Err(wrong("a JSON object")),
    }
}

/// Create a context, or get the first of its owner.
#[utoipa::path(post, path = "/api/v1/contexts", tag = "contexts", request_body = CreateContextBody,
    responses(
        (status = 200, description = "The context that was there", body = ContextDto),
        (status = 201, description = "The context", body = ContextDto),
    ))]
pub async fn create(
    State(app): State<AppState>,
    command: Command<CreateContext>,
) -> Result<Response, Problem> {
    let (ctx, body) = (&command.ctx, &command.body);
    let session_id = match &body.session {
        Some(reference) => Some(app.sessions.find(ctx.tenant, reference).await?),
        None => None,
    };
    let agent_id = match &body.agent {
        Some(reference) => Some(app.agents.get(ctx, reference).await?.agent.value.id),
        None => None,
    };
    let draft = ContextDraft {
        scope: body.scope,
        session_id,
        task_id: body.task_id,
        agent_id,
        initial_data: body.initial_data.clone(),
        metadata: body.metadata.clone(),
    };
    let by = By::Caller(ctx);
    let made = if body.get_or_create {
        app.contexts.get_or_create(by, &draft).await?
    } else {
        app.contexts.create(by, &draft).await?
    };
    Ok(command.answer(&Subject::Context(&made)))
}

/// List contexts, oldest first.
#[utoipa::path(get, path = "/api/v1/contexts", tag = "contexts",
    params(
        ("scope" = Option<String>, Query, description = "Of this scope", example = "session"),
        ("session_id" = Option<String>, Query, description = "Of this session, by id or code"),
        ("task_id" = Option<String>, Query, description = "Of this task"),
        ("agent_id" = Option<String>, Query, description = "Of this agent, by id or name"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page; it ends early when it is large", body = Page<ContextDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<ContextDto>>, Problem> {
    let pages = Scope::of(ctx.tenant, &uri);
    let after = pages.take(&mut params).map(ContextId::new);
    let scope = params.word("scope");
    let (session, task, agent) =
        (params.text("session_id"), params.text("task_id"), params.text("agent_id"));
    let task_id = task.as_deref().and_then(TaskId::parse);
    if task.is_some() && task_id.is_none() {
        params.wrong("task_id", "invalid", "must be a UUID");
    }
    if [session.is_some(), task.is_some(), agent.is_some()].iter().filter(|it| **it).count() > 1 {
        params.wrong("session_id", "invalid", "only one owner can be asked for at once");
    }
    let limit = limit(&mut params);
    params.finish()?;
    let of = match (session, task_id, agent) {
        (Some(reference), _, _) => {
            ContextsOf::Session(app.sessions.find(ctx.tenant, &reference).await?)
        }
        (None, Some(task), _) => ContextsOf::Task(task),
        (None, None, Some(reference)) => {
            ContextsOf::Agent(app.agents.get(&ctx, &reference).await?.agent.value.id)
        }
        (None, None, None) => ContextsOf::All,
    };
    let query = ContextQuery { of, scope, after, limit };
    let page = app.contexts.list(By::Caller(&ctx), query).await?;
    Ok(Json(paged(&page, pages)))
}

fn paged(page: &ContextPage, pages: Scope) -> Page<ContextDto> {
    let last = page.items.last().filter(|_| page.has_more).map(|view| view.context.value.id);
    Page {
        items: page.items.iter().map(ContextDto::from).collect(),
        next_cursor: last.map(|id| pages.cursor(id.uuid())),
        has_more: page.has_more,
        total: None,
    }
}

/// Which page is asked for.
struct Asked {
    pages: Scope,
    after: Option<ContextId>,
    limit: usize,
}

impl Asked {
    fn read(ctx: &RequestContext, uri: &Uri, Query(mut params): Query) -> Result<Self, Problem> {
        let pages = Scope::of(ctx.tenant, uri);
        let after = pages.take(&mut params).map(ContextId::new);
        let limit = limit(&mut params);
        params.finish()?;
        Ok(Self { pages, after, limit })
    }
}

async fn owned(
    app: &AppState,
    ctx: &RequestContext,
    of: ContextsOf,
    asked: Asked,
) -> Result<Json<Page<ContextDto>>, Problem> {
    let Asked { pages, after, limit } = asked;
    let query = ContextQuery { of, scope: None, after, limit };
    Ok(Json(paged(&app.contexts.list(By::Caller(ctx), query).await?, pages)))
}

/// List the contexts of a session.
#[utoipa::path(get, path = "/api/v1/contexts/session/{session_id}", tag = "contexts",
    params(
        ("session_id" = SessionId, Path, description = "Id or code of the session"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<ContextDto>)))]
pub async fn of_session(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(reference): Path<String>,
    uri: Uri,
    query: Query,
) -> Result<Json<Page<ContextDto>>, Problem> {
    let asked = Asked::read(&ctx, &uri, query)?;
    let id = app.sessions.find(ctx.tenant, &reference).await?;
    app.sessions.get(&ctx, id).await?;
    owned(&app, &ctx, ContextsOf::Session(id), asked).await
}

/// What the contexts of a session hold, and what changed lately.
#[utoipa::path(get, path = "/api/v1/contexts/session/{session_id}/summary", tag = "contexts",
    params(("session_id" = SessionId, Path, description = "Id or code of the session")),
    responses((status = 200, description = "The summary", body = SummaryDto)))]
pub async fn summary(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(reference): Path<String>,
) -> Result<Json<SummaryDto>, Problem> {
    let id = app.sessions.find(ctx.tenant, &reference).await?;
    Ok(Json(app.contexts.summary(By::Caller(&ctx), id).await?.into()))
}

/// List the contexts of an agent.
#[utoipa::path(get, path = "/api/v1/contexts/agent/{agent_id}", tag = "contexts",
    params(
        ("agent_id" = AgentId, Path, description = "Id or name of the agent"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<ContextDto>)))]
pub async fn of_agent(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(reference): Path<String>,
    uri: Uri,
    query: Query,
) -> Result<Json<Page<ContextDto>>, Problem> {
    let asked = Asked::read(&ctx, &uri, query)?;
    let id = app.agents.get(&ctx, &reference).await?.agent.value.id;
    owned(&app, &ctx, ContextsOf::Agent(id), asked).await
}

/// List the contexts of the whole tenant.
#[utoipa::path(get, path = "/api/v1/contexts/global", tag = "contexts",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<ContextDto>)))]
pub async fn global(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    query: Query,
) -> Result<Json<Page<ContextDto>>, Problem> {
    let asked = Asked::read(&ctx, &uri, query)?;
    owned(&app, &ctx, ContextsOf::Global, asked).await
}

/// Read a context.
#[utoipa::path(get, path = "/api/v1/contexts/{id}", tag = "contexts",
    params(("id" = ContextId, Path, description = "Id of the context")),
    responses((status = 200, description = "The context", body = ContextDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.contexts.get(By::Caller(&ctx), parse(&id)?).await?;
    let tag = etag(found.context.version);
    Ok(([(header::ETAG, tag)], Json(ContextDto::from(&found))).into_response())
}

/// Write: values at paths, a merge patch or a JSON patch of the data, as one version.
#[utoipa::path(patch, path = "/api/v1/contexts/{id}", tag = "contexts",
    request_body(content(
        (WriteContextBody = "application/json"),
        (Object = "application/merge-patch+json"),
        (Vec<Object> = "application/json-patch+json"),
    )),
    params(("id" = ContextId, Path, description = "Id of the context")),
    responses((status = 200, description = "The context as it now stands", body = ContextDto)))]
pub async fn patch(
    State(app): State<AppState>,
    Path(id): Path<String>,
    patched: Patched,
) -> Result<Response, Problem> {
    let Patched { ctx, wanted, base, viewer, route } = patched;
    let written = app.contexts.write(By::Caller(&ctx), parse(&id)?, &wanted, base).await?;
    Ok(respond(answer::render(&route, &Subject::Context(&written), viewer)))
}

/// Delete a context with its history; a global one takes a lead.
#[utoipa::path(delete, path = "/api/v1/contexts/{id}", tag = "contexts",
    params(("id" = ContextId, Path, description = "Id of the context")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.contexts.delete(By::Caller(&ctx), parse(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read one value.
#[utoipa::path(get, path = "/api/v1/contexts/{id}/keys/{path}", tag = "contexts",
    params(
        ("id" = ContextId, Path, description = "Id of the context"),
        ("path" = String, Path, description = "Names joined by dots; a dot within a name is `\\.`"),
    ),
    responses((status = 200, description = "The value", body = KeyDto)))]
pub async fn key(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let found = app.contexts.key(By::Caller(&ctx), parse(&id)?, &parse_path(&path)?).await?;
    let tag = etag(found.context.context.version);
    Ok(([(header::ETAG, tag)], Json(KeyDto::from(&found))).into_response())
}

/// Write one value.
#[utoipa::path(put, path = "/api/v1/contexts/{id}/keys/{path}", tag = "contexts",
    request_body = PutKeyBody,
    params(
        ("id" = ContextId, Path, description = "Id of the context"),
        ("path" = String, Path, description = "Names joined by dots; a dot within a name is `\\.`"),
    ),
    responses((status = 200, description = "The context as it now stands", body = ContextDto)))]
pub async fn put_key(
    State(app): State<AppState>,
    Path((id, path)): Path<(String, String)>,
    command: Command<PutKey>,
) -> Result<Response, Problem> {
    let PutKey(value, base) = &command.body;
    let update = Update::one("/value", parse_path(&path)?, value.clone());
    let wanted = Wanted::Updates(vec![update.map_err(|errors| Problem::fields(&errors))?]);
    let by = By::Caller(&command.ctx);
    let written = app.contexts.write(by, parse(&id)?, &wanted, *base).await?;
    Ok(command.answer(&Subject::Context(&written)))
}

/// Delete one value.
#[utoipa::path(delete, path = "/api/v1/contexts/{id}/keys/{path}", tag = "contexts",
    params(
        ("id" = ContextId, Path, description = "Id of the context"),
        ("path" = String, Path, description = "Names joined by dots; a dot within a name is `\\.`"),
    ),
    responses((status = 204, description = "It is gone")))]
pub async fn delete_key(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, path)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let wanted = Wanted::Delete(parse_path(&path)?);
    app.contexts.write(By::Caller(&ctx), parse(&id)?, &wanted, Base::default()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make what a context has known to the whole tenant, as a copy.
#[utoipa::path(post, path = "/api/v1/contexts/{id}/promote-to-global", tag = "contexts",
    params(("id" = ContextId, Path, description = "Id of the context")),
    responses(
        (status = 200, description = "It is global already", body = ContextDto),
        (status = 201, description = "The global context", body = ContextDto),
    ))]
pub async fn promote(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let made = app.contexts.promote(By::Caller(&command.ctx), parse(&id)?).await?;
    Ok(command.answer(&Subject::Context(&made)))
}

/// Give another session what a context has.
#[utoipa::path(post, path = "/api/v1/contexts/{id}/share", tag = "contexts",
    request_body = ShareContextBody,
    params(("id" = ContextId, Path, description = "Id of the context")),
    responses(
        (status = 200, description = "The session's own copy, with it", body = ContextDto),
        (status = 201, description = "The copy", body = ContextDto),
    ))]
pub async fn share(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<ShareContext>,
) -> Result<Response, Problem> {
    let ShareContext(target, merge_existing) = &command.body;
    let target = app.sessions.find(command.ctx.tenant, target).await?;
    let by = By::Caller(&command.ctx);
    let made = app.contexts.share(by, parse(&id)?, target, *merge_existing).await?;
    Ok(command.answer(&Subject::Context(&made)))
}

/// Merge contexts into a new one.
#[utoipa::path(post, path = "/api/v1/contexts/merge", tag = "contexts",
    request_body = MergeContextsBody,
    responses(
        (status = 200, description = "Clashes are to be decided first", body = MergeDto),
        (status = 201, description = "The merged context", body = MergeDto),
    ))]
pub async fn merge(
    State(app): State<AppState>,
    command: Command<MergeContexts>,
) -> Result<Response, Problem> {
    let MergeContexts(ids, strategy) = &command.body;
    Ok(match app.contexts.merge(By::Caller(&command.ctx), ids, *strategy).await? {
        MergeAnswer::Merged(view) => command.answer(&Subject::Context(&view)),
        MergeAnswer::Conflicted(pending) => command.answer(&Subject::PendingMerge(&pending)),
    })
}

/// Decide the clashes of a merge that waits.
#[utoipa::path(post, path = "/api/v1/contexts/{id}/resolve", tag = "contexts",
    request_body = ResolveContextBody,
    params(("id" = ContextId, Path, description = "The id that the merge was given")),
    responses((status = 201, description = "The merged context", body = ContextDto)))]
pub async fn resolve(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<ResolveContext>,
) -> Result<Response, Problem> {
    let by = By::Caller(&command.ctx);
    let made = app.contexts.resolve(by, parse(&id)?, &command.body.0).await?;
    Ok(command.answer(&Subject::Context(&made)))
}

pub(super) fn missing() -> Problem {
    Problem::new(ErrorCode::ContextNotFound, "no such context")
}

pub(super) fn parse(id: &str) -> Result<ContextId, Problem> {
    ContextId::parse(id).ok_or_else(missing)
}

fn parse_path(path: &str) -> Result<KeyPath, Problem> {
    KeyPath::parse(path).map_err(|rule| Problem::field("path", "invalid", rule))
}
