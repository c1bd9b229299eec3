//! What a newcomer does wrong over HTTP: problems with a code and a remedy, never a 5xx.

use reqwest::header::{CONTENT_TYPE, HOST, ORIGIN};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::text;
use crate::support::server::{ADMIN_KEY, Site};

/// The answer is a problem with this status and code.
async fn problem(request: RequestBuilder, status: u16, code: &str) -> Value {
    let answer = request.send().await.expect("an answer");
    let (got, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.expect("text");
    assert_eq!(got, status, "{body}");
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    assert_eq!(kind, Some("application/problem+json"), "{body}");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)));
    assert!(problem["request_id"].is_string() && !text(&problem["detail"]).is_empty(), "{body}");
    for never in ["panicked", "src/", "backtrace", ADMIN_KEY] {
        assert!(!body.contains(never), "{body}");
    }
    problem
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_wrong_are_told_what_is_wrong() {
    let site = Site::simulated();
    let server = site.serve().await;
    let open = |method: Method, path: &str| {
        server.http.request(method, format!("{}/api/v1/{path}", server.url))
    };
    let ours = |method: Method, path: &str| {
        open(method, path).bearer_auth(ADMIN_KEY).header("X-Tenant-ID", "default")
    };
    let create = || ours(Method::POST, "sessions").header(CONTENT_TYPE, "application/json");
    problem(open(Method::GET, "sessions"), 401, "UNAUTHENTICATED").await;
    let wrong = open(Method::GET, "sessions").bearer_auth("iok_wrong");
    problem(wrong.header("X-Tenant-ID", "default"), 401, "UNAUTHENTICATED").await;
    let nobody = open(Method::GET, "sessions").bearer_auth(ADMIN_KEY);
    problem(nobody.header("X-Tenant-ID", "nobody"), 404, "TENANT_NOT_FOUND").await;
    let malformed = open(Method::GET, "sessions").bearer_auth(ADMIN_KEY);
    problem(malformed.header("X-Tenant-ID", "No body!"), 400, "TENANT_MALFORMED").await;
    let nameless = open(Method::GET, "sessions").bearer_auth(ADMIN_KEY);
    problem(nameless, 400, "TENANT_REQUIRED").await;
    problem(create().body("{\"initial_prompt\": "), 422, "VALIDATION_ERROR").await;
    problem(create().body("[1]"), 422, "VALIDATION_ERROR").await;
    let large = json!({ "initial_prompt": "x".repeat(2 * 1024 * 1024) }).to_string();
    problem(create().body(large), 413, "PAYLOAD_TOO_LARGE").await;
    let form = ours(Method::POST, "sessions").header(CONTENT_TYPE, "text/plain").body("hello");
    problem(form, 415, "UNSUPPORTED_MEDIA_TYPE").await;
    let fields = json!({ "initial_prompt": "", "priority": 9, "prority": 1, "agent": "NOBODY" });
    let told = problem(create().body(fields.to_string()), 422, "VALIDATION_ERROR").await;
    let pointers: Vec<&str> =
        super::array(&told["errors"]).iter().map(|error| text(&error["pointer"])).collect();
    for pointer in ["/initial_prompt", "/priority", "/prority"] {
        assert!(pointers.contains(&pointer), "{told:#}");
    }
    let repo = json!({ "initial_prompt": "x", "start": true,
        "workspace": { "kind": "git", "repo": site.root() } });
    problem(create().body(repo.to_string()), 422, "PATH_NOT_ALLOWED").await;
    for path in ["sessions/IND-999999", "sessions/nonsense", "sessions/IND-999999/diff"] {
        problem(ours(Method::GET, path), 404, "SESSION_NOT_FOUND").await;
    }
    problem(ours(Method::POST, "sessions/IND-999999/start"), 404, "SESSION_NOT_FOUND").await;
    problem(ours(Method::GET, "sessions?limit=lots"), 422, "VALIDATION_ERROR").await;
    problem(ours(Method::GET, "sessions?cursor=!!"), 422, "VALIDATION_ERROR").await;
    problem(ours(Method::GET, "nowhere"), 404, "NOT_FOUND").await;
    problem(ours(Method::PUT, "sessions"), 405, "METHOD_NOT_ALLOWED").await;
    let foreign = ours(Method::GET, "sessions").header(ORIGIN, "https://example.com");
    problem(foreign, 403, "ORIGIN_NOT_ALLOWED").await;
    let rebound = ours(Method::GET, "sessions").header(HOST, "example.com");
    problem(rebound, 403, "HOST_NOT_ALLOWED").await;
    let keyed = |body: &Value| create().header("Idempotency-Key", "one").body(body.to_string());
    let first = keyed(&json!({ "initial_prompt": "one" })).send().await.expect("an answer");
    assert_eq!(first.status().as_u16(), 201);
    let other = keyed(&json!({ "initial_prompt": "two" }));
    problem(other, 422, "IDEMPOTENCY_KEY_REUSED").await;
    server.stop().await;
    assert!(!site.log().contains("INTERNAL_ERROR"), "{}", site.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_told_how_the_server_is_and_who_is_known_why() {
    let site = Site::simulated();
    let server = site.serve().await;
    for path in ["health", "ready"] {
        let ask = || server.http.get(format!("{}/{path}", server.url));
        let details = async |request: RequestBuilder| {
            let told: Value = request.send().await.expect("sent").json().await.expect("JSON");
            let parts = super::array(&told["components"]);
            assert!(parts.len() >= 3, "{told:#}");
            parts.iter().filter(|part| !part["detail"].is_null()).count()
        };
        assert_eq!(details(ask()).await, 0, "{path}");
        assert_eq!(details(ask().bearer_auth("iok_wrong")).await, 0, "{path}");
        assert!(details(ask().bearer_auth(ADMIN_KEY)).await > 0, "{path}");
    }
    server.stop().await;
}
