//! A certified provider, the real executable and a real browser: somebody signs in as people do.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use orchestrator::application::ports::clock::Ids as _;
use orchestrator::infrastructure::ids::SystemIds;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::opencode::PATIENCE;
use crate::support::server::Site;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider")
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join("chromium"));
    places.find(|place| place.exists()).expect("run tests/tools/prepare.sh first: no chromium")
}

fn node(script: &str, home: &Path) -> Command {
    let mut command = Command::new("node");
    command
        .arg(folder().join(script))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("TMPDIR", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The provider; it ends with the value.
struct Provider {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    issuer: String,
}

impl Provider {
    async fn start(home: &Path) -> Self {
        let there = folder().join("node_modules/oidc-provider");
        assert!(there.exists(), "run tests/tools/install-identity-provider.sh first");
        let mut child =
            node("provider.mjs", home).stderr(Stdio::null()).spawn().expect("node runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut provider = Self { child, lines, issuer: String::new() };
        provider.issuer = provider.line().await;
        provider
    }

    async fn line(&mut self) -> String {
        let read = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        read.expect("it answers in time").expect("text").expect("it goes on")
    }

    /// Tells it where browsers go back to.
    async fn lead_back_to(&mut self, server: &str) {
        let place = format!("{server}/login/oidc/callback\n");
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(place.as_bytes()).await.expect("written");
        assert_eq!(self.line().await, "ready");
    }
}

/// Somebody with a browser.
async fn browse(app: &str, name: &str, refused: bool, home: &Path) -> Value {
    let mut child = node("browse.mjs", home).spawn().expect("node runs");
    let given = json!({ "app": app, "chromium": chromium(), "name": name, "refused": refused });
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(given.to_string().as_bytes()).await.expect("written");
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let ended = ended.expect("the browser ends in time").expect("it ran");
    let said = String::from_utf8_lossy(&ended.stderr);
    let told = serde_json::from_slice(&ended.stdout);
    told.unwrap_or_else(|error| panic!("the browser told nothing ({error}): {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_through_a_certified_provider() {
    let home = tempfile::tempdir().expect("a folder");
    let mut provider = Provider::start(home.path()).await;
    let secret = home.path().join("secret");
    std::fs::write(&secret, "secret-of-the-tests\n").expect("written");
    let site = Site::simulated()
        .with("AUTH__OIDC__ISSUER", &provider.issuer)
        .with("AUTH__OIDC__CLIENT_ID", "orchestrator")
        .with("AUTH__OIDC__CLIENT_SECRET_FILE", secret.to_str().expect("UTF-8"))
        .with("AUTH__OIDC__NAME", "the test provider");
    let server = site.serve().await;
    provider.lead_back_to(&server.url).await;
    let name = format!("ann-{}", SystemIds.uuid().simple());
    let refused = browse(&server.url, &name, true, home.path()).await;
    let page = refused["page"].as_str().expect("a page");
    assert!(page.contains("Ask an administrator of Default for an invitation"), "{page}");
    let body = json!({ "email": format!("{name}@example.org"), "full_name": "Ann" });
    let made = server.send(Method::POST, "users", Some(&body), None).await.expect("an answer");
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let told = browse(&server.url, &name, false, home.path()).await;
    assert_eq!(told["wrong"], json!([]), "{told}");
    let port = url::Url::parse(&server.url).expect("an address").port().expect("a port");
    let kept = json!([{
        "name": format!("orchestrator_session_{port}"), "sameSite": "Strict", "httpOnly": true,
    }]);
    // The provider lies on the same machine, and so do its own cookies.
    let cookies = told["cookies"].as_array().expect("a list").iter();
    let ours =
        cookies.filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("orch")));
    assert_eq!(json!(ours.collect::<Vec<_>>()), kept, "{told}");
    assert_eq!(told["address"], json!(format!("{}/login", server.url)));
    let users = server.send(Method::GET, "users", None, None).await.expect("an answer");
    assert_eq!(users.body["items"][0]["identity_provider"], json!(provider.issuer), "{users:?}");
    // With this provider's settings `doctor` says that it answers.
    let doctor = site.cli(&["doctor"]).await;
    assert!(format!("{}{}", doctor.out, doctor.err).contains("identity provider"), "{doctor:?}");
    server.stop().await;
    site.keeps_invariants().await;
}
