//! The way of a browser to the provider and back, and everything that is not that way.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use orchestrator::application::identity::provider::ProviderOptions;
use orchestrator::presentation::api::caller::{Peer, Scheme};
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};

use super::hostile::{Hostile, How, client, person};
use crate::support::app::{Answer, TestApp, request};

const BEGIN: &str = "/login/oidc";

/// A server with a provider, and browsers at it.
pub(super) struct House {
    pub(super) hostile: Hostile,
    pub(super) app: TestApp,
    peers: AtomicU8,
}

/// A browser that was sent to the provider.
pub(super) struct Away {
    pub(super) address: String,
    pub(super) cookie: String,
}

impl Away {
    pub(super) fn state(&self) -> String {
        let url = url::Url::parse(&self.address).expect("an address");
        let found = url.query_pairs().find(|(name, _)| name == "state");
        found.expect("a state").1.into_owned()
    }
}

fn pair(set: &str) -> String {
    set.split(';').next().expect("a cookie").to_owned()
}

impl House {
    pub(super) async fn new() -> Self {
        Self::with(ApiOptions { rate: None, ..ApiOptions::default() }, &[]).await
    }

    pub(super) async fn with(options: ApiOptions, domains: &[&str]) -> Self {
        let hostile = Hostile::start().await;
        let provider = Arc::new(client(hostile.options()));
        let wanted = ProviderOptions {
            name: "Acme <ID>".to_owned(),
            tenant: "default".to_owned(),
            email_domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        };
        let app = TestApp::through(options, provider, wanted).await;
        Self { hostile, app, peers: AtomicU8::new(0) }
    }

    /// Failures are counted by address, so that each browser has its own.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Answer {
        let peer = IpAddr::from([10, 0, 0, self.peers.fetch_add(1, Ordering::SeqCst)]);
        request.extensions_mut().insert(Peer(peer));
        self.app.send(request).await
    }

    pub(super) async fn begin(&self) -> Away {
        let answer = self.send(request(Method::GET, BEGIN, None, &[])).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        let cookie = pair(answer.header("set-cookie"));
        Away { address: answer.header("location").to_owned(), cookie }
    }

    pub(super) async fn come(&self, query: &str, cookie: &str) -> Answer {
        let path = format!("{BEGIN}/callback?{query}");
        let headers = [("cookie", cookie), ("sec-fetch-site", "cross-site")];
        self.send(request(Method::GET, &path, None, &headers)).await
    }

    /// The whole way of somebody.
    pub(super) async fn sign_in(&self, who: Value) -> Answer {
        let away = self.begin().await;
        let code = self.hostile.code_for(&away.address, who);
        self.come(&query(&code, &away.state()), &away.cookie).await
    }

    /// Somebody whom an administrator has let in.
    pub(super) async fn let_in(&self, email: &str, role: &str) -> String {
        let body = json!({ "email": email, "full_name": "Somebody", "role": role });
        let made = self.app.post("/api/v1/users", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made.body["id"].as_str().expect("an id").to_owned()
    }

    /// What the server answers to whoever has these cookies.
    pub(super) async fn whoami(&self, signed: &Answer) -> Answer {
        let cookie = session(signed);
        let headers = [("cookie", &*cookie), ("sec-fetch-site", "same-origin")];
        self.app.send(request(Method::GET, "/api/v1/whoami", None, &headers)).await
    }
}

pub(super) fn query(code: &str, state: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("code", code)
        .append_pair("state", state)
        .finish()
}

fn cookies(answer: &Answer) -> Vec<String> {
    let all = answer.headers.get_all("set-cookie").iter();
    all.map(|set| set.to_str().expect("plain").to_owned()).collect()
}

/// The cookie that signs in; empty when there is none.
pub(super) fn session(answer: &Answer) -> String {
    let set = cookies(answer).into_iter().find(|set| set.contains("_session"));
    set.as_deref().map(pair).unwrap_or_default()
}

fn text(answer: &Answer) -> &str {
    answer.body.as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_browser_goes_there_and_comes_back_signed_in() {
    let house = House::new().await;
    let ann = house.let_in("Ann@example.org", "lead").await;
    let answer = house.send(request(Method::GET, BEGIN, None, &[])).await;
    let set = answer.header("set-cookie").to_owned();
    assert!(set.starts_with("orchestrator_sign_in_8000="), "{set}");
    assert!(set.ends_with("; Max-Age=600; Path=/; HttpOnly; SameSite=Lax"), "{set}");
    let away = Away { address: answer.header("location").to_owned(), cookie: pair(&set) };
    for secret in [&*away.state(), "verifier", "localhost"] {
        assert!(!set.contains(secret), "sealed");
    }
    assert!(
        away.address
            .contains("redirect_uri=http%3A%2F%2Flocalhost%3A8000%2Flogin%2Foidc%2Fcallback")
    );
    let code = house.hostile.code_for(&away.address, person("ann", "ann@EXAMPLE.org"));
    let back = query(&code, &away.state());
    let signed = house.come(&format!("{back}&session_state=x&scope=openid"), &away.cookie).await;
    assert_eq!(signed.status, StatusCode::OK, "{signed:?}");
    assert!(text(&signed).contains(r#"http-equiv="refresh" content="0; url=/""#), "{signed:?}");
    assert!(!text(&signed).contains("<script"), "nothing runs on it");
    let [kept, forgotten] = &cookies(&signed)[..] else { panic!("two cookies: {signed:?}") };
    assert!(kept.starts_with("orchestrator_session_8000=iob_"), "{kept}");
    assert!(kept.ends_with("; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict"), "{kept}");
    assert!(forgotten.starts_with("orchestrator_sign_in_8000=; Max-Age=0"), "{forgotten}");
    let me = house.whoami(&signed).await;
    assert_eq!((&me.body["user"]["id"], &me.body["role"]), (&json!(ann), &json!("lead")), "{me:?}");
    assert_eq!(me.body["user"]["identity_provider"], json!(house.hostile.issuer()));
    assert_eq!(me.body["is_system"], json!(false));
    let audit = house.app.get("/api/v1/audit?action=sign_in").await;
    let entry = &audit.body["items"][0];
    assert_eq!((&entry["actor"]["id"], &entry["outcome"]), (&json!(ann), &json!("ok")), "{entry}");
    assert_eq!(entry["after"]["through"]["identity_provider"], json!(house.hostile.issuer()));
    let again = house.come(&back, &away.cookie).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "it is over: {again:?}");
    assert_eq!(house.hostile.counts()[2], 1, "and the provider was not asked again");
}

#[tokio::test]
async fn only_the_browser_that_began_comes_back() {
    let house = House::new().await;
    house.let_in("ann@example.org", "member").await;
    let ann = || person("ann", "ann@example.org");
    let (one, other) = (house.begin().await, house.begin().await);
    let code = house.hostile.code_for(&one.address, ann());
    let bent = format!("{}x", one.cookie);
    let longer = format!("{}{}", one.cookie, "A".repeat(3000));
    let wrong =
        |name: &str, query: String, cookie: &str| (name.to_owned(), query, cookie.to_owned());
    for (name, query, cookie) in [
        wrong("no cookie", query(&code, &one.state()), ""),
        wrong("a cookie of another sign-in", query(&code, &one.state()), &other.cookie),
        wrong("a state of another sign-in", query(&code, &other.state()), &one.cookie),
        wrong("no state", format!("code={code}"), &one.cookie),
        wrong("two states", format!("{}&state=x", query(&code, &one.state())), &one.cookie),
        wrong("a cookie that was bent", query(&code, &one.state()), &bent),
        wrong("a cookie that is too long", query(&code, &one.state()), &longer),
        wrong("nothing", String::new(), ""),
    ] {
        let refused = house.come(&query, &cookie).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{name}: {refused:?}");
        assert!(text(&refused).contains("not begun in this browser"), "{name}: {refused:?}");
        assert_eq!(session(&refused), "", "{name}");
    }
    assert_eq!(house.hostile.counts()[2], 0, "the provider was not asked");
    // The same code in the browser that began.
    let signed = house.come(&query(&code, &one.state()), &one.cookie).await;
    assert_eq!(signed.status, StatusCode::OK, "{signed:?}");
    // A code of somebody else's sign-in, put into one's own.
    let stolen = house.hostile.code_for(&house.begin().await.address, ann());
    let refused = house.come(&query(&stolen, &other.state()), &other.cookie).await;
    assert_eq!((refused.status, session(&refused)), (StatusCode::UNAUTHORIZED, String::new()));
    let audit = house.app.get("/api/v1/audit?action=sign_in&outcome=refused&limit=50").await;
    let reasons: Vec<_> = audit.body["items"].as_array().expect("items").iter().collect();
    assert_eq!(reasons.len(), 9, "{reasons:?}");
    assert!(reasons.iter().all(|entry| entry["actor"]["kind"] == "peer"));
    assert_eq!(reasons[0]["reason"], json!("a sign-in that was not begun here"));
    assert_eq!(reasons[8]["reason"], json!("not vouched for by the identity provider"));
}

#[tokio::test]
async fn what_others_say_stands_on_no_page() {
    let house = House::new().await;
    let away = house.begin().await;
    let said = "error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E";
    let state = away.state();
    let denied = house.come(&format!("{said}&state={state}"), &away.cookie).await;
    assert_eq!(denied.status, StatusCode::UNAUTHORIZED, "{denied:?}");
    assert!(text(&denied).contains("Acme &lt;ID&gt; did not let you in"), "{denied:?}");
    for word in ["<script", "access_denied", "alert"] {
        assert!(!text(&denied).contains(word), "{denied:?}");
    }
    assert!(denied.header("content-security-policy").starts_with("default-src 'self'"));
    // Another provider's answer is none of ours, whatever it brings.
    let away = house.begin().await;
    let code = house.hostile.code_for(&away.address, person("ann", "ann@example.org"));
    let mixed = format!("{}&iss=https%3A%2F%2Fevil.example", query(&code, &away.state()));
    assert_eq!(house.come(&mixed, &away.cookie).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(house.hostile.counts()[2], 0);
    let page = house.send(request(Method::GET, "/login", None, &[])).await;
    let way = r#"<a class="main" href="/login/oidc">Sign in with Acme &lt;ID&gt;</a>"#;
    assert!(text(&page).contains(way), "{page:?}");
}

#[tokio::test]
async fn other_pages_neither_begin_a_sign_in_nor_hide_its_end() {
    let house = House::new().await;
    for site in ["cross-site", "same-site"] {
        let asked = request(Method::GET, BEGIN, None, &[("sec-fetch-site", site)]);
        let answer = house.send(asked).await;
        assert_eq!((answer.header("location"), answer.header("set-cookie")), ("/login", ""));
    }
    for into in ["iframe", "image", "empty", "script"] {
        let headers = [("sec-fetch-dest", into)];
        let asked = request(Method::GET, "/login/oidc/callback?code=c&state=s", None, &headers);
        let answer = house.send(asked).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "CSRF_REFUSED"));
    }
}

#[tokio::test]
async fn who_fails_too_often_waits_and_the_provider_is_left_alone() {
    let house = House::new().await;
    house.hostile.bend(|_, _| How::Stranger);
    for number in 0..12 {
        let away = house.begin().await;
        let code = house.hostile.code_for(&away.address, person("ann", "ann@example.org"));
        let path = format!("{BEGIN}/callback?{}", query(&code, &away.state()));
        let asked = request(Method::GET, &path, None, &[("cookie", &away.cookie)]);
        // By one address, this time.
        let answer = house.app.send(asked).await;
        let expected = if number < 10 { 401 } else { 429 };
        assert_eq!(answer.status.as_u16(), expected, "{number}: {answer:?}");
    }
    assert_eq!(house.hostile.counts()[2], 10);
}

#[tokio::test]
async fn over_tls_and_by_its_public_name_it_comes_back_there() {
    let public_url = Some("https://team.example".to_owned());
    let options = ApiOptions { rate: None, public_url, ..ApiOptions::default() };
    let house = House::with(options, &[]).await;
    let mut asked = request(Method::GET, BEGIN, None, &[]);
    asked.extensions_mut().insert(Scheme::Https);
    asked.headers_mut().insert("host", "localhost:8000".parse().expect("plain"));
    let answer = house.send(asked).await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-orchestrator_sign_in="), "{set}");
    assert!(set.ends_with("; Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
    let place = "redirect_uri=https%3A%2F%2Fteam.example%2Flogin%2Foidc%2Fcallback";
    assert!(answer.header("location").contains(place), "{answer:?}");
}

#[tokio::test]
async fn a_provider_that_is_gone_is_told_of_and_nobody_is_counted() {
    let house = House::new().await;
    house.hostile.behave(super::hostile::Manner::Huge);
    let answer = house.send(request(Method::GET, BEGIN, None, &[])).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(text(&answer).contains("cannot be used at the moment"), "{answer:?}");
    assert!(!text(&answer).contains("127.0.0.1"), "the log alone knows where it is");
}

#[tokio::test]
async fn without_a_provider_there_is_nothing() {
    let app = TestApp::new().await;
    for path in [BEGIN, "/login/oidc/callback?code=c&state=s", "/login/words.html"] {
        let answer = app.send(request(Method::GET, path, None, &[])).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "NOT_FOUND"), "{path}");
    }
    let page = app.send(request(Method::GET, "/login", None, &[])).await;
    assert!(!text(&page).contains("/login/oidc"), "{page:?}");
    // A provider that is there is not asked before somebody wants to sign in.
    let house = House::new().await;
    for path in ["/login", "/health", "/api/v1/whoami"] {
        house.send(request(Method::GET, path, None, &[])).await;
    }
    assert_eq!(house.hostile.counts(), [0; 4]);
}
