//! In which form a client wants a stream, and where it left off.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

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
        Ok(Self(prefers(&parts.headers, "text/csv")))
    }
}

/// How much a client wants a media type, from 0 to 1, by the most specific range that it names; and
/// whether it names the type itself. Without `Accept` it takes anything.
// Source: RFC 9110 §12.5.1.
fn weight(headers: &HeaderMap, essence: &str) -> (f32, bool) {
    let family = essence.split_once('/').map_or("", |(family, _)| family);
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(',')).filter(|range| !range.trim().is_empty());
    let (mut is_given, mut best) = (false, None);
    for range in ranges {
        is_given = true;
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        let specific = match name.split_once('/') {
            _ if name.eq_ignore_ascii_case(essence) => 2,
            Some((named, "*")) if named.eq_ignore_ascii_case(family) => 1,
            Some(("*", "*")) => 0,
            Some(_) | None => continue,
        };
        let quality = parts.find_map(quality).unwrap_or(1.0);
        if best
            .is_none_or(|(known, most)| specific > known || (specific == known && quality > most))
        {
            best = Some((specific, quality));
        }
    }
    match best {
        Some((specific, quality)) => (quality, specific == 2),
        None => (if is_given { 0.0 } else { 1.0 }, false),
    }
}

/// The value of a parameter `q`, when it is a number from 0 to 1.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let is_quality = name.trim().eq_ignore_ascii_case("q");
    let quality = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality));
    quality.filter(|_| is_quality)
}

/// Whether a client prefers a media type to the one that it gets otherwise. JSON is also what a
/// client gets that takes neither: an answer that it can read is worth more than a refusal.
pub(super) fn prefers(headers: &HeaderMap, essence: &str) -> bool {
    let (wanted, is_named) = weight(headers, essence);
    let (otherwise, _) = weight(headers, "application/json");
    wanted > 0.0 && if is_named { wanted >= otherwise } else { wanted > otherwise }
}

/// Says that the form of an answer follows `Accept`.
#[must_use]
pub fn negotiated(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

impl FromRequestParts<AppState> for Wants {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        // What lives on is asked for on purpose: it goes before a list.
        let forms = [(Form::Live, "text/event-stream"), (Form::Lines, "application/x-ndjson")];
        let preferred = forms.into_iter().rev().filter(|(_, name)| prefers(&parts.headers, name));
        let weight = |name| weight(&parts.headers, name).0;
        let best = preferred.max_by(|(_, one), (_, other)| weight(one).total_cmp(&weight(other)));
        let form = best.map_or(Form::Page, |(form, _)| form);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values.map(|value| (header::ACCEPT, value)).collect()
    }

    #[test]
    fn a_table_is_given_to_those_who_want_it_at_least_as_much() {
        let cases: [(&[&'static str], bool); 17] = [
            (&[], false),
            (&["text/csv"], true),
            (&["TEXT/CSV"], true),
            (&["text/csv;q=0"], false),
            (&["text/csv; q=0.000, */*"], false),
            (&["text/csv;header=present;Q=0.5"], true),
            (&["application/json, text/csv"], true),
            (&["application/json, text/csv;q=0.9"], false),
            (&["application/json;q=0.1, text/csv;q=0.2"], true),
            (&["application/json;q=0", "text/*;q=0.1"], true),
            (&["text/*"], true),
            (&["text/*, text/csv;q=0"], false),
            (&["*/*"], false),
            (&["*/*;q=0.5, text/csv;q=0.4"], false),
            (&["*/*;q=0.5, text/csv"], true),
            (&["text/html"], false),
            (&["text/csv;q=0.0004, */*;q=0"], true),
        ];
        for (values, wanted) in cases {
            assert_eq!(prefers(&accept(values), "text/csv"), wanted, "{values:?}");
        }
    }
}
