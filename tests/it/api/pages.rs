//! The pages of the control room: which paths are answered with them, and in which form.

use axum::http::{Method, StatusCode};

use crate::support::app::{Answer, TestApp, request};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

async fn ask(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    app.send(request(Method::GET, path, None, headers)).await
}

#[tokio::test]
async fn every_page_is_the_same_document_which_runs_nothing_but_its_own_parts() {
    let app = TestApp::new().await;
    let home = ask(&app, "/", &[]).await;
    let html = home.body.as_str().expect("a page").to_owned();
    for path in ["/sessions", "/sessions/IND-000001", "/agents", "/settings/keys"] {
        let page = ask(&app, path, &[HTML]).await;
        assert_eq!((page.status, page.body.as_str()), (StatusCode::OK, Some(&*html)), "{path}");
        let csp = page.header("content-security-policy");
        assert!(csp.contains("default-src 'self'") && !csp.contains("unsafe"), "{csp}");
    }
    for inline in ["<style", "style=", "onclick", "javascript:", "http://", "https://"] {
        assert!(!html.contains(inline), "{inline} in the page");
    }
    let parts: Vec<&str> = html
        .split('"')
        .filter(|part| part.starts_with("/assets/"))
        .map(|part| part.trim_start_matches("/assets/"))
        .collect();
    assert!(parts.contains(&"app.js") && parts.contains(&"style.css"), "{parts:?}");
    for part in parts {
        let answer = ask(&app, &format!("/assets/{part}"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{part}");
    }
}

#[tokio::test]
async fn what_is_no_page_is_told_so_in_the_form_that_was_asked_for() {
    let app = TestApp::new().await;
    let nowhere = ask(&app, "/nowhere", &[HTML]).await;
    let media_type = nowhere.header("content-type");
    assert_eq!(
        (nowhere.status, media_type),
        (StatusCode::NOT_FOUND, "text/html; charset=utf-8"),
        "people are told by the page"
    );
    for path in ["/api/v1/nothing", "/api", "/ws/nothing", "/assets/nothing.js", "/docs/a/b"] {
        let problem = ask(&app, path, &[HTML]).await;
        assert_eq!(
            (problem.status, problem.code()),
            (StatusCode::NOT_FOUND, "NOT_FOUND"),
            "{path}"
        );
    }
    for path in ["/sessions", "/nowhere"] {
        let problem = ask(&app, path, &[("accept", "application/json")]).await;
        assert_eq!(
            (problem.status, problem.code()),
            (StatusCode::NOT_FOUND, "NOT_FOUND"),
            "{path}"
        );
    }
    let posted = app.send(request(Method::POST, "/sessions", None, &[HTML])).await;
    assert_eq!((posted.status, posted.code()), (StatusCode::NOT_FOUND, "NOT_FOUND"));
}

#[tokio::test]
async fn a_part_is_sent_once_and_then_asked_after() {
    let app = TestApp::new().await;
    let mut tags = Vec::new();
    for coding in ["br", "gzip", "identity"] {
        let wants = ("accept-encoding", coding);
        let first = ask(&app, "/assets/app.js", &[wants]).await;
        let sent = if coding == "identity" { "" } else { coding };
        assert_eq!((first.status, first.header("content-encoding")), (StatusCode::OK, sent));
        assert_eq!(first.header("vary"), "accept-encoding");
        assert_eq!(first.header("cache-control"), "no-cache");
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"'), "a strong one: {tag}");
        let again = ask(&app, "/assets/app.js", &[wants, ("if-none-match", &tag)]).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{coding}");
        tags.push(tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), 3, "each form is told from the others");
    let typeface = "/assets/ibm-plex-mono-latin-400-normal.woff2";
    let typeface = ask(&app, typeface, &[]).await;
    assert!(typeface.header("cache-control").contains("immutable"), "{typeface:?}");
}
