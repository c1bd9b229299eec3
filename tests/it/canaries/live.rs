//! What a server tells by itself: server-sent events, frames of sockets, messages to webhooks. Whoever
//! listens here keeps all of it, byte for byte, until it is searched.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::HeaderMap;
use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plant::Canary;
use super::search::Search;
use crate::support::opencode::eventually;
use crate::support::server::{ADMIN_KEY, Server, text};

/// Everything that came one way.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn add(&self, bytes: &[u8]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        all.push(b'\n');
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn holds(&self, word: &str) -> bool {
        self.bytes().windows(word.len()).any(|part| part == word.as_bytes())
    }
}

/// Listeners on every way; they end with the value.
pub(super) struct Listeners {
    ways: Vec<(&'static str, Heard)>,
    webhook: String,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What a stream of server-sent events is called here.
pub(super) const EVENTS: &str = "a stream of events";
/// And the frames of a socket.
pub(super) const FRAMES: &str = "frames of a socket";
/// And what a receiver of webhooks got.
pub(super) const MESSAGES: &str = "messages to a webhook";

impl Listeners {
    /// Listens to all that the tenant `default` is told. `label` is what the socket says of itself.
    pub(super) async fn open(server: &Server, label: &Canary) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut all = Self { ways: Vec::new(), webhook: String::new(), stop, tasks };
        let stream = follow(server, "events").await;
        all.keep_stream(EVENTS, stream);
        all.keep_frames(server, label).await;
        let url = all.keep_messages().await;
        let made = server.post("webhooks", json!({ "url": url })).await;
        text(&made["id"]).clone_into(&mut all.webhook);
        all
    }

    /// Follows log and transcript of a session from their beginning.
    pub(super) async fn follow_session(&mut self, server: &Server, id: &str) {
        for (name, what) in [("a followed log", "logs"), ("a followed transcript", "transcript")] {
            let stream = follow(server, &format!("sessions/{id}/{what}?follow=true")).await;
            self.keep_stream(name, stream);
        }
    }

    fn way(&mut self, name: &'static str) -> Heard {
        let heard = Heard::default();
        self.ways.push((name, heard.clone()));
        heard
    }

    fn keep_stream(&mut self, name: &'static str, mut stream: Response) {
        let (heard, stop) = (self.way(name), self.stop.clone());
        heard.add(format!("{:?}", stream.headers()).as_bytes());
        self.tasks.spawn(stop.run_until_cancelled_owned(async move {
            while let Ok(Some(bytes)) = stream.chunk().await {
                heard.add(&bytes);
            }
        }));
    }

    /// A socket that joins the room of every session that it hears of, and asks for what there is not.
    async fn keep_frames(&mut self, server: &Server, label: &Canary) {
        let address = server.url.replace("http://", "ws://");
        let url = format!("{address}/ws/events?client_id={}", label.value);
        let mut request = url.into_client_request().expect("valid");
        let key = format!("Bearer {ADMIN_KEY}");
        for (name, value) in [("authorization", &*key), ("x-tenant-id", "default")] {
            request.headers_mut().insert(name, value.parse().expect("valid"));
        }
        let (socket, _) = connect_async(request).await.expect("an upgrade");
        let (mut sink, mut frames) = socket.split();
        let rooms = json!({ "type": "subscribe", "after": 0,
            "rooms": ["events", "sessions", "system", "agents", "usage", "tenant"] });
        let wrong = &label.value;
        for said in [
            rooms.to_string(),
            json!({ "type": wrong }).to_string(),
            json!({ "type": "subscribe", "rooms": [format!("session:{wrong}")] }).to_string(),
            json!({ "type": "unsubscribe", "rooms": [wrong] }).to_string(),
            format!("{{{wrong}"),
        ] {
            sink.send(Message::text(said)).await.expect("sent");
        }
        let (heard, stop) = (self.way(FRAMES), self.stop.clone());
        self.tasks.spawn(stop.run_until_cancelled_owned(async move {
            while let Some(Ok(message)) = frames.next().await {
                heard.add(&message.clone().into_data());
                let Ok(frame) = serde_json::from_slice::<Value>(&message.into_data()) else {
                    continue;
                };
                if frame["type"] == "session.created" {
                    let room = format!("session:{}", text(&frame["subject"]["id"]));
                    let join = json!({ "type": "subscribe", "rooms": [room] });
                    sink.send(Message::text(join.to_string())).await.expect("sent");
                }
            }
        }));
    }

    /// A receiver that takes everything; its address.
    async fn keep_messages(&mut self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (heard, stop) = (self.way(MESSAGES), self.stop.clone());
        let take = move |headers: HeaderMap, body: Bytes| {
            heard.add(format!("{headers:?}").as_bytes());
            heard.add(&body);
            std::future::ready("taken")
        };
        let router = axum::Router::new().fallback(take);
        self.tasks.spawn(stop.run_until_cancelled_owned(async move {
            axum::serve(listener, router).await.expect("it serves");
        }));
        format!("http://{address}/hook")
    }

    /// Waits until this word came every way, and every message to the webhook, and searches all of it.
    pub(super) async fn search(&self, server: &Server, word: &str, search: &mut Search) {
        for (name, heard) in &self.ways {
            eventually(&format!("{word} comes as {name}"), async || heard.holds(word)).await;
        }
        let newest = server.all("events").await.last().map_or(0, |last| seq(&last["seq"]));
        let path = format!("webhooks/{}", self.webhook);
        let is_told = async || seq(&server.get(&path).await["cursor"]) >= newest;
        eventually("the webhook is told all", is_told).await;
        for (name, heard) in &self.ways {
            search.look_in(name, &heard.bytes());
        }
    }

    /// What the ways are called.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.ways.iter().map(|(name, _)| *name)
    }
}

fn seq(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Opens a stream of server-sent events.
async fn follow(server: &Server, path: &str) -> Response {
    // It lasts as long as the test.
    let http = Client::builder().no_proxy().build().expect("a client");
    let request = http.get(format!("{}/api/v1/{path}", server.url)).bearer_auth(ADMIN_KEY);
    let request = request.header("X-Tenant-ID", "default").header("Accept", "text/event-stream");
    let answer = request.send().await.expect("a stream");
    assert!(answer.status().is_success(), "{path}: {answer:?}");
    answer
}
