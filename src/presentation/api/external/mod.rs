//! `/agents/external`: the External Agent Protocol, version 1.0.
//!
//! Unknown fields are ignored, in both directions. What an agent sends is read by the domain
//! (`domain::eap`), field by field.

pub mod caller;
pub mod dto;
pub mod introduction;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use self::caller::{AgentCaller, AgentOrLead, no_agent};
use self::dto::{
    AssignmentDto, GivenBackBody, HeartbeatBody, HeededDto, RegisteredDto, RegistrationBody,
    ReportBody, ResultAcceptedDto, ResultBody, RotatedDto,
};
use self::introduction::{Introduced, Introduction};
use super::agents::departure;
use super::codes::ErrorCode;
use super::extract::{Path, Query, json_object, read_body};
use super::json::Json;
use super::problem::Problem;
use super::state::AppState;
use crate::application::error::AppError;
use crate::application::external::work::{Next, digest_of};
use crate::domain::eap::result::TaskResult;
use crate::domain::eap::said::{GivenBack, Report};
use crate::domain::ids::SessionId;

/// Longest wait for the next piece of work.
pub const LONGEST_WAIT: u64 = 60;
/// Largest report and largest result.
pub const LARGEST: usize = 8 * 1024 * 1024;
/// Where they are sent to.
const LARGE: [&str; 2] = [
    "/api/v1/agents/external/{id}/tasks/{task_id}/events",
    "/api/v1/agents/external/{id}/tasks/{task_id}/result",
];
/// Where work is waited for.
const PATIENT: &str = "/api/v1/agents/external/{id}/tasks/next";

/// The largest body that a route takes, when that is not the usual.
#[must_use]
pub fn largest(route: &str) -> Option<usize> {
    LARGE.contains(&route).then_some(LARGEST)
}

/// The longest time of a request to a route, when that is not the usual.
#[must_use]
pub fn longest(route: &str) -> Option<Duration> {
    (route == PATIENT).then(|| Duration::from_secs(LONGEST_WAIT + 10))
}

/// What an agent sent, as an object.
pub struct Sent(pub Map<String, Value>);

impl FromRequest<AppState> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let route = parts.extensions.get::<axum::extract::MatchedPath>();
        let route = route.map_or("", axum::extract::MatchedPath::as_str);
        let limit = largest(route).unwrap_or(app.options.body_limit);
        object(&parts.headers, body, limit).await.map(Self)
    }
}

async fn object(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Map<String, Value>, Problem> {
    let bytes = read_body(body, limit).await?;
    json_object(headers, &bytes)
}

/// Register an external agent, or say anew what a registered one is.
///
/// With a key of a member, a key with the scope `agents:register`, an enrolment, the agent's own token,
/// or, where the tenant is open, nothing at all from the machine of the server.
#[utoipa::path(post, path = "/api/v1/agents/external/register", tag = "external agents",
    request_body = RegistrationBody,
    responses(
        (status = 200, description = "It was registered before and says anew what it is", body = RegisteredDto),
        (status = 201, description = "The agent, with the token that it is to show", body = RegisteredDto),
    ))]
pub async fn register(
    State(app): State<AppState>,
    introduction: Introduction,
) -> Result<Response, Problem> {
    let Introduction { who, registration } = introduction;
    let rules = app.external.rules();
    let (status, done) = match who {
        Introduced::Again(agent) => {
            (StatusCode::OK, app.external.register_again(agent.who, &registration).await)
        }
        Introduced::By(registrar) => {
            (StatusCode::CREATED, app.external.register(&registrar, &registration).await)
        }
    };
    let registered = done.map_err(|error| {
        let AppError::Invalid(errors) = &error else { return error.into() };
        // What is wrong with the shape was told before: these are rules of the protocol.
        let problem = Problem::fields(errors);
        let told = problem.body(None);
        Problem::new(ErrorCode::ProtocolError, problem.detail())
            .with("errors", told["errors"].clone())
    })?;
    let location = format!("/api/v1/agents/{}", registered.agent.id);
    let body = Json(RegisteredDto::of(registered, rules));
    Ok((status, [(header::LOCATION, location)], body).into_response())
}

/// Say how an agent is.
#[utoipa::path(post, path = "/api/v1/agents/external/{id}/heartbeat", tag = "external agents",
    request_body = HeartbeatBody,
    params(("id" = String, Path, description = "Id of the agent")),
    responses((status = 204, description = "It was heard")))]
pub async fn heartbeat(
    State(app): State<AppState>,
    agent: AgentCaller,
    Sent(sent): Sent,
) -> Result<StatusCode, Problem> {
    beat(&app, agent.who, sent).await
}

/// Say how an agent is; also for leads.
#[utoipa::path(post, path = "/api/v1/agents/{id}/heartbeat", tag = "agents",
    request_body = HeartbeatBody,
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 204, description = "It was heard")))]
pub async fn heartbeat_too(
    State(app): State<AppState>,
    agent: AgentOrLead,
    Sent(sent): Sent,
) -> Result<StatusCode, Problem> {
    beat(&app, agent.who(&app).await?, sent).await
}

async fn beat(
    app: &AppState,
    who: crate::application::external::work::Known,
    mut sent: Map<String, Value>,
) -> Result<StatusCode, Problem> {
    app.options.redactor.clean_map(&mut sent);
    app.external.heartbeat(who, &sent).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Fetch the next piece of work, or wait for it.
#[utoipa::path(get, path = "/api/v1/agents/external/{id}/tasks/next", tag = "external agents",
    params(
        ("id" = String, Path, description = "Id of the agent"),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for work, 0 to 60; 30 when omitted"),
        ("notices" = Option<bool>, Query, description = "Also take notices, told by `kind`"),
    ),
    responses(
        (status = 200, description = "A piece of work, or a notice", body = AssignmentDto),
        (status = 204, description = "There is none"),
    ))]
pub async fn next(
    State(app): State<AppState>,
    agent: AgentCaller,
    Query(mut params): Query,
) -> Result<Response, Problem> {
    let wait = params.integer("wait").unwrap_or(30);
    if wait > LONGEST_WAIT {
        params.wrong("wait", "out_of_range", "must be 0 to 60");
    }
    let takes_notices = params.flag("notices");
    params.finish()?;
    let wait = Duration::from_secs(wait);
    let found = tokio::select! {
        biased;
        () = app.shutdown.cancelled() => None,
        found = app.external.next(agent.who, wait, takes_notices) => found?,
    };
    Ok(match found {
        Some(Next::Work(document) | Next::Notice(document)) => Json(document).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

fn task(text: &str) -> Result<SessionId, Problem> {
    SessionId::parse(text).ok_or_else(|| AppError::StaleResult.into())
}

/// Tell of a piece of work.
#[utoipa::path(post, path = "/api/v1/agents/external/{id}/tasks/{task_id}/events", tag = "external agents",
    request_body = ReportBody,
    params(
        ("id" = String, Path, description = "Id of the agent"),
        ("task_id" = String, Path, description = "The piece of work"),
    ),
    responses((status = 200, description = "It was taken", body = HeededDto)))]
pub async fn events(
    State(app): State<AppState>,
    agent: AgentCaller,
    Path(place): Path<(String, String)>,
    Sent(sent): Sent,
) -> Result<Json<HeededDto>, Problem> {
    let report = Report::read(&sent).map_err(AppError::Invalid)?;
    let heeded = app.external.report(agent.who, task(&place.1)?, &report).await?;
    Ok(Json(HeededDto::from(heeded)))
}

/// Bring the result of a piece of work. The same again gets the same answer.
#[utoipa::path(post, path = "/api/v1/agents/external/{id}/tasks/{task_id}/result", tag = "external agents",
    request_body = ResultBody,
    params(
        ("id" = String, Path, description = "Id of the agent"),
        ("task_id" = String, Path, description = "The piece of work"),
    ),
    responses((status = 200, description = "It is stored", body = ResultAcceptedDto)))]
pub async fn result(
    State(app): State<AppState>,
    agent: AgentCaller,
    Path(place): Path<(String, String)>,
    Sent(sent): Sent,
) -> Result<Json<ResultAcceptedDto>, Problem> {
    let digest = digest_of(&sent);
    let result = TaskResult::read(&sent).map_err(AppError::Invalid)?;
    let (external, session) = (app.external.clone(), task(&place.1)?);
    // It comes to its end although the agent goes away.
    let status = app
        .carry_through(
            async move { Ok(external.result(agent.who, session, result, digest).await?) },
        )
        .await?;
    Ok(Json(ResultAcceptedDto { accepted: true, session_status: status }))
}

/// Give a piece of work back; it is given to another agent.
#[utoipa::path(post, path = "/api/v1/agents/external/{id}/tasks/{task_id}/nack", tag = "external agents",
    request_body = GivenBackBody,
    params(
        ("id" = String, Path, description = "Id of the agent"),
        ("task_id" = String, Path, description = "The piece of work"),
    ),
    responses((status = 200, description = "It goes to another agent", body = Value)))]
pub async fn nack(
    State(app): State<AppState>,
    agent: AgentCaller,
    Path(place): Path<(String, String)>,
    Sent(sent): Sent,
) -> Result<Json<Value>, Problem> {
    let GivenBack { fencing_token, reason } = GivenBack::read(&sent).map_err(AppError::Invalid)?;
    app.external.give_back(agent.who, task(&place.1)?, fencing_token, &reason).await?;
    Ok(Json(json!({ "accepted": true })))
}

/// Replace the token of an agent; the answer shows the new one once.
#[utoipa::path(post, path = "/api/v1/agents/external/{id}/rotate-token", tag = "external agents",
    params(("id" = String, Path, description = "Id of the agent")),
    responses((status = 200, description = "The new tokens", body = RotatedDto)))]
pub async fn rotate(
    State(app): State<AppState>,
    caller: AgentOrLead,
) -> Result<Json<RotatedDto>, Problem> {
    let by_itself = matches!(caller, AgentOrLead::Agent(_));
    let agent = caller.who(&app).await?.agent;
    let rotated = app.external.rotate(caller.ctx(), agent, by_itself).await?;
    Ok(Json(RotatedDto::from(rotated)))
}

/// Replace the token of an external agent; the same as below `external`.
#[utoipa::path(post, path = "/api/v1/agents/{id}/rotate-token", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The new tokens", body = RotatedDto)))]
pub async fn rotate_too(
    app: State<AppState>,
    caller: AgentOrLead,
) -> Result<Json<RotatedDto>, Problem> {
    rotate(app, caller).await
}

/// Remove an agent, gracefully or at once.
#[utoipa::path(delete, path = "/api/v1/agents/external/{id}", tag = "external agents",
    params(
        ("id" = String, Path, description = "Id of the agent"),
        ("graceful" = Option<bool>, Query, description = "It ends what it works on first: the default"),
    ),
    responses((status = 204, description = "It is gone, or goes once it has ended what it works on")))]
pub async fn deregister(
    State(app): State<AppState>,
    caller: AgentOrLead,
    Query(mut params): Query,
) -> Result<StatusCode, Problem> {
    let wanted = departure(&mut params);
    params.finish()?;
    let id = caller.who(&app).await?.agent.to_string();
    match app.agents.remove(caller.ctx(), &id, &wanted).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(AppError::AgentNotFound) => Err(no_agent()),
        Err(error) => Err(error.into()),
    }
}
