//! Servers that are not what they should be.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::StreamExt;
use orchestrator::application::ports::driver::{AgentDriver, DriverError};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::infrastructure::drivers::opencode::{Attach, Options};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::support::opencode::{Bench, assignment, repository};

/// A stand-in on a free port; ends with its value.
struct StandIn {
    url: String,
    task: JoinHandle<()>,
}

impl StandIn {
    #[expect(clippy::disallowed_methods, reason = "a test keeps its own task and ends it")]
    async fn serve(router: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serves");
        });
        Self { url, task }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn json_body(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn health() -> Response {
    json_body(&json!({ "healthy": true, "version": "1.18.33" }))
}

fn attached(state: &Path, url: &str) -> Bench {
    let mut options = Options::new(state);
    options.attach = Some(Attach {
        url: url.to_owned(),
        username: "opencode".to_owned(),
        password: SecretString::from("right"),
    });
    Bench::new(options)
}

/// A healthy server on which every other call is answered like this; what a start makes of it.
async fn start_against(router: Router) -> DriverError {
    let root = tempfile::tempdir().expect("a folder");
    let stand_in = StandIn::serve(router.route("/global/health", get(health))).await;
    let bench = attached(root.path(), &stand_in.url);
    let repo = repository(root.path(), "repo");
    let started = bench.driver.start(assignment(&repo, "x".to_owned())).await;
    started.err().expect("it cannot start")
}

#[tokio::test]
async fn a_wrong_password_is_named() {
    async fn guarded(headers: HeaderMap) -> Response {
        // The word is not the one that the driver was given.
        match headers.get(header::AUTHORIZATION) {
            Some(value) if value == "Basic b3BlbmNvZGU6b3RoZXI=" => health().await,
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    let root = tempfile::tempdir().expect("a folder");
    let stand_in = StandIn::serve(Router::new().fallback(any(guarded))).await;
    let refused = attached(root.path(), &stand_in.url)
        .driver
        .probe(TenantId::BOOTSTRAP, &Map::new())
        .await
        .expect_err("refused");
    assert!(!refused.retryable && refused.message.contains("password"), "{refused}");
}

#[tokio::test]
async fn a_web_page_is_not_an_answer() {
    let page = Router::new().fallback(any(async || Html("<html>hello</html>")));
    let refused = start_against(page).await;
    assert_eq!(refused.error_type, ErrorType::AgentProtocolError, "{refused}");
}

#[tokio::test]
async fn garbage_and_endless_answers_are_cut_off() {
    async fn stream() -> Response {
        let first = "data: {\"type\":\"server.connected\"}\n\n";
        let rest = futures_util::stream::pending();
        let body =
            futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(first))]).chain(rest);
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
    }
    async fn garbage() -> Response {
        ([(header::CONTENT_TYPE, "application/json")], "{\"providers\": [[[").into_response()
    }
    async fn endless() -> Response {
        let chunk = Bytes::from(vec![b' '; 1024 * 1024]);
        let body =
            futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()))
                .take(1024);
        ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response()
    }
    let router = || Router::new().route("/event", get(stream));
    let refused = start_against(router().fallback(any(garbage))).await;
    assert_eq!(refused.error_type, ErrorType::AgentProtocolError, "{refused}");
    let refused = start_against(router().fallback(any(endless))).await;
    assert_eq!(refused.error_type, ErrorType::AgentProtocolError, "{refused}");
    assert!(refused.message.contains("8 MiB"), "{refused}");
}

#[tokio::test]
async fn an_endless_event_is_cut_off() {
    async fn endless() -> Response {
        let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("data: "))]);
        let body =
            first.chain(futures_util::stream::repeat_with(move || Ok(chunk.clone())).take(1024));
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
    }
    let refused = start_against(Router::new().fallback(any(endless))).await;
    assert_eq!(refused.error_type, ErrorType::AgentProtocolError, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_given_up() {
    let hang = Router::new().fallback(any(std::future::pending::<StatusCode>));
    let root = tempfile::tempdir().expect("a folder");
    let stand_in = StandIn::serve(hang).await;
    let refused = attached(root.path(), &stand_in.url)
        .driver
        .probe(TenantId::BOOTSTRAP, &Map::new())
        .await
        .expect_err("late");
    assert_eq!(refused.error_type, ErrorType::AgentLost, "{refused}");
}

/// A server of our own that claims to listen where the stand-in does.
fn supervised(state: &Path, url: &str) -> Bench {
    let mut options = crate::support::opencode::bare_options(state);
    let script = format!("echo opencode server listening on {url}; exec sleep 300");
    options.command = vec!["sh".to_owned(), "-c".to_owned(), script];
    Bench::new(options)
}

#[tokio::test]
async fn a_server_that_needs_no_password_is_killed() {
    let root = tempfile::tempdir().expect("a folder");
    let open = Router::new()
        .route("/global/health", get(health))
        .fallback(any(async || json_body(&json!([]))));
    let stand_in = StandIn::serve(open).await;
    let bench = supervised(&root.path().join("state"), &stand_in.url);
    let refused = bench.driver.probe(TenantId::BOOTSTRAP, &Map::new()).await.expect_err("refused");
    assert!(!refused.retryable && refused.message.contains("401"), "{refused}");
    assert_eq!(bench.processes(), [0; 0], "it still runs");
}

#[tokio::test]
async fn unknown_versions_and_failed_starts_are_told_with_their_reason() {
    let root = tempfile::tempdir().expect("a folder");
    let old = async || json_body(&json!({ "healthy": true, "version": "2.0.1" }));
    let stand_in = StandIn::serve(Router::new().route("/global/health", get(old))).await;
    let bench = supervised(&root.path().join("state"), &stand_in.url);
    let refused = bench.driver.probe(TenantId::BOOTSTRAP, &Map::new()).await.expect_err("refused");
    assert!(refused.message.contains("2.0.1") && !refused.retryable, "{refused}");
    assert_eq!(bench.processes(), [0; 0]);

    let mut options = crate::support::opencode::bare_options(&root.path().join("other"));
    options.env = vec![("LAB_KEY".to_owned(), "canary-of-the-provider".to_owned())];
    let script = "echo the disk is full $LAB_KEY >&2; exit 3".to_owned();
    options.command = vec!["sh".to_owned(), "-c".to_owned(), script];
    let refused = Bench::new(options.clone())
        .driver
        .probe(TenantId::BOOTSTRAP, &Map::new())
        .await
        .expect_err("refused");
    assert!(refused.message.contains("the disk is full ***"), "{refused}");
    options.command = vec!["sh".to_owned(), "-c".to_owned(), "exec sleep 300".to_owned()];
    options.ready_timeout = Duration::from_millis(300);
    let bench = Bench::new(options);
    let refused = bench.driver.probe(TenantId::BOOTSTRAP, &Map::new()).await.expect_err("refused");
    assert!(refused.message.contains("did not listen"), "{refused}");
    assert_eq!(bench.processes(), [0; 0]);
}
