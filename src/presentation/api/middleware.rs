//! What happens to every request on its way in and out.

use std::any::Any;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::caller::RateSlot;
use super::codes::ErrorCode;
use super::extract::too_large;
use super::metrics::Served;
use super::problem::Problem;
use super::request_id::RequestId;
use super::state::AppState;

/// Names the request in the log, and counts it.
pub async fn observe(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let endpoint = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let id = RequestId::of(&request);
    let received = length(request.headers()).unwrap_or(0);
    let began = app.clock.now();
    let endpoint = endpoint.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request.id = id.as_str(), %method, endpoint);
    let response = next.run(request).instrument(span).await;
    let took = app.clock.now().since(began);
    let sent = length(response.headers())
        .or_else(|| axum::body::HttpBody::size_hint(response.body()).exact());
    let status = response.status().as_u16();
    app.metrics.served(Served {
        method: method.as_str(),
        endpoint: &endpoint,
        status,
        took,
        received,
        sent,
    });
    if let Some(problem) = response.extensions().get::<Problem>()
        && problem.code() == ErrorCode::QuotaExceeded
    {
        app.metrics.refused(problem.quota());
    }
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(request.id = id.as_str(), status, duration_ms, "{method} {endpoint} answered");
    response
}

fn length(headers: &axum::http::HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a body whose declared length is over the limit before anything else is done.
pub async fn limit_body(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let limit = app.options.body_limit;
    match length(request.headers()) {
        Some(length) if length > u64::try_from(limit).unwrap_or(u64::MAX) => {
            too_large(limit).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Ends a request that takes too long; the body of a stream is not part of that time.
pub async fn limit_time(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let limit = app.options.request_timeout;
    if let Ok(response) = tokio::time::timeout(limit, next.run(request)).await {
        return response;
    }
    let detail = format!("the request took longer than {} seconds", limit.as_secs());
    Problem::new(ErrorCode::Busy, detail).retry_after(1).into_response()
}

/// Tells a caller what is left of its rate.
pub async fn tell_rate(mut request: Request, next: Next) -> Response {
    let slot = RateSlot::default();
    request.extensions_mut().insert(slot.clone());
    let mut response = next.run(request).await;
    if let Some(left) = slot.0.get() {
        let window = u64::from(left.burst).max(1);
        let policy = format!("\"key\";q={};w={window}", left.burst);
        let state = format!("\"key\";r={};t={}", left.left, left.reset);
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
pub async fn no_method(method: axum::http::Method) -> Problem {
    Problem::new(ErrorCode::MethodNotAllowed, format!("this path does not take {method}"))
}
