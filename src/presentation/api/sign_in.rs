//! The page to sign in with, and those on the way through an identity provider; everything on it comes from the binary.
//!
//! Invariant: what the page shows of others' text it shows as text, and nothing on it runs that is not
//! one of its files.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

use super::codes::ErrorCode;
use super::extract::Path;
use super::problem::Problem;
use super::state::AppState;

#[derive(RustEmbed)]
#[folder = "assets/login"]
struct Files;

/// Where the page names the identity provider.
const PROVIDER: &str = "<!-- provider -->";

/// The page to sign in with.
#[utoipa::path(get, path = "/login", tag = "documentation",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
pub async fn page(State(app): State<AppState>) -> Result<Response, Problem> {
    let Some(provider) = &app.provider else { return file("index.html") };
    let page = text("index.html").ok_or_else(missing)?;
    let name = escaped(provider.name());
    let way = format!("<a class=\"main\" href=\"/login/oidc\">Sign in with {name}</a>");
    Ok(Html(page.replace(PROVIDER, &way)).into_response())
}

/// A page with a few words, and one way on.
#[derive(Debug)]
pub struct Words<'a> {
    /// What it is about.
    pub title: &'a str,
    /// The words.
    pub text: &'a str,
    /// Whether the browser goes on by itself.
    pub goes_on: bool,
}

impl Words<'_> {
    /// The page.
    pub fn page(&self) -> Html<String> {
        // By itself, as a page of this server: a cookie that no other site may send is sent then.
        let on =
            if self.goes_on { r#"<meta http-equiv="refresh" content="0; url=/">"# } else { "" };
        let way = if self.goes_on { "Go on" } else { "Back to the sign-in" };
        let page = text("words.html").unwrap_or_default();
        let page = page.replace("<!-- on -->", on).replace("<!-- way -->", way);
        let page = page.replace("<!-- title -->", &escaped(self.title));
        Html(page.replace("<!-- text -->", &escaped(self.text)))
    }
}

/// A text as part of a page.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A page of the binary.
fn text(name: &str) -> Option<String> {
    let found = Files::get(name)?;
    String::from_utf8(found.data.into_owned()).ok()
}

/// Script, style and icon of the page.
#[utoipa::path(get, path = "/login/{file}", tag = "documentation",
    params(("file" = String, Path, description = "Name of a part of the page", example = "login.css")),
    responses((status = 200, description = "The part", content((String = "text/javascript"), (String = "text/css")))))]
pub async fn part(Path(name): Path<String>) -> Result<Response, Problem> {
    // Pages are not parts, and one of them has places that are filled in.
    if name.rsplit_once('.').is_some_and(|(_, kind)| kind.eq_ignore_ascii_case("html")) {
        return Err(missing());
    }
    file(&name)
}

fn missing() -> Problem {
    Problem::new(ErrorCode::RouteNotFound, "the page has no such part")
}

fn file(name: &str) -> Result<Response, Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_no_markup() {
        let words = Words { title: "<b>", text: "a & \"b\" 'c' <!-- way -->", goes_on: false };
        let Html(page) = words.page();
        assert!(page.contains("&lt;b&gt;"), "{page}");
        assert!(page.contains("a &amp; &quot;b&quot; &#39;c&#39; &lt;!-- way --&gt;"), "{page}");
        assert!(!page.contains("http-equiv=\"refresh\"") && !page.contains("<!--"), "{page}");
        let Html(on) = Words { goes_on: true, ..words }.page();
        assert!(on.contains("content=\"0; url=/\""), "{on}");
    }
}
