//! Requests that may be repeated: the first answer is stored with its effect and given again.
//!
//! Only a POST can be: what is put, patched or deleted leaves the same behind however often it is asked.
//! A refusal that follows from how things stand (404, 409, …) is such an answer too. What says nothing
//! about them (who asks, how often, whether the request is well-formed) is decided anew each time.
//!
//! Invariant: a repetition is looked up only after it holds its place in `InFlight`, so that it
//! either finds the first answer or is told to wait; the effect happens once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::answer::{self, Viewer};
use super::caller::Caller;
use super::codes::ErrorCode;
use super::contexts;
use super::extract::{json_object, read_body};
use super::fields::{Fields, FromFields};
use super::problem::{PROBLEM_JSON, Problem};
use super::request_id::RequestId;
use super::state::AppState;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Remembered};
use crate::application::principal::{Rendered, Repeat, RequestContext, Subject};
use crate::domain::ids::TenantId;
use crate::domain::redact::Redactor;

/// How long an answer is kept.
const KEPT: std::time::Duration = std::time::Duration::from_hours(24);

/// Keys that are being worked on, per tenant.
#[derive(Debug, Default, Clone)]
pub struct InFlight(Arc<Mutex<HashSet<Place>>>);

type Place = (TenantId, [u8; 32]);

impl InFlight {
    /// A place for this key; `None` while another request holds it.
    fn enter(&self, place: Place) -> Option<Held> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(place).then(|| Held { all: self.clone(), place })
    }
}

/// A place that is given back when the request ends, however it ends.
#[derive(Debug)]
struct Held {
    all: InFlight,
    place: Place,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.place);
    }
}

/// A command: who asks, what for, and how its answer is made.
pub struct Command<T> {
    /// Who asks.
    pub ctx: RequestContext,
    /// What for.
    pub body: T,
    viewer: Viewer,
    route: String,
    first: Arc<Mutex<Option<Rendered>>>,
    held: Option<Arc<Held>>,
}

/// Under which key a refusal of this request is to be remembered; filled by `Command`.
#[derive(Clone, Default)]
struct Refusable(Arc<Mutex<Option<Remembering>>>);

/// A key, and the place that is held for it.
struct Remembering {
    tenant: TenantId,
    key: [u8; 32],
    fingerprint: [u8; 32],
    _held: Arc<Held>,
}

/// Stores the refusal of a request with an `Idempotency-Key`, so that a repetition gets it again
/// however things stand by then. When it cannot be stored, the repetition is decided anew: the
/// refused request has done nothing.
pub async fn remember_refusal(app: &AppState, mut request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().cloned();
    let (true, Some(request_id)) = (request.headers().contains_key("idempotency-key"), request_id)
    else {
        return next.run(request).await;
    };
    let slot = Refusable::default();
    request.extensions_mut().insert(slot.clone());
    let response = next.run(request).await;
    let asked = slot.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    let problem = response.extensions().get::<Problem>();
    if let (Some(problem), Some(asked)) = (problem.filter(|problem| is_lasting(problem)), asked) {
        let Remembering { tenant, key, fingerprint, _held } = asked;
        let problem = problem.clone().without_secrets(&app.options.redactor);
        let remembered = Remembered {
            key,
            fingerprint,
            status: response.status().as_u16(),
            headers: vec![("content-type".to_owned(), PROBLEM_JSON.to_owned())],
            body: problem.body(Some(request_id.as_str())).to_string().into_bytes(),
            expires_at: app.clock.now().after(KEPT),
        };
        let set = ChangeSet::new(tenant).remember(Some(remembered));
        if let Err(error) = app.store.commit(set).await {
            tracing::debug!(%error, "A refusal was not remembered");
        }
    }
    response
}

/// Whether a refusal follows from how things stand.
fn is_lasting(problem: &Problem) -> bool {
    matches!(problem.code().row().status.as_u16(), 402 | 404 | 409 | 410 | 413 | 423)
        && problem.code() != ErrorCode::IdempotencyInFlight
}

/// Why a handler is not called: a problem, or the answer is known already.
pub enum Instead {
    /// Something is wrong.
    Problem(Problem),
    /// The first answer, again.
    Replay(Box<Response>),
}

impl From<Problem> for Instead {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Replay(response) => *response,
        }
    }
}

impl<T: FromFields> FromRequest<AppState> for Command<T> {
    type Rejection = Instead;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Instead> {
        let (mut parts, body) = request.into_parts();
        let Caller(mut ctx) = Caller::from_request_parts(&mut parts, app).await?;
        let viewer = Viewer { role: ctx.principal.role, now: app.clock.now() };
        let route = parts.extensions.get::<MatchedPath>();
        let route = route.map_or("", MatchedPath::as_str).to_owned();
        let refusable = parts.extensions.get::<Refusable>().cloned();
        let target = parts.uri.to_string();
        let (headers, method) = (parts.headers.clone(), parts.method.clone());
        let largest = contexts::largest(&route).unwrap_or(app.options.body_limit);
        let body = read_body(body, largest).await?;
        let first = Arc::new(Mutex::new(None));
        let mut held = None;
        // What is put or patched needs no key: the same again leaves things as they are.
        if method == Method::POST
            && let Some(name) = key(&headers)?
        {
            let asked = Asked {
                key: digest(&[
                    ctx.principal.key.as_bytes(),
                    method.as_str().as_bytes(),
                    target.as_bytes(),
                    name.as_bytes(),
                ]),
                fingerprint: digest(&[&body]),
            };
            let place = Arc::new(begin(app, ctx.tenant, &asked).await?);
            if let Some(Refusable(slot)) = refusable {
                let (tenant, key, fingerprint) = (ctx.tenant, asked.key, asked.fingerprint);
                let remembering =
                    Remembering { tenant, key, fingerprint, _held: Arc::clone(&place) };
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembering);
            }
            held = Some(place);
            ctx.repeat = Some(asked.repeat(&route, viewer, Arc::clone(&first)));
        }
        let mut map = json_object(&headers, &body)?;
        redact(&mut map, T::AS_SENT, &app.options.redactor);
        let body = Fields::read(map).map_err(|errors| Problem::fields(&errors))?;
        Ok(Self { ctx, body, viewer, route, first, held })
    }
}

/// Puts markers in the place of secrets in a body, but for fields that are used as they were sent.
fn redact(map: &mut Map<String, Value>, as_sent: &[&str], redactor: &Redactor) {
    let kept: Vec<(String, Value)> =
        as_sent.iter().filter_map(|name| map.remove_entry(*name)).collect();
    redactor.clean_map(map);
    map.extend(kept);
}

struct Asked {
    key: [u8; 32],
    fingerprint: [u8; 32],
}

impl Asked {
    fn repeat(self, route: &str, viewer: Viewer, first: Arc<Mutex<Option<Rendered>>>) -> Repeat {
        let route = route.to_owned();
        let render = move |subject: &Subject<'_>| {
            let rendered = answer::render(&route, subject, viewer);
            let copy = copy_of(&rendered);
            *first.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
            rendered
        };
        Repeat { key: self.key, fingerprint: self.fingerprint, render: Arc::new(render) }
    }
}

fn copy_of(rendered: &Rendered) -> Rendered {
    let Rendered { status, headers, body } = rendered;
    Rendered { status: *status, headers: headers.clone(), body: body.clone() }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) if (1..=200).contains(&text.len()) => Ok(Some(text.to_owned())),
        _ => Err(Problem::field(
            "Idempotency-Key",
            "invalid",
            "must be given once, with 1 to 200 plain characters",
        )),
    }
}

/// Takes the place of a key, or says what was answered under it before.
async fn begin(app: &AppState, tenant: TenantId, asked: &Asked) -> Result<Held, Instead> {
    let Some(held) = app.in_flight.enter((tenant, asked.key)) else {
        let detail = "the first request with this Idempotency-Key is still being worked on";
        let problem = Problem::new(ErrorCode::IdempotencyInFlight, detail).retry_after(1);
        return Err(problem.into());
    };
    let stored = async { app.store.snapshot(tenant).await?.remembered(asked.key).await };
    let stored = stored.await.map_err(|error| Problem::from(AppError::from(error)))?;
    let Some(stored) = stored.filter(|stored| stored.expires_at > app.clock.now()) else {
        return Ok(held);
    };
    if stored.fingerprint != asked.fingerprint {
        let detail = "this Idempotency-Key was used for a request with another body";
        return Err(Problem::new(ErrorCode::IdempotencyKeyReused, detail).into());
    }
    let Remembered { key: _, fingerprint: _, status, headers, body, expires_at: _ } = stored;
    let mut response = respond(Rendered { status, headers, body });
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Err(Instead::Replay(Box::new(response)))
}

impl<T> Command<T> {
    /// The answer about what the use case did: the remembered one when there is one.
    #[must_use]
    pub fn answer(&self, subject: &Subject<'_>) -> Response {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        respond(first.unwrap_or_else(|| answer::render(&self.route, subject, self.viewer)))
    }

    /// The answer with what is told once: the one that is remembered lacks it.
    #[must_use]
    pub fn answer_once(&self, subject: &Subject<'_>) -> Response {
        respond(answer::render(&self.route, subject, self.viewer))
    }

    /// An answer that no use case could store with its effect; it is stored by a commit of its own.
    ///
    /// # Errors
    /// The store's.
    pub async fn answer_with(
        &self,
        app: &AppState,
        value: &impl Serialize,
    ) -> Result<Response, Problem> {
        self.answer_as(app, StatusCode::OK, value).await
    }

    /// The same about something that has only begun.
    ///
    /// # Errors
    /// The store's.
    pub async fn accept_with(
        &self,
        app: &AppState,
        value: &impl Serialize,
    ) -> Result<Response, Problem> {
        self.answer_as(app, StatusCode::ACCEPTED, value).await
    }

    async fn answer_as(
        &self,
        app: &AppState,
        status: StatusCode,
        value: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body =
            serde_json::to_vec(value).map_err(|error| AppError::Internal(Box::new(error)))?;
        let status = status.as_u16();
        self.answer_apart(app, Rendered { status, headers: Vec::new(), body }).await
    }

    /// The same, about something that was made in another tenant than the caller's.
    ///
    /// # Errors
    /// The store's.
    pub async fn answer_made(
        &self,
        app: &AppState,
        subject: &Subject<'_>,
    ) -> Result<Response, Problem> {
        self.answer_apart(app, answer::render(&self.route, subject, self.viewer)).await
    }

    async fn answer_apart(&self, app: &AppState, rendered: Rendered) -> Result<Response, Problem> {
        if let (Some(repeat), Some(_)) = (&self.ctx.repeat, &self.held) {
            let Rendered { status, headers, body } = copy_of(&rendered);
            let remembered = Remembered {
                key: repeat.key,
                fingerprint: repeat.fingerprint,
                status,
                headers,
                body,
                expires_at: app.clock.now().after(KEPT),
            };
            let set = ChangeSet::new(self.ctx.tenant).remember(Some(remembered));
            app.store.commit(set).await.map_err(AppError::from)?;
        }
        Ok(respond(rendered))
    }
}

/// Bytes as a response.
pub(super) fn respond(rendered: Rendered) -> Response {
    let Rendered { status, headers, body } = rendered;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let target = response.headers_mut();
    target.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = parsed {
            target.insert(name, value);
        }
    }
    response
}
