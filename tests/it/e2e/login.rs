//! Links that sign a browser in: on a terminal by themselves, elsewhere only when asked for.

use std::process::Stdio;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::opencode::{PATIENCE, eventually};
use crate::support::server::Site;

/// The page and the token of a link somewhere in a text.
fn link_in(text: &str) -> Option<(&str, &str)> {
    let word = text.split_whitespace().find(|word| word.contains("/login#token="))?;
    word.split_once("/login#token=")
}

/// Who is signed in by this token, as the page asks.
async fn sign_in(url: &str, token: &str) -> (StatusCode, Value) {
    let client = Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
    let asked = client
        .post(format!("{url}/api/v1/login"))
        .header("Origin", url)
        .header("X-Requested-With", "orchestrator")
        .json(&json!({ "token": token }));
    let answer = asked.send().await.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ready_line_on_a_terminal_signs_its_reader_in_once() {
    let site = Site::simulated();
    let served = site.command(&["serve"]);
    let served = served.as_std();
    let mut on_terminal = Command::new("python3")
        .arg("-c")
        .arg("import pty, sys; pty.spawn(sys.argv[1:])")
        .arg(served.get_program())
        .args(served.get_args())
        .env_clear()
        .envs(served.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("python runs");
    let mut lines = BufReader::new(on_terminal.stdout.take().expect("piped")).lines();
    let mut line = String::new();
    while !line.contains("is ready at") {
        let read = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        line = read.expect("ready in time").expect("text").expect("it goes on");
    }
    let (url, token) = link_in(&line).unwrap_or_else(|| panic!("a link in {line}"));
    let (status, who) = sign_in(url, token).await;
    assert_eq!((status, &who["is_system"]), (StatusCode::OK, &json!(true)), "{who}");
    assert_eq!(sign_in(url, token).await.0, StatusCode::UNAUTHORIZED, "once");
    // Its end goes with the terminal's.
    on_terminal.kill().await.expect("it is ended");
    let is_gone = async || reqwest::get(format!("{url}/health/live")).await.is_err();
    eventually("the server has ended", is_gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elsewhere_a_link_is_made_when_it_is_asked_for() {
    let site = Site::simulated();
    let alone = site.cli(&["login", "--print"]).await;
    assert_eq!(alone.exit, 69, "no server, no link: {alone:?}");
    let server = site.serve().await;
    assert!(!server.ready.to_string().contains("iol_"), "{}", server.ready);
    let silent = site.cli(&["login"]).await;
    assert_eq!((silent.exit, silent.out.as_str()), (64, ""), "{silent:?}");
    assert!(silent.err.contains("--print"), "{silent:?}");
    let printed = site.cli(&["login", "--print"]).await;
    assert_eq!(printed.exit, 0, "{printed:?}");
    let (url, token) = link_in(&printed.out).expect("a link");
    assert_eq!(url, server.url);
    assert_eq!(sign_in(url, token).await.0, StatusCode::OK);
    let told = site.cli(&["login", "--json"]).await;
    let told: Value = serde_json::from_str(&told.out).expect("JSON");
    assert!(told["url"].as_str().expect("a url").contains("/login#token=iol_"), "{told}");
    for (words, kind) in [
        (&["key", "list", "--json"][..], "key"),
        (&["key", "list", "--browsers", "--json"], "browser"),
    ] {
        let listed = site.cli(words).await;
        let listed: Value = serde_json::from_str(&listed.out).expect("JSON");
        let items = listed["items"].as_array().expect("items");
        let kinds: Vec<&Value> = items.iter().map(|key| &key["kind"]).collect();
        assert_eq!(kinds, [kind]);
    }
    server.stop().await;
    assert!(!site.log().contains("iol_"), "no link is logged");
    site.keeps_invariants().await;
}
