//! Following a numbered stream of the API: server-sent events where the server offers them, else
//! page after page, always from the last number seen.
//!
//! Invariant: an entry is given once and in order; after a lost connection it goes on behind the
//! last number, and gives up when the server stays away.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use sse_stream::{Sse, SseStream};

use super::client::Client;
use super::exit::CliError;

/// Pause between two looks where the server does not stream, and before a new connection.
const PAUSE: Duration = Duration::from_millis(500);
/// Connections that may fail in a row.
const MAX_FAILURES: u32 = 20;
/// Entries of one page.
const PAGE: &str = "200";

/// Entries of a stream, from now on until dropped.
pub(super) type Feed = BoxStream<'static, Result<Value, CliError>>;

type Events = BoxStream<'static, Result<Option<Value>, CliError>>;

struct State {
    client: Client,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    /// The last number seen; without one the stream begins where the server begins it.
    after: Option<u64>,
    /// What was read and not given yet; never more than a page.
    waiting: VecDeque<Value>,
    events: Option<Events>,
    /// Whether the server takes `follow`.
    follow: bool,
    failures: u32,
}

/// Follows a stream of the API from behind `after`; `follows` where the server wants to be told so.
#[must_use]
pub(super) fn follow(
    client: &Client,
    segments: &[&str],
    query: &[(&str, String)],
    after: Option<u64>,
    follows: bool,
) -> Feed {
    let state = State {
        client: client.clone(),
        segments: segments.iter().map(|&segment| segment.to_owned()).collect(),
        query: query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        after,
        waiting: VecDeque::new(),
        events: None,
        follow: follows,
        failures: 0,
    };
    stream::unfold(Some(state), |state| async {
        let mut state = state?;
        match state.next().await {
            Ok(entry) => Some((Ok(entry), Some(state))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl State {
    async fn next(&mut self) -> Result<Value, CliError> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                return Ok(entry);
            }
            if let Some(events) = &mut self.events {
                match events.next().await {
                    Some(Ok(Some(entry))) => self.take(entry),
                    Some(Ok(None)) => {}
                    Some(Err(error)) => return Err(error),
                    None => {
                        self.events = None;
                        self.client.clock.sleep(PAUSE).await;
                    }
                }
                continue;
            }
            match self.open().await {
                Ok(()) => self.failures = 0,
                Err(error) if !error.is_passing() => return Err(error),
                Err(error) => {
                    self.failures += 1;
                    if self.failures >= MAX_FAILURES {
                        return Err(error);
                    }
                    self.client.clock.sleep(PAUSE).await;
                }
            }
        }
    }

    /// Takes an entry that was not seen yet; one without a number is passed on as it is.
    fn take(&mut self, entry: Value) {
        match entry.get("seq").and_then(Value::as_u64) {
            Some(seq) if self.after.is_some_and(|last| seq <= last) => {}
            Some(seq) => {
                self.after = Some(seq);
                self.waiting.push_back(entry);
            }
            None => self.waiting.push_back(entry),
        }
    }

    async fn open(&mut self) -> Result<(), CliError> {
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        let mut request = self
            .client
            .request(Method::GET, &segments)
            .query(&self.query)
            .query(&self.after.iter().map(|after| ("after", *after)).collect::<Vec<_>>());
        request = if self.follow {
            request.query(&[("follow", "true")])
        } else {
            request.query(&[("limit", PAGE)])
        };
        let accepted = "text/event-stream, application/json;q=0.5";
        request = request.header(header::ACCEPT, accepted);
        let answer = match self.client.send(request).await {
            Ok(answer) => answer,
            // A server that does not know `follow` here is asked page by page.
            Err(error) if self.follow && is_refused(&error) => {
                self.follow = false;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        if kind.starts_with("text/event-stream") {
            let events = SseStream::from_bytes_stream(answer.bytes_stream().map_err(Box::new));
            // A stream that breaks off ends here and is opened again.
            let entries = events
                .take_while(|event| std::future::ready(event.is_ok()))
                .map(|event| event.map_or(Ok(None), entry_of));
            self.events = Some(entries.boxed());
            return Ok(());
        }
        let page = answer.bytes().await.map_err(|error| self.client.unreachable(&error))?;
        self.take_page(&page);
        if self.waiting.is_empty() {
            self.client.clock.sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Takes a page, or lines of JSON.
    fn take_page(&mut self, page: &[u8]) {
        let document = serde_json::from_slice::<Value>(page).ok();
        let items = document.as_ref().and_then(|document| document.get("items")?.as_array());
        if let Some(items) = items {
            for item in items {
                self.take(item.clone());
            }
            return;
        }
        for line in page.split(|byte| *byte == b'\n') {
            if let Ok(entry) = serde_json::from_slice(line) {
                self.take(entry);
            }
        }
    }
}

/// The entry in an event; a problem that ends the stream is an error.
fn entry_of(event: Sse) -> Result<Option<Value>, CliError> {
    let data = event.data.unwrap_or_default();
    if event.event.as_deref() == Some("error") {
        return Err(CliError::from_problem(500, &data));
    }
    Ok(serde_json::from_str(&data).ok())
}

fn is_refused(error: &CliError) -> bool {
    let status = error.problem.as_ref().and_then(|problem| problem.get("status")?.as_u64());
    let refused =
        [StatusCode::BAD_REQUEST, StatusCode::NOT_ACCEPTABLE, StatusCode::UNPROCESSABLE_ENTITY];
    refused.iter().any(|refused| status == Some(u64::from(refused.as_u16())))
}
