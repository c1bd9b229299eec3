//! What handlers are given: path parameters, query parameters and bodies; their errors are problems.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Path as RawPath};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::codes::ErrorCode;
use super::json::{self, Unreadable};
use super::params::Params;
use super::problem::Problem;
use super::state::AppState;
use crate::domain::canonical::{MOST_VALUES, depth, values_in};

/// Deepest nesting of a body.
pub(super) const MAX_DEPTH: usize = 64;

/// Largest body of a route that is open to strangers.
pub const STRANGERS_BODY: usize = 4096;

/// Path parameters.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        match RawPath::<T>::from_request_parts(parts, state).await {
            Ok(RawPath(value)) => Ok(Self(value)),
            Err(_) => {
                Err(Problem::new(ErrorCode::RouteNotFound, "the path does not name anything"))
            }
        }
    }
}

/// Query parameters, to be taken one by one.
pub struct Query(pub Params);

impl FromRequestParts<AppState> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        Ok(Self(Params::parse(parts.uri.query())))
    }
}

/// Reads a body up to the limit.
///
/// # Errors
/// `PAYLOAD_TOO_LARGE`, also for chunked bodies.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    to_bytes(body, limit).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        if source
            .and_then(|source| source.downcast_ref::<http_body_util::LengthLimitError>())
            .is_some()
        {
            too_large(limit)
        } else {
            Problem::new(ErrorCode::ProtocolError, "the body ended before it was complete")
        }
    })
}

/// The refusal of a body that is larger than this.
#[must_use]
pub fn too_large(limit: usize) -> Problem {
    Problem::new(ErrorCode::PayloadTooLarge, format!("a body may have at most {limit} bytes"))
}

/// Whether a media type is JSON. It has no charset of its own, so that UTF-8 alone may be named.
pub(super) fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// The JSON object in a body; an empty body is an empty object.
///
/// # Errors
/// `UNSUPPORTED_MEDIA_TYPE`, `PROTOCOL_ERROR` for a repeated key, `VALIDATION_ERROR`.
pub fn json_object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match json_value(media_type.unwrap_or(""), &[], body)? {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Problem::field("", "wrong_type", "the body must be a JSON object"))
        }
    }
}

/// The JSON in a body that was sent as JSON, or as one of these kinds of it.
///
/// # Errors
/// `UNSUPPORTED_MEDIA_TYPE`, `PROTOCOL_ERROR` for a repeated key, `VALIDATION_ERROR`.
pub fn json_value(media_type: &str, also: &[&str], body: &[u8]) -> Result<Value, Problem> {
    let name = media_type.split(';').next().unwrap_or("").trim();
    let is_known = also.iter().any(|known| name.eq_ignore_ascii_case(known));
    if !is_known && !is_json(media_type) {
        let detail = "the body must be sent as application/json, in UTF-8";
        return Err(Problem::new(ErrorCode::UnsupportedMediaType, detail));
    }
    if values_in(body) > MOST_VALUES {
        let message = format!("the body has more than {MOST_VALUES} values");
        return Err(Problem::field("", "too_many", message));
    }
    let value = json::read(body).map_err(|error| match error {
        Unreadable::RepeatedKey(message) => {
            Problem::new(ErrorCode::ProtocolError, format!("the body is ambiguous: {message}"))
        }
        Unreadable::Malformed(error) => {
            let message = format!("the body is not valid JSON: {error}");
            Problem::field("", "malformed_json", message)
        }
    })?;
    if depth(&value) > MAX_DEPTH {
        return Err(Problem::field("", "too_deep", "the body is nested deeper than 64 levels"));
    }
    Ok(value)
}
