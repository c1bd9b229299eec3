//! What happens to every request on its way in and out.

use std::any::Any;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::caller::{KnownSlot, RateSlot};
use super::codes::ErrorCode;
use super::extract::too_large;
use super::leftover::Leftover;
use super::limits::Allowance;
use super::metrics::Served;
use super::problem::{self, Problem};
use super::request_id::{self, RequestId};
use super::state::AppState;
use super::{contexts, external, guard, idempotency, locks};
use crate::domain::time::Timestamp;
use crate::presentation::mcp;

/// The whole way of a request, in and out, as one layer: each layer costs every request a copy of
/// the router behind it and two boxes.
pub async fn way(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = request_id::assign(&app, &mut request);
    let (slot, known) = (RateSlot::default(), KnownSlot::default());
    request.extensions_mut().insert(slot.clone());
    request.extensions_mut().insert(known.clone());
    let seen = Seen::of(&app, &request);
    let keeps_tls = guard::wants_tls(&request);
    let span = tracing::info_span!(
        "request",
        request.id = id.as_str(),
        method = seen.method,
        endpoint = seen.endpoint()
    );
    let response = admit(&app, request, next).instrument(span).await;
    seen.count(&app, &id, &response);
    let refusal = response.extensions().get::<Problem>().filter(|told| told.code().is_of_rights());
    if let (Some(problem), Some(ctx)) = (refusal.cloned(), known.0.get()) {
        // Be it decided by the table of rights or by the use case.
        let action = format!("{} {}", seen.method, seen.endpoint());
        app.audit.refused(ctx, &action, problem.detail()).await;
    }
    let mut response = tell_rate(&slot, problem::render(&id, &app.options.redactor, response));
    guard::secure(&mut response, keeps_tls);
    id.send(&mut response);
    response
}

/// Past the door, within the limits, to the handler.
async fn admit(app: &AppState, request: Request, next: Next) -> Response {
    let foreign = match guard::check(&request, &app.options) {
        Ok(foreign) => foreign,
        Err(problem) => return problem.into_response(),
    };
    let Some(origin) = foreign else { return limited(app, request, next).await };
    let mut response = if guard::is_preflight(&request) {
        guard::preflight()
    } else {
        limited(app, request, next).await
    };
    guard::admit_origin(&mut response, origin);
    response
}

/// Refuses a body whose declared length is over the limit before anything else is done, and ends a
/// request that takes too long; the body of a stream is not part of that time.
async fn limited(app: &AppState, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let largest = external::largest(route).or_else(|| contexts::largest(route));
    let largest = largest.unwrap_or(app.options.body_limit);
    let patient =
        external::longest(route).or_else(|| locks::longest(route)).or_else(|| mcp::longest(route));
    let limit = patient.unwrap_or(app.options.request_timeout);
    let declared = length(request.headers());
    if declared.is_some_and(|length| length > u64::try_from(largest).unwrap_or(u64::MAX)) {
        return too_large(largest).into_response();
    }
    let leftover = request.extensions().get::<Leftover>().cloned();
    let answer = idempotency::remember_refusal(app, request, next);
    if let Ok(response) = tokio::time::timeout(limit, answer).await {
        return response;
    }
    let seconds = limit.as_secs();
    if leftover.is_some_and(|leftover| leftover.is_some()) {
        let detail = format!("the body did not come within {seconds} seconds");
        return Problem::new(ErrorCode::RequestTimeout, detail).into_response();
    }
    let detail = format!("the request took longer than {seconds} seconds");
    Problem::new(ErrorCode::Busy, detail).retry_after(1).into_response()
}

/// What is counted of a request.
struct Seen {
    method: &'static str,
    endpoint: Option<MatchedPath>,
    received: u64,
    began: Timestamp,
}

impl Seen {
    fn of(app: &AppState, request: &Request) -> Self {
        Self {
            method: method_name(request.method()),
            endpoint: request.extensions().get::<MatchedPath>().cloned(),
            received: length(request.headers()).unwrap_or(0),
            began: app.clock.now(),
        }
    }

    fn endpoint(&self) -> &str {
        self.endpoint.as_ref().map_or("unmatched", MatchedPath::as_str)
    }

    /// Counts the answer, and names it in the log.
    fn count(&self, app: &AppState, id: &RequestId, response: &Response) {
        let (method, endpoint) = (self.method, self.endpoint());
        let took = app.clock.now().since(self.began);
        let sent = length(response.headers())
            .or_else(|| axum::body::HttpBody::size_hint(response.body()).exact());
        let status = response.status().as_u16();
        app.metrics.served(Served {
            method,
            endpoint,
            status,
            took,
            received: self.received,
            sent,
        });
        if let Some(problem) = response.extensions().get::<Problem>()
            && problem.code() == ErrorCode::QuotaExceeded
        {
            app.metrics.refused(problem.quota());
        }
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let id = id.as_str();
        tracing::debug!(request.id = id, status, duration_ms, "{method} {endpoint} answered");
    }
}

/// A method as figures and log lines name it: a client may send any word.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

fn length(headers: &axum::http::HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Tells a caller what is left of its rate.
fn tell_rate(slot: &RateSlot, mut response: Response) -> Response {
    if let Some(Allowance { of, burst, left, window, reset, wait: _ }) = slot.0.get() {
        let policy = format!("\"{of}\";q={burst};w={window}");
        let state = format!("\"{of}\";r={left};t={reset}");
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
    }
    response
}

/// A panic of a handler is a 500, and the server goes on.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over by value")]
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = text, "A handler panicked");
    Problem::new(ErrorCode::InternalError, "internal error").into_response()
}

/// No route has this path.
pub async fn no_route() -> Problem {
    Problem::new(ErrorCode::RouteNotFound, "there is nothing at this path")
}

/// The route has other methods.
pub async fn no_method(method: Method) -> Problem {
    Problem::new(ErrorCode::MethodNotAllowed, format!("this path does not take {method}"))
}
