//! Attacks of hostile pages in a real Chromium, against the real router on a real port.
//!
//! The driver in `tests/browser` plays them and tells what each page learnt; here is judged, with what the
//! server was asked and what is stored. Each attack has a control that has to succeed: were the browser
//! or the page broken, nothing would be proven.

mod site;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::http::StatusCode;
use orchestrator::application::ports::journal::{NewEntry, Stream};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::tenant::key::Role;
use orchestrator::presentation::api::server::{ServerOptions, serve};
use orchestrator::presentation::api::state::ApiOptions;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::site::{Log, Seen, site};
use crate::support::app::TestApp;

/// Stands in what only the tenant's own people may read.
const CANARY: &str = "canary-of-the-tenant";
const HOSTILE: &str = "<script>window.ran=1</script><img src=x onerror=window.ran=1>";
/// Longest time of all attacks together.
const PATIENCE: Duration = Duration::from_mins(4);

/// What the driver tells.
#[derive(Deserialize)]
struct Told {
    results: Vec<Played>,
    /// Addresses outside of this machine that pages asked for.
    foreign: Vec<String>,
    /// What somebody saw who did nothing wrong.
    people: Value,
}

#[derive(Deserialize)]
struct Played {
    name: String,
    #[serde(default)]
    attack: Value,
    #[serde(default)]
    control: Value,
    failed: Option<String>,
}

/// A server under attack.
struct Town {
    app: TestApp,
    url: String,
    hostile: String,
    friend: String,
    log: Log,
}

impl Town {
    async fn new() -> Self {
        let (log, tracker, stop) = (Log::default(), TaskTracker::new(), CancellationToken::new());
        let hostile = site(&log, &tracker, &stop).await;
        let friend = site(&log, &tracker, &stop).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let allowed_origins = vec![friend.clone()];
        let options = ApiOptions { port, rate: None, allowed_origins, ..ApiOptions::default() };
        let app = TestApp::with(options, Vec::new()).await;
        let router = log.watching(app.router.clone());
        let (shutdown, limits) = (app.shutdown.clone(), ServerOptions::default());
        let served = serve(listener.into(), router, limits, shutdown, app.tracker.clone());
        app.tracker.spawn(async move { served.await.expect("served") });
        Self { app, url: format!("http://127.0.0.1:{port}"), hostile, friend, log }
    }

    /// A session whose every text is hostile.
    async fn session(&self) -> String {
        let title = format!("{CANARY} {HOSTILE}");
        let body = json!({ "title": title, "initial_prompt": HOSTILE });
        let made = self.app.post("/api/v1/sessions", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let id = SessionId::parse(made.body["id"].as_str().expect("an id")).expect("an id");
        for stream in [Stream::Log, Stream::Transcript] {
            let entry = NewEntry {
                at: self.app.clock.now(),
                kind: "text".to_owned(),
                body: json!({ "text": HOSTILE, "line": HOSTILE }),
            };
            let written = self.app.journal.append(TenantId::BOOTSTRAP, id, stream, vec![entry]);
            written.await.expect("written");
        }
        id.to_string()
    }

    /// Titles of all sessions.
    async fn titles(&self) -> Vec<String> {
        let found = self.app.get("/api/v1/sessions?limit=200").await;
        let items = found.body["items"].as_array().expect("items");
        items.iter().map(|item| item["title"].as_str().unwrap_or("").to_owned()).collect()
    }

    async fn play(&self, deep: bool) -> Told {
        let session = self.session().await;
        let key = self.app.key(TenantId::BOOTSTRAP, Role::Admin).await;
        let identity = &self.app.state.identity;
        let others = self.app.key(self.app.other, Role::Member).await;
        let trap = identity.login_link_of(&others).await.expect("made").expect("a key").secret;
        let mut tokens = Vec::new();
        for _ in 0..10 {
            let lent = self.app.state.identity.login_link_of(&key).await.expect("made");
            tokens.push(lent.expect("a key").secret);
        }
        let screenshots = target().join("screenshots");
        std::fs::create_dir_all(&screenshots).expect("a folder");
        let given = json!({
            "app": self.url, "hostile": self.hostile, "friend": self.friend, "tokens": tokens,
            "session": session, "trap": trap, "deep": deep, "key": key, "chromium": chromium(), "screenshots": screenshots,
        });
        drive(&given).await
    }
}

/// Where tests may leave what people look at.
fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_orchestrator")).ancestors().nth(2).expect("a folder").to_owned()
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join("chromium"));
    places.find(|place| place.exists()).expect("run tests/tools/prepare.sh first: no chromium")
}

/// Runs the driver to its end.
async fn drive(given: &Value) -> Told {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let driver = folder.join("node_modules/playwright-core");
    assert!(driver.exists(), "run tests/tools/install-browser-driver.sh first");
    let home = tempfile::tempdir().expect("a folder");
    let mut child = Command::new("node")
        .arg(folder.join("driver.mjs"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(given.to_string().as_bytes()).await.expect("written");
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let ended = ended.expect("the driver ends in time").expect("it ran");
    let said = String::from_utf8_lossy(&ended.stderr);
    let told = serde_json::from_slice(&ended.stdout);
    told.unwrap_or_else(|error| panic!("the driver told nothing ({error}): {said}"))
}

/// What holds whatever the attack was.
fn judge(played: &Played, seen: &[Seen]) {
    let Played { name, attack, control: _, failed } = played;
    assert_eq!(*failed, None, "{name} came to its end");
    let learnt = attack.to_string();
    assert!(!learnt.contains(CANARY), "{name} read what it may not: {learnt}");
    assert!(!learnt.contains("connection.established"), "{name} listens: {learnt}");
    let step = format!("attack:{name}");
    for request in seen.iter().filter(|request| request.step == step) {
        let is_api = request.path.starts_with("/api/") || request.path.starts_with("/ws/");
        let by_others = !matches!(request.site.as_str(), "same-origin" | "none");
        // What a listed page may ask for is told to it; it asks with what it may.
        let was_done = request.status < 400 && request.method != "OPTIONS";
        assert!(!(is_api && by_others && was_done), "{name} was let in: {request:?}");
    }
}

/// Requests of an attack that the server refused although they came with the cookie.
fn refused_with_cookie<'a>(seen: &'a [Seen], name: &str) -> Vec<&'a Seen> {
    let step = format!("attack:{name}");
    let of_step = seen.iter().filter(|request| request.step == step);
    of_step.filter(|request| request.has_cookie && request.status == 403).collect()
}

/// Whether the page that signs in says and does what it should.
fn judge_people(seen: &Value) {
    let says = |what: &str, words: &str| {
        let text = seen[what].as_str().unwrap_or_else(|| panic!("{what} in {seen}"));
        assert!(text.contains(words), "{what} says {words}: {text}");
    };
    assert_eq!(seen["focus"], "secret", "one can type at once");
    says("wrong", "This key is not known");
    says("inside", "admin");
    says("inside", "Default");
    says("left", "You are signed out.");
    assert_eq!(seen["cookies"], 0);
    says("spent", "This link was used before");
    assert_eq!(seen["wide"], 360, "nothing is cut off on a small screen");
    assert_eq!(seen["invite"], json!({ "token": "iok_invitation", "full_name": "Ann Other" }));
    assert!(!seen["url"].as_str().expect("an address").contains('#'), "the fragment is gone");
    says("key", "iok_");
}

/// What each attack and its control came to.
struct Outcome<'a>(BTreeMap<&'a str, &'a Played>);

impl Outcome<'_> {
    fn attack(&self, name: &str) -> &Value {
        &self.0[name].attack
    }

    fn control(&self, name: &str) -> &Value {
        &self.0[name].control
    }

    /// A text that the control of an attack has told.
    fn control_text(&self, name: &str) -> &str {
        let told = &self.control(name)["text"];
        told.as_str().unwrap_or_else(|| panic!("the control of {name} tells {told}"))
    }
}

/// Nothing went out to other pages, and whoever may do the same can.
fn judge_requests(outcome: &Outcome<'_>, seen: &[Seen]) {
    // Another port is the same site: the browser did send the cookie, and the server refused it.
    for name in ["fetch_with_credentials", "no_cors_post", "form_post", "websocket", "navigation"] {
        let step = format!("attack:{name}");
        let of_step: Vec<&Seen> = seen.iter().filter(|request| request.step == step).collect();
        assert!(!refused_with_cookie(seen, name).is_empty(), "{name}: {of_step:?}");
    }
    let own = outcome.control("fetch_with_credentials");
    assert!(own["read"]["text"].as_str().expect("read").contains(CANARY));
    assert_eq!(own["made"]["status"], 201, "{own}");
    assert_eq!(outcome.control("no_cors_post")["status"], 201);
    assert!(outcome.control_text("form_post").contains("/posted"));
    assert!(outcome.control_text("websocket").contains("connection.established"));
    let rebound = outcome.attack("rebinding");
    assert!(rebound["text"].as_str().expect("a page").contains("HOST_NOT_ALLOWED"));
    assert_eq!(rebound["told"]["status"], 403);
    assert!(outcome.control_text("rebinding").contains(CANARY));
    for (path, text) in outcome.attack("navigation").as_object().expect("pages") {
        let text = text.as_str().expect("a page");
        let told = ["CSRF_REFUSED", "METHOD_NOT_ALLOWED"].iter().any(|code| text.contains(code));
        assert!(told, "{path}: {text}");
    }
    assert!(outcome.control_text("navigation").contains("browser (Chrome)"));
}

/// Pages of the server are framed by nobody, and run nothing that an agent wrote.
fn judge_pages(outcome: &Outcome<'_>) {
    for (url, shown) in outcome.attack("framing")["shown"].as_object().expect("frames") {
        let text = shown["text"].as_str().unwrap_or("");
        let ours = ["Sign in", "Orchestrator", "UNAUTHENTICATED", "CSRF_REFUSED"];
        assert!(!ours.iter().any(|words| text.contains(words)), "{url} is framed: {shown}");
    }
    let framed = outcome.control("framing")["shown"].as_object().expect("frames");
    let text = |shown: &Value| shown["text"].as_str().unwrap_or("").to_owned();
    assert!(framed.values().all(|shown| text(shown).contains("site of others")), "{framed:?}");

    for (path, ran) in outcome.attack("script_in_agent_text")["ran"].as_object().expect("pages") {
        assert!(ran[0].is_null(), "{path} ran the agent's text");
        assert_eq!(ran[2], 0, "{path} made an image of the agent's text");
        let told = ran[1].as_str().unwrap_or("");
        let wanted = if path == "login" || path.starts_with("page ") { "<img" } else { "json" };
        assert!(told.contains(wanted), "{path} is shown as {told}");
    }
    assert_eq!(outcome.control("script_in_agent_text")["ran"], 1, "the text would run");
}

/// Links and cookies are of no use to anybody else.
fn judge_secrets(outcome: &Outcome<'_>, seen: &[Seen]) {
    let stolen = outcome.attack("stolen_link");
    let token = stolen["token"].as_str().expect("a token");
    for place in ["url", "back"] {
        assert!(!stolen[place].as_str().expect("an address").contains(token), "{place}");
    }
    assert_eq!((&stolen["cookies"], &stolen["status"]), (&json!(0), &json!(401)));
    assert!(!seen.iter().any(|request| request.path.contains("iol_")), "a link reached the server");
    assert_eq!(outcome.control("stolen_link")["status"], 200);
    let cookie = &outcome.control("stolen_link")["cookies"][0];
    let flags = [&cookie["httpOnly"], &cookie["sameSite"], &cookie["path"], &cookie["secure"]];
    assert_eq!(flags, [&json!(true), &json!("Strict"), &json!("/"), &json!(false)], "{cookie}");

    // A link that somebody else chose asks first, and changes nothing by itself.
    let lured = outcome.attack("sign_in_as_others");
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    let question = text(&lured["question"]);
    for words in ["Sign in as member of tests of Other", "is signed in as", "of Default now"] {
        assert!(question.contains(words), "{words}: {question}");
    }
    assert!(!text(&lured["url"]).contains('#'), "the fragment is gone");
    for when in ["during", "after"] {
        assert!(text(&lured[when]).contains("\"role\":\"admin\""), "{when}: {lured}");
    }
    let agreed = outcome.control("sign_in_as_others");
    assert_eq!((&agreed["status"], &agreed["before"]), (&json!(200), &json!(401)), "{agreed}");
    for words in ["member", "Other"] {
        assert!(text(&agreed["inside"]).contains(words), "{words}: {agreed}");
    }

    let cookies = outcome.attack("cookie_of_others");
    for who in ["own", "other"] {
        assert!(!cookies[who].as_str().expect("text").contains("iob_"), "{who} sees the cookie");
    }
    assert_eq!(cookies["status"], 200, "nobody put another one in its place");
    let seen = outcome.control("cookie_of_others")["seen"].as_str().expect("text");
    assert!(seen.contains("plain=1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hostile_page_reads_or_does_anything() {
    let town = Town::new().await;
    let deep = std::env::var_os("ORCHESTRATOR_DEEP").is_some();
    let told = town.play(deep).await;
    let seen = town.log.seen();
    for played in &told.results {
        judge(played, &seen);
    }
    judge_people(&told.people);
    assert_eq!(told.foreign, Vec::<String>::new(), "pages asked for nothing from elsewhere");
    assert!(!town.log.told().contains(CANARY), "others' sites were told of it");
    assert!(!town.log.told().contains("iol_"), "others' sites were told of a link");
    let results = told.results.iter();
    let outcome = Outcome(results.map(|played| (played.name.as_str(), played)).collect());
    judge_requests(&outcome, &seen);
    judge_pages(&outcome);
    judge_secrets(&outcome, &seen);
    // What is stored: the controls did what they may, and the attacks nothing.
    let titles = town.titles().await;
    let made = |by: &str| titles.iter().filter(|title| title.contains(by)).count();
    assert_eq!((made("made by own"), made("made by hostile")), (2, 0), "{titles:?}");
    assert_eq!(titles.len(), 3, "{titles:?}");
    let session = town.app.get("/api/v1/sessions/IND-000001").await;
    assert_eq!(session.body["status"], "pending", "nobody cancelled it");
    assert_eq!(told.results.len(), if deep { 51 } else { 11 });
    for played in &told.results {
        let arrived = &played.attack["arrived"];
        assert!(arrived.is_null() || *arrived == json!(true), "{} went nowhere", played.name);
    }
}
