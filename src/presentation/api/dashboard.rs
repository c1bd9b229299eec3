//! The control room: one page and its parts, which come from the binary and from nowhere else.
//!
//! Every path that is a page of it is answered with the same document, whose script shows what the path
//! names. Each part lies in the binary as it is and compressed twice, so that no answer is compressed
//! anew; `make web` writes all of them.
//!
//! Invariant: a path below `/api`, `/ws` or any other room of the server is never answered with a page.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::codes::ErrorCode;
use super::extract::Path;
use super::middleware::no_route;
use super::problem::Problem;
use super::wants::prefers;
use crate::domain::canonical::hex;

#[derive(RustEmbed)]
#[folder = "assets/dashboard"]
struct Files;

/// The document that every page begins with.
const PAGE: &str = "index.html";
/// What the first part of a page's path may be.
const PAGES: [&str; 9] =
    ["sessions", "attention", "agents", "contexts", "locks", "hosts", "usage", "audit", "settings"];
/// Rooms of the server that hold no pages, whatever is asked for in them.
const ROOMS: [&str; 10] = [
    "api",
    "ws",
    "assets",
    "docs",
    "health",
    "login",
    "metrics",
    "openapi.json",
    "problems",
    "ready",
];
/// Names of parts stay, so that whoever has one asks whether it is still the same.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");
/// Typefaces are only ever replaced by others of another name.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// In which encodings a client takes a part, and which one it has.
#[derive(Debug, Default)]
pub struct Wanted {
    brotli: bool,
    gzip: bool,
    known: Vec<String>,
}

impl Wanted {
    fn of(headers: &HeaderMap) -> Self {
        let listed = |name| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).map(str::trim).filter(|part| !part.is_empty())
        };
        let takes = |coding: &str| {
            listed(header::ACCEPT_ENCODING).any(|part| {
                let mut words = part.split(';').map(str::trim);
                let named = words.next().is_some_and(|word| word.eq_ignore_ascii_case(coding));
                let refused = |word: &str| {
                    let quality = word.split_once('=').map(|(_, value)| value.trim().parse());
                    quality.is_some_and(|quality| quality == Ok(0.0_f32))
                };
                named && !words.any(refused)
            })
        };
        let known = listed(header::IF_NONE_MATCH).map(|tag| tag.trim_start_matches("W/"));
        Self { brotli: takes("br"), gzip: takes("gzip"), known: known.map(str::to_owned).collect() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// The control room.
#[utoipa::path(get, path = "/", tag = "documentation",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 304, description = "It is the one that the client has"),
    ))]
pub async fn home(wanted: Wanted) -> Result<Response, Problem> {
    file(PAGE, &wanted)
}

/// Script, style, typeface or icon of the control room.
#[utoipa::path(get, path = "/assets/{file}", tag = "documentation",
    params(("file" = String, Path, description = "Name of a part of the page", example = "app.js")),
    responses(
        (status = 200, description = "The part", content(
            (String = "text/javascript"), (String = "text/css"), (String = "image/svg+xml"), (Vec<u8> = "font/woff2"),
        )),
        (status = 304, description = "It is the one that the client has"),
    ))]
pub async fn part(Path(name): Path<String>, wanted: Wanted) -> Result<Response, Problem> {
    file(&format!("assets/{name}"), &wanted)
}

/// What is answered where no route is: a page for a browser that looks for one, else a problem.
pub async fn elsewhere(request: Request) -> Response {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let first = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or("");
    if !looks || ROOMS.contains(&first) || !prefers(request.headers(), "text/html") {
        return no_route().await.into_response();
    }
    let page = file(PAGE, &Wanted::of(request.headers()));
    let mut response = page.unwrap_or_else(IntoResponse::into_response);
    if !PAGES.contains(&first) && response.status().is_success() {
        // The page itself says that there is nothing, and what there is instead.
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

fn missing() -> Problem {
    Problem::new(ErrorCode::RouteNotFound, "the page has no such part")
}

/// A part, in the smallest form that the client takes; nothing when it has that already.
fn file(name: &str, wanted: &Wanted) -> Result<Response, Problem> {
    let (media_type, lasts) = match name.rsplit_once('.') {
        Some((_, "html")) => ("text/html; charset=utf-8", ASK),
        Some((_, "js")) => ("text/javascript; charset=utf-8", ASK),
        Some((_, "css")) => ("text/css; charset=utf-8", ASK),
        Some((_, "svg")) => ("image/svg+xml", ASK),
        Some((_, "woff2")) => ("font/woff2", KEEP),
        // What is compressed is sent in the place of what it is of, never for itself.
        Some(_) | None => return Err(missing()),
    };
    let (found, coding) = smallest(name, wanted).ok_or_else(missing)?;
    let tag = format!("\"{}\"", hex(&found.metadata.sha256_hash()));
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, lasts);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(value) = HeaderValue::try_from(&tag) {
        headers.insert(header::ETAG, value);
    }
    if wanted.known.iter().any(|known| *known == tag || known == "*") {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Ok((headers, found.data.into_owned()).into_response())
}

fn smallest(name: &str, wanted: &Wanted) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let forms = [(wanted.brotli, "br", "br"), (wanted.gzip, "gz", "gzip")];
    let taken = forms.into_iter().filter(|(taken, _, _)| *taken);
    let mut found = taken.filter_map(|(_, ending, coding)| {
        Files::get(&format!("{name}.{ending}")).map(|file| (file, Some(coding)))
    });
    found.next().or_else(|| Files::get(name).map(|file| (file, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn encodings_are_those_that_the_client_takes() {
        for (value, brotli, gzip) in [
            ("gzip, deflate, br, zstd", true, true),
            ("gzip", false, true),
            ("BR;q=0.5, gzip;q=0", true, false),
            ("br; q=0.0", false, false),
            ("identity", false, false),
        ] {
            let wanted = Wanted::of(&headers(header::ACCEPT_ENCODING, value));
            assert_eq!((wanted.brotli, wanted.gzip), (brotli, gzip), "{value}");
        }
    }

    #[test]
    fn every_part_lies_there_whole_and_compressed_and_is_named_by_its_bytes() {
        let wants = |brotli, gzip| Wanted { brotli, gzip, known: Vec::new() };
        for (wanted, coding) in
            [(wants(true, true), "br"), (wants(false, true), "gzip"), (wants(false, false), "")]
        {
            let answer = file("assets/app.js", &wanted).expect("a part");
            let told =
                |name| answer.headers().get(name).map_or("", |value| value.to_str().expect("text"));
            assert_eq!(told(header::CONTENT_ENCODING), coding);
            let known = vec![told(header::ETAG).to_owned()];
            let again = file("assets/app.js", &Wanted { known, ..wanted }).expect("a part");
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{coding}");
        }
        assert!(file("assets/app.js.br", &wants(true, true)).is_err());
        assert!(file("../login/index.html", &wants(true, true)).is_err());
    }
}
