//! Browsers: signed in by link or key, walled, listed, signed out.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use orchestrator::application::identity::browsers::Proof;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::presentation::api::caller::Scheme;
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};

use crate::support::app::{ADMIN, Answer, TestApp, bearer, request};

const LOGIN: &str = "/api/v1/login";
pub(super) const OWN: [(&str, &str); 2] =
    [("origin", "http://localhost:8000"), ("x-requested-with", "orchestrator")];

/// The name and secret of the cookie that came with an answer.
pub(super) fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie");
    set.split(';').next().expect("a cookie").to_owned()
}

pub(super) fn signing_in(body: Value) -> Request<Body> {
    request(Method::POST, LOGIN, Some(body), &OWN)
}

pub(super) async fn sign_in(app: &TestApp, body: Value) -> Answer {
    app.send(signing_in(body)).await
}

/// As a page of the server asks for whoever is signed in.
async fn ask(
    app: &TestApp,
    cookie: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let mut headers = OWN.to_vec();
    headers.push(("cookie", cookie));
    app.send(request(method, path, body, &headers)).await
}

pub(super) async fn who(app: &TestApp, cookie: &str) -> Answer {
    ask(app, cookie, Method::GET, "/api/v1/whoami", None).await
}

pub(super) async fn link(app: &TestApp, key: &str) -> Answer {
    let key = bearer(key);
    let headers = [("authorization", &*key)];
    app.send(request(Method::POST, "/api/v1/login-links", None, &headers)).await
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

#[tokio::test]
async fn a_link_signs_one_browser_in_with_the_rights_of_its_key() {
    let app = TestApp::new().await;
    let scopes = Scopes::of([orchestrator::domain::tenant::scope::Scope::Metrics]);
    let key = app.key_with(app.other, Role::Lead, scopes, false).await;
    let made = link(&app, &key).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let token = text(&made.body, "token");
    assert!(token.starts_with("iol_") && token.len() == 4 + 43, "{token}");
    assert_eq!(text(&made.body, "path"), format!("/login#token={token}"));
    let mut asked = signing_in(json!({ "token": token }));
    let agent = "Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0";
    asked.headers_mut().insert("user-agent", agent.parse().expect("plain"));
    let signed = app.send(asked).await;
    assert_eq!(signed.status, StatusCode::OK, "{signed:?}");
    let set = signed.header("set-cookie").to_owned();
    assert!(set.starts_with("orchestrator_session_8000=iob_"), "{set}");
    assert!(set.ends_with("; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    assert!(!signed.body.to_string().contains("iob_"), "scripts do not see the secret");
    let me = who(&app, &cookie(&signed)).await;
    assert_eq!(text(&me.body, "name"), "browser (Firefox)");
    assert_eq!((text(&me.body, "role"), &me.body["scopes"]), ("lead", &json!(["metrics"])));
    assert_eq!(text(&me.body, "tenant_id"), app.other.to_string());
    let again = sign_in(&app, json!({ "token": token })).await;
    assert_eq!((again.status, again.code()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
    assert_eq!(again.header("set-cookie"), "");
}

#[tokio::test]
async fn who_made_a_link_is_on_record_without_its_secret() {
    let app = TestApp::new().await;
    let key = app.key(app.other, Role::Admin).await;
    let made = link(&app, &key).await;
    let token = text(&made.body, "token");
    let key = bearer(&key);
    let headers = [("authorization", &*key)];
    let path = "/api/v1/audit?action=create_login_link";
    let told = app.send(request(Method::GET, path, None, &headers)).await;
    let [entry] = told.body["items"].as_array().expect("entries").as_slice() else {
        panic!("one entry: {told:?}")
    };
    let who = app.send(request(Method::GET, "/api/v1/whoami", None, &headers)).await;
    assert_eq!(entry["subject"]["id"], who.body["key_id"], "for whom: {entry} {who:?}");
    assert_eq!(entry["after"]["expires_at"], made.body["expires_at"]);
    assert_eq!((text(&entry["actor"], "kind"), &entry["outcome"]), ("key", &json!("ok")));
    assert_eq!(entry["actor"]["id"], who.body["key_id"], "by whom");
    assert!(!entry.to_string().contains(&token[4..]), "no secret in it");
    assert_eq!(text(entry, "request_id"), made.header("x-request-id"));
}

#[tokio::test]
async fn a_link_is_used_up_by_the_browser_that_it_opens_and_by_nothing_else() {
    let app = TestApp::new().await;
    let key = app.key(app.other, Role::Admin).await;
    let token = link(&app, &key).await.body["token"].as_str().expect("a token").to_owned();
    let switch = async |on: bool| {
        let (path, key) = ("/api/v1/tenants/other", bearer(ADMIN));
        let headers = [("authorization", &*key)];
        let body = json!({ "is_active": on });
        let answer = app.send(request(Method::PATCH, path, Some(body), &headers)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    };
    switch(false).await;
    let off = sign_in(&app, json!({ "token": token })).await;
    assert_eq!(off.code(), "TENANT_NOT_FOUND");
    switch(true).await;
    assert_eq!(sign_in(&app, json!({ "token": token })).await.status, StatusCode::OK);

    // No browser is opened: this key has as many as it may.
    let token = link(&app, &key).await.body["token"].as_str().expect("a token").to_owned();
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    let opener = app.state.identity.opener(&Proof::Key(key), peer).await;
    let opener = opener.expect("read").expect("a key");
    while app.state.identity.sign_in(&opener, "one more", "r").await.is_ok() {}
    for _ in 0..3 {
        let full = sign_in(&app, json!({ "token": token })).await;
        assert_eq!(full.code(), "QUOTA_EXCEEDED", "it is still good: {full:?}");
    }

    // However many try at the same time, one of them comes in.
    let other = app.key(app.other, Role::Admin).await;
    let token = link(&app, &other).await.body["token"].as_str().expect("a token").to_owned();
    let racing = (0..8).map(|_| sign_in(&app, json!({ "token": token })));
    let tried = futures_util::future::join_all(racing).await;
    let inside = tried.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(inside, 1, "{tried:?}");
    assert_eq!(sign_in(&app, json!({ "token": token })).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_signs_in_too_and_both_are_of_no_use_in_each_others_place() {
    let app = TestApp::new().await;
    let key = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let signed = sign_in(&app, json!({ "key": key })).await;
    assert_eq!(signed.status, StatusCode::OK, "{signed:?}");
    let cookie = cookie(&signed);
    let (name, secret) = cookie.split_once('=').expect("a pair");
    assert_eq!(who(&app, &cookie).await.status, StatusCode::OK);
    // The cookie's secret is no key, and the key is no cookie; nor is a link either of them.
    let token = link(&app, &key).await.body["token"].as_str().expect("a token").to_owned();
    let mut refusals = Vec::new();
    for shown in [secret, &token, "iok_wrong"] {
        let headers = [("authorization", &*bearer(shown))];
        refusals.push(app.send(request(Method::GET, "/api/v1/whoami", None, &headers)).await);
    }
    for shown in [&*key, &token, "iob_wrong"] {
        refusals.push(who(&app, &format!("{name}={shown}")).await);
    }
    for proof in [json!({ "key": secret }), json!({ "key": token }), json!({ "token": key })] {
        refusals.push(sign_in(&app, proof).await);
    }
    let body = |answer: &Answer| {
        let mut body = answer.body.clone();
        body["request_id"] = Value::Null;
        body
    };
    for refused in &refusals {
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
        assert_eq!(body(refused), body(&refusals[0]), "all look the same");
    }
    // That were nine; the tenth closes the door for this address.
    assert_eq!(sign_in(&app, json!({ "token": "x" })).await.status, StatusCode::UNAUTHORIZED);
    let closed = sign_in(&app, json!({ "token": "x" })).await;
    assert_eq!((closed.status, closed.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    assert_eq!(sign_in(&app, json!({ "key": key })).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_shown_on_purpose_counts_alone() {
    let app = TestApp::new().await;
    let key = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let cookie = cookie(&sign_in(&app, json!({ "key": key })).await);
    let viewer = bearer(&app.key(TenantId::BOOTSTRAP, Role::Viewer).await);
    let both = |authorization: &str| {
        let headers = [("cookie", &*cookie), ("authorization", authorization)];
        request(Method::GET, "/api/v1/whoami", None, &headers)
    };
    assert_eq!(text(&app.send(both(&viewer)).await.body, "role"), "viewer");
    let wrong = app.send(both("Bearer iok_wrong")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "the cookie does not help");
    // Programs need none of what pages need, whatever cookies they send.
    let headers = [("cookie", &*cookie), ("authorization", &*viewer)];
    let asked = request(Method::POST, "/api/v1/ws-tickets", None, &headers);
    assert_eq!(app.send(asked).await.status, StatusCode::CREATED);
    let twice = who(&app, &format!("{cookie}; {cookie}")).await;
    assert_eq!(twice.code(), "PROTOCOL_ERROR", "{twice:?}");
    let among = who(&app, &format!("a=b; {cookie}; orchestrator_session_8001=x")).await;
    assert_eq!(among.status, StatusCode::OK, "others' cookies are theirs");
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let options = ApiOptions {
        rate: None,
        allowed_origins: vec!["http://friend.example".to_owned()],
        ..ApiOptions::default()
    };
    let app = TestApp::with(options, Vec::new()).await;
    let key = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let cookie = cookie(&sign_in(&app, json!({ "key": key })).await);
    let body = || Some(json!({ "initial_prompt": "x" }));
    let [own, custom] = OWN;
    let site = |value: &'static str| ("sec-fetch-site", value);
    let cases: [(Vec<(&str, &str)>, &str); 8] = [
        (vec![], "CSRF_REFUSED"),
        (vec![own], "CSRF_REFUSED"),
        (vec![custom], "CSRF_REFUSED"),
        (vec![custom, site("same-site")], "CSRF_REFUSED"),
        (vec![custom, own, site("cross-site")], "CSRF_REFUSED"),
        (vec![custom, ("origin", "http://friend.example")], "CSRF_REFUSED"),
        (vec![custom, ("origin", "http://localhost:9000")], "ORIGIN_NOT_ALLOWED"),
        (vec![custom, ("origin", "null")], "ORIGIN_NOT_ALLOWED"),
    ];
    for (headers, code) in cases {
        let with: Vec<(&str, &str)> =
            headers.iter().copied().chain([("cookie", &*cookie)]).collect();
        for (method, path) in [
            (Method::POST, "/api/v1/sessions"),
            (Method::PUT, "/api/v1/budgets"),
            (Method::POST, "/api/v1/logout"),
            (Method::POST, "/api/v1/login-links"),
            (Method::POST, "/api/v1/ws-tickets"),
        ] {
            let answer = app.send(request(method, path, body(), &with)).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (403, code), "{path} {headers:?}");
        }
        let answer = app.send(request(Method::POST, LOGIN, Some(json!({ "key": key })), &headers));
        assert_eq!(answer.await.code(), code, "nobody else signs a browser in: {headers:?}");
    }
    let mut plain = request(Method::POST, "/api/v1/sessions", body(), &[own, custom]);
    plain.headers_mut().insert("content-type", "text/plain".parse().expect("plain"));
    plain.headers_mut().insert("cookie", cookie.parse().expect("plain"));
    assert_eq!(app.send(plain).await.code(), "UNSUPPORTED_MEDIA_TYPE");
    let read = |value: &'static str| {
        let headers = [("cookie", &*cookie), site(value)];
        request(Method::GET, "/api/v1/sessions", None, &headers)
    };
    for value in ["same-site", "cross-site"] {
        assert_eq!(app.send(read(value)).await.code(), "CSRF_REFUSED");
    }
    for value in ["same-origin", "none"] {
        let found = app.send(read(value)).await;
        assert_eq!(found.body["items"], json!([]), "nothing was made: {found:?}");
    }
    let made = ask(&app, &cookie, Method::POST, "/api/v1/sessions", body()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_tls_alone() {
    let app = TestApp::new().await;
    let key = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let mut asked = signing_in(json!({ "key": key }));
    asked.headers_mut().insert("origin", "https://localhost:8000".parse().expect("plain"));
    asked.extensions_mut().insert(Scheme::Https);
    let signed = app.send(asked).await;
    let set = signed.header("set-cookie").to_owned();
    assert!(set.starts_with("__Host-orchestrator_session=iob_"), "{set}");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"), "{set}");
    let cookie = cookie(&signed);
    assert_eq!(who(&app, &cookie).await.status, StatusCode::UNAUTHORIZED, "not in plain");
    let headers = [("cookie", &*cookie)];
    let mut asked = request(Method::GET, "/api/v1/whoami", None, &headers);
    asked.extensions_mut().insert(Scheme::Https);
    assert_eq!(app.send(asked).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_browser_ends_with_its_sign_out_its_revocation_or_its_key() {
    let app = TestApp::new().await;
    let made = app.post("/api/v1/keys", json!({ "name": "ann", "role": "admin" })).await;
    let (id, key) = (text(&made.body, "id").to_owned(), text(&made.body, "secret").to_owned());
    let before = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let of_keys = orchestrator::application::ports::changes::Counter::ApiKeys;
    let counted = before.counter(of_keys).await.expect("read");
    let mut cookies = Vec::new();
    for _ in 0..3 {
        cookies.push(cookie(&sign_in(&app, json!({ "key": key })).await));
    }
    let listed = app.get("/api/v1/keys?limit=200").await;
    let items = listed.body["items"].as_array().expect("items").clone();
    let browsers: Vec<&Value> = items.iter().filter(|item| item["kind"] == "browser").collect();
    assert_eq!(browsers.len(), 3);
    for browser in &browsers {
        assert_eq!(browser["opened_by"], json!(id));
        assert_eq!((text(browser, "created_by"), &browser["secret"]), ("ann", &Value::Null));
    }
    // One signs out by itself, one is revoked by an administrator.
    let out = ask(&app, &cookies[0], Method::POST, "/api/v1/logout", None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT, "{out:?}");
    assert!(out.header("set-cookie").starts_with("orchestrator_session_8000=; Max-Age=0;"));
    let refused = who(&app, &cookies[0]).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.header("set-cookie").contains("Max-Age=0"), "and is forgotten");
    let path = format!("/api/v1/keys/{}", text(browsers[1], "id"));
    let rotated = app.post(&format!("{path}/rotate"), json!({})).await;
    assert_eq!(rotated.code(), "VALIDATION_ERROR", "a browser is no key: {rotated:?}");
    let gone = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(who(&app, &cookies[1]).await.status, StatusCode::UNAUTHORIZED);
    // The last one is out as soon as its key is.
    assert_eq!(who(&app, &cookies[2]).await.status, StatusCode::OK);
    let token = link(&app, &key).await.body["token"].as_str().expect("a token").to_owned();
    app.send(app.request(Method::DELETE, &format!("/api/v1/keys/{id}"), None)).await;
    assert_eq!(who(&app, &cookies[2]).await.status, StatusCode::UNAUTHORIZED);
    let late = sign_in(&app, json!({ "token": token })).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "nor does a link of it help");
    // Keys are counted, browsers are not.
    let after = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    assert_eq!(after.counter(of_keys).await.expect("read"), counted - 1);
    let fleet = app.store.fleet().await.expect("a fleet");
    let recount = fleet.recount(TenantId::BOOTSTRAP, of_keys).await.expect("read").expect("rows");
    // Keys that tests put there by hand were not counted.
    assert_eq!(recount.counted, counted - 1, "{recount:?}");
    let audit = app.get("/api/v1/audit?action=sign_in&outcome=ok").await;
    let entries = audit.body["items"].as_array().expect("items");
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["actor"]["id"], json!(id), "{}", entries[0]);
    assert!(!audit.body.to_string().contains(&key[12..]));
}

#[tokio::test]
async fn a_browser_lends_its_rights_to_nobody() {
    let app = TestApp::new().await;
    let cookie = cookie(&sign_in(&app, json!({ "key": ADMIN })).await);
    let refused = ask(&app, &cookie, Method::POST, "/api/v1/login-links", None).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "PRIVILEGE_ESCALATION"));
    // Whoever may act in every tenant names one, by cookie as by key.
    let unnamed = ask(&app, &cookie, Method::GET, "/api/v1/sessions", None).await;
    assert_eq!(unnamed.code(), "TENANT_REQUIRED");
    let headers = [("cookie", &*cookie), ("x-tenant-id", "default")];
    let named = app.send(request(Method::GET, "/api/v1/sessions", None, &headers)).await;
    assert_eq!(named.status, StatusCode::OK);
    // With a key there is nothing to sign out.
    let out = app.post("/api/v1/logout", json!({})).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(app.get("/api/v1/whoami").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_signs_in_is_one_thing() {
    let app = TestApp::new().await;
    for (body, pointer) in [
        (json!({}), "/token"),
        (json!({ "token": "a", "key": "b" }), "/key"),
        (json!({ "token": 7 }), "/token"),
        (json!({ "password": "x", "token": "a" }), "/password"),
    ] {
        let refused = sign_in(&app, body).await;
        assert_eq!(refused.code(), "VALIDATION_ERROR", "{refused:?}");
        assert_eq!(refused.body["errors"][0]["pointer"], json!(pointer));
    }
}

#[tokio::test]
async fn the_page_comes_from_the_binary_and_runs_nothing_else() {
    let app = TestApp::new().await;
    let get = |path: &'static str| app.send(request(Method::GET, path, None, &[]));
    let page = get("/login").await;
    let csp = page.header("content-security-policy");
    assert!(csp.contains("default-src 'self'") && !csp.contains("unsafe"), "{csp}");
    assert!(csp.contains("frame-ancestors 'none'"), "{csp}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let html = page.body.as_str().expect("a page");
    for inline in ["<style", "style=", "onclick", "onload", "javascript:", "http://", "https://"] {
        assert!(!html.contains(inline), "{inline} in the page");
    }
    assert!(html.contains("<script src=\"/login/login.js\" defer></script>"));
    for (path, media_type) in [
        ("/login/login.js", "text/javascript; charset=utf-8"),
        ("/login/login.css", "text/css; charset=utf-8"),
        ("/login/icon.svg", "image/svg+xml"),
    ] {
        let part = get(path).await;
        assert_eq!((part.status, part.header("content-type")), (StatusCode::OK, media_type));
        let text = part.body.as_str().expect("text");
        assert!(!text.contains("innerHTML") && !text.contains("url("), "{path}");
    }
    for path in ["/login/..%2fproblems", "/login/nothing.js", "/login/login"] {
        assert_eq!(get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
