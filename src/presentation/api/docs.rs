//! The documentation: the OpenAPI document, a page to try it, and a page for every problem.

use std::sync::{Arc, LazyLock};

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use utoipa_swagger_ui::Config;

use super::codes::ErrorCode;
use super::extract::Path;
use super::openapi::openapi_json;
use super::problem::Problem;

/// What the page needs: it styles itself inline.
const DOCS_CSP: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

/// Pages that say what to do about each problem.
#[derive(RustEmbed)]
#[folder = "assets/problems"]
struct Problems;

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(Config::from("/openapi.json").try_it_out_enabled(true).persist_authorization(false))
});
static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn openapi() -> Response {
    let media_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, media_type)], DOCUMENT.as_str()).into_response()
}

/// A page to read and try this document.
#[utoipa::path(get, path = "/docs", tag = "documentation",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
pub async fn page() -> Result<Response, Problem> {
    let response = swagger("index.html")?;
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_ENCODING);
    Ok((parts, PAGE).into_response())
}

/// The page's own shell: its parts are named by their place below `/docs/`.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Industrial Orchestrator API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/swagger-ui-standalone-preset.js"></script>
<script src="/docs/swagger-initializer.js"></script>
</body>
</html>
"#;

/// Scripts and styles of the page.
#[utoipa::path(get, path = "/docs/{file}", tag = "documentation",
    params(("file" = String, Path, description = "Name of a part of the page", example = "swagger-ui.css")),
    responses((status = 200, description = "The part", content(
        (String = "text/javascript"), (String = "text/css"), (String = "text/html"),
        (Vec<u8> = "image/png"), (String = "application/json"),
    ))))]
pub async fn part(Path(file): Path<String>) -> Result<Response, Problem> {
    swagger(&file)
}

fn swagger(file: &str) -> Result<Response, Problem> {
    let missing = || Problem::new(ErrorCode::RouteNotFound, "the page has no such part");
    let found = utoipa_swagger_ui::serve(file, Arc::clone(&CONFIG)).map_err(|_| missing())?;
    let found = found.ok_or_else(missing)?;
    let mut response = found.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    if let Ok(media_type) = HeaderValue::try_from(found.content_type) {
        headers.insert(header::CONTENT_TYPE, media_type);
    }
    if found.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_CSP));
    Ok(response)
}

/// What a problem means and what helps; the `type` of an error leads here.
#[utoipa::path(get, path = "/problems/{name}", tag = "documentation",
    params(("name" = String, Path, description = "Code of the problem in kebab case", example = "invalid-transition")),
    responses((status = 200, description = "The page, as Markdown", body = String, content_type = "text/plain")))]
pub async fn problem(Path(name): Path<String>) -> Result<Response, Problem> {
    let missing = || Problem::new(ErrorCode::RouteNotFound, "there is no such problem");
    let text = problem_page(&name).ok_or_else(missing)?;
    let media_type = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

/// The page of a problem.
#[must_use]
pub fn problem_page(name: &str) -> Option<Vec<u8>> {
    Problems::get(&format!("{name}.md")).map(|file| file.data.into_owned())
}
