//! What every request meets first: Host, Origin, credential, tenant, size, form.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::presentation::api::caller::Peer;
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Map, Value, json};

use crate::support::app::{ADMIN, OTHER, TestApp, bearer, request};

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_everywhere() {
    let options = ApiOptions {
        rate: None,
        allowed_hosts: vec!["box.example".to_owned()],
        allowed_origins: vec!["https://board.example".to_owned()],
        ..ApiOptions::default()
    };
    let app = TestApp::with(options, Vec::new()).await;
    let paths =
        ["/health", "/docs", "/openapi.json", "/api/v1/sessions", "/ws/sessions", "/nowhere"];
    for path in paths {
        for host in [
            "evil.example",
            "localhost",
            "localhost:8001",
            "localhost.evil:8000",
            "x@localhost:8000",
        ] {
            let answer = app.send(request(Method::GET, path, None, &[("host", host)])).await;
            assert_eq!(
                (answer.status, answer.code()),
                (StatusCode::FORBIDDEN, "HOST_NOT_ALLOWED"),
                "{path} {host}"
            );
        }
        for origin in [
            "null",
            "http://evil.example",
            "http://localhost:8001",
            "file://",
            "http://localhost:8000.evil",
        ] {
            let answer = app.send(request(Method::GET, path, None, &[("origin", origin)])).await;
            assert_eq!(
                (answer.status, answer.code()),
                (StatusCode::FORBIDDEN, "ORIGIN_NOT_ALLOWED"),
                "{path} {origin}"
            );
            assert!(answer.headers.get("access-control-allow-origin").is_none());
        }
    }
    for host in ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LocalHost:8000", "box.example"]
    {
        let answer = app.send(request(Method::GET, "/health/live", None, &[("host", host)])).await;
        assert_eq!(answer.status, StatusCode::OK, "{host}");
    }
    let own = app
        .send(request(Method::GET, "/health/live", None, &[("origin", "http://localhost:8000")]))
        .await;
    assert_eq!(own.status, StatusCode::OK);
    let listed = [("origin", "https://board.example"), ("access-control-request-method", "POST")];
    let preflight = app.send(request(Method::OPTIONS, "/api/v1/sessions", None, &listed)).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://board.example");
}

#[tokio::test]
async fn a_missing_or_repeated_host_is_malformed() {
    let app = TestApp::new().await;
    let mut twice = request(Method::GET, "/health", None, &[]);
    twice.headers_mut().append("host", "localhost:8000".parse().expect("valid"));
    let mut missing = request(Method::GET, "/health", None, &[]);
    missing.headers_mut().remove("host");
    for request in [twice, missing] {
        let answer = app.send(request).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "PROTOCOL_ERROR"));
    }
}

#[tokio::test]
async fn every_answer_carries_its_id_and_tells_browsers_what_not_to_do() {
    let app = TestApp::new().await;
    for path in ["/health", "/nowhere", "/docs", "/api/v1/sessions"] {
        let answer =
            app.send(request(Method::GET, path, None, &[("x-request-id", "my-id.1")])).await;
        assert_eq!(answer.header("x-request-id"), "my-id.1", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(
            answer.header("content-security-policy").contains("frame-ancestors 'none'"),
            "{path}"
        );
    }
    let answer =
        app.send(request(Method::GET, "/nowhere", None, &[("x-request-id", "not valid!")])).await;
    assert_eq!(answer.header("x-request-id").len(), 36);
    assert_eq!(answer.body["request_id"], answer.header("x-request-id"));
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_problems() {
    let app = TestApp::new().await;
    let missing = app.get("/api/v1/nothing").await;
    assert_eq!((missing.status, missing.code()), (StatusCode::NOT_FOUND, "NOT_FOUND"));
    assert_eq!(missing.header("content-type"), "application/problem+json");
    let wrong = app.send(app.request(Method::DELETE, "/api/v1/sessions", None)).await;
    assert_eq!(
        (wrong.status, wrong.code()),
        (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")
    );
    let allow = wrong.header("allow");
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn every_bad_credential_gets_the_same_answer() {
    let app = TestApp::new().await;
    let mut seen: Vec<Value> = Vec::new();
    let made = async || {
        let made = app.post("/api/v1/keys", json!({ "name": "ci", "role": "viewer" })).await;
        let part = |name: &str| made.body[name].as_str().expect("text").to_owned();
        (format!("/api/v1/keys/{}", part("id")), bearer(&part("secret")))
    };
    let ((gone, revoked), (old, expired)) = (made().await, made().await);
    app.send(app.request(Method::DELETE, &gone, None)).await;
    app.post(&format!("{old}/rotate"), json!({ "grace_seconds": 0 })).await;
    let bad = [None, Some("Bearer iok_wrong"), Some("Basic eDp5"), Some("Bearer")];
    for credential in bad.into_iter().chain([Some(&*revoked), Some(&*expired)]) {
        let mut headers = vec![("x-tenant-id", "default"), ("x-request-id", "same")];
        headers.extend(credential.map(|value| ("authorization", value)));
        let answer = app.send(request(Method::GET, "/api/v1/sessions", None, &headers)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        seen.push(answer.body);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    for _ in 0..7 {
        app.send(request(Method::GET, "/api/v1/sessions", None, &[("authorization", "Bearer x")]))
            .await;
    }
    let wrong = [("authorization", "Bearer y")];
    let answer = app.send(request(Method::GET, "/api/v1/sessions", None, &wrong)).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    assert!(!answer.header("retry-after").is_empty());
    // Nobody is locked out by what others do at the same address.
    assert_eq!(app.get("/api/v1/sessions").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_tenant_comes_from_the_key_or_must_be_named() {
    let app = TestApp::new().await;
    let bound = app.key(app.other, Role::Member).await;
    let (admin, bound) = (bearer(ADMIN), bearer(&bound));
    let (other, unknown) = (app.other.to_string(), app.ids.uuid().to_string());
    let cases: [(&str, Option<&str>, u16, &str); 16] = [
        (&admin, None, 400, "TENANT_REQUIRED"),
        (&admin, Some("default"), 200, ""),
        (&admin, Some("00000000-0000-0000-0000-000000000001"), 200, ""),
        (&admin, Some(OTHER), 200, ""),
        (&admin, Some(&other), 200, ""),
        (&admin, Some(&unknown), 404, "TENANT_NOT_FOUND"),
        (&admin, Some("nobody"), 404, "TENANT_NOT_FOUND"),
        (&admin, Some("Not A Slug"), 400, "TENANT_MALFORMED"),
        (&admin, Some(""), 400, "TENANT_MALFORMED"),
        (&bound, None, 200, ""),
        (&bound, Some(OTHER), 200, ""),
        (&bound, Some(&other), 200, ""),
        (&bound, Some("default"), 403, "TENANT_MISMATCH"),
        (&bound, Some(&unknown), 403, "TENANT_MISMATCH"),
        (&bound, Some("nobody"), 403, "TENANT_MISMATCH"),
        (&bound, Some("../x"), 400, "TENANT_MALFORMED"),
    ];
    for (key, tenant, status, code) in cases {
        let mut headers = vec![("authorization", key)];
        headers.extend(tenant.map(|tenant| ("x-tenant-id", tenant)));
        let answer = app.send(request(Method::GET, "/api/v1/sessions", None, &headers)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{tenant:?}");
    }
    let twice = [("authorization", &*bound), ("x-tenant-id", OTHER), ("x-tenant-id", OTHER)];
    let answer = app.send(request(Method::GET, "/api/v1/sessions", None, &twice)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "TENANT_MALFORMED"));
}

#[tokio::test]
async fn dev_mode_needs_no_key_but_a_tenant() {
    let options = ApiOptions { dev: true, rate: None, ..ApiOptions::default() };
    let app = TestApp::with(options, Vec::new()).await;
    let open = app
        .send(request(Method::GET, "/api/v1/sessions", None, &[("x-tenant-id", "default")]))
        .await;
    assert_eq!(open.status, StatusCode::OK);
    let unnamed = app.send(request(Method::GET, "/api/v1/sessions", None, &[])).await;
    assert_eq!(unnamed.code(), "TENANT_REQUIRED");
    let wrong = [("x-tenant-id", "default"), ("authorization", "Bearer iok_wrong")];
    let wrong = app.send(request(Method::GET, "/api/v1/sessions", None, &wrong)).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_rate_is_told_and_kept() {
    let options = ApiOptions { rate: Some((3, 1)), ..ApiOptions::default() };
    let app = TestApp::with(options, Vec::new()).await;
    let first = app.get("/api/v1/sessions").await;
    assert_eq!(first.header("ratelimit"), "\"key\";r=2;t=1");
    for _ in 0..2 {
        assert_eq!(app.get("/api/v1/sessions").await.status, StatusCode::OK);
    }
    let refused = app.get("/api/v1/sessions").await;
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_json_objects() {
    let app = TestApp::new().await;
    let send = |content_type: &'static str, body: Vec<u8>, chunked: bool| {
        let mut request = app.request(Method::POST, "/api/v1/sessions", None);
        let headers = request.headers_mut();
        if !content_type.is_empty() {
            headers.insert("content-type", content_type.parse().expect("valid"));
        }
        *request.body_mut() = if chunked {
            let chunks = body.chunks(65_536).map(|part| Ok::<_, std::io::Error>(part.to_vec()));
            Body::from_stream(futures_util::stream::iter(chunks.collect::<Vec<_>>()))
        } else {
            Body::from(body)
        };
        app.send(request)
    };
    let large = vec![b' '; (1 << 20) + 1];
    for chunked in [false, true] {
        let answer = send("application/json", large.clone(), chunked).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (413, "PAYLOAD_TOO_LARGE"),
            "{chunked}"
        );
    }
    for media_type in ["", "text/plain", "application/x-www-form-urlencoded"] {
        let answer = send(media_type, b"{}".to_vec(), false).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (415, "UNSUPPORTED_MEDIA_TYPE"));
    }
    let deep = format!("{{\"metadata\":{}{}}}", "[".repeat(70), "]".repeat(70));
    let deeper = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for body in ["{", "[]", "3", &deep, &deeper, "{\"a\":1e999}"] {
        let answer = send("application/json", body.as_bytes().to_vec(), false).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "VALIDATION_ERROR"),
            "{body:.40}"
        );
    }
    let answer =
        send("application/json; charset=utf-8", br#"{"initial_prompt":"x"}"#.to_vec(), false).await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn everything_wrong_with_a_body_is_told_at_once() {
    let app = TestApp::new().await;
    let body = json!({
        "title": "untitled", "priority": 9, "start": "yes", "max_duration_seconds": 59,
        "workspace": { "kind": "git" }, "frobnicate": 1, "retry_policy": { "jiter": 0.1 },
    });
    let answer = app.post("/api/v1/sessions", body).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "VALIDATION_ERROR"));
    let errors = answer.body["errors"].as_array().expect("a list");
    let mut pointers: Vec<&str> =
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    pointers.sort_unstable();
    pointers.dedup();
    assert_eq!(
        pointers,
        [
            "/frobnicate",
            "/initial_prompt",
            "/max_duration_seconds",
            "/priority",
            "/retry_policy/jiter",
            "/start",
            "/title",
            "/workspace/repo",
        ]
    );
    let answer = app.get("/api/v1/sessions?limit=0&status=nope&colour=red&sort=title").await;
    assert_eq!(answer.status.as_u16(), 422);
    let errors = answer.body["errors"].as_array().expect("a list");
    let pointers: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    assert_eq!(pointers, ["?status", "?sort", "?limit", "?colour"]);
}

#[tokio::test]
async fn what_contradicts_itself_or_would_be_rounded_away_is_refused() {
    let app = TestApp::new().await;
    for (mut body, pointer) in [
        (json!({ "max_retries": 3, "retry_policy": { "max_retries": 4 } }), "/max_retries"),
        (json!({ "parent_id": "a", "parent_session_id": "b" }), "/parent_session_id"),
        (json!({ "budget_usd": 0.000_000_1 }), "/budget_usd"),
    ] {
        body["initial_prompt"] = json!("x");
        let answer = app.post("/api/v1/sessions", body).await;
        assert_eq!(answer.status.as_u16(), 422, "{answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{answer:?}");
    }
    for body in [
        json!({ "initial_prompt": "x", "max_retries": 4, "retry_policy": { "max_retries": 4 } }),
        json!({ "initial_prompt": "x", "max_retries": 4, "retry_policy": { "jitter": 0.5 } }),
    ] {
        let answer = app.post("/api/v1/sessions", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert_eq!(answer.body["retry_policy"]["max_retries"], 4, "{answer:?}");
    }
}

#[tokio::test]
async fn another_tenants_session_looks_like_none() {
    let app = TestApp::new().await;
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let stranger = bearer(&app.key(app.other, Role::Admin).await);
    let random = app.ids.uuid().to_string();
    for path in [
        "",
        "/attempts",
        "/logs",
        "/transcript",
        "/events",
        "/checkpoints",
        "/tree",
        "/explain",
        "/diff",
    ] {
        let mut bodies = Vec::new();
        for id in [&id, &random] {
            let path = format!("/api/v1/sessions/{id}{path}");
            let headers = [("authorization", &*stranger), ("x-request-id", "same")];
            let answer = app.send(request(Method::GET, &path, None, &headers)).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code()),
                (404, "SESSION_NOT_FOUND"),
                "{path}"
            );
            bodies.push(answer.body);
        }
        assert_eq!(bodies[0], bodies[1], "{path}");
    }
    assert_ne!(app.other, TenantId::BOOTSTRAP);
}

#[tokio::test]
async fn health_and_figures_are_there() {
    let app = TestApp::new().await;
    let health = app.send(request(Method::GET, "/health", None, &[])).await;
    assert_eq!(health.body["status"], "healthy");
    assert_eq!(health.body["version"], env!("CARGO_PKG_VERSION"));
    assert!(health.body["components"].as_array().is_some_and(|parts| !parts.is_empty()));
    for path in ["/ready", "/health/ready"] {
        assert_eq!(app.send(request(Method::GET, path, None, &[])).await.status, StatusCode::OK);
    }
    app.post("/api/v1/sessions", json!({ "initial_prompt": "x", "start": true })).await;
    let figures = app.send(request(Method::GET, "/metrics", None, &[])).await;
    let text = figures.body.as_str().expect("a text");
    for line in [
        "orchestrator_sessions{status=\"queued\"} 1",
        "orchestrator_active_sessions 1",
        "http_requests_total{endpoint=\"/api/v1/sessions\",method=\"POST\",status=\"201\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    app.state.system.set_draining();
    let ready = app.send(request(Method::GET, "/ready", None, &[])).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.body["reason"], "shutting down");
}

#[tokio::test]
async fn closed_figures_need_a_key() {
    let options = ApiOptions { open_metrics: false, rate: None, ..ApiOptions::default() };
    let app = TestApp::with(options, Vec::new()).await;
    let closed = app.send(request(Method::GET, "/metrics", None, &[])).await;
    assert_eq!(closed.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.get("/metrics").await.status, StatusCode::OK);
}

#[tokio::test]
async fn open_figures_are_open_to_this_machine_alone() {
    let app = TestApp::new().await;
    let ask = |peer: &str, headers: &[(&str, &str)]| {
        let mut request = request(Method::GET, "/metrics", None, headers);
        request.extensions_mut().insert(Peer(peer.parse().expect("an address")));
        app.send(request)
    };
    for peer in ["127.0.0.1", "127.3.0.9", "::1"] {
        let figures = ask(peer, &[]).await;
        assert_eq!(figures.status, StatusCode::OK, "{peer}");
        assert!(!figures.body.as_str().is_some_and(|text| text.contains("tenant=")));
    }
    for (peer, headers) in [
        ("192.168.1.7", vec![]),
        ("127.0.0.1", vec![("x-forwarded-for", "192.168.1.7")]),
        ("127.0.0.1", vec![("forwarded", "for=192.168.1.7")]),
    ] {
        assert_eq!(
            ask(peer, &headers).await.status,
            StatusCode::UNAUTHORIZED,
            "{peer} {headers:?}"
        );
    }
    let key = bearer(ADMIN);
    let known = ask("192.168.1.7", &[("authorization", &key)]).await;
    assert_eq!(known.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_in_a_url_is_refused_everywhere() {
    let app = TestApp::new().await;
    for path in ["/health", "/api/v1/sessions", "/nowhere", "/docs", "/ws/sessions"] {
        for query in ["key=iok_x", "token=x", "x=iob_1", "access_token=", "a=b&x=iol_1"] {
            let answer = app.get(&format!("{path}?{query}")).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (400, "PROTOCOL_ERROR"), "{path}");
        }
    }
}

#[tokio::test]
async fn however_much_is_wrong_the_answer_stays_small() {
    let app = TestApp::new().await;
    let many: Map<String, Value> = (0..60_000).map(|n| (format!("a{n}"), json!(1))).collect();
    let scopes: Vec<_> = (0..30_000).map(|n| format!("x{n}")).collect();
    let types = (0..5_000).fold(String::new(), |all, n| all + "&type=x" + &n.to_string());
    for answer in [
        app.post("/api/v1/sessions", Value::Object(many.clone())).await,
        app.post("/api/v1/keys", json!({ "name": "a", "role": "viewer", "scopes": scopes })).await,
        app.get(&format!("/api/v1/events?limit=1{types}")).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "VALIDATION_ERROR"));
        let errors = answer.body["errors"].as_array().expect("a list");
        assert!(errors.len() <= 51, "{}", errors.len());
        let last = errors.last().expect("one")["message"].as_str().unwrap_or("");
        assert!(last.contains("not listed"), "{last}");
    }
    // Strangers may not even send that much.
    for path in ["/api/v1/login", "/api/v1/invites/accept"] {
        let body = Some(Value::Object(many.clone()));
        let page = [("origin", "http://localhost:8000"), ("x-requested-with", "orchestrator")];
        let answer = app.send(request(Method::POST, path, body, &page)).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path} {answer:?}");
    }
}
