//! In which form a client wants a stream, and where it left off.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::problem::Problem;
use super::state::AppState;

/// The forms of a numbered stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page as JSON.
    Page,
    /// One JSON object a line, to the end.
    Lines,
    /// Server-sent events, stored and then live.
    Live,
}

/// What the client wants.
#[derive(Debug, Clone, Copy)]
pub struct Wants {
    /// In which form.
    pub form: Form,
    /// What it saw last, as a reconnecting event source says.
    pub last_event_id: Option<u64>,
}

/// Whether the client wants a table for a spreadsheet.
#[derive(Debug, Clone, Copy)]
pub struct Csv(pub bool);

impl FromRequestParts<AppState> for Csv {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        Ok(Self(accepts(parts, "text/csv")))
    }
}

/// Whether this media type is named in `Accept`.
fn accepts(parts: &Parts, essence: &str) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| {
        accept
            .split(',')
            .filter_map(|part| part.split(';').next())
            .any(|part| part.trim().eq_ignore_ascii_case(essence))
    })
}

impl FromRequestParts<AppState> for Wants {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let form = if accepts(parts, "text/event-stream") {
            Form::Live
        } else if accepts(parts, "application/x-ndjson") {
            Form::Lines
        } else {
            Form::Page
        };
        let last_event_id = match parts.headers.get("last-event-id") {
            None => None,
            Some(value) => {
                let seq = value.to_str().ok().and_then(|text| text.parse().ok());
                Some(seq.ok_or_else(|| {
                    Problem::field("Last-Event-ID", "invalid", "must be the id of an event")
                })?)
            }
        };
        Ok(Self { form, last_event_id })
    }
}
