//! The server's HTTP interface, typed.
//!
//! Invariant: every answer is bounded in time and size and must be JSON; only the call that holds
//! a prompt open may take as long as the prompt.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::wire;
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::DriverError;
use crate::domain::session::attempt::ErrorType;

/// Largest answer that is read.
pub(super) const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// For calls that the server answers from memory or its database.
const CALL_TIME: Duration = Duration::from_secs(20);
/// For calls that may boot the instance of a directory first.
const BOOT_TIME: Duration = Duration::from_secs(40);

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum CallError {
    #[error("OpenCode cannot be reached: {0}")]
    Unreachable(String),
    #[error("OpenCode did not answer in time")]
    Late,
    #[error("OpenCode answered {status} {name}: {message}")]
    Refused { status: u16, name: String, message: String },
    #[error("what answers is not OpenCode: {0}")]
    Foreign(String),
    #[error("OpenCode's answer is larger than 8 MiB")]
    TooLarge,
}

impl CallError {
    /// Whether the connection or the server is the problem, not the request.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Late)
    }

    /// Whether the thing asked for does not exist.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, name: _, message: _ })
    }
}

impl From<CallError> for DriverError {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::Unreachable(_) | CallError::Late => Self::new(ErrorType::AgentLost, text),
            CallError::Refused { status: 401, name: _, message: _ } => {
                let message = "OpenCode refuses the password; check user name and password of the \
                               attached server";
                Self { retryable: false, ..Self::new(ErrorType::DispatchFailed, message) }
            }
            CallError::Refused { status: _, name: _, message: _ } => {
                Self::new(ErrorType::AgentError, text)
            }
            CallError::Foreign(_) | CallError::TooLarge => {
                Self::new(ErrorType::AgentProtocolError, text)
            }
        }
    }
}

/// One server's interface.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    user: String,
    password: SecretString,
    clock: Arc<dyn Clock>,
}

impl Client {
    pub(super) fn new(
        base: &str,
        user: &str,
        password: SecretString,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DriverError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(8)
            // Shorter than the server's, so that no call meets a connection that is being closed.
            .pool_idle_timeout(Duration::from_secs(3))
            .build()
            .map_err(|error| {
                DriverError::new(ErrorType::Internal, format!("no HTTP client: {error}"))
            })?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { http, base, user: user.to_owned(), password, clock })
    }

    /// Where it is.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// `GET /global/health`, answered within this time.
    pub(super) async fn health(&self, time: Duration) -> Result<wire::Health, CallError> {
        let request = self.request(Method::GET, "/global/health");
        self.within(time, read(request)).await
    }

    /// `GET /session` for this directory, of which one at most is read, answered within this time. Unlike its word
    /// on its health this goes through an instance and the database, as everything does that a run asks for.
    pub(super) async fn conversations(&self, place: &str, time: Duration) -> Result<(), CallError> {
        let request = self.request(Method::GET, "/session");
        let request = request.query(&[("directory", place), ("limit", "1")]);
        self.within(time, read::<Vec<wire::Session>>(request)).await.map(drop)
    }

    /// The status of a call without a password.
    pub(super) async fn anonymous_status(&self) -> Result<StatusCode, CallError> {
        let request = self.http.get(format!("{}/session", self.base));
        let answer = async { request.send().await.map_err(unreachable) };
        Ok(self.within(CALL_TIME, answer).await?.status())
    }

    pub(super) async fn profiles(&self, place: &str) -> Result<Vec<wire::Profile>, CallError> {
        self.get("/agent", Some(place), BOOT_TIME).await
    }

    pub(super) async fn providers(&self, place: &str) -> Result<wire::Providers, CallError> {
        self.get("/config/providers", Some(place), BOOT_TIME).await
    }

    pub(super) async fn config(&self, place: &str) -> Result<wire::Config, CallError> {
        self.get("/config", Some(place), BOOT_TIME).await
    }

    pub(super) async fn create(
        &self,
        place: &str,
        body: &Value,
    ) -> Result<wire::Session, CallError> {
        let request = self.request(Method::POST, "/session").query(&[("directory", place)]);
        self.within(BOOT_TIME, read(request.json(body))).await
    }

    pub(super) async fn session(&self, id: &str) -> Result<wire::Session, CallError> {
        self.get(&format!("/session/{id}"), None, CALL_TIME).await
    }

    pub(super) async fn change(&self, id: &str, body: &Value) -> Result<wire::Session, CallError> {
        let request = self.request(Method::PATCH, &format!("/session/{id}")).json(body);
        self.within(CALL_TIME, read(request)).await
    }

    pub(super) async fn delete(&self, id: &str) -> Result<Value, CallError> {
        let request = self.request(Method::DELETE, &format!("/session/{id}"));
        self.within(CALL_TIME, read(request)).await
    }

    /// A copy with the messages before `message`, or all of them.
    pub(super) async fn fork(
        &self,
        id: &str,
        message: Option<&str>,
    ) -> Result<wire::Session, CallError> {
        let body = message.map_or_else(|| json!({}), |message| json!({ "messageID": message }));
        let request = self.request(Method::POST, &format!("/session/{id}/fork")).json(&body);
        self.within(BOOT_TIME, read(request)).await
    }

    pub(super) async fn children(&self, id: &str) -> Result<Vec<wire::Session>, CallError> {
        self.get(&format!("/session/{id}/children"), None, CALL_TIME).await
    }

    /// A page of the newest messages before `cursor`, oldest first, and the next cursor; fewer than
    /// `limit` where so many are too large to be read at once.
    pub(super) async fn messages(
        &self,
        id: &str,
        mut limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<wire::Message>, Option<String>), CallError> {
        loop {
            match self.page_of_messages(id, limit, cursor).await {
                Err(CallError::TooLarge) if limit > 1 => limit /= 2,
                answer => return answer,
            }
        }
    }

    async fn page_of_messages(
        &self,
        id: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<wire::Message>, Option<String>), CallError> {
        let mut request = self
            .request(Method::GET, &format!("/session/{id}/message"))
            .query(&[("limit", limit.to_string())]);
        if let Some(cursor) = cursor {
            request = request.query(&[("before", cursor)]);
        }
        let answer = async {
            let response = request.send().await.map_err(unreachable)?;
            let next = response.headers().get("x-next-cursor");
            let next = next.and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok((parse(response).await?, next))
        };
        self.within(CALL_TIME, answer).await
    }

    /// Posts a prompt and waits until the run is over, however long that takes.
    pub(super) async fn prompt(&self, id: &str, body: &Value) -> Result<(), CallError> {
        let request = self.request(Method::POST, &format!("/session/{id}/message")).json(body);
        let response = request.send().await.map_err(unreachable)?;
        // What it says is read from the list of messages: this one may be of any size.
        let mut body = checked(response).await?.bytes_stream();
        while let Some(chunk) = body.next().await {
            chunk.map_err(unreachable)?;
        }
        Ok(())
    }

    pub(super) async fn abort(&self, id: &str) -> Result<Value, CallError> {
        let request = self.request(Method::POST, &format!("/session/{id}/abort"));
        self.within(Duration::from_secs(5), read(request)).await
    }

    /// Adds a server of tools to the instance of a folder; how each stands.
    pub(super) async fn add_tools(
        &self,
        place: &str,
        name: &str,
        config: &Value,
    ) -> Result<std::collections::HashMap<String, Value>, CallError> {
        let request = self.request(Method::POST, "/mcp").query(&[("directory", place)]);
        let body = json!({ "name": name, "config": config });
        self.within(BOOT_TIME, read(request.json(&body))).await
    }

    /// Leaves a server of tools.
    pub(super) async fn remove_tools(&self, place: &str, name: &str) -> Result<Value, CallError> {
        let path = format!("/mcp/{name}/disconnect");
        let request = self.request(Method::POST, &path).query(&[("directory", place)]);
        self.within(Duration::from_secs(5), read(request)).await
    }

    /// What is not idle.
    pub(super) async fn statuses(
        &self,
        place: &str,
    ) -> Result<std::collections::HashMap<String, wire::Status>, CallError> {
        self.get("/session/status", Some(place), CALL_TIME).await
    }

    pub(super) async fn permissions(
        &self,
        place: &str,
    ) -> Result<Vec<wire::PermissionAsk>, CallError> {
        self.get("/permission", Some(place), CALL_TIME).await
    }

    pub(super) async fn questions(&self, place: &str) -> Result<Vec<wire::QuestionAsk>, CallError> {
        self.get("/question", Some(place), CALL_TIME).await
    }

    /// `once`, or `reject` with words for the agent.
    pub(super) async fn decide(
        &self,
        place: &str,
        ask: &str,
        reply: &str,
        message: Option<&str>,
    ) -> Result<Value, CallError> {
        let body = match message {
            Some(message) => json!({ "reply": reply, "message": message }),
            None => json!({ "reply": reply }),
        };
        let request = self.request(Method::POST, &format!("/permission/{ask}/reply"));
        self.within(CALL_TIME, read(request.query(&[("directory", place)]).json(&body))).await
    }

    /// One list of answers per question.
    pub(super) async fn reply(
        &self,
        place: &str,
        ask: &str,
        answers: &[Vec<String>],
    ) -> Result<Value, CallError> {
        let request = self.request(Method::POST, &format!("/question/{ask}/reply"));
        let body = json!({ "answers": answers });
        self.within(CALL_TIME, read(request.query(&[("directory", place)]).json(&body))).await
    }

    /// Aborts all runs of the server and kills their tools.
    pub(super) async fn dispose(&self) -> Result<Value, CallError> {
        let request = self.request(Method::POST, "/global/dispose");
        self.within(Duration::from_secs(2), read(request)).await
    }

    /// Opens the event stream of a directory; the caller reads the body.
    pub(super) async fn events(&self, place: &str) -> Result<Response, CallError> {
        let request = self.request(Method::GET, "/event").query(&[("directory", place)]);
        let answer = async { refused(request.send().await.map_err(unreachable)?).await };
        let response = self.within(BOOT_TIME, answer).await?;
        expect_type(&response, "text/event-stream")?;
        Ok(response)
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        place: Option<&str>,
        time: Duration,
    ) -> Result<T, CallError> {
        let mut request = self.request(Method::GET, path);
        if let Some(place) = place {
            request = request.query(&[("directory", place)]);
        }
        self.within(time, read(request)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .basic_auth(&self.user, Some(self.password.expose_secret()))
    }

    async fn within<T>(
        &self,
        time: Duration,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        tokio::select! {
            answer = call => answer,
            () = self.clock.sleep(time) => Err(CallError::Late),
        }
    }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, CallError> {
    parse(request.send().await.map_err(unreachable)?).await
}

async fn parse<T: DeserializeOwned>(response: Response) -> Result<T, CallError> {
    let bytes = read_bytes(checked(response).await?).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| CallError::Foreign(format!("its answer is not as expected: {error}")))
}

/// The response when it is a success and JSON.
async fn checked(response: Response) -> Result<Response, CallError> {
    let response = refused(response).await?;
    expect_type(&response, "application/json")?;
    Ok(response)
}

async fn refused(response: Response) -> Result<Response, CallError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let bytes = read_bytes(response).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |at: &str| body.pointer(at).and_then(Value::as_str).map(short);
    Err(CallError::Refused {
        status: status.as_u16(),
        name: text("/name").or_else(|| text("/_tag")).unwrap_or_default(),
        message: text("/data/message").or_else(|| text("/message")).unwrap_or_default(),
    })
}

fn expect_type(response: &Response, wanted: &str) -> Result<(), CallError> {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("nothing");
    if kind.starts_with(wanted) {
        return Ok(());
    }
    Err(CallError::Foreign(format!("it answers with {} instead of {wanted}", short(kind))))
}

async fn read_bytes(response: Response) -> Result<Vec<u8>, CallError> {
    let mut all = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk: Bytes = chunk.map_err(unreachable)?;
        if all.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(CallError::TooLarge);
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

fn unreachable(error: reqwest::Error) -> CallError {
    // Without the address: it may hold what the caller would rather not show.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    CallError::Unreachable(short(&text))
}
