//! The client of the HTTP interface: finds the server and its key, sends, and turns every problem
//! into an error with what helps.
//!
//! Invariant: the administrator's key of this machine is sent to loopback addresses only.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::exit::{CliError, code};
use super::output::Spinner;
use crate::application::ports::clock::Clock;

/// Where a server listens when nothing else is known.
const USUAL_URL: &str = "http://127.0.0.1:8000";
/// The tenant of a machine's own administrator.
const USUAL_TENANT: &str = "default";
/// Larger answers are not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Larger files are neither a key nor a note about a server.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Which server to speak to, and as whom.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// As given; else the server of the data directory.
    pub url: Option<String>,
    /// As given; else the key in the data directory.
    pub key: Option<SecretString>,
    /// As given; else `default`.
    pub tenant: Option<String>,
    /// The data directory, when one is known.
    pub data_dir: Option<PathBuf>,
}

impl Connection {
    /// The server that said it serves the data directory; it may be gone.
    #[must_use]
    pub fn noted_url(&self) -> Option<String> {
        let text = read_small(&self.data_dir.as_ref()?.join("server.json"))?;
        let note: Value = serde_json::from_str(&text).ok()?;
        let url = note.get("url")?.as_str()?;
        is_loopback(&Url::parse(url).ok()?).then(|| url.to_owned())
    }

    /// Whether the data directory holds a store that a server could open.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.data_dir.as_ref().is_some_and(|dir| dir.join("store.redb").is_file())
    }

    fn stored_key(&self) -> Option<SecretString> {
        let text = read_small(&self.data_dir.as_ref()?.join("admin.key"))?;
        Some(text.trim()).filter(|key| !key.is_empty()).map(SecretString::from)
    }
}

fn read_small(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    (meta.is_file() && meta.len() <= MAX_FILE_BYTES).then(|| std::fs::read_to_string(path).ok())?
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Speaks to one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<SecretString>,
    /// As was said, else what goes with the key; `None` before that is known.
    tenant: Option<String>,
    /// Time, for waits and ages.
    pub clock: Arc<dyn Clock>,
}

impl Client {
    /// A client of the server that the connection names, else of the local one.
    ///
    /// # Errors
    /// An address that is none, or a key that cannot be sent.
    pub fn new(connection: &Connection, clock: Arc<dyn Clock>) -> Result<Self, CliError> {
        let given = connection.url.clone().or_else(|| connection.noted_url());
        let text = given.unwrap_or_else(|| USUAL_URL.to_owned());
        let base = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| {
            CliError::usage(format!("`{text}` is not an address such as {USUAL_URL}"))
        })?;
        let key = connection
            .key
            .clone()
            .or_else(|| is_loopback(&base).then(|| connection.stored_key()).flatten());
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| CliError::new(code::FAILED, format!("no HTTP client: {error}")))?;
        let is_own = connection.key.is_none();
        let tenant = connection.tenant.clone().or_else(|| is_own.then(|| USUAL_TENANT.to_owned()));
        Ok(Self { http, base, key, tenant, clock })
    }

    /// Finds out which tenant somebody's key belongs to, when none was named.
    #[must_use]
    pub async fn at_home(mut self) -> Self {
        if self.tenant.is_none() {
            let asked = self.request(Method::GET, &["whoami"]).timeout(Duration::from_secs(5));
            let who = self.json(asked).await.unwrap_or_default();
            let own = who["tenant_id"].as_str();
            let is_system = who["is_system"].as_bool() == Some(true);
            // Without an answer the server is left to say what is wrong.
            self.tenant = own.map(|own| if is_system { USUAL_TENANT } else { own }.to_owned());
        }
        self
    }

    /// The address of the server.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The tenant that is acted for, by short name or id.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(USUAL_TENANT)
    }

    /// Whether a server answers there within two seconds.
    pub async fn is_alive(&self) -> bool {
        let request = self.http.get(format!("{}/health/live", self.url()));
        let answer = request.timeout(Duration::from_secs(2)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// A request under `/api/v1`; each segment is escaped.
    pub fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        let mut request = self.http.request(method, url);
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Tenant-ID", tenant);
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        request
    }

    /// Sends, and gives the answer when it is a success.
    ///
    /// # Errors
    /// No answer, or a problem.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let body = self.body(answer).await.unwrap_or_default();
        Err(CliError::from_problem(status, &body))
    }

    /// Sends, and reads a JSON answer; nothing is null.
    ///
    /// # Errors
    /// No answer, a problem, or an answer that is no JSON.
    pub async fn json(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let request =
            request.header(header::ACCEPT, "application/json").timeout(Duration::from_mins(2));
        let answer = self.send(request).await?;
        let body = self.body(answer).await?;
        if body.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&body).map_err(|_| {
            CliError::new(
                code::UNAVAILABLE,
                format!("{} gave an answer that is no JSON", self.url()),
            )
            .remedy("is --url the address of an orchestrator?")
        })
    }

    /// GET of a JSON answer with a query.
    ///
    /// # Errors
    /// As `json`.
    pub async fn get(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, CliError> {
        self.patiently(self.request(Method::GET, segments).query(query)).await
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As `json`.
    pub async fn all(&self, segments: &[&str]) -> Result<Vec<Value>, CliError> {
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let mut query = vec![("limit", "200".to_owned())];
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page = self.get(segments, &query).await?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// As `json`.
    pub async fn post(&self, segments: &[&str], body: &Value) -> Result<Value, CliError> {
        self.patiently(self.request(Method::POST, segments).json(body)).await
    }

    /// PUT of a JSON body.
    ///
    /// # Errors
    /// As `json`.
    pub async fn put(&self, segments: &[&str], body: &Value) -> Result<Value, CliError> {
        self.patiently(self.request(Method::PUT, segments).json(body)).await
    }

    /// Shows a sign of life when the answer takes more than a second.
    async fn patiently(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let mut answer = std::pin::pin!(self.json(request));
        tokio::select! {
            answer = &mut answer => return answer,
            () = self.clock.sleep(Duration::from_secs(1)) => {}
        }
        let _spinner = Spinner::new("waiting for the server");
        answer.await
    }

    async fn body(&self, mut answer: Response) -> Result<String, CliError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                let message = "the answer is larger than 64 MiB".to_owned();
                return Err(CliError::new(code::FAILED, message));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What to say when the server does not answer.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> CliError {
        let what = if error.is_timeout() {
            "did not answer in time".to_owned()
        } else if error.is_connect() {
            "cannot be reached".to_owned()
        } else {
            format!("broke off: {}", error.to_string().replace(self.url(), ""))
        };
        CliError::new(code::UNAVAILABLE, format!("the server at {} {what}", self.url()))
            .remedy("start one with `orchestrator serve`, or name another with --url")
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;

    use super::*;
    use crate::domain::time::Timestamp;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::EPOCH
        }

        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    fn connection(url: Option<&str>, note: &str) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("admin.key"), "stored-key\n").expect("written");
        std::fs::write(dir.path().join("server.json"), note).expect("written");
        let url = url.map(str::to_owned);
        let data_dir = Some(dir.path().to_owned());
        (dir, Connection { url, data_dir, ..Connection::default() })
    }

    #[test]
    fn the_stored_key_never_leaves_this_machine() {
        for (url, sent) in [
            (None, true),
            (Some("http://localhost:9"), true),
            (Some("http://[::1]:9"), true),
            (Some("https://example.org"), false),
            (Some("http://127.0.0.1.example.org"), false),
        ] {
            let (_dir, connection) = connection(url, "{}");
            let client = Client::new(&connection, Arc::new(Still)).expect("valid");
            assert_eq!(client.key.is_some(), sent, "{url:?}");
        }
    }

    #[test]
    fn a_note_about_a_server_elsewhere_is_not_believed() {
        let (_dir, here) = connection(None, r#"{"url":"http://127.0.0.1:4711","pid":1}"#);
        let client = Client::new(&here, Arc::new(Still)).expect("valid");
        assert_eq!(client.url(), "http://127.0.0.1:4711");
        for note in [r#"{"url":"http://example.org"}"#, "{", ""] {
            let (_dir, elsewhere) = connection(None, note);
            let client = Client::new(&elsewhere, Arc::new(Still)).expect("valid");
            assert_eq!(client.url(), USUAL_URL);
        }
    }

    #[test]
    fn segments_are_escaped() {
        let (_dir, connection) = connection(Some("http://127.0.0.1:9/base/"), "{}");
        let client = Client::new(&connection, Arc::new(Still)).expect("valid");
        let request = client.request(Method::GET, &["sessions", "a/b?c#d"]).build().expect("valid");
        assert_eq!(request.url().path(), "/base/api/v1/sessions/a%2Fb%3Fc%23d");
    }
}
