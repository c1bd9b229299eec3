//! The page to sign in with; everything on it comes from the binary.
//!
//! Invariant: what the page shows of others' text it shows as text, and nothing on it runs that is not
//! one of its files.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::RustEmbed;

use super::codes::ErrorCode;
use super::extract::Path;
use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "assets/login"]
struct Files;

/// The way in.
#[utoipa::path(get, path = "/", tag = "documentation",
    responses((status = 303, description = "To the page to sign in with")))]
pub async fn home() -> Redirect {
    Redirect::to("/login")
}

/// The page to sign in with.
#[utoipa::path(get, path = "/login", tag = "documentation",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
pub async fn page() -> Result<Response, Problem> {
    file("index.html")
}

/// Script, style and icon of the page.
#[utoipa::path(get, path = "/login/{file}", tag = "documentation",
    params(("file" = String, Path, description = "Name of a part of the page", example = "login.css")),
    responses((status = 200, description = "The part", content((String = "text/javascript"), (String = "text/css")))))]
pub async fn part(Path(name): Path<String>) -> Result<Response, Problem> {
    file(&name)
}

fn file(name: &str) -> Result<Response, Problem> {
    let missing = || Problem::new(ErrorCode::RouteNotFound, "the page has no such part");
    let media_type = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        Some(_) | None => return Err(missing()),
    };
    let found = Files::get(name).ok_or_else(missing)?;
    let media_type = HeaderValue::from_static(media_type);
    Ok(([(header::CONTENT_TYPE, media_type)], found.data.into_owned()).into_response())
}
