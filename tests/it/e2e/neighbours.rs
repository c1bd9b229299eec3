//! Three tenants at work on one server at the same time: each lives as usual, and asks for what it heard
//! of the others in between. Nobody is shown, or changes, anything of a neighbour's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::{plays, text};
use crate::support::server::{Server, Site, array};

/// Tenants, each with a word that stands in all that it does.
const TENANTS: [(&str, &str); 3] =
    [("alder", "zqalderzq"), ("birch", "zqbirchzq"), ("cedar", "zqcedarzq")];

/// What can be asked about a session, and with what.
const ABOUT: [(&str, &str); 18] = [
    ("GET", ""),
    ("GET", "/attempts"),
    ("GET", "/checkpoints"),
    ("GET", "/checkpoints/1"),
    ("GET", "/diff"),
    ("GET", "/events"),
    ("GET", "/explain"),
    ("GET", "/logs"),
    ("GET", "/transcript"),
    ("GET", "/tree"),
    ("PATCH", ""),
    ("POST", "/cancel"),
    ("POST", "/checkpoints"),
    ("POST", "/fork"),
    ("POST", "/pause"),
    ("POST", "/retry"),
    ("POST", "/stop"),
    ("DELETE", ""),
];

/// What everybody may read of their own.
const LISTS: [&str; 8] = [
    "sessions?limit=200",
    "sessions?q=zq",
    "events?limit=200",
    "attention?limit=200",
    "audit?limit=200",
    "keys?limit=200",
    "usage?group_by=session",
    "whoami",
];

fn rounds() -> usize {
    if std::env::var_os("ORCHESTRATOR_DEEP").is_some() { 60 } else { 4 }
}

struct Neighbour {
    word: &'static str,
    secret: String,
    url: String,
    http: Client,
}

impl Neighbour {
    async fn of(server: &Server, slug: &'static str, word: &'static str) -> Self {
        let none = json!({
            "max_concurrent_sessions": null, "max_queue_depth": null, "max_tokens_per_month": null,
        });
        server.post("tenants", json!({ "slug": slug, "quotas": none })).await;
        let made = server.api.of(slug).post("keys", json!({ "name": word, "role": "admin" })).await;
        let secret = text(&made["secret"]).to_owned();
        Self { word, secret, url: server.url.clone(), http: server.http.clone() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let address = format!("{}/api/v1/{path}", self.url);
        self.http.request(method, address).bearer_auth(&self.secret)
    }

    async fn told(&self, request: RequestBuilder) -> (u16, String) {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let said = answer.text().await.expect("text");
        self.sees_nothing_foreign(&said);
        assert!(status < 500, "{said}");
        (status, said)
    }

    fn sees_nothing_foreign(&self, said: &str) {
        for (_, word) in TENANTS.iter().filter(|(_, word)| *word != self.word) {
            assert!(!said.contains(word), "{} reads of {word}: {said}", self.word);
        }
    }

    /// A session that works; its id.
    async fn begins(&self) -> String {
        let steps = json!([{ "say": format!("of {}", self.word) }]);
        let body = json!({
            "initial_prompt": format!("{} {}", self.word, plays(&steps)), "title": self.word,
            "tags": [self.word], "metadata": { "of": self.word }, "start": true,
        });
        let (status, said) = self.told(self.request(Method::POST, "sessions").json(&body)).await;
        assert_eq!(status, 201, "{said}");
        let made: Value = serde_json::from_str(&said).expect("JSON");
        text(&made["id"]).to_owned()
    }

    /// Everything about a neighbour's session is answered as about one that never was.
    async fn asks_about(&self, id: &str) {
        let never = Uuid::from_u128(0x0198_7654_3210_7000_8000_0000_0000_0001).to_string();
        let plain = |(status, said): (u16, String), id: &str| {
            let mut body: Value = serde_json::from_str(&said).unwrap_or_default();
            body["request_id"] = Value::Null;
            (status, body.to_string().replace(id, "ID"))
        };
        for (method, sub) in ABOUT {
            let ask = async |id: &str| {
                let method: Method = method.parse().expect("a method");
                let bare = method == Method::GET || method == Method::DELETE;
                let request = self.request(method, &format!("sessions/{id}{sub}"));
                self.told(if bare { request } else { request.json(&json!({})) }).await
            };
            let theirs = plain(ask(id).await, id);
            assert_eq!(theirs, plain(ask(&never).await, &never), "{method} {sub}");
            assert_eq!(theirs.0, 404, "{method} {sub}: {}", theirs.1);
        }
        for field in [json!({ "parent_id": id }), json!({ "after": [id] })] {
            let mut body = field.clone();
            body["initial_prompt"] = json!("x");
            let (status, said) =
                self.told(self.request(Method::POST, "sessions").json(&body)).await;
            assert!(matches!(status, 404 | 422), "{field}: {said}");
        }
    }

    async fn lives(&self, board: &Mutex<Vec<(&'static str, String)>>) {
        let known = || board.lock().unwrap_or_else(PoisonError::into_inner);
        for round in 0..rounds() {
            let id = self.begins().await;
            known().push((self.word, id.clone()));
            let foreign: Vec<String> = {
                let known = known();
                let others = known.iter().filter(|(word, _)| *word != self.word);
                others.map(|(_, id)| id.clone()).collect()
            };
            if let Some(id) = foreign.get(round % foreign.len().max(1)) {
                self.asks_about(id).await;
            }
            for list in LISTS {
                let (status, said) = self.told(self.request(Method::GET, list)).await;
                assert_eq!(status, 200, "{list}: {said}");
                assert!(!foreign.iter().any(|id| said.contains(id.as_str())), "{list}: {said}");
            }
        }
    }

    /// What the stream of events says until all have lived.
    async fn listens(&self, until: &tokio::sync::Notify) -> String {
        let request = self.request(Method::GET, "events?after=0");
        let request =
            request.header("Accept", "text/event-stream").timeout(Duration::from_mins(30));
        let mut stream = request.send().await.expect("a stream").bytes_stream();
        let mut heard = String::new();
        loop {
            tokio::select! {
                chunk = stream.next() => {
                    let chunk = chunk.expect("goes on").expect("read");
                    heard.push_str(&String::from_utf8_lossy(&chunk));
                }
                () = until.notified() => break,
            }
        }
        while let Ok(Some(Ok(chunk))) = timeout(Duration::from_secs(2), stream.next()).await {
            heard.push_str(&String::from_utf8_lossy(&chunk));
        }
        heard
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_tenants_at_work_at_once_see_nothing_of_each_other() {
    let site = Site::simulated();
    let server = site.serve().await;
    let [first, second, third] = TENANTS.map(|(slug, word)| Neighbour::of(&server, slug, word));
    let all = [first.await, second.await, third.await];
    let board = Mutex::default();
    let ends = [(); 3].map(|()| tokio::sync::Notify::new());
    let lives = async {
        futures_util::future::join_all(all.iter().map(|one| one.lives(&board))).await;
        ends.iter().for_each(tokio::sync::Notify::notify_one);
    };
    let listen = all.iter().zip(&ends).map(|(one, end)| one.listens(end));
    let ((), heard) = tokio::join!(lives, futures_util::future::join_all(listen));
    let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(board.len(), 3 * rounds());
    for (one, heard) in all.iter().zip(&heard) {
        one.sees_nothing_foreign(heard);
        for (word, id) in &board {
            assert_eq!(heard.contains(id.as_str()), *word == one.word, "{} hears {word}", one.word);
        }
        let kept = one.told(one.request(Method::GET, "sessions?limit=200")).await.1;
        let kept: Value = serde_json::from_str(&kept).expect("JSON");
        assert_eq!(array(&kept["items"]).len(), rounds(), "none is gone, none was added");
    }
    server.stop().await;
    site.keeps_invariants().await;
    assert!(!site.log().contains("INTERNAL_ERROR"), "{}", site.log());
}
